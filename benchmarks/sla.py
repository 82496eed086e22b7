"""SLA timers: 100,000 tickets with a clock each, 1,000 of them due at once; and GET /tickets?q=sla:... among many."""

import argparse
import gc
import json
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, insert, select

import figures
from figures import Figure
from tocsin import pipeline
from tocsin.kit.actors import SYSTEM
from tocsin.kit.metrics import Metrics
from tocsin.query.parse import parse
from tocsin.storage import schema
from tocsin.storage.database import Database, open_database
from tocsin.storage.model import events
from tocsin.storage.model import timers as timer_rows
from tocsin.storage.tx import Tx
from tocsin.tickets import service, sla, sla_service
from tocsin.tickets.fields import TICKETS
from tocsin.tickets.model import tickets
from tocsin.tickets.policies import Policy
from tocsin.tickets.sla import Assigned, Facts
from tocsin.tickets.store import TicketQuery
from tocsin.upkeep import run_due_timers

START: Final = datetime(2026, 11, 24, 2, 21, tzinfo=UTC)
TARGET: Final = timedelta(hours=1)
OFFICE: Final = {
    "time_zone": "Europe/Lisbon",
    "hours": {day: [["00:00", "12:00"], ["13:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri")},
    "holidays": {"country": "PT", "subdivision": None},
    "days": {},
}
SLICE: Final = 5_000
BUDGET_MS: Final = 200.0
TURN_MS: Final = 10.0
LIST_MS: Final = 20.0
QUERIES: Final = (
    "sla:breached", "sla:at_risk", "sla:on_track", "sla:met_late", "sla:met", "sla:paused", "sla:none",
    "status:OPEN sla:breached", "sla:met_late priority:P1",
)  # fmt: skip


class SetClock:
    """Stands where it is put."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at


def fill(database: Database, count: int, due: int, closed: int) -> None:
    """Open tickets whose resolve clocks run, of which so many are due when an hour has passed, and closed ones."""
    database.write(lambda tx: sla_service.save_calendar(tx, "office", OFFICE), actor=SYSTEM)
    policy = Policy("all", 0, resolve_s=int(TARGET.total_seconds()), calendar="office")
    database.write(lambda tx: sla_service.save_policy(tx, policy), actor=SYSTEM)
    assigned = Assigned("all", 1, "office", 1, START)
    for start in range(0, closed, SLICE):
        database.write(lambda tx, start=start: _closed(tx, start, min(SLICE, closed - start), assigned), actor=SYSTEM)
    for start in range(0, count, SLICE):
        database.write(lambda tx, start=start: _open(tx, start, min(SLICE, count - start), due, assigned), actor=SYSTEM)


def _row(opened: datetime, facts: Facts, status: str, **more: object) -> dict[str, object]:
    return {
        "status": status, "priority": 2, "service": "payments", "title": "down", "description": "", "assignee": None,
        "opened_by": "system", "opened_at": opened, "updated_at": opened, "acknowledge_from": opened,
        "reopen_count": 0, "version": 1, "sla": sla.as_values(facts), "resolved_at": facts.resolved_at, **more,
    }  # fmt: skip


def _closed(tx: Tx, start: int, count: int, assigned: Assigned) -> None:
    rows = []
    for number in range(start, start + count):
        opened = START - timedelta(days=300) + timedelta(seconds=number)
        facts = Facts(opened, opened, resolved_at=opened + TARGET / 2, assigned=assigned)
        rows.append(_row(opened, facts, "CLOSED", sla_state="met_late" if number % 100 == 0 else "met"))
    tx.execute(insert(tickets), rows)


def _open(tx: Tx, start: int, count: int, due: int, assigned: Assigned) -> None:
    rows = []
    for number in range(start, start + count):
        opened = START if number < due else START + timedelta(hours=2, milliseconds=number)
        facts = Facts(opened, opened, told=("resolve:at_risk",) if number < due else (), assigned=assigned)
        more = {"sla_due_at": opened + TARGET, "sla_at_risk_at": opened + TARGET * 0.75}
        rows.append(_row(opened, facts, "OPEN", sla_state="on_track", **more))
    ids = tx.execute(insert(tickets).returning(tickets.c.id, sort_by_parameter_order=True), rows).scalars().all()
    pairs = zip(ids, rows, strict=True)
    due_rows = [
        {"kind": sla_service.TIMER, "subject": str(ticket_id), "version": 1, "attempts": 0,
         "due_at": row["sla_due_at" if row["opened_at"] == START else "sla_at_risk_at"]}
        for ticket_id, row in pairs
    ]  # fmt: skip
    tx.execute(insert(timer_rows), due_rows)


def work_off(database: Database) -> tuple[float, list[float]]:
    """Milliseconds in all, and of each turn of the write lock, its commit included."""
    turns: list[float] = []
    write = database.write

    def measured(work: Any, **more: Any) -> Any:
        began = time.perf_counter()
        try:
            return write(work, **more)
        finally:
            turns.append((time.perf_counter() - began) * 1000)

    database.write = measured
    began = time.perf_counter()
    run_due_timers(database, {}, metrics=Metrics(), batches=pipeline.BATCHES)
    database.write = write
    return (time.perf_counter() - began) * 1000, turns


def bare(database: Database, due: int, turns: int) -> float:
    """Milliseconds of the same rows read and written in as many turns, by the driver alone, nothing worked out."""
    mark = "?" if database.dialect.one_writer else "%s"
    json_mark = "?" if database.dialect.one_writer else "%s::jsonb"
    read = f"SELECT id, sla FROM tickets WHERE id > {mark} ORDER BY id LIMIT {mark}"
    tell = (
        "INSERT INTO events (at, recorded_at, kind, subject, actor, data, position)"
        f" VALUES ({mark}, {mark}, 'Bare', {mark}, 'system', {json_mark}, 0)"
    )
    write = f"UPDATE tickets SET sla = {json_mark}, sla_state = 'breached' WHERE id = {mark}"
    each, began = -(-due // turns), time.perf_counter()
    for start in range(0, due, each):
        with database.dialect.writers.connect() as connection, connection.begin():
            raw = connection.connection.cursor()
            raw.execute(read, (start, each))
            rows = [(one[0], one[1] if isinstance(one[1], str) else json.dumps(one[1])) for one in raw.fetchall()]
            raw.executemany(tell, [(0, 0, f"bare:{one}", text) for one, text in rows])
            raw.executemany(write, [(text, one) for one, text in rows])
            raw.executemany(
                f"DELETE FROM timers WHERE kind = 'bare' AND subject = {mark}", [(f"bare:{one}",) for one, _ in rows]
            )
            raw.close()
    return (time.perf_counter() - began) * 1000


def list_times(database: Database, q: str, repeats: int = 20) -> list[float]:
    """Milliseconds of a page of 50 with its clocks, as GET /tickets looks for it."""
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        query = TicketQuery(condition=parse(q, TICKETS, now=database.clock.now()), limit=50)
        page, _cursor = service.find(database, query)
        database.read(lambda tx, page=page: sla_service.standings(tx, page))
        found.append((time.perf_counter() - began) * 1000)
    return sorted(found)


def measure(*, count: int = 100_000, due: int = 1_000, closed: int = 0, url: str | None = None) -> list[Figure]:
    """The timers that are due, then pages of tickets by the state of their clocks."""
    with tempfile.TemporaryDirectory() as folder:
        clock = SetClock()
        database = open_database(url, Path(folder), clock=clock, routes=pipeline.ROUTES)
        schema.ensure(database, migrate=True)
        fill(database, count, due, closed)
        database.checkpoint() if url is None else None  # what filling left to do is not measured
        gc.collect()
        clock.at = START + TARGET
        cpu = time.process_time()
        total, turns = work_off(database)
        cpu_ms = (time.process_time() - cpu) * 1000
        told = database.read(lambda tx: tx.execute(select(func.count()).where(events.c.kind == "SlaBreached")).scalar())
        assert told == due, f"{told} told of {due}"
        found = [
            Figure(f"{due:,} of {count:,} timers due: told in all", f"{total:.0f} ms", f"budget < {BUDGET_MS:.0f} ms",
                   total < BUDGET_MS),
            Figure(f"... longest of {len(turns)} turns", f"{max(turns):.1f} ms", f"budget <= {TURN_MS:.0f} ms",
                   max(turns) <= TURN_MS),
            Figure("... median turn", f"{statistics.median(turns):.1f} ms"),
            Figure("... CPU of it", f"{cpu_ms:.0f} ms", f"the driver alone {bare(database, due, len(turns)):.0f} ms"),
        ]  # fmt: skip
        for q in QUERIES:
            times = list_times(database, q)
            worst = f"p99 {times[-1]:.1f} ms, budget < {LIST_MS:.0f} ms"
            found.append(Figure(f"a page of 50: {q}", f"{statistics.median(times):.1f} ms", worst, times[-1] < LIST_MS))
        database.close()
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timers", type=int, default=100_000)
    parser.add_argument("--due", type=int, default=1_000)
    parser.add_argument("--closed", type=int, default=0, help="tickets that are over, beside them")
    parser.add_argument("--url", help="an empty PostgreSQL database; without it, SQLite in a temporary folder")
    given = parser.parse_args()
    figures.show(measure(count=given.timers, due=given.due, closed=given.closed, url=given.url))


if __name__ == "__main__":
    main()
