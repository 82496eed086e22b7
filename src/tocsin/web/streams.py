"""What is sent in parts: the live tail as server-sent events, and exports of any size."""

import asyncio
import contextlib
import csv
import io
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec
import polars as pl
from fastapi import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from tocsin.kit.clock import iso
from tocsin.kit.errors import Unavailable
from tocsin.logs.budget import Budget
from tocsin.logs.frames import records_of
from tocsin.logs.live import MAX_READERS, LiveTail
from tocsin.logs.parts import Sought
from tocsin.logs.record import Record
from tocsin.logs.service import LogQuery, LogReader
from tocsin.logs.tailreader import Lines, Reader
from tocsin.web.searching import searched

KEEP_ALIVE_S: Final = 15.0
RECONNECT_MS: Final = 2_000
RECONNECT_ENDED_MS: Final = 60_000  # a browser comes back by itself, though nothing would be better than before
EXPORT_ROWS: Final = 16_384
EXPORT_PAUSE_S: Final = 0.05
_ENCODER: Final = msgspec.json.Encoder()
CSV_COLUMNS: Final = (
    "id", "timestamp", "observed_at", "level", "severity_number", "service", "message", "attributes", "trace_id",
    "span_id", "source", "skewed", "backfill",
)  # fmt: skip
# What a spreadsheet may take for a formula (OWASP, "CSV injection"); a text that begins with apostrophes before that
# gets one more, so that taking one off always gives the text back. A number is none.
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r\n]")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


class EventStream:
    """A live tail as server-sent events: `log` with a record, `missed` with how many the reader did not get, `error`
    when nothing more will come.

    Ids are places to go on from (see `LiveTail.join`). A comment every 15 s keeps proxies from closing a quiet stream;
    its id moves the place on.
    """

    def __init__(self, tail: LiveTail, sought: Sought, loop: asyncio.AbstractEventLoop) -> None:
        self._tail = tail
        self._news = asyncio.Event()
        self._reader = Reader(sought, lambda: _call(loop, self._news.set))

    @classmethod
    def opened(
        cls, tail: LiveTail, sought: Sought, loop: asyncio.AbstractEventLoop, *, last_seen: str | None
    ) -> "EventStream":
        """A stream that hears of every commit from now on, or since `last_seen`. Raises Unavailable when too many are
        open."""
        stream = cls(tail, sought, loop)
        if not tail.join(stream._reader, last_seen):
            raise Unavailable(detail=f"{MAX_READERS} live tails are open already; close one.")
        return stream

    def close(self) -> None:
        """Nobody listens any more."""
        self._tail.leave(self._reader)

    async def parts(self) -> AsyncIterator[bytes]:
        yield b"retry: %d\nid: %b\n: the live tail has begun\n\n" % (RECONNECT_MS, str(self._reader.place).encode())
        ended = False
        while not ended:
            if not self._tail.closed:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), KEEP_ALIVE_S)
            self._news.clear()
            ended = self._tail.closed
            lines = self._reader.take()
            if not _says_something(lines):
                yield b"id: %b\n: still here\n\n" % str(lines.place).encode()
            while _says_something(lines):
                yield b"".join(_events(lines))
                if lines.ended is not None:
                    return
                lines = self._reader.take()


class TailResponse(StreamingResponse):
    """The events of a stream; however the response ends, even before its first part, the stream is closed."""

    def __init__(self, events: EventStream) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(events.parts(), media_type="text/event-stream", headers=headers)
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._events.close()


def _says_something(lines: Lines) -> bool:
    return bool(lines.lines) or lines.missed != 0 or lines.ended is not None


def _events(lines: Lines) -> Iterator[bytes]:
    if lines.missed != 0:
        yield _event("missed", {"missed": lines.missed, "exact": lines.exact})
    for line in lines.lines:
        yield b"event: log\nid: %b\ndata: %b\n\n" % (str(line.place).encode(), line.json)
    if lines.ended is not None:
        yield b"retry: %d\n" % RECONNECT_ENDED_MS + _event("error", {"detail": lines.ended})


def _event(kind: str, data: dict[str, object]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), _ENCODER.encode(data))


async def exported(
    request: Request, reader: LogReader, query: LogQuery, *, form: str, limit: int | None, rows: int = EXPORT_ROWS
) -> AsyncIterator[bytes]:
    """All matching records, newest first, as `ndjson` lines like those of the API or as `csv` with a header.

    Looks for some thousand records at a time, when the receiver has taken those before: memory does not grow with the
    size of the export. Ends when the receiver has left.
    """
    budget = Budget(float("inf"))  # as long as somebody takes it
    parts = _encoded(reader.pages(query, rows=rows, budget=budget), form=form, limit=limit)
    if form == "csv":
        yield ",".join(CSV_COLUMNS).encode() + b"\r\n"
    while (part := await searched(request, budget, lambda: next(parts, None))) is not None:
        if part:
            yield part
        else:
            await asyncio.sleep(EXPORT_PAUSE_S)  # let others have their turn
        if await request.is_disconnected():
            return


def _encoded(pages: Iterator[pl.DataFrame], *, form: str, limit: int | None) -> Iterator[bytes]:
    encode = _csv if form == "csv" else _ndjson
    left = limit
    for frame in pages:
        records = records_of(frame if left is None else frame.head(left))
        yield encode(records)
        if left is not None:
            left -= len(records)
            if left <= 0:
                return


def _ndjson(records: Sequence[Record]) -> bytes:
    return b"".join([_ENCODER.encode(record) + b"\n" for record in records])


def _csv(records: Sequence[Record]) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text)
    for record in records:
        rows.writerow(_cell(name, getattr(record, name)) for name in CSV_COLUMNS)
    return text.getvalue().encode()


def _cell(name: str, value: object) -> object:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if name == "attributes":
        return bytes(value).decode()  # type: ignore[call-overload]  # msgspec.Raw
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return "'" + value
    return value


def _call(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and the reader with it
        loop.call_soon_threadsafe(what)
