"""GET /tickets with filters over many tickets: the time of each answer, one client, keep-alive.

And tickets opened and moved by 16 clients through a server, on SQLite and on PostgreSQL, each a durable transaction.
Beside these stands what the same run brought of a request that asks for nothing, and of commits of one row.
"""

import argparse
import http.client
import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg

import figures
import shapes
from figures import Figure
from load import Load, drive
from servers import Server, running, start_tocsin, temp_folder

sys.path.append(str(Path(__file__).parent.parent / "tests"))
import postgres

BUDGET_MS: Final = 20.0
_MINUTE_US: Final = 60_000_000
_PEOPLE: Final = ("ana", "rui", "mei", "tom", "eva", "noa")
QUERIES: Final = (
    "limit=50",
    "status=OPEN&limit=50",
    "status=OPEN,IN_PROGRESS&sort=priority&limit=50",
    "status=OPEN&priority=P1,P2&limit=50",
    "service=payments&limit=50",
    "service=payments&status=OPEN&limit=50",
    "assignee=ana&sort=updated&limit=50",
    "assignee=none&status=OPEN&limit=50",
    "assignee=ana&status=RESOLVED&priority=P1&limit=50",
    "opened_since=6h&limit=50",
)


def _rows(count: int) -> Iterator[tuple[Any, ...]]:
    """Tickets a minute apart, the newest now; the newer, the likelier not yet closed."""
    rng = random.Random(1)
    now = time.time_ns() // 1000
    recent = count - max(count // 10, 1)
    for number in range(count):
        opened = now - (count - number) * _MINUTE_US
        status = "CLOSED" if number < recent else rng.choice(("CLOSED", "RESOLVED", "RESOLVED", "IN_PROGRESS", "OPEN"))
        service = rng.choice(shapes.SERVICES)
        line = json.loads(shapes.critical(rng, shapes.EPOCH))
        taken = opened + rng.randrange(30) * _MINUTE_US if status != "OPEN" else None
        done = opened + rng.randrange(30, 600) * _MINUTE_US if status in {"RESOLVED", "CLOSED"} else None
        closed = done + 10 * _MINUTE_US if status == "CLOSED" and done is not None else None
        yield (
            status, rng.choice((1, 2, 2, 2, 3, 3, 4, 5)), service, f"{service}: {line['message']}", "",
            rng.choice(_PEOPLE) if taken else None, "system", opened, closed or done or taken or opened, opened, taken,
            done, closed, 0, 0, None, 1,
        )  # fmt: skip


def fill(folder: Path, count: int) -> None:
    """Write tickets straight into the database of a server that is not running."""
    names = (
        "status, priority, service, title, description, assignee, opened_by, opened_at, updated_at, acknowledge_from, "
        "acknowledged_at, resolved_at, closed_at, reopen_count, late_s, recurrence_of, version"
    )
    marks = ", ".join("?" * len(names.split(", ")))
    with sqlite3.connect(folder / "tocsin.db") as database:
        database.executemany(f"INSERT INTO tickets ({names}) VALUES ({marks})", _rows(count))
    database.close()


def _times(server: Server, query: str, repeats: int) -> tuple[list[float], int]:
    """Milliseconds of each answer, and how many tickets the last one held."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    times, body = [], b""
    for _ in range(repeats):
        began = time.perf_counter()
        connection.request("GET", f"/tickets?{query}")
        answer = connection.getresponse()
        body = answer.read()
        times.append((time.perf_counter() - began) * 1000)
        if answer.status != 200:
            raise RuntimeError(f"GET /tickets?{query}: {answer.status} {body[:500].decode()}")
    connection.close()
    return sorted(times), len(json.loads(body)["items"])


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def measure(*, tickets: int = 100_000, repeats: int = 200) -> list[Figure]:
    """Each query `repeats` times; /healthz shows what the web layer alone costs."""
    rows, everything = [], []
    with temp_folder() as folder:
        data = folder / "ours"
        with running(start_tocsin(data)):
            pass  # makes and migrates the database
        fill(data, tickets)
        print(f"  {tickets:,} tickets are in", file=sys.stderr, flush=True)
        with running(start_tocsin(data)) as server:
            floor = _floor(server, repeats)
            for query in QUERIES:
                times, items = _times(server, query, repeats)
                everything += times
                shown = [f"{_at(times, share):.1f}" for share in (0.5, 0.99)] + [f"{times[-1]:.1f}", f"{items}"]
                rows.append([query, *shown])
    print(figures.table(("GET /tickets?", "p50 ms", "p99 ms", "max ms", "items"), rows), flush=True)
    everything.sort()
    worst = max(rows, key=lambda row: float(row[2]))
    p50, p99 = _at(everything, 0.5), _at(everything, 0.99)
    name = f"GET /tickets, {len(QUERIES)} filters, {tickets:,} tickets"
    return [
        Figure(f"{name}, p50", f"{p50:.1f} ms", f"/healthz {floor:.1f} ms"),
        Figure("... p99 over all", f"{p99:.1f} ms", f"budget < {BUDGET_MS:.0f} ms", p99 < BUDGET_MS),
        Figure("... slowest filter, p99", f"{worst[2]} ms", worst[0]),
    ]


def _floor(server: Server, repeats: int) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        times.append((time.perf_counter() - began) * 1000)
    connection.close()
    return _at(sorted(times), 0.5)


CLIENTS: Final = 16
_DURABLE: Final = ("fsync=on", "synchronous_commit=on", "full_page_writes=on")
Commit = Callable[[], None]


@contextmanager
def _cluster() -> Iterator[str]:
    """The address of an empty PostgreSQL database that keeps what it says it has."""
    binaries = postgres.find_binaries()
    if binaries is None:
        raise RuntimeError(f"the wheel {postgres.WHEEL} is not installed")
    names = {setting.partition("=")[0] for setting in _DURABLE}
    postgres.SETTINGS = (*(one for one in postgres.SETTINGS if one.partition("=")[0] not in names), *_DURABLE)
    cluster = postgres.PostgresServer(binaries)
    try:
        yield cluster.create("bench")
    finally:
        cluster.close()


def _request(method: str, path: str, body: Mapping[str, object] | None = None) -> bytes:
    text = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text


def _driven(server: Server, requests: list[bytes], **bounds: float | int) -> Load:
    load = drive(requests, port=server.port, per_request=1, connections=CLIENTS, **bounds)
    if load.errors:
        raise RuntimeError(f"{load.errors} requests failed, first: {load.first_error}")
    return load


def _bare_commits_s(open_one: Callable[[], tuple[Commit, Callable[[], None]]], clients: int, seconds: float) -> float:
    """Commits of one row a second, by so many clients at once; `open_one` gives one a connection and its end."""
    counts = [0] * clients
    until = time.monotonic() + seconds

    def work(place: int) -> None:
        commit, close = open_one()
        while time.monotonic() < until:
            commit()
            counts[place] += 1
        close()

    threads = [threading.Thread(target=work, args=(place,)) for place in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def _bare_sqlite(folder: Path, seconds: float) -> float:
    with sqlite3.connect(folder / "bare.db") as made:
        made.execute("PRAGMA journal_mode=WAL").close()
        made.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT)")
    made.close()

    def open_one() -> tuple[Commit, Callable[[], None]]:
        database = sqlite3.connect(folder / "bare.db", isolation_level=None)
        database.execute("PRAGMA synchronous=FULL")
        return lambda: database.execute("INSERT INTO rows (text) VALUES ('x')").close(), database.close

    return _bare_commits_s(open_one, 1, seconds)  # it has one writer


def _bare_postgres(url: str, seconds: float) -> float:
    with psycopg.connect(url, autocommit=True) as made:
        made.execute("CREATE TABLE bare_rows (id bigserial PRIMARY KEY, text text)")

    def open_one() -> tuple[Commit, Callable[[], None]]:
        database = psycopg.connect(url, autocommit=True)
        return lambda: database.execute("INSERT INTO bare_rows (text) VALUES ('x')").close(), database.close

    return _bare_commits_s(open_one, CLIENTS, seconds)


def _write_figures(name: str, server: Server, seconds: float, bare: float) -> list[Figure]:
    nothing = _driven(server, [_request("GET", "/healthz")], seconds=min(seconds, 2.0), warm_up_s=0.3)
    opening = [
        _request(
            "POST", "/tickets", {"title": f"Checkout {n} is slow", "service": shapes.SERVICES[n % len(shapes.SERVICES)]}
        )
        for n in range(500)
    ]
    opened = _driven(server, opening, seconds=seconds, warm_up_s=0.5)
    moving = [_request("PATCH", f"/tickets/{n}", {"status": "IN_PROGRESS", "assignee": "ana"})
              for n in range(1, opened.acknowledged + 1)]  # fmt: skip
    moved = _driven(server, moving, count=min(len(moving), int(opened.records_per_s * seconds) or 1))
    beside = f"/healthz {nothing.records_per_s:,.0f}/s, commits of a row {bare:,.0f}/s"
    return [
        Figure(f"{name}: tickets {what}, {CLIENTS} clients", f"{load.records_per_s:,.0f}/s, p99 {load.p99_ms:.0f} ms",
               beside)
        for what, load in (("opened", opened), ("moved", moved))
    ]  # fmt: skip


def measure_writes(*, seconds: float = 5.0) -> list[Figure]:
    """Tickets opened for so long, then moved, on each database."""
    found: list[Figure] = []
    with temp_folder() as folder:
        bare = _bare_sqlite(folder, min(seconds, 1.0))
        with running(start_tocsin(folder / "ours")) as server:
            found += _write_figures("SQLite", server, seconds, bare)
    with temp_folder() as folder, _cluster() as url:
        bare = _bare_postgres(url, min(seconds, 1.0))
        settings = {"TOCSIN_DATABASE_URL": url, "TOCSIN_SEGMENTS_DIR": str(folder / "segments")}
        command = [sys.executable, "-m", "tocsin.cli", "migrate"]
        subprocess.run(command, env={**os.environ, **settings}, check=True, capture_output=True, timeout=120)
        with running(start_tocsin(folder / "ours", settings=settings)) as server:
            found += _write_figures("PostgreSQL", server, seconds, bare)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="The budget is for 1,000,000 tickets: --tickets 1000000. One in ten is not closed.",
    )
    parser.add_argument("--tickets", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=200, help="of each filter")
    parser.add_argument("--writes", type=float, metavar="SECONDS", help="open and move tickets for so long instead")
    given = parser.parse_args()
    if given.writes is not None:
        figures.show(measure_writes(seconds=given.writes))
        return
    figures.show(measure(tickets=given.tickets, repeats=given.repeats))


if __name__ == "__main__":
    main()
