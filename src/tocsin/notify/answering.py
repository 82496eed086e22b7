"""A person answers a page: acknowledges a ticket or resolves it, from a message, a chat, a command or the API."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from tocsin.kit.actors import Actor
from tocsin.kit.errors import Conflict
from tocsin.kit.events import TicketAnswered
from tocsin.notify import link_store, links
from tocsin.notify.link_store import Use
from tocsin.notify.links import Link, NoLink, Verb
from tocsin.oncall import escalation_store
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import service as tickets
from tocsin.tickets.service import NO_RESOLUTION, Resolution
from tocsin.tickets.store import Ticket
from tocsin.tickets.workflow import UNRESOLVED, Status

TRIES: Final = 3
T = TypeVar("T")


class State(StrEnum):
    """How a link stands."""

    READY = "ready"
    DONE = "done"  # just now
    USED = "used"
    EXPIRED = "expired"
    NEEDLESS = "needless"  # somebody has done it, or the ticket is over
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Standing:
    """A link and its ticket as they stand now."""

    state: State
    link: Link | None = None
    ticket: Ticket | None = None
    use: Use | None = None


def answer(
    tx: Tx, ticket_id: int, verb: Verb, *, person: str, way: str, resolution: Resolution = NO_RESOLUTION
) -> tuple[Ticket, bool]:
    """Acknowledge or resolve a ticket as a person; whether that changed anything. Doing it again changes nothing.

    Resolving one that nobody had acknowledged walks both moves. Raises NotFound, Invalid, Conflict.
    """
    ticket = tickets.get(tx, ticket_id)
    if needless(tx, ticket, verb):
        return ticket, False
    tx.emit(TicketAnswered(ticket_id, answer=verb.value, person=person, way=way))
    if ticket.status is Status.OPEN:
        takes = {"assignee": person} if verb is Verb.ACKNOWLEDGE or ticket.assignee is None else {}
        ticket = tickets.change(tx, ticket_id, status=Status.IN_PROGRESS, edits=takes)
    if verb is Verb.RESOLVE:
        ticket = tickets.change(tx, ticket_id, status=Status.RESOLVED, edits={}, resolution=resolution)
    return ticket, True


def needless(tx: ReadTx, ticket: Ticket, verb: Verb) -> bool:
    """Whether what a verb asks for is so already, or can't be any more.

    A ticket that somebody has, and that calls again because nothing happened to it, is there to be acknowledged.
    """
    if verb is Verb.RESOLVE:
        return ticket.status not in UNRESOLVED
    if ticket.status is Status.IN_PROGRESS:
        return not escalation_store.is_calling(tx, ticket.id)
    return ticket.status is not Status.OPEN


def look(tx: ReadTx, token: str) -> Standing:
    """How a link stands; looking changes nothing."""
    try:
        link = links.read(token, link_store.keys(tx))
    except NoLink:
        return Standing(State.UNKNOWN)
    ticket = tickets.get(tx, link.ticket_id)
    use = link_store.use_of(tx, links.digest(token))
    return Standing(_state(tx, link, ticket, use), link, ticket, use)


def _state(tx: ReadTx, link: Link, ticket: Ticket, use: Use | None) -> State:
    if tx.now >= link.expires_at:
        return State.EXPIRED
    if use is not None:
        return State.USED
    return State.NEEDLESS if link.verb is Verb.OPEN or needless(tx, ticket, link.verb) else State.READY


def act(
    database: Database, token: str, *, way: str, person: str | None = None, resolution: Resolution = NO_RESOLUTION
) -> Standing:
    """Do what a link allows, as `person` who is known otherwise (a chat's user), else as the one it was sent to.

    That it was used is written in the transaction that acts: of two at once, one does. Raises Invalid, Conflict.
    """
    seen = database.read(lambda tx: look(tx, token))
    who = person or (seen.link.person if seen.link is not None else None)
    if seen.state is not State.READY or seen.link is None or who is None:
        return seen
    link, actor = seen.link, Actor(way, who)
    return _again_if_meanwhile(lambda: database.write(lambda tx: _use(tx, token, link, resolution), actor=actor))


def _use(tx: Tx, token: str, link: Link, resolution: Resolution) -> Standing:
    mark = links.digest(token)
    used_by = tx.actor.name
    if not link_store.use(
        tx, mark, ticket_id=link.ticket_id, verb=link.verb.value, used_by=used_by, expires_at=link.expires_at
    ):
        return look(tx, token)
    link_store.forget(tx)
    ticket, done = answer(tx, link.ticket_id, link.verb, person=used_by, way=tx.actor.kind, resolution=resolution)
    tx.settle()
    return Standing(State.DONE if done else State.NEEDLESS, link, tickets.get(tx, ticket.id))


def _again_if_meanwhile(work: Callable[[], T]) -> T:
    """Somebody changed the ticket at the same moment: what was asked for may still make sense."""
    for _ in range(TRIES - 1):
        try:
            return work()
        except Conflict:
            continue
    return work()
