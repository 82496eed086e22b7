"""Every query about runs of escalation policies."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, Text, cast, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ColumnElement

from tocsin.kit.events import TicketAnswered
from tocsin.oncall.escalation import Run, State
from tocsin.oncall.escalation_model import escalation_runs, escalation_steps, escalation_turns
from tocsin.storage.dialects import Dialect
from tocsin.storage.model import events
from tocsin.storage.tx import ReadTx, Tx

IN_CLAUSE: Final = 500
_RUN: Final = ("priority", "round", "step", "last_round", "next_at")


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run with what it is about. `message` is what whoever asked for it by hand has to say."""

    id: int
    ticket_id: int
    policy: str
    policy_version: int
    version: int
    run: Run
    route: str | None
    message: str
    began_at: datetime
    ended_at: datetime | None


def _row(found: Any) -> RunRow:
    run = Run(
        state=State(found.state),
        paused=tuple(found.paused),
        left_s=None if found.left_ms is None else found.left_ms / 1000,
        **{name: getattr(found, name) for name in _RUN},
    )
    same = ("id", "ticket_id", "policy", "policy_version", "version", "route", "message", "began_at", "ended_at")
    return RunRow(run=run, **{name: getattr(found, name) for name in same})


def _values(run: Run) -> dict[str, Any]:
    return {
        "state": run.state.value,
        "paused": list(run.paused),
        "left_ms": None if run.left_s is None else round(run.left_s * 1000),
        **{name: getattr(run, name) for name in _RUN},
    }


def add(
    tx: Tx, ticket_id: int, run: Run, *, policy: str, policy_version: int, route: str | None, message: str
) -> RunRow | None:
    """Begin a run; None when one of that policy goes on for the ticket."""
    upsert = postgresql.insert(escalation_runs) if tx.dialect == "postgresql" else sqlite.insert(escalation_runs)
    what = {"ticket_id": ticket_id, "policy": policy, "policy_version": policy_version, "version": 1}
    values = {**what, "route": route, "message": message, "began_at": tx.now, **_values(run)}
    statement = upsert.values(**values).on_conflict_do_nothing().returning(escalation_runs.c.id)
    found = tx.execute(statement).scalar_one_or_none()
    if found is None:
        return None
    return RunRow(id=found, run=run, route=route, message=message, began_at=tx.now, ended_at=None, **what)  # type: ignore[arg-type]


def get(tx: ReadTx, run_id: int) -> RunRow | None:
    found = tx.execute(select(escalation_runs).where(escalation_runs.c.id == run_id)).one_or_none()
    return None if found is None else _row(found)


def hold(tx: Tx, run_id: int) -> RunRow | None:
    """A run that nobody else can change until this transaction ends."""
    statement = select(escalation_runs).where(escalation_runs.c.id == run_id).with_for_update()
    found = tx.execute(statement).one_or_none()
    return None if found is None else _row(found)


def hold_free(tx: Tx, dialect: Dialect, run_id: int) -> RunRow | None:
    """As `hold`; None also for one that somebody else holds."""
    statement = dialect.claim(select(escalation_runs).where(escalation_runs.c.id == run_id))
    found = tx.execute(statement).one_or_none()
    return None if found is None else _row(found)


def hold_live(tx: Tx, ticket_ids: Collection[int]) -> list[RunRow]:
    """The runs that go on for these tickets; nobody else can change them until this transaction ends."""
    mine = escalation_runs.c.ticket_id.in_(sorted(ticket_ids)) & escalation_runs.c.ended_at.is_(None)
    statement = select(escalation_runs).where(mine).order_by(escalation_runs.c.id).with_for_update()
    return [_row(found) for found in tx.execute(statement)]


def answers_now(tx: ReadTx, ticket_id: int, person: str) -> bool:
    """Whether somebody answers for this ticket in this transaction, whoever writes that down for them."""
    answers = (events.c.subject == f"ticket:{ticket_id}") & (events.c.kind == TicketAnswered.__name__)
    found = tx.execute(select(events.c.data).where(answers, events.c.at == tx.now)).scalars()
    return any(data["person"] == person for data in found)


def goes_on(tx: Tx, ticket_id: int) -> bool:
    """Whether a run of this ticket has steps left to take; nobody else changes it until this transaction ends."""
    return any(row.run.state is not State.SPENT for row in hold_live(tx, [ticket_id]))


def is_calling(tx: ReadTx, ticket_id: int) -> bool:
    """Whether a run of this ticket waits for somebody to answer."""
    return any(one.ended_at is None and one.run.state is not State.WAITING for one in of_ticket(tx, ticket_id))


def of_ticket(tx: ReadTx, ticket_id: int) -> list[RunRow]:
    """All runs of a ticket, oldest first."""
    mine = escalation_runs.c.ticket_id == ticket_id
    return [_row(found) for found in tx.execute(select(escalation_runs).where(mine).order_by(escalation_runs.c.id))]


def live_of(tx: ReadTx, ticket_ids: Collection[int]) -> list[RunRow]:
    """The runs that go on for these tickets."""
    found: list[RunRow] = []
    wanted = sorted(ticket_ids)
    for start in range(0, len(wanted), IN_CLAUSE):
        mine = escalation_runs.c.ticket_id.in_(wanted[start : start + IN_CLAUSE])
        statement = select(escalation_runs).where(mine, escalation_runs.c.ended_at.is_(None))
        found += [_row(row) for row in tx.execute(statement)]
    return found


def live_after(tx: ReadTx, run_id: int, *, limit: int, paused_by: str | None = None) -> list[RunRow]:
    """Some of the runs that go on, of all tickets, after this one: all, or those that something pauses."""
    statement = select(escalation_runs).where(_going_on(paused_by), escalation_runs.c.id > run_id)
    return [_row(found) for found in tx.execute(statement.order_by(escalation_runs.c.id).limit(limit))]


def any_live(tx: ReadTx, *, paused_by: str | None = None) -> bool:
    """Whether a run goes on, or one that this pauses."""
    statement = select(escalation_runs.c.id).where(_going_on(paused_by)).limit(1)
    return tx.execute(statement).one_or_none() is not None


def _going_on(paused_by: str | None) -> ColumnElement[bool]:
    live = escalation_runs.c.ended_at.is_(None)
    return live if paused_by is None else live & cast(escalation_runs.c.paused, Text).contains(f'"{paused_by}"')


def ended_before(tx: ReadTx, before: datetime, *, limit: int) -> list[int]:
    """Some runs that ended before an instant."""
    statement = select(escalation_runs.c.id).where(escalation_runs.c.ended_at < before)
    return list(tx.execute(statement.order_by(escalation_runs.c.id).limit(limit)).scalars())


def forget(tx: Tx, run_ids: Collection[int]) -> None:
    """Take out runs that are over, with their steps."""
    tx.execute(delete(escalation_steps).where(escalation_steps.c.run_id.in_(sorted(run_ids))))
    tx.execute(delete(escalation_runs).where(escalation_runs.c.id.in_(sorted(run_ids))))


def save(tx: Tx, row: RunRow, run: Run) -> RunRow:
    """Write down where a run stands, which this transaction holds."""
    ended_at = tx.now if run.state is State.ENDED else None
    mine = escalation_runs.c.id == row.id
    changes = {**_values(run), "message": row.message, "version": row.version + 1, "ended_at": ended_at}
    tx.execute(update(escalation_runs).where(mine).values(**changes))
    return replace(row, run=run, version=row.version + 1, ended_at=ended_at)


def add_step(tx: Tx, row: RunRow) -> None:
    """Write down that the next step of a run is taken. The database refuses one that was taken before."""
    values = {"run_id": row.id, "round": row.run.round, "step": row.run.step, "at": tx.now}
    tx.execute(insert(escalation_steps).values(**values))


def turn(tx: Tx, policy: str, step: int) -> int:
    """Whose turn it is in a step of a policy that calls one after the other; nobody else may ask meanwhile."""
    found = tx.execute(_turn(policy, step).with_for_update()).scalar_one_or_none()
    return 0 if found is None else int(found)


def seen_turn(tx: ReadTx, policy: str, step: int) -> int:
    """The same, only to be shown."""
    found = tx.execute(_turn(policy, step)).scalar_one_or_none()
    return 0 if found is None else int(found)


def _turn(policy: str, step: int) -> Select[tuple[int]]:
    mine = (escalation_turns.c.policy == policy) & (escalation_turns.c.step == step)
    return select(escalation_turns.c.turn).where(mine)


def set_turn(tx: Tx, policy: str, step: int, turn: int) -> None:
    upsert = postgresql.insert(escalation_turns) if tx.dialect == "postgresql" else sqlite.insert(escalation_turns)
    statement = upsert.values(policy=policy, step=step, turn=turn)
    tx.execute(statement.on_conflict_do_update(index_elements=["policy", "step"], set_={"turn": turn}))
