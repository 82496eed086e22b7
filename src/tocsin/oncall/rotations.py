"""Whose turn it is in a rotation: hand-offs by the clock on the wall or by hours that pass, exact in UTC.

A rotation has turns in both directions from its start; turn `n` is that of group `n` modulo their number. The start is
a wall time, and so are hand-offs: 09:00 stays 09:00 when clocks change. A hand-off at a time that is skipped happens at
the first instant after the gap; one at a time that comes twice happens at the first, once.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import groupby
from typing import Final, NamedTuple

from tocsin.kit.wallclock import first_at, local_of

_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)
EVERY_DAY: Final = frozenset(range(7))
_MARGIN: Final = timedelta(days=2)  # no zone's clock is further from UTC, or put further at once
_MONTHS: Final = 12


class Frequency(StrEnum):
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    CUSTOM = "custom"


class HandOff(NamedTuple):
    """A moment of every week: a weekday (0 is Monday) and a wall time."""

    weekday: int
    at: time


@dataclass(frozen=True, slots=True)
class Rotation:
    """`interval` units of `frequency` make a turn. Of a `custom` one, either `length_s` seconds that pass, or the
    stretch between two of the week's `handoffs`.

    `elapsed`: an hourly turn is so many hours that pass, instead of hours on the clock. `weekdays` is a day mask
    (0 is Monday; empty: none) of days that begin at the hand-off time: a daily turn counts masked days only; a weekly
    or monthly one is of calendar weeks (which begin on `week_start`) or calendar months from the first masked day on,
    and of its `interval` weeks or months the first, as FREQ, INTERVAL and BYDAY of RFC 5545 do; with `whole`, all.
    """

    frequency: Frequency
    start: datetime
    interval: int = 1
    elapsed: bool = False
    weekdays: frozenset[int] = frozenset()
    week_start: int = 0
    whole: bool = False
    length_s: int | None = None
    handoffs: tuple[HandOff, ...] = ()


class Turn(NamedTuple):
    """A turn's number, and a stretch of it in UTC: with a day mask a turn has several."""

    number: int
    start: datetime
    end: datetime


def turns(rotation: Rotation, zone: str, since: datetime, until: datetime) -> Iterator[Turn]:
    """The stretches that reach into [since, until), whole, in order; none is empty."""
    found = _masked(rotation, zone, since, until) if rotation.weekdays else _unmasked(rotation, zone, since, until)
    return (turn for turn in found if turn.start < turn.end and turn.start < until and turn.end > since)


def _unmasked(rotation: Rotation, zone: str, since: datetime, until: datetime) -> Iterator[Turn]:
    handoff, number = _handoffs(rotation, zone, since)
    start = handoff(number)
    while start < until:
        end = handoff(number + 1)
        yield Turn(number, start, end)
        number, start = number + 1, end


def _handoffs(rotation: Rotation, zone: str, since: datetime) -> tuple[Callable[[int], datetime], int]:
    """The instant of each hand-off by its number, and the number of the last one at or before `since`."""
    length = _passing(rotation)
    if length is not None:
        first = first_at(rotation.start, zone)
        return (lambda number: first + number * length), (since - first) // length
    wall = _wall_times(rotation)
    number = _number_near(rotation, local_of(since, zone))

    def handoff(number: int) -> datetime:
        return first_at(wall(number), zone)

    while handoff(number) > since:
        number -= 1
    while handoff(number + 1) <= since:
        number += 1
    return handoff, number


def _passing(rotation: Rotation) -> timedelta | None:
    """The length of turns that are told by time that passes, not by the clock."""
    if rotation.length_s is not None:
        return timedelta(seconds=rotation.length_s)
    if rotation.frequency is Frequency.HOURLY and rotation.elapsed:
        return timedelta(hours=rotation.interval)
    return None


def _step(rotation: Rotation) -> timedelta:
    """The length of a turn by the clock on the wall; of a month, about so much."""
    unit = {
        Frequency.HOURLY: timedelta(hours=1),
        Frequency.DAILY: _DAY,
        Frequency.WEEKLY: _WEEK,
        Frequency.MONTHLY: timedelta(days=31),
        Frequency.CUSTOM: _WEEK,
    }[rotation.frequency]
    return unit * rotation.interval


def _number_near(rotation: Rotation, local: datetime) -> int:
    if rotation.frequency is Frequency.MONTHLY:
        months = (local.year - rotation.start.year) * _MONTHS + local.month - rotation.start.month
        return months // rotation.interval
    near = (local - rotation.start) // _step(rotation)
    return near * len(rotation.handoffs) if rotation.handoffs else near


def _wall_times(rotation: Rotation) -> Callable[[int], datetime]:
    """The wall time of each hand-off by its number, never falling."""
    if rotation.frequency is Frequency.MONTHLY:
        return lambda number: month_later(rotation.start, number * rotation.interval)
    if rotation.handoffs:
        return _weekly_points(rotation)
    step = _step(rotation)
    return lambda number: rotation.start + number * step


def month_later(local: datetime, months: int) -> datetime:
    """So many months on, the same day and time; of a shorter month, its last day."""
    whole = local.year * _MONTHS + local.month - 1 + months
    year, month = divmod(whole, _MONTHS)
    last = days_of_month(year, month + 1)
    return local.replace(year=year, month=month + 1, day=min(local.day, last))


@lru_cache(maxsize=4096)
def days_of_month(year: int, month: int) -> int:
    """How many days a month has."""
    after = datetime(year + month // _MONTHS, month % _MONTHS + 1, 1)  # noqa: DTZ001  # a wall time
    return (after - _DAY).day


def _weekly_points(rotation: Rotation) -> Callable[[int], datetime]:
    """Hand-off 0 is the first of the week's points at or after the start."""
    monday = datetime.combine(rotation.start.date() - rotation.start.weekday() * _DAY, time())
    points = sorted((point.weekday * _DAY, point.at) for point in rotation.handoffs)
    offsets = [day + (datetime.combine(monday, at) - monday) for day, at in points]
    first = bisect_left(offsets, rotation.start - monday)

    def wall(number: int) -> datetime:
        week, place = divmod(number + first, len(offsets))
        return monday + week * rotation.interval * _WEEK + offsets[place]

    return wall


def _masked(rotation: Rotation, zone: str, since: datetime, until: datetime) -> Iterator[Turn]:
    """Masked days, those of one turn that touch as one stretch."""
    pieces = _masked_days(rotation, zone, since, until)
    for number, days in groupby(pieces, key=lambda day: day.number):
        waiting: Turn | None = None
        for day in days:
            if waiting is not None and waiting.end == day.start:
                waiting = waiting._replace(end=day.end)
                continue
            if waiting is not None:
                yield waiting
            waiting = Turn(number, day.start, day.end)
        if waiting is not None:
            yield waiting


def _masked_days(rotation: Rotation, zone: str, since: datetime, until: datetime) -> Iterator[Turn]:
    number_of = _numbering(rotation)
    clock = rotation.start.time()
    reach = _reach(rotation)
    day = datetime.combine(local_of(since, zone).date(), clock) - reach
    last = datetime.combine(local_of(until, zone).date(), clock) + reach
    while day <= last:
        number = number_of(day) if day.weekday() in rotation.weekdays else None
        if number is not None:
            yield Turn(number, first_at(day, zone), first_at(day + _DAY, zone))
        day += _DAY


def _reach(rotation: Rotation) -> timedelta:
    """So far beyond a window a stretch may begin or end that reaches into it."""
    if rotation.weekdays != EVERY_DAY:
        return _MARGIN + _WEEK  # a stretch ends with the first day that is not masked
    return _MARGIN + min(_step(rotation), timedelta(days=400))


def _numbering(rotation: Rotation) -> Callable[[datetime], int | None]:
    """The turn of a masked day; None for one between two turns."""
    first = rotation.start
    while first.weekday() not in rotation.weekdays:
        first += _DAY
    if rotation.frequency is Frequency.DAILY:
        masked = sorted(rotation.weekdays)
        counted = _count(masked, first)
        return lambda day: (_count(masked, day) - counted) // rotation.interval
    periods = _months if rotation.frequency is Frequency.MONTHLY else _weeks(rotation.week_start)
    begun = periods(first)

    def number(day: datetime) -> int | None:
        turn, rest = divmod(periods(day) - begun, rotation.interval)
        return turn if rest == 0 or rotation.whole else None

    return number


def _count(masked: list[int], day: datetime) -> int:
    """How many masked days there were, from some Monday on, before this one."""
    weeks, weekday = divmod(day.toordinal() - 1, 7)  # the first of January of year 1 was a Monday
    return weeks * len(masked) + bisect_left(masked, weekday)


def _months(day: datetime) -> int:
    return day.year * _MONTHS + day.month


def _weeks(week_start: int) -> Callable[[datetime], int]:
    return lambda day: (day.toordinal() - 1 - week_start) // 7
