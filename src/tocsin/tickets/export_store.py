"""Every query of the export of tickets: what belongs to some of them, all at once."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import select

from tocsin.storage.model import events
from tocsin.storage.tx import ReadTx
from tocsin.tickets.comment_store import Comment
from tocsin.tickets.link_store import LinkRow
from tocsin.tickets.links import Link
from tocsin.tickets.model import ticket_comments, ticket_links, tickets
from tocsin.tickets.store import IN_CLAUSE, TimelineEntry


def _some(ids: Collection[int]) -> Iterator[list[int]]:
    wanted = sorted(ids)
    for start in range(0, len(wanted), IN_CLAUSE):
        yield wanted[start : start + IN_CLAUSE]


def comments(tx: ReadTx, ids: Collection[int]) -> dict[int, list[Comment]]:
    """The comments of each of these tickets, oldest first."""
    found: dict[int, list[Comment]] = defaultdict(list)
    c = ticket_comments.c
    for some in _some(ids):
        for row in tx.execute(select(ticket_comments).where(c.ticket_id.in_(some)).order_by(c.ticket_id, c.id)):
            found[row.ticket_id].append(Comment(**row._mapping))
    return found


def links(tx: ReadTx, ids: Collection[int]) -> dict[int, list[LinkRow]]:
    """The links of each of these tickets, oldest first."""
    found: dict[int, list[LinkRow]] = defaultdict(list)
    link = ticket_links.c
    columns = (link.ticket_id, link.kind, link.other_id, tickets.c.title, tickets.c.status, link.linked_at,
               link.linked_by)  # fmt: skip
    for some in _some(ids):
        statement = select(*columns).join(tickets, tickets.c.id == link.other_id).where(link.ticket_id.in_(some))
        for row in tx.execute(statement.order_by(link.linked_at, link.other_id, link.kind)):
            found[row[0]].append(LinkRow(Link(row[1]), *row[2:]))
    return found


def timelines(tx: ReadTx, ids: Collection[int]) -> dict[int, list[TimelineEntry]]:
    """The events of each of these tickets, oldest first."""
    id_of = {f"ticket:{ticket_id}": ticket_id for ticket_id in ids}
    found: dict[int, list[TimelineEntry]] = defaultdict(list)
    e = events.c
    columns: Sequence[object] = (e.subject, e.id, e.at, e.recorded_at, e.kind, e.actor, e.cause_id, e.data)
    subjects = sorted(id_of)
    for start in range(0, len(subjects), IN_CLAUSE):
        mine = e.subject.in_(subjects[start : start + IN_CLAUSE])
        for row in tx.execute(select(*columns).where(mine).order_by(e.id)):  # type: ignore[call-overload]
            found[id_of[row[0]]].append(TimelineEntry(*row[1:]))
    return found
