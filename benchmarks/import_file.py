"""`tocsin import` of a large file of JSON lines and of a plain text log, beside what decoding alone allows."""

import argparse
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bare
import figures
import shapes
from figures import Figure
from servers import running, start_tocsin, temp_folder, tocsin_command

_BLOCK = 20_000  # records of a block; the blocks of a file differ in seed and time


def json_lines(size: int) -> Iterator[bytes]:
    """Blocks of JSON lines, `size` bytes in all or a little more."""
    sent = seed = 0
    blocks = []
    while sent < size:
        if len(blocks) < 10:
            blocks.append(b"\n".join(shapes.records("own", _BLOCK, seed=seed)) + b"\n")
        block = blocks[seed % 10]
        seed += 1
        sent += len(block)
        yield block


def text_lines(size: int) -> Iterator[bytes]:
    """The same as a logger's lines of text."""
    sent, rng, at = 0, random.Random(1), datetime.now(UTC) - timedelta(days=1)
    while sent < size:
        lines = []
        for _ in range(_BLOCK):
            at += timedelta(milliseconds=rng.randrange(1, 9))
            level, service, message = shapes.plain_record(rng)
            stamp = at.isoformat(sep=" ", timespec="milliseconds")[:23].replace(".", ",")
            lines.append(f"{stamp} {level:<8} [worker-{rng.randrange(32)}] shop.{service}.Handler - {message}\n")
        block = "".join(lines).encode()
        sent += len(block)
        yield block


def _write(path: Path, blocks: Iterator[bytes]) -> tuple[int, int]:
    """Bytes and lines written."""
    size = lines = 0
    with path.open("wb") as file:
        for block in blocks:
            size += file.write(block)
            lines += block.count(b"\n")
    return size, lines


def _decode_alone_s(path: Path) -> float:
    """Seconds that reading the file and decoding it into typed structs take, nothing else."""
    began = time.perf_counter()
    with path.open("rb") as file:
        rest = b""
        while block := file.read(1 << 20):
            whole, _, tail = (rest + block).rpartition(b"\n")
            bare.DECODERS["/logs"].decode_lines(whole)
            rest = tail
    return time.perf_counter() - began


def _read_alone_s(path: Path) -> float:
    began = time.perf_counter()
    with path.open("rb") as file:
        for line in file:
            line.decode()
    return time.perf_counter() - began


def _import(path: Path, url: str, home: Path, limit_s: float) -> tuple[float, float]:
    """Wall and CPU seconds of the import command. Its memory of what it imported stays in `home`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    env = {**os.environ, "HOME": str(home), "XDG_STATE_HOME": str(home), "TERM": "dumb"}
    command = [str(tocsin_command()), "import", "--url", url, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=limit_s, check=False)
    wall = time.perf_counter() - began
    if done.returncode != 0:
        raise RuntimeError(f"the import failed: {(done.stderr + done.stdout).strip()[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _figures(name: str, path: Path, written: tuple[int, int], limit: tuple[str, float]) -> list[Figure]:
    size, lines = written
    with running(start_tocsin(path.with_suffix(".data"))) as server:
        before = server.cpu_s()
        wall, client_cpu = _import(path, server.url, path.parent, limit_s=60 + size / 200_000)
        server_cpu = server.cpu_s() - before
        _, highest = server.memory_mb()
    beside = f"{limit[0]} alone {size / 1e6 / limit[1]:,.0f} MB/s"
    cpu = f"server {server_cpu / lines * 1e6:.1f} s, import {client_cpu / lines * 1e6:.1f} s"
    return [
        Figure(f"import of {size / 1e6:,.0f} MB {name}", f"{size / 1e6 / wall:,.1f} MB/s", beside),
        Figure("... records", f"{lines / wall:,.0f} records/s", f"{lines:,} in {wall:,.1f} s"),
        Figure("... CPU per million records", cpu, f"server at most {highest:,.0f} MB"),
    ]


def measure(*, size_mb: int = 1000, text_mb: int = 200) -> list[Figure]:
    """Both imports, each into a fresh folder."""
    if tocsin_command() is None:
        return [Figure("import of a file", "skipped", "the tocsin command isn't there yet")]
    found = []
    with temp_folder() as folder:
        path = folder / "shop.jsonl"
        written = _write(path, json_lines(size_mb * 1_000_000))
        found += _figures("JSON lines", path, written, ("decoding", _decode_alone_s(path)))
        path.unlink()
        path = folder / "shop.log"
        written = _write(path, text_lines(text_mb * 1_000_000))
        found += _figures("text log", path, written, ("reading lines", _read_alone_s(path)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, epilog="MB are 10^6 bytes. Nothing is left behind.")
    parser.add_argument("--size-mb", type=int, default=1000, help="of the JSON lines")
    parser.add_argument("--text-mb", type=int, default=200, help="of the text log")
    given = parser.parse_args()
    try:
        figures.show(measure(size_mb=given.size_mb, text_mb=given.text_mb))
    except RuntimeError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
