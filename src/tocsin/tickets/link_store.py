"""Every query about links between tickets."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, or_, select

from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets.links import INVERSE, Link
from tocsin.tickets.model import ticket_links as links
from tocsin.tickets.model import tickets


@dataclass(frozen=True, slots=True)
class LinkRow:
    """A link as one of its tickets shows it, with what the other one is."""

    kind: Link
    ticket_id: int
    title: str
    status: str
    linked_at: datetime
    linked_by: str


def of(tx: ReadTx, ticket_id: int, *, limit: int) -> list[LinkRow]:
    """The oldest links of a ticket."""
    statement = (
        select(links.c.kind, links.c.other_id, tickets.c.title, tickets.c.status, links.c.linked_at, links.c.linked_by)
        .join(tickets, tickets.c.id == links.c.other_id)
        .where(links.c.ticket_id == ticket_id)
        .order_by(links.c.linked_at, links.c.other_id, links.c.kind)
        .limit(limit)
    )
    return [LinkRow(Link(row[0]), *row[1:]) for row in tx.execute(statement)]


def between(tx: ReadTx, ticket_id: int, other_id: int) -> list[tuple[Link, int]]:
    """What a ticket is to another one."""
    mine = (links.c.ticket_id == ticket_id) & (links.c.other_id == other_id)
    return [(Link(row.kind), row.other_id) for row in tx.execute(select(links).where(mine).order_by(links.c.kind))]


def count(tx: ReadTx, ids: Collection[int]) -> int:
    """How many links the one of these tickets has that has the most."""
    many = select(func.count()).where(links.c.ticket_id.in_(sorted(ids))).group_by(links.c.ticket_id)
    return max(tx.execute(many).scalars(), default=0)


def add(
    tx: Tx, ticket_id: int, kind: Link, other_id: int, *, at: datetime | None = None, by: str | None = None
) -> None:
    """Link two tickets, now and by whoever does it, or as it was elsewhere."""
    shared = {"linked_at": at or tx.now, "linked_by": by or str(tx.actor)}
    tx.execute(
        insert(links),
        [
            {"ticket_id": ticket_id, "kind": kind.value, "other_id": other_id, **shared},
            {"ticket_id": other_id, "kind": INVERSE[kind].value, "other_id": ticket_id, **shared},
        ],
    )


def remove(tx: Tx, ticket_id: int, kind: Link, other_id: int) -> bool:
    """Take a link away, seen from both tickets; False when there is none."""
    mine = (links.c.ticket_id == ticket_id) & (links.c.kind == kind.value) & (links.c.other_id == other_id)
    theirs = (links.c.ticket_id == other_id) & (links.c.kind == INVERSE[kind].value) & (links.c.other_id == ticket_id)
    return tx.execute(delete(links).where(or_(mine, theirs))).rowcount > 0
