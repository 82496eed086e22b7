"""The index of words over tickets and their comments, and every query of it. Written beside each text it is about.

SQLite has it as FTS5 tables without content, PostgreSQL as `tsvector`s under a GIN index. What stands in it are the
terms of `query.terms` on both, so that one set of rules decides what is found: the databases' own readers of texts
differ from these rules and from each other. No trigger could make them, so the stores do that, in the transaction of
the text: `store`, `import_store` and `comment_store` are all that write texts.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, TextClause, any_, exists, false, func, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from tocsin.kit.clock import to_us
from tocsin.query.patterns import text_test
from tocsin.query.terms import (
    SPANS,
    AllOf,
    Has,
    Need,
    OneOf,
    all_in_one,
    any_part,
    need_of,
    span_term,
    terms_of,
    time_terms,
)
from tocsin.query.tree import And, Anywhere, Exists, Leaf, Named, Node, Target
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets.model import ticket_comments as comments
from tocsin.tickets.model import tickets

TICKET: Final = "ticket_terms"
COMMENT: Final = "comment_terms"
DAY_US: Final = 86_400_000_000
TEXTS: Final = ("title", "description", "comment")
VALUES: Final = ("opened_by", "source", "external_id")
# More tickets than that are looked at in the order that is asked for instead: a page of them is soon full.
MOST_HITS: Final = 8_000
# PostgreSQL gathers all hits before it gives the first; by its own estimate it is told beforehand not to.
MOST_ESTIMATED: Final = 60_000
FEW_HITS: Final = 200  # so few are looked at sooner than another word is looked for
MOST_TRIED: Final = 8


def add_tickets(tx: Tx, rows: Mapping[int, Mapping[str, Any]]) -> None:
    """Let new tickets be found by their texts, and by the values that no ticket changes."""
    _add(tx, TICKET, {ticket_id: _of_ticket(row) for ticket_id, row in rows.items()})


def change_ticket(tx: Tx, ticket_id: int, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Let a ticket be found by other texts than before."""
    _change(tx, TICKET, ticket_id, _of_ticket(before), _of_ticket(after))


def _of_ticket(row: Mapping[str, Any]) -> set[str]:
    words = terms_of(row["title"], row["description"], **{name: row.get(name) for name in VALUES})
    return words | time_terms(day_of(row["opened_at"]))


def day_of(at: datetime) -> int:
    """The day of an instant, counted since 1970."""
    return to_us(at) // DAY_US


def add_comment(tx: Tx, ticket_id: int, comment_id: int, said: str) -> None:
    """Let a ticket be found by a new comment."""
    add_comments(tx, {comment_id: (ticket_id, said)})


def add_comments(tx: Tx, said: Mapping[int, tuple[int, str]]) -> None:
    """Let tickets be found by new comments: of each its ticket and its text."""
    spans = _of_their_tickets(tx, sorted({ticket_id for ticket_id, _ in said.values()}))
    _add(tx, COMMENT, {one: terms_of(words) | spans[ticket_id] for one, (ticket_id, words) in said.items()})


def change_comment(tx: Tx, ticket_id: int, comment_id: int, before: str, after: str) -> None:
    """Let a ticket be found by what a comment says now."""
    spans = _of_their_tickets(tx, [ticket_id])[ticket_id]
    _change(tx, COMMENT, comment_id, terms_of(before) | spans, terms_of(after) | spans)


def _of_their_tickets(tx: Tx, ids: Sequence[int]) -> dict[int, set[str]]:
    """A comment is looked for by when its ticket was opened, since tickets are what is found."""
    rows = tx.execute(select(tickets.c.id, tickets.c.opened_at).where(among(tx, tickets.c.id, ids)))
    return {row.id: time_terms(day_of(row.opened_at)) for row in rows}


def _add(tx: Tx, table: str, terms: Mapping[int, set[str]]) -> None:
    if terms:
        statement = _INSERT[tx.dialect](table)
        tx.execute(statement, [{"id": one, "terms": _as_value(tx, terms[one])} for one in sorted(terms)])


def _change(tx: Tx, table: str, row_id: int, before: set[str], after: set[str]) -> None:
    if before == after:
        return
    # FTS5 keeps no content: it takes out what it is told that stands there.
    tx.execute(_DELETE[tx.dialect](table), {"id": row_id, "terms": _as_value(tx, before)})
    _add(tx, table, {row_id: after})


def _as_value(tx: Tx, terms: set[str]) -> str | list[str]:
    return " ".join(sorted(terms)) if tx.dialect == "sqlite" else sorted(terms)


_INSERT: Final[dict[str, Callable[[str], TextClause]]] = {
    "sqlite": lambda table: text(f"INSERT INTO {table} (rowid, terms) VALUES (:id, :terms)"),  # noqa: S608
    "postgresql": lambda table: text(
        f"INSERT INTO {table} (id, terms) VALUES (:id, array_to_tsvector(CAST(:terms AS text[])))"  # noqa: S608
    ),
}
_DELETE: Final[dict[str, Callable[[str], TextClause]]] = {
    "sqlite": lambda table: text(
        f"INSERT INTO {table} ({table}, rowid, terms) VALUES ('delete', :id, :terms)"  # noqa: S608
    ),
    "postgresql": lambda table: text(f"DELETE FROM {table} WHERE id = :id"),  # noqa: S608
}


def apart(node: Node | None) -> tuple[Node | None, Node | None]:
    """What is asked of a ticket apart from words, and what in words that the index knows; both must be true."""
    if node is None:
        return None, None
    parts = _parts(node)
    said = [part for part in parts if need_of(part, TEXTS, VALUES) is not None]
    plain = [part for part in parts if part not in said]
    return (And(tuple(plain)) if plain else None), (And(tuple(said)) if said else None)


def _parts(node: Node) -> list[Node]:
    return [inner for part in node.parts for inner in _parts(part)] if isinstance(node, And) else [node]


def narrowed(tx: ReadTx, node: Node, *, most: int = MOST_HITS) -> list[int] | None:
    """The tickets of which a query may be true, by the words in it; None when these are too many, or none can be told.

    Parts that must all be true are tried one by one, then together: of several words the rarest is enough.
    """
    need = need_of(node, TEXTS, VALUES)
    if need is None:
        return None
    parts = need.parts[:MOST_TRIED] if isinstance(need, AllOf) else (need,)
    best: list[int] | None = None
    for part in parts:
        found = _may_meet(tx, part, most)
        if found is not None and (best is None or len(found) < len(best)):
            best = found
        if best is not None and len(best) < FEW_HITS:
            return best
    return _may_meet(tx, need, most) if best is None and len(parts) > 1 else best


def _may_meet(tx: ReadTx, need: Need, most: int, *, span: Has | None = None) -> list[int] | None:
    """Either one text of a ticket itself meets all, or a comment meets some part of it; of a span of time only."""
    by_text = _hits(tx, TICKET, _within(span, all_in_one(need, _in_tickets)), most)
    if by_text is None:
        return None
    by_comment = _comments_with(tx, _within(span, any_part(need, _in_comments)), most)
    return None if by_comment is None else sorted({*by_text, *by_comment.values()})


def _within(span: Has | None, need: Need | None) -> Need | None:
    return need if span is None or need is None else AllOf((need, span))


@dataclass(frozen=True, slots=True)
class Stretch:
    """The days from `first` to `last`, and the tickets opened then of which a query may be true; None: too many."""

    first: int
    last: int
    ids: list[int] | None


def stretches(
    tx: ReadTx, node: Node, first: int, last: int, *, descending: bool, most: int = MOST_HITS
) -> Iterator[Stretch] | None:
    """Where, between two days, a query may be true of tickets, in order; None when its words don't tell.

    What is in many tickets is looked for span by span: in none where there are no hits, in shorter ones where there are
    many. The newest are found alike soon whether these words are in every title, or in old ones only.
    """
    need = need_of(node, TEXTS, VALUES)
    if need is None:
        return None
    return _stretches(tx, need, (first, last), SPANS, descending=descending, most=most)


def _stretches(
    tx: ReadTx, need: Need, within: tuple[int, int], spans: Sequence[int], *, descending: bool, most: int
) -> Iterator[Stretch]:
    days = spans[0]
    numbers = range(within[0] // days, within[1] // days + 1)
    for number in reversed(numbers) if descending else numbers:
        first, last = max(number * days, within[0]), min(number * days + days - 1, within[1])
        ids = _may_meet(tx, need, most, span=Has(Anywhere(), (span_term(number, days),)))
        if ids is None and len(spans) > 1:
            yield from _stretches(tx, need, (first, last), spans[1:], descending=descending, most=most)
        elif ids is None or ids:
            yield Stretch(first, last, ids)


def _in_tickets(target: Target) -> bool:
    return isinstance(target, Anywhere) or (isinstance(target, Named) and target.name != "comment")


def _in_comments(target: Target) -> bool:
    return isinstance(target, Anywhere) or target == Named("comment")


def _comments_with(tx: ReadTx, need: Need | None, most: int) -> dict[int, int] | None:
    """The comments that have these terms, with their tickets; None when they are too many."""
    hits = _hits(tx, COMMENT, need, most)
    if not hits:
        return None if hits is None else {}
    statement = select(comments.c.id, comments.c.ticket_id).where(among(tx, comments.c.id, hits))
    return {row.id: row.ticket_id for row in tx.execute(statement)}


def comment_condition(tx: ReadTx, leaf: Leaf, *, most: int = MOST_HITS) -> ColumnElement[bool]:
    """Whether one of a ticket's comments meets a condition; true or false, never null."""
    said: ColumnElement[bool] = comments.c.deleted_at.is_(None)
    if not isinstance(leaf, Exists):
        said &= comments.c.text.regexp_match(text_test(leaf).pattern)
        need = need_of(leaf, TEXTS)
        hits = None if need is None else _hits(tx, COMMENT, any_part(need, _in_comments), most)
        if hits is not None:
            few = select(comments.c.ticket_id).where(among(tx, comments.c.id, hits), said)
            return tickets.c.id.in_(few) if hits else false()
    return exists().where(comments.c.ticket_id == tickets.c.id, said)


def tickets_with(tx: ReadTx, need: Need, *, most: int = MOST_HITS) -> list[int] | None:
    """The tickets whose own texts have these terms; None when they are too many."""
    return _hits(tx, TICKET, need, most)


def newest_with(tx: ReadTx, need: Need, *, limit: int) -> list[int]:
    """The tickets with the highest ids whose own texts have these terms; on PostgreSQL none, when they are too many."""
    return _LOOKS[tx.dialect](tx, TICKET, need, limit, newest=True) or []


def _hits(tx: ReadTx, table: str, need: Need | None, most: int) -> list[int] | None:
    """The rows that have these terms; None when they are more than `most`."""
    if need is None:
        return []
    found = _LOOKS[tx.dialect](tx, table, need, most + 1, newest=False)
    return None if found is None or len(found) > most else found


def _hits_in_fts5(tx: ReadTx, table: str, need: Need, limit: int, *, newest: bool) -> list[int] | None:
    order = " ORDER BY rowid DESC" if newest else ""
    hits = f"SELECT rowid FROM {table} WHERE {table} MATCH :wanted{order} LIMIT :most"  # noqa: S608
    # As one value: thousands of rows take several times as long to fetch as to find.
    statement = text(f"SELECT json_group_array(rowid) FROM ({hits})")  # noqa: S608
    wanted = _expression(need, quote='"', all_of=" AND ", one_of=" OR ")
    found: list[int] = json.loads(tx.execute(statement, {"wanted": wanted, "most": limit}).scalar_one())
    return found


def _hits_in_gin(tx: ReadTx, table: str, need: Need, limit: int, *, newest: bool) -> list[int] | None:
    there = f"FROM {table} WHERE terms @@ CAST(:wanted AS tsquery)"
    wanted = {"wanted": _expression(need, quote="'", all_of=" & ", one_of=" | ")}
    [plan] = tx.execute(text(f"EXPLAIN (FORMAT JSON) SELECT id {there}"), wanted).scalar_one()
    if plan["Plan"]["Plan Rows"] > MOST_ESTIMATED:
        return None
    order = " ORDER BY id DESC" if newest else ""
    # In the order of the table it would stop soon where the words are spread evenly, and never where they are not.
    tx.execute(text("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off"))
    found = list(tx.execute(text(f"SELECT id {there}{order} LIMIT :most"), {**wanted, "most": limit}).scalars())
    tx.execute(text("SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = on"))
    return found


_LOOKS: Final = {"sqlite": _hits_in_fts5, "postgresql": _hits_in_gin}


def _expression(need: Need, *, quote: str, all_of: str, one_of: str) -> str:
    """For FTS5 and `tsquery`, which differ by their signs. Terms have neither quotes nor backslashes in them."""
    if isinstance(need, Has):
        return "(" + all_of.join(f"{quote}{term}{quote}" for term in need.terms) + ")"
    parts = [_expression(part, quote=quote, all_of=all_of, one_of=one_of) for part in need.parts]
    return "(" + (one_of if isinstance(need, OneOf) else all_of).join(parts) + ")"


def among(tx: ReadTx, column: ColumnElement[Any], ids: Sequence[int]) -> ColumnElement[bool]:
    """Whether a column is one of many ids: they go over as one value."""
    if tx.dialect == "postgresql":
        return column == any_(literal(list(ids), ARRAY(BigInteger)))
    return column.in_(select(func.json_each(json.dumps(list(ids))).table_valued("value").c.value))
