"""Taking the picture of a ticket: its row, its alerts, its SLA clocks, what is declared of its service, a record."""

from dataclasses import replace
from typing import Final

from tocsin.alerts import declaration_store, rule_store
from tocsin.alerts import store as alert_store
from tocsin.alerts.store import Alert
from tocsin.kit.errors import NotFound, Unavailable
from tocsin.logs.service import LogReader
from tocsin.notify.picture import FirstAlert, Picture
from tocsin.query.letters import fold
from tocsin.storage.tx import ReadTx
from tocsin.tickets import service as tickets
from tocsin.tickets import sla_service as sla

COUNTED: Final = 100
_ROW: Final = (
    "id", "title", "description", "status", "priority", "service", "team", "assignee", "tags", "opened_at", "opened_by",
    "acknowledged_at", "resolved_at", "closed_at", "reopen_count", "late_s", "recurrence_of", "merged_into", "impact",
    "urgency", "resolution_code", "resolution_note", "external_id", "source", "hold_reason", "held_until",
)  # fmt: skip
_ALERT: Final = (
    "id", "rule", "rule_version", "fingerprint", "status", "count", "pattern", "template", "opened_at",
    "first_seen_at", "last_seen_at", "first_record_id",
)  # fmt: skip


def take(tx: ReadTx, ticket_id: int) -> Picture:
    """What is known of a ticket, without its first record. `records` counts those of the newest 100 alerts. Raises
    NotFound."""
    ticket = tickets.get(tx, ticket_id)
    counted = alert_store.of_tickets(tx, ticket_id, limit=COUNTED)
    standing = sla.standings(tx, [ticket]).get(ticket_id)
    key = fold(ticket.service or "")
    return Picture(
        ticket={name: getattr(ticket, name) for name in _ROW},
        now=tx.now,
        alert=_first(tx, counted[-1]) if counted else None,
        alerts=len(counted),
        records=sum(alert.count for alert in counted),
        service=declaration_store.names(tx, [key]).get(key) if key else None,
        clocks={} if standing is None else standing.clocks,
        policy=None if standing is None else standing.assigned.policy,
    )


def _first(tx: ReadTx, alert: Alert) -> FirstAlert:
    facts = {name: getattr(alert, name) for name in _ALERT}
    return FirstAlert(facts, rule_store.definition(tx, alert.rule, alert.rule_version))


def with_record(picture: Picture, logs: LogReader) -> Picture:
    """The picture with the record that the ticket began with, if that is still kept. Reads outside a transaction."""
    record_id = 0 if picture.alert is None else int(picture.alert.facts["first_record_id"] or 0)
    if not record_id:
        return picture
    try:
        return replace(picture, record=logs.get(record_id))
    except (NotFound, Unavailable):  # expired, damaged, or too slow now: the rest is worth sending
        return picture
