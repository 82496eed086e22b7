"""Every query about runs of drills."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import insert, select, update

from tocsin.kit.clock import iso
from tocsin.kit.events import ChannelPaged, EscalationBegan, NobodyOnCall, PersonPaged
from tocsin.notify.drill_model import drill_runs
from tocsin.notify.drilling import Step
from tocsin.storage.model import events
from tocsin.storage.tx import ReadTx, Tx

RUNNING, PASSED, MISSED = "running", "passed", "missed"
# What says that somebody was to be called, whether there was anybody or not.
_CALLS: Final = tuple(kind.__name__ for kind in (EscalationBegan, PersonPaged, ChannelPaged, NobodyOnCall))


@dataclass(frozen=True, slots=True)
class DrillRun:
    """A run of a drill: `steps` says when each was reached."""

    id: int
    name: str | None
    service: str
    within_s: int
    state: str
    began_at: datetime
    due_at: datetime
    ticket_id: int | None
    steps: dict[str, str]
    via: str | None
    ended_at: datetime | None

    @property
    def last_step(self) -> str:
        return next((step.value for step in reversed(Step) if step.value in self.steps), "nothing")


def add(tx: Tx, *, name: str | None, service: str, within_s: int) -> int:
    values = {"name": name, "service": service, "within_s": within_s, "state": RUNNING, "began_at": tx.now}
    due_at = tx.now + timedelta(seconds=within_s)
    key = tx.execute(insert(drill_runs).values(**values, due_at=due_at, steps={})).inserted_primary_key
    assert key is not None
    return int(key[0])


def get(tx: ReadTx, drill_id: int) -> DrillRun | None:
    row = tx.execute(select(drill_runs).where(drill_runs.c.id == drill_id)).one_or_none()
    return None if row is None else DrillRun(**row._mapping)


def hold(tx: Tx, drill_id: int) -> DrillRun | None:
    """A run that nobody else can change until this transaction ends."""
    row = tx.execute(select(drill_runs).where(drill_runs.c.id == drill_id).with_for_update()).one_or_none()
    return None if row is None else DrillRun(**row._mapping)


def running(tx: ReadTx) -> list[DrillRun]:
    """The runs that go on, oldest first."""
    statement = select(drill_runs).where(drill_runs.c.ended_at.is_(None)).order_by(drill_runs.c.id)
    return [DrillRun(**row._mapping) for row in tx.execute(statement)]


def page(tx: ReadTx, *, before: int | None, limit: int) -> list[DrillRun]:
    """The newest first."""
    statement = select(drill_runs)
    if before is not None:
        statement = statement.where(drill_runs.c.id < before)
    return [DrillRun(**row._mapping) for row in tx.execute(statement.order_by(drill_runs.c.id.desc()).limit(limit))]


def save(tx: Tx, run: DrillRun, *, steps: Mapping[Step, datetime] | None = None, **changes: Any) -> None:
    """Write down how far a run came."""
    reached = {**run.steps, **{step.value: iso(at) for step, at in (steps or {}).items()}}
    tx.execute(update(drill_runs).where(drill_runs.c.id == run.id).values(steps=reached, **changes))


def asked_to_call(tx: ReadTx, ticket_id: int, *, since: datetime) -> bool:
    """Whether a policy, a schedule or a team was to be called for a ticket since then."""
    calls = (events.c.subject == f"ticket:{ticket_id}") & events.c.kind.in_(_CALLS) & (events.c.at >= since)
    return tx.execute(select(events.c.id).where(calls).limit(1)).first() is not None
