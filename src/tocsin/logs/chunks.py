"""The form a commit's records are kept in until compaction: columns, packed and compressed, without their ids."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import zstandard

from tocsin.logs.levels import Level
from tocsin.logs.record import LEVEL_BITS, Columns, Record

MAX_CHUNK_RECORDS = 8192
MAX_NAMED_SERVICES = 32
ZSTD_LEVEL = 1


class _Packed(msgspec.Struct, array_like=True):
    """The blob's content, version 1. `timestamps` become MessagePack timestamps, in UTC."""

    version: int
    timestamps: list[datetime]
    severities: bytes
    levels: bytes
    services: list[str]
    messages: list[str]
    attributes: list[bytes]
    trace_ids: dict[int, str]
    span_ids: dict[int, str]
    sources: dict[int, str]
    skewed: dict[int, str]


_LEVEL_NAMES = {level.value: level.name for level in Level}
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Packed)
_zstd = threading.local()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk that is ready to be stored: the blob and what the catalogue says of it."""

    count: int
    min_at: datetime
    max_at: datetime
    levels: int
    services: str | None
    raw_bytes: int
    blob: bytes


def pack(columns: Columns) -> Chunk:
    """Compress at least one record. Releases the GIL while it compresses."""
    packed = _encoder.encode(
        _Packed(
            1,
            columns.timestamps,
            columns.severities,
            columns.levels,
            columns.services,
            columns.messages,
            columns.attributes,
            columns.trace_ids,
            columns.span_ids,
            columns.sources,
            columns.skewed,
        )
    )
    services = sorted(set(columns.services))
    nameable = len(services) <= MAX_NAMED_SERVICES and not any("\n" in name for name in services)
    return Chunk(
        count=len(columns),
        min_at=min(columns.timestamps),
        max_at=max(columns.timestamps),
        levels=sum(LEVEL_BITS[level] for level in set(columns.levels)),
        services="\n".join(services) if nameable else None,
        raw_bytes=len(packed),
        blob=_compressor().compress(packed),
    )


def unpack(blob: bytes) -> Columns:
    """The columns of a stored blob. Raises zstandard.ZstdError or msgspec.DecodeError when it is damaged."""
    packed = _decoder.decode(_decompressor().decompress(blob))
    return Columns(
        packed.timestamps,
        packed.severities,
        packed.levels,
        packed.services,
        packed.messages,
        packed.attributes,
        packed.trace_ids,
        packed.span_ids,
        packed.sources,
        packed.skewed,
    )


def record_at(columns: Columns, row: int, *, first_id: int, observed_at: datetime, backfill: bool) -> Record:
    """Row `row` of a chunk as a record."""
    at = columns.timestamps[row]
    return Record(
        id=first_id + row,
        timestamp=at if at.tzinfo is UTC else at.astimezone(UTC),
        observed_at=observed_at,
        level=_LEVEL_NAMES[columns.levels[row]],
        severity_number=columns.severities[row],
        service=columns.services[row],
        message=columns.messages[row],
        attributes=msgspec.Raw(columns.attributes[row]),
        trace_id=columns.trace_ids.get(row),
        span_id=columns.span_ids.get(row),
        source=columns.sources.get(row),
        skewed=columns.skewed.get(row),
        backfill=backfill,
    )


def slices(columns: Columns) -> Iterator[Columns]:
    """The batch in pieces that are small enough for a chunk each."""
    for start in range(0, len(columns), MAX_CHUNK_RECORDS):
        yield columns.slice(start, start + MAX_CHUNK_RECORDS)


def _compressor() -> zstandard.ZstdCompressor:
    found: zstandard.ZstdCompressor | None = getattr(_zstd, "compressor", None)
    if found is None:
        found = _zstd.compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
    return found


def _decompressor() -> zstandard.ZstdDecompressor:
    found: zstandard.ZstdDecompressor | None = getattr(_zstd, "decompressor", None)
    if found is None:
        found = _zstd.decompressor = zstandard.ZstdDecompressor()
    return found
