"""Records in over HTTP, ours beside the bare handler, in turns: 1,000 a request in two shapes, and 1 a request."""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import figures
from figures import Figure
from load import Load, in_own_process
from servers import Server, running, start_bare, start_tocsin, temp_folder


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of load, where the bare handler takes it, and the budgets."""

    name: str
    shape: str
    per_request: int
    connections: int
    bare_path: str
    least_ratio: float
    most_p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One round against one server."""

    load: Load
    cpu_s_per_million: float


CASES: Final = (
    Case("own shape", "own", 1000, 8, "/logs", 0.6),
    Case("foreign shape", "foreign", 1000, 8, "/any", 0.35),
    Case("single", "own", 1, 32, "/logs", 0.6, 25.0),
)
CPU_BUDGET_S: Final = 3.0
_TINY_S: Final = 0.5  # a run that only shows that everything works need not wait for many requests to be made
HEAD: Final = (
    "case", "records/s", "bare", "ratio", "CPU s/M", "bare", "p50 ms", "p99 ms", "max ms", "bare p99", "client CPU",
)  # fmt: skip


def one_round(server: Server, case: Case, path: str, seconds: float, seed: int) -> Side:
    with running(server):
        before = server.cpu_s()
        load = in_own_process(
            port=server.port,
            shape=case.shape,
            path=path,
            per_request=case.per_request,
            connections=case.connections,
            seconds=seconds,
            warm_up_s=min(0.5, seconds / 4),
            seed=seed,
            distinct=4 if seconds < _TINY_S else None,
        )
        used = server.cpu_s() - before
    if load.errors:
        sys.exit(f"{case.name}: {load.errors} of the requests failed, first: {load.first_error}\n{server.last_words()}")
    return Side(load, used / load.acknowledged * 1e6)


def measure_case(case: Case, *, seconds: float, rounds: int, folder: Path) -> tuple[list[Side], list[Side]]:
    """Rounds of ours and bare in turns, each on a fresh folder."""
    ours, bare = [], []
    for number in range(rounds):
        name = f"{case.name.replace(' ', '-')}-{number}"
        ours.append(one_round(start_tocsin(folder / f"ours-{name}"), case, "/logs", seconds, number))
        bare.append(one_round(start_bare(folder / f"bare-{name}"), case, case.bare_path, seconds, number))
        rates = f"{ours[-1].load.records_per_s:,.0f} / {bare[-1].load.records_per_s:,.0f} records/s"
        print(f"  {case.name}, round {number + 1}: ours / bare {rates}", file=sys.stderr, flush=True)
    return ours, bare


def _row(case: Case, ours: list[Side], bare: list[Side]) -> tuple[list[str], list[Figure]]:
    rate, bare_rate = (median(side.load.records_per_s for side in sides) for sides in (ours, bare))
    ratio = median(o.load.records_per_s / b.load.records_per_s for o, b in zip(ours, bare, strict=True))
    cpu, bare_cpu = (median(side.cpu_s_per_million for side in sides) for sides in (ours, bare))
    p50, p99, most = (median(getattr(s.load, name) for s in ours) for name in ("p50_ms", "p99_ms", "max_ms"))
    bare_p99 = median(side.load.p99_ms for side in bare)
    client = max(side.load.client_cpu for side in (*ours, *bare))
    row = [case.name, f"{rate:,.0f}", f"{bare_rate:,.0f}", f"{ratio:.2f}", f"{cpu:.2f}", f"{bare_cpu:.2f}"]
    row += [f"{p50:.1f}", f"{p99:.1f}", f"{most:.1f}", f"{bare_p99:.1f}", f"{client:.0%}"]
    name = f"ingest, {case.name}, {case.per_request:,} a request"
    beside = f"bare {bare_rate:,.0f}; ratio {ratio:.2f}, budget >= {case.least_ratio}"
    found = [Figure(name, f"{rate:,.0f} records/s", beside, ratio >= case.least_ratio)]
    if case.most_p99_ms is None:
        beside, met = f"bare {bare_cpu:.2f}, budget {CPU_BUDGET_S:.0f}", cpu <= CPU_BUDGET_S
        found.append(Figure("... CPU per million records", f"{cpu:.2f} s", beside, met))
    else:
        beside = f"bare {bare_p99:.1f} ms, budget < {case.most_p99_ms:.0f} ms"
        found.append(Figure("... p99", f"{p99:.1f} ms", beside, p99 < case.most_p99_ms))
    return row, found


def measure(*, seconds: float = 4.0, rounds: int = 5, only: str | None = None) -> list[Figure]:
    """Run the cases, print their table, return the figures with their budgets."""
    rows, found = [], []
    with temp_folder() as folder:
        for case in CASES:
            if only is None or case.name.startswith(only):
                row, of_case = _row(case, *measure_case(case, seconds=seconds, rounds=rounds, folder=folder))
                rows.append(row)
                found += of_case
    print(figures.table(HEAD, rows), flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Ratios are the median of the rounds' ratios. Background loops and detection run all the time; every "
        "answer waits for an fsync. Client CPU is the share of a core that the load generator took.",
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a round, without its warm-up")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["own", "foreign", "single"])
    given = parser.parse_args()
    found = measure(seconds=given.seconds, rounds=given.rounds, only=given.only)
    print()
    figures.show(found)


if __name__ == "__main__":
    main()
