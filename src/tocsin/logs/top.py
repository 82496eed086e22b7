"""The most frequent values of a field."""

from dataclasses import dataclass
from typing import Final

import polars as pl

from tocsin.kit.errors import FieldError, Invalid
from tocsin.logs.counting import Count
from tocsin.logs.frames import level_names
from tocsin.logs.parts import Budget, Parts, Scanned, Sought
from tocsin.logs.search import again_if_vanished
from tocsin.logs.shapes import PREFIX
from tocsin.query.expressions import Layout
from tocsin.query.values import flatten

TOP_FIELDS: Final = ("level", "service", "message", "trace_id", "span_id", "source", "severity_number", "backfill")
MAX_DISTINCT: Final = 100_000  # values that stay counted when there are too many
MAX_TEXT_BYTES: Final = 16 << 20  # of the values that are counted at one time


@dataclass(slots=True)
class Top:
    """The most frequent values of a field, as text. `total` values were counted, one for each matching record unless
    the field is a list; `missing` of them stand for records without the field.

    `approximate`: there were so many values that the rarest were let go on the way. Then the values shown have at least
    their counts, and there are at least `distinct` values; `total` and `missing` are exact.
    """

    field: str
    values: list[tuple[str, int]]
    total: int
    missing: int
    distinct: int
    approximate: bool
    partial: bool
    scanned: Scanned


def top(parts: Parts, sought: Sought, *, field_name: str, limit: int, budget: Budget) -> Top:
    """The `limit` most frequent values of a field: one of `TOP_FIELDS`, or `attributes.PATH` (also `@PATH`).

    Raises Invalid for any other name.
    """
    name = PREFIX + field_name[1:] if field_name.startswith("@") else field_name
    if name not in TOP_FIELDS and not (name.startswith(PREFIX) and name != PREFIX):
        detail = f"is {field_name!r}; expected one of {', '.join(TOP_FIELDS)}, or attributes.NAME"
        raise Invalid(f"field {detail}", errors=(FieldError("field", detail),))
    return again_if_vanished(lambda: _top(parts, sought, name, limit, budget))


def _top(parts: Parts, sought: Sought, name: str, limit: int, budget: Budget) -> Top:
    count = Count(parts, sought, budget)
    values = ValueCounts()

    def counted(lazy: pl.LazyFrame) -> pl.LazyFrame:
        return _one_each(lazy, name).group_by("value").agg(n=pl.len().cast(pl.Int64))

    for frame in count.frames(lambda layout: [_values(name, layout)], counted):
        values.add(frame)
    return Top(
        field=name,
        values=values.most_frequent(limit),
        total=values.total,
        missing=values.missing,
        distinct=values.distinct,
        approximate=values.approximate,
        partial=count.partial,
        scanned=count.scanned,
    )


class ValueCounts:
    """How often there was each value. From 2 * `most` values on, or `most_bytes` of them, the rarest are let go."""

    def __init__(self, *, most: int = MAX_DISTINCT, most_bytes: int = MAX_TEXT_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._counts = pl.DataFrame(schema={"value": pl.String, "n": pl.Int64})
        self.total = 0
        self.missing = 0
        self.distinct = 0  # at least so many
        self.approximate = False

    def add(self, counted: pl.DataFrame) -> None:
        """A frame with `value`, null for records that have none, and `n`."""
        present = counted.drop_nulls("value")
        together = int(counted.get_column("n").sum())
        self.total += together
        self.missing += together - int(present.get_column("n").sum())
        both = pl.concat([self._counts, present.select("value", "n")])
        self._counts = both.group_by("value").agg(pl.col("n").sum())
        self.distinct = max(self.distinct, len(self._counts))
        size = int(self._counts.get_column("value").str.len_bytes().sum())
        if len(self._counts) > 2 * self._most or size > self._most_bytes:
            self._let_go()

    def _let_go(self) -> None:
        """Keep the most frequent values, or one that is different in each record would fill the memory."""
        ranked = self._counts.sort("n", descending=True).head(self._most)
        sizes = pl.col("value").str.len_bytes().cast(pl.Int64).cum_sum()
        kept = ranked.filter(sizes <= self._most_bytes // 2)
        self.approximate |= len(kept) < len(self._counts)
        self._counts = kept

    def most_frequent(self, limit: int) -> list[tuple[str, int]]:
        """The values that were there most often, with how often; of equally frequent ones the first in order."""
        n = pl.col("n")
        found = (
            self._counts.filter(n >= n.top_k(limit).min()).sort(["n", "value"], descending=[True, False]).head(limit)
        )
        return [(value, n) for value, n in found.rows()]


def _values(name: str, layout: Layout) -> pl.Expr:
    """A list of texts for attributes (a path may have several values in a record), else one text."""
    if name == "level":
        return level_names().alias("value")
    if not name.startswith(PREFIX):
        return pl.col(name).cast(pl.String).alias("value")
    path = name.removeprefix(PREFIX)
    typed = pl.col(name).cast(pl.String) if path in layout.typed else pl.lit(None, pl.String)
    if not layout.has_raw:
        return typed.alias("value")
    listed = pl.col("attributes").map_batches(lambda raw: _texts_at(raw, path), return_dtype=pl.List(pl.String))
    return pl.when(pl.col("attributes").is_null()).then(pl.concat_list(typed)).otherwise(listed).alias("value")


def _one_each(lazy: pl.LazyFrame, name: str) -> pl.LazyFrame:
    if name.startswith(PREFIX) and isinstance(lazy.collect_schema()["value"], pl.List):
        return lazy.explode("value", empty_as_null=True)
    return lazy


def _texts_at(raw: pl.Series, path: str) -> pl.Series:
    found = [None if text is None else [v.text for v in flatten(text).get(path, ())] for text in raw]
    return pl.Series(found, dtype=pl.List(pl.String))
