"""What a final schedule is like: its gaps, what is wrong with who is on call, and how much each person bears."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from tocsin.kit.wallclock import local_of
from tocsin.oncall.people import Away
from tocsin.oncall.restrictions import Restriction, Stretch, clipped, merged, stretches, without
from tocsin.oncall.schedules import Override, Shift
from tocsin.oncall.seeing import PersonShift, of_people

NIGHT: Final = (Restriction(times=((22 * 60, 30 * 60),)),)
WEEKEND: Final = (Restriction(weekdays=frozenset({5, 6})),)
_DAY: Final = timedelta(days=1)
_NOTHING: Final = timedelta(0)


class Kind(StrEnum):
    GAP = "gap"
    AWAY = "away"
    REMOVED = "removed"
    UNKNOWN = "unknown"
    DOUBLE_BOOKED = "double_booked"
    NO_EFFECT = "override_without_effect"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to look at from `start` to `end`. `other` is the schedule or layer that a person is booked in too;
    `override_id` the override that changes nothing."""

    kind: Kind
    start: datetime
    end: datetime
    user: str | None = None
    other: str | None = None
    override_id: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """What of a user matters here; `there` is False for one that was removed."""

    time_zone: str
    away: tuple[Away, ...] = ()
    there: bool = True


@dataclass(frozen=True, slots=True)
class Load:
    """What a person bears within a window. Nights are 22:00 to 06:00 and weekends Saturday and Sunday where the person
    lives; each in which any time is on call counts."""

    user: str
    shifts: int
    on_call: timedelta
    night: timedelta
    nights: int
    weekend: timedelta
    weekends: int


def gaps(
    shifts: Sequence[Shift], coverage: Sequence[Restriction], zone: str, since: datetime, until: datetime
) -> list[Stretch]:
    """When somebody should be on call and nobody is."""
    return without(stretches(coverage, zone, since, until), merged((shift.start, shift.end) for shift in shifts))


def untold(found: Iterable[Stretch], told: Sequence[Stretch]) -> list[Stretch]:
    """Gaps that nobody was told of, or that are longer now."""
    return [(start, end) for start, end in found if not any(begun <= start and over >= end for begun, over in told)]


def problems_of_people(
    shifts: Sequence[Shift], people: Mapping[str, Person], others: Mapping[str, Sequence[Shift]]
) -> list[Problem]:
    """Who is on call and away, removed, not known, or booked in another schedule (`others`, by name) as well."""
    found: list[Problem] = []
    elsewhere: dict[str, list[tuple[str, PersonShift]]] = {}
    for name, booked in others.items():
        for one in of_people(booked, at_handoffs=False):
            elsewhere.setdefault(one.user, []).append((name, one))
    for mine in of_people(shifts, at_handoffs=False):
        person = people.get(mine.user)
        if person is None or not person.there:
            kind = Kind.UNKNOWN if person is None else Kind.REMOVED
            found.append(Problem(kind, mine.start, mine.end, mine.user))
            continue
        for away in person.away:
            for start, end in clipped([(away.start, away.end)], mine.start, mine.end):
                found.append(Problem(Kind.AWAY, start, end, mine.user, note=away.note))
        for name, other in elsewhere.get(mine.user, ()):
            for start, end in clipped([(other.start, other.end)], mine.start, mine.end):
                found.append(Problem(Kind.DOUBLE_BOOKED, start, end, mine.user, other=name))
    return found


def booked_twice(by_layer: Mapping[str, Sequence[Shift]]) -> list[Problem]:
    """Who has the turn in two layers at once: somebody fewer is on call than it looks."""
    mine = [(name, one) for name, shifts in by_layer.items() for one in of_people(shifts, at_handoffs=False)]
    mine.sort(key=lambda pair: (pair[1].user, pair[1].start))
    found: list[Problem] = []
    running: list[tuple[str, PersonShift]] = []
    for name, one in mine:
        running = [pair for pair in running if pair[1].user == one.user and pair[1].end > one.start]
        for other, before in running:
            if other != name:
                end = min(before.end, one.end)
                found.append(Problem(Kind.DOUBLE_BOOKED, one.start, end, one.user, other=f"{other} and {name}"))
        running.append((name, one))
    return found


def without_effect(shifts: Sequence[Shift], overrides: Iterable[Override], since: datetime) -> list[Problem]:
    """Overrides from which nothing follows: who is to leave is not on call, who is to be added is already."""
    found = []
    for one in overrides:
        start = max(one.start, since)
        touched = [shift for shift in shifts if shift.start < one.end and shift.end > start]
        if one.add is not None:
            used = any(source.override_id == one.id for shift in touched for source in shift.sources)
        else:
            used = True  # what it took away can't be seen in what is left
        if not used and start < one.end:
            user = one.remove if one.remove is not None else one.add
            found.append(Problem(Kind.NO_EFFECT, start, one.end, user, override_id=one.id))
    return found


def loads(shifts: Sequence[Shift], people: Mapping[str, Person], zone: str) -> list[Load]:
    """What each person bears, the most first; who has no zone of their own lives in the schedule's."""
    mine: dict[str, list[PersonShift]] = {}
    for one in of_people(shifts, at_handoffs=True):
        mine.setdefault(one.user, []).append(one)
    found = [_load(user, some, people[user].time_zone if user in people else zone) for user, some in mine.items()]
    return sorted(found, key=lambda one: (-one.on_call, one.user))


def _load(user: str, shifts: Sequence[PersonShift], zone: str) -> Load:
    held = merged((one.start, one.end) for one in shifts)
    night, nights = _within(held, NIGHT, zone)
    weekend, weekends = _within(held, WEEKEND, zone)
    return Load(
        user=user,
        shifts=len(shifts),
        on_call=sum((end - start for start, end in held), _NOTHING),
        night=night,
        nights=len(nights),
        weekend=weekend,
        weekends=len({day - day.weekday() * _DAY for day in weekends}),
    )


def _within(held: Sequence[Stretch], when: Sequence[Restriction], zone: str) -> tuple[timedelta, set[date]]:
    """How much of stretches lies within, and the days on which what it lies within began."""
    total, days = _NOTHING, set[date]()
    for start, end in held:
        for low, high in stretches(when, zone, start - 2 * _DAY, end):
            for a, b in clipped([(low, high)], start, end):
                total += b - a
                days.add(local_of(low, zone).date())
    return total, days
