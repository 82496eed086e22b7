"""Use cases of stage 1 that read: one record, pages of records, ranges for the stages that follow."""

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
_MAX_ID: Final = 2**53


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which records: `level` and above, one `service`, event time in [since, until), `text` anywhere in the message.

    `text` is compared case-folded. The page ends after `limit` records; `cursor` continues one.
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


def search(database: Database, query: LogQuery, *, max_s: float = MAX_SEARCH_S) -> LogPage:
    """The newest matching records. A search that runs longer than `max_s` returns what it has, and where to go on.

    Walks chunks by their latest event time, so that late and out-of-order records stand where they belong. Each
    chunk is read on a snapshot of its own.
    """
    below = _below(query.cursor)
    if below is not None:
        newest = from_us(below[0] + 1)
        query = replace(query, until=min(query.until or newest, newest))
    found: list[tuple[int, int]] = []
    rows: dict[tuple[int, int], tuple[Columns, StoredChunk]] = {}
    deadline = time.monotonic() + max_s
    start: int | None = None
    for chunk in _candidates(database, query):
        # A wide chunk may reach above the cursor: the page must not go back there, nor end where it began.
        frontier = to_us(chunk.max_at) if below is None else min(to_us(chunk.max_at), below[0])
        start = frontier if start is None else start
        if len(found) > query.limit and found[query.limit - 1][0] > frontier:
            break
        if frontier < start and time.monotonic() > deadline:
            return _partial(found, rows, frontier, query)
        columns = database.read(lambda tx, chunk=chunk: store.load(tx, chunk))  # type: ignore[misc]
        for row in _matching(columns, query):
            key = (to_us(columns.timestamps[row]), chunk.first_id + row)
            if below is None or key < below:
                found.append(key)
                rows[key] = (columns, chunk)
        found.sort(reverse=True)
        for key in found[query.limit + 1 :]:
            del rows[key]
        del found[query.limit + 1 :]
    more = len(found) > query.limit
    page = found[: query.limit]
    return LogPage(_records(page, rows), encode_cursor(_CURSOR, *page[-1]) if more else None)


def _partial(
    found: list[tuple[int, int]],
    rows: dict[tuple[int, int], tuple[Columns, StoredChunk]],
    frontier: int,
    query: LogQuery,
) -> LogPage:
    """Everything newer than the frontier is known; the next page starts there."""
    page = [key for key in found if key[0] > frontier][: query.limit]
    cursor = page[-1] if len(page) == query.limit else (frontier, _MAX_ID)
    return LogPage(_records(page, rows), encode_cursor(_CURSOR, *cursor))


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


def _records(page: list[tuple[int, int]], rows: dict[tuple[int, int], tuple[Columns, StoredChunk]]) -> list[Record]:
    return [_record(rows[key][0], key[1] - rows[key][1].first_id, rows[key][1]) for key in page]


def _record(columns: Columns, row: int, chunk: StoredChunk) -> Record:
    return record_at(columns, row, first_id=chunk.first_id, observed_at=chunk.observed_at, backfill=chunk.backfill)
