"""Use cases of looking ahead: what is wrong with a schedule, who bears how much, gaps that come near."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from tocsin.kit.clock import iso
from tocsin.kit.events import ScheduleGapFound
from tocsin.oncall import coverage, people_store
from tocsin.oncall import schedule_service as schedules
from tocsin.oncall import schedule_store as store
from tocsin.oncall.coverage import Load, Person, Problem
from tocsin.oncall.declaring import kept_schedule
from tocsin.oncall.schedule_store import GAPS, OVERRIDE, ScheduleRow
from tocsin.oncall.schedules import Schedule, Shift, TooManyShifts, final_shifts
from tocsin.storage import timers
from tocsin.storage.timers import Timer
from tocsin.storage.tx import ReadTx, Tx

PROBLEMS_AHEAD: Final = timedelta(days=90)
GAPS_AHEAD: Final = timedelta(days=7)
CHECKED_EVERY: Final = timedelta(days=1)
_ENDLESS: Final = datetime(9999, 1, 1, tzinfo=UTC)  # the end of a gap that has none within sight

log = structlog.get_logger("tocsin.oncall")


def problems(tx: ReadTx, name: str, *, ahead: timedelta = PROBLEMS_AHEAD) -> list[Problem]:
    """What there is to look at from now on, by start: gaps, people who are away, removed, or booked twice, overrides
    from which nothing follows. Raises NotFound, Invalid."""
    row = schedules.get(tx, name)
    since, until = tx.now, tx.now + ahead
    try:
        mine = schedules.shifts_of(tx, [name], since, until)[name]
        others = schedules.shifts_of(tx, _sharing(tx, row, mine), since, until)
    except TooManyShifts as error:
        raise schedules.too_many() from error
    schedule = kept_schedule(row.definition)
    overrides = [one.override for one in store.running_overrides(tx, name) if one.kind == OVERRIDE]
    found = [
        Problem(coverage.Kind.GAP, start, end)
        for start, end in coverage.gaps(mine, schedule.coverage, schedule.time_zone, since, until)
    ]
    found += coverage.problems_of_people(mine, _people(tx, mine), others)
    found += _booked_twice(schedule, since, until)
    found += coverage.without_effect(mine, [one for one in overrides if one.start < until], since)
    return sorted(found, key=lambda one: (one.start, one.kind, one.user or ""))


def _sharing(tx: ReadTx, row: ScheduleRow, mine: Sequence[Shift]) -> list[str]:
    """The other schedules that name any of the people on call."""
    users = {user for shift in mine for user in shift.users}
    others = [one for one in store.page(tx, after="", limit=None) if one.name != row.name]
    return [one.name for one in others if not users.isdisjoint(kept_schedule(one.definition).people)]


def _people(tx: ReadTx, mine: Sequence[Shift]) -> dict[str, Person]:
    users = people_store.users(tx, {user for shift in mine for user in shift.users})
    return {name: Person(user.time_zone, user.away, not user.removed) for name, user in users.items()}


def _booked_twice(schedule: Schedule, since: datetime, until: datetime) -> list[Problem]:
    found: list[Problem] = []
    for priority in sorted({layer.priority for layer in schedule.layers}):
        layers = [layer for layer in schedule.layers if layer.priority == priority]
        by_layer = {
            layer.name: final_shifts(Schedule(schedule.time_zone, (layer,)), since, until)
            for layer in layers
            if len(layers) > 1
        }
        found += coverage.booked_twice(by_layer)
    return found


def loads(tx: ReadTx, name: str, since: datetime, until: datetime) -> list[Load]:
    """Hours, nights and weekends of each person within a window, the most first. Raises NotFound, Invalid."""
    row = schedules.get(tx, name)
    schedules.check_window(since, until)
    try:
        mine = schedules.shifts_of(tx, [name], since, until)[name]
    except TooManyShifts as error:
        raise schedules.too_many() from error
    return coverage.loads(mine, _people(tx, mine), kept_schedule(row.definition).time_zone)


def tell_gaps(tx: Tx, timer: Timer) -> None:
    """Tell of the gaps of a schedule that begin within the next seven days, each once; and look again tomorrow.

    One that was told of and is longer now, or is back, is told of again. A shift of people who were all removed is a
    gap: nobody hears a page.
    """
    name = timer.subject
    row = store.get(tx, name)
    if row is None:
        return
    since, until = max(tx.now - GAPS_AHEAD, row.created_at), tx.now + PROBLEMS_AHEAD
    schedule = kept_schedule(row.definition)
    mine = schedules.shifts_of(tx, [name], since, until)[name]
    people = _people(tx, mine)
    mine = [shift for shift in mine if any(user in people and people[user].there for user in shift.users)]
    near = [
        (start, _ENDLESS if end == until else end)
        for start, end in coverage.gaps(mine, schedule.coverage, schedule.time_zone, since, until)
        if end > tx.now and start < tx.now + GAPS_AHEAD
    ]
    new = [(start, min(end, until)) for start, end in coverage.untold(near, store.told_gaps(tx, name))]
    tx.emit(*(ScheduleGapFound(name, start=start, end=end) for start, end in new))
    for start, end in new:
        log.warning("schedule_gap", schedule=name, start=iso(start), end=iso(end))
    store.set_gaps(tx, name, near)
    timers.put(tx, GAPS, name, due_at=tx.now + CHECKED_EVERY, version=0)


def unattended(tx: ReadTx, within: timedelta) -> int:
    """How many schedules have nobody on call now, or at some time from now on, and should have; `within` is at most
    seven days. As of the last look at each: after every change, and daily."""
    return store.count_with_gaps(tx, tx.now + within)
