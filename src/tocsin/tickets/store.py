"""Every query of stage 3."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, bindparam, delete, func, insert, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from tocsin.query.sql import compile_condition
from tocsin.query.tree import And, Anywhere, Equals, Leaf, Named, Node, Phrase
from tocsin.storage.columns import row_value
from tocsin.storage.model import counters, events
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import block_store, text_store
from tocsin.tickets.fields import TICKETS
from tocsin.tickets.finding_sql import LIMITS, Limits, Search, first_ids
from tocsin.tickets.model import open_keys, storms, ticket_tags, tickets
from tocsin.tickets.name_sql import NAMES, name_condition
from tocsin.tickets.rarity_sql import are_few, beside_indexes
from tocsin.tickets.sla import Happened
from tocsin.tickets.sla_sql import sla_condition
from tocsin.tickets.tag_sql import tag_condition
from tocsin.tickets.text_store import apart
from tocsin.tickets.workflow import UNRESOLVED, Status

IN_CLAUSE: Final = 500
_COLUMNS: Final = dict(tickets.c)
BY_STORM: Final = "storm"  # what `opened_by` says of a storm's ticket
_IN_WORDS: Final = frozenset({"title", "description"})
UNDECIDED: Final = 0  # the ticket of a key that was claimed in this transaction and whose ticket is not made yet


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket's row. `late_s` says how long before its opening the record that opened it had happened; `sla` is what
    its events say of its clocks (see `sla_service`)."""

    id: int
    status: Status
    priority: int
    service: str | None
    title: str
    description: str
    assignee: str | None
    opened_by: str
    opened_at: datetime
    updated_at: datetime
    acknowledge_from: datetime
    acknowledged_at: datetime | None
    resolved_at: datetime | None
    closed_at: datetime | None
    reopen_count: int
    late_s: int | None
    recurrence_of: int | None
    released_from: int | None
    version: int
    held_since: datetime | None = None
    held_until: datetime | None = None
    hold_reason: str | None = None
    sla: dict[str, Any] | None = None
    sla_state: str | None = None
    sla_due_at: datetime | None = None
    sla_at_risk_at: datetime | None = None
    team: str | None = None
    tags: tuple[str, ...] = ()
    impact: int | None = None
    urgency: int | None = None
    resolution_code: str | None = None
    resolution_note: str | None = None
    source: str | None = None
    external_id: str | None = None
    reassignment_count: int = 0
    met_at_source: int | None = None
    merged_into: int | None = None
    split_from: int | None = None
    acknowledge_due_at: datetime | None = None
    resolve_due_at: datetime | None = None
    sla_calendar: str | None = None

    def is_held(self, now: datetime) -> bool:
        """Whether it is on hold; one that has run out is over, also before anybody has noticed."""
        return self.held_since is not None and (self.held_until is None or now < self.held_until)

    @property
    def time_to_acknowledge_s(self) -> float | None:
        """Seconds from opening (or from the last reopening by an alert) to the acknowledgement."""
        if self.acknowledged_at is None:
            return None
        return (self.acknowledged_at - self.acknowledge_from).total_seconds()

    @property
    def time_to_resolve_s(self) -> float | None:
        """Seconds from opening to the last resolution; None while the ticket is not resolved."""
        return None if self.resolved_at is None else (self.resolved_at - self.opened_at).total_seconds()


def _ticket(row: Any) -> Ticket:
    values = dict(row._mapping)
    values["status"] = Status(values["status"])
    values["tags"] = tuple(values["tags"] or ())
    return Ticket(**values)


def get(tx: ReadTx, ticket_id: int) -> Ticket | None:
    row = tx.execute(select(tickets).where(tickets.c.id == ticket_id)).one_or_none()
    return None if row is None else _ticket(row)


def get_many(tx: ReadTx, ids: Collection[int]) -> dict[int, Ticket]:
    """Those of these tickets that there are."""
    wanted = sorted(ids)
    found: dict[int, Ticket] = {}
    for start in range(0, len(wanted), IN_CLAUSE):
        inside = tickets.c.id.in_(wanted[start : start + IN_CLAUSE])
        found.update({row.id: _ticket(row) for row in tx.execute(select(tickets).where(inside))})
    return found


def hold_many(tx: Tx, ids: Collection[int]) -> dict[int, Ticket]:
    """Tickets that nobody else can change until this transaction ends."""
    wanted = sorted(ids)
    found: dict[int, Ticket] = {}
    for start in range(0, len(wanted), IN_CLAUSE):
        inside = tickets.c.id.in_(wanted[start : start + IN_CLAUSE])
        statement = select(tickets).where(inside).order_by(tickets.c.id).with_for_update()
        found.update({row.id: _ticket(row) for row in tx.execute(statement)})
    return found


def priorities(tx: ReadTx, ids: Collection[int]) -> dict[int, int]:
    """The priority of each of these tickets."""
    wanted = sorted(ids)
    found: dict[int, int] = {}
    for start in range(0, len(wanted), IN_CLAUSE):
        inside = tickets.c.id.in_(wanted[start : start + IN_CLAUSE])
        found.update(
            (row.id, row.priority) for row in tx.execute(select(tickets.c.id, tickets.c.priority).where(inside))
        )
    return found


def create(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Insert new OPEN tickets; returns their ids in the order of the rows."""
    shared = {
        "status": Status.OPEN.value,
        "opened_at": tx.now,
        "updated_at": tx.now,
        "acknowledge_from": tx.now,
        "reopen_count": 0,
        "version": 1,
    }
    statement = insert(tickets).returning(tickets.c.id, sort_by_parameter_order=True)
    whole = [{**shared, **row} for row in rows]
    ids = list(tx.execute(statement, whole).scalars())
    text_store.add_tickets(tx, dict(zip(ids, whole, strict=True)))
    for ticket_id, row in zip(ids, rows, strict=True):
        if row.get("tags"):
            set_tags(tx, ticket_id, row["tags"])
    return ids


def compare_and_set(tx: Tx, ticket: Ticket, changes: Mapping[str, Any]) -> bool:
    """Change a ticket if it is still as it was seen; False when somebody else was faster."""
    if Status.CLOSED in {ticket.status, changes.get("status")}:
        block_store.forget(tx, [ticket.id])
    unchanged = (tickets.c.id == ticket.id) & (tickets.c.version == ticket.version)
    values = {**changes, "version": ticket.version + 1, "updated_at": tx.now}
    if tx.execute(update(tickets).where(unchanged).values(**values)).rowcount != 1:
        return False
    if _IN_WORDS & changes.keys():
        before = {name: getattr(ticket, name) for name in (*_IN_WORDS, *text_store.VALUES, "opened_at")}
        text_store.change_ticket(tx, ticket.id, before, {**before, **changes})
    return True


def set_tags(tx: Tx, ticket_id: int, tags: Collection[str]) -> None:
    """Let a ticket be found by these tags and no others."""
    tx.execute(delete(ticket_tags).where(ticket_tags.c.ticket_id == ticket_id))
    if tags:
        tx.execute(insert(ticket_tags), [{"ticket_id": ticket_id, "tag": tag} for tag in sorted(tags)])


def join_keys(tx: Tx, keys: Collection[str]) -> dict[str, int]:
    """The open ticket of each key that has one. The keys can't be released until this transaction ends."""
    wanted = sorted(keys)
    found: dict[str, int] = {}
    for start in range(0, len(wanted), IN_CLAUSE):
        statement = (
            select(open_keys.c.key, open_keys.c.ticket_id)
            .where(open_keys.c.key.in_(wanted[start : start + IN_CLAUSE]))
            .order_by(open_keys.c.key)
            .with_for_update(read=True, key_share=True)
        )
        found.update({row.key: row.ticket_id for row in tx.execute(statement)})
    return found


def claim_keys(tx: Tx, keys: Collection[str], ticket_id: int = UNDECIDED) -> set[str]:
    """Take the keys that no ticket has; waits for a transaction elsewhere that is taking one of them."""
    if not keys:
        return set()
    upsert = postgresql.insert(open_keys) if tx.dialect == "postgresql" else sqlite.insert(open_keys)
    statement = upsert.on_conflict_do_nothing().returning(open_keys.c.key)
    rows = [{"key": key, "ticket_id": ticket_id} for key in sorted(keys)]
    return set(tx.execute(statement, rows).scalars())


def point_keys(tx: Tx, ticket_of: Mapping[str, int]) -> None:
    """Say which ticket the claimed keys belong to."""
    if ticket_of:
        statement = update(open_keys).where(open_keys.c.key == bindparam("of_key")).values(ticket_id=bindparam("to"))
        tx.execute(statement, [{"of_key": key, "to": ticket_id} for key, ticket_id in sorted(ticket_of.items())])


def move_keys(tx: Tx, ticket_id: int, to_id: int, keys: Collection[str] | None = None) -> list[str]:
    """Point a ticket's open keys, all or only these, to another one; returns them. Waits for whoever joins by one."""
    mine = open_keys.c.ticket_id == ticket_id
    if keys is not None:
        mine &= open_keys.c.key.in_(sorted(keys))
    # To change where a key points waits for nobody who shares the key itself (`join_keys`); this does.
    tx.execute(select(open_keys.c.key).where(mine).order_by(open_keys.c.key).with_for_update()).all()
    statement = update(open_keys).where(mine).values(ticket_id=to_id).returning(open_keys.c.key)
    return sorted(tx.execute(statement).scalars())


def release_keys(tx: Tx, ticket_id: int) -> list[str]:
    """Nobody joins a ticket by its keys any more; returns them. Waits for whoever is about to."""
    mine = open_keys.c.ticket_id == ticket_id
    return list(tx.execute(delete(open_keys).where(mine).returning(open_keys.c.key)).scalars())


def release_some_keys(tx: Tx, ticket_id: int, keys: Collection[str]) -> None:
    """Take these keys away from a ticket that goes on."""
    wanted = sorted(keys)
    for start in range(0, len(wanted), IN_CLAUSE):
        inside = open_keys.c.key.in_(wanted[start : start + IN_CLAUSE])
        tx.execute(delete(open_keys).where(inside, open_keys.c.ticket_id == ticket_id))


def lock_storms(tx: Tx) -> None:
    """Whoever else is about to open tickets waits until this transaction ends."""
    tx.execute(update(counters).where(counters.c.name == "storms").values(value=counters.c.value + 1))


def join_storms(tx: Tx, scopes: Collection[str]) -> dict[str, int]:
    """The ticket of the storm that goes on in each of these scopes. None of them can end until this transaction does.

    The storms that go on are few, whatever there is of services.
    """
    statement = select(storms.c.scope, storms.c.ticket_id).where(storms.c.ended_at.is_(None)).order_by(storms.c.scope)
    going_on = {row.scope: row.ticket_id for row in tx.execute(statement)}
    mine = sorted(going_on.keys() & set(scopes))
    if not mine:
        return {}
    held = statement.where(storms.c.scope.in_(mine)).with_for_update(read=True)
    return {row.scope: row.ticket_id for row in tx.execute(held)}


def begin_storm(tx: Tx, ticket_id: int, scope: str) -> None:
    tx.execute(insert(storms).values(ticket_id=ticket_id, scope=scope, began_at=tx.now))


def hold_storm(tx: Tx, ticket_id: int) -> str | None:
    """The scope of the storm that goes on in a ticket; no other alert joins it until this transaction ends."""
    mine = (storms.c.ticket_id == ticket_id) & storms.c.ended_at.is_(None)
    found: str | None = tx.execute(select(storms.c.scope).where(mine).with_for_update()).scalar_one_or_none()
    return found


def end_storm(tx: Tx, ticket_id: int) -> None:
    """End the storm of a ticket, if it is one of a storm."""
    mine = (storms.c.ticket_id == ticket_id) & storms.c.ended_at.is_(None)
    tx.execute(update(storms).where(mine).values(ended_at=tx.now))


def _opened_by_alerts(since: datetime) -> ColumnElement[bool]:
    by_alerts = tickets.c.opened_by.startswith("rule:") | (tickets.c.opened_by == BY_STORM)
    by_itself = tickets.c.released_from.is_(None) & tickets.c.split_from.is_(None)
    return (tickets.c.opened_at > since) & by_alerts & by_itself


def opened_lately(tx: ReadTx, since: datetime) -> dict[str | None, int]:
    """How many tickets alerts and storms opened after `since`, by service; a storm of all has none."""
    statement = select(tickets.c.service, func.count()).where(_opened_by_alerts(since)).group_by(tickets.c.service)
    return {row[0]: row[1] for row in tx.execute(statement)}


def titles_opened_since(tx: ReadTx, since: datetime, *, service: str | None, limit: int) -> dict[int, str]:
    """The newest tickets that alerts and storms opened after `since`, of one service or all, and their titles; the
    oldest first."""
    newest = select(tickets.c.id, tickets.c.title).where(_opened_by_alerts(since))
    statement = newest.order_by(tickets.c.id.desc()).limit(limit)
    if service is not None:
        statement = statement.where(tickets.c.service == service)
    return {row.id: row.title for row in sorted(tx.execute(statement), key=lambda row: row.id)}


SORTS: Final[dict[str, ColumnElement[Any]]] = {
    "opened": tickets.c.opened_at,
    "updated": tickets.c.updated_at,
    "priority": tickets.c.priority,
}


@dataclass(frozen=True, slots=True)
class TicketQuery:
    """Which tickets, in which order. `text` is looked for in title, description and comments, as a
    phrase is.

    `condition` is a query in the filter language, over `fields.TICKETS`. `assignee` and `team` "none" mean
    nobody's. `opened_since` is included, `opened_until` is not.
    """

    statuses: tuple[Status, ...] = ()
    priorities: tuple[int, ...] = ()
    service: str | None = None
    assignee: str | None = None
    team: str | None = None
    tag: str | None = None
    opened_since: datetime | None = None
    opened_until: datetime | None = None
    text: str | None = None
    condition: Node | None = None
    sort: str = "opened"
    descending: bool = True
    limit: int = 100
    cursor: str | None = field(default=None)


def page(
    tx: ReadTx, query: TicketQuery, *, after: tuple[Any, int] | None, limit: int, limits: Limits = LIMITS
) -> list[Ticket]:
    """Tickets in the query's order; ties by id."""
    key = SORTS[query.sort]
    plain, said = apart(_asked(query))
    filters = _filters(tx, query)
    if plain is not None:
        filters.append(_exactly(tx, plain, sort=query.sort))
    if after is not None:
        both, last = tuple_(key, tickets.c.id), row_value((key, tickets.c.id), after)
        filters.append(both < last if query.descending else both > last)
    if said is None:
        order = (key.desc(), tickets.c.id.desc()) if query.descending else (key.asc(), tickets.c.id.asc())
        return [_ticket(row) for row in tx.execute(select(tickets).where(*filters).order_by(*order).limit(limit))]
    since, until = query.opened_since, query.opened_until
    if after is not None and query.sort == "opened":
        since, until = (since, after[0]) if query.descending else (after[0], until)
    words = _exactly(tx, said)
    by_opening = query.sort == "opened"
    search = Search(tuple(filters), said, words, key, query.descending, by_opening, since, until)
    ids = first_ids(tx, search, limit=limit, limits=limits)
    found = look_at(tx, ids)
    return [found[ticket_id] for ticket_id in ids]


def look_at(tx: ReadTx, ids: Sequence[int]) -> dict[int, Ticket]:
    """Tickets by their ids, to be looked at."""
    rows = tx.execute(select(tickets).where(text_store.among(tx, tickets.c.id, ids)))
    return {row.id: _ticket(row) for row in rows}


def _filters(tx: ReadTx, query: TicketQuery) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if query.statuses:
        wanted.append(tickets.c.status.in_([status.value for status in query.statuses]))
    if query.priorities:
        wanted.append(tickets.c.priority.in_(query.priorities))
    if query.service is not None:
        wanted.append(tickets.c.service == query.service)
    if query.assignee is not None:
        nobody = query.assignee == "none"
        wanted.append(tickets.c.assignee.is_(None) if nobody else tickets.c.assignee == query.assignee)
    if query.team is not None:
        none = query.team == "none"
        wanted.append(tickets.c.team.is_(None) if none else tickets.c.team == query.team)
    if query.tag is not None:
        wanted.append(tag_condition(tx, Equals(Named("tag"), query.tag)))
    if query.opened_since is not None:
        wanted.append(tickets.c.opened_at >= query.opened_since)
    if query.opened_until is not None:
        wanted.append(tickets.c.opened_at < query.opened_until)
    return wanted


def _asked(query: TicketQuery) -> Node | None:
    """What a query says in words: its condition and its text."""
    asked: list[Node] = [Phrase(Anywhere(), query.text)] if query.text else []
    asked += [query.condition] if query.condition is not None else []
    return And(tuple(asked)) if asked else None


def condition_on(tx: ReadTx, node: Node, *, most: int = text_store.MOST_HITS) -> ColumnElement[bool]:
    """A query over `fields.TICKETS` as a condition: exact, and about the tickets that have its words, if at `most` so
    many do."""
    ids = text_store.narrowed(tx, node, most=most)
    exact = _exactly(tx, node, most=most)
    return exact if ids is None else and_(text_store.among(tx, tickets.c.id, ids), exact)


def _exactly(
    tx: ReadTx, node: Node, *, most: int = text_store.MOST_HITS, sort: str = "priority"
) -> ColumnElement[bool]:
    made: dict[str, Callable[[Leaf], ColumnElement[bool]]] = {
        "tag": partial(tag_condition, tx, most=most),
        "sla": partial(sla_condition, tx),
        **{name: partial(name_condition, tx, tickets.c[name], most=most) for name in NAMES},
        "comment": lambda leaf: text_store.comment_condition(tx, leaf, most=most),
    }
    if sort != "priority":
        made["priority"] = partial(_priority_condition, tx)
    return compile_condition(node, {**_COLUMNS, **made}, TICKETS)


def _priority_condition(tx: ReadTx, leaf: Leaf) -> ColumnElement[bool]:
    """In another order than that of priorities, which SQLite would rather sort by itself than look in one."""
    condition = compile_condition(leaf, _COLUMNS, TICKETS)
    if tx.dialect != "sqlite" or are_few(tx, condition):
        return condition
    return compile_condition(leaf, {**_COLUMNS, "priority": beside_indexes(tickets.c.priority)}, TICKETS)


def open_by_priority(tx: ReadTx) -> dict[int, int]:
    """How many tickets are neither RESOLVED nor CLOSED, by priority."""
    unresolved = tickets.c.status.in_(sorted(UNRESOLVED))
    statement = select(tickets.c.priority, func.count()).where(unresolved).group_by(tickets.c.priority)
    return {row[0]: row[1] for row in tx.execute(statement)}


def open_of_service(tx: ReadTx, service: str) -> int:
    """How many tickets of a service, in any spelling, are neither RESOLVED nor CLOSED."""
    unresolved = tickets.c.status.in_([Status.OPEN.value, Status.IN_PROGRESS.value])
    named = name_condition(tx, tickets.c.service, Equals(Named("service"), service))
    return int(tx.execute(select(func.count()).where(unresolved, named)).scalar_one())


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """An event of a ticket."""

    id: int
    at: datetime
    recorded_at: datetime
    kind: str
    actor: str
    cause_id: int | None
    data: dict[str, Any]


def timeline(tx: ReadTx, ticket_id: int, *, after_id: int, limit: int) -> list[TimelineEntry]:
    """A ticket's events, oldest first."""
    columns = (events.c.id, events.c.at, events.c.recorded_at, events.c.kind, events.c.actor, events.c.cause_id,
               events.c.data)  # fmt: skip
    mine = (events.c.subject == f"ticket:{ticket_id}") & (events.c.id > after_id)
    return [
        TimelineEntry(**row._mapping)
        for row in tx.execute(select(*columns).where(mine).order_by(events.c.id).limit(limit))
    ]


def happened(tx: ReadTx, ticket_id: int, *, until: datetime) -> list[Happened]:
    """A ticket's events that were true at `until`, in the order they were written."""
    columns = (events.c.at, events.c.kind, events.c.actor, events.c.data)
    mine = (events.c.subject == f"ticket:{ticket_id}") & (events.c.at <= until)
    return [Happened(*row) for row in tx.execute(select(*columns).where(mine).order_by(events.c.id))]


def latest_event(tx: ReadTx, ticket_id: int, kind: str) -> dict[str, Any] | None:
    """What the newest event of a kind says of a ticket."""
    mine = (events.c.subject == f"ticket:{ticket_id}") & (events.c.kind == kind)
    found: dict[str, Any] | None = tx.execute(
        select(events.c.data).where(mine).order_by(events.c.id.desc()).limit(1)
    ).scalar_one_or_none()
    return found
