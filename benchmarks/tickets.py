"""GET /tickets with filters over many tickets: the time of each answer, one client, keep-alive."""

import argparse
import http.client
import json
import random
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import figures
import shapes
from figures import Figure
from servers import Server, running, start_tocsin, temp_folder

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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="The budget is for 1,000,000 tickets: --tickets 1000000. One in ten is not closed.",
    )
    parser.add_argument("--tickets", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=200, help="of each filter")
    given = parser.parse_args()
    figures.show(measure(tickets=given.tickets, repeats=given.repeats))


if __name__ == "__main__":
    main()
