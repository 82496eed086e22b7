"""Every query of the segments' catalogue: what is there, the swap of chunks for segments, damage, removal."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, update

from tocsin.kit.errors import Conflict
from tocsin.logs.model import retired_objects, segment_tokens, segments
from tocsin.logs.segments import Facts
from tocsin.storage.objects import Stored
from tocsin.storage.tx import ReadTx, Tx

_MAX_PARAMETERS: Final = 500


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment's catalogue entry, told from all others by its `key`; nothing but its damage ever changes. `services` counts records, `layout` names the kinds of attribute columns."""

    id: int
    key: str
    first_id: int
    last_id: int
    records: int
    size_bytes: int
    raw_bytes: int
    sha256: str
    min_at: datetime
    max_at: datetime
    severities: int
    services: dict[str, int]
    layout: dict[str, str]
    raw_rows: int
    stray: bool
    created_at: datetime
    damaged_at: datetime | None
    damage: str | None


@dataclass(frozen=True, slots=True)
class NewSegment:
    """An object that holds a segment, not yet in the catalogue."""

    key: str
    stored: Stored
    facts: Facts
    token_filter: bytes


def between(tx: ReadTx, *, since: datetime | None = None, until: datetime | None = None) -> list[Segment]:
    """Undamaged segments that may hold event times in [since, until)."""
    statement = select(segments).where(segments.c.damaged_at.is_(None))
    if since is not None:
        statement = statement.where(segments.c.max_at >= since)
    if until is not None:
        statement = statement.where(segments.c.min_at < until)
    return _found(tx, statement)


def holding(tx: ReadTx, record_id: int) -> list[Segment]:
    """Undamaged segments a record may be in: id ranges overlap where several processes take logs in."""
    inside = (segments.c.first_id <= record_id) & (segments.c.last_id >= record_id)
    return _found(tx, select(segments).where(inside, segments.c.damaged_at.is_(None)))


def smaller_than(tx: ReadTx, records: int) -> list[Segment]:
    """Undamaged segments with fewer records, by event time."""
    statement = select(segments).where(segments.c.records < records, segments.c.damaged_at.is_(None))
    return _found(tx, statement.order_by(segments.c.min_at, segments.c.id))


def ended_before(tx: ReadTx, instant: datetime, *, limit: int, offset: int) -> list[Segment]:
    """Segments whose newest record is older than that, oldest first; damaged ones as well."""
    statement = select(segments).where(segments.c.max_at < instant)
    return _found(tx, statement.order_by(segments.c.max_at, segments.c.id).limit(limit).offset(offset))


def oldest(tx: ReadTx, *, limit: int) -> list[Segment]:
    """The segments whose records are oldest; damaged ones as well."""
    return _found(tx, select(segments).order_by(segments.c.max_at, segments.c.id).limit(limit))


def damaged(tx: ReadTx) -> list[Segment]:
    """Segments that were set aside."""
    return _found(tx, select(segments).where(segments.c.damaged_at.is_not(None)).order_by(segments.c.id))


def total_bytes(tx: ReadTx) -> int:
    """Bytes of all segments in the catalogue."""
    return int(tx.execute(select(func.coalesce(func.sum(segments.c.size_bytes), 0))).scalar_one())


def filter_bytes(tx: ReadTx) -> int:
    """Bytes of all token filters."""
    return int(tx.execute(select(func.coalesce(func.sum(func.length(segment_tokens.c.filter)), 0))).scalar_one())


def any_segment(tx: ReadTx) -> bool:
    """Whether the catalogue names any segment."""
    return tx.execute(select(segments.c.id).limit(1)).one_or_none() is not None


def is_named(tx: ReadTx, segment: Segment) -> bool:
    """Whether the catalogue still names a segment, undamaged."""
    same = (segments.c.key == segment.key) & segments.c.damaged_at.is_(None)
    return tx.execute(select(segments.c.id).where(same)).one_or_none() is not None


def known_keys(tx: ReadTx) -> set[str]:
    """Keys of all objects that a row of ours names, in use or retired."""
    used = tx.execute(select(segments.c.key)).scalars()
    return {*used, *tx.execute(select(retired_objects.c.key)).scalars()}


def token_filters(tx: ReadTx, keys: Sequence[str]) -> dict[str, bytes]:
    """The token filters of these segments, by key."""
    of_segment = segment_tokens.join(segments, segments.c.id == segment_tokens.c.segment_id)
    statement = select(segments.c.key, segment_tokens.c.filter).select_from(of_segment)
    found: dict[str, bytes] = {}
    for start in range(0, len(keys), _MAX_PARAMETERS):
        some = segments.c.key.in_(keys[start : start + _MAX_PARAMETERS])
        found |= {row[0]: row[1] for row in tx.execute(statement.where(some))}
    return found


def add(tx: Tx, new: Iterable[NewSegment]) -> None:
    """Name new segments."""
    for one in new:
        facts = {
            name: dict(value) if name in {"services", "layout"} else value for name, value in asdict(one.facts).items()
        }
        row = {"key": one.key, "created_at": tx.now, **facts, **asdict(one.stored)}
        key = tx.execute(insert(segments), row).inserted_primary_key
        tx.execute(insert(segment_tokens), {"segment_id": key[0] if key else None, "filter": one.token_filter})


def remove(tx: Tx, gone: Sequence[Segment]) -> None:
    """Take segments out of the catalogue; their objects are removed a while later. Raises Conflict when another
    worker was first."""
    keys = [segment.key for segment in gone]
    if tx.execute(delete(segments).where(segments.c.key.in_(keys))).rowcount != len(keys):
        raise Conflict(detail="another worker has replaced these segments")
    tx.execute(delete(segment_tokens).where(segment_tokens.c.segment_id.in_([segment.id for segment in gone])))
    if gone:
        tx.execute(insert(retired_objects), [{"key": segment.key, "retired_at": tx.now} for segment in gone])


def mark_damaged(tx: Tx, segment: Segment, damage: str) -> bool:
    """Set a segment aside; whether it was not yet."""
    statement = update(segments).where(segments.c.key == segment.key, segments.c.damaged_at.is_(None))
    return tx.execute(statement.values(damaged_at=tx.now, damage=damage)).rowcount == 1


def mark_sound(tx: Tx, segment: Segment) -> None:
    """Take a segment back that was set aside."""
    tx.execute(update(segments).where(segments.c.key == segment.key).values(damaged_at=None, damage=None))


def retired_before(tx: ReadTx, instant: datetime, *, limit: int) -> list[str]:
    """Keys of objects that were retired before that."""
    statement = select(retired_objects.c.key).where(retired_objects.c.retired_at < instant).limit(limit)
    return list(tx.execute(statement).scalars())


def forget_retired(tx: Tx, keys: Sequence[str]) -> None:
    """Objects that are gone need no row."""
    tx.execute(delete(retired_objects).where(retired_objects.c.key.in_(keys)))


def _found(tx: ReadTx, statement: Any) -> list[Segment]:
    return [Segment(**row._mapping) for row in tx.execute(statement)]
