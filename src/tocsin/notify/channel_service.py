"""Use cases of channels: keep them, show how they are doing, try them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import Conflict, NotFound, PreconditionFailed
from tocsin.kit.events import ChannelDisabled, ChannelRemoved, ChannelSaved
from tocsin.notify import channel_store as store
from tocsin.notify import delivery_service, delivery_store
from tocsin.notify.channel_store import ChannelRow, StateRow
from tocsin.notify.channels.channel import Channel
from tocsin.notify.definitions import DEFINED, MAX_CHANNELS, Definition, settled
from tocsin.notify.delivery_store import Attempt, Delivery, Queue, State
from tocsin.notify.message import Kind
from tocsin.notify.reference_store import NAMES
from tocsin.notify.wanted import Wanted
from tocsin.oncall import reference_service
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx, Tx

TEST_SLACK_S: Final = 5.0  # beyond the channel's own time, until it is claimed and written down
_LOOK_EVERY_S: Final = 0.05
_CURSOR: Final = "channels"


@dataclass(frozen=True, slots=True)
class Watched:
    """A channel with how it is doing, what waits for it, and how many messages were given up."""

    row: ChannelRow
    state: StateRow
    queue: Queue
    dead: int


def get(tx: ReadTx, name: str) -> ChannelRow:
    """One channel. Raises NotFound."""
    found = store.get(tx, name)
    if found is None:
        raise NotFound(what="channel", id=name)
    return found


def watched(tx: ReadTx, name: str) -> Watched:
    """One channel with how it is doing. Raises NotFound."""
    row = get(tx, name)
    state = store.states(tx, [name]).get(name, StateRow(name))
    queue = delivery_store.queues(tx, name).get(name, Queue(0, None))
    return Watched(row, state, queue, delivery_store.count_dead(tx, name).get(name, 0))


def find(database: Database, *, cursor: str | None, limit: int) -> tuple[list[tuple[ChannelRow, StateRow]], str | None]:
    """A page of channels by name with how they are doing, and the cursor of the next."""
    after = "" if cursor is None else str(decode_cursor(cursor, _CURSOR, str)[0])

    def look(tx: ReadTx) -> tuple[list[ChannelRow], Mapping[str, StateRow]]:
        rows = store.page(tx, after=after, limit=limit + 1)
        return rows, store.states(tx, [row.definition.name for row in rows])

    rows, states = database.read(look)
    items = [(row, states.get(row.definition.name, StateRow(row.definition.name))) for row in rows[:limit]]
    more = encode_cursor(_CURSOR, items[-1][0].definition.name) if len(rows) > limit else None
    return items, more


def save(
    tx: Tx, definition: Definition, channels: Mapping[str, Channel], *, seen_version: int | None = None
) -> tuple[ChannelRow, bool]:
    """Make or replace a channel, and whether it is new. What changes nothing makes no version; one that was disabled
    is on again when it says `enabled`.

    Raises Invalid; Conflict when there are too many; with `seen_version`, PreconditionFailed unless it is at that one.
    """
    version = store.next_version(tx)
    before = store.get(tx, definition.name)
    _check_version(before, seen_version)
    meant = settled(definition, None if before is None else before.definition, channels)
    # A ring of fallbacks is no harm: no message takes a way twice.
    reference_service.check(tx, meant.references(), NAMES)
    if before is not None and before.definition == meant:
        return before, False
    if before is None and store.count(tx) >= MAX_CHANNELS:
        raise Conflict(detail=f"there are {MAX_CHANNELS} channels already; remove one first")
    store.put(tx, meant, version, is_new=before is None)
    store.ensure_state(tx, meant.name)
    was = None if before is None else before.definition
    changed = tuple(name for name in DEFINED if was is None or getattr(was, name) != getattr(meant, name))
    tx.emit(ChannelSaved(meant.name, version, meant.kind, meant.enabled, changed))
    tx.wakes.add(delivery_store.WAKE)
    return get(tx, meant.name), before is None


def _check_version(before: ChannelRow | None, seen_version: int | None) -> None:
    version = 0 if before is None else before.version
    if seen_version is not None and seen_version != version:
        raise PreconditionFailed(version=version, wanted=seen_version)


def remove(tx: Tx, name: str, *, seen_version: int | None = None) -> ChannelRow:
    """Remove a channel. What waits for it is given up, and can be replayed once there is one of that name again.

    Raises NotFound, PreconditionFailed. Who names it still is looked at before (`reference_service`).
    """
    version = store.next_version(tx)
    found = get(tx, name)
    _check_version(found, seen_version)
    store.remove(tx, name)
    tx.emit(ChannelRemoved(name, version))
    tx.wakes.add(delivery_store.WAKE)
    return found


def disable(tx: Tx, name: str, reason: str) -> None:
    """The other side wants no more: send nothing there until a person says otherwise."""
    version = store.next_version(tx)
    if store.switch_off(tx, name, version, reason):
        tx.emit(ChannelDisabled(name, version, reason))


def start_test(tx: Tx, name: str) -> int:
    """Ask for a test message right now; the id of its delivery. Raises NotFound."""
    get(tx, name)
    wanted = Wanted(f"test:{name}:{uuid4().hex}", Kind.TEST, None, None, channel=name, why={"test": str(tx.actor)})
    [delivery_id] = delivery_service.plan(tx, [wanted])
    return delivery_id


def wait_for(
    database: Database, delivery_id: int, *, for_s: float, pause: Callable[[float], None] = time.sleep
) -> tuple[Delivery, list[Attempt]]:
    """What came of a delivery, once that is known or so much time is over."""
    until = time.monotonic() + for_s
    while True:
        found = database.read(lambda tx: delivery_service.show(tx, delivery_id))
        if found[0].state is not State.WAITING or time.monotonic() >= until:
            return found
        pause(_LOOK_EVERY_S)
