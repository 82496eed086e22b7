"""Which fields records have: their types, and values they had among the newest records."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from tocsin.logs.budget import Budget
from tocsin.logs.frames import level_names
from tocsin.logs.parts import Parts, Scanned, Sought, collected
from tocsin.logs.search import again_if_vanished
from tocsin.logs.shapes import PREFIX
from tocsin.logs.top import TOP_FIELDS
from tocsin.query.expressions import Layout
from tocsin.query.values import flatten

_SAMPLE_ROWS: Final = 5_000
_EXAMPLES: Final = 5
MAX_EXAMPLE_CHARS: Final = 200
_KIND_OF: Final[dict[Any, str]] = {
    pl.Int64: "number",
    pl.UInt8: "number",
    pl.Float64: "number",
    pl.Boolean: "boolean",
    pl.String: "string",
}


@dataclass(slots=True)
class FieldSeen:
    """A field that records have: its name as a query has it, its types, and values it had among the newest records.

    `records` of the sample have it, with whatever number of values.
    """

    name: str
    types: list[str]
    examples: list[str]
    records: int = 0


@dataclass(slots=True)
class Fields:
    """Fields by name. `sampled` of the newest matching records were looked at."""

    fields: list[FieldSeen]
    sampled: int
    partial: bool = False
    scanned: Scanned = field(default_factory=Scanned)


def fields(parts: Parts, sought: Sought, *, budget: Budget) -> Fields:
    """Which attributes records have, with their types, and values they had in the newest records."""
    return again_if_vanished(lambda: _fields(parts, sought, budget))


def _fields(parts: Parts, sought: Sought, budget: Budget) -> Fields:
    scanned = Scanned()
    seen = _Seen()
    sampled = 0
    for part in sorted(parts.for_(sought, scanned), key=lambda part: part.max_at, reverse=True):
        if sampled >= _SAMPLE_ROWS:
            break
        if budget.over:
            return Fields(seen.by_name(), sampled, partial=True, scanned=scanned)
        for lazy in parts.scan([part], sought, _all_columns, scanned, budget):
            rows = collected(lazy.sort("timestamp", descending=True).head(_SAMPLE_ROWS - sampled))
            sampled += len(rows)
            seen.look_at(rows)
    return Fields(seen.by_name(), sampled, partial=budget.cut, scanned=scanned)


def _all_columns(layout: Layout) -> list[pl.Expr | str]:
    plain = ["timestamp", "severity_number", *(name for name in TOP_FIELDS if name not in {"level", "severity_number"})]
    return [*plain, *(PREFIX + path for path in layout.typed), *(["attributes"] if layout.has_raw else [])]


class _Seen:
    """Fields found in a sample."""

    def __init__(self) -> None:
        self._fields: dict[str, FieldSeen] = {}
        self._values: dict[str, Counter[str]] = {}

    def look_at(self, rows: pl.DataFrame) -> None:
        named = rows.with_columns(level=level_names())
        for name in named.columns:
            column = named.get_column(name).drop_nulls()
            if name not in {"attributes", "timestamp"} and len(column):
                counted = column.cast(pl.String).value_counts().sort("count", descending=True).head(_EXAMPLES)
                self._note(name, {_KIND_OF.get(type(column.dtype), "string")}, dict(counted.rows()), len(column))
        if "attributes" in named.columns:
            for text in named.get_column("attributes").drop_nulls():
                for path, found in flatten(text).items():
                    kinds, texts = {value.kind for value in found}, {value.text: 1 for value in found}
                    self._note(PREFIX + path, kinds, texts, 1)

    def _note(self, name: str, kinds: set[str], counted: dict[str, int], records: int) -> None:
        entry = self._fields.setdefault(name, FieldSeen(name, [], []))
        entry.records += records
        entry.types += sorted(kinds.difference(entry.types))
        values = self._values.setdefault(name, Counter())
        for text, n in counted.items():
            values[text if len(text) <= MAX_EXAMPLE_CHARS else text[: MAX_EXAMPLE_CHARS - 1] + "…"] += n

    def by_name(self) -> list[FieldSeen]:
        for name, counted in self._values.items():
            self._fields[name].examples = [value for value, _ in counted.most_common(_EXAMPLES)]
        return [self._fields[name] for name in sorted(self._fields)]
