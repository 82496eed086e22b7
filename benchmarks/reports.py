"""Reports over a year of tickets: milliseconds of each, on SQLite or PostgreSQL."""

import argparse
import gc
import random
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import insert, text

import figures
from figures import Figure
from tocsin import pipeline
from tocsin.kit.actors import SYSTEM
from tocsin.kit.clock import SystemClock
from tocsin.storage import schema
from tocsin.storage.database import Database, open_database
from tocsin.storage.tx import Tx
from tocsin.tickets import report_service
from tocsin.tickets.model import tickets
from tocsin.tickets.report_store import Asked

START: Final = datetime(2025, 1, 1, tzinfo=UTC)
YEAR: Final = timedelta(days=365)
SLICE: Final = 20_000
BUDGET_MS: Final = 1_000.0
GROUPS: Final = (None, "priority", "service", "team", "assignee", "hour_of_week")


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
            "sla_state": "met" if dice.random() < 0.9 else "met_late",
        }  # fmt: skip

    def some(tx: Tx, start: int) -> None:
        tx.execute(insert(tickets), [row(number) for number in range(start, min(start + SLICE, count))])

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


def measure(*, count: int = 1_000_000, url: str | None = None, repeats: int = 3) -> list[Figure]:
    """Each report, the median of some times."""
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(url, Path(folder), clock=SystemClock(), routes=pipeline.ROUTES)
        schema.ensure(database, migrate=True)
        fill(database, count)
        gc.collect()
        asked, zone = Asked(START, START + YEAR), ZoneInfo("Europe/Lisbon")
        found = []
        for by in GROUPS:
            times, spent = [], []
            for _ in range(repeats):
                began, worked = time.perf_counter(), time.process_time()
                report = database.read(
                    lambda tx, by=by: report_service.tickets(tx, asked, by=by, zone=zone, trend=True)
                )
                times.append((time.perf_counter() - began) * 1000)
                spent.append((time.process_time() - worked) * 1000)
            assert report.total.tickets == count
            taken = statistics.median(times)
            name = f"{count:,} tickets of a year by {by or 'nothing'}, with trend"
            found.append(
                Figure(name, f"{taken:.0f} ms", f"CPU {min(spent):.0f} ms, budget {BUDGET_MS:.0f}", taken < BUDGET_MS)
            )
        began = time.perf_counter()
        database.read(lambda tx: report_service.backlog(tx, asked, by="priority", zone=zone))
        found.append(Figure("backlog by priority", f"{(time.perf_counter() - began) * 1000:.0f} ms"))
        database.close()
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=1_000_000)
    parser.add_argument("--url", help="an empty PostgreSQL database; without it, SQLite in a temporary folder")
    given = parser.parse_args()
    figures.show(measure(count=given.tickets, url=given.url))


if __name__ == "__main__":
    main()
