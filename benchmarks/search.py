"""Logs at speed: millions stored over HTTP while they are compacted, then searched, restarted, and both at once.

Beside each figure stands the budget, and where there is one the limit from the same run: the bare handler for intake,
Polars alone over the same files for scans.
"""

import argparse
import http.client
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import urlencode

import polars as pl

import bulk
import compacting
import figures
from bulk import PER_REQUEST, Sample
from figures import Figure
from load import Load, in_own_process
from servers import Server, running, start_bare, start_tocsin, temp_folder

REPEATS: Final = 9
READERS: Final = 4
HOUR_US: Final = 3_600_000_000
LEAST_RATE: Final = 250_000
LEAST_RATIO: Final = 0.6
INTAKE_CPU_S: Final = 3.0
BYTES_A_RECORD: Final = 45.0
MEMORY_MB: Final = 450
RESTART_S: Final = 1.5
SLOWER: Final = 1.5  # the same questions about one hour of ten
HOT: Final = 65_536
SLICE: Final = 2_000_000  # of the large stock, as its requests are written to the disk first
_PATTERN: Final = r"in 7\d\d ms \(123\d\d b"


@dataclass(frozen=True, slots=True)
class Question:
    """A search an on-call engineer makes, with the most milliseconds it may take."""

    name: str
    path: str
    query: dict[str, Any]
    budget_ms: float


def questions(sample: Sample) -> list[Question]:
    return [
        Question("newest 100 at ERROR of one service", "/logs", {"level": "ERROR", "service": "payments"}, 30),
        Question("one rare word anywhere", "/logs", {"q": sample.request_id}, 60),
        Question("an absent word", "/logs", {"q": "flibbertigibbet"}, 20),
        Question("@request_id:x (one hit)", "/logs", {"q": f"@request_id:{sample.request_id}"}, 60),
        Question("@duration_ms:>500 (all)", "/logs", {"q": "@duration_ms:>500", "limit": 1000}, 900),
        Question("regex over all messages", "/logs", {"q": f"message:/{_PATTERN}/", "limit": 1000}, 900),
        Question("histogram by service and level", "/logs/histogram", {"by": "service,level"}, 200),
        Question("most frequent values of @region", "/logs/top", {"field": "@region"}, 200),
    ]


class Client:
    """One connection that is kept."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)

    def get(self, path: str, **query: Any) -> Any:
        self._connection.request("GET", f"{path}?{urlencode(query)}")
        return self._answer()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        self._connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        return self._answer()

    def _answer(self) -> Any:
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{answer.status}: {body[:300].decode(errors='replace')}")
        return json.loads(body)


def say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def send(server: Server, requests: Path, records: int) -> Load:
    load = in_own_process(port=server.port, file=requests, count=-(-records // PER_REQUEST))
    if load.errors:
        raise RuntimeError(f"{load.errors} requests failed, first: {load.first_error}\n{server.last_words()}")
    return load


def settled(server: Server) -> dict[str, Any]:
    """What is stored, once what came last is compacted as well."""
    client = Client(server)
    while (found := client.get("/logs/stats"))["hot_records"] >= HOT:
        time.sleep(0.1)
    stats: dict[str, Any] = found
    return stats


def timed_ms(look: Callable[[], Any]) -> float:
    """The median of some repetitions after a first one."""
    look()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        look()
        times.append((time.perf_counter() - began) * 1000)
    return median(times)


def ask(server: Server, sample: Sample, **window: Any) -> dict[str, float]:
    """How long each question takes, over HTTP."""
    client = Client(server)
    found = {}
    for question in questions(sample):
        query = {**question.query, **window}
        answer = client.get(question.path, **query)
        if answer["partial"]:
            raise RuntimeError(f"{question.name}: only a part was looked at")
        found[question.name] = timed_ms(lambda: client.get(question.path, **query))  # noqa: B023
    return found


def scans_alone_ms(folder: Path) -> dict[str, float]:
    """What the same files take Polars alone, with all that it can leave out left out."""
    files = pl.scan_parquet(sorted(folder.rglob("*.parquet")), glob=False, extra_columns="ignore")
    pattern = pl.col("message").str.contains(_PATTERN)
    minute = pl.col("timestamp").dt.truncate("1m")
    return {
        "regex over all messages": timed_ms(lambda: files.filter(pattern).select("id").collect(engine="streaming")),
        "histogram by service and level": timed_ms(
            lambda: files.group_by(minute, "service", "severity_number").len().collect(engine="streaming")
        ),
    }


def seen_at_once(server: Server, pairs: int = 200) -> int:
    """Of so many records that were posted, how many the next GET found."""
    client, seen = Client(server), 0
    for number in range(pairs):
        posted = client.post("/logs", {"message": f"look for me {number}", "service": "looker"})
        found = client.get("/logs", service="looker", limit=1)["items"]
        seen += bool(found) and found[0]["id"] == posted["id"]
    return seen


def restart_s(folder: Path) -> float:
    """From the start of the process to the first page of logs."""
    began = time.perf_counter()
    server = start_tocsin(folder, way="serve")
    try:
        server.wait_until_ready("/logs?limit=100")
        return time.perf_counter() - began
    finally:
        server.stop()


@contextmanager
def readers(server: Server, sample: Sample) -> Iterator[list[float]]:
    """Four that search all the time inside; the times of their searches, in ms."""
    times: list[float] = []
    stop = threading.Event()
    asked = [question for question in questions(sample) if question.budget_ms <= 60]

    def read(turn: int) -> None:
        client = Client(server)
        while not stop.is_set():
            question = asked[turn % len(asked)]
            began = time.perf_counter()
            client.get(question.path, **question.query)
            times.append((time.perf_counter() - began) * 1000)
            turn += 1

    threads = [threading.Thread(target=read, args=(turn,)) for turn in range(READERS)]
    for thread in threads:
        thread.start()
    try:
        yield times
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def both_at_once(server: Server, sample: Sample, requests: Path, records: int) -> list[Figure]:
    """Intake and four readers: each alone, then together."""
    alone = send(server, requests, records).records_per_s
    settled(server)
    with readers(server, sample) as quiet:
        time.sleep(3.0)
    with readers(server, sample) as busy:
        together = send(server, requests, records).records_per_s
    settled(server)
    return [
        Figure("intake beside 4 readers", f"{together:,.0f} records/s", f"alone {alone:,.0f}"),
        Figure(
            "... a search beside intake, median",
            f"{median(busy):.0f} ms",
            f"4 readers alone {median(quiet):.0f} ms",
        ),
    ]


def intake(server: Server, folder: Path, requests: Path, records: int) -> list[Figure]:
    """All records in one go, compacted meanwhile; then the bare handler with the same requests."""
    before = server.cpu_s()
    load = send(server, requests, records)
    behind = Client(server).get("/logs/stats")["hot_records"]
    stats = settled(server)
    cpu = (server.cpu_s() - before) / records * 1e6
    with running(start_bare(folder / "bare")) as bare:
        limit = in_own_process(port=bare.port, file=requests, count=min(records, 2_000_000) // PER_REQUEST)
    compaction = compacting.cpu_s_per_million(folder / "compacting", min(records, 1_000_000))
    ratio = load.records_per_s / limit.records_per_s
    size = (stats["size_bytes"] + stats["filter_bytes"]) / stats["records"]
    say(f"{records:,} records at {load.records_per_s:,.0f}/s, {behind:,} of them hot at the end")
    met = load.records_per_s >= LEAST_RATE and ratio >= LEAST_RATIO
    return [
        Figure(
            f"intake of {records:,} while compacting",
            f"{load.records_per_s:,.0f} records/s",
            f"bare {limit.records_per_s:,.0f}; ratio {ratio:.2f}, budget {LEAST_RATE:,} and {LEAST_RATIO}",
            met,
        ),
        Figure(
            "... CPU per million, without compaction",
            f"{cpu - compaction:.2f} s",
            f"in all {cpu:.2f}, budget {INTAKE_CPU_S:.0f}",
            cpu - compaction <= INTAKE_CPU_S,
        ),
        compacting.figure(compaction),
        Figure(
            "disk", f"{size:.1f} bytes a record", f"filters included, budget {BYTES_A_RECORD:g}", size <= BYTES_A_RECORD
        ),
    ]


def measure(*, records: int = 5_000_000) -> list[Figure]:
    """One hour of records: in, searched, restarted, and intake beside readers."""
    found: list[Figure] = []
    with temp_folder() as folder:
        requests, ours = folder / "requests", folder / "ours"
        since = datetime.now(UTC) - timedelta(hours=1)
        sample = bulk.write_requests(requests, records, since=since, step_us=HOUR_US // records, seed=1)
        with running(start_tocsin(ours)) as server:
            found += intake(server, folder, requests, records)
            times = ask(server, sample)
            alone = scans_alone_ms(ours)
            for question in questions(sample):
                beside = f"budget {question.budget_ms:g}"
                beside += f", Polars alone {alone[question.name]:.0f}" if question.name in alone else ""
                took = times[question.name]
                found.append(Figure(question.name, f"{took:.1f} ms", beside, took <= question.budget_ms))
            pairs = 200
            seen = seen_at_once(server, pairs)
            found.append(Figure("posted records the next GET sees", f"{seen} of {pairs}", "", seen == pairs))
            found.append(_memory(server, records))
        took = median(restart_s(ours) for _ in range(3))
        found.append(Figure("restart to first answer", f"{took:.2f} s", f"budget {RESTART_S}", took <= RESTART_S))
        with running(start_tocsin(ours)) as server:
            found += both_at_once(server, sample, requests, min(records, 1_000_000))
            found.append(_memory(server, records, "... after both at once"))
    return found


def measure_large(*, hours: int = 10, an_hour: int = 5_000_000) -> list[Figure]:
    """The same questions about the last hour, of a stock of one hour and of one of many."""
    times = []
    with temp_folder() as folder:
        for stock in (1, hours):
            ours = folder / f"hours-{stock}"
            with running(start_tocsin(ours)) as server:
                last_hour = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
                sample = _fill(
                    server, folder / "requests", last_hour - timedelta(hours=stock - 1), stock * an_hour, an_hour
                )
                times.append(ask(server, sample, since=last_hour.isoformat()))
                memory = _memory(server, stock * an_hour)
    found = []
    for name, took in times[1].items():
        ratio = took / times[0][name]
        beside = f"{times[0][name]:.1f} ms in {an_hour:,}; ratio {ratio:.2f}, budget {SLOWER}"
        found.append(Figure(f"last hour of {hours * an_hour:,}: {name}", f"{took:.1f} ms", beside, ratio <= SLOWER))
    return [*found, memory]


def _fill(server: Server, requests: Path, since: datetime, records: int, an_hour: int) -> Sample:
    """Store records a slice at a time; something of the last hour to search for."""
    step_us = HOUR_US // an_hour
    sample = Sample("", "")
    for start in range(0, records, SLICE):
        count = min(SLICE, records - start)
        at = since + timedelta(microseconds=start * step_us)
        sample = bulk.write_requests(requests, count, since=at, step_us=step_us, seed=start)
        send(server, requests, count)
        say(f"{start + count:,} of {records:,} stored")
    settled(server)
    return sample


def _memory(server: Server, records: int, name: str = "resident memory") -> Figure:
    now, highest = server.memory_mb()
    what = name if name.startswith("...") else f"{name} at its highest, {records:,} records"
    return Figure(what, f"{highest:.0f} MB", f"now {now:.0f}, budget {MEMORY_MB}", highest <= MEMORY_MB)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Times are medians over HTTP, on a connection that is kept. --large needs about 5 GB of disk and some "
        "minutes: it stores --records twice and then ten times as many, and asks about the last hour of both.",
    )
    parser.add_argument("--records", type=int, default=5_000_000, help="that make one hour")
    parser.add_argument("--large", action="store_true", help="only the comparison with ten times as many")
    given = parser.parse_args()
    figures.show(measure_large(an_hour=given.records) if given.large else measure(records=given.records))


if __name__ == "__main__":
    main()
