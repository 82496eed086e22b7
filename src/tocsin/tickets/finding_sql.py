"""The first tickets, in an order, of which what is asked for in words is true.

Texts are read last: of tickets that the index of words names, or that meet all else that is asked, in the order that is
asked for, and no more of them than it takes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, and_, func, select, type_coerce

from tocsin.kit.clock import from_us
from tocsin.query.tree import Node
from tocsin.storage.tx import ReadTx
from tocsin.tickets import text_store
from tocsin.tickets.model import tickets
from tocsin.tickets.rarity_sql import are_few, beside_indexes
from tocsin.tickets.text_store import DAY_US, Stretch

FIRST_BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class Limits:
    """How many tickets are fetched to be gone through: `hits` of the words; `others` that meet all but the words, and
    `both`, hits that are worth fetching for what they have in common with these; the `first` of those in order."""

    hits: int = text_store.MOST_HITS
    others: int = 30_000
    both: int = 100_000
    first: int = 1_000


LIMITS: Final = Limits()
Range = tuple[ColumnElement[bool], ...]


@dataclass(frozen=True, slots=True)
class Search:
    """`filters` are cheap to decide, `words` are those of `node`, by reading texts. Ordered by `key`, then id.
    All of it was opened from `since` to `until`, where they are known."""

    filters: Range
    node: Node
    words: ColumnElement[bool]
    key: ColumnElement[Any]
    descending: bool
    by_opening: bool
    since: datetime | None = None
    until: datetime | None = None

    @property
    def order(self) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        columns = self.key, tickets.c.id
        return (columns[0].desc(), columns[1].desc()) if self.descending else (columns[0].asc(), columns[1].asc())


def first_ids(tx: ReadTx, search: Search, *, limit: int, limits: Limits = LIMITS) -> list[int]:
    """The ids of the first tickets, in order."""
    candidates = text_store.narrowed(tx, search.node, most=limits.hits)
    if candidates is None:
        soon = _soon(tx, search, limit, limits)
        if soon is not None:
            return soon
        candidates = _others(tx, search, limits) if search.filters else None
    if candidates is None and not search.by_opening:
        candidates = text_store.narrowed(tx, search.node, most=limits.both)
    if candidates is not None:
        return _first_of(tx, search, candidates, limit)
    stretches = _stretches(tx, search, limits) if search.by_opening else None
    if stretches is None:
        return _walked(tx, search, (), limit)
    found: list[int] = []
    for stretch in stretches:
        left = limit - len(found)
        opened = _opened_in(stretch)
        found += _walked(tx, search, opened, left) if stretch.ids is None else _first_of(tx, search, stretch.ids, left)
        if len(found) == limit:
            break
    return found


def _others(tx: ReadTx, search: Search, limits: Limits) -> list[int] | None:
    """The tickets that meet all but the words, less those that have not got these; None when they are too many."""
    if not are_few(tx, and_(*search.filters), most=limits.others):
        return None
    others = list(tx.execute(select(tickets.c.id).where(*search.filters)).scalars())
    if len(others) <= limits.hits:
        return others
    hits = text_store.narrowed(tx, search.node, most=limits.both)
    return others if hits is None else sorted(set(others).intersection(hits))


def _first_of(tx: ReadTx, search: Search, candidates: Sequence[int], limit: int) -> list[int]:
    """The texts of candidates are read in the order that is asked for, some at a time."""
    if not candidates:
        return []
    key = type_coerce(search.key, BigInteger)
    statement = select(key.label("key"), tickets.c.id).where(text_store.among(tx, tickets.c.id, candidates))
    if search.filters:
        met = and_(*search.filters)
        statement = statement.where(beside_indexes(met) if tx.dialect == "sqlite" else met)
    rows = tx.execute(statement).all()
    ids = [row.id for row in sorted(rows, key=lambda row: (row.key, row.id), reverse=search.descending)]
    found: list[int] = []
    start, size = 0, max(FIRST_BATCH, 2 * limit)
    while start < len(ids) and len(found) < limit:
        found += _meeting(tx, search, ids[start : start + size])
        start, size = start + size, 2 * size
    return found[:limit]


def _meeting(tx: ReadTx, search: Search, ids: Sequence[int]) -> list[int]:
    """Those of which the words are true, in the order they are given."""
    meeting = set(
        tx.execute(select(tickets.c.id).where(text_store.among(tx, tickets.c.id, ids), search.words)).scalars()
    )
    return [ticket_id for ticket_id in ids if ticket_id in meeting]


def _soon(tx: ReadTx, search: Search, limit: int, limits: Limits) -> list[int] | None:
    """The first tickets, if they are among the first of all: what is in every title is."""
    some = select(tickets.c.id).where(*search.filters).order_by(*search.order).limit(limits.first)
    found = _meeting(tx, search, list(tx.execute(some).scalars()))
    return found[:limit] if len(found) >= limit else None


def _walked(tx: ReadTx, search: Search, opened: Range, limit: int) -> list[int]:
    """All tickets are read in the order that is asked for, until there are enough."""
    statement = select(tickets.c.id).where(*opened, *search.filters, search.words)
    return list(tx.execute(statement.order_by(*search.order).limit(limit)).scalars())


def _stretches(tx: ReadTx, search: Search, limits: Limits) -> Iterator[Stretch] | None:
    """The stretches of time that the tickets may be of."""
    opened = tickets.c.opened_at
    oldest, newest = (tx.execute(select(end)).scalar() for end in (func.min(opened), func.max(opened)))
    if oldest is None or newest is None:
        return iter(())
    first = text_store.day_of(oldest if search.since is None else max(oldest, search.since))
    last = text_store.day_of(newest if search.until is None else min(newest, search.until))
    return text_store.stretches(tx, search.node, first, last, descending=search.descending, most=limits.hits)


def _opened_in(stretch: Stretch) -> Range:
    begin, end = (from_us(day * DAY_US) for day in (stretch.first, stretch.last + 1))
    return tickets.c.opened_at >= begin, tickets.c.opened_at < end
