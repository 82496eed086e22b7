"""Rows whose attributes are kept as JSON: those that may match are judged one by one, each document read once."""

from collections.abc import Iterator
from typing import Any, Final

import polars as pl

from tocsin.logs.budget import Budget
from tocsin.logs.fields import LOGS
from tocsin.query.predicate import Attributes, columns_read, compile_predicate
from tocsin.query.tree import Node
from tocsin.query.values import flatten

ATTRIBUTES: Final = "attributes"
CERTAIN: Final = "certain"
_LOOK_EVERY: Final = 256  # rows, at the budget


class Judge:
    """Keeps the rows of a frame that are `certain`, and of the others those the predicate is true of.

    When the budget is over, the rows not judged by then are left out and the budget is marked as cut.
    """

    def __init__(self, node: Node, budget: Budget) -> None:
        self._holds = compile_predicate(node, LOGS)
        self._columns = sorted(columns_read(node, LOGS))
        self._budget = budget

    @property
    def columns(self) -> set[str]:
        """What a frame must have beside `certain`."""
        return {ATTRIBUTES, *self._columns}

    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        certain = frame.get_column(CERTAIN)
        if not certain.all():
            open_rows = (~certain).arg_true()
            hits = self._hits(open_rows, frame.select(_as_judged(self.columns))[open_rows])
            certain = certain.scatter(pl.Series(list(hits), dtype=pl.UInt32), values=True)
        return frame.filter(certain)

    def _hits(self, places: pl.Series, rows: pl.DataFrame) -> Iterator[int]:
        names = rows.columns
        for number, (place, values) in enumerate(zip(places, rows.iter_rows(), strict=True)):
            if number % _LOOK_EVERY == 0 and self._budget.over:
                self._budget.cut = True
                return
            if self._holds(_Row(dict(zip(names, values, strict=True)))):
                yield place


def _as_judged(names: set[str]) -> list[pl.Expr]:
    """Instants as microseconds."""
    instants = {field.stored_as for field in LOGS.fields if field.parse_instant is not None}
    return [pl.col(name).cast(pl.Int64) if name in instants else pl.col(name) for name in sorted(names)]


class _Row:
    """A record as predicates see it."""

    __slots__ = ("_attributes", "_values")

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values
        self._attributes: Attributes | None = None

    def get(self, field: str) -> Any:
        return self._values[field]

    def attributes(self) -> Attributes:
        if self._attributes is None:
            document = self._values[ATTRIBUTES]
            self._attributes = {} if document is None else flatten(document)
        return self._attributes
