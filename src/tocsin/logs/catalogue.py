"""Every query of the segments' catalogue: what is there, the swap of chunks for segments, damage, removal."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, delete, func, insert, select, update

from tocsin.kit.errors import Conflict
from tocsin.logs.model import retired_objects, segment_tokens, segments
from tocsin.logs.segments import Facts
from tocsin.storage.objects import Stored
from tocsin.storage.tx import ReadTx, Tx

MAX_KEPT_NAMES: Final = 300_000  # of services and attributes, some 32 MB
_MAX_PARAMETERS: Final = 500


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment's catalogue entry, told from all others by its `key`; nothing of it ever changes but its damage.

    `services` counts records, `layout` names the kinds of attribute columns. All commits of its records have positions
    before `position`.
    """

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
    position: int


@dataclass(frozen=True, slots=True)
class SmallSegment:
    """What decides whether a segment is merged with others: the catalogue's rows of many services are large."""

    key: str
    records: int
    raw_bytes: int
    stray: bool


@dataclass(frozen=True, slots=True)
class Packed:
    """What undamaged segments hold together. `services` counts records."""

    segments: int
    records: int
    size_bytes: int
    raw_bytes: int
    min_at: datetime | None
    max_at: datetime | None
    services: dict[str, int]


@dataclass(frozen=True, slots=True)
class NewSegment:
    """An object that holds a segment, not yet in the catalogue."""

    key: str
    stored: Stored
    facts: Facts
    token_filter: bytes


class KeptRows:
    """Rows of the catalogue, each read once: nothing of one ever changes but its damage.

    A row may name thousands of services. When all kept ones together have more names than `most_names`, those go that
    were not asked for last. Not for several threads at once.
    """

    def __init__(self, *, most_names: int = MAX_KEPT_NAMES) -> None:
        self._most_names = most_names
        self._names = 0
        self._kept: dict[str, Segment] = {}

    def between(self, tx: ReadTx, *, since: datetime | None = None, until: datetime | None = None) -> list[Segment]:
        """Segments that may hold event times in [since, until), damaged ones as well."""
        states = select(segments.c.key, segments.c.damaged_at, segments.c.damage)
        asked = {key: (at, damage) for key, at, damage in tx.execute(_inside(states, since, until))}
        read = _by_key(tx, [key for key in asked if key not in self._kept])
        found = [_as_it_is(self._kept.get(key) or read[key], *state) for key, state in asked.items()]
        self._keep(read, asked)
        return found

    def _keep(self, read: Mapping[str, Segment], asked: Container[str]) -> None:
        self._kept |= read
        self._names += sum(map(_names, read.values()))
        if self._names <= self._most_names:
            return
        # Of those that were asked for now the last go first: in turn, each would be gone when it is asked for again.
        others = [key for key in self._kept if key not in asked]
        for key in (*others, *[key for key in reversed(self._kept) if key in asked]):
            self._names -= _names(self._kept.pop(key))
            if self._names <= self._most_names:
                return


def _names(segment: Segment) -> int:
    return 1 + len(segment.services) + len(segment.layout)


def _as_it_is(row: Segment, damaged_at: datetime | None, damage: str | None) -> Segment:
    return row if row.damaged_at == damaged_at else replace(row, damaged_at=damaged_at, damage=damage)


def _by_key(tx: ReadTx, keys: Sequence[str]) -> dict[str, Segment]:
    found: dict[str, Segment] = {}
    for start in range(0, len(keys), _MAX_PARAMETERS):
        some = segments.c.key.in_(keys[start : start + _MAX_PARAMETERS])
        found |= {segment.key: segment for segment in _found(tx, select(segments).where(some))}
    return found


def between(tx: ReadTx, *, since: datetime | None = None, until: datetime | None = None) -> list[Segment]:
    """Undamaged segments that may hold event times in [since, until)."""
    return _found(tx, _inside(select(segments).where(segments.c.damaged_at.is_(None)), since, until))


def damaged(tx: ReadTx, *, since: datetime | None = None, until: datetime | None = None) -> list[Segment]:
    """Segments that were set aside and may hold event times in [since, until)."""
    set_aside = select(segments).where(segments.c.damaged_at.is_not(None)).order_by(segments.c.id)
    return _found(tx, _inside(set_aside, since, until))


def holding(tx: ReadTx, record_id: int) -> list[Segment]:
    """Segments a record may be in, damaged ones as well: id ranges overlap where several processes take logs in."""
    inside = (segments.c.first_id <= record_id) & (segments.c.last_id >= record_id)
    return _found(tx, select(segments).where(inside))


def reaching(tx: ReadTx, first_id: int, last_id: int) -> list[Segment]:
    """Segments that may hold some of these record ids, damaged ones as well."""
    touching = (segments.c.first_id <= last_id) & (segments.c.last_id >= first_id)
    return _found(tx, select(segments).where(touching).order_by(segments.c.first_id))


def smaller_than(tx: ReadTx, records: int) -> list[SmallSegment]:
    """Undamaged segments with fewer records, by event time."""
    columns = (segments.c.key, segments.c.records, segments.c.raw_bytes, segments.c.stray)
    small = select(*columns).where(segments.c.records < records, segments.c.damaged_at.is_(None))
    return [SmallSegment(*row) for row in tx.execute(small.order_by(segments.c.min_at, segments.c.id))]


def with_keys(tx: ReadTx, keys: Sequence[str]) -> list[Segment]:
    """The segments of these keys, in that order; those that are gone are left out."""
    found = _by_key(tx, keys)
    return [found[key] for key in keys if key in found]


def packed(tx: ReadTx) -> Packed:
    """How much undamaged segments hold."""
    sound = segments.c.damaged_at.is_(None)
    sums = [
        func.coalesce(func.sum(column), 0)
        for column in (segments.c.records, segments.c.size_bytes, segments.c.raw_bytes)
    ]
    row = tx.execute(
        select(func.count(), *sums, func.min(segments.c.min_at), func.max(segments.c.max_at)).where(sound)
    ).one()
    services: dict[str, int] = {}
    for counts in tx.execute(select(segments.c.services).where(sound)).scalars():
        for name, count in counts.items():
            services[name] = services.get(name, 0) + count
    return Packed(row[0], int(row[1]), int(row[2]), int(row[3]), row[4], row[5], services)


def ended_before(tx: ReadTx, instant: datetime, *, limit: int, offset: int) -> list[Segment]:
    """Segments whose newest record is older than that, oldest first; damaged ones as well."""
    statement = select(segments).where(segments.c.max_at < instant)
    return _found(tx, statement.order_by(segments.c.max_at, segments.c.id).limit(limit).offset(offset))


def oldest(tx: ReadTx, *, limit: int) -> list[Segment]:
    """The segments whose records are oldest; damaged ones as well."""
    return _found(tx, select(segments).order_by(segments.c.max_at, segments.c.id).limit(limit))


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
        key = tx.execute(insert(segments).values(position=tx.position), row).inserted_primary_key
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


def _inside(statement: Select[Any], since: datetime | None, until: datetime | None) -> Select[Any]:
    if since is not None:
        statement = statement.where(segments.c.max_at >= since)
    return statement if until is None else statement.where(segments.c.min_at < until)


def _found(tx: ReadTx, statement: Any) -> list[Segment]:
    return [Segment(**row._mapping) for row in tx.execute(statement)]
