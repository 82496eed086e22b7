"""A tree as Polars expressions over frames of stored records (see `logs.frames` and `logs.shapes`).

A frame's attributes are in typed columns `attributes.<path>`, and as JSON in `attributes` for rows that have none of
those. What JSON holds no expression can tell: for such rows there are two, one that is true of every row that may match
and one that is true only of rows that do. Between them a predicate decides (see `logs.judging`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from tocsin.query.patterns import for_polars, text_test
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

PREFIX: Final = "attributes."
RAW: Final = "attributes"
_NUMBER: Final = r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"
_IN_NUMBERS: Final = frozenset("0123456789+-.eEinfINFaA")


@dataclass(frozen=True, slots=True)
class Layout:
    """Which attributes have a column; `has_raw`: some rows have theirs as JSON."""

    typed: Mapping[str, pl.DataType]
    has_raw: bool


@dataclass(frozen=True, slots=True)
class Bounds:
    """Both are true or false, never null. Where they differ, a row with JSON is to be judged; `exact`: nowhere."""

    possible: pl.Expr
    certain: pl.Expr
    exact: bool


def compile_bounds(node: Node, layout: Layout, schema: Schema) -> Bounds:
    """Which rows may match, and which do."""
    match node:
        case Everything():
            return _exactly(pl.lit(value=True))
        case And(parts):
            bounds = [compile_bounds(part, layout, schema) for part in parts]
            return _together(bounds, pl.all_horizontal)
        case Or(parts):
            bounds = [compile_bounds(part, layout, schema) for part in parts]
            return _together(bounds, pl.any_horizontal)
        case Not(part):
            inner = compile_bounds(part, layout, schema)
            return Bounds(~inner.certain, ~inner.possible, inner.exact)
        case _:
            return _bounds_of_leaf(node, layout, schema)


def _exactly(expression: pl.Expr) -> Bounds:
    return Bounds(expression, expression, exact=True)


def _together(bounds: Sequence[Bounds], join: Callable[[list[pl.Expr]], pl.Expr]) -> Bounds:
    """One flat expression: a chain of two-sided ones costs Polars seconds when it is long."""
    possible = join([one.possible for one in bounds])
    if all(one.exact for one in bounds):
        return _exactly(possible)
    return Bounds(possible, join([one.certain for one in bounds]), exact=False)


def _bounds_of_leaf(leaf: Leaf, layout: Layout, schema: Schema) -> Bounds:
    native = _leaf(leaf, layout, schema).fill_null(value=False)
    if not layout.has_raw or isinstance(leaf.target, Named):
        return _exactly(native)
    path = leaf.target.path if isinstance(leaf.target, Attribute) else None
    return Bounds(native | _may_be_in_json(leaf, path), native, exact=False)


def _leaf(leaf: Leaf, layout: Layout, schema: Schema) -> pl.Expr:
    target = leaf.target
    if isinstance(target, Attribute):
        return _of_attribute(leaf, target.path, layout)
    if isinstance(target, Anywhere):
        parts = [_text(leaf, pl.col(name)).fill_null(value=False) for name in schema.anywhere]
        parts += [_typed(leaf, PREFIX + path, dtype).fill_null(value=False) for path, dtype in layout.typed.items()]
        return pl.any_horizontal(parts)
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
    return found


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
    return column.str.contains(for_polars(text_test(leaf).pattern))


def _inside(leaf: Between, value: pl.Expr) -> pl.Expr:
    found = value.is_not_null()
    if leaf.low is not None:
        found &= value > leaf.low if leaf.low_open else value >= leaf.low
    if leaf.high is not None:
        found &= value < leaf.high if leaf.high_open else value <= leaf.high
    return found


def _may_be_in_json(leaf: Leaf, path: str | None) -> pl.Expr:
    """Of rows with JSON, those that may have a value which meets the condition, at the path or anywhere."""
    document, hint = pl.col(RAW), _hint(leaf, path)
    if hint is None:
        return document.is_not_null()
    return (document.str.contains(hint) | document.str.contains("\\", literal=True)).fill_null(value=False)


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
