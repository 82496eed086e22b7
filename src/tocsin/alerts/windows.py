"""How many records a group has within its window, and when that is enough: pure, the same live and looking back.

A window is its last 12 buckets of a twelfth of its length, in event time; the newest record of a group says which those
are. A record can't have happened after it arrived: one whose clock is ahead counts as of its arrival, or it would push
all the others out. A record is late when its bucket isn't the newest one. It is added to its bucket if that is still
among the twelve, so it may complete a window; but what an episode has told of is not told again: when an episode has
ended, the window begins anew with the newest bucket, and late records from before it count no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from tocsin.alerts.rules import BUCKETS

NO_COUNTS: Final = (0,) * BUCKETS


@dataclass(frozen=True, slots=True)
class Window:
    """The buckets of a group, oldest first; `head` is the number of the newest (its time over `width_us`).

    Buckets before `floor` are told already. `fired`: an episode began and the window has not begun anew since.
    """

    width_us: int
    head: int | None = None
    floor: int | None = None
    counts: tuple[int, ...] = NO_COUNTS
    fired: bool = False

    @property
    def sum(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Weighed:
    """A window after some records: how many of those stayed `pending` before it fired, and of these and of the others
    how many were late. `full`: it held enough at some moment."""

    window: Window
    pending: int
    late_pending: int
    late_counted: int
    full: bool


def width_us_of(window_s: int) -> int:
    """The length of a bucket."""
    return window_s * 1_000_000 // BUCKETS


def weigh(window: Window, times_us: Sequence[int], *, threshold: int, observed_us: int, firing: bool) -> Weighed:
    """Add records in order of arrival, all of which arrived at `observed_us`. `firing`: an episode is going on now."""
    if window.fired and not firing:
        window = replace(window, floor=window.head, counts=NO_COUNTS, fired=False)
    pending = late_pending = late_counted = 0
    head, counts, fired, full = window.head, list(window.counts), firing, False
    total = sum(counts)
    for at_us in times_us:
        bucket = min(at_us, observed_us) // window.width_us
        head = bucket if head is None else head
        late = bucket < head
        if bucket > head:
            gone = min(bucket - head, BUCKETS)
            counts = counts[gone:] + [0] * gone
            total, head = sum(counts), bucket
        if bucket > head - BUCKETS and (window.floor is None or bucket >= window.floor):
            counts[bucket - head - 1] += 1
            total += 1
            full = full or total >= threshold
            fired = fired or full
        if fired:
            late_counted += late
        else:
            pending += 1
            late_pending += late
    after = replace(window, head=head, counts=tuple(counts), fired=fired)
    return Weighed(after, pending, late_pending, late_counted, full=full)
