"""What is sent in parts: the live tail as server-sent events, and exports of any size."""

import asyncio
import contextlib
import csv
import io
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import Final

import msgspec

from tocsin.kit.clock import iso
from tocsin.kit.errors import Unavailable
from tocsin.logs.budget import Budget
from tocsin.logs.frames import records_of
from tocsin.logs.live import MAX_READERS, LiveTail, Reader
from tocsin.logs.parts import Sought
from tocsin.logs.record import Record
from tocsin.logs.service import LogQuery, LogReader

KEEP_ALIVE_S: Final = 15.0
EXPORT_ROWS: Final = 16_384
_ENCODER: Final = msgspec.json.Encoder()
CSV_COLUMNS: Final = (
    "id", "timestamp", "observed_at", "level", "severity_number", "service", "message", "attributes", "trace_id",
    "span_id", "source",
)  # fmt: skip


class EventStream:
    """A live tail as server-sent events: `log` with a record, `missed` with how many a slow reader did not get.

    A comment every 15 s keeps proxies from closing a quiet stream.
    """

    def __init__(self, tail: LiveTail, sought: Sought, loop: asyncio.AbstractEventLoop) -> None:
        self._tail = tail
        self._news = asyncio.Event()
        self._reader = Reader(sought, lambda: _call(loop, self._news.set))

    @classmethod
    def opened(cls, tail: LiveTail, sought: Sought, loop: asyncio.AbstractEventLoop) -> "EventStream":
        """A stream that hears of every commit from now on. Raises Unavailable when too many are open."""
        stream = cls(tail, sought, loop)
        if not tail.join(stream._reader):
            raise Unavailable(detail=f"{MAX_READERS} live tails are open already; close one.")
        return stream

    async def parts(self) -> AsyncIterator[bytes]:
        try:
            yield b"retry: 2000\n: the live tail has begun\n\n"
            while not self._tail.closed:
                try:
                    await asyncio.wait_for(self._news.wait(), KEEP_ALIVE_S)
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                self._news.clear()
                lines = self._reader.take()
                if lines.missed:
                    yield b'event: missed\ndata: {"missed": %d}\n\n' % lines.missed
                for record in lines.records:
                    yield b"event: log\nid: %d\ndata: %b\n\n" % (record.id, _ENCODER.encode(record))
        finally:
            self._tail.leave(self._reader)


def exported(reader: LogReader, query: LogQuery, budget: Budget, *, form: str, limit: int | None) -> Iterator[bytes]:
    """All matching records, newest first, as `ndjson` lines like those of the API or as `csv` with a header.

    Looks for some thousand records at a time, when the receiver has taken those before: memory does not grow with the
    size of the export.
    """
    left = limit
    if form == "csv":
        yield ",".join(CSV_COLUMNS).encode() + b"\r\n"
    try:
        for frame in reader.pages(query, rows=EXPORT_ROWS, budget=budget):
            records = records_of(frame if left is None else frame.head(left))
            yield _csv(records) if form == "csv" else b"".join([_ENCODER.encode(record) + b"\n" for record in records])
            if left is not None:
                left -= len(records)
                if left <= 0:
                    return
    finally:
        budget.cancel()


def _csv(records: list[Record]) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text)
    for record in records:
        rows.writerow(
            iso(value) if isinstance(value, datetime) else bytes(value).decode() if name == "attributes" else value
            for name, value in ((name, getattr(record, name)) for name in CSV_COLUMNS)
        )
    return text.getvalue().encode()


def _call(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and the reader with it
        loop.call_soon_threadsafe(what)
