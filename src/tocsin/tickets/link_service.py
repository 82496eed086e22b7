"""Links between tickets: made and taken away, told of on both. Final tickets may be linked too."""

from typing import Final

from tocsin.kit.errors import Conflict, NotFound
from tocsin.kit.events import TicketLinked, TicketUnlinked
from tocsin.storage.tx import Tx
from tocsin.tickets import link_store, store
from tocsin.tickets.links import INVERSE, Link, check_link

MAX_LINKS: Final = 500


def hold_both(tx: Tx, ticket_id: int, other_id: int) -> dict[int, store.Ticket]:
    """Two tickets that nobody else can change until this transaction ends. Raises NotFound."""
    held = store.hold_many(tx, {ticket_id, other_id})
    for wanted in (ticket_id, other_id):
        if wanted not in held:
            raise NotFound(what="ticket", id=wanted)
    return held


def link(tx: Tx, ticket_id: int, kind: Link, other_id: int) -> None:
    """Link a ticket with another one. Raises Invalid, NotFound, Conflict."""
    hold_both(tx, ticket_id, other_id)
    check_link(ticket_id, kind, other_id, link_store.between(tx, ticket_id, other_id))
    if link_store.count(tx, {ticket_id, other_id}) >= MAX_LINKS:
        raise Conflict(detail=f"one of the two tickets has {MAX_LINKS} links already")
    link_store.add(tx, ticket_id, kind, other_id)
    tx.emit(
        TicketLinked(ticket_id, link=kind.value, other_id=other_id),
        TicketLinked(other_id, link=INVERSE[kind].value, other_id=ticket_id),
    )


def unlink(tx: Tx, ticket_id: int, kind: Link, other_id: int) -> None:
    """Take a link away, as either of its tickets shows it. Raises NotFound."""
    hold_both(tx, ticket_id, other_id)
    if not link_store.remove(tx, ticket_id, kind, other_id):
        raise NotFound(what=f"link {kind.value} of ticket {ticket_id} with ticket", id=other_id)
    tx.emit(
        TicketUnlinked(ticket_id, link=kind.value, other_id=other_id),
        TicketUnlinked(other_id, link=INVERSE[kind].value, other_id=ticket_id),
    )
