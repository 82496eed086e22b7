"""Live tail: each reader gets the records that match as they are committed, and is told how many it missed."""

import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
import structlog
import zstandard
from sqlalchemy import select

from tocsin.logs import store
from tocsin.logs.budget import Budget
from tocsin.logs.chunks import Opened, open_blob
from tocsin.logs.compaction import KEEP_CONSUMED
from tocsin.logs.frames import OpenedChunk, frame_of, records_of
from tocsin.logs.parts import Sought, matching
from tocsin.logs.store import StoredChunk
from tocsin.logs.tailreader import Line, Place, Reader, place_of
from tocsin.query.expressions import Layout
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx

MAX_READERS: Final = 64
MAX_CATCH_UP: Final = 262_144  # records that are looked at again for a reader who comes back
MAX_JUDGE_S: Final = 1.0  # for one reader's filter in one turn
MAX_LATE: Final = 3  # turns in a row that may take longer: a machine may stand still once
# A reader that comes back after at most this time, or is not served for it, surely finds everything still there.
_SURE_S: Final = KEEP_CONSUMED.total_seconds() / 2
_TURN_RECORDS: Final = 65_536
_TURN_BYTES: Final = 32 << 20  # of chunks as they are packed, uncompressed
_FIRST_SLICE: Final = 256  # rows; each further one is twice as large
_RAW: Final = Layout(typed={}, has_raw=True)
_ROW: Final = "row"
_ENCODER: Final = msgspec.json.Encoder()

Rows = npt.NDArray[np.int64]
log = structlog.get_logger("tocsin.tail")


class LiveTail:
    """Hands what is committed on to the readers. `run` is a turn of the loop `tail`, woken by commits.

    Every reader has a place of its own in the order of commits, and all that stand at the same one are served together.
    """

    def __init__(self, database: Database, *, judge_s: float = MAX_JUDGE_S) -> None:
        self._database = database
        self._judge_s = judge_s
        self._running = threading.Lock()
        self._guard = threading.Lock()  # of the list; nothing is read or judged meanwhile
        self._readers: list[Reader] = []
        self.closed = False

    def close(self) -> None:
        """The server ends: readers are woken to find `closed`."""
        self.closed = True
        for reader in self._present():
            reader.wake()

    @property
    def has_readers(self) -> bool:
        return bool(self._readers)

    def join(self, reader: Reader, last_seen: str | None = None) -> bool:
        """From now on the reader hears of every commit; False when there are `MAX_READERS` already.

        `last_seen` is the place a reader that comes back had reached: it hears of the commits since then as well, or is
        told what it missed.
        """
        place, missed = self._database.read(lambda tx: self._beginning(tx, last_seen))
        reader.begin(place, missed=missed, looked_at=time.monotonic())
        with self._guard:
            if len(self._readers) >= MAX_READERS:
                return False
            self._readers.append(reader)
            return True

    def leave(self, reader: Reader) -> None:
        """The reader has gone."""
        with self._guard:
            if reader in self._readers:
                self._readers.remove(reader)

    def run(self) -> None:
        """Read what was committed since the last turn, once for all readers."""
        with self._running:
            while not self.closed and self._hand_on():
                pass

    def _present(self) -> list[Reader]:
        with self._guard:
            return list(self._readers)

    def _beginning(self, tx: ReadTx, last_seen: str | None) -> tuple[Place, int | None]:
        """Where a reader begins, and how many records are left out before that (None: nobody knows)."""
        horizon, now = self._horizon(tx), int(tx.now.timestamp())
        here = Place(horizon, 0, now)
        if last_seen is None:
            return here, 0
        seen = place_of(last_seen)
        if seen is None or seen.position > horizon or abs(now - seen.at) > _SURE_S:
            return here, None
        chunks, _ = store.chunks_since(tx, seen.position, horizon, records=sys.maxsize, size_bytes=sys.maxsize)
        room = MAX_CATCH_UP
        for chunk in reversed(chunks):
            room -= chunk.records
            if room < 0:
                left_out = sum(c.records for c in chunks if c.position <= chunk.position)
                return Place(chunk.position + 1, 0, seen.at), left_out
        return seen, 0

    def _hand_on(self) -> bool:
        """What follows for the readers that are furthest behind; whether there may be more to do."""
        readers = self._present()
        if not readers:
            return False
        begin = min(reader.place.position for reader in readers)
        ahead = min((r.place.position for r in readers if r.place.position > begin), default=None)
        served = [reader for reader in readers if reader.place.position == begin]
        began = time.monotonic()
        late = began - min(reader.looked_at for reader in served) > _SURE_S
        batch = self._database.read(lambda tx: self._look(tx, begin, ahead, count_lost=late))
        for reader in served:
            reader.looked_at = began
            self._serve(reader, batch)
        return batch.end.position > begin and (bool(batch) or ahead is not None)

    def _look(self, tx: ReadTx, begin: int, ahead: int | None, *, count_lost: bool) -> "_Batch":
        """The next commits, and how many of their records were compacted away before we came."""
        horizon = max(self._horizon(tx), begin)
        up_to = horizon if ahead is None else min(horizon, ahead)
        chunks, up_to = store.chunks_since(tx, begin, up_to, records=_TURN_RECORDS, size_bytes=_TURN_BYTES)
        accepted = store.accepted_between(tx, begin, up_to) if count_lost and up_to > begin else 0
        lost = max(accepted - sum(chunk.records for chunk in chunks), 0)
        seen_at = chunks[-1].observed_at if chunks else tx.now
        end = Place(up_to, 0, int(seen_at.timestamp()))
        return _Batch(chunks, store.blobs(tx, [chunk.first_id for chunk in chunks]), lost=lost, end=end)

    def _serve(self, reader: Reader, batch: "_Batch") -> None:
        """A reader's failure is its own: it is told and dropped, and the others never notice."""
        budget = Budget(self._judge_s)
        try:
            found, unjudged = batch.matching(reader.sought, budget)
        except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001  # the engine may fail in any way
            log.error("tail_filter_failed", error=f"{type(error).__name__}: {error}")
            self._drop(reader, "This filter can't be applied to what was stored just now.")
            return
        if batch:
            reader.late = reader.late + 1 if budget.over else 0
        if reader.late >= MAX_LATE:
            log.warning("tail_filter_too_slow", seconds=self._judge_s, turns=MAX_LATE)
            self._drop(reader, f"This filter takes more than {self._judge_s:g} s of every turn; try a simpler one.")
            return
        found = batch.after(reader.place, found)
        kept = batch.newest(found, capacity=reader.capacity, size_bytes=reader.capacity_bytes)
        missed = len(found) - len(kept)
        reader.offer(batch.lines(kept), missed=missed, unjudged=unjudged + batch.lost, place=batch.end)

    def _drop(self, reader: Reader, why: str) -> None:
        self.leave(reader)
        reader.end(why)

    def _horizon(self, tx: ReadTx) -> int:
        return int(tx.execute(select(self._database.horizon)).scalar_one())


class _Batch:
    """The records of some commits. What goes to several readers is encoded once.

    `lost` records were compacted away, or can't be read; `end` is the place behind them all.
    """

    def __init__(self, chunks: Sequence[StoredChunk], blobs: Mapping[int, bytes], *, lost: int, end: Place) -> None:
        opened = [(chunk, content) for chunk in chunks if (content := _opened(chunk, blobs)) is not None]
        self.lost = lost + sum(c.records for c in chunks) - sum(c.records for c, _ in opened)
        self.end = end
        frame = frame_of([OpenedChunk(c.first_id, c.observed_at, c.backfill, found) for c, found in opened])
        self._frame = frame.with_row_index(_ROW)
        self._sizes = frame.select(_size()).to_series().to_numpy()
        self._positions = np.repeat(
            np.array([c.position for c, _ in opened], np.int64), np.array([c.records for c, _ in opened], np.int64)
        )
        self._lines: dict[int, Line] = {}

    def __bool__(self) -> bool:
        return not self._frame.is_empty() or self.lost > 0

    def matching(self, sought: Sought, budget: Budget) -> tuple[Rows, int]:
        """The matching rows, oldest first, and how many there was no time for: the oldest."""
        found: list[Rows] = []
        end, size = len(self._frame), _FIRST_SLICE
        while end:
            start = max(end - size, 0)
            found.insert(0, _matching(self._frame.slice(start, end - start), sought, budget))
            if budget.cut:
                break  # nobody knows which rows of this slice were judged
            end, size = start, size * 2
            if budget.over:
                break
        return np.concatenate([np.empty(0, np.int64), *found]), end

    def after(self, place: Place, rows: Rows) -> Rows:
        """Those of these rows that lie behind a place."""
        if not place.record_id:
            return rows
        ids = self._frame.get_column("id").to_numpy()[rows]
        kept: Rows = rows[(self._positions[rows] > place.position) | (ids > place.record_id)]
        return kept

    def newest(self, rows: Rows, *, capacity: int, size_bytes: int) -> Rows:
        """The newest of these rows that are so many, and so large, at most."""
        last = rows[-capacity:]
        fitting = int((np.cumsum(self._sizes[last][::-1]) <= size_bytes).sum())
        return last[len(last) - fitting :]

    def lines(self, rows: Rows) -> list[Line]:
        """These rows for readers."""
        missing = [row for row in rows.tolist() if row not in self._lines]
        for row, record in zip(missing, records_of(self._frame[missing]) if missing else [], strict=True):
            place = Place(int(self._positions[row]), record.id, int(record.observed_at.timestamp()))
            self._lines[row] = Line(place, _ENCODER.encode(record))
        return [self._lines[row] for row in rows.tolist()]


def _opened(chunk: StoredChunk, blobs: Mapping[int, bytes]) -> Opened | None:
    """Its content; None when it can't be read. The tail goes on behind it."""
    try:
        return open_blob(blobs[chunk.first_id])
    except (KeyError, zstandard.ZstdError, msgspec.DecodeError) as error:
        log.error("tail_chunk_unreadable", first_id=chunk.first_id, records=chunk.records, error=str(error))
        return None


def _matching(rows: pl.DataFrame, sought: Sought, budget: Budget) -> Any:
    wanted = [pl.col(_ROW).cast(pl.Int64)]
    return matching(rows.lazy(), sought, _RAW, budget, wanted=wanted).collect().to_series().to_numpy()


def _size() -> pl.Expr:
    return pl.col("message").str.len_bytes().cast(pl.Int64) + pl.col("attributes").str.len_bytes().cast(pl.Int64)
