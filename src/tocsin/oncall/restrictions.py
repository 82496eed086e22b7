"""When something holds: times of day, weekdays, days of the month, months, years, in a time zone. Exact in UTC.

A span of times belongs to the day it begins on, also past midnight: weekdays, days of the month, months and years are
those of that day. It begins at the first instant at which the clock shows its beginning and ends at the first at which
it shows its end: two spans of which one begins where the other ends leave nothing between them and share nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final

from tocsin.kit.wallclock import first_at, local_of
from tocsin.oncall.rotations import days_of_month

_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)
DAY_MINUTES: Final = 1440
_WHOLE_DAY: Final = ((0, DAY_MINUTES),)

Range = tuple[int, int]
"""From and to, both included."""
Stretch = tuple[datetime, datetime]
"""From and until, in UTC; `until` is not in it."""


@dataclass(frozen=True, slots=True)
class Restriction:
    """All that is said must hold; what is not said (empty) holds always.

    `times`: minutes since midnight, `until` beyond 1440 where it ends on the next day. `weekdays`: 0 is Monday.
    `days_of_month`: 1 to 31, or -1 (the last) to -31; a range from a negative to a positive one is meant as it reads.
    """

    times: tuple[tuple[int, int], ...] = ()
    weekdays: frozenset[int] = frozenset()
    days_of_month: tuple[Range, ...] = ()
    months: tuple[Range, ...] = ()
    years: tuple[Range, ...] = ()
    time_zone: str | None = None


def stretches(
    restrictions: Sequence[Restriction], zone: str, since: datetime, until: datetime
) -> list[tuple[datetime, datetime]]:
    """When any of them holds within [since, until), as stretches that neither touch nor overlap; all without any."""
    if not restrictions:
        return [(since, until)]
    found = [stretch for one in restrictions for stretch in _of_one(one, one.time_zone or zone, since, until)]
    return clipped(merged(found), since, until)


def holds(restrictions: Sequence[Restriction], zone: str, at: datetime) -> bool:
    """Whether any of them holds at an instant."""
    return bool(stretches(restrictions, zone, at, at + timedelta(microseconds=1)))


def merged(found: Iterable[Stretch]) -> list[Stretch]:
    """Stretches in order; those that touch or overlap are one."""
    out: list[Stretch] = []
    for start, end in sorted(found):
        if end <= start:
            continue
        if out and start <= out[-1][1]:
            out[-1] = out[-1][0], max(out[-1][1], end)
        else:
            out.append((start, end))
    return out


def clipped(found: Iterable[Stretch], since: datetime, until: datetime) -> list[Stretch]:
    """What of them lies within [since, until)."""
    cut = ((max(start, since), min(end, until)) for start, end in found)
    return [(start, end) for start, end in cut if start < end]


def without(found: Iterable[Stretch], taken: Iterable[Stretch]) -> list[Stretch]:
    """What others leave of stretches; both in order and apart, as `merged` makes them."""
    out: list[Stretch] = []
    rest = list(taken)
    for start, end in found:
        for low, high in rest:
            if high <= start or low >= end:
                continue
            if low > start:
                out.append((start, low))
            start = high  # noqa: PLW2901
            if start >= end:
                break
        if start < end:
            out.append((start, end))
    return out


def _of_one(one: Restriction, zone: str, since: datetime, until: datetime) -> Iterator[Stretch]:
    day = datetime.combine(local_of(since, zone).date(), time()) - 2 * _DAY
    last = local_of(until, zone) + _DAY
    while day <= last:
        if _is_day(one, day):
            for begin, end in one.times or _WHOLE_DAY:
                yield first_at(day + begin * _MINUTE, zone), first_at(day + end * _MINUTE, zone)
        day += _DAY


def _is_day(one: Restriction, day: datetime) -> bool:
    if one.weekdays and day.weekday() not in one.weekdays:
        return False
    if one.months and not _within(one.months, day.month):
        return False
    if one.years and not _within(one.years, day.year):
        return False
    return not one.days_of_month or any(_is_day_of_month(pair, day) for pair in one.days_of_month)


def _within(ranges: tuple[Range, ...], value: int) -> bool:
    return any(low <= value <= high for low, high in ranges)


def _is_day_of_month(pair: Range, day: datetime) -> bool:
    """Negative days count from the month's end; what lies beyond the month is its first or last day."""
    length = days_of_month(day.year, day.month)
    low, high = (value if value > 0 else length + 1 + value for value in pair)
    return max(low, 1) <= day.day <= min(high, length)
