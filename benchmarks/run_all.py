"""All benchmarks in a short form, about four minutes; one table at the end."""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import backtest
import deliveries
import detection
import figures
import fingerprints
import grouping
import import_file
import ingest
import memory
import reports
import rules
import search
import sla
import startup
import storm
import tickets
from figures import Figure

Part = Callable[[], list[Figure]]

SHORT: Final[dict[str, Part]] = {
    "ingest": partial(ingest.measure, seconds=2.0, rounds=3),
    "startup": partial(startup.measure, runs=3, records=300_000),
    "memory": partial(memory.measure, records=1_000_000),
    "storm": partial(storm.measure, records=300_000),
    "fingerprints": partial(fingerprints.measure, clients=8, kinds=1000),
    "search": partial(search.measure, records=1_000_000),
    "grouping": partial(grouping.measure, times=5),
    "detection": partial(detection.measure, windows=("1 h",)),
    "rules": partial(rules.measure, records=20_000, rounds=3),
    "backtest": partial(backtest.measure, records=500_000),
    "tickets": partial(tickets.measure, tickets=100_000, repeats=50),
    "sla": partial(sla.measure, count=20_000),
    "reports": partial(reports.measure, count=20_000),
    "import_file": partial(import_file.measure, size_mb=100, text_mb=20),
    "deliveries": partial(deliveries.measure, seconds=3.0, deliveries=400, within_s=60.0),
}
FULL: Final[dict[str, Part]] = {
    "ingest": ingest.measure,
    "startup": startup.measure,
    "memory": memory.measure,
    "storm": storm.measure,
    "fingerprints": fingerprints.measure,
    "search": search.measure,
    "search_large": search.measure_large,
    "grouping": grouping.measure,
    "detection": detection.measure,
    "rules": rules.measure,
    "backtest": partial(backtest.measure, records=10_000_000),
    "tickets": partial(tickets.measure, tickets=1_000_000),
    "sla": partial(sla.measure, closed=900_000),
    "reports": reports.measure,
    "import_file": import_file.measure,
    "deliveries": deliveries.measure,
}


def _run(parts: dict[str, Part], names: Sequence[str]) -> list[Figure]:
    found: list[Figure] = []
    for name in names:
        print(f"== {name}", file=sys.stderr, flush=True)
        try:
            found += parts[name]()
        except Exception as error:  # the others still run; the table says which one failed
            found.append(Figure(name, "FAILED", str(error).strip().partition("\n")[0][:100], False))
    return found


def _where() -> str:
    when = datetime.now(UTC).date().isoformat()
    return (
        f"{when}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Everything runs on 127.0.0.1 with free ports and folders that are removed; each file here also runs by "
        "itself and has its own --help. Rates on a shared machine differ from run to run: look at the ratios.",
    )
    parser.add_argument("--only", nargs="+", choices=FULL, help="some of them; search_large is in --full only")
    parser.add_argument("--full", action="store_true", help="at full length, with 1 M tickets and a 1 GB file")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there too")
    given = parser.parse_args()
    began = time.monotonic()
    parts = FULL if given.full else SHORT
    found = _run(parts, [name for name in given.only or parts if name in parts])
    cells = [figure.cells for figure in found]
    print(f"\n{figures.table(figures.HEAD, cells)}\n\n{_where()}; it took {time.monotonic() - began:.0f} s")
    if given.markdown:
        given.markdown.write_text(f"Measured {_where()}.\n\n{figures.markdown(figures.HEAD, cells)}\n")


if __name__ == "__main__":
    main()
