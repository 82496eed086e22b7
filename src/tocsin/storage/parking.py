"""Parked rows: stored records whose consequences a later stage failed to work out, until a retry does."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, insert, select, update

from tocsin.kit.events import LogsParked
from tocsin.storage import timers
from tocsin.storage.model import parked
from tocsin.storage.tx import ReadTx, Tx

RETRY: Final = "parked.retry"
MAX_ERROR_CHARS: Final = 500
_FIRST_RETRY: Final = timedelta(seconds=1)
_LONGEST_RETRY: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Parked:
    """A range of record ids, the LogsStored event that announced it, and how often working it off was tried.

    `rule` names the one rule that raised on them; what follows from the others has been worked out.
    """

    id: int
    event_id: int
    first_id: int
    last_id: int
    parked_at: datetime
    attempts: int
    error: str
    rule: str | None = None


def park(
    tx: Tx, event_id: int, *, first_id: int, last_id: int, error: Exception | str, rule: str | None = None
) -> None:
    """Keep a range of stored records for later, say so on the event list, and set the timer of the first retry."""
    text = error[:MAX_ERROR_CHARS] if isinstance(error, str) else describe(error)
    row = {
        "event_id": event_id,
        "first_id": first_id,
        "last_id": last_id,
        "parked_at": tx.now,
        "attempts": 0,
        "error": text,
        "rule": rule,
    }
    parked_id = tx.execute(insert(parked).values(**row).returning(parked.c.id)).scalar_one()
    tx.emit(LogsParked(first_id=first_id, last_id=last_id, error=text, rule=rule), causes=[event_id])
    timers.put(tx, RETRY, str(parked_id), due_at=tx.now + _FIRST_RETRY, version=0)


def get(tx: ReadTx, parked_id: int) -> Parked | None:
    row = tx.execute(select(parked).where(parked.c.id == parked_id)).one_or_none()
    return None if row is None else Parked(**row._mapping)


def any_of_rule(tx: ReadTx, rule: str) -> bool:
    """Whether records wait for this rule."""
    return tx.execute(select(parked.c.id).where(parked.c.rule == rule).limit(1)).one_or_none() is not None


def any_waiting(tx: ReadTx, rule: str) -> bool:
    """Whether records are still to be matched with this rule, or with all."""
    mine = parked.c.rule.is_(None) | (parked.c.rule == rule)
    return tx.execute(select(parked.c.id).where(mine).limit(1)).one_or_none() is not None


def done(tx: Tx, item: Parked) -> None:
    """What follows from the records has been worked out."""
    tx.execute(delete(parked).where(parked.c.id == item.id))


def postpone(tx: Tx, item: Parked, error: Exception) -> None:
    """It failed again: try later, waiting twice as long each time, up to five minutes."""
    attempts = item.attempts + 1
    tx.execute(update(parked).where(parked.c.id == item.id).values(attempts=attempts, error=describe(error)))
    wait = min(_FIRST_RETRY * 2 ** min(attempts, 16), _LONGEST_RETRY)
    timers.put(tx, RETRY, str(item.id), due_at=tx.now + wait, version=attempts)


def count(tx: ReadTx) -> int:
    """How many ranges are parked."""
    found: int = tx.execute(select(func.count()).select_from(parked)).scalar_one()
    return found


def describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARS]
