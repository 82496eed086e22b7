"""The limit we compare with: an ASGI handler that only decodes, compresses and commits in groups, then answers.

`uvicorn --app-dir benchmarks bare:app` with BARE_DATA_DIR set. POST /logs decodes JSON lines (or one object) into
typed structs of our own shape; POST /any decodes them as they come; POST /null does nothing but read and answer.
"""

import asyncio
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import zstandard

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Own(msgspec.Struct, gc=False):
    """A record of our own shape, with the types that our own decoder asks for."""

    message: str
    level: str = "INFO"
    service: str = "unknown"
    timestamp: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    attributes: msgspec.Raw = msgspec.Raw(b"{}")
    trace_id: str | None = None
    span_id: str | None = None
    source: str | None = None


DECODERS = {"/logs": msgspec.json.Decoder(Own), "/any": msgspec.json.Decoder()}


class Committer:
    """One thread: everything that waits goes into one blob and one transaction with an fsync."""

    def __init__(self, folder: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[tuple[bytes, asyncio.Future[int]]] = deque()
        self._changed = threading.Condition()
        self._open = True
        self._database = sqlite3.connect(folder / "bare.db", check_same_thread=False, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=4000"):
            self._database.execute(f"PRAGMA {pragma}").close()
        self._database.execute("CREATE TABLE IF NOT EXISTS blobs (id INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def submit(self, body: bytes) -> "asyncio.Future[int]":
        done = self._loop.create_future()
        with self._changed:
            self._waiting.append((body, done))
            self._changed.notify()
        return done

    def close(self) -> None:
        with self._changed:
            self._open = False
            self._changed.notify()
        self._thread.join()
        self._database.close()

    def _run(self) -> None:
        compressor = zstandard.ZstdCompressor(level=1)
        while True:
            with self._changed:
                while not self._waiting and self._open:
                    self._changed.wait()
                if not self._waiting:
                    return
                group = list(self._waiting)
                self._waiting.clear()
            blob = compressor.compress(b"\n".join([body for body, _ in group]))
            self._database.execute("BEGIN IMMEDIATE")
            blob_id = self._database.execute("INSERT INTO blobs (blob) VALUES (?)", (blob,)).lastrowid
            self._database.execute("COMMIT")
            self._loop.call_soon_threadsafe(_answer_all, group, blob_id)


def _answer_all(group: list[tuple[bytes, "asyncio.Future[int]"]], blob_id: int) -> None:
    for _, done in group:
        if not done.done():
            done.set_result(blob_id)


class _App:
    """The ASGI application."""

    committer: Committer

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        body = await _read(receive)
        path, count = scope["path"], 0
        if path in DECODERS:
            decoder = DECODERS[path]
            single = (b"content-type", b"application/json") in scope["headers"]
            count = 1 if single else len(decoder.decode_lines(body))
            if single:
                decoder.decode(body)
            await self.committer.submit(body)
        answer = b'{"accepted":%d}' % count
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self.committer = Committer(Path(os.environ["BARE_DATA_DIR"]), asyncio.get_running_loop())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.committer.close()
        await send({"type": "lifespan.shutdown.complete"})


async def _read(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        parts = [body]
        while message.get("more_body"):
            message = await receive()
            parts.append(message.get("body", b""))
        body = b"".join(parts)
    return body


app = _App()
