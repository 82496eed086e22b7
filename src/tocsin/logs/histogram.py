"""How many records there are in each interval of event time, in all and by level, service or both."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from tocsin.kit.clock import MICROSECOND, from_us, to_us
from tocsin.kit.errors import FieldError, Invalid
from tocsin.logs.budget import Budget
from tocsin.logs.counting import Count
from tocsin.logs.frames import level_names
from tocsin.logs.parts import Part, Parts, Scanned, Sought
from tocsin.logs.search import again_if_vanished
from tocsin.query.expressions import Layout

MAX_BUCKETS: Final = 2_000
AUTO_BUCKETS: Final = 60
MAX_GROUPS: Final = 50
MAX_CELLS: Final = 300_000  # counts of one group in one bucket that are held at one time
BY: Final = ("level", "service")
OTHER: Final = "(other)"
_SECOND_US: Final = 1_000_000
_YEAR_S: Final = 31_536_000
_NICE_S: Final = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
    172_800, 604_800, 1_209_600, 2_592_000, 7_776_000, _YEAR_S,
)  # fmt: skip
_UNITS_S: Final = (("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400))
_EARLIEST_US: Final = to_us(datetime.min.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Series:
    """Counts of one group, a number for each bucket. `of` says which: `{"level": "ERROR"}`."""

    of: dict[str, str]
    counts: list[int]


@dataclass(slots=True)
class Histogram:
    """`buckets` are the starts of intervals of `interval_s`, without gaps; `groups` are the largest first.

    `approximate`: there were so many groups that small ones were let go on the way. Then a group has at least its
    counts, and what is missing there is among the others; `totals` are exact.
    """

    interval_s: float
    since: datetime | None
    until: datetime | None
    buckets: list[datetime]
    totals: list[int]
    groups: list[Series]
    total: int
    approximate: bool
    partial: bool
    scanned: Scanned


def histogram(
    parts: Parts, sought: Sought, *, interval: timedelta | None, by: Sequence[str], budget: Budget, now: datetime
) -> Histogram:
    """How many records there are in each interval of event time, in all and by level, service or both.

    Without an `interval`, one is chosen that gives about 60 buckets. Intervals begin at whole multiples since 1970 in
    UTC, the first at the last such instant that is not after the first record, or `since`; only records in
    [since, until) are counted in it. Raises Invalid when there would be more than `MAX_BUCKETS`.
    """
    return again_if_vanished(lambda: _histogram(parts, sought, interval=interval, by=by, budget=budget, now=now))


def _histogram(
    parts: Parts, sought: Sought, *, interval: timedelta | None, by: Sequence[str], budget: Budget, now: datetime
) -> Histogram:
    count = Count(parts, sought, budget)
    span = _span(sought, count.waiting, now)
    width = _width_us(span, interval)
    buckets = buckets_of(span, width)
    names = [name for name in BY if name in by]
    counts = Counts(names, len(buckets))
    columns = ["bucket", *("severity_number" if name == "level" else name for name in names)]

    def wanted(_layout: Layout) -> list[pl.Expr | str]:
        return [(pl.col("timestamp").cast(pl.Int64) // width).alias("bucket"), *columns[1:]]

    for frame in count.frames(wanted, lambda lazy: lazy.group_by(columns).agg(n=pl.len())):
        counts.add(frame.with_columns(pl.col("bucket") - buckets.start, pl.col("n").cast(pl.Int64)))
    return Histogram(
        interval_s=width / _SECOND_US,
        since=sought.since,
        until=sought.until,
        buckets=[from_us(max(bucket * width, _EARLIEST_US)) for bucket in buckets],
        totals=counts.totals,
        groups=counts.largest(),
        total=sum(counts.totals),
        approximate=counts.approximate,
        partial=count.partial,
        scanned=count.scanned,
    )


def _span(sought: Sought, parts: Sequence[Part], now: datetime) -> tuple[int, int]:
    """The microseconds [first, end) that the buckets are to cover."""
    first = sought.since or min((part.min_at for part in parts), default=now)
    if sought.until is not None:
        return to_us(first), to_us(sought.until)
    return to_us(first), max((to_us(part.max_at) + 1 for part in parts), default=to_us(now))


def _width_us(span: tuple[int, int], interval: timedelta | None) -> int:
    length = max(span[1] - span[0], 1)
    if interval is None:
        years_s = -(-length // (AUTO_BUCKETS * _YEAR_S * _SECOND_US)) * _YEAR_S
        return next((s for s in _NICE_S if length <= AUTO_BUCKETS * s * _SECOND_US), years_s) * _SECOND_US
    width = interval // MICROSECOND
    if length > MAX_BUCKETS * width:
        detail = (
            f"would make more than {MAX_BUCKETS} buckets; take {_least_interval(length)} or more,"
            " or a shorter time by since and until"
        )
        raise Invalid(f"interval {detail}", errors=(FieldError("interval", detail),))
    return width


def _least_interval(length: int) -> str:
    """As an interval is written: a number of up to six digits and a unit."""
    needed = ((-(-length // (MAX_BUCKETS * seconds * _SECOND_US)), unit) for unit, seconds in _UNITS_S)
    return next(f"{number}{unit}" for number, unit in needed if number < 10**6)


def buckets_of(span: tuple[int, int], width: int) -> range:
    """The intervals that [first, end) touches, each as its number since 1970."""
    first, end = span
    return range(first // width, -(-end // width) if end > first else first // width)


class Counts:
    """Numbers for each bucket, of all records and of each group. Holds about `most` numbers of groups at one time."""

    def __init__(self, names: Sequence[str], buckets: int, *, most: int = MAX_CELLS) -> None:
        self._names = names
        self._most = most
        self._totals = np.zeros(buckets, np.int64)
        self._cells = pl.DataFrame(schema={"bucket": pl.Int64, **dict.fromkeys(names, pl.String), "n": pl.Int64})
        self._new: list[pl.DataFrame] = []
        self.approximate = False

    @property
    def totals(self) -> list[int]:
        found: list[int] = self._totals.tolist()
        return found

    def add(self, counted: pl.DataFrame) -> None:
        """A frame with `bucket` (its place), `severity_number` for a level, `service`, `n`; any number a cell."""
        np.add.at(self._totals, counted.get_column("bucket").to_numpy(), counted.get_column("n").to_numpy())
        if not self._names:
            return
        if "level" in self._names:
            counted = counted.with_columns(level=level_names())
        self._new.append(counted.select(self._cells.columns))
        if sum(map(len, self._new)) > self._most // 2:
            self._bring_together()

    def _bring_together(self) -> None:
        both = pl.concat([self._cells, *self._new])
        self._new.clear()
        self._cells = both.group_by("bucket", *self._names).agg(pl.col("n").sum())
        if len(self._cells) > self._most:
            self._let_go()

    def _let_go(self) -> None:
        """Keep the largest groups only, or a service for each of many machines would fill the memory."""
        ranked = self._ranked()
        kept = ranked.filter((pl.col("cells").cum_sum() <= self._most // 2) | (pl.col("rank") < MAX_GROUPS))
        self.approximate |= len(kept) < len(ranked)
        self._cells = self._cells.join(kept, on=self._names, how="semi")

    def _ranked(self) -> pl.DataFrame:
        """The groups, the largest first, with how many cells each has."""
        groups = self._cells.group_by(self._names).agg(pl.col("n").sum(), cells=pl.len().cast(pl.Int64))
        falling = [True, *(False for _ in self._names)]
        return groups.sort("n", *self._names, descending=falling).with_row_index("rank")

    def largest(self) -> list[Series]:
        """The largest groups; all that is beyond `MAX_GROUPS` together, as `(other)`."""
        if not self._names:
            return []
        self._bring_together()
        shown = self._ranked().head(MAX_GROUPS).select("rank", *self._names)
        counts = np.zeros((len(shown), len(self._totals)), np.int64)
        cells = self._cells.join(shown, on=self._names)
        counts[cells.get_column("rank").to_numpy(), cells.get_column("bucket").to_numpy()] = cells.get_column("n")
        keys = shown.select(self._names).rows(named=True)
        found = [Series(key, row.tolist()) for key, row in zip(keys, counts, strict=True)]
        others = self._totals - counts.sum(axis=0)
        if others.any():
            found.append(Series(dict.fromkeys(self._names, OTHER), others.tolist()))
        return found
