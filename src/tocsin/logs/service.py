"""Use cases of stage 1 that read: one record, pages of records, the lines around one, counts, what is stored."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from tocsin.kit.clock import Clock, to_us
from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import NotFound, Unavailable, Unreadable
from tocsin.logs import catalogue, histogram, seenfields, store, top
from tocsin.logs.budget import MAX_SEARCH_S, Budget
from tocsin.logs.chunks import open_blob, record_at
from tocsin.logs.fields import LOGS
from tocsin.logs.frames import OpenedChunk, empty, frame_of, records_of
from tocsin.logs.histogram import Histogram
from tocsin.logs.hot import HotTail, in_groups
from tocsin.logs.levels import Level
from tocsin.logs.parts import Parts, Scanned, Sought, collected
from tocsin.logs.record import Record
from tocsin.logs.search import MAX_ID, MAX_PAGE_BYTES, Found, Key, again_if_vanished, find
from tocsin.logs.seenfields import Fields
from tocsin.logs.segmentfiles import SegmentFiles, Vanished
from tocsin.logs.shapes import type_of, whole
from tocsin.logs.top import Top
from tocsin.query.expressions import Layout
from tocsin.query.parse import parse
from tocsin.query.tree import And, Everything, Named, Node, Phrase
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx

_CURSOR: Final = "logs"
AT_ONCE: Final = 4  # searches; each may need some ten MB
EXPORTS_AT_ONCE: Final = 2  # of them
_EXPORT_WAIT_S: Final = 0.1
_TURN_WAIT_S: Final = 1.0  # of the few exports whose turn it is
_ARRIVED_RECORDS: Final = 16_384  # of hot chunks that are read together
_ARRIVED_BYTES: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which records: `q` in the filter language; `level` and above, one `service`, event time in [since, until), `text`
    anywhere in the message, in any case.

    The page ends after `limit` records, or before it would hold more than `MAX_PAGE_BYTES` (but not before its first
    record); `cursor` continues one.
    """

    q: str | None = None
    level: Level | None = None
    service: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    limit: int = 100
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class LogPage:
    """Records, newest first by (timestamp, id). `next` continues; None at the end.

    `partial`: the search ended before everything was looked at; what it did not see is older, and `next` goes on there.
    """

    items: list[Record]
    next: str | None
    partial: bool
    scanned: Scanned


@dataclass(frozen=True, slots=True)
class Context:
    """The records around one, of its service, all newest first. `partial`: there may be nearer ones; `scanned.damaged`
    segments may hold some between the first and the last of these."""

    after: list[Record]
    record: Record
    before: list[Record]
    partial: bool
    scanned: Scanned


@dataclass(frozen=True, slots=True)
class Arrived:
    """Some stored records: a frame that is still to be read, and which attributes have columns in it."""

    frame: pl.LazyFrame
    layout: Layout

    def read(self, *wanted: pl.Expr | str) -> pl.DataFrame:
        """Some columns of all of them, in one order every time. Raises Vanished."""
        return collected(self.frame.select(*wanted))

    def records(self, which: pl.Expr) -> list[Record]:
        """Those of which `which` is true, by id. Raises Vanished."""
        return records_of(whole(collected(self.frame.filter(which).sort("id"))))


@dataclass(frozen=True, slots=True)
class Stats:
    """What is stored. Bytes of segments are those of their files; `raw_bytes` is what their records hold, uncompressed.
    `services` counts the records in segments."""

    hot_records: int
    hot_chunks: int
    hot_bytes: int
    segments: int
    records: int
    size_bytes: int
    filter_bytes: int
    raw_bytes: int
    oldest: datetime | None
    newest: datetime | None
    services: dict[str, int]
    damaged: list[catalogue.Segment]


class LogReader:
    """Everything that looks at stored records. A search that takes longer than `search_s` answers with what it has."""

    def __init__(
        self, database: Database, files: SegmentFiles, clock: Clock, *, search_s: float = MAX_SEARCH_S
    ) -> None:
        self._database = database
        self._files = files
        self._clock = clock
        self._search_s = search_s
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._export_turns = threading.BoundedSemaphore(EXPORTS_AT_ONCE)
        self._replay_turn = threading.BoundedSemaphore(1)
        self.parts = Parts(database, files, HotTail(database))

    def budget(self) -> Budget:
        """A fresh budget for one request."""
        return Budget(self._search_s)

    def sought(self, query: LogQuery) -> Sought:
        """What a query is looking for. Raises QueryError for a `q` that can't be read."""
        node: Node = parse(query.q, LOGS, now=self._clock.now()) if query.q else Everything()
        if query.text:
            phrase = Phrase(Named("message"), query.text)
            node = phrase if isinstance(node, Everything) else And((node, phrase))
        return Sought(node, query.level, query.service, query.since, query.until)

    def get(self, record_id: int) -> Record:
        """One record. Raises NotFound; Unreadable when it may be in a segment that is damaged."""
        found = again_if_vanished(lambda: self._get(record_id)) if 0 < record_id < MAX_ID else None
        if found is None:
            raise NotFound(what="log record", id=record_id)
        return found

    def _get(self, record_id: int) -> Record | None:
        def look(tx: ReadTx) -> Record | list[catalogue.Segment]:
            chunk = store.hot_chunk_of(tx, record_id)
            if chunk is None:
                return catalogue.holding(tx, record_id)
            row, columns = record_id - chunk.first_id, store.load(tx, chunk)
            return record_at(
                columns, row, first_id=chunk.first_id, observed_at=chunk.observed_at, backfill=chunk.backfill
            )

        found = self._database.read(look)
        if isinstance(found, Record):
            return found
        damaged: list[str] = []
        for segment in found:
            rows = None if segment.damaged_at else self._files.rows(segment, pl.col("id") == record_id)
            if rows is None:
                damaged.append(segment.key)
            elif len(rows):
                return records_of(rows)[0]
        if damaged:
            raise Unreadable(what="log record", id=record_id, place=f"segment {damaged[0]}")
        return None

    def arrived(self, first_id: int, last_id: int) -> Iterator[Arrived]:
        """The stored records with ids from `first_id` to `last_id`, part by part, each once; those in damaged segments
        are left out. Take each before the next. Raises Vanished, also when a part is read."""
        inside = pl.col("id").is_between(first_id, last_id)
        hot, cold = self._database.read(
            lambda tx: (store.hot_reaching(tx, first_id, last_id), catalogue.reaching(tx, first_id, last_id))
        )
        for group in in_groups(hot, records=_ARRIVED_RECORDS, size_bytes=_ARRIVED_BYTES):
            yield Arrived(self._frame_of(group).lazy().filter(inside), Layout({}, has_raw=True))
        for segment in cold:
            if segment.damaged_at is None and self._files.sound([segment]):
                layout = Layout({path: type_of(kind) for path, kind in segment.layout.items()}, segment.raw_rows > 0)
                yield Arrived(pl.scan_parquet(self._files.source(segment), glob=False).filter(inside), layout)

    def _frame_of(self, group: Sequence[store.StoredChunk]) -> pl.DataFrame:
        blobs = self._database.read(lambda tx: store.blobs(tx, [chunk.first_id for chunk in group]))
        if len(blobs) < len(group):
            raise Vanished
        return frame_of(
            [OpenedChunk(c.first_id, c.observed_at, c.backfill, open_blob(blobs[c.first_id])) for c in group]
        )

    def search(self, query: LogQuery, *, budget: Budget | None = None, max_bytes: int = MAX_PAGE_BYTES) -> LogPage:
        """The newest matching records."""
        with self._turn(budget or self.budget()) as within:
            after, sought = _after(query.cursor), self.sought(query)
            found = find(self.parts, sought, limit=query.limit, budget=within, after=after, max_bytes=max_bytes)
        return LogPage(records_of(found.rows), _next(found), found.partial, found.scanned)

    def context(
        self, record_id: int, *, before: int, after: int, query: LogQuery, budget: Budget | None = None
    ) -> Context:
        """The `before` older and `after` newer records of the same service around one; `query` narrows them. Raises
        as `get` does."""
        record = self.get(record_id)
        sought = replace(self.sought(query), service=record.service)
        with self._turn(budget or self.budget()) as within:
            older = self._beside(record, sought, limit=before, budget=within, newest_first=True)
            newer = self._beside(record, sought, limit=after, budget=within, newest_first=False)
            first, last = _reach(older, record), _reach(newer, record)
            shown = replace(
                sought,
                since=first or sought.since,
                until=sought.until if last is None else last + timedelta(microseconds=1),
            )
            damaged = self.parts.damaged(shown)
        return Context(
            after=records_of(newer.rows)[::-1],
            record=record,
            before=records_of(older.rows),
            partial=older.partial or newer.partial,
            scanned=Scanned(
                records=older.scanned.records + newer.scanned.records,
                parts=older.scanned.parts + newer.scanned.parts,
                pruned=older.scanned.pruned + newer.scanned.pruned,
                damaged=damaged,  # not a sum: one may reach to both sides
            ),
        )

    def _beside(self, record: Record, sought: Sought, *, limit: int, budget: Budget, newest_first: bool) -> Found:
        if not limit:
            return Found(empty(), more=True)
        key = (to_us(record.timestamp), record.id)
        return find(self.parts, sought, limit=limit, budget=budget, after=key, newest_first=newest_first)

    def histogram(
        self, query: LogQuery, *, interval: timedelta | None, by: Sequence[str], budget: Budget | None = None
    ) -> Histogram:
        """See `histogram.histogram`."""
        with self._turn(budget or self.budget()) as within:
            now = self._clock.now()
            return histogram.histogram(self.parts, self.sought(query), interval=interval, by=by, budget=within, now=now)

    def count(self, node: Node, since: datetime, until: datetime) -> tuple[int, bool]:
        """How many records of event times in [since, until) a tree is true of; at least so many, if the second value
        says that it was looked for too long."""
        sought = Sought(node, since=since, until=until)
        with self._turn(self.budget()) as within:
            width, now = max(until - since, timedelta(seconds=1)), self._clock.now()
            found = histogram.histogram(self.parts, sought, interval=width, by=(), budget=within, now=now)
        return found.total, found.partial

    def top(self, query: LogQuery, *, field_name: str, budget: Budget | None = None) -> Top:
        """See `top.top`."""
        with self._turn(budget or self.budget()) as within:
            return top.top(self.parts, self.sought(query), field_name=field_name, limit=query.limit, budget=within)

    def fields(self, query: LogQuery, *, budget: Budget | None = None) -> Fields:
        """See `seenfields.fields`."""
        with self._turn(budget or self.budget()) as within:
            return seenfields.fields(self.parts, self.sought(query), budget=within)

    def pages(self, query: LogQuery, *, rows: int, budget: Budget) -> Iterator[pl.DataFrame]:
        """All matching records, newest first, in frames of at most `rows`: for exports of any size.

        Each frame is looked for by itself, for as long as a search may take, from where the one before ended; so
        nothing is held between two of them. One is empty when nothing was found in that time, or when others were
        searching. `budget` tells when the receiver has left.
        """
        sought, after = self.sought(query), _after(query.cursor)
        patience_s = self._search_s
        while not budget.over:
            try:
                with self._export_turn():
                    found = find(self.parts, sought, limit=rows, budget=budget.share(patience_s), after=after)
            except _Busy:
                yield empty()
                continue
            yield found.rows
            if not found.more and not found.partial:
                return
            before, after = after, _reached(found, after)
            patience_s = patience_s * 2 if after == before else self._search_s  # or it would never get beyond this

    @contextmanager
    def replaying(self, budget: Budget) -> Iterator[Parts]:
        """The parts of the stock for one that reads much of it: a single one at a time, as it fills a machine."""
        with self._held(self._replay_turn, wait_s=_TURN_WAIT_S), self._turn(budget):
            yield self.parts

    def stats(self) -> Stats:
        """How much is stored, and how well it is packed."""

        def look(tx: ReadTx) -> Stats:
            hot = store.hot_chunks(tx)
            cold = catalogue.packed(tx)
            firsts = [*(chunk.min_at for chunk in hot), *([] if cold.min_at is None else [cold.min_at])]
            lasts = [*(chunk.max_at for chunk in hot), *([] if cold.max_at is None else [cold.max_at])]
            return Stats(
                hot_records=sum(chunk.records for chunk in hot),
                hot_chunks=len(hot),
                hot_bytes=store.hot_bytes(tx),
                segments=cold.segments,
                records=cold.records,
                size_bytes=cold.size_bytes,
                filter_bytes=catalogue.filter_bytes(tx),
                raw_bytes=cold.raw_bytes,
                oldest=min(firsts, default=None),
                newest=max(lasts, default=None),
                services=dict(sorted(cold.services.items())),
                damaged=catalogue.damaged(tx),
            )

        return self._database.read(look)

    @contextmanager
    def _turn(self, budget: Budget) -> Iterator[Budget]:
        """A few searches at a time: more would only make each other slow, and need memory."""
        with self._held(self._turns, wait_s=min(budget.remaining_s, threading.TIMEOUT_MAX)):
            yield budget

    @contextmanager
    def _export_turn(self) -> Iterator[None]:
        """As `_turn`, but some are left to searches; what isn't free soon is asked for again later, as few threads may
        wait."""
        with self._held(self._export_turns, wait_s=_EXPORT_WAIT_S), self._held(self._turns, wait_s=_TURN_WAIT_S):
            yield

    @contextmanager
    def _held(self, turns: threading.Semaphore, *, wait_s: float) -> Iterator[None]:
        if not turns.acquire(timeout=wait_s):
            raise _Busy(detail=f"{AT_ONCE} searches are running already; try again.")
        try:
            yield
        except Vanished as error:
            raise Unavailable(detail="The stored logs were reorganised faster than they could be read.") from error
        finally:
            turns.release()


class _Busy(Unavailable):
    """{detail}"""


def _reach(found: Found, record: Record) -> datetime | None:
    """The event time up to which all neighbours of a record were found; None: all that are sought."""
    if found.partial or not found.more:
        return None
    return found.rows.item(-1, "timestamp") if len(found.rows) else record.timestamp


def _after(cursor: str | None) -> Key | None:
    if cursor is None:
        return None
    timestamp, record_id = decode_cursor(cursor, _CURSOR, int, int)
    return int(timestamp), int(record_id)


def _key(rows: pl.DataFrame, row: int) -> Key:
    return to_us(rows.item(row, "timestamp")), rows.item(row, "id")


def _reached(found: Found, after: Key | None) -> Key | None:
    """Behind which record the next page begins."""
    if found.more and len(found.rows):
        return _key(found.rows, len(found.rows) - 1)
    return after if found.frontier is None else (found.frontier, MAX_ID)


def _next(found: Found) -> str | None:
    if found.more and len(found.rows):
        return encode_cursor(_CURSOR, *_key(found.rows, len(found.rows) - 1))
    return None if found.frontier is None else encode_cursor(_CURSOR, found.frontier, MAX_ID)
