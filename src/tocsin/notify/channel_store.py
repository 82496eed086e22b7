"""Every query about channels: what they are, and how they are doing."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from tocsin.notify.backoff import RETRY_AFTER_MOST_S
from tocsin.notify.breaker import Breaker
from tocsin.notify.definitions import DEFINED, Definition
from tocsin.notify.model import channel_states, channels
from tocsin.notify.pacing import Bucket
from tocsin.storage.dialects import Dialect
from tocsin.storage.model import counters
from tocsin.storage.tx import ReadTx, Tx

CHANNELS: Final = "channels"


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """A channel with its version and who changed it last. A version never comes again, also after a removal."""

    definition: Definition
    disabled_reason: str | None
    disabled_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str


@dataclass(frozen=True, slots=True)
class StateRow:
    """How a channel is doing, the same for all workers."""

    channel: str
    breaker: Breaker = field(default_factory=Breaker)
    bucket: Bucket = field(default_factory=Bucket)
    held_until: datetime | None = None
    ok_at: datetime | None = None
    error_at: datetime | None = None
    error: str | None = None

    def is_held(self, now: datetime) -> bool:
        """Whether the other side asked to wait for longer. Nobody is waited for longer than that allows: then the clock
        was set back."""
        most = timedelta(seconds=RETRY_AFTER_MOST_S)
        return self.held_until is not None and now < self.held_until <= now + most


def next_version(tx: Tx) -> int:
    """Count a change of the channels; whoever makes another one waits until this transaction ends."""
    statement = update(counters).where(counters.c.name == CHANNELS).values(value=counters.c.value + 1)
    return int(tx.execute(statement.returning(counters.c.value)).scalar_one())


def _row(row: Any) -> ChannelRow:
    values = dict(row._mapping)
    defined = {name: values.pop(name) for name in DEFINED}
    defined["kinds"] = None if defined["kinds"] is None else tuple(defined["kinds"])
    return ChannelRow(Definition(**defined), **values)


def get(tx: ReadTx, name: str) -> ChannelRow | None:
    row = tx.execute(select(channels).where(channels.c.name == name)).one_or_none()
    return None if row is None else _row(row)


def page(tx: ReadTx, *, after: str, limit: int | None) -> list[ChannelRow]:
    """Channels by name; without a limit, all."""
    statement = select(channels).where(channels.c.name > after).order_by(channels.c.name).limit(limit)
    return [_row(row) for row in tx.execute(statement)]


def count(tx: ReadTx) -> int:
    return int(tx.execute(select(func.count()).select_from(channels)).scalar_one())


def defaults(tx: ReadTx) -> list[str]:
    """The names of the channels that hear of every ticket."""
    statement = select(channels.c.name).where(channels.c.is_default, channels.c.enabled).order_by(channels.c.name)
    return list(tx.execute(statement).scalars())


def usable(tx: ReadTx, names: Collection[str]) -> set[str]:
    """Those of these channels that would take a message: they are enabled, or one is that they fall back to."""
    if not names:
        return set()
    fallback = channels.alias()
    helped = select(fallback.c.name).where(fallback.c.name == channels.c.fallback, fallback.c.enabled).exists()
    statement = select(channels.c.name).where(channels.c.name.in_(sorted(names)), channels.c.enabled | helped)
    return set(tx.execute(statement).scalars())


def first_of_kinds(tx: ReadTx, kinds: Collection[str]) -> dict[str, str]:
    """The name of the first enabled channel of each of these kinds that has one."""
    if not kinds:
        return {}
    on = channels.c.enabled & channels.c.kind.in_(sorted(kinds))
    statement = select(channels.c.kind, func.min(channels.c.name)).where(on).group_by(channels.c.kind)
    return {row[0]: row[1] for row in tx.execute(statement)}


def put(tx: Tx, definition: Definition, version: int, *, is_new: bool) -> None:
    values: dict[str, Any] = {name: getattr(definition, name) for name in DEFINED}
    values["config"] = dict(definition.config)
    values["kinds"] = None if definition.kinds is None else list(definition.kinds)
    values |= {"version": version, "updated_at": tx.now, "updated_by": str(tx.actor)}
    values |= {"disabled_reason": None, "disabled_at": None}
    if is_new:
        tx.execute(insert(channels).values(created_at=tx.now, **values))
    else:
        tx.execute(update(channels).where(channels.c.name == definition.name).values(**values))


def switch_off(tx: Tx, name: str, version: int, reason: str) -> bool:
    """Disable a channel; False when it was disabled, or is gone."""
    on = (channels.c.name == name) & channels.c.enabled
    values = {"enabled": False, "disabled_reason": reason, "disabled_at": tx.now}
    values |= {"version": version, "updated_at": tx.now, "updated_by": str(tx.actor)}
    return tx.execute(update(channels).where(on).values(**values)).rowcount == 1


def remove(tx: Tx, name: str) -> None:
    tx.execute(delete(channels).where(channels.c.name == name))
    tx.execute(delete(channel_states).where(channel_states.c.channel == name))


def _state(row: Any) -> StateRow:
    return StateRow(
        row.channel,
        Breaker(row.failures, row.opened_at, row.probe_at),
        Bucket(row.tokens, row.tokens_at),
        row.held_until,
        row.ok_at,
        row.error_at,
        row.error,
    )


def states(tx: ReadTx, names: Collection[str]) -> Mapping[str, StateRow]:
    statement = select(channel_states).where(channel_states.c.channel.in_(sorted(names)))
    return {row.channel: _state(row) for row in tx.execute(statement)}


def ensure_state(tx: Tx, name: str) -> None:
    """A row to hold, for a channel that has none yet."""
    upsert = postgresql.insert(channel_states) if tx.dialect == "postgresql" else sqlite.insert(channel_states)
    tx.execute(upsert.values(channel=name, failures=0, tokens=0.0).on_conflict_do_nothing())


def hold_state(tx: Tx, name: str, dialect: Dialect | None = None) -> StateRow | None:
    """The state of a channel, held until the transaction ends. With a `dialect` nobody is waited for: None then says
    that another worker has it, or that there is none."""
    statement = select(channel_states).where(channel_states.c.channel == name)
    found = tx.execute(statement.with_for_update() if dialect is None else dialect.claim(statement)).one_or_none()
    return None if found is None else _state(found)


def set_state(tx: Tx, state: StateRow) -> None:
    tx.execute(
        update(channel_states)
        .where(channel_states.c.channel == state.channel)
        .values(
            failures=state.breaker.failures,
            opened_at=state.breaker.opened_at,
            probe_at=state.breaker.probe_at,
            held_until=state.held_until,
            tokens=state.bucket.tokens,
            tokens_at=state.bucket.at,
            ok_at=state.ok_at,
            error_at=state.error_at,
            error=state.error,
        )
    )
