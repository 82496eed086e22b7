"""Segments: Parquet files of up to 65,536 records in order of event time, and what the catalogue says of each.

The files are plain Parquet, readable by DuckDB and others as they are. `level` is written for them; `attributes` holds
JSON only where a record's attributes have no columns of their own (see `shapes`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from tocsin.logs import tokens
from tocsin.logs.frames import SCHEMA, level_names
from tocsin.logs.shapes import PREFIX, SHAPE, columns_of, split
from tocsin.query.values import flatten

SEGMENT_RECORDS: Final = 65_536
SEGMENT_BYTES: Final = 64 << 20  # uncompressed: what works on a segment has it in memory as a whole
STRAY_AFTER: Final = timedelta(hours=1)  # of event time behind arrival: a bad clock, or an import
LEVEL: Final = "level"
_ROW_GROUP: Final = 16_384
_PAGE_BYTES: Final = 64 << 10  # pages without a wanted row are not unpacked: few rows of many are read in half the time
_ZSTD_LEVEL: Final = 1
_FIXED_BYTES: Final = 8 + 8 + 8 + 1 + 1  # id, the two times, severity, backfill
_LINE: Final = "\n"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the catalogue says of a segment. `severities` has bit n set for a record of severity number n; `services`
    counts records; `layout` are the attribute paths that have a column, with their kinds."""

    first_id: int
    last_id: int
    records: int
    raw_bytes: int
    min_at: datetime
    max_at: datetime
    severities: int
    services: Mapping[str, int]
    layout: Mapping[str, str]
    raw_rows: int
    stray: bool


@dataclass(frozen=True, slots=True)
class Built:
    """A segment that is ready to be written."""

    facts: Facts
    frame: pl.DataFrame
    token_filter: bytes

    def write(self, path: Path) -> None:
        """Write the Parquet file."""
        write(self.frame, path)


def build(frame: pl.DataFrame, *, limit: int = SEGMENT_RECORDS) -> list[Built]:
    """Segments for the rows of a frame whose attributes are whole.

    Records whose event time lies far behind their arrival get segments of their own: among the others they would make
    a segment seem to reach back as far as the oldest of them.
    """
    stray = pl.col("timestamp") < pl.col("observed_at") - STRAY_AFTER
    found = []
    for part, is_stray in ((frame.filter(~stray), False), (frame.filter(stray), True)):
        ordered = part.sort("timestamp", "id")
        found += [_build_one(ordered.slice(start, limit), is_stray) for start in range(0, len(ordered), limit)]
    return found


def _build_one(frame: pl.DataFrame, stray: bool) -> Built:
    parted = split(frame)
    times = frame.get_column("timestamp")
    ids = frame.get_column("id")
    facts = Facts(
        first_id=ids.min(),  # type: ignore[arg-type]
        last_id=ids.max(),  # type: ignore[arg-type]
        records=len(frame),
        raw_bytes=_raw_bytes(frame),
        min_at=times[0],
        max_at=times[-1],
        severities=sum(1 << number for number in frame.get_column("severity_number").unique()),
        services=dict(frame.get_column("service").value_counts().rows()),
        layout=columns_of(parted),
        raw_rows=len(parted) - parted.get_column("attributes").null_count(),
        stray=stray,
    )
    return Built(facts, _for_others(parted), tokens.build(_texts(parted)))


def _for_others(parted: pl.DataFrame) -> pl.DataFrame:
    """The columns of a file: the attributes last, and the level's name beside its number."""
    own = [name for name in SCHEMA if name != "attributes"]
    own.insert(own.index("severity_number"), LEVEL)
    paths = sorted(name for name in parted.columns if name.startswith(PREFIX))
    return parted.with_columns(level_names().alias(LEVEL)).select(*own, *paths, "attributes", SHAPE)


def write(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame as a segment's file."""
    frame.write_parquet(
        path,
        compression="zstd",
        compression_level=_ZSTD_LEVEL,
        row_group_size=_ROW_GROUP,
        data_page_size=_PAGE_BYTES,
        statistics=True,
    )


def _raw_bytes(frame: pl.DataFrame) -> int:
    """The size of the records' texts and numbers, uncompressed."""
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    length = frame.select(pl.sum_horizontal(pl.col(name).str.len_bytes().sum() for name in texts)).item()
    return int(length or 0) + _FIXED_BYTES * len(frame)


def _texts(parted: pl.DataFrame) -> Iterator[str]:
    """All texts a search for a word may look in, a line each."""
    for name in ("message", "trace_id", "span_id"):
        yield _lines(parted.get_column(name))
    for name, dtype in parted.schema.items():
        if name.startswith(PREFIX):
            column = parted.get_column(name)
            yield _lines((column if dtype == pl.String else column.cast(pl.String)).unique())
    raw = parted.get_column("attributes").drop_nulls()
    if len(raw):
        escaped = raw.str.contains("\\", literal=True)
        yield _lines(raw.filter(~escaped))
        yield _LINE.join(text for document in raw.filter(escaped) for text in _strings(document))


def _lines(column: pl.Series) -> str:
    return column.drop_nulls().str.join(_LINE).item() or "" if len(column) else ""


def _strings(document: str) -> Iterator[str]:
    """A document without its escapes, so that its words are those that a search sees."""
    yield document
    for values in flatten(document).values():
        yield from (value.text for value in values if value.kind == "string")
