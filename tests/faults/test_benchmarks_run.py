"""The benchmarks still run: a fraction of a second of each kind of load, ours and the bare handler."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = sorted(path.name for path in BENCHMARKS.glob("*.py") if '__name__ == "__main__"' in path.read_text())


def _run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=BENCHMARKS, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_ingest_is_measured_for_each_shape_on_both_servers():
    printed = _run("ingest.py", "--seconds", "0.2", "--rounds", "1")

    for case in ("own shape", "foreign shape", "single"):
        row = next(line for line in printed.splitlines() if line.startswith(case))
        ours, bare = row.removeprefix(case).split()[:2]
        assert int(ours.replace(",", "")) > 0
        assert int(bare.replace(",", "")) > 0


def test_every_script_says_how_it_is_used():
    assert len(SCRIPTS) >= 7
    starts = [
        subprocess.Popen([sys.executable, name, "--help"], cwd=BENCHMARKS, stdout=subprocess.PIPE) for name in SCRIPTS
    ]

    for name, started in zip(SCRIPTS, starts, strict=True):
        printed, _ = started.communicate(timeout=30)
        assert started.returncode == 0, name
        assert printed.startswith(b"usage:"), name
