"""The form a commit's records are kept in until compaction: columns, packed and compressed, without their ids."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import zstandard

from tocsin.kit.clock import to_us
from tocsin.logs.levels import Level
from tocsin.logs.record import Columns, Record

MAX_CHUNK_RECORDS = 8192
ZSTD_LEVEL = 1


SEPARATOR: Final = "\0"
# Texts one after the other with SEPARATOR between them, or each by itself when one has it inside; JSON never has.
Texts = str | list[str]


class _Packed(msgspec.Struct, array_like=True):
    """The blob's content, version 1. `timestamps` become MessagePack timestamps, in UTC."""

    version: int
    timestamps: list[datetime]
    severities: bytes
    levels: bytes
    services: Texts
    messages: Texts
    attributes: bytes
    trace_ids: dict[int, str]
    span_ids: dict[int, str]
    sources: dict[int, str]
    skewed: dict[int, str]


class Opened(msgspec.Struct, array_like=True):
    """The same content for work in columns: `timestamps` stay as they are packed (see `instants_us`)."""

    version: int
    timestamps: msgspec.Raw
    severities: bytes
    levels: bytes
    services: Texts
    messages: Texts
    attributes: bytes
    trace_ids: dict[int, str]
    span_ids: dict[int, str]
    sources: dict[int, str]
    skewed: dict[int, str]


_LEVEL_NAMES = {level.value: level.name for level in Level}
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Packed)
_opener = msgspec.msgpack.Decoder(Opened)
_instants = msgspec.msgpack.Decoder(list[datetime])
# MessagePack: an extension of 8 bytes, of the type timestamp: nanoseconds in the upper 30 bits, seconds below.
_STAMP = np.dtype([("head", ">u2"), ("value", ">u8")])
_STAMP_HEAD = 0xD7FF
_SECONDS = np.uint64((1 << 34) - 1)
_zstd = threading.local()
_BETWEEN_DOCUMENTS: Final = SEPARATOR.encode()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk that is ready to be stored: the blob and what the catalogue says of it."""

    count: int
    min_at: datetime
    max_at: datetime
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
            _joined(columns.services),
            _joined(columns.messages),
            _BETWEEN_DOCUMENTS.join(columns.attributes),
            columns.trace_ids,
            columns.span_ids,
            columns.sources,
            columns.skewed,
        )
    )
    return Chunk(
        count=len(columns),
        min_at=min(columns.timestamps),
        max_at=max(columns.timestamps),
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
        _parted(packed.services),
        _parted(packed.messages),
        packed.attributes.split(_BETWEEN_DOCUMENTS),
        packed.trace_ids,
        packed.span_ids,
        packed.sources,
        packed.skewed,
    )


def _joined(texts: list[str]) -> Texts:
    return texts if SEPARATOR in "".join(texts) else SEPARATOR.join(texts)


def _parted(texts: Texts) -> list[str]:
    return texts.split(SEPARATOR) if isinstance(texts, str) else texts


def open_blob(blob: bytes) -> Opened:
    """As `unpack`, without an object for every timestamp."""
    return _opener.decode(_decompressor().decompress(blob))


def instants_us(packed: msgspec.Raw, count: int) -> npt.NDArray[np.int64]:
    """The packed timestamps of a chunk of `count` records, as microseconds since 1970."""
    raw = memoryview(packed)
    if len(raw) >= count * _STAMP.itemsize:
        stamps = np.frombuffer(raw[len(raw) - count * _STAMP.itemsize :], _STAMP)
        if (stamps["head"] == _STAMP_HEAD).all():
            value = stamps["value"].astype(np.uint64)
            us: npt.NDArray[np.uint64] = (value & _SECONDS) * np.uint64(1_000_000) + (value >> np.uint64(34)) // 1000
            return us.astype(np.int64)
    return np.array([to_us(at) for at in _instants.decode(packed)], np.int64)  # some lie on a second, or before 1970


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
