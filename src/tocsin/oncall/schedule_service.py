"""Use cases of schedules: who is on call, what changes, what is wrong. What is past is never worked out anew."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from tocsin.kit.clock import iso
from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import Conflict, FieldError, Invalid, NotFound, PreconditionFailed
from tocsin.kit.events import (
    OverrideAdded,
    OverrideEnded,
    ScheduleCalendarRevoked,
    ScheduleCalendarShared,
    ScheduleGapFound,
    ScheduleRemoved,
    ScheduleSaved,
    TemporaryScheduleAdded,
)
from tocsin.oncall import coverage, ical, people_store
from tocsin.oncall import schedule_store as store
from tocsin.oncall.codes import hashed, matches
from tocsin.oncall.coverage import Load, Person, Problem
from tocsin.oncall.declaring import MAX_OVERRIDES, definition_of, kept_schedule, named_in
from tocsin.oncall.people_service import check_known
from tocsin.oncall.schedule_store import OVERRIDE, TEMPORARY, OverrideRow, ScheduleRow, ScheduleVersion
from tocsin.oncall.schedules import (
    Compute,
    Override,
    PersonShift,
    Schedule,
    Seen,
    Shift,
    Temporary,
    TooManyShifts,
    final_shifts,
    on_call_at,
    seen,
    shifts_of_versions,
)
from tocsin.oncall.schedules import next_change as change_after
from tocsin.storage import timers
from tocsin.storage.database import Database
from tocsin.storage.timers import Timer
from tocsin.storage.tx import ReadTx, Tx

GAPS: Final = "schedule.gaps"
LONGEST_WINDOW: Final = timedelta(days=400)
PROBLEMS_AHEAD: Final = timedelta(days=90)
GAPS_AHEAD: Final = timedelta(days=7)
CHECKED_EVERY: Final = timedelta(days=1)
CALENDAR_BACK: Final = timedelta(days=30)
CALENDAR_AHEAD: Final = timedelta(days=180)
MAX_SCHEDULES: Final = 1000
_CURSOR: Final = "schedules"
_VERSIONS: Final = "schedule:versions"
_OVERRIDES: Final = "schedule:overrides"


# What is asked of a schedule.


def on_call(tx: ReadTx, schedule_name: str, at: datetime) -> list[str]:
    """Who is on call at an instant, past or to come; nobody where there is no such schedule then.

    Somebody who is away is on call all the same, and that is shown as a problem of the schedule: an override or a swap
    puts another in the place. Somebody who was removed is not.
    """
    found = on_call_at(_compute(tx, schedule_name), at)
    there = people_store.users(tx, found)
    return [name for name in found if name not in there or not there[name].removed]


def next_change(tx: ReadTx, schedule_name: str, after: datetime) -> datetime | None:
    """The first instant after that at which other people are on call, as far as is known now; None: not within 400
    days."""
    return change_after(_compute(tx, schedule_name), after)


def shifts(tx: ReadTx, name: str, since: datetime, until: datetime, *, join: bool = False) -> Seen:
    """The final schedule within a window. Raises Invalid."""
    check_window(since, until)
    try:
        return seen(_compute(tx, name), since, until, join=join)
    except TooManyShifts as error:
        raise too_many() from error


def _compute(tx: ReadTx, name: str) -> Compute:
    """How the shifts of a schedule are worked out of its versions and overrides."""
    return lambda since, until: _shifts_of(tx, [name], since, until)[name]


def _shifts_of(tx: ReadTx, names: Sequence[str], since: datetime, until: datetime) -> dict[str, list[Shift]]:
    versions = store.versions_between(tx, names, since, until)
    overrides = store.overrides_between(tx, names, since, until)
    return {
        name: shifts_of_versions(_versions(versions.get(name, ()), overrides.get(name, ())), since, until)
        for name in names
    }


def _versions(
    versions: Sequence[ScheduleVersion], overrides: Sequence[OverrideRow]
) -> list[tuple[datetime, Schedule | None]]:
    return [
        (one.at, None if one.definition is None else _with_overrides(one.definition, overrides)) for one in versions
    ]


def _with_overrides(definition: Mapping[str, Any], overrides: Sequence[OverrideRow]) -> Schedule:
    kept = kept_schedule(definition)
    return Schedule(
        time_zone=kept.time_zone,
        layers=kept.layers,
        overrides=tuple(row.override for row in overrides if row.kind == OVERRIDE),
        temporary=tuple(row.temporary for row in overrides if row.kind == TEMPORARY),
        coverage=kept.coverage,
        description=kept.description,
    )


def check_window(since: datetime, until: datetime) -> None:
    """Raises Invalid for a window that is empty or too long."""
    if until <= since:
        raise _invalid("until", "expected an instant after `since`")
    if until - since > LONGEST_WINDOW:
        raise _invalid("until", f"expected at most {LONGEST_WINDOW.days} days after `since`")


def too_many() -> Invalid:
    """What to say where there are too many shifts."""
    return _invalid("until", "there are too many shifts until then; expected a shorter window")


def _invalid(pointer: str, detail: str) -> Invalid:
    return Invalid(f"{pointer.removeprefix('/')}: {detail}", errors=(FieldError(pointer, detail),))


# Schedules as they are kept.


def get(tx: ReadTx, name: str) -> ScheduleRow:
    """One schedule as it is in force. Raises NotFound."""
    found = store.get(tx, name)
    if found is None:
        raise NotFound(what="schedule", id=name)
    return found


def find(database: Database, *, cursor: str | None, limit: int) -> tuple[list[ScheduleRow], str | None]:
    """A page of schedules by name, and the cursor of the next."""
    after = "" if cursor is None else str(decode_cursor(cursor, _CURSOR, str)[0])
    found = database.read(lambda tx: store.page(tx, after=after, limit=limit + 1))
    items = found[:limit]
    return items, encode_cursor(_CURSOR, items[-1].name) if len(found) > limit else None


def versions(
    database: Database, name: str, *, cursor: str | None, limit: int
) -> tuple[list[ScheduleVersion], str | None]:
    """A page of versions, newest first, also of one that was removed. Raises NotFound when there never was any."""
    before = None if cursor is None else int(decode_cursor(cursor, _VERSIONS, int)[0])
    found = database.read(lambda tx: store.versions(tx, name, before=before, limit=limit + 1))
    if not found and before is None:
        raise NotFound(what="schedule", id=name)
    items = found[:limit]
    return items, encode_cursor(_VERSIONS, items[-1].version) if len(found) > limit else None


def save(tx: Tx, name: str, schedule: Schedule, *, seen_version: int | None = None) -> tuple[ScheduleRow, bool]:
    """Make or replace a schedule, and whether it is new; it holds from now on. What changes nothing makes no version.

    Raises Invalid, PreconditionFailed, Conflict when there are too many.
    """
    check_known(tx, named_in(schedule))
    people_store.lock(tx)
    before = store.get(tx, name)
    _agree(0 if before is None else before.version, seen_version)
    definition = definition_of(schedule)
    if before is not None and before.definition == definition:
        return before, False
    if before is None and store.count(tx) >= MAX_SCHEDULES:
        raise Conflict(detail=f"there are {MAX_SCHEDULES} schedules, which is as many as there may be")
    version = store.latest_version(tx, name) + 1
    store.put(tx, name, version, definition, is_new=before is None)
    old = {} if before is None else before.definition
    changed = tuple(key for key in definition if before is not None and definition[key] != old.get(key))
    tx.emit(ScheduleSaved(name, version=version, changed=changed))
    _look_soon(tx, name)
    return get(tx, name), before is None


def remove(tx: Tx, name: str, *, seen_version: int | None = None) -> ScheduleRow:
    """Take a schedule out of force, and say what it was; its past stays. Raises NotFound, PreconditionFailed."""
    people_store.lock(tx)
    found = get(tx, name)
    _agree(found.version, seen_version)
    for row in store.running_overrides(tx, name):
        store.end_override(tx, row)
    store.remove(tx, name, found.version + 1)
    timers.drop(tx, GAPS, name)
    tx.emit(ScheduleRemoved(name, version=found.version + 1))
    return found


def _agree(version: int, seen_version: int | None) -> None:
    if seen_version is not None and seen_version != version:
        raise PreconditionFailed(version=version, wanted=seen_version)


# Overrides, swaps, temporary schedules.


def add_override(tx: Tx, name: str, override: Override, reason: str) -> OverrideRow:
    """Add, remove or replace one person for a while. What of it is past is left out: what was stays as it was.

    Raises NotFound, Invalid, Conflict.
    """
    check_known(
        tx, [(f"/{field}", who) for field in ("add", "remove") if (who := getattr(override, field)) is not None]
    )
    data = {"add": override.add, "remove": override.remove}
    row = _add(tx, name, OVERRIDE, override.start, override.end, data=data, reason=reason)
    tx.emit(
        OverrideAdded(
            name,
            override_id=row.id,
            start=row.start,
            end=row.end,
            add=override.add,
            remove=override.remove,
            reason=reason,
        )
    )
    return row


@dataclass(frozen=True, slots=True)
class Part:
    """What one of two who swap gives away."""

    user: str
    start: datetime
    end: datetime


def swap(tx: Tx, name: str, give: Part, take: Part, reason: str) -> tuple[OverrideRow, OverrideRow]:
    """Let two people take each other's place: two overrides, made together. Raises as `add_override` does."""
    if give.user == take.user:
        raise _invalid("/take/user", "expected somebody else than who gives")
    get(tx, name)
    for field, part in (("give", give), ("take", take)):
        if part.end <= part.start:
            raise _invalid(f"/{field}/end", "expected an end after the start")
        if part.end <= tx.now:
            raise _invalid(f"/{field}/end", "expected an end that is still to come")
        booked = shifts(tx, name, max(part.start, tx.now), part.end).shifts
        if not any(part.user in shift.users for shift in booked):
            raise _invalid(f"/{field}/user", f"{part.user} is not on call by {name} in that time")
    text = reason or f"swap of {give.user} and {take.user}"
    first = add_override(tx, name, Override(0, give.start, give.end, add=take.user, remove=give.user), text)
    second = add_override(tx, name, Override(0, take.start, take.end, add=give.user, remove=take.user), text)
    return first, second


def add_temporary(tx: Tx, name: str, temporary: Temporary, reason: str) -> OverrideRow:
    """Put a temporary schedule in the place of all layers, from now at the earliest.

    Raises NotFound, Invalid, Conflict.
    """
    named = (
        (f"/shifts/{number}/users/{seat}", user)
        for number, shift in enumerate(temporary.shifts)
        for seat, user in enumerate(shift.users)
    )
    check_known(tx, named)
    written = [
        {"start": iso(shift.start), "end": iso(shift.end), "users": list(shift.users)} for shift in temporary.shifts
    ]
    row = _add(tx, name, TEMPORARY, temporary.start, temporary.end, data={"shifts": written}, reason=reason)
    users = tuple(dict.fromkeys(user for shift in temporary.shifts for user in shift.users))
    tx.emit(TemporaryScheduleAdded(name, override_id=row.id, start=row.start, end=row.end, users=users, reason=reason))
    return row


def _add(
    tx: Tx, name: str, kind: str, start: datetime, end: datetime, *, data: Mapping[str, Any], reason: str
) -> OverrideRow:
    if end <= tx.now:
        raise _invalid("/end", "expected an end that is still to come: what is past stays as it was")
    people_store.lock(tx)
    get(tx, name)
    if len(store.running_overrides(tx, name)) >= MAX_OVERRIDES:
        raise Conflict(detail=f"{name} has {MAX_OVERRIDES} overrides to come, which is as many as there may be")
    override_id = store.add_override(tx, name, kind, max(start, tx.now), end, data=data, reason=reason)
    _look_soon(tx, name)
    return override(tx, name, override_id)


def override(tx: ReadTx, name: str, override_id: int) -> OverrideRow:
    """One override or temporary schedule. Raises NotFound."""
    found = store.override(tx, name, override_id)
    if found is None:
        raise NotFound(what=f"override of {name} with the id", id=override_id)
    return found


def end_override(tx: Tx, name: str, override_id: int) -> OverrideRow:
    """End an override or a temporary schedule now; one that has not begun never holds. Raises NotFound, Conflict."""
    people_store.lock(tx)
    found = override(tx, name, override_id)
    if found.ended_at is not None or found.end <= tx.now:
        raise Conflict(detail=f"override {override_id} is over already")
    store.end_override(tx, found)
    tx.emit(OverrideEnded(name, override_id=override_id, begun=found.start < tx.now))
    if store.get(tx, name) is not None:
        _look_soon(tx, name)
    return override(tx, name, override_id)


def find_overrides(
    tx: ReadTx, name: str, *, ends_after: datetime, cursor: str | None, limit: int
) -> tuple[list[OverrideRow], str | None]:
    """A page of overrides and temporary schedules that end later than that, by start. Raises NotFound."""
    get(tx, name)
    after = None
    if cursor is not None:
        start, override_id = decode_cursor(cursor, _OVERRIDES, str, int)
        after = _instant_of(str(start)), int(override_id)
    found = store.page_of_overrides(tx, name, ends_after=ends_after, after=after, limit=limit + 1)
    items = found[:limit]
    more = encode_cursor(_OVERRIDES, iso(items[-1].start), items[-1].id) if len(found) > limit else None
    return items, more


def _instant_of(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise ValueError(text)
    except ValueError:
        detail = "is not a cursor of this list; take it from `next` of the page before"
        raise Invalid(f"cursor {detail}", errors=(FieldError("cursor", detail),)) from None
    return found


# What is wrong with it, and who bears how much.


def problems(tx: ReadTx, name: str, *, ahead: timedelta = PROBLEMS_AHEAD) -> list[Problem]:
    """What there is to look at from now on, by start: gaps, people who are away, removed, or booked twice, overrides
    from which nothing follows. Raises NotFound, Invalid."""
    row = get(tx, name)
    since, until = tx.now, tx.now + ahead
    try:
        mine = _shifts_of(tx, [name], since, until)[name]
        others = _shifts_of(tx, _sharing(tx, row, mine), since, until)
    except TooManyShifts as error:
        raise too_many() from error
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
    row = get(tx, name)
    check_window(since, until)
    try:
        mine = _shifts_of(tx, [name], since, until)[name]
    except TooManyShifts as error:
        raise too_many() from error
    return coverage.loads(mine, _people(tx, mine), kept_schedule(row.definition).time_zone)


# The calendar at a secret address.


def share_calendar(tx: Tx, name: str) -> str:
    """A new secret for the address of a schedule's calendar; an earlier one is no longer good. Raises NotFound."""
    get(tx, name)
    token = secrets.token_urlsafe(32)
    store.set_calendar(tx, name, hashed(token, secrets.token_hex(16)))
    tx.emit(ScheduleCalendarShared(name))
    return token


def revoke_calendar(tx: Tx, name: str) -> None:
    """The secret address is no longer good. Raises NotFound."""
    if get(tx, name).calendar_hash is not None:
        store.set_calendar(tx, name, None)
        tx.emit(ScheduleCalendarRevoked(name))


def calendar_of(tx: ReadTx, name: str, token: str, *, user: str | None = None) -> bytes:
    """The calendar of a schedule, or of one person in it, for whoever has the secret.

    Raises NotFound without saying whether it is the schedule that there isn't, or the secret that is wrong.
    """
    row = store.get(tx, name)
    if row is None or row.calendar_hash is None or not matches(token, row.calendar_hash):
        raise NotFound(what="calendar", id="at this address")
    found = shifts(tx, name, tx.now - CALENDAR_BACK, tx.now + CALENDAR_AHEAD)
    mine = [_whole(one, found) for one in found.people if user in {None, one.user}]
    users = people_store.users(tx, {one.user for one in mine})
    return ical.calendar(name, mine, {who: one.display_name for who, one in users.items()}, row.updated_at)


def _whole(one: PersonShift, found: Seen) -> PersonShift:
    start, end = found.extents.get((one.start, one.user), (one.start, one.end))
    return PersonShift(one.user, start or one.start, end or one.end)


# Gaps that come near.


def _look_soon(tx: Tx, name: str) -> None:
    timers.put(tx, GAPS, name, due_at=tx.now, version=0)


def tell_gaps(tx: Tx, timer: Timer) -> None:
    """Tell of the gaps of a schedule within the next seven days, each once; and look again tomorrow."""
    name = timer.subject
    row = store.get(tx, name)
    if row is None:
        return
    since, until = max(tx.now - GAPS_AHEAD, row.created_at), tx.now + GAPS_AHEAD
    schedule = kept_schedule(row.definition)
    mine = _shifts_of(tx, [name], since, until)[name]
    told = store.told_gaps(tx, name, since)
    for start, end in coverage.gaps(mine, schedule.coverage, schedule.time_zone, since, until):
        if end <= tx.now:
            continue
        before = [gap for gap in told if gap[0] <= end and gap[1] >= start]
        if not before:
            tx.emit(ScheduleGapFound(name, start=start, end=end))
        store.tell_gap(tx, name, before[0][0] if before else start, end)
    store.forget_gaps(tx, name, tx.now - GAPS_AHEAD)
    timers.put(tx, GAPS, name, due_at=tx.now + CHECKED_EVERY, version=0)
