"""A tree as a Polars expression over frames of stored records (see `logs.frames` and `logs.shapes`).

A frame's attributes are in typed columns `attributes.<path>`, and as JSON in `attributes` for rows that have none of
those. JSON rows are judged by the same code as a predicate's, after a native look at whether they can match at all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Final

import polars as pl

from tocsin.query.patterns import text_test
from tocsin.query.predicate import scalar_matcher
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
from tocsin.query.values import Scalar, flatten

PREFIX: Final = "attributes."
RAW: Final = "attributes"
_NUMBER: Final = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"
_IN_NUMBERS: Final = frozenset("0123456789+-.eEinfINFaA")


@dataclass(frozen=True, slots=True)
class Layout:
    """Which attributes have a column; `has_raw`: some rows have theirs as JSON."""

    typed: Mapping[str, pl.DataType]
    has_raw: bool


def compile_expression(node: Node, layout: Layout, schema: Schema) -> pl.Expr:
    """An expression that is true or false, never null, for every row."""
    match node:
        case Everything():
            return pl.lit(value=True)
        case And(parts):
            return reduce(lambda a, b: a & b, [compile_expression(part, layout, schema) for part in parts])
        case Or(parts):
            return reduce(lambda a, b: a | b, [compile_expression(part, layout, schema) for part in parts])
        case Not(part):
            return ~compile_expression(part, layout, schema)
        case _:
            return _leaf(node, layout, schema).fill_null(value=False)


def columns_read(node: Node, layout: Layout, schema: Schema) -> set[str]:
    """The columns that the expression needs."""
    return set(compile_expression(node, layout, schema).meta.root_names())


def _leaf(leaf: Leaf, layout: Layout, schema: Schema) -> pl.Expr:
    target = leaf.target
    if isinstance(target, Attribute):
        return _of_attribute(leaf, target.path, layout)
    if isinstance(target, Anywhere):
        parts = [_text(leaf, pl.col(name)).fill_null(value=False) for name in schema.anywhere]
        parts += [_typed(leaf, PREFIX + path, dtype).fill_null(value=False) for path, dtype in layout.typed.items()]
        if layout.has_raw:
            parts.append(_raw(leaf, None).fill_null(value=False))
        return reduce(lambda a, b: a | b, parts)
    return _of_field(leaf, target, schema)


def _of_field(leaf: Leaf, target: Named, schema: Schema) -> pl.Expr:
    field = schema.field(target.name)
    assert field is not None
    column = pl.col(field.stored_as)
    if isinstance(leaf, Exists):
        return column.is_not_null()
    if isinstance(leaf, Truth):
        return column == leaf.value
    if isinstance(leaf, Between):
        return _inside(leaf, column.cast(pl.Int64))
    return _text(leaf, column)


def _of_attribute(leaf: Leaf, path: str, layout: Layout) -> pl.Expr:
    found = pl.lit(value=False)
    if path in layout.typed:
        found = _typed(leaf, PREFIX + path, layout.typed[path]).fill_null(value=False)
    if isinstance(leaf, Exists):
        for below in layout.typed:
            if below.startswith(path + "."):
                found |= pl.col(PREFIX + below).is_not_null()
    return found | _raw(leaf, path).fill_null(value=False) if layout.has_raw else found


def _typed(leaf: Leaf, name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(leaf, Exists):
        return column.is_not_null()
    if isinstance(leaf, Between):
        if dtype == pl.Boolean:
            return pl.lit(value=False)
        if dtype == pl.String:
            number = column.cast(pl.Float64, strict=False)
            return column.str.contains(_NUMBER) & _inside(leaf, number)
        return _inside(leaf, column.cast(pl.Float64))
    if dtype == pl.String:
        return _text(leaf, column)
    literal = text_test(leaf).literal
    found = pl.lit(value=False)
    if dtype == pl.Boolean or not set(literal) - _IN_NUMBERS:
        found = _text(leaf, column.cast(pl.String))
    if isinstance(leaf, Equals) and leaf.number is not None and dtype != pl.Boolean:
        found |= column.cast(pl.Float64) == leaf.number
    return found


def _text(leaf: Leaf, column: pl.Expr) -> pl.Expr:
    return column.str.contains(text_test(leaf).pattern.replace(r"\b", r"(?-u:\b)"))


def _inside(leaf: Between, value: pl.Expr) -> pl.Expr:
    found = value.is_not_null()
    if leaf.low is not None:
        found &= value > leaf.low if leaf.low_open else value >= leaf.low
    if leaf.high is not None:
        found &= value < leaf.high if leaf.high_open else value <= leaf.high
    return found


def _raw(leaf: Leaf, path: str | None) -> pl.Expr:
    """Of rows with JSON, those that have a value which meets the condition, at the path or anywhere."""
    judge = _judge(leaf, path)
    hint = _hint(leaf, path)

    def look(texts: pl.Series) -> pl.Series:
        possible = texts.is_not_null()
        if hint is not None:
            possible &= texts.str.contains(hint) | texts.str.contains("\\", literal=True)
        rows = possible.fill_null(value=False).arg_true()
        hits = [row for row, text in zip(rows, texts.gather(rows), strict=True) if judge(flatten(text))]
        return pl.zeros(len(texts), pl.Boolean, eager=True).scatter(hits, values=True)

    return pl.col(RAW).map_batches(look, return_dtype=pl.Boolean, is_elementwise=True)


def _judge(leaf: Leaf, path: str | None) -> Callable[[Mapping[str, list[Scalar]]], bool]:
    test = scalar_matcher(leaf)
    if path is None:
        return lambda found: any(test(value) for values in found.values() for value in values)
    if isinstance(leaf, Exists):
        return lambda found: any(name == path or name.startswith(path + ".") for name in found)
    return lambda found: any(test(value) for value in found.get(path, ()))


def _hint(leaf: Leaf, path: str | None) -> str | None:
    """A pattern that the JSON of every matching row has, unless something in it is escaped."""
    literal = "" if isinstance(leaf, Between | Exists | Truth) else text_test(leaf).literal
    if isinstance(leaf, Equals) and leaf.number is not None:
        literal = ""
    runs = "".join(c if c.isascii() and c.isalnum() else " " for c in literal).split()
    if runs:
        return f"(?i){max(runs, key=len)}"
    last = "" if path is None else path.rpartition(".")[2]
    return last if last.isascii() and last.isalnum() else None
