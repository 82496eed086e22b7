"""Records as a Polars frame: the form that searches look at, whether they come from hot chunks or from segments."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl

from tocsin.kit.clock import to_us
from tocsin.logs.chunks import SEPARATOR, Opened, Texts, instants_us
from tocsin.logs.levels import Level, level_of_severity
from tocsin.logs.record import Record

INSTANT: Final = pl.Datetime("us", "UTC")
# Every frame has these columns, in this order; one whose attributes are split has `shapes.SHAPE` and those of `shapes`.
SCHEMA: Final[dict[str, Any]] = {
    "id": pl.Int64,
    "timestamp": INSTANT,
    "observed_at": INSTANT,
    "severity_number": pl.UInt8,
    "service": pl.String,
    "message": pl.String,
    "trace_id": pl.String,
    "span_id": pl.String,
    "source": pl.String,
    "skewed": pl.String,
    "backfill": pl.Boolean,
    "attributes": pl.String,
}
_LEVELS: Final = tuple(level_of_severity(number).name for number in range(25))


@dataclass(frozen=True, slots=True)
class OpenedChunk:
    """A hot chunk's content, and what its row says that is true of every record in it."""

    first_id: int
    observed_at: datetime
    backfill: bool
    content: Opened


def empty() -> pl.DataFrame:
    """A frame without rows."""
    return pl.DataFrame(schema=SCHEMA)


def frame_of(chunks: Sequence[OpenedChunk]) -> pl.DataFrame:
    """The records of all chunks, one after the other; attributes as JSON."""
    counts = [len(chunk.content.severities) for chunk in chunks]
    if not sum(counts):
        return empty()
    contents = [chunk.content for chunk in chunks]
    ids = [np.arange(chunk.first_id, chunk.first_id + n) for chunk, n in zip(chunks, counts, strict=True)]
    times = [instants_us(content.timestamps, n) for content, n in zip(contents, counts, strict=True)]
    observed = np.repeat([to_us(chunk.observed_at) for chunk in chunks], counts)
    severities = np.frombuffer(b"".join([content.severities for content in contents]), np.uint8)
    return pl.DataFrame(
        {
            "id": np.concatenate(ids),
            "timestamp": pl.Series(np.concatenate(times)).cast(INSTANT),
            "observed_at": pl.Series(observed).cast(INSTANT),
            "severity_number": severities,
            "service": _texts([content.services for content in contents]),
            "message": _texts([content.messages for content in contents]),
            "trace_id": _sparse([content.trace_ids for content in contents], counts),
            "span_id": _sparse([content.span_ids for content in contents], counts),
            "source": _sparse([content.sources for content in contents], counts),
            "skewed": _sparse([content.skewed for content in contents], counts),
            "backfill": np.repeat([chunk.backfill for chunk in chunks], counts),
            "attributes": _parted(pl.Series([content.attributes for content in contents]).cast(pl.String)),
        },
        schema_overrides=SCHEMA,
    )


def _texts(parts: Sequence[Texts]) -> pl.Series:
    """The texts of all chunks, without an object for each where they are joined."""
    if all(isinstance(part, str) for part in parts):
        return _parted(pl.Series(parts))
    return pl.Series([text for part in parts for text in (part.split(SEPARATOR) if isinstance(part, str) else part)])


def _parted(joined: pl.Series) -> pl.Series:
    return joined.str.split(SEPARATOR).explode()


def _sparse(parts: Sequence[dict[int, str]], counts: Sequence[int]) -> pl.Series:
    if not any(parts):
        return pl.Series([None], dtype=pl.String).new_from_index(0, sum(counts))
    values: list[str | None] = [None] * sum(counts)
    start = 0
    for part, count in zip(parts, counts, strict=True):
        for row, value in part.items():
            values[start + row] = value
        start += count
    return pl.Series(values, dtype=pl.String)


def records_of(frame: pl.DataFrame) -> list[Record]:
    """The rows of a frame whose attributes are whole (see `shapes.whole`), as records."""
    return [
        Record(
            id=row[0],
            timestamp=row[1],
            observed_at=row[2],
            level=_LEVELS[row[3]],
            severity_number=row[3],
            service=row[4],
            message=row[5],
            trace_id=row[6],
            span_id=row[7],
            source=row[8],
            skewed=row[9],
            backfill=row[10],
            attributes=msgspec.Raw(row[11].encode()),
        )
        for row in frame.select(list(SCHEMA)).rows()
    ]


def level_names() -> pl.Expr:
    """The name of each row's level."""
    severity = pl.col("severity_number")
    named: Any = pl.when(severity >= 18).then(pl.lit(Level.CRITICAL.name))
    for level in (Level.ERROR, Level.WARNING, Level.INFO, Level.DEBUG):
        named = named.when(severity >= level.value).then(pl.lit(level.name))
    names: pl.Expr = named.otherwise(pl.lit(Level.TRACE.name))
    return names
