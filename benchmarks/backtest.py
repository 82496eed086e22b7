"""Back-tests over many stored records: a rare match, a threshold that counts one in twenty, a rule that matches all.

The store is filled in this process by the real intake and compaction, as if the records had come in over a day. Beside
each time stands the limit of the same run: Polars alone, reading the same columns of the same files with the same
condition.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl

import bulk
import figures
from figures import Figure
from servers import temp_folder
from tocsin.alerts.rules import Kind, Rule
from tocsin.kit.actors import SYSTEM
from tocsin.kit.events import Detected
from tocsin.kit.metrics import Metrics
from tocsin.logs.budget import Budget
from tocsin.logs.compaction import Bounds, Compactor
from tocsin.logs.decode import decode
from tocsin.logs.intake import Intake, Submission
from tocsin.logs.record import Columns
from tocsin.logs.segmentfiles import SegmentFiles
from tocsin.logs.service import LogReader
from tocsin.proof.backtest import Found, Wish, run
from tocsin.storage import schema
from tocsin.storage.database import Database, open_database
from tocsin.storage.objects import Folder
from tocsin.storage.tx import ReadTx

DAY: Final = timedelta(days=1)
START: Final = datetime(2026, 11, 23, tzinfo=UTC)
SLICE: Final = 500_000
BUDGET_S: Final = 10.0  # of ten million
PATIENCE_S: Final = 600.0
REPEATS: Final = 3


class MovingClock:
    """Says what it was set to."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at


class NoRules:
    """Nothing is matched when it comes in."""

    def refresh(self, tx: ReadTx) -> int:
        return 0

    def find(self, columns: Columns, first_id: int, backfill: bool) -> Detected:
        return Detected(0)


@dataclass(frozen=True, slots=True)
class Question:
    """A rule, and the same condition for Polars alone, with the columns the rule needs."""

    name: str
    rule: Rule
    condition: pl.Expr
    columns: tuple[str, ...]


_ALWAYS: Final = ("id", "timestamp", "observed_at", "service", "backfill")
QUESTIONS: Final = (
    Question(
        "level:CRITICAL",
        Rule("critical", 1, "level:CRITICAL", auto_resolve_after_s=600),
        pl.col("severity_number") >= 21,
        (*_ALWAYS, "message"),
    ),
    Question(
        "level:>=WARNING, 100 in 5 min per service",
        Rule("warnings", 1, "level:>=WARNING", Kind.THRESHOLD, group_by=("service",), threshold=100, window_s=300),
        pl.col("severity_number") >= 13,
        _ALWAYS,
    ),
    Question(
        "*, per service and template",
        Rule("all", 1, "*", auto_resolve_after_s=600),
        pl.lit(value=True),
        (*_ALWAYS, "message"),
    ),
)


def say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


class Store:
    """An installation of its own, without a server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = MovingClock()
        self.database: Database = open_database(None, folder, clock=self.clock, routes={})
        schema.ensure(self.database, migrate=True)
        self.metrics, objects = Metrics(), Folder(folder / "segments")
        files = SegmentFiles(self.database, objects, metrics=self.metrics)
        self.compactor = Compactor(self.database, objects, files, self.metrics, alone=True)
        self.compactor.bounds = Bounds(age=timedelta(0))
        self.reader = LogReader(self.database, files, self.clock)

    def fill(self, records: int) -> None:
        """A commit for each request; the records of all come in over a day."""
        step_us = int(DAY.total_seconds() * 1e6) // records
        intake = Intake(self.database, NoRules(), metrics=self.metrics)
        for start in range(0, records, SLICE):
            requests = self.folder / "requests"
            count = min(SLICE, records - start)
            since = START + timedelta(microseconds=start * step_us)
            bulk.write_requests(requests, count, since=since, step_us=step_us, seed=start)
            for place, request in enumerate(bulk.read_requests(requests), start=1):
                self.clock.at = since + timedelta(microseconds=place * bulk.PER_REQUEST * step_us)
                self._post(intake, bytes(request).partition(b"\r\n\r\n")[2])
            self.compactor.run()
            say(f"{start + count:,} of {records:,} stored")
        intake.close(600)

    def _post(self, intake: Intake, body: bytes) -> None:
        done: Future[Any] = Future()
        columns = decode(body, lines=True, arrived=self.clock.at).columns
        intake.submit(Submission(columns, 0, False, len(body), SYSTEM, done.set_result))
        done.result(60)

    def backtest(self, rule: Rule) -> Found:
        wish = Wish(rule, START, START + DAY + timedelta(hours=1), ZoneInfo("Europe/Berlin"))
        return run(self.database, self.reader, wish, Budget(PATIENCE_S))


def timed_s(look: Callable[[], Any]) -> tuple[float, float]:
    """The medians of some repetitions: by the clock, and of all threads' CPU, which other work on the machine does not
    change much."""
    times, cpu = [], []
    for _ in range(REPEATS):
        began, spent = time.perf_counter(), time.process_time()
        look()
        times.append(time.perf_counter() - began)
        cpu.append(time.process_time() - spent)
    return median(times), median(cpu)


def alone(folder: Path, question: Question) -> pl.DataFrame:
    """What the condition and the columns cost Polars alone."""
    files = pl.scan_parquet(sorted((folder / "segments").rglob("*.parquet")), glob=False, extra_columns="ignore")
    found = files.filter(question.condition).select(question.columns)
    return found.select(pl.all().hash().sum()).collect(engine="streaming")


def measure(*, records: int = 1_000_000) -> list[Figure]:
    """Each rule over all records."""
    found: list[Figure] = []
    with temp_folder() as folder:
        store = Store(folder)
        try:
            store.fill(records)
            before_mb = _memory_mb()
            for question in QUESTIONS:
                found += _figures(store, question, records)
            grown = _memory_mb() - before_mb
            found.append(Figure("... memory on top of that at its highest", f"{grown:.0f} MB", "of the whole process"))
        finally:
            store.database.close()
    return found


def _figures(store: Store, question: Question, records: int) -> list[Figure]:
    shown = store.backtest(question.rule)
    if shown.partial is not None:
        raise RuntimeError(f"{question.name}: only a part was replayed")
    took, cpu = timed_s(lambda: store.backtest(question.rule))
    limit, limit_cpu = timed_s(lambda: alone(store.folder, question))
    outcome = shown.outcome
    budget = BUDGET_S * records / 10_000_000
    say(f"{question.name}: {outcome.matched:,} match, {outcome.alerts:,} alerts, {outcome.pages:,} pages")
    what = f"{question.name} ({outcome.matched / records:.1%} of {records:,})"
    beside = f"Polars alone {limit:.2f}, CPU {limit_cpu:.2f}; budget {budget:g}"
    return [Figure(what, f"{took:.2f} s, CPU {cpu:.2f}", beside, took <= budget)]


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, epilog="--large needs about 1 GB of disk and some minutes.")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--large", action="store_true", help="ten million")
    given = parser.parse_args()
    figures.show(measure(records=10_000_000 if given.large else given.records))


if __name__ == "__main__":
    main()
