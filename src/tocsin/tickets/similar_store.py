"""Where similar tickets may be found: by their alerts, by the rare words of their titles, among those of a service."""

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import func, or_, select

from tocsin.alerts.model import alerts
from tocsin.query.terms import AllOf, Has, Need
from tocsin.query.tree import Named
from tocsin.storage.model import events
from tocsin.storage.tx import ReadTx
from tocsin.tickets import text_store
from tocsin.tickets.model import tickets
from tocsin.tickets.similar import Kin, Rarity, title_words
from tocsin.tickets.workflow import UNRESOLVED

NEWEST: Final = 200  # of each way
MOST_FINGERPRINTS: Final = 50
MOST_WORDS: Final = 12


def fingerprints(tx: ReadTx, ticket_id: int) -> dict[str, str]:
    """The fingerprints of a ticket's newest alerts, with their templates."""
    mine = select(alerts.c.fingerprint, alerts.c.template).where(alerts.c.ticket_id == ticket_id)
    rows = tx.execute(mine.order_by(alerts.c.id.desc()).limit(MOST_FINGERPRINTS))
    return {row.fingerprint: row.template for row in rows}


def with_fingerprints(tx: ReadTx, wanted: Collection[str]) -> set[int]:
    """The newest tickets that gathered an alert with each of these fingerprints."""
    found: set[int] = set()
    for fingerprint in wanted:
        same = (alerts.c.fingerprint == fingerprint) & alerts.c.ticket_id.is_not(None)
        newest = select(alerts.c.ticket_id).where(same).order_by(alerts.c.opened_at.desc()).limit(NEWEST)
        found.update(tx.execute(newest).scalars())
    return found


def newest_of_service(tx: ReadTx, service: str | None) -> set[int]:
    """The newest tickets of a service."""
    if service is None:
        return set()
    newest = select(tickets.c.id).where(tickets.c.service == service)
    return set(tx.execute(newest.order_by(tickets.c.opened_at.desc(), tickets.c.id.desc()).limit(NEWEST)).scalars())


def with_words(tx: ReadTx, words: Collection[str]) -> tuple[set[int], Rarity]:
    """The newest tickets with one of these words that are rare, or with all of them; and how rare each is."""
    having: dict[str, int] = {}
    found: set[int] = set()
    needs: list[Need] = []
    for word in sorted(words, key=lambda word: (-len(word), word))[:MOST_WORDS]:
        needs.append(Has(Named("title"), (f"={word}",)))
        hits = text_store.tickets_with(tx, needs[-1])
        if hits is not None:
            having[word] = len(hits)
            found.update(sorted(hits)[-NEWEST:])
    if len(needs) > 1 and len(found) < NEWEST:
        found.update(text_store.newest_with(tx, AllOf(tuple(needs)), limit=NEWEST))
    highest = tx.execute(select(func.max(tickets.c.id))).scalar_one()
    return found, Rarity(int(highest or 0), having)


def kin_of(tx: ReadTx, ids: Collection[int], like: Mapping[str, str]) -> list[Kin]:
    """What is compared of these tickets; of their alerts only those that have something in common with `like`."""
    wanted = sorted(ids)
    t = tickets.c
    rows = tx.execute(
        select(t.id, t.title, t.service, t.opened_by, t.status).where(text_store.among(tx, t.id, wanted))
    ).all()
    theirs: dict[int, dict[str, str]] = {}
    if like:
        alike = or_(alerts.c.fingerprint.in_(sorted(like)), alerts.c.template.in_(sorted(set(like.values()))))
        both = select(alerts.c.ticket_id, alerts.c.fingerprint, alerts.c.template)
        for row in tx.execute(both.where(text_store.among(tx, alerts.c.ticket_id, wanted), alike).distinct()):
            theirs.setdefault(row.ticket_id, {})[row.fingerprint] = row.template
    return [
        Kin(
            row.id,
            title_words(row.title),
            row.service,
            row.opened_by,
            theirs.get(row.id, {}),
            is_over=row.status not in UNRESOLVED,
        )
        for row in rows
    ]


def resolved_by(tx: ReadTx, ids: Collection[int]) -> dict[int, str]:
    """Who resolved each of these tickets, the last time that was done."""
    subjects = {f"ticket:{ticket_id}": ticket_id for ticket_id in ids}
    moves = (events.c.kind == "TicketMoved") & events.c.subject.in_(sorted(subjects))
    statement = select(events.c.subject, events.c.actor, events.c.data).where(moves).order_by(events.c.id)
    return {subjects[row.subject]: row.actor for row in tx.execute(statement) if row.data["after"] == "RESOLVED"}
