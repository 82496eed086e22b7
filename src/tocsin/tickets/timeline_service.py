"""A ticket's timeline: its events, and between them what was changed in its services meanwhile."""

from typing import Final

from tocsin.kit.clock import from_us, to_us
from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx
from tocsin.tickets import change_store, service, store
from tocsin.tickets.change_store import Change, Place
from tocsin.tickets.changes import beside, woven
from tocsin.tickets.store import Ticket, TimelineEntry

CHANGE: Final = "change"
_CURSOR: Final = "timeline"
_SHOWN: Final = ("service", "summary", "ref", "url", "author")


def page(
    database: Database, ticket_id: int, *, cursor: str | None, limit: int
) -> tuple[list[TimelineEntry], str | None]:
    """The next entries of a timeline and the cursor of the page after them. Raises NotFound."""
    after_id, after_change = 0, None
    if cursor is not None:
        event_id, at, change_id = decode_cursor(cursor, _CURSOR, int, int, int)
        after_id, after_change = int(event_id), (from_us(int(at)), int(change_id))

    def look(tx: ReadTx) -> tuple[list[TimelineEntry], list[Change]]:
        ticket = service.get(tx, ticket_id)
        events = store.timeline(tx, ticket_id, after_id=after_id, limit=limit + 1)
        return events, changes_beside(tx, ticket, after=after_change, limit=limit + 1)

    events, changes = database.read(look)
    entries = list(woven(events, changes))
    for one in entries[:limit]:
        if isinstance(one, Change):
            after_change = (one.at, one.id)
        else:
            after_id = one.id
    items = [_entry(one) if isinstance(one, Change) else one for one in entries[:limit]]
    if len(entries) <= limit:
        return items, None
    at_us, change_id = (0, 0) if after_change is None else (to_us(after_change[0]), after_change[1])
    return items, encode_cursor(_CURSOR, after_id, at_us, change_id)


def changes_beside(tx: ReadTx, ticket: Ticket, *, after: Place | None = None, limit: int) -> list[Change]:
    """What was changed in a ticket's services from shortly before it opened until it was over, the oldest first."""
    since, until = beside(ticket.opened_at, ticket.resolved_at or ticket.closed_at, tx.now)
    services = change_store.services_of(tx, ticket)
    if not services:
        return []
    return change_store.of_services(tx, services, since=since, until=until, after=after, limit=limit)


def _entry(change: Change) -> TimelineEntry:
    """A change as an entry. Its `id` is that of the change: no event stands behind it."""
    data = {name: getattr(change, name) for name in _SHOWN}
    return TimelineEntry(change.id, change.at, change.recorded_at, CHANGE, change.recorded_by, None, data)
