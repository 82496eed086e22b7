"""Use cases of postmortems: the draft as it is now, what people wrote in its place, and back to the draft.

A ticket that is CLOSED has one as well: it is then that people look back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from tocsin.alerts import store as alert_store
from tocsin.alerts.store import Alert
from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import NotFound, PreconditionFailed
from tocsin.kit.events import TicketPostmortemDropped, TicketPostmortemSaved
from tocsin.kit.priorities import Priority
from tocsin.logs.record import Record
from tocsin.logs.service import LogReader
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import (
    comment_store,
    link_store,
    service,
    sla,
    sla_service,
    sla_store,
    store,
    timeline_service,
)
from tocsin.tickets import postmortem_store as written
from tocsin.tickets.change_store import Change
from tocsin.tickets.changes import woven
from tocsin.tickets.link_service import MAX_LINKS, hold_both
from tocsin.tickets.postmortem import (
    AlertPart,
    ChangePart,
    Durations,
    Entry,
    Head,
    Line,
    Matter,
    Target,
    TicketPart,
    draft,
)
from tocsin.tickets.postmortem_store import Written
from tocsin.tickets.store import Ticket, TimelineEntry
from tocsin.tickets.telling import told

MAX_ENTRIES: Final = 500
MAX_ALERTS: Final = 50
MAX_CHANGES: Final = 100
MAX_ALIKE: Final = 10
MAX_KEYS: Final = 200
MAX_COMMENTS: Final = 200
EXTRACTS: Final = 20  # so many alerts are shown with
FIRST_RECORDS: Final = 3  # so many records each
_CURSOR: Final = "postmortem"
# The comments themselves are there; of itself a postmortem says nothing.
_LEFT_OUT: Final = ("TicketComment", "TicketPostmortem")


@dataclass(frozen=True, slots=True)
class Postmortem:
    """The document of a ticket. `generated`: it is the draft, which nobody has written over."""

    ticket_id: int
    text: str
    version: int
    generated: bool
    written: Written | None = None


def get(database: Database, logs: LogReader, ticket_id: int, *, version: int | None = None) -> Postmortem:
    """What people wrote last, or in that version; else the draft, made of what is known now. Raises NotFound."""

    def look(tx: ReadTx) -> tuple[Written | None, "_Found | None"]:
        ticket = service.get(tx, ticket_id)
        if version is not None:
            return _version(tx, ticket_id, version), None
        newest = written.newest(tx, ticket_id)
        return newest, None if newest is not None and newest.text is not None else _look(tx, ticket)

    newest, found = database.read(look)
    if newest is not None and newest.text is not None:
        return Postmortem(ticket_id, newest.text, newest.version, generated=False, written=newest)
    assert found is not None
    text = draft(found.matter(_first_records(logs, found.records)))
    return Postmortem(ticket_id, text, 0 if newest is None else newest.version, generated=True)


def _version(tx: ReadTx, ticket_id: int, version: int) -> Written:
    found = written.get(tx, ticket_id, version)
    if found is None or found.text is None:
        raise NotFound(what=f"text of the postmortem of ticket {ticket_id} in version", id=version)
    return found


def save(tx: Tx, ticket_id: int, text: str, *, seen_version: int | None = None) -> Written:
    """Write over the draft, or over what was written before; that stays as a version. The same text makes none.

    Raises NotFound, PreconditionFailed.
    """
    before = _held(tx, ticket_id, seen_version)
    if before is not None and before.text == text:
        return before
    version = 1 if before is None else before.version + 1
    written.add(tx, ticket_id, version, text)
    tx.emit(TicketPostmortemSaved(ticket_id, version))
    return Written(version, text, tx.now, str(tx.actor))


def drop(tx: Tx, ticket_id: int, *, seen_version: int | None = None) -> None:
    """Let the draft hold again. What was written stays as a version. Raises NotFound, PreconditionFailed."""
    before = _held(tx, ticket_id, seen_version)
    if before is None or before.text is None:
        return
    written.add(tx, ticket_id, before.version + 1, None)
    tx.emit(TicketPostmortemDropped(ticket_id, before.version + 1))


def _held(tx: Tx, ticket_id: int, seen_version: int | None) -> Written | None:
    """What is written; nobody else can write until this transaction ends."""
    hold_both(tx, ticket_id, ticket_id)
    found = written.newest(tx, ticket_id)
    version = 0 if found is None else found.version
    if seen_version is not None and version != seen_version:
        raise PreconditionFailed(version=version, wanted=seen_version)
    return found


def version_of(tx: ReadTx, ticket_id: int) -> int:
    """The version that holds; 0 as long as nobody has written anything. Raises NotFound."""
    service.get(tx, ticket_id)
    found = written.newest(tx, ticket_id)
    return 0 if found is None else found.version


def versions(database: Database, ticket_id: int, *, cursor: str | None, limit: int) -> tuple[list[Written], str | None]:
    """A page of what was written, the newest first, and the cursor of the next. Raises NotFound."""
    before = None if cursor is None else int(decode_cursor(cursor, _CURSOR, int)[0])

    def look(tx: ReadTx) -> list[Written]:
        service.get(tx, ticket_id)
        return written.page(tx, ticket_id, before=before, limit=limit + 1)

    found = database.read(look)
    items = found[:limit]
    return items, encode_cursor(_CURSOR, items[-1].version) if len(found) > limit else None


@dataclass(frozen=True, slots=True)
class _Found:
    """What the database knows of a ticket, in one look."""

    head: Head
    durations: Durations
    timeline: list[Entry]
    alerts: list[Alert]
    more_alerts: bool
    changes: list[ChangePart]
    tickets: list[TicketPart]
    records: dict[int, list[int]]

    def matter(self, lines: Mapping[int, tuple[list[Line], int]]) -> Matter:
        return Matter(
            head=self.head,
            durations=self.durations,
            timeline=self.timeline[:MAX_ENTRIES],
            more_entries=len(self.timeline) > MAX_ENTRIES,
            alerts=[_alert_part(one, *lines.get(one.id, ([], 0))) for one in self.alerts],
            more_alerts=self.more_alerts,
            changes=self.changes,
            tickets=self.tickets,
        )


def _look(tx: ReadTx, ticket: Ticket) -> _Found:
    found = alert_store.of_tickets(tx, ticket.id, limit=MAX_ALERTS + 1)
    alerts = sorted(found[:MAX_ALERTS], key=lambda one: one.id)
    changes = timeline_service.changes_beside(tx, ticket, limit=MAX_CHANGES)
    return _Found(
        head=_head(ticket),
        durations=_durations(tx, ticket),
        timeline=_entries(tx, ticket, changes),
        alerts=alerts,
        more_alerts=len(found) > MAX_ALERTS,
        changes=[ChangePart(one.at, one.service, one.summary, one.ref, one.author, one.url) for one in changes],
        tickets=_tickets(tx, ticket),
        records={one.id: _first_ids(tx, one) for one in alerts[:EXTRACTS]},
    )


def _first_ids(tx: ReadTx, alert: Alert) -> list[int]:
    """The first records of an alert that are known: those it opened with, and those of the next commits."""
    later = alert_store.early_records(tx, alert.id, FIRST_RECORDS)
    return [one for one in sorted({alert.first_record_id, *alert.samples, *later}) if one][:FIRST_RECORDS]


def _head(ticket: Ticket) -> Head:
    same = {name: getattr(ticket, name) for name in Head.__dataclass_fields__ if name not in {"status", "priority"}}
    return Head(status=ticket.status.value, priority=Priority(ticket.priority).name, **same)


def _durations(tx: ReadTx, ticket: Ticket) -> Durations:
    facts = sla.replay(sla_store.happened(tx, [ticket.id])[ticket.id])
    holds = list(facts.holds)
    if facts.held_since is not None:
        holds.append((facts.held_since, tx.now if facts.held_until is None else min(tx.now, facts.held_until)))
    standing = sla_service.standings(tx, [ticket]).get(ticket.id)
    clocks = {} if standing is None else standing.clocks
    return Durations(
        to_acknowledge=_seconds(ticket.time_to_acknowledge_s),
        to_resolve=_seconds(ticket.time_to_resolve_s),
        on_hold=sum((ended - begun for begun, ended in holds), timedelta(0)),
        policy=None if standing is None else standing.assigned.policy,
        targets=tuple(
            Target(one.name, one.state.value.replace("_", " "), one.elapsed, one.remaining) for one in clocks.values()
        ),
    )


def _seconds(count: float | None) -> timedelta | None:
    return None if count is None else timedelta(seconds=count)


def _entries(tx: ReadTx, ticket: Ticket, changes: list[Change]) -> list[Entry]:
    """What happened, was changed and was said, one more than there is room for."""
    events = store.timeline(tx, ticket.id, after_id=0, limit=MAX_ENTRIES + 1)
    shown = [one for one in events if not one.kind.startswith(_LEFT_OUT)]
    comments = comment_store.page(tx, ticket.id, after_id=0, limit=MAX_COMMENTS)
    said = [Entry(one.created_at, one.author, f"“{one.text}”") for one in comments if one.deleted_at is None]
    beside = sorted([*map(_of_change, changes), *said], key=lambda one: one.at)
    return list(woven([_of_event(one) for one in shown], beside))[: MAX_ENTRIES + 1]


def _of_event(one: TimelineEntry) -> Entry:
    return Entry(one.at, one.actor, told(one.kind, one.data))


def _of_change(one: Change) -> Entry:
    facts: dict[str, Any] = {name: getattr(one, name) for name in ("service", "summary", "ref", "author")}
    return Entry(one.at, one.recorded_by, told(timeline_service.CHANGE, facts))


def _tickets(tx: ReadTx, ticket: Ticket) -> list[TicketPart]:
    """What a ticket is linked with, and what had the same kind of trouble."""
    links = link_store.of(tx, ticket.id, limit=MAX_LINKS)
    parts = [TicketPart(one.ticket_id, one.kind.value.replace("_", " "), one.status, one.title) for one in links]
    keys = alert_store.keys_of_ticket(tx, ticket.id)[:MAX_KEYS]
    known = {ticket.id, *(one.ticket_id for one in links)}
    others = (store.get(tx, one) for one in written.alike(tx, keys, known, limit=MAX_ALIKE)) if keys else ()
    for other in others:
        if other is not None:
            relation = "recurrence of" if ticket.recurrence_of == other.id else "same kind of trouble"
            resolution = ": ".join(part for part in (other.resolution_code, other.resolution_note) if part)
            parts.append(TicketPart(other.id, relation, other.status.value, other.title, resolution or None))
    return parts


def _first_records(logs: LogReader, ids_of: Mapping[int, list[int]]) -> dict[int, tuple[list[Line], int]]:
    """The first records of each alert, and how many of them can't be read any more."""
    found: dict[int, tuple[list[Line], int]] = {}
    for alert_id, ids in ids_of.items():
        records = [record for record in (_record(logs, one) for one in ids) if record is not None]
        lines = [Line(one.id, one.timestamp, one.level, one.service, one.message) for one in records]
        found[alert_id] = (lines, len(ids) - len(lines))
    return found


def _record(logs: LogReader, record_id: int) -> Record | None:
    try:
        return logs.get(record_id)
    except NotFound:
        return None


def _alert_part(one: Alert, lines: list[Line], lost: int) -> AlertPart:
    return AlertPart(
        one.id, one.rule, one.status, one.count, one.first_seen_at, one.last_seen_at, one.title, tuple(lines), lost
    )
