"""The same done to many tickets, each in a transaction of its own: one that is refused does not stop the others."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from tocsin.kit.errors import FieldError, Invalid
from tocsin.kit.priorities import Priority
from tocsin.query.letters import fold
from tocsin.query.tree import Node
from tocsin.storage.database import Database
from tocsin.storage.tx import Tx
from tocsin.tickets import comment_service, service, store
from tocsin.tickets.service import NO_RESOLUTION, Resolution
from tocsin.tickets.store import Ticket, TicketQuery
from tocsin.tickets.workflow import Status

MAX_TICKETS: Final = 1000


@dataclass(frozen=True, slots=True)
class Doing:
    """What is done to each ticket: all of it, or nothing when a part is refused. `edits` is as for `service.change`.

    One that is still OPEN and is to be RESOLVED is taken up first, by its assignee or else by `taken_up_by`; it is
    refused where that is None.
    """

    edits: dict[str, Any]
    status: Status | None = None
    resolution: Resolution = NO_RESOLUTION
    priority: Priority | None = None
    add_tags: Collection[str] = ()
    remove_tags: Collection[str] = ()
    comment: str | None = None
    taken_up_by: str | None = None


def do(tx: Tx, ticket_id: int, doing: Doing) -> Ticket:
    """Do it to one ticket. Raises as each of the parts does."""
    edits = dict(doing.edits)
    if doing.add_tags or doing.remove_tags:
        away = {fold(tag) for tag in doing.remove_tags}
        edits["tags"] = [
            tag for tag in (*service.get(tx, ticket_id).tags, *doing.add_tags) if fold(tag.strip()) not in away
        ]
    if doing.priority is not None:
        service.prioritise(tx, ticket_id, doing.priority)
    if doing.status is Status.RESOLVED and doing.taken_up_by is not None:
        edits = _take_up(tx, ticket_id, edits, doing.taken_up_by)
    service.change(tx, ticket_id, status=doing.status, edits=edits, resolution=doing.resolution)
    if doing.comment is not None:
        comment_service.add(tx, ticket_id, doing.comment)
    return service.get(tx, ticket_id)


def _take_up(tx: Tx, ticket_id: int, edits: dict[str, Any], person: str) -> dict[str, Any]:
    """Walk the first of two moves with what is to be edited; what is left to edit with the second."""
    ticket = service.get(tx, ticket_id)
    if ticket.status is not Status.OPEN:
        return edits
    taken = {"assignee": ticket.assignee or person, **edits}
    service.change(tx, ticket_id, status=Status.IN_PROGRESS, edits=taken)
    return {}


def found_by(database: Database, condition: Node) -> list[int]:
    """The tickets that a query finds, by id. Raises Invalid for more than can be done at once."""
    query = TicketQuery(condition=condition, limit=MAX_TICKETS)
    found = database.read(lambda tx: store.page(tx, query, after=None, limit=MAX_TICKETS + 1))
    if len(found) > MAX_TICKETS:
        detail = f"it finds more than {MAX_TICKETS} tickets; ask for fewer at a time"
        raise Invalid(f"q: {detail}", errors=(FieldError("/q", detail),))
    return sorted(ticket.id for ticket in found)
