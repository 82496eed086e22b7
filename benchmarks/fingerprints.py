"""64 clients that all send 10,000 kinds of trouble at once: one alert and one ticket for each kind, counts exact.

On SQLite through one server, and on PostgreSQL through two; storm control is off, or there would be one ticket.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import figures
from figures import Figure
from servers import Server, running, start_tocsin, temp_folder

sys.path.append(str(Path(__file__).parent.parent / "tests"))
import postgres

CLIENTS: Final = 64
KINDS: Final = 10_000
_PER_REQUEST: Final = 250
_CALM: Final = {"TOCSIN_STORM_SERVICE": "0", "TOCSIN_STORM_ALL": "0"}


@contextmanager
def _on(database: str, folder: Path) -> Iterator[list[Server]]:
    """The servers that share a database."""
    with ExitStack() as stack:
        settings, servers = dict(_CALM), 1
        if database != "SQLite":
            binaries = postgres.find_binaries()
            if binaries is None:
                raise RuntimeError(f"the wheel {postgres.WHEEL} is not installed")
            cluster = postgres.PostgresServer(binaries)
            stack.callback(cluster.close)
            settings |= {
                "TOCSIN_DATABASE_URL": cluster.create("bench"),
                "TOCSIN_SEGMENTS_DIR": str(folder / "segments"),
            }
            servers = 2
            _migrate(settings)
        yield [
            stack.enter_context(running(start_tocsin(folder / f"{number}", settings=settings)))
            for number in range(servers)
        ]


def _migrate(settings: dict[str, str]) -> None:
    command = [str(Path(sys.executable).with_name("tocsin")), "migrate"]
    subprocess.run(command, env={**os.environ, **settings}, check=True, capture_output=True, timeout=120)


def _bodies(kinds: int) -> list[bytes]:
    records = [
        json.dumps({"level": "CRITICAL", "service": f"service-{kind}", "message": "it broke"}) for kind in range(kinds)
    ]
    return ["\n".join(records[at : at + _PER_REQUEST]).encode() for at in range(0, kinds, _PER_REQUEST)]


def _send(server: Server, bodies: Sequence[bytes], failed: list[str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
    for body in bodies:
        connection.request("POST", "/logs", body, {"Content-Type": "application/x-ndjson"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            failed.append(f"{answer.status}: {text[:200]!r}")
    connection.close()


def _all(server: Server, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        with urllib.request.urlopen(f"{server.url}{path}?limit=1000{cursor}", timeout=60) as answer:
            page = json.load(answer)
        items += page["items"]
        if page["next"] is None:
            return items
        cursor = f"&cursor={page['next']}"


def measure(*, clients: int = CLIENTS, kinds: int = KINDS) -> list[Figure]:
    """Send them, then look for what there is twice, or not as often as it was sent."""
    found: list[Figure] = []
    for database in ("SQLite", "PostgreSQL"):
        with temp_folder() as folder, _on(database, folder) as servers:
            bodies, failed = _bodies(kinds), list[str]()
            shifted = [bodies[at % len(bodies) :] + bodies[: at % len(bodies)] for at in range(clients)]
            threads = [
                threading.Thread(target=_send, args=(servers[number % len(servers)], order, failed))
                for number, order in enumerate(shifted)
            ]
            began = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            took = time.monotonic() - began
            alerts, tickets = _all(servers[0], "/alerts"), _all(servers[0], "/tickets")
        exact = {alert["count"] for alert in alerts} == {clients}
        right = not failed and exact and len(alerts) == len(tickets) == kinds
        for problem in failed[:5]:
            print(f"  {problem}", file=sys.stderr)
        name = f"{clients} clients, {kinds:,} fingerprints, {database}"
        counts = "exact" if exact else "WRONG"
        told = f"{len(alerts):,} alerts, {len(tickets):,} tickets, counts {counts}"
        found.append(Figure(name, told, f"{clients * kinds / took:,.0f} records/s, {len(failed)} refused", right))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--kinds", type=int, default=KINDS)
    given = parser.parse_args()
    found = measure(clients=given.clients, kinds=given.kinds)
    figures.show(found)
    sys.exit(not all(figure.met for figure in found))


if __name__ == "__main__":
    main()
