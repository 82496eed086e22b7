"""What it costs to match stored records again: verify, and sealing, over segments of unlike records, a second rule or
not."""

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import bulk
import figures
from figures import Figure
from servers import temp_folder
from tocsin import pipeline
from tocsin.alerts import rule_service
from tocsin.alerts.rule_service import RuleBook
from tocsin.alerts.rules import Rule
from tocsin.kit.actors import SYSTEM, Actor
from tocsin.kit.clock import SystemClock
from tocsin.kit.metrics import Metrics
from tocsin.logs.compaction import Bounds, Compactor
from tocsin.logs.decode import decode
from tocsin.logs.intake import Intake, Submission
from tocsin.logs.segmentfiles import SegmentFiles
from tocsin.logs.service import LogReader
from tocsin.proof import sealed_store
from tocsin.proof.ledger import verify
from tocsin.proof.sealing import Sealer
from tocsin.storage import schema
from tocsin.storage.database import Database, open_database
from tocsin.storage.objects import Folder
from tocsin.storage.tx import Tx

T = TypeVar("T")
WANTED_PER_S: Final = 1_000_000.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Records a second of verify and of sealing, and how long one transaction of the latter took at most."""

    verify: float
    seal: float
    longest_write_s: float


def paces(folder: Path, records: int, conditions: list[str]) -> Pace:
    """With the seed rule and rules of these conditions."""
    folder.mkdir(parents=True)
    database = open_database(None, folder, clock=SystemClock(), routes=pipeline.ROUTES)
    schema.ensure(database, migrate=True)
    metrics, objects = Metrics(), Folder(folder / "segments")
    files = SegmentFiles(database, objects, metrics=metrics)
    try:
        for n, condition in enumerate(conditions):
            rule = Rule(name=f"rule-{n}", version=0, condition=condition, dry_run=True)
            database.write(partial(rule_service.save, rule=rule), actor=SYSTEM)
        began = datetime.now(UTC)
        _fill(database, metrics, folder / "requests", records)
        Compactor(database, objects, files, metrics, alone=True, bounds=Bounds(age=timedelta(0))).run()
        reader = LogReader(database, files, database.clock)
        until = datetime.now(UTC)
        verifying = _took_s(lambda: _check(verify(database, reader, began, until).balanced))
        timed = _Timed(database)
        sealer = Sealer(timed, reader, metrics)
        position = database.read(lambda tx: sealed_store.horizon(tx, database))
        sealing = _took_s(lambda: _check(sealer.seal(position, hurry=False, deadline=math.inf) >= position))
        return Pace(records / verifying, records / sealing, timed.longest_write_s)
    finally:
        database.close()


def _check(right: bool) -> None:
    if not right:
        raise SystemExit("the books do not balance, or can't be sealed")


def _took_s(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


class _Timed(Database):
    """The same database; `longest_write_s` is how long the longest of its transactions had the write lock."""

    def __init__(self, of: Database) -> None:
        super().__init__(of.dialect, clock=of.clock, routes=of.routes)
        self.longest_write_s = 0.0

    def write(self, work: Callable[[Tx], T], *, actor: Actor) -> T:
        began = time.perf_counter()
        try:
            return super().write(work, actor=actor)
        finally:
            self.longest_write_s = max(self.longest_write_s, time.perf_counter() - began)


def _fill(database: Database, metrics: Metrics, requests: Path, records: int) -> None:
    intake = Intake(database, RuleBook(database), metrics=metrics, max_queue_bytes=1 << 30)
    since = datetime.now(UTC) - timedelta(minutes=30)
    bulk.write_requests(requests, records, since=since, step_us=720, seed=2)
    for request in bulk.read_requests(requests):
        body = bytes(request).partition(b"\r\n\r\n")[2]
        columns = decode(body, lines=True, arrived=datetime.now(UTC)).columns
        intake.submit(Submission(columns, 0, False, len(body), SYSTEM, lambda _: None))
    intake.close(600)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    given = parser.parse_args()
    kinds = {"seed rule": [], "and one for ERROR": ["level:>=ERROR"], "and a word": ["timed out"]}
    shown = []
    for n, (what, conditions) in enumerate(kinds.items()):
        with temp_folder() as folder:
            pace = paces(folder / str(n), given.records, conditions)
        beside = f"wanted {WANTED_PER_S:,.0f}/s"
        shown.append(Figure(f"verify, {what}", f"{pace.verify:,.0f}/s", beside, pace.verify >= WANTED_PER_S))
        longest = f"its longest transaction {1000 * pace.longest_write_s:.1f} ms"
        shown.append(Figure(f"sealing, {what}", f"{pace.seal:,.0f}/s", longest, pace.seal >= WANTED_PER_S))
    figures.show(shown)


if __name__ == "__main__":
    main()
