"""What a group has within its window, when that is enough, and for how long: pure, the same live and looking back.

A window is its last 12 buckets of a twelfth of its length, in event time; the newest record of a group says which those
are. A record can't have happened after it arrived: one whose clock is ahead counts as of its arrival, or it would push
all the others out. A record is late when its bucket isn't the newest one. It is added to its bucket if that is still
among the twelve, so it may complete a window; but what an episode has told of is not told again: when an episode has
ended, the window begins anew with the newest bucket, and late records from before it count no more.

Enough *for* a while means: after each record since then, in event time, the window held enough. Records without a
window go on for a while as a run: no two of them that follow each other lie further apart than half of that while.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from tocsin.alerts.rules import BUCKETS

NONE: Final = (0,) * BUCKETS
MILLION: Final = 1_000_000
PAUSES: Final = 2  # a run has no pause of more than half of what it must last


@dataclass(frozen=True, slots=True)
class Enough:
    """When a window fires: at `threshold` hits, or without one at a share of `ratio_ppm` millionths of all records,
    once those are `minimum`."""

    threshold: int = 0
    ratio_ppm: int = 0
    minimum: int = 0

    def holds(self, hits: int, total: int) -> bool:
        if self.threshold:
            return hits >= self.threshold
        return total >= self.minimum and hits * MILLION >= self.ratio_ppm * total


@dataclass(frozen=True, slots=True)
class Window:
    """The buckets of a group, oldest first: `counts` of hits, `totals` of all records. `head` is the number of the
    newest (its time over `width_us`).

    Buckets before `floor` are told already. `fired`: an episode began and the window has not begun anew since.
    `since_us`: from when on it has held enough without a break; `latest_us` is the time of its newest record. A run is
    kept in buckets of a microsecond, of which only `head` and `floor` are used, and `since_us`: when it began.
    """

    width_us: int
    head: int | None = None
    floor: int | None = None
    counts: tuple[int, ...] = NONE
    totals: tuple[int, ...] = NONE
    fired: bool = False
    since_us: int | None = None
    latest_us: int | None = None

    @property
    def sum(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Weighed:
    """A window after some records: how many hits stayed `pending` before it fired, and of these and of the others how
    many were late. `full`: it held enough at some hit. `late`: the places of late ones among the hits."""

    window: Window
    pending: int
    late_pending: int
    late_counted: int
    full: bool
    late: tuple[int, ...] = ()


def reach(at_us: int, window_s: int) -> int:
    """From when on records are in a window whose newest one happened then."""
    width_us = width_us_of(window_s)
    return (at_us // width_us - BUCKETS + 1) * width_us


def width_us_of(window_s: int) -> int:
    """The length of a bucket."""
    return window_s * MILLION // BUCKETS


def weigh(
    window: Window,
    records: Iterable[tuple[int, bool]],
    enough: Enough,
    *,
    observed_us: int,
    firing: bool,
    for_us: int = 0,
) -> Weighed:
    """Add records (time, and whether it is a hit) in order of arrival, all of which arrived at `observed_us`.

    `firing`: an episode is going on now. Only a hit makes a window fire, once it has held enough for `for_us`.
    """
    if window.fired and not firing:
        window = replace(window, floor=window.head, counts=NONE, totals=NONE, fired=False, since_us=None)
    pending = late_pending = late_counted = 0
    head, fired, full = window.head, firing, False
    since_us, latest_us = window.since_us, window.latest_us or 0
    hits_seen = 0
    late_places: list[int] = []
    counts, totals = list(window.counts), list(window.totals)
    hits, total = sum(counts), sum(totals)
    for at_us, is_hit in records:
        at_us = min(at_us, observed_us)  # noqa: PLW2901
        bucket = at_us // window.width_us
        head = bucket if head is None else head
        late = bucket < head
        if bucket > head:
            gone = min(bucket - head, BUCKETS)
            counts, totals = counts[gone:] + [0] * gone, totals[gone:] + [0] * gone
            hits, total, head = sum(counts), sum(totals), bucket
        if bucket > head - BUCKETS and (window.floor is None or bucket >= window.floor):
            place = bucket - head - 1
            totals[place] += 1
            total += 1
            if is_hit:
                counts[place] += 1
                hits += 1
            latest_us = max(latest_us, at_us)
            if is_hit or for_us:
                holds = enough.holds(hits, total)
                since_us = _since(since_us, latest_us, holds=holds)
                full = full or (is_hit and holds)
                fired = fired or (is_hit and since_us is not None and latest_us - since_us >= for_us)
        if is_hit:
            if late:
                late_places.append(hits_seen)
            hits_seen += 1
        if is_hit and fired:
            late_counted += late
        elif is_hit:
            pending += 1
            late_pending += late
    after = replace(
        window,
        head=head,
        counts=tuple(counts),
        totals=tuple(totals),
        fired=fired,
        since_us=since_us,
        latest_us=latest_us or None,
    )
    return Weighed(after, pending, late_pending, late_counted, full, tuple(late_places))


def _since(before: int | None, at_us: int, *, holds: bool) -> int | None:
    """From when on a window has held enough, after a record."""
    if not holds:
        return None
    return at_us if before is None else before


def go_on(window: Window, times_us: Iterable[int], *, for_us: int, observed_us: int, firing: bool) -> Weighed:
    """Add records to a run, in order of arrival, all of which arrived at `observed_us`.

    It fires with the first record that lies `for_us` or more behind its beginning. A record from before the beginning,
    or from an episode that is told already, is late: it changes nothing.
    """
    if window.fired and not firing:
        window = replace(window, floor=window.head, fired=False, since_us=None)
    pending = late_pending = late_counted = 0
    head, since_us, fired, full = window.head, window.since_us, firing, False
    late_places: list[int] = []
    for place, at_us in enumerate(min(time, observed_us) for time in times_us):
        told = window.floor is not None and at_us <= window.floor
        late = told or (since_us is not None and at_us < since_us)
        if late:
            late_places.append(place)
        else:
            if since_us is None or head is None or at_us - head > for_us // PAUSES:
                since_us = at_us
            head = at_us if head is None else max(head, at_us)
            full = full or head - since_us >= for_us
            fired = fired or full
        if fired:
            late_counted += late
        else:
            pending += 1
            late_pending += late
    after = replace(window, head=head, fired=fired, since_us=since_us)
    return Weighed(after, pending, late_pending, late_counted, full, tuple(late_places))
