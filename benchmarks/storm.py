"""A storm: CRITICAL records of 50 kinds only. Every count that GET /alerts shows afterwards must be exact."""

import argparse
import json
import sys
import urllib.request
from collections import Counter
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
    lines = list(shapes.records("critical", _PER_REQUEST * distinct))
    counts: Counter[str] = Counter()
    for number in range(distinct):
        times = requests // distinct + (number < requests % distinct)
        for line in lines[number * _PER_REQUEST : (number + 1) * _PER_REQUEST]:
            counts[_kind(json.loads(line)["message"])] += times
    return counts


def _alerts(server: Server) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{server.url}/alerts?limit=1000", timeout=60) as answer:
        found: list[dict[str, Any]] = json.load(answer)["items"]
    return found


def measure(*, records: int = 1_000_000) -> list[Figure]:
    """Send them, compare the counts of each kind, and the number of tickets."""
    requests = max(records // _PER_REQUEST, 1)
    with temp_folder() as folder:
        with running(start_tocsin(folder / "ours")) as server:
            before = server.cpu_s()
            load = post_records(server.port, records, shape="critical")
            cpu = (server.cpu_s() - before) / load.acknowledged * 1e6
            alerts = _alerts(server)
        with running(start_bare(folder / "bare")) as server:
            bare = post_records(server.port, records, shape="critical").records_per_s
    counted: Counter[str] = Counter()
    for alert in alerts:
        counted[_kind(alert["template"])] += alert["count"]
    expected = expected_counts(requests)
    for kind in sorted(expected.keys() | counted.keys()):
        if expected[kind] != counted[kind]:
            print(f"  {kind}: sent {expected[kind]:,}, counted {counted[kind]:,}", file=sys.stderr)
    exact = counted == expected and len(alerts) == len(expected)
    rate = load.records_per_s
    name = f"storm of {load.acknowledged:,} CRITICAL of {len(expected)} kinds"
    tickets = len({alert["ticket_id"] for alert in alerts})
    return [
        Figure(name, f"{rate:,.0f} records/s", f"bare {bare:,.0f}, budget >= {BUDGET:,}", rate >= BUDGET),
        Figure("... CPU per million records", f"{cpu:.2f} s"),
        Figure("... counts", "exact" if exact else "WRONG", f"{len(alerts)} alerts, {tickets} tickets", exact),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, epilog="Differences are listed kind by kind; exit code 1.")
    parser.add_argument("--records", type=int, default=1_000_000)
    found = measure(records=parser.parse_args().records)
    figures.show(found)
    sys.exit(found[-1].met is not True)


if __name__ == "__main__":
    main()
