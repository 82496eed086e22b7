"""Pages of records: keys are looked for part by part until the page is certain, then its records are read."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

import polars as pl

from tocsin.kit.clock import from_us, to_us
from tocsin.logs.budget import Budget
from tocsin.logs.frames import SCHEMA, empty
from tocsin.logs.parts import Part, Parts, Scanned, Sought, collected, collected_all
from tocsin.logs.segmentfiles import Vanished
from tocsin.logs.shapes import whole
from tocsin.query.expressions import Layout

T = TypeVar("T")
MAX_BATCH: Final = 16
TRIES: Final = 5
MAX_ID: Final = 2**53
MAX_PAGE_BYTES: Final = 8 << 20  # of messages and attributes
_READ_BYTES: Final = 16 << 20
_READ_PARTS: Final = 8

Key = tuple[int, int]  # event time in microseconds, id
_KEYS: Final = {"id": SCHEMA["id"], "timestamp": SCHEMA["timestamp"]}


@dataclass(slots=True)
class Found:
    """Rows in order, at most as many as were asked for; `more` says whether others follow.

    `partial`: the budget was over before everything was looked at. Then all up to `frontier` (microseconds) is known:
    a next search goes on from there. Without a `frontier` nothing is: there was too much to look at in one place.
    """

    rows: pl.DataFrame
    more: bool = False
    partial: bool = False
    frontier: int | None = None
    scanned: Scanned = field(default_factory=Scanned)


def find(
    parts: Parts,
    sought: Sought,
    *,
    limit: int,
    budget: Budget,
    after: Key | None = None,
    newest_first: bool = True,
    max_bytes: int = MAX_PAGE_BYTES,
) -> Found:
    """The first `limit` records behind `after`, whole, newest first or oldest first by (event time, id).

    Fewer, but at least one, when their messages and attributes would hold more than `max_bytes`. Late and out-of-order
    records stand where their event time puts them.
    """

    def look() -> Found:
        walk = _Walk(parts, sought, limit=limit, budget=budget, after=after, newest_first=newest_first)
        return walk.run(max_bytes)

    return again_if_vanished(look)


def again_if_vanished(look: Callable[[], T]) -> T:
    """Compaction may replace what a search is about to read: then it begins again, with what is there now."""
    for _ in range(TRIES - 1):
        try:
            return look()
        except Vanished:
            time.sleep(0.01)
    return look()


class _Walk:
    """One look at the stock, part by part from the end where the page begins."""

    def __init__(
        self, parts: Parts, sought: Sought, *, limit: int, budget: Budget, after: Key | None, newest_first: bool
    ) -> None:
        self._parts = parts
        self._sought = _narrowed(sought, after, newest_first)
        self._after = after
        self._limit = limit
        self._budget = budget
        self._newest_first = newest_first
        self._keys = pl.DataFrame(schema=_KEYS)
        self._scanned = Scanned()
        self._looked_at: list[Part] = []

    def run(self, max_bytes: int) -> Found:
        waiting = self._in_order(self._parts.for_(self._sought, self._scanned))
        start = self._begin(waiting[0]) if waiting else 0
        size = 1
        while waiting and not self._certain(waiting[0]):
            begin = self._begin(waiting[0])
            if self._budget.over and (begin != start or self._budget.quite_over):
                return self._ended_early(start, begin, max_bytes)
            batch, waiting = waiting[:size], waiting[size:]
            self._look_into(batch)
            if self._budget.cut:
                return self._ended_early(start, begin, max_bytes)
            size = min(size * 2, MAX_BATCH)
        return self._found(max_bytes)

    def _ended_early(self, start: int, frontier: int, max_bytes: int) -> Found:
        """What is certain: all before the frontier, if that has moved at all."""
        if frontier == start:
            return Found(empty(), partial=True, scanned=self._scanned)
        return self._found(max_bytes, frontier=frontier)

    def _in_order(self, parts: Sequence[Part]) -> list[Part]:
        if self._newest_first:
            return sorted(parts, key=lambda part: part.max_at, reverse=True)
        return sorted(parts, key=lambda part: part.min_at)

    def _begin(self, part: Part) -> int:
        """Where a part's records begin in the order of the walk; a wide one may reach back behind `after`."""
        place = to_us(part.max_at if self._newest_first else part.min_at)
        if self._after is None:
            return place
        return min(place, self._after[0]) if self._newest_first else max(place, self._after[0])

    def _certain(self, following: Part) -> bool:
        """Whether nothing that follows can come onto the page any more."""
        if len(self._keys) <= self._limit:
            return False
        last = to_us(self._keys.item(self._limit, "timestamp"))
        begin = self._begin(following)
        return last > begin if self._newest_first else last < begin

    def _look_into(self, batch: Sequence[Part]) -> None:
        scans = self._parts.scan(batch, self._sought, _keys, self._scanned, self._budget)
        found = [self._keys, *(collected(self._ordered(self._behind(lazy)).head(self._limit + 1)) for lazy in scans)]
        self._looked_at += batch
        self._keys = self._ordered(pl.concat(found).lazy()).head(self._limit + 1).collect()

    def _behind(self, lazy: pl.LazyFrame) -> pl.LazyFrame:
        if self._after is None:
            return lazy
        at, record_id = pl.lit(from_us(self._after[0]), _KEYS["timestamp"]), self._after[1]
        same = pl.col("timestamp") == at
        if self._newest_first:
            return lazy.filter((pl.col("timestamp") < at) | (same & (pl.col("id") < record_id)))
        return lazy.filter((pl.col("timestamp") > at) | (same & (pl.col("id") > record_id)))

    def _ordered(self, lazy: pl.LazyFrame) -> pl.LazyFrame:
        return lazy.sort("timestamp", "id", descending=self._newest_first)

    def _found(self, max_bytes: int, frontier: int | None = None) -> Found:
        """The page. With a `frontier` the walk ended early: only what lies before it is certain."""
        if frontier is not None:
            at, edge = pl.col("timestamp"), from_us(frontier)
            self._keys = self._keys.filter(at > edge if self._newest_first else at < edge)
        rows = self._records(self._keys.head(self._limit), max_bytes)
        more = len(self._keys) > len(rows)
        return Found(rows, more, partial=frontier is not None, frontier=frontier, scanned=self._scanned)

    def _records(self, keys: pl.DataFrame, max_bytes: int) -> pl.DataFrame:
        """The whole rows of these keys, or of the first of them; a few at a time, as records may be large."""
        rows: list[pl.DataFrame] = [empty()]
        size = 0
        at_once = self._at_once()
        for start in range(0, len(keys), at_once):
            some = self._read(keys.slice(start, at_once))
            sizes = size + some.select(_size().cum_sum()).to_series()
            fitting = int((sizes <= max_bytes).sum())
            if fitting < len(some):
                rows.append(some.head(fitting if start or fitting else 1))
                break
            rows.append(some)
            size = int(sizes[-1])
        return pl.concat(rows)

    def _at_once(self) -> int:
        """How many rows are likely not to be too many to have in memory."""
        records = sum(part.records for part in self._looked_at)
        size = sum(part.raw_bytes for part in self._looked_at)
        return max(_READ_BYTES * records // max(4 * size, 1), 16)

    def _read(self, keys: pl.DataFrame) -> pl.DataFrame:
        """The whole rows of these keys. Several parts are read at a time, as one of them does not fill a machine."""
        lazies = [lazy for part in self._looked_at if (lazy := self._rows_in(part, keys)) is not None]
        rows = [empty()]
        for start in range(0, len(lazies), _READ_PARTS):
            found = collected_all(lazies[start : start + _READ_PARTS])
            rows += [whole(frame).select(list(SCHEMA)) for frame in found if len(frame)]
        read = self._ordered(pl.concat(rows).lazy()).collect()
        if len(read) != len(keys):
            raise Vanished
        return read

    def _rows_in(self, part: Part, keys: pl.DataFrame) -> pl.LazyFrame | None:
        """The rows of a part that have one of these keys; None when it can have none."""
        at = pl.col("timestamp")
        near = keys.filter(at.is_between(part.min_at, part.max_at))
        if near.is_empty():
            return None
        lazy = self._parts.whole(part)
        times = near.get_column("timestamp")
        inside = at.is_between(times.min(), times.max()) & pl.col("id").is_in(near.get_column("id").implode())
        return None if lazy is None else lazy.filter(inside)


def _size() -> pl.Expr:
    return pl.col("message").str.len_bytes().cast(pl.Int64) + pl.col("attributes").str.len_bytes().cast(pl.Int64)


def _keys(_layout: Layout) -> list[pl.Expr | str]:
    return list(_KEYS)


def _narrowed(sought: Sought, after: Key | None, newest_first: bool) -> Sought:
    if after is None:
        return sought
    if newest_first:
        newest = from_us(after[0] + 1)
        return replace(sought, until=min(sought.until or newest, newest))
    oldest = from_us(after[0])
    return replace(sought, since=max(sought.since or oldest, oldest))
