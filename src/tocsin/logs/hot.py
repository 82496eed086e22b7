"""The hot tail as frames: chunks that are in no segment yet, unpacked once and kept for the searches that follow."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import accumulate
from typing import Final

import numpy as np
import polars as pl

from tocsin.logs import store
from tocsin.logs.catalogue import KeptRows, Segment
from tocsin.logs.chunks import open_blob
from tocsin.logs.frames import OpenedChunk, frame_of
from tocsin.logs.segmentfiles import Vanished
from tocsin.logs.segments import SEGMENT_RECORDS
from tocsin.logs.shapes import columns_of, split
from tocsin.logs.store import StoredChunk
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx

MAX_KEPT_BYTES: Final = 48 << 20  # of chunks as they are packed, uncompressed
_SPLIT_ROWS: Final = 4_096
_SPLIT_BYTES: Final = 4 << 20


@dataclass(slots=True)
class Block:
    """Rows of some hot chunks. `layout` names the attributes that have columns; `raw` says that some rows have none."""

    chunks: list[StoredChunk]
    frame: pl.DataFrame
    layout: dict[str, str] = field(init=False)
    raw: bool = field(init=False)
    min_at: datetime = field(init=False)
    max_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.layout = columns_of(self.frame)
        self.raw = self.frame.get_column("attributes").null_count() < len(self.frame)
        self.min_at = min(chunk.min_at for chunk in self.chunks)
        self.max_at = max(chunk.max_at for chunk in self.chunks)


@dataclass(frozen=True, slots=True)
class Stock:
    """All records at one moment: hot ones in memory, hot ones that are too many for that, segments, and segments that
    can't be read."""

    blocks: list[Block]
    unread: list[StoredChunk]
    segments: list[Segment]
    damaged: list[Segment]


class HotTail:
    """Keeps the newest hot chunks in memory, up to `keep_bytes` of them."""

    def __init__(self, database: Database, *, keep_bytes: int = MAX_KEPT_BYTES) -> None:
        self._database = database
        self._keep_bytes = keep_bytes
        self._turn = threading.Lock()
        self._blocks: list[Block] = []
        self._young: Block | None = None  # too few rows to be worth taking apart
        self._rows = KeptRows()

    def look(self, *, since: datetime | None = None, until: datetime | None = None) -> Stock:
        """Everything that is stored now and may have event times in [since, until)."""
        with self._turn:
            stock = self._database.read(lambda tx: self._refresh(tx, since, until))
        inside = [
            block
            for block in stock.blocks
            if (since is None or block.max_at >= since) and (until is None or block.min_at < until)
        ]
        return replace(stock, blocks=inside)

    def read(self, chunks: Sequence[StoredChunk]) -> Block:
        """Hot chunks that are not kept in memory. Raises Vanished."""
        blobs = self._database.read(lambda tx: store.blobs(tx, [chunk.first_id for chunk in chunks]))
        if len(blobs) < len(chunks):
            raise Vanished
        return _block(chunks, blobs)

    def _refresh(self, tx: ReadTx, since: datetime | None, until: datetime | None) -> Stock:
        """One snapshot tells what is hot, has its blobs, and names the segments: nothing is seen twice or missed."""
        newest_first = store.hot_chunks(tx)[::-1]
        sizes = accumulate(chunk.raw_bytes for chunk in newest_first)
        fitting = newest_first[: sum(size <= self._keep_bytes for size in sizes)]
        self._let_go({chunk.first_id for chunk in fitting})
        known = {chunk.first_id for block in self._kept() for chunk in block.chunks}
        wanted = [chunk for chunk in fitting if chunk.first_id not in known]
        for group in in_groups(wanted, records=SEGMENT_RECORDS, size_bytes=_SPLIT_BYTES):
            self._take_in(tx, group)
        found = self._rows.between(tx, since=since, until=until)
        return Stock(
            blocks=self._kept(),
            unread=newest_first[len(fitting) :],
            segments=[segment for segment in found if segment.damaged_at is None],
            damaged=[segment for segment in found if segment.damaged_at is not None],
        )

    def _kept(self) -> list[Block]:
        return self._blocks if self._young is None else [*self._blocks, self._young]

    def _let_go(self, fitting: set[int]) -> None:
        """Of all but these: the others are in segments now, or too old to be kept in memory beside what came since."""
        self._blocks = [kept for block in self._blocks if (kept := _only(block, fitting)) is not None]
        self._young = None if self._young is None else _only(self._young, fitting)

    def _take_in(self, tx: ReadTx, chunks: Sequence[StoredChunk]) -> None:
        new = _block(chunks, store.blobs(tx, [chunk.first_id for chunk in chunks]))
        if self._young is not None:
            frame = pl.concat([self._young.frame, new.frame], rechunk=True)
            new = Block([*self._young.chunks, *chunks], frame)
        if len(new.frame) >= _SPLIT_ROWS or sum(chunk.raw_bytes for chunk in new.chunks) >= _SPLIT_BYTES:
            self._blocks = [*self._blocks, Block(new.chunks, split(new.frame))]
            self._young = None
        else:
            self._young = new


def in_groups(chunks: Sequence[StoredChunk], *, records: int, size_bytes: int) -> Iterator[list[StoredChunk]]:
    """The chunks in groups that hold no more than that each, or are a single chunk."""
    group: list[StoredChunk] = []
    for chunk in chunks:
        much = sum(c.records for c in group) + chunk.records > records
        if group and (much or sum(c.raw_bytes for c in group) + chunk.raw_bytes > size_bytes):
            yield group
            group = []
        group.append(chunk)
    if group:
        yield group


def _block(chunks: Sequence[StoredChunk], blobs: Mapping[int, bytes]) -> Block:
    opened = [
        OpenedChunk(chunk.first_id, chunk.observed_at, chunk.backfill, open_blob(blobs[chunk.first_id]))
        for chunk in chunks
    ]
    return Block(list(chunks), frame_of(opened))


def _only(block: Block, chunks: set[int]) -> Block | None:
    """The part of a block that holds these chunks."""
    left = [chunk for chunk in block.chunks if chunk.first_id in chunks]
    if len(left) == len(block.chunks):
        return block
    if not left:
        return None
    firsts = np.array(sorted(chunk.first_id for chunk in block.chunks))
    stays = np.isin(firsts, np.array([chunk.first_id for chunk in left]))
    chunk_of_row = np.searchsorted(firsts, block.frame.get_column("id").to_numpy(), side="right") - 1
    return Block(left, block.frame.filter(pl.Series(stays[chunk_of_row])))
