"""Every query about deliveries and their attempts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    bindparam,
    delete,
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
from tocsin.notify.message import Kind
from tocsin.notify.model import deliveries, delivery_attempts
from tocsin.storage.dialects import Dialect
from tocsin.storage.model import events
from tocsin.storage.tx import ReadTx, Tx

WAKE: Final = "deliveries"
IN_CLAUSE: Final = 500


class State(StrEnum):
    """Where a delivery stands. `waiting` is the only one that anything follows from."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"  # given up: people can have it replayed
    CANCELLED = "cancelled"  # no longer wanted before it was sent
    BUNDLED = "bundled"  # another message speaks for it as well
    LEFT_OUT = "left_out"  # its channel takes no messages of its kind


class Outcome(StrEnum):
    """What came of an attempt."""

    DELIVERED = "delivered"
    FAILED = "failed"
    LOST = "lost"  # the worker ended before it wrote an answer down
    INTERRUPTED = "interrupted"  # the worker was told to stop meanwhile


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery's row; see `model`."""

    id: int
    key: str
    message_id: str
    kind: Kind
    state: State
    rank: int
    event_id: int | None
    ticket_id: int | None
    channel: str | None
    method_id: int | None
    otherwise: tuple[int, ...]
    asked: Mapping[str, Any]
    ways: tuple[str, ...]
    person: str | None
    why: Mapping[str, Any]
    facts: Mapping[str, Any]
    unless_acknowledged: bool
    urgent: bool
    bundled: int
    bundled_into: int | None
    created_at: datetime
    due_at: datetime
    give_up_at: datetime
    lease: str | None
    leased_at: datetime | None
    unwanted_at: datetime | None
    attempts: int
    tried: int
    answer: str | None
    reference: str | None
    ended_at: datetime | None

    def is_sending(self, now: datetime) -> bool:
        """Whether a worker is at it."""
        return self.state is State.WAITING and self.lease is not None and self.due_at > now


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: `n` counts over all ways."""

    delivery_id: int
    n: int
    at: datetime
    channel: str
    method_id: int | None
    outcome: Outcome
    answer: str
    took_ms: int | None


def _delivery(row: Any) -> Delivery:
    values = dict(row._mapping)
    values["kind"], values["state"] = Kind(values["kind"]), State(values["state"])
    values["otherwise"], values["ways"] = tuple(values["otherwise"]), tuple(values["ways"])
    return Delivery(**values)


_WAITING: Final = deliveries.c.state == State.WAITING.value


def _seen(column: ColumnElement[str]) -> ColumnElement[str]:
    """A column that rows are asked for once they are found: SQLite knows no numbers of rows, and would look for those
    of a ticket among all that ever went over its channel, or among all of its state."""
    return column.concat("")


_STILL_WAITING: Final = _seen(deliveries.c.state) == State.WAITING.value
_RANKS: Final = (0, 1)  # all there are, as the index of what waits has them


def add(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Insert what is not there yet by its key; the ids of the new ones."""
    if not rows:
        return []
    upsert = postgresql.insert(deliveries) if tx.dialect == "postgresql" else sqlite.insert(deliveries)
    statement = upsert.on_conflict_do_nothing(index_elements=["key"]).returning(deliveries.c.id)
    return list(tx.execute(statement, rows).scalars())


def get(tx: ReadTx, delivery_id: int) -> Delivery | None:
    row = tx.execute(select(deliveries).where(deliveries.c.id == delivery_id)).one_or_none()
    return None if row is None else _delivery(row)


def attempts_of(tx: ReadTx, delivery_id: int) -> list[Attempt]:
    """All tries, oldest first."""
    statement = select(delivery_attempts).where(delivery_attempts.c.delivery_id == delivery_id)
    rows = tx.execute(statement.order_by(delivery_attempts.c.n))
    return [Attempt(**{**row._mapping, "outcome": Outcome(row.outcome)}) for row in rows]


def attempts_of_all(tx: ReadTx, ids: Sequence[int]) -> dict[int, list[Attempt]]:
    """All tries of each of these deliveries that has some, oldest first."""
    found: dict[int, list[Attempt]] = {}
    for start in range(0, len(ids), IN_CLAUSE):
        mine = delivery_attempts.c.delivery_id.in_(ids[start : start + IN_CLAUSE])
        statement = select(delivery_attempts).where(mine)
        for row in tx.execute(statement.order_by(delivery_attempts.c.delivery_id, delivery_attempts.c.n)):
            one = Attempt(**{**row._mapping, "outcome": Outcome(row.outcome)})
            found.setdefault(one.delivery_id, []).append(one)
    return found


@dataclass(frozen=True, slots=True)
class Wish:
    """Which deliveries; all that is given must hold."""

    ticket_id: int | None = None
    channel: str | None = None
    person: str | None = None
    kind: Kind | None = None
    states: tuple[State, ...] = ()
    since: datetime | None = None


def _conditions(wish: Wish) -> list[ColumnElement[bool]]:
    equal = (("ticket_id", wish.ticket_id), ("channel", wish.channel), ("person", wish.person), ("kind", wish.kind))
    found: list[ColumnElement[bool]] = [deliveries.c[name] == value for name, value in equal if value is not None]
    if wish.states:
        found.append(deliveries.c.state.in_([state.value for state in wish.states]))
    if wish.since is not None:
        found.append(deliveries.c.created_at >= wish.since)
    return found


def page(tx: ReadTx, wish: Wish, *, before: int | None, limit: int) -> list[Delivery]:
    """The newest first."""
    conditions = _conditions(wish)
    if before is not None:
        conditions.append(deliveries.c.id < before)
    statement = select(deliveries).where(*conditions).order_by(deliveries.c.id.desc()).limit(limit)
    return [_delivery(row) for row in tx.execute(statement)]


def matching(tx: ReadTx, wish: Wish, *, limit: int) -> list[Delivery]:
    """The oldest first."""
    statement = select(deliveries).where(*_conditions(wish)).order_by(deliveries.c.id).limit(limit)
    return [_delivery(row) for row in tx.execute(statement)]


def revive(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> int:
    """Let deliveries that are over wait again, as they were asked for: `b_id`, `b_state` it had, and what is new."""
    if not rows:
        return 0
    same = (deliveries.c.id == bindparam("b_id")) & (deliveries.c.state == bindparam("b_state"))
    names = ("channel", "method_id", "otherwise", "give_up_at")
    statement = (
        update(deliveries)
        .where(same)
        .values(
            {name: bindparam(f"b_{name}", type_=deliveries.c[name].type) for name in names}
            | {"state": State.WAITING.value, "due_at": tx.now, "tried": 0, "ways": [], "ended_at": None}
            | {"unless_acknowledged": False, "unwanted_at": None, "lease": None, "leased_at": None, "answer": None}
        )
    )
    tx.wakes.add(WAKE)
    return tx.execute(statement, rows).rowcount


def cancel(tx: Tx, conditions: Sequence[ColumnElement[bool]], *, why: str) -> int:
    """Call off what waits; how many. What is on its way may arrive, but is not tried again."""
    leased = (_STILL_WAITING, deliveries.c.lease.is_not(None))
    tx.execute(update(deliveries).where(*leased, *conditions).values(unwanted_at=tx.now, answer=why))
    idle = (_STILL_WAITING, deliveries.c.lease.is_(None))
    values = {"state": State.CANCELLED.value, "ended_at": tx.now, "answer": why}
    return tx.execute(update(deliveries).where(*idle, *conditions).values(**values)).rowcount


def of_ticket(ticket_id: int, *, only_unless_acknowledged: bool) -> list[ColumnElement[bool]]:
    """What `cancel` takes."""
    found: list[ColumnElement[bool]] = [deliveries.c.ticket_id == ticket_id]
    if only_unless_acknowledged:
        found.append(deliveries.c.unless_acknowledged)
    return found


def pages_of(ticket_id: int, run_id: int | None = None) -> list[ColumnElement[bool]]:
    """What `cancel` takes: all calls about a ticket, or those that one run asked for."""
    found = [deliveries.c.ticket_id == ticket_id, deliveries.c.kind == Kind.PAGE.value]
    return found if run_id is None else [*found, deliveries.c.why["run_id"].as_integer() == run_id]


# What the sending loop asks.


def _due_now(channel: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether something of a channel is due at `:now`; of the ranks one by one, as the index has them."""
    due = deliveries.c.due_at <= bindparam("now")
    return or_(*(exists().where(_WAITING, channel, deliveries.c.rank == rank, due) for rank in _RANKS))


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
        wanted = (_WAITING, deliveries.c.channel.is_(None), deliveries.c.rank == rank, deliveries.c.due_at <= tx.now)
        statement = select(deliveries).where(*wanted).order_by(deliveries.c.due_at).limit(limit - len(found))
        found += [_delivery(row) for row in tx.execute(dialect.claim(statement))]
    return found


def in_flight(tx: ReadTx, channel: str) -> list[Delivery]:
    """What is on its way over a channel, whoever sends it."""
    leased = (_STILL_WAITING, deliveries.c.lease.is_not(None), deliveries.c.due_at > tx.now)
    mine = _seen(deliveries.c.channel) == channel
    return [_delivery(row) for row in tx.execute(select(deliveries).where(mine, *leased))]


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
    wanted = [_WAITING, deliveries.c.channel == channel, deliveries.c.due_at <= tx.now]
    is_test = deliveries.c.kind == Kind.TEST.value
    wanted.append(is_test if tests else ~is_test)
    if busy_tickets:
        idle = deliveries.c.ticket_id.not_in(sorted(busy_tickets))
        wanted.append(or_(idle, deliveries.c.ticket_id.is_(None), deliveries.c.method_id.is_not(None)))
    order = (deliveries.c.rank, deliveries.c.due_at, deliveries.c.id)
    statement = select(deliveries).where(*wanted).order_by(*order).limit(limit)
    return [_delivery(row) for row in tx.execute(dialect.claim(statement))]


def waiting_updates(tx: Tx, dialect: Dialect, channel: str, ticket_ids: Collection[int]) -> list[Delivery]:
    """The updates of these tickets that were not sent yet, due or not."""
    if not ticket_ids:
        return []
    wanted = (
        _STILL_WAITING,
        deliveries.c.ticket_id.in_(sorted(ticket_ids)),
        _seen(deliveries.c.channel) == channel,
        deliveries.c.kind == Kind.UPDATED.value,
        deliveries.c.lease.is_(None),
        deliveries.c.tried == 0,
    )
    statement = select(deliveries).where(*wanted).order_by(deliveries.c.id)
    return [_delivery(row) for row in tx.execute(dialect.claim(statement))]


def overdue(tx: Tx, dialect: Dialect, channel: str, *, limit: int, patience: float) -> list[Delivery]:
    """What waits, is due, and is too old to be sent: at such a share of the time until it would be given up."""
    asked_at, give_up_at = (type_coerce(deliveries.c[name], BigInteger) for name in ("created_at", "give_up_at"))
    too_old = asked_at + (give_up_at - asked_at) * patience <= to_us(tx.now)
    wanted = (_WAITING, deliveries.c.rank.in_(_RANKS), deliveries.c.channel == channel, deliveries.c.due_at <= tx.now)
    statement = select(deliveries).where(*wanted, too_old).limit(limit)
    return [_delivery(row) for row in tx.execute(dialect.claim(statement))]


def set_many(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    """Change rows that are held: each names its `id` and, all alike, the columns to set."""
    _set(tx, rows)


def settle(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    """Change rows that still wait, whoever has them: each names its `id` and, all alike, the columns to set."""
    _set(tx, rows, _WAITING)


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
        statement = select(deliveries).where(inside, _STILL_WAITING).order_by(deliveries.c.id).with_for_update()
        rows = [_delivery(row) for row in tx.execute(statement)]
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
        _seen(deliveries.c.channel) == channel,
        _seen(deliveries.c.state) == State.DELIVERED.value,
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


# What there is to see.


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits for a channel: how much, and since when the oldest that is due."""

    waiting: int
    oldest_at: datetime | None


def queues(tx: ReadTx, channel: str | None = None) -> dict[str, Queue]:
    """By channel; `-` stands for methods without one."""
    begun = or_(deliveries.c.due_at <= tx.now, deliveries.c.tried > 0)  # not what is planned for later
    conditions = [_WAITING, begun] if channel is None else [_WAITING, begun, deliveries.c.channel == channel]
    columns = (deliveries.c.channel, func.count().label("n"), func.min(deliveries.c.created_at).label("oldest"))
    statement = select(*columns).where(*conditions).group_by(deliveries.c.channel)
    return {row.channel or "-": Queue(int(row.n), row.oldest) for row in tx.execute(statement)}


def count_dead(tx: ReadTx, channel: str | None = None) -> dict[str, int]:
    """What was given up, by channel; a test that failed was told to whoever asked for it."""
    conditions = [deliveries.c.state == State.DEAD.value, deliveries.c.kind != Kind.TEST.value]
    if channel is not None:
        conditions.append(deliveries.c.channel == channel)
    statement = select(deliveries.c.channel, func.count().label("n")).where(*conditions)
    return {row.channel or "-": int(row.n) for row in tx.execute(statement.group_by(deliveries.c.channel))}


def forget(tx: Tx, before: datetime, *, limit: int) -> int:
    """Remove deliveries that were over before that instant, with their attempts, a few at a time."""
    old = select(deliveries.c.id).where(deliveries.c.ended_at < before).order_by(deliveries.c.ended_at).limit(limit)
    ids = list(tx.execute(old).scalars())
    if ids:
        tx.execute(delete(delivery_attempts).where(delivery_attempts.c.delivery_id.in_(ids)))
        tx.execute(delete(deliveries).where(deliveries.c.id.in_(ids)))
    return len(ids)


def end_leases(tx: Tx) -> int:
    """Nobody is left who could send what is claimed: it is due."""
    leased = (_WAITING, deliveries.c.lease.is_not(None), deliveries.c.due_at > tx.now)
    return tx.execute(update(deliveries).where(*leased).values(due_at=tx.now)).rowcount
