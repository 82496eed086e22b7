"""Every query of the import of tickets."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import insert, select, update

from tocsin.storage.model import counters
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import block_store, text_store
from tocsin.tickets.importing import Said
from tocsin.tickets.model import ticket_comments, ticket_links, tickets
from tocsin.tickets.store import IN_CLAUSE, set_tags
from tocsin.tickets.workflow import Status

_IMPORTS: Final = "imports"


def lock(tx: Tx) -> None:
    """Whoever else imports waits until this transaction ends."""
    tx.execute(update(counters).where(counters.c.name == _IMPORTS).values(value=counters.c.value + 1))


def known(tx: ReadTx, source: str, external_ids: Sequence[str]) -> dict[str, int]:
    """Those of these that were imported before, with their tickets."""
    wanted, found = sorted(set(external_ids)), dict[str, int]()
    for start in range(0, len(wanted), IN_CLAUSE):
        mine = (tickets.c.source == source) & tickets.c.external_id.in_(wanted[start : start + IN_CLAUSE])
        statement = select(tickets.c.external_id, tickets.c.id).where(mine)
        found.update((row.external_id, row.id) for row in tx.execute(statement))
    return found


def create(tx: Tx, rows: Sequence[dict[str, Any]]) -> list[int]:
    """Insert tickets as they are; returns their ids in the order of the rows."""
    if not rows:
        return []
    statement = insert(tickets).returning(tickets.c.id, sort_by_parameter_order=True)
    ids = list(tx.execute(statement, list(rows)).scalars())
    text_store.add_tickets(tx, dict(zip(ids, rows, strict=True)))
    closed = [ticket_id for ticket_id, row in zip(ids, rows, strict=True) if row["status"] == Status.CLOSED.value]
    block_store.forget(tx, closed)
    for ticket_id, row in zip(ids, rows, strict=True):
        if row["tags"]:
            set_tags(tx, ticket_id, row["tags"])
    return ids


def comment(tx: Tx, said: Sequence[tuple[int, Said]]) -> list[int]:
    """Insert comments of tickets as they are; returns their ids in the same order."""
    if not said:
        return []
    rows = [
        {"ticket_id": ticket_id, "text": one.text, "author": one.by, "created_at": one.at, "edited_at": one.edited_at,
         "version": 1 if one.edited_at is None else 2}
        for ticket_id, one in said
    ]  # fmt: skip
    statement = insert(ticket_comments).returning(ticket_comments.c.id, sort_by_parameter_order=True)
    ids = list(tx.execute(statement, rows).scalars())
    text_store.add_comments(
        tx, {one: (ticket_id, comment.text) for one, (ticket_id, comment) in zip(ids, said, strict=True)}
    )
    return ids


def links_of(tx: ReadTx, ids: Sequence[int]) -> set[tuple[int, str, int]]:
    """What these tickets are to others: ticket, kind, other."""
    link = ticket_links.c
    statement = select(link.ticket_id, link.kind, link.other_id).where(link.ticket_id.in_(sorted(set(ids))))
    return {(row.ticket_id, row.kind, row.other_id) for row in tx.execute(statement)}
