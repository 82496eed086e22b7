"""Everything that is due at a moment is a row here, claimed in small turns. One row per kind and subject."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ColumnElement

from tocsin.storage.dialects import Dialect
from tocsin.storage.model import timers
from tocsin.storage.tx import ReadTx, Tx

WAKE: Final = "timers"
TURN: Final = 200
IN_CLAUSE: Final = 500
_LONGEST_BACKOFF: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Timer:
    """A row that is due. `version` is that of its subject when it was set."""

    kind: str
    subject: str
    due_at: datetime
    version: int
    attempts: int


def put(tx: Tx, kind: str, subject: str, *, due_at: datetime, version: int) -> None:
    """Set the timer of this kind and subject, replacing an earlier one."""
    put_many(tx, kind, {subject: due_at}, version=version)


def put_many(tx: Tx, kind: str, due_at_of: Mapping[str, datetime], *, version: int) -> None:
    """Set the timer of each of these subjects, replacing earlier ones."""
    if not due_at_of:
        return
    upsert = postgresql.insert(timers) if tx.dialect == "postgresql" else sqlite.insert(timers)
    new = upsert.excluded
    changes = {"due_at": new.due_at, "version": new.version, "attempts": 0}
    rows = [
        {"kind": kind, "subject": subject, "due_at": due_at, "version": version, "attempts": 0}
        for subject, due_at in sorted(due_at_of.items())
    ]
    tx.execute(upsert.on_conflict_do_update(index_elements=["kind", "subject"], set_=changes), rows)
    tx.wakes.add(WAKE)


def put_if_none(tx: Tx, kind: str, subject: str, *, due_at: datetime, version: int) -> None:
    """Set the timer of this kind and subject; one that is set already stays as it is."""
    upsert = postgresql.insert(timers) if tx.dialect == "postgresql" else sqlite.insert(timers)
    row = {"kind": kind, "subject": subject, "due_at": due_at, "version": version, "attempts": 0}
    tx.execute(upsert.on_conflict_do_nothing(index_elements=["kind", "subject"]), row)
    tx.wakes.add(WAKE)


def drop(tx: Tx, kind: str, subject: str) -> None:
    tx.execute(delete(timers).where(timers.c.kind == kind, timers.c.subject == subject))


# Made once: making it costs more than deleting some tens of rows.
_DROP_MANY: Final = delete(timers).where(
    timers.c.kind == bindparam("of_kind"), timers.c.subject.in_(bindparam("subjects", expanding=True))
)


def drop_many(tx: Tx, kind: str, subjects: Sequence[str]) -> None:
    for start in range(0, len(subjects), IN_CLAUSE):
        tx.execute(_DROP_MANY, {"of_kind": kind, "subjects": list(subjects[start : start + IN_CLAUSE])})


def due(tx: ReadTx) -> list[Timer]:
    """Some timers that are due, oldest first."""
    statement = select(timers).where(timers.c.due_at <= tx.now).order_by(timers.c.due_at).limit(TURN)
    return [Timer(**row._mapping) for row in tx.execute(statement)]


def _same(timer: Timer) -> ColumnElement[bool]:
    """The row, unless it was set anew: also for the same moment, by something that happened meanwhile."""
    mine = (timers.c.kind == timer.kind) & (timers.c.subject == timer.subject)
    return mine & (timers.c.due_at == timer.due_at) & (timers.c.version == timer.version)


def claim(tx: Tx, dialect: Dialect, timer: Timer) -> bool:
    """Take a timer off the table; False when it was set anew or another worker has it. A rollback puts it back."""
    if tx.execute(dialect.claim(select(timers.c.kind).where(_same(timer)))).one_or_none() is None:
        return False
    drop(tx, timer.kind, timer.subject)
    return True


def set_back(tx: Tx, timer: Timer) -> None:
    """Its handler raised: later each time, so that it can't hold up the others; unless it was set anew meanwhile."""
    wait = min(timedelta(seconds=2 ** min(timer.attempts, 12)), _LONGEST_BACKOFF)
    tx.execute(update(timers).where(_same(timer)).values(due_at=tx.now + wait, attempts=timer.attempts + 1))


def any_of(tx: ReadTx, kind: str) -> bool:
    """Whether there is a timer of this kind."""
    return tx.execute(select(timers.c.kind).where(timers.c.kind == kind).limit(1)).one_or_none() is not None


def next_due(tx: ReadTx) -> datetime | None:
    """The moment the earliest timer is due."""
    found: datetime | None = tx.execute(select(func.min(timers.c.due_at))).scalar_one()
    return found
