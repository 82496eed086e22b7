"""Use cases of deliveries: ask for them, call them off, find them, have them sent again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import Conflict, NotFound
from tocsin.notify import delivery_store as store
from tocsin.notify.backoff import gives_up_at
from tocsin.notify.delivery_store import WAKE, Attempt, Delivery, State, Wish
from tocsin.notify.message import Kind
from tocsin.notify.wanted import Wanted
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx, Tx

REPLAY_AT_ONCE: Final = 500  # in one turn of the write lock
_CURSOR: Final = "deliveries"
_FIRST: Final = frozenset({Kind.PAGE, Kind.CODE, Kind.TEST})  # never behind a queue of news
_REPLAYABLE: Final = frozenset({State.DEAD, State.DELIVERED})


def plan(tx: Tx, wanted: Sequence[Wanted]) -> list[int]:
    """Ask for deliveries in the transaction of what they follow from; the ids of those not asked for before."""
    ids = store.add(tx, [_row(tx, one) for one in wanted])
    if ids:
        tx.wakes.add(WAKE)
    return ids


def _row(tx: Tx, wanted: Wanted) -> Mapping[str, Any]:
    due_at = wanted.due_at or tx.now
    return {
        "key": wanted.key,
        # Never made from the row's id: a restored backup would give it to another message.
        "message_id": f"msg_{uuid4().hex}",
        "kind": wanted.kind.value,
        "state": State.WAITING.value,
        "rank": 0 if wanted.urgent or wanted.kind in _FIRST else 1,
        "event_id": wanted.event_id,
        "ticket_id": wanted.ticket_id,
        "channel": wanted.channel,
        "method_id": wanted.method_id,
        "otherwise": list(wanted.otherwise),
        "asked": {"channel": wanted.channel, "method_id": wanted.method_id, "otherwise": list(wanted.otherwise)},
        "ways": [],
        "person": wanted.person,
        "why": dict(wanted.why),
        "facts": dict(wanted.facts),
        "unless_acknowledged": wanted.unless_acknowledged,
        "urgent": wanted.urgent,
        "bundled": 1,
        "created_at": tx.now,
        "due_at": due_at,
        "give_up_at": gives_up_at(wanted.kind, due_at),
        "attempts": 0,
        "tried": 0,
    }


def cancel(tx: Tx, ticket_id: int, *, why: str, only_unless_acknowledged: bool = False) -> int:
    """Call off what waits for a ticket; how many. What is on its way is not tried again. What was asked for
    `unless_acknowledged` is not sent anyway once the ticket is acknowledged."""
    conditions = store.of_ticket(ticket_id, only_unless_acknowledged=only_unless_acknowledged)
    return store.cancel(tx, conditions, why=why)


def cancel_pages(tx: Tx, ticket_id: int, *, why: str, run_id: int | None = None) -> int:
    """Call off the calls about a ticket that wait, or those of one run; how many. What is on its way is not tried
    again."""
    return store.cancel(tx, store.pages_of(ticket_id, run_id), why=why)


@dataclass(frozen=True, slots=True)
class DeliveryQuery:
    """Which deliveries, the newest first."""

    wish: Wish = field(default_factory=Wish)
    limit: int = 100
    cursor: str | None = None


def find(database: Database, query: DeliveryQuery) -> tuple[list[Delivery], str | None]:
    """A page of deliveries, and the cursor of the next."""
    before = None if query.cursor is None else int(decode_cursor(query.cursor, _CURSOR, int)[0])
    found = database.read(lambda tx: store.page(tx, query.wish, before=before, limit=query.limit + 1))
    items = found[: query.limit]
    return items, encode_cursor(_CURSOR, items[-1].id) if len(found) > query.limit else None


def get(tx: ReadTx, delivery_id: int) -> Delivery:
    """One delivery. Raises NotFound."""
    found = store.get(tx, delivery_id)
    if found is None:
        raise NotFound(what="delivery", id=delivery_id)
    return found


def show(tx: ReadTx, delivery_id: int) -> tuple[Delivery, list[Attempt]]:
    """One delivery with its attempts, oldest first. Raises NotFound."""
    return get(tx, delivery_id), store.attempts_of(tx, delivery_id)


def replay(tx: Tx, delivery_id: int) -> Delivery:
    """Send one again that was given up, or that the receiver lost: with the same id, as it was asked for.

    Raises NotFound, Conflict.
    """
    found = get(tx, delivery_id)
    if found.state not in _REPLAYABLE:
        raise Conflict(detail=f"delivery {delivery_id} is {found.state.value}; a dead or delivered one is replayed")
    if store.revive(tx, [_again(tx, found)]) != 1:
        raise Conflict(detail=f"delivery {delivery_id} changed meanwhile")
    return get(tx, delivery_id)


def replay_dead(tx: Tx, wish: Wish) -> tuple[int, bool]:
    """Send again what was given up, up to `REPLAY_AT_ONCE` of it, the oldest first; how many, and whether there are
    more."""
    dead = Wish(wish.ticket_id, wish.channel, wish.person, wish.kind, (State.DEAD,), wish.since)
    found = store.matching(tx, dead, limit=REPLAY_AT_ONCE + 1)
    revived = store.revive(tx, [_again(tx, one) for one in found[:REPLAY_AT_ONCE]])
    return revived, len(found) > REPLAY_AT_ONCE


def _again(tx: Tx, delivery: Delivery) -> Mapping[str, Any]:
    asked = delivery.asked
    return {
        "b_id": delivery.id,
        "b_state": delivery.state.value,
        "b_channel": asked["channel"],
        "b_method_id": asked["method_id"],
        "b_otherwise": list(asked["otherwise"]),
        "b_give_up_at": gives_up_at(delivery.kind, tx.now),
    }
