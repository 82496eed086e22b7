"""Messages that can't go the way they are on: they take the next one, or are given up; what was called off ends."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from tocsin.notify import sending_store as store
from tocsin.notify.delivery_store import WAKE, Delivery, State
from tocsin.notify.message import Kind
from tocsin.notify.ways import Way, next_way
from tocsin.oncall import people_store
from tocsin.storage.tx import Tx

log = structlog.get_logger("tocsin.notify")


def next_of(delivery: Delivery, fallback: str | None) -> Way | None:
    """The way it takes after the present one; a test takes no other, and what is too old none at all."""
    if delivery.kind is Kind.TEST:
        return None
    way = Way(delivery.channel, delivery.method_id, delivery.otherwise)
    return next_way(way, fallback=fallback, gone=delivery.ways)


def leave(tx: Tx, deliveries: Sequence[Delivery], fallback: str | None, *, why: str) -> None:
    """Let each go its next way, or give it up, and say why. The rows are held by the caller."""
    rows = [_left(tx, one, fallback, why) for one in deliveries]
    store.set_many(tx, rows)
    ended = {row["id"] for row in rows if row["state"] != State.WAITING.value}
    drop_codes(tx, [one for one in deliveries if one.id in ended])
    if any(row["state"] == State.WAITING.value for row in rows):
        tx.wakes.add(WAKE)


def drop_codes(tx: Tx, over: Sequence[Delivery]) -> None:
    """Codes that were sent, or never will be, are not kept."""
    for one in over:
        if one.kind is Kind.CODE and one.method_id is not None:
            people_store.drop_code(tx, one.method_id)


def _left(tx: Tx, one: Delivery, fallback: str | None, why: str) -> Mapping[str, Any]:
    here = Way(one.channel, one.method_id, one.otherwise)
    over = one.give_up_at <= tx.now or one.unwanted_at is not None
    following = None if over else next_of(one, fallback)
    ended = State.DEAD if one.unwanted_at is None else State.CANCELLED
    if following is None and ended is State.DEAD:
        log.error("delivery_dead", id=one.id, kind=one.kind.value, ticket=one.ticket_id, way=here.name, why=why)
    way = following or here
    return {
        "id": one.id,
        "state": ended.value if following is None else State.WAITING.value,
        "channel": way.channel,
        "method_id": way.method_id,
        "otherwise": list(way.otherwise),
        "ways": [*one.ways, here.name],
        "due_at": tx.now,
        "tried": one.tried if following is None else 0,
        "answer": why,
        "lease": None,
        "leased_at": None,
        "ended_at": tx.now if following is None else None,
    }
