"""What compaction alone costs: hot chunks of unlike records become segments, with nothing else going on."""

import argparse
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import bulk
import figures
from figures import Figure
from servers import temp_folder
from tocsin.alerts.counting import PatternCounter
from tocsin.kit.actors import SYSTEM
from tocsin.kit.clock import SystemClock
from tocsin.kit.events import Detected
from tocsin.kit.metrics import Metrics
from tocsin.logs.compaction import Compactor
from tocsin.logs.decode import decode
from tocsin.logs.intake import Intake, Submission
from tocsin.logs.record import Columns
from tocsin.logs.segmentfiles import SegmentFiles
from tocsin.storage import schema
from tocsin.storage.database import Database, open_database
from tocsin.storage.objects import Folder
from tocsin.storage.tx import Tx

CPU_BUDGET_S: Final = 3.0


def cpu_s_per_million(folder: Path, records: int, *, patterns: bool = False) -> float:
    """CPU seconds of all threads of this process for a million records; with `patterns`, those are found as well, as
    they are while compaction keeps up with what comes in."""
    folder.mkdir(parents=True)
    database = open_database(None, folder, clock=SystemClock(), routes={})
    schema.ensure(database, migrate=True)
    metrics, objects = Metrics(), Folder(folder / "segments")
    try:
        _fill(database, metrics, folder / "requests", records)
        files = SegmentFiles(database, objects, metrics=metrics)
        counter = PatternCounter(database, metrics)
        count = counter.count if patterns else counter.count_quickly
        compactor = Compactor(database, objects, files, metrics, alone=True, count=count, count_quickly=count)
        began = time.process_time()
        compactor.run()
        done = metrics.registry.get_sample_value("tocsin_logs_compacted_total") or 0.0
        return (time.process_time() - began) / done * 1e6
    finally:
        database.close()


class _Nothing:
    """No rules."""

    def refresh(self, tx: Tx) -> int:
        return 0

    def find(self, columns: Columns, first_id: int, backfill: bool) -> Detected:
        return Detected(0)


def _fill(database: Database, metrics: Metrics, requests: Path, records: int) -> None:
    intake = Intake(database, _Nothing(), metrics=metrics, max_queue_bytes=1 << 30)
    since = datetime.now(UTC) - timedelta(minutes=30)
    bulk.write_requests(requests, records, since=since, step_us=720, seed=2)
    for request in bulk.read_requests(requests):
        body = bytes(request).partition(b"\r\n\r\n")[2]
        columns = decode(body, lines=True, arrived=datetime.now(UTC)).columns
        intake.submit(Submission(columns, 0, False, len(body), SYSTEM, lambda _: None))
    intake.close(600)


def figure(cpu_s: float, what: str = "") -> Figure:
    """The figure with its budget."""
    beside = f"alone, budget {CPU_BUDGET_S:.0f}"
    return Figure(f"compaction, CPU per million{what}", f"{cpu_s:.2f} s", beside, cpu_s <= CPU_BUDGET_S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    given = parser.parse_args()
    with temp_folder() as folder:
        behind = cpu_s_per_million(folder / "behind", given.records)
        whole = cpu_s_per_million(folder / "whole", given.records, patterns=True)
        figures.show([figure(behind, ", behind"), figure(whole, ", with patterns")])


if __name__ == "__main__":
    main()
