"""A final schedule as it is looked at: by person, and with where the shifts that reach over a window begin and end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tocsin.oncall.schedules import Compute, Shift, Source, TooManyShifts

REACHES: Final = (timedelta(days=35), timedelta(days=400))  # how far beyond a window a shift's ends are looked for


@dataclass(frozen=True, slots=True)
class PersonShift:
    """A stretch in which one person is on call."""

    user: str
    start: datetime
    end: datetime


def of_people(shifts: Sequence[Shift], *, at_handoffs: bool) -> list[PersonShift]:
    """What each person has of shifts, ordered by start and name.

    Shifts that touch are one; with `at_handoffs` only where they come from the same turn.
    """
    open_: dict[str, tuple[PersonShift, Source | None]] = {}
    done: list[PersonShift] = []
    for shift in shifts:
        sources = shift.sources or (None,) * len(shift.users)
        for user, source in zip(shift.users, sources, strict=True):
            mine = open_.pop(user, None)
            start = shift.start
            if mine is not None:
                if mine[0].end == shift.start and (not at_handoffs or _goes_on(mine[1], source)):
                    start = mine[0].start
                else:
                    done.append(mine[0])
            open_[user] = PersonShift(user, start, shift.end), source
    done += [one for one, _ in open_.values()]
    return sorted(done, key=lambda one: (one.start, one.user))


def _goes_on(before: Source | None, after: Source | None) -> bool:
    """Whether it is the same turn. Nothing is known of the turns of a past that is only told."""
    return before == after or (before is not None and before.layer is None and before.override_id is None)


@dataclass(frozen=True, slots=True)
class Seen:
    """The final schedule within a window, and where the shifts that reach over its edges begin and end: by their start
    (and user), None where that is further than was looked."""

    shifts: list[Shift]
    people: list[PersonShift]
    extents: Mapping[tuple[datetime, str | None], tuple[datetime | None, datetime | None]]


def seen(compute: Compute, since: datetime, until: datetime, *, join: bool = False) -> Seen:
    """The final schedule within a window; with `join`, a person's shifts are one over hand-offs. Raises
    TooManyShifts."""
    shifts = compute(since, until)
    people = of_people(shifts, at_handoffs=not join)
    extents: dict[tuple[datetime, str | None], tuple[datetime | None, datetime | None]] = {}
    all_of: list[Shift | PersonShift] = [*shifts, *people]
    edges = [one for one in all_of if one.start == since or one.end == until]
    for reach in REACHES:
        if not edges:
            break
        try:
            wide = compute(since - reach, until + reach)
        except TooManyShifts:
            break
        whole: list[Shift | PersonShift] = [*wide, *of_people(wide, at_handoffs=not join)]
        for edge in edges:
            extents[edge.start, _user(edge)] = _extent(edge, whole, since - reach, until + reach)
        edges = [edge for edge in edges if None in extents[edge.start, _user(edge)]]
    return Seen(shifts, people, extents)


def _user(one: Shift | PersonShift) -> str | None:
    return one.user if isinstance(one, PersonShift) else None


def _extent(
    edge: Shift | PersonShift, whole: Sequence[Shift | PersonShift], low: datetime, high: datetime
) -> tuple[datetime | None, datetime | None]:
    mine = (one for one in whole if _user(one) == _user(edge) and one.start <= edge.start and one.end >= edge.end)
    found = next(mine, edge)
    return (None if found.start == low else found.start), (None if found.end == high else found.end)
