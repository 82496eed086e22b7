"""Every query of stage 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from sqlalchemy import Executable, delete, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.elements import ColumnElement

from tocsin.kit.errors import Conflict
from tocsin.kit.events import LogsStored
from tocsin.logs.chunks import Chunk, unpack
from tocsin.logs.model import chunks, consumed
from tocsin.logs.record import Columns
from tocsin.storage.model import counters, events, parked
from tocsin.storage.tx import ReadTx, Tx

RECORD_IDS: Final = "record_ids"
WAKE: Final = "logs"  # what a commit with new chunks wakes
_MAX_PARAMETERS: Final = 500


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A chunk's catalogue entry. `position` is that of its commit."""

    first_id: int
    last_id: int
    observed_at: datetime
    min_at: datetime
    max_at: datetime
    backfill: bool
    raw_bytes: int
    position: int

    @property
    def records(self) -> int:
        return self.last_id - self.first_id + 1


_ENTRY = (
    chunks.c.first_id,
    chunks.c.last_id,
    chunks.c.observed_at,
    chunks.c.min_at,
    chunks.c.max_at,
    chunks.c.backfill,
    chunks.c.raw_bytes,
    chunks.c.position,
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
def _insert_chunk(position: ColumnElement[int] | None) -> Executable:
    """Made once: making the statement costs as much as running it."""
    return insert(chunks) if position is None else insert(chunks).values(position=position)


def insert_chunks(tx: Tx, placed: Sequence[tuple[int, bool, Chunk]], *, observed_at: datetime, event_id: int) -> None:
    """Store chunks: `(first id, backfill, chunk)` each."""
    rows: list[dict[str, object]] = [
        {
            "first_id": first_id,
            "last_id": first_id + chunk.count - 1,
            "observed_at": observed_at,
            "min_at": chunk.min_at,
            "max_at": chunk.max_at,
            "backfill": backfill,
            "event_id": event_id,
            "raw_bytes": chunk.raw_bytes,
            "blob": chunk.blob,
        }
        for first_id, backfill, chunk in placed
    ]
    # On SQLite the event's id is the commit's place in the order; the expression would be one beyond it by now, and
    # below the horizon only after the next event.
    tx.wakes.add(WAKE)
    position = None if tx.dialect == "sqlite" else tx.position
    if position is None:
        for row in rows:
            row["position"] = event_id
    tx.execute(_insert_chunk(position), rows if len(rows) > 1 else rows[0])


def hot_chunks(tx: ReadTx) -> list[StoredChunk]:
    """All chunks that are in no segment yet, by id."""
    statement = select(*_ENTRY).where(_is_hot()).order_by(chunks.c.first_id)
    return [StoredChunk(*row) for row in tx.execute(statement)]


@dataclass(frozen=True, slots=True)
class HotSize:
    """How much is hot: `oldest` is when the first of it arrived."""

    chunks: int
    records: int
    raw_bytes: int
    oldest: datetime | None


def hot_size(tx: ReadTx) -> HotSize:
    """How much waits for compaction."""
    records = func.coalesce(func.sum(chunks.c.last_id - chunks.c.first_id + 1), 0)
    size = func.coalesce(func.sum(chunks.c.raw_bytes), 0)
    row = tx.execute(select(func.count(), records, size, func.min(chunks.c.observed_at)).where(_is_hot())).one()
    return HotSize(row[0], int(row[1]), int(row[2]), row[3])


def hot_bytes(tx: ReadTx) -> int:
    """Bytes of all hot chunks, as they are stored."""
    statement = select(func.coalesce(func.sum(func.length(chunks.c.blob)), 0)).where(_is_hot())
    return int(tx.execute(statement).scalar_one())


def free_chunks(tx: ReadTx, *, limit: int) -> list[StoredChunk]:
    """The first hot chunks that no parked record lies in: those wait until what follows from them is worked out."""
    held = exists().where(parked.c.first_id <= chunks.c.last_id, parked.c.last_id >= chunks.c.first_id)
    statement = select(*_ENTRY).where(_is_hot(), ~held).order_by(chunks.c.first_id).limit(limit)
    return [StoredChunk(*row) for row in tx.execute(statement)]


def hot_chunk_of(tx: ReadTx, record_id: int) -> StoredChunk | None:
    """The hot chunk a record id lies in."""
    statement = select(*_ENTRY).where(chunks.c.first_id <= record_id, _is_hot())
    row = tx.execute(statement.order_by(chunks.c.first_id.desc()).limit(1)).one_or_none()
    return StoredChunk(*row) if row is not None and row.last_id >= record_id else None


def chunks_between(tx: ReadTx, first_id: int, last_id: int) -> list[StoredChunk]:
    """The hot chunks of a range of record ids, oldest first."""
    inside = (chunks.c.first_id >= first_id) & (chunks.c.last_id <= last_id)
    statement = select(*_ENTRY).where(inside, _is_hot()).order_by(chunks.c.first_id)
    return [StoredChunk(*row) for row in tx.execute(statement)]


def hot_reaching(tx: ReadTx, first_id: int, last_id: int) -> list[StoredChunk]:
    """The hot chunks that hold some of these record ids, oldest first."""
    touching = (chunks.c.first_id <= last_id) & (chunks.c.last_id >= first_id)
    return [
        StoredChunk(*row) for row in tx.execute(select(*_ENTRY).where(touching, _is_hot()).order_by(chunks.c.first_id))
    ]


def load(tx: ReadTx, chunk: StoredChunk) -> Columns:
    """The records of a chunk."""
    blob = tx.execute(select(chunks.c.blob).where(chunks.c.first_id == chunk.first_id)).scalar_one()
    return unpack(blob)


def chunks_since(
    tx: ReadTx, position: int, horizon: int, *, records: int, size_bytes: int
) -> tuple[list[StoredChunk], int]:
    """Chunks of the commits at positions in [position, horizon), also consumed ones that are still there, in that
    order, until they hold so many records or bytes; and the position they go up to."""
    inside = (chunks.c.position >= position) & (chunks.c.position < horizon)
    statement = select(*_ENTRY).where(inside).order_by(chunks.c.position, chunks.c.first_id)
    found: list[StoredChunk] = []
    held = size = 0
    for chunk in (StoredChunk(*row) for row in tx.execute(statement)):
        if (held >= records or size >= size_bytes) and chunk.position != found[-1].position:
            return found, chunk.position
        found.append(chunk)
        held += chunk.records
        size += chunk.raw_bytes
    return found, horizon


def accepted_between(tx: ReadTx, position: int, horizon: int) -> int:
    """How many records the commits at positions in [position, horizon) stored."""
    inside = (events.c.position >= position) & (events.c.position < horizon) & (events.c.kind == LogsStored.__name__)
    return sum(data["accepted"] for data in tx.execute(select(events.c.data).where(inside)).scalars())


def blobs(tx: ReadTx, first_ids: Sequence[int]) -> dict[int, bytes]:
    """The packed records of these chunks, by first id; those that are gone are left out."""
    found: dict[int, bytes] = {}
    for start in range(0, len(first_ids), _MAX_PARAMETERS):
        some = chunks.c.first_id.in_(first_ids[start : start + _MAX_PARAMETERS])
        found |= {row[0]: row[1] for row in tx.execute(select(chunks.c.first_id, chunks.c.blob).where(some))}
    return found


def consume(tx: Tx, first_ids: Sequence[int]) -> None:
    """Say that these chunks are in segments now. Raises Conflict when another worker was first."""
    there = tx.execute(select(func.count()).select_from(chunks).where(chunks.c.first_id.in_(first_ids), _is_hot()))
    if there.scalar_one() != len(first_ids):
        raise Conflict(detail="another worker has compacted these chunks")
    try:
        tx.execute(insert(consumed), [{"first_id": first_id, "consumed_at": tx.now} for first_id in first_ids])
    except IntegrityError as error:
        raise Conflict(detail="another worker has compacted these chunks") from error


def any_consumed(tx: ReadTx, before: datetime) -> bool:
    """Whether there are chunks that were consumed before that."""
    return tx.execute(select(consumed.c.first_id).where(consumed.c.consumed_at < before).limit(1)).first() is not None


def delete_consumed(tx: Tx, before: datetime, *, limit: int) -> int:
    """Delete some chunks that were consumed before that; returns how many."""
    statement = select(consumed.c.first_id).where(consumed.c.consumed_at < before).limit(limit)
    gone = list(tx.execute(statement).scalars())
    if gone:
        tx.execute(delete(chunks).where(chunks.c.first_id.in_(gone)))
        tx.execute(delete(consumed).where(consumed.c.first_id.in_(gone)))
    return len(gone)


def _is_hot() -> ColumnElement[bool]:
    return ~exists().where(consumed.c.first_id == chunks.c.first_id)
