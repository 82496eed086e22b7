"""Everything that is due at a moment is a row here, claimed in small turns. One row per kind and subject."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from tocsin.storage.dialects import Dialect
from tocsin.storage.model import timers
from tocsin.storage.tx import ReadTx, Tx

WAKE: Final = "timers"
TURN: Final = 50
_LONGEST_BACKOFF: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Timer:
    """A row that is due. `version` lets its handler see whether the subject has moved on since."""

    kind: str
    subject: str
    due_at: datetime
    version: int
    attempts: int


def put(tx: Tx, kind: str, subject: str, *, due_at: datetime, version: int) -> None:
    """Set the timer of this kind and subject, replacing an earlier one."""
    upsert = postgresql.insert(timers) if tx.dialect == "postgresql" else sqlite.insert(timers)
    row = {"kind": kind, "subject": subject, "due_at": due_at, "version": version, "attempts": 0}
    changes = {"due_at": due_at, "version": version, "attempts": 0}
    tx.execute(upsert.values(**row).on_conflict_do_update(index_elements=["kind", "subject"], set_=changes))
    tx.wakes.add(WAKE)


def drop(tx: Tx, kind: str, subject: str) -> None:
    tx.execute(delete(timers).where(timers.c.kind == kind, timers.c.subject == subject))


def claim_due(tx: Tx, dialect: Dialect) -> list[Timer]:
    """Some timers that are due, oldest first, taken off the table; the transaction's rollback puts them back."""
    due = select(timers).where(timers.c.due_at <= tx.now).order_by(timers.c.due_at).limit(TURN)
    claimed = [Timer(**row._mapping) for row in tx.execute(dialect.claim(due))]
    for timer in claimed:
        drop(tx, timer.kind, timer.subject)
    return claimed


def set_back(tx: Tx, timer: Timer) -> None:
    """Its handler raised: put it back, later each time, so that it can't hold up the others."""
    wait = min(timedelta(seconds=2 ** min(timer.attempts, 12)), _LONGEST_BACKOFF)
    put(tx, timer.kind, timer.subject, due_at=tx.now + wait, version=timer.version)
    same = (timers.c.kind == timer.kind) & (timers.c.subject == timer.subject)
    tx.execute(update(timers).where(same).values(attempts=timer.attempts + 1))


def next_due(tx: ReadTx) -> datetime | None:
    """The moment the earliest timer is due."""
    found: datetime | None = tx.execute(select(func.min(timers.c.due_at))).scalar_one()
    return found
