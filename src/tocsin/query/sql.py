"""A tree as a SQL condition over the columns of a table, the same on SQLite and PostgreSQL.

Text conditions run as regular expressions that we made (`patterns`), never as a user's: PostgreSQL's own engine reads
them, and on SQLite the function `regexp` of our connections (`storage.dialects`).
"""

from collections.abc import Callable, Mapping
from math import ceil, floor
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, and_, not_, or_, true, type_coerce

from tocsin.query.patterns import text_test
from tocsin.query.schema import Field, Schema
from tocsin.query.tree import (
    And,
    Anywhere,
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

# Where each field is stored; what is not stored as such has a function that makes its condition.
Columns = Mapping[str, ColumnElement[Any] | Callable[[Leaf], ColumnElement[bool]]]
_LARGEST: Final = 2**62  # beyond everything stored, and a number for every database


def compile_condition(node: Node, columns: Columns, schema: Schema) -> ColumnElement[bool]:
    """A condition that is true or false, never null. `columns` holds what each field of the schema is stored in."""
    match node:
        case Everything():
            return true()
        case And(parts):
            return and_(*(compile_condition(part, columns, schema) for part in parts))
        case Or(parts):
            return or_(*(compile_condition(part, columns, schema) for part in parts))
        case Not(part):
            return not_(compile_condition(part, columns, schema))
        case _:
            return _leaf(node, columns, schema)


def _leaf(leaf: Leaf, columns: Columns, schema: Schema) -> ColumnElement[bool]:
    if isinstance(leaf.target, Anywhere):
        return or_(*(_of_field(leaf, _known(schema, name), columns[name]) for name in schema.anywhere))
    assert isinstance(leaf.target, Named), "a schema for SQL has no attributes"
    field = _known(schema, leaf.target.name)
    return _of_field(leaf, field, columns[field.name])


def _known(schema: Schema, name: str) -> Field:
    field = schema.field(name)
    assert field is not None
    return field


def _of_field(
    leaf: Leaf, field: Field, column: ColumnElement[Any] | Callable[[Leaf], ColumnElement[bool]]
) -> ColumnElement[bool]:
    if not isinstance(column, ColumnElement):
        return column(leaf)
    if isinstance(leaf, Exists):
        return column.is_not(None)
    if isinstance(leaf, Truth):
        return and_(column.is_not(None), column.is_(leaf.value))
    if isinstance(leaf, Between):
        return _inside(leaf, type_coerce(column, BigInteger))
    if isinstance(leaf, Equals) and field.values:
        return and_(column.is_not(None), column == leaf.text)
    return _text(leaf, column)


def _text(leaf: Leaf, column: ColumnElement[Any]) -> ColumnElement[bool]:
    return and_(column.is_not(None), column.regexp_match(text_test(leaf).pattern))


def _inside(leaf: Between, column: ColumnElement[Any]) -> ColumnElement[bool]:
    """What is stored are whole numbers, so that the ends may be as well: an index on them serves for these only."""
    found: list[ColumnElement[bool]] = [column.is_not(None)]
    if leaf.low is not None:
        low = _whole(leaf.low, ceil)
        found.append(column > low if leaf.low_open and low == leaf.low else column >= low)
    if leaf.high is not None:
        high = _whole(leaf.high, floor)
        found.append(column < high if leaf.high_open and high == leaf.high else column <= high)
    return and_(*found)


def _whole(value: float, towards: Callable[[float], int]) -> int:
    return int(max(min(value, _LARGEST), -_LARGEST)) if abs(value) > _LARGEST else towards(value)
