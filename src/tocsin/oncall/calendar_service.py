"""Use cases of a schedule's calendar, at a secret address of which a hash is kept."""

import secrets
from datetime import timedelta
from typing import Final

from tocsin.kit.errors import NotFound
from tocsin.kit.events import ScheduleCalendarRevoked, ScheduleCalendarShared
from tocsin.oncall import ical, people_store
from tocsin.oncall import schedule_service as schedules
from tocsin.oncall import schedule_store as store
from tocsin.oncall.codes import hashed, matches
from tocsin.oncall.seeing import PersonShift, Seen
from tocsin.storage.tx import ReadTx, Tx

CALENDAR_BACK: Final = timedelta(days=30)
CALENDAR_AHEAD: Final = timedelta(days=180)


def share_calendar(tx: Tx, name: str) -> str:
    """A new secret for the address of a schedule's calendar; an earlier one is no longer good. Raises NotFound."""
    schedules.get(tx, name)
    token = secrets.token_urlsafe(32)
    store.set_calendar(tx, name, hashed(token, secrets.token_hex(16)))
    tx.emit(ScheduleCalendarShared(name))
    return token


def revoke_calendar(tx: Tx, name: str) -> None:
    """The secret address is no longer good. Raises NotFound."""
    if schedules.get(tx, name).calendar_hash is not None:
        store.set_calendar(tx, name, None)
        tx.emit(ScheduleCalendarRevoked(name))


def calendar_of(tx: ReadTx, name: str, token: str, *, user: str | None = None) -> bytes:
    """The calendar of a schedule, or of one person in it, for whoever has the secret.

    Raises NotFound without saying whether it is the schedule that there isn't, or the secret that is wrong.
    """
    row = store.get(tx, name)
    if row is None or row.calendar_hash is None or not matches(token, row.calendar_hash):
        raise NotFound(what="calendar", id="at this address")
    found = schedules.shifts(tx, name, tx.now - CALENDAR_BACK, tx.now + CALENDAR_AHEAD)
    mine = [_whole(one, found) for one in found.people if user in {None, one.user}]
    users = people_store.users(tx, {one.user for one in mine})
    return ical.calendar(name, mine, {who: one.display_name for who, one in users.items()}, row.updated_at)


def _whole(one: PersonShift, found: Seen) -> PersonShift:
    start, end = found.extents.get((one.start, one.user), (one.start, one.end))
    return PersonShift(one.user, start or one.start, end or one.end)
