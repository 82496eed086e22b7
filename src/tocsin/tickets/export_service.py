"""The use case of exporting tickets: each with everything that is known of it, a page at a time."""

from dataclasses import dataclass

from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx
from tocsin.tickets import export_store as store
from tocsin.tickets import service, sla_service
from tocsin.tickets.comment_store import Comment
from tocsin.tickets.link_store import LinkRow
from tocsin.tickets.sla import State
from tocsin.tickets.sla_service import Standing
from tocsin.tickets.store import Ticket, TicketQuery, TimelineEntry


@dataclass(frozen=True, slots=True)
class Whole:
    """A ticket with all that belongs to it. `met` says whether it kept its SLA, once that is known."""

    ticket: Ticket
    standing: Standing | None
    met: bool | None
    comments: list[Comment]
    links: list[LinkRow]
    events: list[TimelineEntry]


def page(database: Database, query: TicketQuery) -> tuple[list[Whole], str | None]:
    """A page of tickets as they are at one moment, and the cursor of the next."""
    return database.read(lambda tx: _page(tx, query))


def _page(tx: ReadTx, query: TicketQuery) -> tuple[list[Whole], str | None]:
    found, cursor = service.page(tx, query)
    ids = [one.id for one in found]
    standings = sla_service.standings(tx, found)
    comments, links, timelines = store.comments(tx, ids), store.links(tx, ids), store.timelines(tx, ids)
    whole = [
        Whole(one, standings.get(one.id), _met(one, standings.get(one.id)), comments[one.id], links[one.id],
              timelines[one.id])
        for one in found
    ]  # fmt: skip
    return whole, cursor


def _met(ticket: Ticket, standing: Standing | None) -> bool | None:
    if ticket.met_at_source is not None:
        return bool(ticket.met_at_source)
    state = None if standing is None else standing.state
    return {State.MET: True, State.MET_LATE: False, State.BREACHED: False}.get(state) if state else None
