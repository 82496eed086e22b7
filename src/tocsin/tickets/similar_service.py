"""The use case of looking for similar tickets of the past, and how they were resolved."""

from dataclasses import dataclass

from tocsin.storage.tx import ReadTx
from tocsin.tickets import service as tickets
from tocsin.tickets import similar_store as store
from tocsin.tickets.similar import Kin, Likeness, ranked, title_words
from tocsin.tickets.store import Ticket
from tocsin.tickets.workflow import UNRESOLVED


@dataclass(frozen=True, slots=True)
class Similar:
    """A ticket that is like another one. `resolved_by` is who moved it to RESOLVED."""

    ticket: Ticket
    likeness: Likeness
    resolved_by: str | None


def similar(tx: ReadTx, ticket_id: int, *, limit: int) -> list[Similar]:
    """The tickets most like this one, those that are over first. Raises NotFound."""
    ticket = tickets.get(tx, ticket_id)
    fingerprints = store.fingerprints(tx, ticket_id)
    words = title_words(ticket.title)
    mine = Kin(ticket.id, words, ticket.service, ticket.opened_by, fingerprints, ticket.status not in UNRESOLVED)
    by_words, rarity = store.with_words(tx, words)
    ids = by_words | store.with_fingerprints(tx, fingerprints) | store.newest_of_service(tx, ticket.service)
    best = dict(ranked(mine, store.kin_of(tx, ids, fingerprints), rarity, limit=limit))
    who = store.resolved_by(tx, best)
    return [Similar(tickets.get(tx, other_id), like, who.get(other_id)) for other_id, like in best.items()]
