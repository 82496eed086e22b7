"""Searches over stored records: what an on-call engineer asks, timed in one process without HTTP.

The limit beside each figure is the budget of the design; the scan of all messages by Polars alone is measured in the
same run, as what the machine can do.
"""

import argparse
import resource
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl

import shapes
from tocsin.kit.actors import SYSTEM
from tocsin.logs.decode import decode
from tocsin.logs.intake import Submission
from tocsin.logs.levels import Level
from tocsin.logs.service import LogQuery
from tocsin.main import Instance
from tocsin.settings import Settings

PER_BATCH = 1_000
UNDER_WAY = 16


def fill(instance: Instance, records: int) -> str:
    """Store records and wait until they are compacted; the request id of one in the middle."""
    room, sample = threading.Semaphore(UNDER_WAY), ""

    def taken(outcome: Any) -> None:
        if isinstance(outcome, Exception):
            raise outcome
        room.release()

    lines: list[bytes] = []
    for number, line in enumerate(shapes.records("own", records), 1):
        lines.append(line)
        if number == records // 2:
            sample = line.partition(b'"request_id":"')[2][:32].decode()
        if len(lines) == PER_BATCH or number == records:
            batch = decode(b"\n".join(lines), lines=True, arrived=datetime.now(UTC))
            room.acquire()
            instance.intake.submit(Submission(batch.columns, 0, False, 1, SYSTEM, taken))
            lines = []
    for _ in range(UNDER_WAY):
        room.acquire()
    while instance.services.logs.stats().hot_records > 65_536:
        time.sleep(0.2)
    return sample


def timed(look: Callable[[], Any], repeats: int = 7) -> float:
    """The median time of a search, in ms, after a first one."""
    look()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        look()
        times.append(time.perf_counter() - began)
    return median(times) * 1000


def measure(instance: Instance, sample: str) -> None:
    logs = instance.services.logs
    by = ["service", "level"]
    searches: list[tuple[str, float, Callable[[], Any]]] = [
        ("newest 100", 30, lambda: logs.search(LogQuery())),
        ("newest 100 of a service at ERROR", 30, lambda: logs.search(LogQuery(level=Level.ERROR, service="payments"))),
        ("a rare word anywhere", 60, lambda: logs.search(LogQuery(q=sample))),
        ("an absent word", 20, lambda: logs.search(LogQuery(q="flibbertigibbet"))),
        ("@request_id:x", 60, lambda: logs.search(LogQuery(q=f"@request_id:{sample}"))),
        ("@duration_ms:>500 (all of them)", 900, lambda: logs.search(LogQuery(q="@duration_ms:>500", limit=1000))),
        ("regex over all messages", 900, lambda: logs.search(LogQuery(q=r"message:/in 7\d\d ms \(12345 b/"))),
        ("histogram by service and level", 200, lambda: logs.histogram(LogQuery(), interval=None, by=by)),
        ("top of an attribute", 200, lambda: logs.top(LogQuery(), field_name="attributes.region")),
    ]
    for name, budget, look in searches:
        print(f"{name:<36} {timed(look):8.1f} ms   budget {budget:g} ms", flush=True)
    paths = sorted(instance.services.logs.parts._files._objects.path.rglob("*.parquet"))
    pattern = pl.col("message").str.contains(r"in 7\d\d ms \(12345 b")
    bare = timed(lambda: pl.scan_parquet(paths, glob=False).filter(pattern).select("id").collect(engine="streaming"))
    print(f"{'Polars alone, the same regex':<36} {bare:8.1f} ms   the machine's limit")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        instance = Instance(Settings(data_dir=Path(folder)))
        try:
            began = time.perf_counter()
            sample = fill(instance, given.records)
            print(f"{given.records:,} records made, stored and compacted in {time.perf_counter() - began:.0f} s")
            stats = instance.services.logs.stats()
            size = (stats.size_bytes + stats.filter_bytes) / max(stats.records, 1)
            print(f"{stats.segments} segments, {size:.1f} bytes a record with filters   budget 45")
            measure(instance, sample)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(f"peak resident memory {peak} MB (the generator of records included)")
        finally:
            instance.close()
        began = time.perf_counter()
        again = Instance(Settings(data_dir=Path(folder)))
        found = again.services.logs.search(LogQuery())
        print(f"reopened and first answer ({len(found.items)} records) in {time.perf_counter() - began:.2f} s")
        again.close()


if __name__ == "__main__":
    main()
