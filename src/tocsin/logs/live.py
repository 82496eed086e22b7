"""Live tail: each reader gets the records that match as they are committed, and is told how many it missed."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl
from sqlalchemy import select

from tocsin.logs import store
from tocsin.logs.budget import Budget
from tocsin.logs.chunks import open_blob
from tocsin.logs.compaction import KEEP_CONSUMED
from tocsin.logs.frames import SCHEMA, OpenedChunk, frame_of, records_of
from tocsin.logs.parts import Sought, matching
from tocsin.logs.record import Record
from tocsin.logs.store import StoredChunk
from tocsin.query.expressions import Layout
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx

MAX_WAITING: Final = 2_000  # records that wait for one reader; beyond it they are counted, not kept
MAX_READERS: Final = 64
_TURN_RECORDS: Final = 65_536
_RAW: Final = Layout(typed={}, has_raw=True)


@dataclass(slots=True)
class Lines:
    """What a reader gets at a time: `missed` matching records were left out before these."""

    missed: int
    records: list[Record]


def _matching(frame: pl.DataFrame, sought: Sought) -> pl.DataFrame:
    return matching(frame.lazy(), sought, _RAW, Budget(), wanted=list(SCHEMA)).collect()


class Reader:
    """One who tails. `wake` is called from another thread when there is something to take."""

    def __init__(self, sought: Sought, wake: Callable[[], None], *, capacity: int = MAX_WAITING) -> None:
        self.sought = sought
        self.wake = wake
        self._capacity = capacity
        self._turn = threading.Lock()
        self._waiting: deque[Record] = deque()
        self._missed = 0

    def offer(self, frame: pl.DataFrame, missed: int) -> None:
        """Keep what fits of these matching rows, the newest of them; the work does not grow with what does not fit."""
        with self._turn:
            kept = records_of(frame.tail(self._capacity))
            self._missed += missed + len(frame) - len(kept)
            self._waiting.extend(kept)
            while len(self._waiting) > self._capacity:
                self._waiting.popleft()
                self._missed += 1
        if kept or missed:
            self.wake()

    def take(self) -> Lines:
        """Everything that waits."""
        with self._turn:
            lines = Lines(self._missed, list(self._waiting))
            self._missed = 0
            self._waiting.clear()
            return lines


class LiveTail:
    """Hands what is committed on to the readers. `run` is a turn of the loop `tail`, woken by commits."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = threading.Lock()
        self._readers: list[Reader] = []
        self.closed = False
        self._seen_to = 0
        self._looked_at = 0.0

    def close(self) -> None:
        """The server ends: readers are woken to find `closed`."""
        self.closed = True
        for reader in list(self._readers):
            reader.wake()

    @property
    def has_readers(self) -> bool:
        return bool(self._readers)

    def join(self, reader: Reader) -> bool:
        """From now on the reader hears of every commit; False when there are `MAX_READERS` already."""
        with self._turn:
            if len(self._readers) >= MAX_READERS:
                return False
            if not self._readers:
                self._seen_to = self._database.read(self._horizon)
                self._looked_at = time.monotonic()
            self._readers.append(reader)
            return True

    def leave(self, reader: Reader) -> None:
        """The reader has gone."""
        with self._turn:
            if reader in self._readers:
                self._readers.remove(reader)

    def run(self) -> None:
        """Read what was committed since the last turn, once for all readers."""
        with self._turn:
            while self._readers and self._hand_on():
                pass

    def _hand_on(self) -> bool:
        """A part of what is new; whether there may be more."""
        began = time.monotonic()
        late = began - self._looked_at > KEEP_CONSUMED.total_seconds() / 2
        up_to, chunks, blobs, lost = self._database.read(lambda tx: self._look(tx, count_lost=late))
        self._looked_at = began
        frame = frame_of(
            [OpenedChunk(c.first_id, c.observed_at, c.backfill, open_blob(blobs[c.first_id])) for c in chunks]
        )
        for reader in self._readers:
            reader.offer(_matching(frame, reader.sought), lost)
        self._seen_to = up_to
        return bool(chunks)

    def _look(self, tx: ReadTx, *, count_lost: bool) -> tuple[int, Sequence[StoredChunk], dict[int, bytes], int]:
        """The next chunks, up to which position they go, and how many records were compacted away before we came."""
        chunks, up_to = store.chunks_since(tx, self._seen_to, self._horizon(tx), records=_TURN_RECORDS)
        accepted = store.accepted_between(tx, self._seen_to, up_to) if count_lost and up_to > self._seen_to else 0
        lost = max(accepted - sum(chunk.records for chunk in chunks), 0)
        return up_to, chunks, store.blobs(tx, [chunk.first_id for chunk in chunks]), lost

    def _horizon(self, tx: ReadTx) -> int:
        return int(tx.execute(select(self._database.horizon)).scalar_one())
