"""Use cases of what changes a schedule for a while: overrides, swaps, temporary schedules. The past stays."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tocsin.kit.clock import iso
from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import Conflict, FieldError, Invalid, NotFound
from tocsin.kit.events import OverrideAdded, OverrideEnded, TemporaryScheduleAdded
from tocsin.oncall import people_store, reference_service
from tocsin.oncall import schedule_service as schedules
from tocsin.oncall import schedule_store as store
from tocsin.oncall.declaring import MAX_OVERRIDES
from tocsin.oncall.references import Reference, Referred
from tocsin.oncall.schedule_store import OVERRIDE, TEMPORARY, OverrideRow
from tocsin.oncall.schedules import Override, Temporary
from tocsin.storage.tx import ReadTx, Tx

_OVERRIDES: Final = "schedule:overrides"


def add_override(tx: Tx, name: str, override: Override, reason: str) -> OverrideRow:
    """Add, remove or replace one person for a while. What of it is past is left out: what was stays as it was.

    Raises NotFound, Invalid, Conflict.
    """
    named = [("/add", override.add), ("/remove", override.remove)]
    people_store.lock(tx)
    reference_service.check(tx, (Reference(Referred.USER, who, at) for at, who in named if who is not None))
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
        raise schedules.invalid("/take/user", "expected somebody else than who gives")
    schedules.get(tx, name)
    for field, part in (("give", give), ("take", take)):
        if part.end <= part.start:
            raise schedules.invalid(f"/{field}/end", "expected an end after the start")
        if part.end <= tx.now:
            raise schedules.invalid(f"/{field}/end", "expected an end that is still to come")
        booked = schedules.shifts(tx, name, max(part.start, tx.now), part.end).shifts
        if not any(part.user in shift.users for shift in booked):
            raise schedules.invalid(f"/{field}/user", f"{part.user} is not on call by {name} in that time")
    text = reason or f"swap of {give.user} and {take.user}"
    first = add_override(tx, name, Override(0, give.start, give.end, add=take.user, remove=give.user), text)
    second = add_override(tx, name, Override(0, take.start, take.end, add=give.user, remove=take.user), text)
    return first, second


def add_temporary(tx: Tx, name: str, temporary: Temporary, reason: str) -> OverrideRow:
    """Put a temporary schedule in the place of all layers, from now at the earliest.

    Raises NotFound, Invalid, Conflict.
    """
    people_store.lock(tx)
    named = (
        Reference(Referred.USER, user, f"/shifts/{number}/users/{seat}")
        for number, shift in enumerate(temporary.shifts)
        for seat, user in enumerate(shift.users)
    )
    reference_service.check(tx, named)
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
        raise schedules.invalid("/end", "expected an end that is still to come: what is past stays as it was")
    schedules.get(tx, name)
    if len(store.running_overrides(tx, name)) >= MAX_OVERRIDES:
        raise Conflict(detail=f"{name} has {MAX_OVERRIDES} overrides to come, which is as many as there may be")
    override_id = store.add_override(tx, name, kind, max(start, tx.now), end, data=data, reason=reason)
    store.look_soon(tx, name)
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
        store.look_soon(tx, name)
    return override(tx, name, override_id)


def find_overrides(
    tx: ReadTx, name: str, *, ends_after: datetime, cursor: str | None, limit: int
) -> tuple[list[OverrideRow], str | None]:
    """A page of overrides and temporary schedules that end later than that, by start. Raises NotFound."""
    schedules.get(tx, name)
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
