"""A storm: CRITICAL records of 50 kinds of one service, with storm control off (a ticket each) and on (one for all).

Every count that GET /alerts shows afterwards must be exact, both ways.
"""

import argparse
import json
import sys
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import figures
import shapes
from figures import Figure
from load import distinct_requests, post_records
from servers import Server, running, start_bare, start_tocsin, temp_folder

BUDGET: Final = 100_000
_PER_REQUEST: Final = 1000


def _kind(message: str) -> str:
    """The words of a kind, which stand before its numbers."""
    return message.partition(" after ")[0]


def expected_counts(requests: int) -> Counter[str]:
    """How many records of each kind the load generator sends in so many requests."""
    distinct = distinct_requests(_PER_REQUEST, requests)
    lines = list(shapes.records("storm", _PER_REQUEST * distinct))
    counts: Counter[str] = Counter()
    for number in range(distinct):
        times = requests // distinct + (number < requests % distinct)
        for line in lines[number * _PER_REQUEST : (number + 1) * _PER_REQUEST]:
            counts[_kind(json.loads(line)["message"])] += times
    return counts


def _get(server: Server, path: str) -> Any:
    with urllib.request.urlopen(server.url + path, timeout=60) as answer:
        return json.load(answer)


@dataclass(frozen=True, slots=True)
class _Storm:
    records_per_s: float
    sent: int
    cpu_s: float
    alerts: list[dict[str, Any]]
    tickets: list[dict[str, Any]]


def _endure(folder: Path, records: int, *, control: bool) -> _Storm:
    """Send so many records to a server of its own."""
    off = {} if control else {"TOCSIN_STORM_SERVICE": "0", "TOCSIN_STORM_ALL": "0"}
    with running(start_tocsin(folder, settings=off)) as server:
        before = server.cpu_s()
        load = post_records(server.port, records, shape="storm")
        cpu = (server.cpu_s() - before) / load.acknowledged * 1e6
        alerts, tickets = _get(server, "/alerts?limit=1000")["items"], _get(server, "/tickets?limit=1000")["items"]
    return _Storm(load.records_per_s, load.acknowledged, cpu, alerts, tickets)


def _exact(storm: _Storm, expected: Counter[str]) -> bool:
    counted: Counter[str] = Counter()
    for alert in storm.alerts:
        counted[_kind(alert["template"])] += alert["count"]
    for kind in sorted(expected.keys() | counted.keys()):
        if expected[kind] != counted[kind]:
            print(f"  {kind}: sent {expected[kind]:,}, counted {counted[kind]:,}", file=sys.stderr)
    return counted == expected and len(storm.alerts) == len(expected)


def measure(*, records: int = 1_000_000) -> list[Figure]:
    """Send them, compare the counts of each kind, and the tickets."""
    expected = expected_counts(max(records // _PER_REQUEST, 1))
    with temp_folder() as folder:
        apart, together = (_endure(folder / f"{on}", records, control=on) for on in (False, True))
        with running(start_bare(folder / "bare")) as server:
            bare = post_records(server.port, records, shape="storm").records_per_s
    kinds = len(expected)
    described = "".join(ticket["description"] for ticket in together.tickets)
    named = sum(alert["title"] in described for alert in together.alerts)
    one = len(together.tickets) == 1 and named == kinds
    exact = _exact(apart, expected), _exact(together, expected)
    rates = apart.records_per_s, together.records_per_s
    return [
        Figure(
            f"storm of {apart.sent:,} CRITICAL of {kinds} kinds, control off",
            f"{rates[0]:,.0f} records/s",
            f"bare {bare:,.0f}, budget >= {BUDGET:,}",
            rates[0] >= BUDGET,
        ),
        Figure("... CPU per million records", f"{apart.cpu_s:.2f} s"),
        Figure("... tickets", f"{len(apart.tickets)}", f"{kinds} kinds", len(apart.tickets) == kinds),
        Figure("... control on", f"{rates[1]:,.0f} records/s", f"CPU {together.cpu_s:.2f} s/M", rates[1] >= BUDGET),
        Figure("... tickets", f"{len(together.tickets)}, names {named} kinds", f"1 that names {kinds}", one),
        Figure("... counts, off and on", "exact" if all(exact) else "WRONG", f"{kinds} alerts each", all(exact)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, epilog="Differences are listed kind by kind; exit code 1.")
    parser.add_argument("--records", type=int, default=1_000_000)
    found = measure(records=parser.parse_args().records)
    figures.show(found)
    sys.exit(found[-1].met is not True)


if __name__ == "__main__":
    main()
