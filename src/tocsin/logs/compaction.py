"""The loop `compact`: hot chunks become segments, small segments become larger ones, what nobody names is removed.

Records that no segment can be made of stop nothing: they stay hot.

Every step can be cut off at any moment. An object is written whole before one transaction names it and consumes what
it was made of; before that commit it is an orphan that a later turn removes, after it the chunks are what is removed.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate, takewhile
from typing import Final

import polars as pl
import structlog
from polars.exceptions import PanicException

from tocsin.kit.actors import SYSTEM
from tocsin.kit.errors import Conflict, TocsinError
from tocsin.kit.metrics import Metrics
from tocsin.logs import catalogue, store
from tocsin.logs.catalogue import NewSegment, Segment, SmallSegment
from tocsin.logs.chunks import open_blob
from tocsin.logs.frames import OpenedChunk, frame_of
from tocsin.logs.segmentfiles import SegmentFiles
from tocsin.logs.segments import SEGMENT_BYTES, SEGMENT_RECORDS, Built, build
from tocsin.logs.store import HotSize, StoredChunk
from tocsin.storage import leases
from tocsin.storage.database import Database
from tocsin.storage.objects import Objects
from tocsin.storage.tx import Tx

MAX_HOT_CHUNKS: Final = 1024
MAX_HOT_AGE: Final = timedelta(minutes=10)
LEASE: Final = "compact"
LEASE_S: Final = 120.0
# Searches and tails that began before may still look at what was replaced.
KEEP_CONSUMED: Final = timedelta(seconds=2)
KEEP_RETIRED: Final = timedelta(seconds=90)
KEEP_UNNAMED: Final = timedelta(hours=1)
SWEEP_EVERY: Final = timedelta(minutes=10)
_DELETE_CHUNKS: Final = 32  # in one turn of the write lock
_READ_CHUNKS: Final = 64
_MERGE_AT_ONCE: Final = 8
_TIERS: Final = (128, 1_024, 8_192, 32_768)

log = structlog.get_logger("tocsin.compaction")


@dataclass(frozen=True, slots=True)
class Bounds:
    """When hot chunks become segments, how many records those have at most, and how many waiting ones are too many."""

    records: int = SEGMENT_RECORDS
    chunks: int = MAX_HOT_CHUNKS
    age: timedelta = MAX_HOT_AGE
    behind: int = 4 * SEGMENT_RECORDS


def due(hot: Sequence[StoredChunk], now: datetime, bounds: Bounds) -> list[StoredChunk]:
    """Which of the hot chunks (by id) are to become segments now: a segment's worth of records, or so many chunks, or
    all that is there when the oldest of it is too old. Empty when it can wait."""
    records = size_bytes = 0
    batch: list[StoredChunk] = []
    for chunk in hot:
        if batch and (records + chunk.records > bounds.records or size_bytes + chunk.raw_bytes > SEGMENT_BYTES):
            return batch
        records, size_bytes = records + chunk.records, size_bytes + chunk.raw_bytes
        batch.append(chunk)
        if records >= bounds.records or len(batch) >= bounds.chunks:
            return batch
    old = any(chunk.observed_at <= now - bounds.age for chunk in batch)
    return batch if old else []


def worth_a_look(size: HotSize, now: datetime, bounds: Bounds) -> bool:
    """Whether `due` may find something: much cheaper to tell than to list the chunks."""
    old = size.oldest is not None and size.oldest <= now - bounds.age
    large = size.records >= bounds.records or size.raw_bytes >= SEGMENT_BYTES
    return old or large or size.chunks >= bounds.chunks


def to_merge(small: Sequence[SmallSegment], *, most: int = SEGMENT_RECORDS) -> list[SmallSegment]:
    """Which small segments (by event time) are to become one: neighbours of about one size, when there are several.

    Sizes go up by eight, so that a record is rewritten a few times at most. One that is half full stays as it is: so
    any two fit together, and none is in the way of those behind it.
    """
    for stray in (False, True):
        for lower, upper in zip((0, *_TIERS), _TIERS, strict=False):
            alike = [s for s in small if s.stray == stray and lower <= _fill(s) < upper and 2 * s.records <= most]
            fitting = _that_fit(alike, most)
            if len(alike) >= _MERGE_AT_ONCE or len(fitting) < len(alike):
                return fitting
    return []


def _fill(segment: SmallSegment) -> int:
    """How full a segment is, by records or by bytes; a full one has `SEGMENT_RECORDS`."""
    return max(segment.records, segment.raw_bytes * SEGMENT_RECORDS // SEGMENT_BYTES)


def _that_fit(alike: Sequence[SmallSegment], most: int) -> list[SmallSegment]:
    """As many of the first as one segment may hold."""
    records = accumulate(segment.records for segment in alike)
    size_bytes = accumulate(segment.raw_bytes for segment in alike)
    fitting = takewhile(
        lambda sums: sums[0] <= most and sums[1] <= SEGMENT_BYTES, zip(records, size_bytes, strict=True)
    )
    return list(alike[: sum(1 for _ in fitting)])


Count = Callable[[pl.DataFrame], Callable[[Tx], None]]


def count_nothing(_: pl.DataFrame) -> Callable[[Tx], None]:
    """For a compactor whose records nobody counts."""
    return lambda _: None


class Unbuildable(Exception):
    """No segment can be made of these records, now or later."""


@contextmanager
def _building() -> Iterator[None]:
    """What goes wrong in here is the records' fault, unless it comes from the surroundings. Raises Unbuildable."""
    try:
        yield
    except (OSError, MemoryError, TocsinError):
        raise
    except (Exception, PanicException) as error:
        raise Unbuildable(f"{type(error).__name__}: {error}") from error


@dataclass(slots=True)
class Compactor:
    """One worker of the loop. `alone` says that no other process writes objects: what is unnamed is nobody's.

    `count` looks at records once, when they leave the hot chunks; it returns what is to be written with their segments.
    `count_quickly` takes its place while more records wait than `bounds.behind`.
    """

    database: Database
    objects: Objects
    files: SegmentFiles
    metrics: Metrics
    alone: bool
    bounds: Bounds = Bounds()
    lease: str = LEASE
    make: Callable[..., list[Built]] = build
    count: Count = count_nothing
    count_quickly: Count = count_nothing
    _behind: bool = False
    _holder: str = ""
    _swept_at: datetime | None = None
    _left: set[int | str] = field(default_factory=set)  # chunks by first id, segments by key: tried once, to no avail

    def __post_init__(self) -> None:
        self._holder = secrets.token_hex(8)

    def run(self) -> None:
        """Everything that is due now."""
        self._sweep()
        self._delete_consumed()
        self._delete_retired()  # before anything is written, so that a full disk gets room
        while self._compact() or self._merge():
            self._delete_consumed()

    def _compact(self) -> bool:
        now = self.database.clock.now()
        size = self.database.read(store.hot_size)
        if not worth_a_look(size, now, self.bounds):
            return False
        self._behind = size.records > self.bounds.behind
        hot = self.database.read(lambda tx: store.free_chunks(tx, limit=self.bounds.chunks + len(self._left)))
        batch = due([chunk for chunk in hot if chunk.first_id not in self._left], now, self.bounds)
        return bool(batch) and self._is_ours() and self._make_segments(batch)

    def _make_segments(self, batch: Sequence[StoredChunk]) -> bool:
        """Segments of these chunks in their place. A chunk that none can be made of is found by halving, and stays."""
        first_ids = [chunk.first_id for chunk in batch]
        try:
            count = self.count_quickly if self._behind else self.count
            return self._swap(self._rows_of(batch), lambda tx: store.consume(tx, first_ids), count=count)
        except Unbuildable as error:
            if len(batch) == 1:
                self._leave(first_ids, error)
                return True
        except Conflict:
            return False
        middle = len(batch) // 2
        return any([self._make_segments(batch[:middle]), self._make_segments(batch[middle:])])

    def _leave(self, names: Sequence[int | str], error: Unbuildable) -> None:
        """Don't try again: until the next start, which may be of a program that knows how."""
        self._left.update(names)
        self.metrics.uncompactable.inc(len(names))
        log.error("not_compactable", chunks_or_segments=names, error=str(error))

    def _rows_of(self, batch: Sequence[StoredChunk]) -> pl.DataFrame:
        """A few chunks at a time: no reader holds a snapshot for long. Raises Unbuildable."""
        opened: list[OpenedChunk] = []
        for start in range(0, len(batch), _READ_CHUNKS):
            some = batch[start : start + _READ_CHUNKS]
            blobs = self.database.read(lambda tx, some=some: store.blobs(tx, [c.first_id for c in some]))  # type: ignore[misc]
            if len(blobs) < len(some):
                raise Conflict(detail="another worker has compacted these chunks")
            with _building():
                opened += [
                    OpenedChunk(c.first_id, c.observed_at, c.backfill, open_blob(blobs[c.first_id])) for c in some
                ]
        with _building():
            return frame_of(opened)

    def _merge(self) -> bool:
        small = self.database.read(lambda tx: catalogue.smaller_than(tx, _TIERS[-1]))
        worth = to_merge([segment for segment in small if segment.key not in self._left], most=self.bounds.records)
        if not worth or not self._is_ours():
            return False
        chosen = self.database.read(lambda tx: catalogue.with_keys(tx, [segment.key for segment in worth]))
        if len(chosen) < len(worth):
            return True  # retention took one: look again
        frames = [self.files.whole(segment) for segment in chosen]
        sound = [(s, frame) for s, frame in zip(chosen, frames, strict=True) if frame is not None]
        if len(sound) < 2:
            return len(sound) < len(chosen)  # one was set aside: look again
        gone = [segment for segment, _ in sound]
        try:
            return self._swap(pl.concat([frame for _, frame in sound]), lambda tx: catalogue.remove(tx, gone))
        except Unbuildable as error:
            self._leave([segment.key for segment in gone], error)
            return True

    def rewrite(self, segment: Segment, frame: pl.DataFrame, also: Callable[[Tx], None]) -> bool:
        """Put these rows in the place of a segment, and do something else in the same transaction; False when another
        worker was first. Raises Unbuildable."""

        def replace(tx: Tx) -> None:
            catalogue.remove(tx, [segment])
            also(tx)

        return self._swap(frame, replace)

    def _swap(self, frame: pl.DataFrame, consume: Callable[[Tx], None], *, count: Count = count_nothing) -> bool:
        """Write the rows as segments, then name them and consume their sources in one transaction; False when another
        worker was first. Raises Unbuildable."""
        self._swept_at, swept_at = None, self._swept_at  # until this is done, there may be orphans
        with _building():
            new = [self._put(built.facts.first_id, built) for built in self.make(frame, limit=self.bounds.records)]
        write_counts = count(frame)

        def swap(tx: Tx) -> None:
            consume(tx)
            catalogue.add(tx, new)
            write_counts(tx)

        try:
            self.database.write(swap, actor=SYSTEM)
        except Conflict:
            self._discard(new)
            return False
        # After any other error nobody knows whether the commit was made: the next sweep finds out.
        self._swept_at = swept_at
        self.files.trust(new)
        self.metrics.compacted.inc(len(frame))
        return True

    def _put(self, first_id: int, built: Built) -> NewSegment:
        month = built.facts.max_at.strftime("%Y-%m")
        key = f"{month}/{first_id:016d}-{secrets.token_hex(4)}.parquet"
        return NewSegment(key, self.objects.put(key, built.write), built.facts, built.token_filter)

    def _discard(self, new: Iterable[NewSegment]) -> None:
        for one in new:
            self.objects.delete(one.key)

    def _is_ours(self) -> bool:
        """Whether this worker is the one that compacts now; another one takes over when it dies."""
        return self.database.write(lambda tx: leases.take(tx, self.lease, self._holder, for_s=LEASE_S), actor=SYSTEM)

    def _delete_consumed(self) -> None:
        before = self.database.clock.now() - KEEP_CONSUMED
        while self.database.read(lambda tx: store.any_consumed(tx, before)):
            self.database.write(lambda tx: store.delete_consumed(tx, before, limit=_DELETE_CHUNKS), actor=SYSTEM)

    def _delete_retired(self) -> None:
        before = self.database.clock.now() - KEEP_RETIRED
        while keys := self.database.read(lambda tx: catalogue.retired_before(tx, before, limit=100)):
            for key in keys:
                self.objects.delete(key)
            self.database.write(lambda tx, keys=keys: catalogue.forget_retired(tx, keys), actor=SYSTEM)  # type: ignore[misc]

    def _sweep(self) -> None:
        """Remove objects that no row names, and take back segments that someone has mended; now and then."""
        now = self.database.clock.now()
        if self._swept_at is not None and now - self._swept_at < SWEEP_EVERY:
            return
        # What is written after this look has an object younger than the look, or is ours and not begun.
        named = self.database.read(catalogue.known_keys)
        for found in list(self.objects.keys()):
            if found.key not in named and (self.alone or found.modified_at < now - KEEP_UNNAMED):
                log.info("orphan_removed", key=found.key, bytes=found.size_bytes)
                self.objects.delete(found.key)
        self.files.take_back()
        self._swept_at = now
