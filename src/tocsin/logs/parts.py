"""What a search reads, in pieces: hot blocks, hot chunks not in memory, segments; and which pieces it can skip."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from tocsin.kit.clock import to_us
from tocsin.logs import catalogue, tokens
from tocsin.logs.budget import Budget
from tocsin.logs.catalogue import Segment
from tocsin.logs.fields import LOGS
from tocsin.logs.hot import Block, HotTail, in_groups
from tocsin.logs.judging import CERTAIN, Judge
from tocsin.logs.levels import Level
from tocsin.logs.segmentfiles import SegmentFiles, reading
from tocsin.logs.shapes import PREFIX, SHAPE, type_of
from tocsin.logs.store import StoredChunk
from tocsin.query.expressions import Layout, compile_bounds
from tocsin.query.pruning import may_match
from tocsin.query.tree import Everything, Node
from tocsin.storage.database import Database

KEPT_FILTER_BYTES: Final = 32 << 20
# Of hot chunks that are read for one search: unpacked they take several times as much, and several may search.
_UNREAD_RECORDS: Final = 16_384
_UNREAD_BYTES: Final = 8 << 20


_EVERYTHING: Final = Everything()
Wanted = Callable[[Layout], Sequence[pl.Expr | str]]


@dataclass(frozen=True, slots=True)
class Sought:
    """Which records: those `node` is true of, of `level` and above, of exactly this `service`, with event times in
    [since, until)."""

    node: Node = _EVERYTHING
    level: Level | None = None
    service: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def least_severity(self) -> int:
        """The OpenTelemetry severity number `level` begins with."""
        if self.level is None:
            return 0
        return 18 if self.level is Level.CRITICAL else self.level.value


@dataclass(slots=True)
class Scanned:
    """How much was looked at: `records` in `parts`; what the catalogue ruled out (`pruned`) was not. `damaged` segments
    may hold what is sought, and could not be."""

    records: int = 0
    parts: int = 0
    pruned: int = 0
    damaged: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the stock that is read as a whole."""

    min_at: datetime
    max_at: datetime
    records: int
    raw_bytes: int
    of: Block | tuple[StoredChunk, ...] | Segment


class Parts:
    """The pieces of the stock that a search has to look at."""

    def __init__(self, database: Database, files: SegmentFiles, tail: HotTail) -> None:
        self._database = database
        self._files = files
        self._tail = tail
        self._filters = _KeptFilters(database)

    def for_(self, sought: Sought, scanned: Scanned) -> list[Part]:
        """The parts that may hold what is sought, at this moment."""
        stock = self._tail.look(since=sought.since, until=sought.until)
        segments = self._filters.promising(stock.segments, sought)
        scanned.pruned += len(stock.segments) - len(segments)
        scanned.damaged += len(self._filters.promising(stock.damaged, sought))
        found = [_part_of_block(block) for block in stock.blocks]
        found += [
            _part_of(group) for group in in_groups(stock.unread, records=_UNREAD_RECORDS, size_bytes=_UNREAD_BYTES)
        ]
        found += [Part(s.min_at, s.max_at, s.records, s.raw_bytes, s) for s in segments]
        return found

    def damaged(self, sought: Sought) -> int:
        """How many segments may hold what is sought, and are known to be damaged."""
        found = self._database.read(lambda tx: catalogue.damaged(tx, since=sought.since, until=sought.until))
        return len(self._filters.promising(found, sought))

    def scan(
        self,
        parts: Sequence[Part],
        sought: Sought,
        wanted: Wanted,
        scanned: Scanned,
        budget: Budget,
    ) -> Iterator[pl.LazyFrame]:
        """What is sought in these parts, `wanted` of each row; parts of one layout together. Raises Vanished.

        Hot chunks that are not kept in memory, and parts with rows to be judged, are read one at a time: take what is
        yielded before the next.
        """
        groups: dict[tuple[object, ...], list[pl.LazyFrame | str]] = {}
        layouts: dict[tuple[object, ...], Layout] = {}
        for part in parts:
            opened = self._opened(part)
            if opened is None:
                scanned.damaged += 1
                continue
            source, layout = opened
            scanned.records += part.records
            scanned.parts += 1
            if isinstance(part.of, tuple) or not _is_exact(sought, layout):
                yield matching(_frames([source]), sought, layout, budget, wanted=wanted(layout))
                continue
            key = (isinstance(source, str), *_needed(layout, sought, wanted))
            groups.setdefault(key, []).append(source)
            layouts[key] = layout
        for key, sources in groups.items():
            layout = layouts[key]
            yield matching(_frames(sources), sought, layout, budget, wanted=wanted(layout))

    def whole(self, part: Part) -> pl.LazyFrame | None:
        """All columns of a part; None when it is damaged. Raises Vanished."""
        opened = self._opened(part)
        return None if opened is None else _frames([opened[0]])

    def _opened(self, part: Part) -> tuple[pl.LazyFrame | str, Layout] | None:
        of = part.of
        if isinstance(of, Segment):
            if not self._files.sound([of]):
                return None
            return self._files.source(of), Layout(_types(of.layout), of.raw_rows > 0)
        block = self._tail.read(of) if isinstance(of, tuple) else of
        return block.frame.lazy(), Layout(_types(block.layout), block.raw)


def collected(lazy: pl.LazyFrame) -> pl.DataFrame:
    """The rows. Raises Vanished when a file was removed meanwhile."""
    with reading():
        return lazy.collect(engine="streaming")


def collected_all(lazies: Sequence[pl.LazyFrame]) -> list[pl.DataFrame]:
    """The rows of several, read side by side. Raises Vanished when a file was removed meanwhile."""
    with reading():
        return pl.collect_all(lazies, engine="streaming")


def matching(
    lazy: pl.LazyFrame, sought: Sought, layout: Layout, budget: Budget, *, wanted: Sequence[pl.Expr | str]
) -> pl.LazyFrame:
    """What is sought in a frame of this layout, `wanted` of each row. Raises Vanished.

    Where rows have to be judged, that is done here and now: within a query of Polars it would hold up all others.
    """
    bounds = compile_bounds(sought.node, layout, LOGS)
    found = lazy.filter(*_plain_conditions(sought), bounds.possible)
    if not bounds.exact:
        judge = Judge(sought.node, budget)
        needed = sorted(judge.columns | _roots(wanted))
        found = judge(collected(found.select(*needed, bounds.certain.alias(CERTAIN)))).lazy()
    return found.select(wanted)


def _plain_conditions(sought: Sought) -> list[pl.Expr]:
    parts: list[pl.Expr] = []
    if sought.least_severity:
        parts.append(pl.col("severity_number") >= sought.least_severity)
    if sought.service is not None:
        parts.append(pl.col("service") == sought.service)
    if sought.since is not None:
        parts.append(pl.col("timestamp") >= sought.since)
    if sought.until is not None:
        parts.append(pl.col("timestamp") < sought.until)
    return parts


def _is_exact(sought: Sought, layout: Layout) -> bool:
    return not layout.has_raw or compile_bounds(sought.node, layout, LOGS).exact


def _roots(expressions: Sequence[pl.Expr | str]) -> set[str]:
    return {name for one in expressions for name in ([one] if isinstance(one, str) else one.meta.root_names())}


def _frames(sources: Sequence[pl.LazyFrame | str]) -> pl.LazyFrame:
    paths = [source for source in sources if isinstance(source, str)]
    if paths:
        return pl.scan_parquet(paths, glob=False, extra_columns="ignore", cache=False)
    return pl.concat([source for source in sources if not isinstance(source, str)], how="diagonal")


def _needed(layout: Layout, sought: Sought, wanted: Wanted) -> tuple[object, ...]:
    """What of a layout decides how it is read: two that don't differ in this are read together."""
    bounds = compile_bounds(sought.node, layout, LOGS)
    names = _roots([bounds.possible, bounds.certain, *wanted(layout)])
    typed = {path: str(kind) for path, kind in layout.typed.items() if PREFIX + path in names}
    return (frozenset(typed.items()), layout.has_raw and "attributes" in names, SHAPE in names)


def _types(layout: dict[str, str]) -> dict[str, pl.DataType]:
    return {path: type_of(kind) for path, kind in layout.items()}


def _part_of(chunks: Sequence[StoredChunk]) -> Part:
    return Part(
        min_at=min(chunk.min_at for chunk in chunks),
        max_at=max(chunk.max_at for chunk in chunks),
        records=sum(chunk.records for chunk in chunks),
        raw_bytes=sum(chunk.raw_bytes for chunk in chunks),
        of=tuple(chunks),
    )


def _part_of_block(block: Block) -> Part:
    return Part(block.min_at, block.max_at, len(block.frame), sum(chunk.raw_bytes for chunk in block.chunks), block)


class _Facts:
    """What is known of a segment before it is read (see `query.pruning.Facts`)."""

    def __init__(self, segment: Segment, token_filter: bytes | None) -> None:
        self._segment = segment
        self._filter = token_filter
        self.lacks_filter = False

    def has_tokens(self, wanted: Collection[str]) -> bool:
        if self._filter is None:
            self.lacks_filter = True
            return True
        return tokens.may_have(self._filter, wanted)

    def may_have_rank(self, column: str, test: Callable[[float], bool]) -> bool:
        numbers = (number for number in range(1, 25) if self._segment.severities >> number & 1)
        return column != "severity_number" or any(test(number) for number in numbers)

    def may_have_keyword(self, column: str, test: Callable[[str], bool]) -> bool:
        return column != "service" or any(test(service) for service in self._segment.services)

    def may_have_time(self, column: str, low: float | None, high: float | None) -> bool:
        first, last = to_us(self._segment.min_at), to_us(self._segment.max_at)
        return column != "timestamp" or ((low is None or last >= low) and (high is None or first <= high))


class _KeptFilters:
    """Token filters, read when a search asks for them first, and kept up to a size."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0
        self._turn = threading.Lock()

    def promising(self, segments: Sequence[Segment], sought: Sought) -> list[Segment]:
        """The segments that may hold what is sought."""
        left: list[Segment] = []
        undecided: list[Segment] = []
        for segment in segments:
            if not _may_hold(segment, sought):
                continue
            facts = _Facts(segment, self._kept.get(segment.key))
            if may_match(sought.node, facts, LOGS):
                (undecided if facts.lacks_filter else left).append(segment)
        for segment, found in zip(undecided, self._read(undecided), strict=True):
            if may_match(sought.node, _Facts(segment, found), LOGS):
                left.append(segment)
        return left

    def _read(self, segments: Sequence[Segment]) -> Iterator[bytes | None]:
        for start in range(0, len(segments), 64):
            keys = [segment.key for segment in segments[start : start + 64]]
            found = self._database.read(lambda tx, keys=keys: catalogue.token_filters(tx, keys))  # type: ignore[misc]
            with self._turn:
                self._keep(found)
            yield from (found.get(key) for key in keys)

    def _keep(self, found: dict[str, bytes]) -> None:
        for key, token_filter in found.items():
            if key not in self._kept:
                self._kept[key] = token_filter
                self._bytes += len(token_filter)
        while self._bytes > KEPT_FILTER_BYTES:
            self._bytes -= len(self._kept.popitem(last=False)[1])


def _may_hold(segment: Segment, sought: Sought) -> bool:
    if sought.service is not None and sought.service not in segment.services:
        return False
    return sought.least_severity == 0 or segment.severities >> sought.least_severity != 0
