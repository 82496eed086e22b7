"""What a group has within its window, and when that is enough: pure, the same live and looking back.

A window is its last 12 buckets of a twelfth of its length, in event time; the newest record of a group says which those
are. A record can't have happened after it arrived: one whose clock is ahead counts as of its arrival, or it would push
all the others out. A record is late when its bucket isn't the newest one. It is added to its bucket if that is still
among the twelve, so it may complete a window; but what an episode has told of is not told again: when an episode has
ended, the window begins anew with the newest bucket, and late records from before it count no more.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from tocsin.alerts.rules import BUCKETS

NONE: Final = (0,) * BUCKETS
MILLION: Final = 1_000_000


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
    """

    width_us: int
    head: int | None = None
    floor: int | None = None
    counts: tuple[int, ...] = NONE
    totals: tuple[int, ...] = NONE
    fired: bool = False

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


def width_us_of(window_s: int) -> int:
    """The length of a bucket."""
    return window_s * MILLION // BUCKETS


def weigh(
    window: Window, records: Iterable[tuple[int, bool]], enough: Enough, *, observed_us: int, firing: bool
) -> Weighed:
    """Add records (time, and whether it is a hit) in order of arrival, all of which arrived at `observed_us`.

    `firing`: an episode is going on now. Only a hit makes a window fire.
    """
    if window.fired and not firing:
        window = replace(window, floor=window.head, counts=NONE, totals=NONE, fired=False)
    pending = late_pending = late_counted = 0
    head, fired, full = window.head, firing, False
    hits_seen = 0
    late_places: list[int] = []
    counts, totals = list(window.counts), list(window.totals)
    hits, total = sum(counts), sum(totals)
    for at_us, is_hit in records:
        bucket = min(at_us, observed_us) // window.width_us
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
                full = full or enough.holds(hits, total)
                fired = fired or full
        if is_hit:
            if late:
                late_places.append(hits_seen)
            hits_seen += 1
        if is_hit and fired:
            late_counted += late
        elif is_hit:
            pending += 1
            late_pending += late
    after = replace(window, head=head, counts=tuple(counts), totals=tuple(totals), fired=fired)
    return Weighed(after, pending, late_pending, late_counted, full, tuple(late_places))
