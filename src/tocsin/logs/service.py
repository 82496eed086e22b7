"""Use cases of stage 1 that read: one record, pages of records, ranges for the stages that follow."""

import heapq
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from tocsin.kit.clock import from_us, to_us
from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import NotFound
from tocsin.logs import store
from tocsin.logs.chunks import record_at
from tocsin.logs.levels import Level
from tocsin.logs.record import Columns, Record, bits_at_least
from tocsin.logs.store import StoredChunk
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx

_CURSOR: Final = "logs"
MAX_SEARCH_S: Final = 5.0
MAX_PAGE_BYTES: Final = 8 << 20  # of messages and attributes
_MAX_ID: Final = 2**53


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which records: `level` and above, one `service`, event time in [since, until), `text` anywhere in the message.

    `text` is compared case-folded. The page ends after `limit` records, or before it would hold more than
    `MAX_PAGE_BYTES` (but not before its first record); `cursor` continues one.
    """

    level: Level | None = None
    service: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    limit: int = 100
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class LogPage:
    """Records, newest first by (timestamp, id). `next` continues; None at the end."""

    items: list[Record]
    next: str | None


def get(database: Database, record_id: int) -> Record:
    """One record. Raises NotFound."""

    def look(tx: ReadTx) -> Record:
        chunk = store.chunk_of(tx, record_id) if 0 < record_id < _MAX_ID else None
        if chunk is None:
            raise NotFound(what="log record", id=record_id)
        return _record(store.load(tx, chunk), record_id - chunk.first_id, chunk)

    return database.read(look)


def search(
    database: Database, query: LogQuery, *, max_s: float = MAX_SEARCH_S, max_bytes: int = MAX_PAGE_BYTES
) -> LogPage:
    """The newest matching records. A search that runs longer than `max_s` returns what it has, and where to go on.

    Walks chunks by their latest event time, so that late and out-of-order records stand where they belong. Each
    chunk is read on a snapshot of its own.
    """
    below = _below(query.cursor)
    if below is not None:
        newest = from_us(below[0] + 1)
        query = replace(query, until=min(query.until or newest, newest))
    found: list[Record] = []  # the page, and one more when there is more
    length = 0
    deadline = time.monotonic() + max_s
    start: int | None = None
    for chunk in _candidates(database, query):
        # A wide chunk may reach above the cursor: the page must not go back there, nor end where it began.
        frontier = to_us(chunk.max_at) if below is None else min(to_us(chunk.max_at), below[0])
        start = frontier if start is None else start
        if len(found) > length and _key(found[length - 1])[0] > frontier:
            break
        if frontier < start and time.monotonic() > deadline:
            return _partial(found, length, frontier)
        columns = database.read(lambda tx, chunk=chunk: store.load(tx, chunk))  # type: ignore[misc]
        full = _key(found[-1]) if len(found) > length else None  # nothing as old as that comes on the page any more
        keys = ((to_us(columns.timestamps[row]), chunk.first_id + row) for row in _matching(columns, query))
        fitting = [key for key in keys if (below is None or key < below) and (full is None or key > full)]
        if not fitting:
            continue
        # Records, not rows of the columns: a page must not keep the chunks in memory that it was found in.
        newest_first = heapq.nlargest(query.limit + 1, fitting)
        found += [_record(columns, key[1] - chunk.first_id, chunk) for key in newest_first]
        found.sort(key=_key, reverse=True)
        length = _page_length(found, query.limit, max_bytes)
        del found[length + 1 :]
    more = len(found) > length
    page = found[:length]
    return LogPage(page, encode_cursor(_CURSOR, *_key(page[-1])) if more else None)


def _key(record: Record) -> tuple[int, int]:
    return to_us(record.timestamp), record.id


def _page_length(found: list[Record], limit: int, max_bytes: int) -> int:
    """How many of these make a page: at least one, if there is one."""
    size = 0
    for place, record in enumerate(found[:limit]):
        text = record.message
        size += (len(text) if text.isascii() else len(text.encode())) + len(memoryview(record.attributes))
        if size > max_bytes and place:
            return place
    return min(len(found), limit)


def _partial(found: list[Record], length: int, frontier: int) -> LogPage:
    """Everything newer than the frontier is known; the next page starts there, or where this one is full."""
    known = [record for record in found if _key(record)[0] > frontier]
    page = known[:length]
    cursor = _key(page[-1]) if len(known) > length else (frontier, _MAX_ID)
    return LogPage(page, encode_cursor(_CURSOR, *cursor))


def _below(cursor: str | None) -> tuple[int, int] | None:
    if cursor is None:
        return None
    timestamp, record_id = decode_cursor(cursor, _CURSOR, int, int)
    return int(timestamp), int(record_id)


def _candidates(database: Database, query: LogQuery) -> Iterator[StoredChunk]:
    wanted = None if query.level is None else bits_at_least(query.level)
    after: tuple[datetime, int] | None = None
    while True:
        page = database.read(
            lambda tx, after=after: store.chunks_newest_first(  # type: ignore[misc]
                tx, since=query.since, until=query.until, after=after
            )
        )
        for chunk in page:
            if wanted is not None and not chunk.levels & wanted:
                continue
            if query.service and chunk.services is not None and query.service not in chunk.services.split("\n"):
                continue
            yield chunk
        if len(page) < store.PAGE_OF_CHUNKS:
            return
        after = (page[-1].max_at, page[-1].first_id)


def _matching(columns: Columns, query: LogQuery) -> list[int]:
    rows = list(range(len(columns)))
    if query.level is not None:
        rows = [row for row in rows if columns.levels[row] >= query.level]
    if query.service is not None:
        rows = [row for row in rows if columns.services[row] == query.service]
    if query.since is not None:
        rows = [row for row in rows if columns.timestamps[row] >= query.since]
    if query.until is not None:
        rows = [row for row in rows if columns.timestamps[row] < query.until]
    if query.text:
        needle = query.text.casefold()
        rows = [row for row in rows if needle in columns.messages[row].casefold()]
    return rows


def _record(columns: Columns, row: int, chunk: StoredChunk) -> Record:
    return record_at(columns, row, first_id=chunk.first_id, observed_at=chunk.observed_at, backfill=chunk.backfill)
