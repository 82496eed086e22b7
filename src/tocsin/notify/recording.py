"""What came of sending, written down: attempts, how the channel is doing, and what follows for each delivery."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

import structlog

from tocsin.notify import channel_service, channel_store
from tocsin.notify import sending_store as store
from tocsin.notify.backoff import RETRY_AFTER_MOST_S, Failure, next_try_at
from tocsin.notify.breaker import after_failure, after_success
from tocsin.notify.channel_store import StateRow
from tocsin.notify.delivery_store import Delivery, Outcome, State
from tocsin.notify.jobs import Answer
from tocsin.notify.leaving import drop_codes, leave, next_of
from tocsin.notify.message import DeliveryFailed
from tocsin.notify.refused_addresses import refuses_address
from tocsin.oncall import people_service
from tocsin.storage.tx import Tx

MOST_CHARS: Final = 500
_UNWANTED: Final = "it was called off on its way"

log = structlog.get_logger("tocsin.notify")


def record(tx: Tx, answers: Sequence[Answer], *, patience: float, chances: Sequence[float]) -> None:
    """Write down what came of these jobs; `chances` from 0 to 1, one for each, spread what is tried again."""
    together = sorted(zip(answers, chances, strict=True), key=lambda pair: pair[0].job.channel)
    # All workers hold channels in the order of their names, and before any delivery.
    for name, some in _by_channel(together):
        _follow(tx, name, [one for one, _ in some])
    ours = store.ours(tx, {one.job.delivery_id: one.job.lease for one in answers})
    store.add_attempts(tx, [_attempt(one, tx.now) for one in answers])
    _record_deliveries(tx, [one for one in answers if one.receipt is not None], ours)
    _record_interrupted(tx, [one for one in answers if one.receipt is None and one.failure is None], ours)
    for name, some in _by_channel(together):
        row = channel_store.get(tx, name)
        fallback = None if row is None else row.definition.fallback
        for one, chance in some:
            mine = ours.get(one.job.delivery_id)
            if one.failure is not None and mine is not None:
                _go_on(tx, mine, one.failure, fallback, chance=chance, patience=patience)
        gone = [one.failure.detail for one, _ in some if one.failure is not None and _wants_no_more(one)]
        if gone:
            channel_service.disable(tx, name, _storable(gone[0]))
    _disable_methods(tx, answers)


def _disable_methods(tx: Tx, answers: Sequence[Answer]) -> None:
    """What refuses a person's address for good disables that method alone, not the channel that it went over."""
    for one in sorted(answers, key=lambda one: one.job.method_id or 0):
        method_id, failure = one.job.method_id, one.failure
        if method_id is None or failure is None or one.our_fault:
            continue
        if refuses_address(one.job.channel_kind, failure):
            people_service.disable_method(tx, method_id, _storable(failure.detail))


def _by_channel(together: Sequence[tuple[Answer, float]]) -> list[tuple[str, list[tuple[Answer, float]]]]:
    return [(name, list(some)) for name, some in groupby(together, key=lambda pair: pair[0].job.channel)]


def _wants_no_more(one: Answer) -> bool:
    """410 of the channel itself; of a person's method it is that person's alone."""
    return one.failure is not None and one.failure.gone and one.job.method_id is None


def _follow(tx: Tx, name: str, answers: Sequence[Answer]) -> None:
    """How the channel is doing after these."""
    state = before = channel_store.hold_state(tx, name)
    if state is None or before is None:
        return  # it was removed meanwhile
    for one in answers:
        state = _after(state, one, tx.now)
    if before.breaker.opened_at is None and state.breaker.opened_at is not None:
        log.warning("channel_rests", channel=name, failures=state.breaker.failures, error=state.error)
    if before.breaker.opened_at is not None and state.breaker.opened_at is None:
        log.info("channel_works_again", channel=name)
    channel_store.set_state(tx, state)


def _after(state: StateRow, one: Answer, now: datetime) -> StateRow:
    if one.receipt is not None:
        return replace(state, breaker=after_success(), ok_at=now)
    if one.failure is None or one.our_fault:
        return state
    state = replace(state, error_at=now, error=_storable(one.failure.detail))
    if one.failure.permanent:
        # It answered: that it won't have this one says nothing of the next, unless this was to show how it is.
        return replace(state, breaker=after_success()) if one.job.probe else state
    state = replace(state, breaker=after_failure(state.breaker, now, probe=one.job.probe))
    if one.failure.retry_after_s is not None:
        hold = now + timedelta(seconds=min(one.failure.retry_after_s, RETRY_AFTER_MOST_S))
        before = state.held_until if state.is_held(now) else None
        state = replace(state, held_until=max(hold, before or hold))
    return state


def _attempt(one: Answer, now: datetime) -> Mapping[str, Any]:
    if one.receipt is not None:
        outcome, answer = Outcome.DELIVERED, one.receipt.answer
    elif one.failure is not None:
        outcome, answer = Outcome.FAILED, one.failure.detail
    else:
        outcome, answer = Outcome.INTERRUPTED, "the server was told to stop meanwhile"
    return {
        "delivery_id": one.job.delivery_id,
        "n": one.job.n,
        "at": now - timedelta(milliseconds=one.took_ms),
        "channel": one.job.channel,
        "method_id": one.job.method_id,
        "outcome": outcome.value,
        "answer": _storable(answer),
        "took_ms": one.took_ms,
    }


def _storable(text: str) -> str:
    """What others say: short, and without what PostgreSQL can't keep."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()[:MOST_CHARS]


def _record_deliveries(tx: Tx, answers: Sequence[Answer], ours: Mapping[int, Delivery]) -> None:
    """Delivered is delivered, also when the lease was over by then."""
    rows = []
    for one in answers:
        if one.receipt is None:
            continue
        reference = None if one.receipt.reference is None else _storable(one.receipt.reference)
        rows.append(
            {
                "id": one.job.delivery_id,
                "state": State.DELIVERED.value,
                "answer": _storable(one.receipt.answer),
                "reference": reference,
                "ended_at": tx.now,
                "lease": None,
                "leased_at": None,
            }
        )
    store.settle(tx, rows)
    drop_codes(tx, [ours[one.job.delivery_id] for one in answers if one.job.delivery_id in ours])


def _record_interrupted(tx: Tx, answers: Sequence[Answer], ours: Mapping[int, Delivery]) -> None:
    """They are due at once, as if that try had not been."""
    rows = [ours[one.job.delivery_id] for one in answers if one.job.delivery_id in ours]
    leave(tx, [one for one in rows if one.unwanted_at is not None], None, why=_UNWANTED)
    idle = {"lease": None, "leased_at": None, "due_at": tx.now}
    again = [one for one in rows if one.unwanted_at is None]
    store.set_many(tx, [{"id": one.id, "tried": max(one.tried - 1, 0), **idle} for one in again])


def _go_on(
    tx: Tx, delivery: Delivery, failure: DeliveryFailed, fallback: str | None, *, chance: float, patience: float
) -> None:
    """Try again later, or go another way, or give up; nothing of the kind for what was called off meanwhile."""
    has_next_way = next_of(delivery, fallback) is not None
    at = next_try_at(
        delivery.kind,
        delivery.tried,
        Failure(failure.permanent, failure.retry_after_s),
        now=tx.now,
        give_up_at=delivery.give_up_at,
        has_next_way=has_next_way,
        chance=chance,
        patience=patience,
    )
    detail = _storable(failure.detail)
    if at is None or delivery.unwanted_at is not None:
        leave(tx, [delivery], fallback, why=detail)
    else:
        store.set_many(tx, [{"id": delivery.id, "due_at": at, "lease": None, "leased_at": None, "answer": detail}])
