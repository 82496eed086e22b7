"""From starting the process to the first accepted POST /logs: on a fresh folder, and on one that holds records."""

import argparse
import http.client
import sys
import time
from pathlib import Path
from statistics import median
from typing import Final

import figures
import shapes
from figures import Figure
from load import post_records
from servers import Server, running, start_bare, start_tocsin, temp_folder, tocsin_command

BUDGET_S: Final = 2.0
_LONGEST_S: Final = 60.0


def first_accepted_s(server: Server, body: bytes, *, began: float) -> float:
    """Post until the server takes it; seconds since `began`."""
    headers = {"Content-Type": "application/json"}
    while time.perf_counter() - began < _LONGEST_S:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        try:
            connection.request("POST", "/logs", body, headers)
            answer = connection.getresponse()
            if answer.status < 300:
                return time.perf_counter() - began
            answer.read()
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.005)
    raise RuntimeError(f"no POST was accepted: {server.last_words()}")


def _one_start(folder: Path, way: str) -> float:
    body = next(shapes.records("own", 1))
    began = time.perf_counter()
    server = start_bare(folder) if way == "bare" else start_tocsin(folder, way=way)
    try:
        return first_accepted_s(server, body, began=began)
    finally:
        server.stop()


def _figure(name: str, times: list[float], bare: list[float]) -> Figure:
    found = median(times)
    measured = f"{found:.2f} s ({min(times):.2f}-{max(times):.2f})"
    return Figure(name, measured, f"bare {median(bare):.2f} s, budget < {BUDGET_S:.0f} s", found < BUDGET_S)


def measure(*, runs: int = 5, records: int = 1_000_000) -> list[Figure]:
    """Median of `runs` starts each; the bare handler's start on a fresh folder is the limit."""
    way = "serve" if tocsin_command() else "uvicorn"
    name = "tocsin serve" if way == "serve" else "uvicorn tocsin.main:app"
    with temp_folder() as folder:
        fresh = [_one_start(folder / f"fresh-{n}", way) for n in range(runs)]
        bare = [_one_start(folder / f"bare-{n}", "bare") for n in range(runs)]
        full = folder / "full"
        with running(start_tocsin(full)) as server:
            stored = post_records(server.port, records).acknowledged
        print(f"  the folder holds {stored:,} records now", file=sys.stderr, flush=True)
        again = [_one_start(full, way) for _ in range(runs)]
    return [
        _figure(f"start of {name} to first accepted POST, fresh", fresh, bare),
        _figure(f"... with {stored:,} records", again, bare),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="`tocsin serve` is started, or uvicorn while that command isn't there; median and range are shown.",
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--records", type=int, default=1_000_000, help="in the folder that isn't fresh")
    given = parser.parse_args()
    figures.show(measure(runs=given.runs, records=given.records))


if __name__ == "__main__":
    main()
