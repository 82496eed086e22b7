"""Every query about deliveries and their attempts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    bindparam,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from tocsin.notify.message import Kind
from tocsin.notify.model import deliveries, delivery_attempts
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


def delivery_of(row: Any) -> Delivery:
    """A row of `deliveries`."""
    values = dict(row._mapping)
    values["kind"], values["state"] = Kind(values["kind"]), State(values["state"])
    values["otherwise"], values["ways"] = tuple(values["otherwise"]), tuple(values["ways"])
    return Delivery(**values)


WAITING: Final = deliveries.c.state == State.WAITING.value


def seen(column: ColumnElement[str]) -> ColumnElement[str]:
    """A column that rows are asked for once they are found: SQLite knows no numbers of rows, and would look for those
    of a ticket among all that ever went over its channel, or among all of its state."""
    return column.concat("")


STILL_WAITING: Final = seen(deliveries.c.state) == State.WAITING.value


def add(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Insert what is not there yet by its key; the ids of the new ones."""
    if not rows:
        return []
    upsert = postgresql.insert(deliveries) if tx.dialect == "postgresql" else sqlite.insert(deliveries)
    statement = upsert.on_conflict_do_nothing(index_elements=["key"]).returning(deliveries.c.id)
    return list(tx.execute(statement, rows).scalars())


def get(tx: ReadTx, delivery_id: int) -> Delivery | None:
    row = tx.execute(select(deliveries).where(deliveries.c.id == delivery_id)).one_or_none()
    return None if row is None else delivery_of(row)


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
    return [delivery_of(row) for row in tx.execute(statement)]


def matching(tx: ReadTx, wish: Wish, *, limit: int) -> list[Delivery]:
    """The oldest first."""
    statement = select(deliveries).where(*_conditions(wish)).order_by(deliveries.c.id).limit(limit)
    return [delivery_of(row) for row in tx.execute(statement)]


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
    leased = (STILL_WAITING, deliveries.c.lease.is_not(None))
    tx.execute(update(deliveries).where(*leased, *conditions).values(unwanted_at=tx.now, answer=why))
    idle = (STILL_WAITING, deliveries.c.lease.is_(None))
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


# What there is to see.


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits for a channel: how much, and since when the oldest that is due."""

    waiting: int
    oldest_at: datetime | None


def queues(tx: ReadTx, channel: str | None = None) -> dict[str, Queue]:
    """By channel; `-` stands for methods without one."""
    begun = or_(deliveries.c.due_at <= tx.now, deliveries.c.tried > 0)  # not what is planned for later
    conditions = [WAITING, begun] if channel is None else [WAITING, begun, deliveries.c.channel == channel]
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
