"""Every query that tells which alert follows from which: what fires upstream, what has opened downstream."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, func, or_, select

from tocsin.alerts.model import alerts
from tocsin.alerts.store import still_fires
from tocsin.alerts.suppression import FLAP, INHIBITION, SILENCE, alike, parts
from tocsin.kit.events import TicketEffectSuspected
from tocsin.storage.model import events
from tocsin.storage.tx import ReadTx
from tocsin.tickets.inhibition import LEAST
from tocsin.tickets.model import tickets
from tocsin.tickets.workflow import UNRESOLVED

IN_CLAUSE: Final = 500


@dataclass(frozen=True, slots=True)
class WithTicket:
    """An alert of a service (by key) with its unresolved ticket and that one's priority."""

    alert_id: int
    service_key: str
    service: str
    ticket_id: int
    priority: int


def _with_ticket() -> Select[Any]:
    """One alert, the oldest, for each service and ticket that is not resolved."""
    unresolved = tickets.c.status.in_(sorted(UNRESOLVED)) & alerts.c.ended_at.is_(None)
    columns = (
        func.min(alerts.c.id).label("alert_id"),
        alerts.c.service_key,
        func.min(alerts.c.service).label("service"),
        alerts.c.ticket_id,
        tickets.c.priority,
    )
    joined = select(*columns).join(tickets, tickets.c.id == alerts.c.ticket_id).where(unresolved)
    return joined.group_by(alerts.c.service_key, alerts.c.ticket_id, tickets.c.priority)


def _among(tx: ReadTx, keys: Iterable[str], *wanted: ColumnElement[bool], limit: int | None = None) -> list[WithTicket]:
    names, found = sorted(keys), list[WithTicket]()
    for start in range(0, len(names), IN_CLAUSE):
        inside = alerts.c.service_key.in_(names[start : start + IN_CLAUSE])
        statement = _with_ticket().where(inside, *wanted).order_by(func.min(alerts.c.id)).limit(limit)
        found += [WithTicket(**row._mapping) for row in tx.execute(statement)]
    return found[:limit]


def firing(tx: ReadTx, keys: Iterable[str], since: datetime) -> list[WithTicket]:
    """What fires now at these services: an open alert that no silence hides, which opened at `since` or later by the
    server's clock or fires still (see `still_fires`), with a ticket that is urgent enough and not resolved."""
    shown = or_(alerts.c.suppressed_by.is_(None), alerts.c.suppressed_by.not_like(alike(SILENCE)))
    lately = or_(alerts.c.opened_at >= since, still_fires(since))
    return _among(tx, keys, shown, lately, tickets.c.priority <= int(LEAST))


def opened_since(tx: ReadTx, keys: Iterable[str], since: datetime, *, limit: int) -> list[WithTicket]:
    """Alerts of these services that opened then or later and have a ticket that is theirs."""
    own = or_(alerts.c.suppressed_by.is_(None), alerts.c.suppressed_by == FLAP)
    return _among(tx, keys, alerts.c.opened_at >= since, own, limit=limit)


def gathered(tx: ReadTx, ticket_of_key: Mapping[str, int]) -> dict[str, int]:
    """Those of these correlation keys that came to their ticket because of an alert elsewhere, with that alert's id."""
    wanted, found = sorted(ticket_of_key), dict[str, int]()
    for start in range(0, len(wanted), IN_CLAUSE):
        inside = alerts.c.correlation_key.in_(wanted[start : start + IN_CLAUSE])
        because = alerts.c.suppressed_by.like(alike(INHIBITION)) & alerts.c.ended_at.is_(None)
        columns = (alerts.c.correlation_key, alerts.c.ticket_id, alerts.c.suppressed_by)
        for row in tx.execute(select(*columns).where(inside, because).order_by(alerts.c.id)):
            if row.ticket_id == ticket_of_key[row.correlation_key]:
                found[row.correlation_key] = int(parts(row.suppressed_by)[1] or 0)
    return found


def services_of(tx: ReadTx, alert_ids: Collection[int]) -> dict[int, tuple[str, str]]:
    """The service of each alert: its key and its name."""
    columns = (alerts.c.id, alerts.c.service_key, alerts.c.service)
    statement = select(*columns).where(alerts.c.id.in_(sorted(alert_ids)))
    return {row.id: (row.service_key, row.service) for row in tx.execute(statement)}


def suspected(tx: ReadTx, ticket_id: int) -> set[int]:
    """The tickets that a ticket is said to have caused."""
    told = (events.c.subject == f"ticket:{ticket_id}") & (events.c.kind == TicketEffectSuspected.__name__)
    return {data["effect_ticket_id"] for data in tx.execute(select(events.c.data).where(told)).scalars()}
