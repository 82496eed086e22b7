"""Every query about what a rule really led to in some span."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import or_, select

from tocsin.alerts.model import alerts
from tocsin.alerts.suppression import FLAP
from tocsin.kit.clock import to_us
from tocsin.kit.events import AlertEnded, AlertOpened, TicketOpened, TicketReopened
from tocsin.proof.comparing import Real, RealAlert
from tocsin.storage.model import events
from tocsin.storage.tx import ReadTx

IN_CLAUSE: Final = 500
_ALERT: Final = (
    alerts.c.id,
    alerts.c.fingerprint,
    alerts.c.ticket_id,
    alerts.c.service,
    alerts.c.title,
    alerts.c.opened_at,
    alerts.c.ended_at,
    alerts.c.first_record_id,
)


def really(tx: ReadTx, rule: str, since: datetime, until: datetime, *, most: int) -> Real:
    """What became of a rule's records in [since, until), by the alerts of that name."""
    inside = (alerts.c.opened_at < until) & or_(alerts.c.ended_at.is_(None), alerts.c.ended_at > since)
    statement = select(*_ALERT).where(alerts.c.rule == rule, inside).order_by(alerts.c.id).limit(most + 1)
    rows = [RealAlert(**row._mapping) for row in tx.execute(statement)]
    found = rows[:most]
    mine = {alert.id: alert for alert in found}
    tickets = sorted({alert.ticket_id for alert in found if alert.ticket_id is not None})
    moved = _events(tx, [f"ticket:{ticket}" for ticket in tickets], (TicketOpened, TicketReopened), since, until)
    brought = [(row.kind, row.data["ticket_id"], row.data["alert_id"]) for row in moved if row.data["alert_id"] in mine]
    openings = _events(tx, [f"alert:{alert_id}" for _, _, alert_id in brought], (AlertOpened,), since, until)
    ended = _events(tx, [f"alert:{alert.id}" for alert in found if alert.ended_at], (AlertEnded,), since, until)
    return Real(
        alerts=found,
        opened=[(ticket, alert) for kind, ticket, alert in brought if kind == TicketOpened.__name__],
        reopened=[(ticket, alert) for kind, ticket, alert in brought if kind == TicketReopened.__name__],
        resolved=[(to_us(row.at), mine[row.data["alert_id"]].fingerprint) for row in ended],
        flapping=frozenset(row.data["alert_id"] for row in openings if row.data["suppressed_by"] == FLAP),
        more=len(rows) > most,
    )


def _events(tx: ReadTx, subjects: Sequence[str], kinds: Sequence[type], since: datetime, until: datetime) -> list[Any]:
    """Events about these subjects, oldest first."""
    found: list[Any] = []
    for start in range(0, len(subjects), IN_CLAUSE):
        about = events.c.subject.in_(subjects[start : start + IN_CLAUSE])
        of_kind = events.c.kind.in_([kind.__name__ for kind in kinds])
        then = (events.c.at >= since) & (events.c.at < until)
        columns = (events.c.id, events.c.at, events.c.kind, events.c.data)
        found += tx.execute(select(*columns).where(about, of_kind, then)).all()
    return sorted(found, key=lambda row: int(row.id))
