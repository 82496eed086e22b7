"""Explain a ticket: why it opened, the exact record it began with, and how each of its alerts came to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tocsin.alerts import rule_store
from tocsin.alerts import store as alert_store
from tocsin.alerts.store import Alert
from tocsin.kit.errors import NotFound
from tocsin.logs.record import Record
from tocsin.logs.service import LogReader
from tocsin.proof import sentences, store
from tocsin.proof.explain import MAX_ALERTS, alert_state, record_or_none, way_to_ticket, window_first_log
from tocsin.proof.facts import Happening
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx
from tocsin.tickets import store as ticket_store
from tocsin.tickets.store import Ticket

MAX_EVENTS: Final = 200


@dataclass(frozen=True, slots=True)
class AlertOnTicket:
    """An alert as it is now, and how it came to its ticket. `first_log_id` as in `AlertState`."""

    id: int
    status: str
    rule: str
    count: int
    first_log_id: int | None
    suppressed_by: str | None
    how: str
    why: str


@dataclass(frozen=True, slots=True)
class TicketExplained:
    """A ticket from the record that it began with. `first_alert_id` opened it, and may be on another one by now.

    `first_log_id` is the record that this alert began with, and `window_first_log_id` the first one of the window that
    this completed. `alerts` are the newest ones of `alert_count`; `events` the first ones of the ticket.
    """

    summary: str
    id: int
    status: str
    title: str
    opened_by: str
    opened_at: datetime
    recurrence_of: int | None
    released_from: int | None
    merged_into: int | None
    first_alert_id: int | None
    first_log_id: int | None
    window_first_log_id: int | None
    first_record: Record | None
    alert_count: int
    alerts: Sequence[AlertOnTicket]
    events: Sequence[Happening]


def explain_ticket(database: Database, logs: LogReader, ticket_id: int) -> TicketExplained:
    """Why a ticket opened and what came to it. Raises NotFound."""
    first = database.read(lambda tx: _first_alert(tx, ticket_id))
    record = None if first is None else record_or_none(logs, first.first_record_id)
    return database.read(lambda tx: _explained(tx, ticket_id, record))


def _first_alert(tx: ReadTx, ticket_id: int) -> Alert | None:
    alert_id = store.first_alert_of_ticket(tx, ticket_id)
    return None if alert_id is None else alert_store.get(tx, alert_id)


def _explained(tx: ReadTx, ticket_id: int, record: Record | None) -> TicketExplained:
    ticket = ticket_store.get(tx, ticket_id)
    if ticket is None:
        raise NotFound(what="ticket", id=ticket_id)
    first = _first_alert(tx, ticket_id)
    window_first = None if first is None else window_first_log(tx, first)
    count = alert_store.count_of_ticket(tx, ticket_id)
    return TicketExplained(
        summary=_summary(tx, ticket, first, window_first, count),
        id=ticket.id,
        status=ticket.status.value,
        title=ticket.title,
        opened_by=ticket.opened_by,
        opened_at=ticket.opened_at,
        recurrence_of=ticket.recurrence_of,
        released_from=ticket.released_from,
        merged_into=ticket.merged_into,
        first_alert_id=None if first is None else first.id,
        first_log_id=None if first is None else first.first_record_id or None,
        window_first_log_id=window_first,
        first_record=record,
        alert_count=count,
        alerts=[_on_ticket(tx, one) for one in alert_store.of_tickets(tx, ticket_id, limit=MAX_ALERTS)],
        events=store.events_of_ticket(tx, ticket_id, limit=MAX_EVENTS),
    )


def _on_ticket(tx: ReadTx, alert: Alert) -> AlertOnTicket:
    state, ticket_id = alert_state(alert), alert.ticket_id or 0
    events = store.events_of_alert(tx, alert.id, ticket_id)
    brought = next((one for one in events if one.subject == f"ticket:{ticket_id}"), None)
    how, why = way_to_ticket(brought, store.storm_of(tx, ticket_id))
    if brought is None:
        other = store.merge_of_alert(tx, ticket_id, alert.id)
        how, why = (how, why) if other is None else ("merged", f"It came with ticket {other}, which was merged.")
    return AlertOnTicket(
        state.id, state.status, state.rule, state.count, state.first_log_id, alert.suppressed_by, how, why
    )


def _summary(tx: ReadTx, ticket: Ticket, first: Alert | None, window_first: int | None, count: int) -> str:
    many = {0: "no alert is on it", 1: "1 alert is on it"}.get(count, f"{count} alerts are on it")
    now = f"it is {ticket.status.value}"
    if ticket.merged_into is not None:
        now = f"it was merged into ticket {ticket.merged_into}"
    if first is None:
        return f"{ticket.opened_by} opened it, without any record; {many}; {now}."
    rule = rule_store.definition(tx, first.rule, first.rule_version)
    began = sentences.why_opened(rule, first.rule, first.rule_version, first.first_record_id or None)
    window = sentences.why_window(first.first_record_id, window_first)
    storm = "" if ticket.opened_by != ticket_store.BY_STORM else "; it is that of a storm, in which this came first"
    return f"{began}{window}{storm}; {many}; {now}."
