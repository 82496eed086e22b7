"""Counts over records: how many in each interval, the most frequent values of a field, which fields there are."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from tocsin.kit.clock import from_us, to_us
from tocsin.kit.errors import FieldError, Invalid
from tocsin.logs.budget import Budget
from tocsin.logs.frames import level_names
from tocsin.logs.parts import Part, Parts, Scanned, Sought, collected
from tocsin.logs.search import again_if_vanished
from tocsin.logs.shapes import PREFIX
from tocsin.query.expressions import Layout
from tocsin.query.values import flatten

MAX_BUCKETS: Final = 2_000
AUTO_BUCKETS: Final = 60
MAX_GROUPS: Final = 50
MAX_DISTINCT: Final = 100_000  # values counted at one time; beyond it the rarest are let go
_BATCH: Final = 32
_NICE_S: Final = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
    172_800, 604_800, 1_209_600, 2_592_000, 7_776_000, 31_536_000,
)  # fmt: skip
BY: Final = ("level", "service")
TOP_FIELDS: Final = ("level", "service", "message", "trace_id", "span_id", "source", "severity_number", "backfill")
_SAMPLE_ROWS: Final = 5_000
_EXAMPLES: Final = 5


@dataclass(frozen=True, slots=True)
class Series:
    """Counts of one group, a number for each bucket. `of` says which: `{"level": "ERROR"}`; of all records: empty."""

    of: dict[str, str]
    counts: list[int]


@dataclass(slots=True)
class Histogram:
    """`buckets` are the starts of intervals of `interval_s`, without gaps; `groups` are the largest first."""

    interval_s: float
    since: datetime | None
    until: datetime | None
    buckets: list[datetime]
    totals: list[int]
    groups: list[Series]
    total: int
    partial: bool
    scanned: Scanned


@dataclass(slots=True)
class Top:
    """The most frequent values of a field, as text. `total` records matched, `missing` of them without the field.

    `approximate`: there were so many values that the rarest could not be kept count of.
    """

    field: str
    values: list[tuple[str, int]]
    total: int
    missing: int
    distinct: int
    approximate: bool
    partial: bool
    scanned: Scanned


@dataclass(slots=True)
class FieldSeen:
    """A field that records have: its name as a query has it, its types, and values it had among the newest records."""

    name: str
    types: list[str]
    examples: list[str]
    records: int = 0


@dataclass(slots=True)
class Fields:
    """Fields by name. `sampled` of the newest matching records were looked at for the examples."""

    fields: list[FieldSeen]
    sampled: int
    partial: bool = False
    scanned: Scanned = field(default_factory=Scanned)


def histogram(
    parts: Parts, sought: Sought, *, interval: timedelta | None, by: Sequence[str], budget: Budget, now: datetime
) -> Histogram:
    """How many records there are in each interval of event time, in all and by level, service or both.

    Without an `interval`, one is chosen that gives about 60 buckets. Intervals begin at whole multiples since 1970.
    Raises Invalid when there would be more than `MAX_BUCKETS`.
    """
    return again_if_vanished(lambda: _histogram(parts, sought, interval=interval, by=by, budget=budget, now=now))


def _histogram(
    parts: Parts, sought: Sought, *, interval: timedelta | None, by: Sequence[str], budget: Budget, now: datetime
) -> Histogram:
    scanned = Scanned()
    waiting = sorted(parts.for_(sought, scanned), key=lambda part: part.max_at, reverse=True)
    first = sought.since or min((part.min_at for part in waiting), default=now)
    last = sought.until or max((part.max_at + timedelta(microseconds=1) for part in waiting), default=now)
    width = _width_us(first, last, interval)
    names = [name for name in BY if name in by]

    def wanted(_layout: Layout) -> list[pl.Expr | str]:
        groups: list[pl.Expr | str] = ["severity_number" if name == "level" else name for name in names]
        return [(pl.col("timestamp").cast(pl.Int64) // width).alias("bucket"), *groups]

    counted: list[pl.DataFrame] = []
    partial = False
    for batch in _batches(waiting):
        if budget.over and counted:
            partial = True
            break
        for lazy in parts.scan(batch, sought, wanted, scanned, budget):
            keys = lazy.collect_schema().names()
            counted.append(collected(lazy.group_by(keys).agg(n=pl.len())))
    groups = _Counts(names, width, first, last)
    groups.add(counted)
    return Histogram(
        interval_s=width / 1_000_000,
        since=sought.since,
        until=sought.until,
        buckets=groups.buckets,
        totals=groups.totals,
        groups=groups.largest() if names else [],
        total=sum(groups.totals),
        partial=partial,
        scanned=scanned,
    )


def _width_us(first: datetime, last: datetime, interval: timedelta | None) -> int:
    span = max(to_us(last) - to_us(first), 1)
    if interval is None:
        return next((s for s in _NICE_S if span / (s * 1_000_000) <= AUTO_BUCKETS), _NICE_S[-1]) * 1_000_000
    width = interval // timedelta(microseconds=1)
    if span / width > MAX_BUCKETS:
        least = -(-span // (MAX_BUCKETS * 1_000_000))
        detail = (
            f"would make more than {MAX_BUCKETS} buckets; take {least}s or more, or a shorter time by since and until"
        )
        raise Invalid(f"interval {detail}", errors=(FieldError("interval", detail),))
    return width


class _Counts:
    """Numbers for each bucket between two instants, of all records and of each group."""

    def __init__(self, names: Sequence[str], width: int, first: datetime, last: datetime) -> None:
        low, high = to_us(first) // width, -(-to_us(last) // width)
        self._names = names
        self._low = low
        self.buckets = [from_us(bucket * width) for bucket in range(low, max(high, low))]
        self.totals = [0] * len(self.buckets)
        self._groups: dict[tuple[str, ...], list[int]] = {}

    def add(self, counted: Sequence[pl.DataFrame]) -> None:
        """Frames with `bucket`, the names, `n`."""
        if not counted:
            return
        frame = pl.concat(counted)
        if "severity_number" in frame.columns:
            frame = frame.with_columns(level=level_names())
        sums = frame.group_by("bucket", *self._names).agg(pl.col("n").sum().cast(pl.Int64))
        for bucket, *key, n in sums.rows():
            place = bucket - self._low
            self.totals[place] += n
            if self._names:
                self._groups.setdefault(tuple(key), [0] * len(self.buckets))[place] += n

    def largest(self) -> list[Series]:
        """The largest groups; all that is beyond `MAX_GROUPS` together, as `(other)`."""
        ranked = sorted(self._groups, key=lambda key: (-sum(self._groups[key]), key))
        found = [Series(dict(zip(self._names, key, strict=True)), self._groups[key]) for key in ranked[:MAX_GROUPS]]
        rest = [self._groups[key] for key in ranked[MAX_GROUPS:]]
        if rest:
            other = dict.fromkeys(self._names, "(other)")
            found.append(Series(other, [sum(column) for column in zip(*rest, strict=True)]))
        return found


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
    scanned = Scanned()
    waiting = sorted(parts.for_(sought, scanned), key=lambda part: part.max_at, reverse=True)
    counts = pl.DataFrame(schema={"value": pl.String, "n": pl.Int64})
    total = missing = 0
    partial = approximate = False
    for number, batch in enumerate(_batches(waiting)):
        if budget.over and number:
            partial = True
            break
        for lazy in parts.scan(batch, sought, lambda layout: [_values(name, layout)], scanned, budget):
            rows = collected(_one_each(lazy, name).group_by("value").agg(n=pl.len().cast(pl.Int64)))
            counts = pl.concat([counts, rows]).group_by("value").agg(pl.col("n").sum())
        if len(counts) > 2 * MAX_DISTINCT:
            dropped = counts.sort("n", descending=True).slice(MAX_DISTINCT)
            total += int(dropped.get_column("n").sum())
            counts, approximate = counts.sort("n", descending=True).head(MAX_DISTINCT), True
    total += int(counts.get_column("n").sum())
    missing = int(counts.filter(pl.col("value").is_null()).get_column("n").sum())
    present = counts.drop_nulls("value")
    ordered = present.sort(["n", "value"], descending=[True, False]).head(limit)
    return Top(
        field=name,
        values=[(value, n) for value, n in ordered.rows()],
        total=total,
        missing=missing,
        distinct=len(present),
        approximate=approximate,
        partial=partial,
        scanned=scanned,
    )


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


def fields(parts: Parts, sought: Sought, *, budget: Budget) -> Fields:
    """Which attributes records have, with their types, and values they had in the newest records."""
    return again_if_vanished(lambda: _fields(parts, sought, budget))


def _fields(parts: Parts, sought: Sought, budget: Budget) -> Fields:
    scanned = Scanned()
    waiting = sorted(parts.for_(sought, scanned), key=lambda part: part.max_at, reverse=True)
    seen = _Seen()
    sampled = 0
    partial = False
    for part in waiting:
        if sampled >= _SAMPLE_ROWS or budget.over:
            partial = budget.over
            break
        for lazy in parts.scan([part], sought, _all_columns, scanned, budget):
            rows = collected(lazy.sort("timestamp", descending=True).head(_SAMPLE_ROWS - sampled))
            sampled += len(rows)
            seen.look_at(rows)
    return Fields(seen.by_name(), sampled, partial, scanned)


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
                self._note(name, _KIND_OF.get(type(column.dtype), "string"), dict(counted.rows()), len(column))
        if "attributes" in named.columns:
            for text in named.get_column("attributes").drop_nulls():
                for path, found in flatten(text).items():
                    for value in found:
                        self._note(PREFIX + path, value.kind, {value.text: 1}, 1)

    def _note(self, name: str, kind: str, counted: dict[str, int], records: int) -> None:
        entry = self._fields.setdefault(name, FieldSeen(name, [], []))
        entry.records += records
        if kind not in entry.types:
            entry.types.append(kind)
        self._values.setdefault(name, Counter()).update(counted)

    def by_name(self) -> list[FieldSeen]:
        for name, counted in self._values.items():
            self._fields[name].examples = [value for value, _ in counted.most_common(_EXAMPLES)]
        return [self._fields[name] for name in sorted(self._fields)]


_KIND_OF: Final[dict[Any, str]] = {
    pl.Int64: "number",
    pl.UInt8: "number",
    pl.Float64: "number",
    pl.Boolean: "boolean",
    pl.String: "string",
}


def _batches(parts: Sequence[Part]) -> Iterator[list[Part]]:
    for start in range(0, len(parts), _BATCH):
        yield list(parts[start : start + _BATCH])
