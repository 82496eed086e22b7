"""Every query about who was called in a time, and how that ended."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select

from tocsin.proof.paging_costs import LOOKED_AT, Happened
from tocsin.storage.model import events
from tocsin.storage.tx import ReadTx

IN_CLAUSE: Final = 500
_TICKET: Final = "ticket:"


def pages_between(tx: ReadTx, since: datetime, until: datetime) -> list[tuple[int, str, datetime]]:
    """Ticket, person and time of each call, in order."""
    mine = (events.c.kind == "PersonPaged") & (events.c.at >= since) & (events.c.at < until)
    statement = select(events.c.subject, events.c.data, events.c.at).where(mine).order_by(events.c.at, events.c.id)
    return [(_ticket(row.subject), row.data["person"], row.at) for row in tx.execute(statement)]


def ends_of(tx: ReadTx, ticket_ids: Collection[int]) -> dict[int, list[Happened]]:
    """What tells how each of these tickets ended, in order."""
    subjects = [f"{_TICKET}{ticket_id}" for ticket_id in sorted(ticket_ids)]
    found: dict[int, list[Happened]] = {ticket_id: [] for ticket_id in ticket_ids}
    columns = (events.c.subject, events.c.at, events.c.kind, events.c.actor, events.c.data)
    for start in range(0, len(subjects), IN_CLAUSE):
        mine = events.c.subject.in_(subjects[start : start + IN_CLAUSE]) & events.c.kind.in_(LOOKED_AT)
        for row in tx.execute(select(*columns).where(mine).order_by(events.c.id)):
            found[_ticket(row.subject)].append(Happened(row.at, row.kind, row.actor, row.data))
    return found


def _ticket(subject: str) -> int:
    return int(subject.removeprefix(_TICKET))


def happened_to(tx: ReadTx, ticket_id: int, kinds: Collection[str]) -> list[Any]:
    """The events of a ticket of these kinds, oldest first."""
    mine = (events.c.subject == f"{_TICKET}{ticket_id}") & events.c.kind.in_(sorted(kinds))
    return list(tx.execute(select(events).where(mine).order_by(events.c.id)))
