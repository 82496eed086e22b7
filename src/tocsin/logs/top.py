"""The most frequent values of a field."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from tocsin.kit.errors import FieldError, Invalid
from tocsin.logs.budget import Budget
from tocsin.logs.counting import Count
from tocsin.logs.frames import level_names
from tocsin.logs.parts import Parts, Scanned, Sought, collected
from tocsin.logs.search import MAX_PAGE_BYTES, again_if_vanished
from tocsin.logs.shapes import PREFIX
from tocsin.query.expressions import Layout
from tocsin.query.values import flatten

TOP_FIELDS: Final = ("level", "service", "message", "trace_id", "span_id", "source", "severity_number", "backfill")
MAX_DISTINCT: Final = 250_000  # values that stay counted when there are too many
_NAMING_S: Final = 1.0


@dataclass(slots=True)
class Top:
    """The most frequent values of a field, as text. `total` values were counted, one for each matching record unless
    the field is a list; `missing` of them stand for records without the field.

    Of equally frequent values those of newer records come first when not all can be shown. Fewer are shown when their
    texts would hold more than `MAX_PAGE_BYTES`. `approximate`: there were so many values that the rarest were let go on
    the way. Then those shown have at least their counts, and there are at least `distinct` values; `total` and
    `missing` are exact.
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

    def wanted(layout: Layout) -> list[pl.Expr | str]:
        return [_values(name, layout)]

    for frame in count.frames(wanted, lambda lazy: _hashed(lazy).group_by("hash").agg(n=pl.len().cast(pl.Int64))):
        values.add(frame, batch=len(count.batches) - 1)
    winners = values.most_frequent(limit)
    named = _named(winners, lambda batch: parts.scan(count.batches[batch], sought, wanted, Scanned(), budget), budget)
    shown = named.filter(pl.col("value").str.len_bytes().cast(pl.Int64).cum_sum() <= MAX_PAGE_BYTES)
    return Top(
        field=name,
        values=[(value, n) for value, n in shown.rows()],
        total=values.total,
        missing=values.missing,
        distinct=values.distinct,
        approximate=values.approximate,
        partial=count.partial or len(named) < len(winners),
        scanned=count.scanned,
    )


def _named(winners: pl.DataFrame, read: Callable[[int], Iterator[pl.LazyFrame]], budget: Budget) -> pl.DataFrame:
    """`value` and `n` of the most frequent values, whose texts are read again.

    A count that took all its time is worth a little more for these; one that nobody waits for is not.
    """
    enough = time.monotonic() + _NAMING_S
    texts = [pl.DataFrame(schema={"hash": pl.UInt64, "value": pl.String})]
    for some in winners.partition_by("batch", maintain_order=True):
        ours = pl.col("hash").is_in(some.get_column("hash").implode())
        found = (_hashed(lazy).filter(ours) for lazy in read(some.item(0, "batch")))
        texts += [collected(lazy.unique("hash").select("hash", "value")) for lazy in found]
        if budget.over and (budget.remaining_s or time.monotonic() > enough):
            break
    named = winners.join(pl.concat(texts).unique("hash"), on="hash").select("value", "n")
    return named.sort(["n", "value"], descending=[True, False])


class ValueCounts:
    """How often there was each value, of which only a hash is kept. From 2 * `most` on, the rarest are let go."""

    def __init__(self, *, most: int = MAX_DISTINCT) -> None:
        self._most = most
        self._counts = pl.DataFrame(schema={"hash": pl.UInt64, "n": pl.Int64, "batch": pl.Int32})
        self._new: list[pl.DataFrame] = []
        self._distinct = 0
        self.total = 0
        self.missing = 0
        self.approximate = False

    def add(self, counted: pl.DataFrame, *, batch: int) -> None:
        """A frame with `hash`, null for records that have no value, and `n`; `batch` says where it comes from."""
        present = counted.drop_nulls("hash").select("hash", "n", batch=pl.lit(batch, pl.Int32))
        together = int(counted.get_column("n").sum())
        self.total += together
        self.missing += together - int(present.get_column("n").sum())
        self._new.append(present)
        if sum(map(len, self._new)) > self._most // 2:
            self._bring_together()

    @property
    def distinct(self) -> int:
        """How many values there are; when `approximate`, at least so many."""
        self._bring_together()
        return self._distinct

    def most_frequent(self, limit: int) -> pl.DataFrame:
        """The values that were there most often: `hash`, `n`, and the first `batch` with it; of equals the earlier."""
        self._bring_together()
        n = pl.col("n")
        found = self._counts.filter(n >= n.top_k(limit).min())
        return found.sort(["n", "batch", "hash"], descending=[True, False, False]).head(limit)

    def _bring_together(self) -> None:
        both = pl.concat([self._counts, *self._new])
        self._new.clear()
        self._counts = both.group_by("hash").agg(pl.col("n").sum(), pl.col("batch").min())
        self._distinct = max(self._distinct, len(self._counts))
        if len(self._counts) > 2 * self._most:  # one that is different in each record would fill the memory
            # Of equals always the same ones stay, so that their counts are whole.
            self._counts = self._counts.sort(["n", "hash"], descending=[True, False]).head(self._most)
            self.approximate = True


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


def _hashed(lazy: pl.LazyFrame) -> pl.LazyFrame:
    """One row for each value, with its hash; null where there is none."""
    if isinstance(lazy.collect_schema()["value"], pl.List):
        lazy = lazy.explode("value", empty_as_null=True)
    value = pl.col("value")
    return lazy.with_columns(hash=pl.when(value.is_not_null()).then(value.hash()))


def _texts_at(raw: pl.Series, path: str) -> pl.Series:
    found = [None if text is None else [v.text for v in flatten(text).get(path, ())] for text in raw]
    return pl.Series(found, dtype=pl.List(pl.String))
