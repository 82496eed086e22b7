"""A tree as a Python predicate over one record: for live detection, and wherever a record is at hand."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from tocsin.query.parse import compiled
from tocsin.query.patterns import text_test
from tocsin.query.schema import Schema
from tocsin.query.tree import (
    And,
    Anywhere,
    Attribute,
    Between,
    Equals,
    Everything,
    Exists,
    Leaf,
    Named,
    Node,
    Not,
    Or,
    Truth,
)
from tocsin.query.values import Scalar

Attributes = Mapping[str, Sequence[Scalar]]
_NOTHING: Final[tuple[Scalar, ...]] = ()


class Row(Protocol):
    """A record. Instants are microseconds since 1970, an ORDERED field is its stored rank."""

    def get(self, field: str) -> str | float | bool | None:
        """The value of the column a field is stored in."""
        ...

    def attributes(self) -> Attributes:
        """Flattened (see `values.flatten`)."""
        ...


Predicate = Callable[[Row], bool]


def compile_predicate(node: Node, schema: Schema) -> Predicate:
    """A function that says whether the tree is true of a record."""
    match node:
        case Everything():
            return lambda _: True
        case And(parts):
            every = [compile_predicate(part, schema) for part in parts]
            return lambda row: all(one(row) for one in every)
        case Or(parts):
            some = [compile_predicate(part, schema) for part in parts]
            return lambda row: any(one(row) for one in some)
        case Not(part):
            inner = compile_predicate(part, schema)
            return lambda row: not inner(row)
        case _:
            return _leaf(node, schema)


def columns_read(node: Node, schema: Schema) -> set[str]:
    """The stored columns that the predicate asks a row for; attributes come on top."""
    match node:
        case Everything():
            return set()
        case And(parts) | Or(parts):
            return {name for part in parts for name in columns_read(part, schema)}
        case Not(part):
            return columns_read(part, schema)
        case _ if isinstance(node.target, Anywhere):
            return set(schema.anywhere)
        case _ if isinstance(node.target, Named):
            field = schema.field(node.target.name)
            return set() if field is None else {field.stored_as}
    return set()


def _leaf(leaf: Leaf, schema: Schema) -> Predicate:
    target = leaf.target
    if isinstance(target, Attribute):
        return _of_attributes(leaf, target)
    if isinstance(target, Anywhere):
        test = text_matcher(leaf)
        names = schema.anywhere

        def anywhere(row: Row) -> bool:
            if any(isinstance(value := row.get(name), str) and test(value) for name in names):
                return True
            return any(test(one.text) for values in row.attributes().values() for one in values)

        return anywhere
    return _of_field(leaf, target, schema)


def _of_field(leaf: Leaf, target: Named, schema: Schema) -> Predicate:
    field = schema.field(target.name)
    assert field is not None
    column = field.stored_as
    if isinstance(leaf, Exists):
        return lambda row: row.get(column) is not None
    if isinstance(leaf, Truth):
        return lambda row: row.get(column) is leaf.value
    if isinstance(leaf, Between):
        return lambda row: (value := row.get(column)) is not None and inside(leaf, float(value))
    test = text_matcher(leaf)
    return lambda row: isinstance(value := row.get(column), str) and test(value)


def _of_attributes(leaf: Leaf, target: Attribute) -> Predicate:
    test = scalar_matcher(leaf)
    if isinstance(leaf, Exists):
        prefix = target.path + "."
        return lambda row: any(path == target.path or path.startswith(prefix) for path in row.attributes())
    return lambda row: any(test(value) for value in row.attributes().get(target.path, _NOTHING))


def scalar_matcher(leaf: Leaf) -> Callable[[Scalar], bool]:
    """Whether one attribute value meets a condition."""
    if isinstance(leaf, Exists):
        return lambda _: True
    if isinstance(leaf, Between):
        return lambda value: (number := value.number) is not None and inside(leaf, number)
    test = text_matcher(leaf)
    if isinstance(leaf, Equals) and leaf.number is not None:
        wanted = leaf.number
        return lambda value: test(value.text) or (value.kind == "number" and value.number == wanted)
    return lambda value: test(value.text)


def text_matcher(leaf: Leaf) -> Callable[[str], bool]:
    """Whether a text meets a condition."""
    search = compiled(text_test(leaf).pattern).search
    return lambda text: search(text) is not None


def inside(leaf: Between, value: float) -> bool:
    """Whether a number lies between the ends."""
    if leaf.low is not None and (value < leaf.low or (leaf.low_open and value == leaf.low)):
        return False
    return leaf.high is None or value < leaf.high or (not leaf.high_open and value == leaf.high)
