"""Use cases of schedules: make and change them, who is on call. What is past is never worked out anew."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import Conflict, FieldError, Invalid, NotFound, PreconditionFailed
from tocsin.kit.events import ScheduleRemoved, ScheduleSaved
from tocsin.oncall import people_store, reference_service
from tocsin.oncall import schedule_store as store
from tocsin.oncall.declaring import kept_schedule, references_of
from tocsin.oncall.schedule_store import GAPS, OVERRIDE, TEMPORARY, OverrideRow, ScheduleRow, ScheduleVersion
from tocsin.oncall.schedules import Compute, Schedule, Shift, TooManyShifts, on_call_at, shifts_of_versions
from tocsin.oncall.schedules import next_change as change_after
from tocsin.oncall.seeing import Seen, seen
from tocsin.oncall.writing import definition_of
from tocsin.storage import timers
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx, Tx

LONGEST_WINDOW: Final = timedelta(days=400)
MAX_SCHEDULES: Final = 1000
_CURSOR: Final = "schedules"
_VERSIONS: Final = "schedule:versions"


# What is asked of a schedule.


def on_call(tx: ReadTx, schedule_name: str, at: datetime) -> list[str]:
    """Who is on call at an instant, past or to come; nobody where there is no such schedule then.

    Somebody who is away is on call all the same, and that is shown as a problem of the schedule: an override or a swap
    puts another in the place. Somebody who was removed is not, from then on.
    """
    found = on_call_at(_compute(tx, schedule_name), at)
    there = people_store.users(tx, found)
    return [name for name in found if name not in there or there[name].is_there(at)]


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
    return lambda since, until: shifts_of(tx, [name], since, until)[name]


def shifts_of(tx: ReadTx, names: Sequence[str], since: datetime, until: datetime) -> dict[str, list[Shift]]:
    """The final shifts of each of these schedules. Raises TooManyShifts."""
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
        raise invalid("until", "expected an instant after `since`")
    if until - since > LONGEST_WINDOW:
        raise invalid("until", f"expected at most {LONGEST_WINDOW.days} days after `since`")


def too_many() -> Invalid:
    """What to say where there are too many shifts."""
    return invalid("until", "there are too many shifts until then; expected a shorter window")


def invalid(pointer: str, detail: str) -> Invalid:
    """What to say where one field is wrong."""
    return Invalid(f"{pointer.removeprefix('/')}: {detail}", errors=(FieldError(pointer, detail),))


# Schedules as they are kept.


def get(tx: ReadTx, name: str) -> ScheduleRow:
    """One schedule as it is in force. Raises NotFound."""
    found = store.get(tx, name)
    if found is None:
        raise NotFound(what="schedule", id=name)
    return found


def ever(tx: ReadTx, name: str) -> ScheduleRow | None:
    """A schedule, None if it was removed: its past can be asked for. Raises NotFound when there never was one."""
    found = store.get(tx, name)
    if found is None and not store.latest_version(tx, name):
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
    people_store.lock(tx)
    reference_service.check(tx, references_of(schedule))
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
    store.look_soon(tx, name)
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
    store.set_gaps(tx, name, ())
    tx.emit(ScheduleRemoved(name, version=found.version + 1))
    return found


def _agree(version: int, seen_version: int | None) -> None:
    if seen_version is not None and seen_version != version:
        raise PreconditionFailed(version=version, wanted=seen_version)
