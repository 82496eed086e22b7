"""Every query of stage 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from sqlalchemy import Executable, insert, select, tuple_, update
from sqlalchemy.sql.elements import ColumnElement

from tocsin.logs.chunks import Chunk, unpack
from tocsin.logs.model import chunks
from tocsin.logs.record import Columns
from tocsin.storage.columns import row_value
from tocsin.storage.model import counters
from tocsin.storage.tx import ReadTx, Tx

RECORD_IDS: Final = "record_ids"
PAGE_OF_CHUNKS: Final = 256


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk's catalogue entry."""

    first_id: int
    last_id: int
    observed_at: datetime
    min_at: datetime
    max_at: datetime
    levels: int
    services: str | None
    backfill: bool


_ENTRY = (
    chunks.c.first_id,
    chunks.c.last_id,
    chunks.c.observed_at,
    chunks.c.min_at,
    chunks.c.max_at,
    chunks.c.levels,
    chunks.c.services,
    chunks.c.backfill,
)


def reserve_ids(tx: Tx, count: int) -> int:
    """Take `count` record ids nobody else will get; returns the first."""
    taken = (
        update(counters)
        .where(counters.c.name == RECORD_IDS)
        .values(value=counters.c.value + count)
        .returning(counters.c.value)
    )
    after: int = tx.execute(taken).scalar_one()
    return after - count + 1


@lru_cache(maxsize=8)
def _insert_chunk(position: ColumnElement[int]) -> Executable:
    """Made once: making the statement costs as much as running it."""
    return insert(chunks).values(position=position)


def insert_chunks(tx: Tx, placed: Sequence[tuple[int, bool, Chunk]], *, observed_at: datetime, event_id: int) -> None:
    """Store chunks: `(first id, backfill, chunk)` each."""
    rows = [
        {
            "first_id": first_id,
            "last_id": first_id + chunk.count - 1,
            "observed_at": observed_at,
            "min_at": chunk.min_at,
            "max_at": chunk.max_at,
            "levels": chunk.levels,
            "services": chunk.services,
            "backfill": backfill,
            "event_id": event_id,
            "raw_bytes": chunk.raw_bytes,
            "blob": chunk.blob,
        }
        for first_id, backfill, chunk in placed
    ]
    tx.execute(_insert_chunk(tx.position), rows if len(rows) > 1 else rows[0])


def chunk_of(tx: ReadTx, record_id: int) -> StoredChunk | None:
    """The chunk a record id lies in."""
    statement = select(*_ENTRY).where(chunks.c.first_id <= record_id).order_by(chunks.c.first_id.desc()).limit(1)
    row = tx.execute(statement).one_or_none()
    return StoredChunk(**row._mapping) if row is not None and row.last_id >= record_id else None


def chunks_between(tx: ReadTx, first_id: int, last_id: int) -> list[StoredChunk]:
    """The chunks of a range of record ids, oldest first."""
    inside = (chunks.c.first_id >= first_id) & (chunks.c.last_id <= last_id)
    return [
        StoredChunk(**row._mapping) for row in tx.execute(select(*_ENTRY).where(inside).order_by(chunks.c.first_id))
    ]


def chunks_newest_first(
    tx: ReadTx, *, since: datetime | None, until: datetime | None, after: tuple[datetime, int] | None
) -> list[StoredChunk]:
    """A page of chunks that may hold event times in [since, until), by latest event time; `after` pages on."""
    statement = select(*_ENTRY).order_by(chunks.c.max_at.desc(), chunks.c.first_id.desc()).limit(PAGE_OF_CHUNKS)
    if since is not None:
        statement = statement.where(chunks.c.max_at >= since)
    if until is not None:
        statement = statement.where(chunks.c.min_at < until)
    if after is not None:
        key = (chunks.c.max_at, chunks.c.first_id)
        statement = statement.where(tuple_(*key) < row_value(key, after))
    return [StoredChunk(**row._mapping) for row in tx.execute(statement)]


def load(tx: ReadTx, chunk: StoredChunk) -> Columns:
    """The records of a chunk."""
    blob = tx.execute(select(chunks.c.blob).where(chunks.c.first_id == chunk.first_id)).scalar_one()
    return unpack(blob)
