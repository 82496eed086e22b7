"""Resident memory of the server after many records: after it has settled, and at its highest."""

import argparse
import time
from typing import Final

import figures
from figures import Figure
from load import post_records
from servers import running, start_bare, start_tocsin, temp_folder

BUDGET_MB: Final = 350
_SETTLE_S: Final = 2.0


def measure(*, records: int = 1_000_000) -> list[Figure]:
    """Own shape, 1,000 a request over 8 connections; VmRSS and VmHWM of the server process."""
    with temp_folder() as folder:
        with running(start_tocsin(folder / "ours")) as server:
            empty, _ = server.memory_mb()
            stored = post_records(server.port, records).acknowledged
            time.sleep(_SETTLE_S)
            now, highest = server.memory_mb()
        with running(start_bare(folder / "bare")) as server:
            post_records(server.port, records)
            bare, bare_highest = server.memory_mb()
    name = f"resident memory after {stored:,} records"
    return [
        Figure(name, f"{now:.0f} MB", f"empty {empty:.0f}, bare {bare:.0f}, budget < {BUDGET_MB}", now < BUDGET_MB),
        Figure("... at its highest", f"{highest:.0f} MB", f"bare {bare_highest:.0f}", None),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, epilog="MB are 10^6 bytes.")
    parser.add_argument("--records", type=int, default=1_000_000)
    figures.show(measure(records=parser.parse_args().records))


if __name__ == "__main__":
    main()
