"""What sending asks of the deliveries, and what it writes down of them: all the time, so by few rows of an index."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    bindparam,
    exists,
    func,
    null,
    or_,
    select,
    type_coerce,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from tocsin.kit.clock import to_us
from tocsin.notify.delivery_store import IN_CLAUSE, STILL_WAITING, WAITING, Delivery, State, delivery_of, seen
from tocsin.notify.message import Kind
from tocsin.notify.model import deliveries, delivery_attempts
from tocsin.storage.dialects import Dialect
from tocsin.storage.model import events
from tocsin.storage.tx import ReadTx, Tx

_RANKS: Final = (0, 1)  # all there are, as the index of what waits has them


def _due_now(channel: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether something of a channel is due at `:now`; of the ranks one by one, as the index has them."""
    due = deliveries.c.due_at <= bindparam("now")
    return or_(*(exists().where(WAITING, channel, deliveries.c.rank == rank, due) for rank in _RANKS))


def _due_channels() -> CompoundSelect[Any]:
    """From one channel there ever was to the next, and whether something of it is due: a few looks into indexes,
    however much waits; in one statement, for it is asked all the time."""
    names = select(func.min(deliveries.c.channel).label("name")).cte("names", recursive=True)
    following = select(func.min(deliveries.c.channel)).where(deliveries.c.channel > names.c.name)
    names = names.union_all(select(following.scalar_subquery()).where(names.c.name.is_not(None)))
    named = select(names.c.name).where(names.c.name.is_not(None), _due_now(deliveries.c.channel == names.c.name))
    return union_all(named, select(null()).where(_due_now(deliveries.c.channel.is_(None))))


_DUE_CHANNELS: Final = _due_channels()


def due_channels(tx: ReadTx) -> list[str | None]:
    """The channels that have something due, whichever it is; None stands for methods without a channel."""
    return list(tx.execute(_DUE_CHANNELS, {"now": tx.now}).scalars())


def unplaced(tx: Tx, dialect: Dialect, *, limit: int) -> list[Delivery]:
    """Those by a person's method whose channel is still to be found, what can't wait first."""
    found: list[Delivery] = []
    for rank in _RANKS:
        wanted = (WAITING, deliveries.c.channel.is_(None), deliveries.c.rank == rank, deliveries.c.due_at <= tx.now)
        statement = select(deliveries).where(*wanted).order_by(deliveries.c.due_at).limit(limit - len(found))
        found += [delivery_of(row) for row in tx.execute(dialect.claim(statement))]
    return found


def in_flight(tx: ReadTx, channel: str) -> list[Delivery]:
    """What is on its way over a channel, whoever sends it."""
    leased = (STILL_WAITING, deliveries.c.lease.is_not(None), deliveries.c.due_at > tx.now)
    mine = seen(deliveries.c.channel) == channel
    return [delivery_of(row) for row in tx.execute(select(deliveries).where(mine, *leased))]


def claimable(
    tx: Tx,
    dialect: Dialect,
    channel: str,
    *,
    limit: int,
    tests: bool = False,
    busy_tickets: Collection[int] = (),
) -> list[Delivery]:
    """What is due, what can't wait first, held until the transaction ends; `tests`, or all but these."""
    wanted = [WAITING, deliveries.c.channel == channel, deliveries.c.due_at <= tx.now]
    is_test = deliveries.c.kind == Kind.TEST.value
    wanted.append(is_test if tests else ~is_test)
    if busy_tickets:
        idle = deliveries.c.ticket_id.not_in(sorted(busy_tickets))
        wanted.append(or_(idle, deliveries.c.ticket_id.is_(None), deliveries.c.method_id.is_not(None)))
    order = (deliveries.c.rank, deliveries.c.due_at, deliveries.c.id)
    statement = select(deliveries).where(*wanted).order_by(*order).limit(limit)
    return [delivery_of(row) for row in tx.execute(dialect.claim(statement))]


def waiting_updates(tx: Tx, dialect: Dialect, channel: str, ticket_ids: Collection[int]) -> list[Delivery]:
    """The updates of these tickets that were not sent yet, due or not."""
    if not ticket_ids:
        return []
    wanted = (
        STILL_WAITING,
        deliveries.c.ticket_id.in_(sorted(ticket_ids)),
        seen(deliveries.c.channel) == channel,
        deliveries.c.kind == Kind.UPDATED.value,
        deliveries.c.lease.is_(None),
        deliveries.c.tried == 0,
    )
    statement = select(deliveries).where(*wanted).order_by(deliveries.c.id)
    return [delivery_of(row) for row in tx.execute(dialect.claim(statement))]


def overdue(tx: Tx, dialect: Dialect, channel: str, *, limit: int, patience: float) -> list[Delivery]:
    """What waits, is due, and is too old to be sent: at such a share of the time until it would be given up."""
    asked_at, give_up_at = (type_coerce(deliveries.c[name], BigInteger) for name in ("created_at", "give_up_at"))
    too_old = asked_at + (give_up_at - asked_at) * patience <= to_us(tx.now)
    wanted = (WAITING, deliveries.c.rank.in_(_RANKS), deliveries.c.channel == channel, deliveries.c.due_at <= tx.now)
    statement = select(deliveries).where(*wanted, too_old).limit(limit)
    return [delivery_of(row) for row in tx.execute(dialect.claim(statement))]


def set_many(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    """Change rows that are held: each names its `id` and, all alike, the columns to set."""
    _set(tx, rows)


def settle(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    """Change rows that still wait, whoever has them: each names its `id` and, all alike, the columns to set."""
    _set(tx, rows, WAITING)


def _set(tx: Tx, rows: Sequence[Mapping[str, Any]], *conditions: ColumnElement[bool]) -> None:
    if not rows:
        return
    values = {name: bindparam(f"b_{name}", type_=deliveries.c[name].type) for name in rows[0] if name != "id"}
    statement = update(deliveries).where(deliveries.c.id == bindparam("b_id"), *conditions).values(values)
    tx.execute(statement, [{f"b_{name}": value for name, value in row.items()} for row in rows])


def ours(tx: Tx, leases: Mapping[int, str]) -> dict[int, Delivery]:
    """The rows that are still leased as they were, held until the transaction ends."""
    found: dict[int, Delivery] = {}
    ids = sorted(leases)
    for start in range(0, len(ids), IN_CLAUSE):
        inside = deliveries.c.id.in_(ids[start : start + IN_CLAUSE])
        statement = select(deliveries).where(inside, STILL_WAITING).order_by(deliveries.c.id).with_for_update()
        rows = [delivery_of(row) for row in tx.execute(statement)]
        found.update({row.id: row for row in rows if row.lease == leases[row.id]})
    return found


def add_attempts(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep tries; one that was thought lost gets its answer after all."""
    if not rows:
        return
    upsert = postgresql.insert(delivery_attempts) if tx.dialect == "postgresql" else sqlite.insert(delivery_attempts)
    changes = {name: upsert.excluded[name] for name in ("outcome", "answer", "took_ms")}
    tx.execute(upsert.on_conflict_do_update(index_elements=["delivery_id", "n"], set_=changes), rows)


def said_before(tx: ReadTx, channel: str, ticket_ids: Collection[int]) -> dict[tuple[int, int | None], str | None]:
    """By ticket and method, what the other side said last of a message over this channel; None: it named nothing."""
    if not ticket_ids:
        return {}
    wanted = (
        deliveries.c.ticket_id.in_(sorted(ticket_ids)),
        seen(deliveries.c.channel) == channel,
        seen(deliveries.c.state) == State.DELIVERED.value,
    )
    columns = (deliveries.c.ticket_id, deliveries.c.method_id, deliveries.c.reference)
    found: dict[tuple[int, int | None], str | None] = {}
    for row in tx.execute(select(*columns).where(*wanted).order_by(deliveries.c.id)):
        thread = (row.ticket_id, row.method_id)
        found[thread] = row.reference or found.get(thread)
    return found


@dataclass(frozen=True, slots=True)
class EventRow:
    """The event that a delivery follows from."""

    id: int
    kind: str
    actor: str
    at: datetime
    data: Mapping[str, Any]


def events_of(tx: ReadTx, ids: Collection[int]) -> dict[int, EventRow]:
    columns = (events.c.id, events.c.kind, events.c.actor, events.c.at, events.c.data)
    statement = select(*columns).where(events.c.id.in_(sorted(ids)))
    return {row.id: EventRow(**row._mapping) for row in tx.execute(statement)} if ids else {}


def end_leases(tx: Tx) -> int:
    """Nobody is left who could send what is claimed: it is due."""
    leased = (WAITING, deliveries.c.lease.is_not(None), deliveries.c.due_at > tx.now)
    return tx.execute(update(deliveries).where(*leased).values(due_at=tx.now)).rowcount
