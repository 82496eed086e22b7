"""Reports over a year of tickets: milliseconds of each, on SQLite or PostgreSQL; of closed tickets from their blocks,
and before there are any."""

import argparse
import gc
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import func, insert, select, text

import figures
from figures import Figure
from tocsin import pipeline
from tocsin.kit.actors import SYSTEM
from tocsin.kit.calendar import Calendar
from tocsin.kit.clock import SystemClock
from tocsin.storage import schema
from tocsin.storage.database import Database, open_database
from tocsin.storage.tx import Tx
from tocsin.tickets import report_service, sla_store
from tocsin.tickets.block_service import BlockMaker
from tocsin.tickets.calendars import definition_of
from tocsin.tickets.model import ticket_blocks, tickets
from tocsin.tickets.report_store import Asked

START: Final = datetime(2025, 1, 1, tzinfo=UTC)
YEAR: Final = timedelta(days=365)
SLICE: Final = 20_000
BUDGET_MS: Final = 1_000.0
GROUPS: Final = (None, "priority", "service", "team", "assignee", "rule", "hour_of_week", "day")
OFFICE: Final = Calendar("Europe/Lisbon", (((540, 1080),),) * 5 + ((), ()), "PT")


def fill(database: Database, count: int) -> None:
    """Closed tickets, evenly over a year; one in two hundred is open."""
    dice = random.Random(1)

    def row(number: int) -> dict[str, Any]:
        opened = START + YEAR * (number / count)
        resolved = None if number % 200 == 0 else opened + timedelta(seconds=dice.expovariate(1 / 20_000))
        return {
            "status": "OPEN" if resolved is None else "CLOSED", "priority": dice.randint(1, 5),
            "service": f"service-{dice.randint(1, 60)}", "team": f"team-{dice.randint(1, 20)}",
            "assignee": f"user{dice.randint(1, 200)}", "title": "database connection lost after three attempts",
            "description": "It was seen on three of five nodes. " * 4, "opened_by": "rule:critical-logs",
            "opened_at": opened, "updated_at": opened, "acknowledge_from": opened,
            "acknowledged_at": opened + timedelta(seconds=dice.expovariate(1 / 600)), "resolved_at": resolved,
            "reopen_count": int(number % 90 == 0), "reassignment_count": number % 3, "version": 3,
            "sla_state": "on_track" if resolved is None else "met" if dice.random() < 0.9 else "met_late",
            "acknowledge_due_at": opened + timedelta(minutes=15), "resolve_due_at": opened + timedelta(hours=8),
            "sla_calendar": "office@1" if number % 3 else "", "recurrence_of": number if number % 20 == 1 else None,
        }  # fmt: skip

    def some(tx: Tx, start: int) -> None:
        tx.execute(insert(tickets), [row(number) for number in range(start, min(start + SLICE, count))])

    office = definition_of(OFFICE)
    database.write(lambda tx: sla_store.put(tx, sla_store.CALENDAR, "office", 1, office, is_new=True), actor=SYSTEM)
    for start in range(0, count, SLICE):
        database.write(lambda tx, start=start: some(tx, start), actor=SYSTEM)
    vacuum(database)


def vacuum(database: Database) -> None:
    """What PostgreSQL does by itself in time: it reads from an index alone only then."""
    if database.dialect.one_writer:
        database.checkpoint()
    else:
        with database.dialect.writers.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE tickets"))


def taken(work: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """The median of the milliseconds on the wall, and the least of those of the processor in this process."""
    times, spent = [], []
    for _ in range(repeats):
        began, worked = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - began) * 1000)
        spent.append((time.process_time() - worked) * 1000)
    return statistics.median(times), min(spent)


def measure(*, count: int = 1_000_000, url: str | None = None, repeats: int = 3) -> list[Figure]:
    """Each report, the median of some times."""
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(url, Path(folder), clock=SystemClock(), routes=pipeline.ROUTES)
        schema.ensure(database, migrate=True)
        fill(database, count)
        gc.collect()
        asked, zone = Asked(START, START + YEAR), ZoneInfo("Europe/Lisbon")

        def report(by: str | None) -> None:
            found = database.read(lambda tx: report_service.tickets(tx, asked, by=by, zone=zone, trend=True))
            assert found.total.tickets == count

        what = f"{count:,} tickets of a year, working time and trend"
        found = []
        wall, cpu = taken(lambda: report("priority"), 1)
        found.append(Figure(f"{what}, by priority, from rows alone", f"{wall:.0f} ms", f"CPU {cpu:.0f} ms"))
        found += block(database, count)
        for by in GROUPS:
            wall, cpu = taken(lambda by=by: report(by), repeats)  # type: ignore[misc]
            beside = f"CPU {cpu:.0f} ms, budget {BUDGET_MS:.0f}"
            found.append(Figure(f"{what}, by {by or 'nothing'}", f"{wall:.0f} ms", beside, wall < BUDGET_MS))
        wall, cpu = taken(
            lambda: database.read(lambda tx: report_service.backlog(tx, asked, by="priority", zone=zone)), repeats
        )
        found.append(Figure("backlog by priority", f"{wall:.0f} ms", f"CPU {cpu:.0f} ms"))
        # Others that work on the machine make a report wait, not work longer.
        load = f"{os.getloadavg()[1]:.0f} of {os.cpu_count()} processors"
        found.append(Figure("load of the machine meanwhile", load))
        database.close()
        return found


def block(database: Database, count: int) -> list[Figure]:
    """Make all blocks: how long each takes, and how large they are."""
    maker, made, began, worked = BlockMaker(database), 0, time.perf_counter(), time.process_time()
    while new := maker.make():
        made += new
    each = (time.perf_counter() - began) * 1000 / max(made, 1)
    cpu = (time.process_time() - worked) * 1000 / max(made, 1)
    if not database.dialect.one_writer:
        vacuum(database)
    size = database.read(lambda tx: tx.execute(select(func.sum(func.length(ticket_blocks.c.data)))).scalar_one())
    beside = f"CPU {cpu:.1f} ms, {made} blocks, {(size or 0) / count:.0f} bytes a ticket"
    return [Figure("making a block", f"{each:.1f} ms", beside)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=1_000_000)
    parser.add_argument("--url", help="an empty PostgreSQL database; without it, SQLite in a temporary folder")
    given = parser.parse_args()
    figures.show(measure(count=given.tickets, url=given.url))


if __name__ == "__main__":
    main()
