"""Business time: weekly hours in a time zone, less holidays, with days of one's own. Exact in UTC.

An instant is working time if the clock on the wall of the time zone then shows a time within a span. Where clocks are
put back, both passes through an hour count; an hour that is skipped has no instants. A span belongs to the day it
begins on, also past midnight: a holiday takes the shift that begins on it and leaves the one that ends on it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from tocsin.kit.clock import EPOCH, MICROSECOND, from_us, to_us
from tocsin.kit.public_holidays import public_holidays

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES: Final = 1440
MOST_YEARS: Final = 200  # no further is a deadline looked for
_LAST_YEAR: Final = 9990
_MINUTE: Final = 60_000_000
_DAY: Final = DAY_MINUTES * _MINUTE
_FIRST_DAY: Final = EPOCH.date().toordinal()
_WEEKDAY_OF_FIRST: Final = EPOCH.weekday()
_TARGET_YEAR: Final = timedelta(days=365)

Span = tuple[int, int]
"""From and until, in minutes since midnight; until is beyond 1440 where it ends on the next day."""
Pause = tuple[datetime, datetime | None]
"""From and until; None: it goes on."""


class NoWorkingTime(ValueError):
    """A calendar has too little working time: what is looked for is not within 200 years."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """When somebody works. `hours` are the spans of each weekday, Monday first; `days` replace weekday and holiday on
    that date, without spans as a day off. `country` and `subdivision` say whose public holidays are days off."""

    time_zone: str
    hours: tuple[tuple[Span, ...], ...]
    country: str | None = None
    subdivision: str | None = None
    days: tuple[tuple[date, tuple[Span, ...]], ...] = ()

    @property
    def always(self) -> bool:
        """Whether every instant is working time."""
        return self.country is None and not self.days and all(spans == (WHOLE_DAY,) for spans in self.hours)


WHOLE_DAY: Final[Span] = (0, DAY_MINUTES)
ALWAYS: Final = Calendar("UTC", ((WHOLE_DAY,),) * 7)


def elapsed(start: datetime, end: datetime, calendar: Calendar = ALWAYS, pauses: Iterable[Pause] = ()) -> timedelta:
    """The working time between two instants that no pause covers; none if they stand the other way round."""
    work = working(calendar)
    a, b = to_us(start), to_us(end)
    counted = sum(work.between(low, min(high, b)) for low, high in _running(a, pauses) if low < b)
    return counted * MICROSECOND


def due_at(
    start: datetime, target: timedelta, calendar: Calendar = ALWAYS, pauses: Iterable[Pause] = ()
) -> datetime | None:
    """The first instant by which `target` of working time has passed that no pause covers.

    None when a pause without an end comes before. Without a target, the first instant of working time. Raises
    NoWorkingTime.
    """
    work = working(calendar)
    left = target // MICROSECOND
    for low, high in _running(to_us(start), pauses):
        if high < _FOREVER:
            there = work.between(low, high)
            if there < left or (not left and not there):
                left -= there
                continue
        return from_us(work.after(low, left))
    return None


def due_before(end: datetime, target: timedelta, calendar: Calendar = ALWAYS) -> datetime:
    """The last instant from which `target` of working time passes until `end`. Raises NoWorkingTime."""
    return from_us(working(calendar).before(to_us(end), target // MICROSECOND))


def is_open(at: datetime, calendar: Calendar) -> bool:
    """Whether an instant is working time."""
    return next((low <= to_us(at) for low, _ in working(calendar).spans(to_us(at))), False)


def open_spans(start: datetime, calendar: Calendar) -> Iterator[tuple[datetime, datetime]]:
    """The stretches of working time from an instant on; the first begins with it if it lies within one.

    What never closes is cut after a year.
    """
    for low, high in working(calendar).spans(to_us(start)):
        yield from_us(low), from_us(high)


def empty_year(calendar: Calendar, now: datetime, years: int) -> tuple[datetime, datetime] | None:
    """The first of the next years, counted from now, in which there is no working time."""
    starts = [now + number * _TARGET_YEAR for number in range(years + 1)]
    work = working(calendar)
    return next((year for year in pairwise(starts) if not work.between(to_us(year[0]), to_us(year[1]))), None)


_FOREVER: Final = 1 << 62


def _running(start: int, pauses: Iterable[Pause]) -> Iterator[tuple[int, int]]:
    """What the pauses leave of all time from `start` on."""
    for begun, ended in sorted((to_us(a), _FOREVER if b is None else to_us(b)) for a, b in pauses):
        if ended <= max(begun, start):
            continue
        if begun > start:
            yield start, begun
        start = ended
    if start < _FOREVER:
        yield start, _FOREVER


@lru_cache(maxsize=64)
def working(calendar: Calendar) -> "Working":
    """The working time of a calendar; what was worked out of it is kept."""
    return Always() if calendar.always else Working(calendar)


@dataclass(frozen=True, slots=True)
class _Year:
    """The stretches of working time in a UTC year, in microseconds, with how much there was by the end of each."""

    starts: Sequence[int]
    ends: Sequence[int]
    sums: Sequence[int]

    @property
    def total(self) -> int:
        return self.sums[-1] if self.sums else 0

    def until(self, at: int) -> int:
        """How much there is from the start of the year."""
        place = bisect_right(self.starts, at) - 1
        if place < 0:
            return 0
        return self.sums[place] - max(self.ends[place] - at, 0)


class Working:
    """Questions about a calendar's working time, in microseconds since 1970."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._zone = ZoneInfo(calendar.time_zone)
        self._own = {day.toordinal() - _FIRST_DAY: spans for day, spans in calendar.days}
        self._years: dict[int, _Year] = {}

    def between(self, start: int, end: int) -> int:
        """How much working time there is."""
        if end <= start:
            return 0
        first, last = _year_of(start), _year_of(end)
        whole = sum(self._year(number).total for number in range(first, last))
        return whole + self._year(last).until(end) - self._year(first).until(start)

    def after(self, start: int, amount: int) -> int:
        """The first instant by which so much has passed. Raises NoWorkingTime."""
        first = _year_of(start)
        wanted = amount + self._year(first).until(start)
        for number in range(first, min(first + MOST_YEARS, _LAST_YEAR)):
            year = self._year(number)
            place = bisect_left(year.sums, wanted) if amount else bisect_right(year.ends, start)
            if place < len(year.sums):
                if not amount:
                    return max(start, year.starts[place])
                return year.ends[place] - (year.sums[place] - wanted)
            wanted -= year.total
        raise NoWorkingTime(f"there is too little working time after {first}: a deadline would not come")

    def before(self, end: int, amount: int) -> int:
        """The last instant from which so much passes until `end`. Raises NoWorkingTime."""
        last = _year_of(end)
        wanted = self._year(last).until(end) - amount
        for number in range(last, max(last - MOST_YEARS, 1), -1):
            year = self._year(number)
            if amount and wanted >= 0 and year.sums:
                place = bisect_right(year.sums, wanted)
                return year.ends[place] - (year.sums[place] - wanted)
            place = bisect_left(year.starts, end) - 1
            if not amount and place >= 0:
                return min(end, year.ends[place])
            wanted += self._year(number - 1).total
        raise NoWorkingTime(f"there was too little working time before {last}")

    def spans(self, start: int) -> Iterator[tuple[int, int]]:
        """The stretches from `start` on."""
        first = _year_of(start)
        waiting: tuple[int, int] | None = None
        for number in range(first, min(first + MOST_YEARS, _LAST_YEAR)):
            year = self._year(number)
            for low, high in zip(year.starts, year.ends, strict=True):
                if high <= start:
                    continue
                if waiting is not None and waiting[1] == low and high - waiting[0] < 366 * _DAY:
                    waiting = waiting[0], high
                    continue
                if waiting is not None:
                    yield waiting
                waiting = max(low, start), high
        if waiting is not None:
            yield waiting

    def _year(self, number: int) -> _Year:
        found = self._years.get(number)
        if found is None:
            found = self._years[number] = self._worked_out(number)
        return found

    def _worked_out(self, number: int) -> _Year:
        starts: list[int] = []
        ends: list[int] = []
        for low, high, offset in self._offsets(_start_of(number), _start_of(number + 1)):
            for a, b in self._on_the_wall(low + offset, high + offset):
                begin, end = max(a, low + offset) - offset, min(b, high + offset) - offset
                if begin >= end:
                    continue
                if ends and begin <= ends[-1]:
                    ends[-1] = max(ends[-1], end)
                else:
                    starts.append(begin)
                    ends.append(end)
        sums, total = [], 0
        for a, b in zip(starts, ends, strict=True):
            total += b - a
            sums.append(total)
        return _Year(starts, ends, sums)

    def _offsets(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """The stretches of a constant UTC offset. In the time zone database none is shorter than three days."""
        begun, offset = start, self._offset(start)
        for day in range(start + _DAY, end + _DAY, _DAY):
            at = min(day, end - 1)
            if self._offset(at) != offset:
                change = self._change(at - _DAY, at)
                yield begun, change, offset
                begun, offset = change, self._offset(at)
        yield begun, end, offset

    def _change(self, low: int, high: int) -> int:
        """The second in which the offset changes."""
        before = self._offset(low)
        low, high = low // 1_000_000, -(-high // 1_000_000)
        while high - low > 1:
            middle = (low + high) // 2
            if self._offset(middle * 1_000_000) == before:
                low = middle
            else:
                high = middle
        return high * 1_000_000

    def _offset(self, at: int) -> int:
        found = from_us(at).astimezone(self._zone).utcoffset()
        return 0 if found is None else found // MICROSECOND

    def _on_the_wall(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The spans of the days from one wall time to another, those that overlap as one, in order."""
        waiting: tuple[int, int] | None = None
        for day in range(start // _DAY - 1, end // _DAY + 1):
            midnight = day * _DAY
            for low, high in self._spans_of(day):
                a, b = midnight + low * _MINUTE, midnight + high * _MINUTE
                if waiting is not None and a <= waiting[1]:
                    waiting = min(a, waiting[0]), max(b, waiting[1])
                    continue
                if waiting is not None:
                    yield waiting
                waiting = a, b
        if waiting is not None:
            yield waiting

    def _spans_of(self, day: int) -> tuple[Span, ...]:
        """The spans that begin on a day (days since 1970)."""
        own = self._own.get(day)
        if own is not None:
            return own
        calendar = self._calendar
        if calendar.country is not None:
            on = date.fromordinal(day + _FIRST_DAY)
            if on in public_holidays(calendar.country, calendar.subdivision, on.year):
                return ()
        return calendar.hours[(day + _WEEKDAY_OF_FIRST) % 7]


class Always(Working):
    """Every instant is working time."""

    def __init__(self) -> None:
        super().__init__(ALWAYS)

    def between(self, start: int, end: int) -> int:
        return max(end - start, 0)

    def after(self, start: int, amount: int) -> int:
        return start + amount

    def before(self, end: int, amount: int) -> int:
        return end - amount

    def spans(self, start: int) -> Iterator[tuple[int, int]]:
        while True:
            yield start, start + 366 * _DAY
            start += 366 * _DAY


@lru_cache(maxsize=4096)
def _start_of(year: int) -> int:
    return to_us(datetime(year, 1, 1, tzinfo=UTC))


def _year_of(at: int) -> int:
    return from_us(at).year
