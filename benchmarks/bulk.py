"""Many unlike records, fast: whole HTTP requests of JSON lines in our own shape (`shapes.own`), made in columns."""

import mmap
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

import shapes

PER_REQUEST: Final = 1000
_LENGTH: Final = struct.Struct("<I")
_AT_ONCE: Final = 200_000


@dataclass(frozen=True, slots=True)
class Sample:
    """Something to search for: the request id and the path number of a record in the middle."""

    request_id: str
    path: str


def write_requests(path: Path, count: int, *, since: datetime, step_us: int, seed: int) -> Sample:
    """Write requests that hold `count` records, `step_us` apart from `since` on."""
    rng = np.random.default_rng(seed)
    sample = Sample("", "")
    with path.open("wb") as file:
        for start in range(0, count, _AT_ONCE):
            begin = since + timedelta(microseconds=start * step_us)
            lines = _lines(rng, min(_AT_ONCE, count - start), begin, step_us)
            if start <= count // 2:
                sample = _sample(lines[len(lines) // 2])
            for first in range(0, len(lines), PER_REQUEST):
                request = _request("\n".join(lines[first : first + PER_REQUEST]).encode())
                file.write(_LENGTH.pack(len(request)))
                file.write(request)
    return sample


def read_requests(path: Path) -> list[memoryview]:
    """The requests of a file, without reading it into memory."""
    with path.open("rb") as file:
        whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return list(_cut(whole))


def _cut(whole: memoryview) -> Iterator[memoryview]:
    place = 0
    while place < len(whole):
        end = place + _LENGTH.size + _LENGTH.unpack_from(whole, place)[0]
        yield whole[place + _LENGTH.size : end]
        place = end


def _request(body: bytes) -> bytes:
    head = "POST /logs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-ndjson\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _sample(line: str) -> Sample:
    request_id = line.partition('"request_id":"')[2][:32]
    return Sample(request_id, line.partition("/api/v1/")[2].partition(" ")[0])


def _lines(rng: np.random.Generator, count: int, since: datetime, step_us: int) -> list[str]:
    """JSON lines with the shares, texts and numbers of `shapes.own`."""
    names, shares = zip(*shapes.LEVELS, strict=True)
    kinds_service, kinds_words = zip(*map(shapes.kind_of_trouble, range(shapes.KINDS)), strict=True)
    kind = rng.integers(shapes.KINDS, size=count)
    hexadecimal = rng.bytes(16 * count).hex()
    frame = pl.DataFrame(
        {
            "n": np.arange(count),
            "level": _picked(names, rng.choice(len(names), count, p=np.array(shares) / sum(shares))),
            "service": _picked(shapes.SERVICES, rng.integers(len(shapes.SERVICES), size=count)),
            "verb": _picked(shapes.VERBS, rng.integers(len(shapes.VERBS), size=count)),
            "route": _picked(shapes.ROUTES, rng.integers(len(shapes.ROUTES), size=count)),
            "a": rng.integers(10**6, size=count),
            "b": rng.integers(2, 900, size=count),
            "c": rng.integers(10**5, size=count),
            "kind": kind,
            "kind_service": _picked(kinds_service, kind),
            "words": _picked(kinds_words, kind),
            "request_id": [hexadecimal[start : start + 32] for start in range(0, 32 * count, 32)],
            "duration": rng.exponential(50.0, count).round(2),
            "region": _picked(shapes.REGIONS, rng.integers(len(shapes.REGIONS), size=count)),
        }
    )
    critical = pl.col("level") == "CRITICAL"
    plain = pl.format("{} /api/v1/{}/{} answered 200 in {} ms ({} bytes)", "verb", "route", "a", "b", "c")
    trouble = pl.format("{} after {} ms on node {}, attempt {}", "words", pl.col("a") % 9999, pl.col("b") % 64, "kind")
    stamp = (pl.lit(since) + pl.duration(microseconds=pl.col("n") * step_us)).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    line = pl.format(
        '{{"timestamp":"{}","level":"{}","service":"{}","message":"{}",'
        '"attributes":{{"request_id":"{}","duration_ms":{},"region":"{}"}}}}',
        stamp,
        "level",
        pl.when(critical).then("kind_service").otherwise("service"),
        pl.when(critical).then(trouble).otherwise(plain),
        "request_id",
        "duration",
        "region",
    )
    return frame.select(line.alias("line")).get_column("line").to_list()


def _picked(values: Sequence[str], places: np.ndarray) -> pl.Series:
    return pl.Series(values).gather(pl.Series(places))
