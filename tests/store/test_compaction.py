"""Chunks become segments and segments become larger ones: nothing is lost, doubled or changed on the way."""

import contextlib
import errno
import os
import random
import secrets
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.exceptions import PanicException
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from desk import START, Astray, Desk, critical, in_threads, info
from outside import commits_fail, disk_full
from tocsin.kit.clock import to_us
from tocsin.kit.errors import NotFound, Unavailable
from tocsin.logs import catalogue, store
from tocsin.logs.catalogue import SmallSegment
from tocsin.logs.compaction import Bounds, Compactor, to_merge
from tocsin.logs.hot import HotTail
from tocsin.logs.model import chunks, consumed, retired_objects, segments
from tocsin.logs.parts import Budget, Parts, Scanned, Sought
from tocsin.logs.record import Record
from tocsin.logs.search import find
from tocsin.logs.segmentfiles import SegmentFiles
from tocsin.logs.segments import SEGMENT_BYTES, SEGMENT_RECORDS, Built, build
from tocsin.logs.service import LogQuery
from tocsin.settings import Settings
from tocsin.storage.model import events
from tocsin.storage.objects import Folder, Stored
from tocsin.storage.tx import Tx


def at(minutes: float) -> str:
    return (START - timedelta(minutes=minutes)).isoformat()


def fill(desk: Desk, count: int, *, seed: int = 1, per_post: int = 50) -> list[Record]:
    """Records of several services with odd attributes, some out of order; all of them as they are stored."""
    chance = random.Random(seed)
    made = [
        {
            "level": chance.choice(["DEBUG", "INFO", "WARNING", "ERROR"]),
            "service": chance.choice(["shop", "mail", "päyments"]),
            "message": f"request {n} took {chance.randrange(10**6)} ms",
            "timestamp": at(chance.random() * 30),
            "attributes": chance.choice(
                [
                    {"request_id": f"{chance.getrandbits(64):x}", "ms": chance.random(), "ok": True},
                    {"user": {"id": n, "name": 'O"Neil'}, "tags": ["a", "b"]},
                    {"request_id": n, "ms": None},
                    {},
                ]
            ),
            **({"trace_id": f"{n:032x}"} if n % 5 == 0 else {}),
        }
        for n in range(count)
    ]
    for start in range(0, count, per_post):
        desk.post(*made[start : start + per_post], backfill=start % 3 == 1)
    return all_records(desk)


def all_records(desk: Desk) -> list[Record]:
    """Every stored record, page by page."""
    found: list[Record] = []
    query = LogQuery(limit=173)
    while True:
        page = desk.reader.search(query)
        assert not page.partial
        found += page.items
        if page.next is None:
            return found
        query = LogQuery(limit=173, cursor=page.next)


def plain(records: list[Record]) -> list[tuple[Any, ...]]:
    return [tuple(bytes(v) if n == "attributes" else v for n, v in fields(record)) for record in records]


def fields(record: Record) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(record, name)) for name in record.__struct_fields__)


def counted(desk: Desk, table: Any) -> int:
    return desk.database.read(lambda tx: int(tx.execute(select(func.count()).select_from(table)).scalar_one()))


def test_records_are_the_same_hot_and_in_segments(desk: Desk) -> None:
    before = fill(desk, 700)
    desk.compact(records=200)

    assert plain(all_records(desk)) == plain(before)
    stats = desk.reader.stats()
    assert (stats.hot_records, stats.records) == (0, 700)
    assert stats.segments == 4
    assert [desk.reader.get(record.id) for record in before[::41]] == before[::41]
    with pytest.raises(NotFound):
        desk.reader.get(before[0].id + 10**6)


def test_hot_records_and_segments_are_found_together_in_order(desk: Desk) -> None:
    fill(desk, 300)
    desk.compact(records=100)
    both = fill(desk, 200, seed=2)

    assert len(both) == 500
    keys = [(record.timestamp, record.id) for record in both]
    assert keys == sorted(keys, reverse=True)
    assert desk.reader.stats().hot_records == 200


def test_compacted_chunks_are_deleted_a_while_later(desk: Desk) -> None:
    fill(desk, 300, per_post=5)
    desk.compact()
    assert counted(desk, chunks) == 60  # a search that began before may still want them
    assert desk.reader.stats().hot_records == 0
    desk.clock.advance(seconds=3)
    desk.compact()
    assert (counted(desk, chunks), counted(desk, consumed)) == (0, 0)


def test_chunks_wait_until_there_are_enough_or_they_are_old(desk: Desk) -> None:
    fill(desk, 100)
    desk.compact(age=timedelta(minutes=10))
    assert desk.reader.stats().segments == 0
    desk.clock.advance(minutes=11)
    desk.compact(age=timedelta(minutes=10))
    assert desk.reader.stats().hot_records == 0


def test_a_bad_clock_does_not_make_a_segment_reach_far_back(desk: Desk) -> None:
    desk.post(*[info(f"now {n}") for n in range(50)], info("stray", timestamp="2009-01-01T00:00:00Z"))
    desk.compact()

    found = desk.database.read(catalogue.between)
    assert sorted((segment.records, segment.stray) for segment in found) == [(1, True), (50, False)]
    assert next(s for s in found if not s.stray).min_at == START
    assert desk.reader.search(LogQuery(until=START - timedelta(days=1))).items[0].message == "stray"


def test_small_segments_are_merged_and_their_files_removed_later(desk: Desk) -> None:
    before: list[Record] = []
    for seed in range(9):
        before = fill(desk, 20, seed=seed)
        desk.compact()
    assert desk.reader.stats().segments < 9
    assert plain(all_records(desk)) == plain(before)
    merged = counted(desk, retired_objects)
    assert merged >= 8
    desk.clock.advance(minutes=3)
    desk.compact()
    assert counted(desk, retired_objects) == 0
    assert len(list(desk.objects.keys())) == counted(desk, segments)
    assert plain(all_records(desk)) == plain(before)


class Failing(Folder):
    """A folder whose next write fails, or after whose next write something else does."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.full = False
        self.then: Callable[[], None] = lambda: None

    def put(self, key: str, write: Callable[[Path], None]) -> Stored:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        stored = super().put(key, write)
        self.then()
        return stored


def compactor_with(desk: Desk, objects: Folder) -> Compactor:
    files = SegmentFiles(desk.database, objects, metrics=desk.metrics)
    return Compactor(desk.database, objects, files, desk.metrics, alone=True, bounds=Bounds(age=timedelta(0)))


def test_a_worker_that_dies_before_the_swap_leaves_an_orphan_that_is_removed(desk: Desk) -> None:
    before = fill(desk, 120)
    objects = Failing(desk.objects.path)

    def die() -> None:
        raise KeyboardInterrupt

    objects.then = die
    with pytest.raises(KeyboardInterrupt):
        compactor_with(desk, objects).run()

    assert len(list(desk.objects.keys())) == 1
    assert plain(all_records(desk)) == plain(before)
    desk.compact()
    assert len(list(desk.objects.keys())) == counted(desk, segments)
    assert plain(all_records(desk)) == plain(before)


def test_a_full_disk_leaves_hot_records_readable_and_is_recovered_from(desk: Desk) -> None:
    before = fill(desk, 120)
    objects = Failing(desk.objects.path)
    objects.full = True
    worker = compactor_with(desk, objects)
    with pytest.raises(OSError, match="No space left"):
        worker.run()
    assert plain(all_records(desk)) == plain(before)
    assert list(desk.objects.keys()) == []

    desk.post(info("the database has room"))
    before = all_records(desk)
    assert len(before) == 121

    objects.full = False
    worker.run()
    assert desk.reader.stats().hot_records == 0
    assert plain(all_records(desk)) == plain(before)


class FullHalfWay(Folder):
    """A folder on a disk that is full after so many bytes."""

    room_bytes = 4_000

    def put(self, key: str, write: Callable[[Path], None]) -> Stored:
        def write_some(path: Path) -> None:
            write(path)
            if path.stat().st_size > self.room_bytes:
                os.truncate(path, self.room_bytes)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        return super().put(key, write_some)


def test_a_disk_that_is_full_half_way_leaves_no_half_segment(desk: Desk) -> None:
    before = fill(desk, 300)
    objects = FullHalfWay(desk.objects.path)
    worker = compactor_with(desk, objects)
    for _ in range(2):
        with pytest.raises(OSError, match="No space left"):
            worker.run()
        assert [path for path in desk.objects.path.rglob("*") if path.is_file()] == []
        assert desk.reader.stats().hot_records == 300
        assert plain(all_records(desk)) == plain(before)
    assert uncompactable(desk) == 0

    objects.room_bytes = 10**9
    worker.run()
    assert desk.reader.stats().hot_records == 0
    assert plain(all_records(desk)) == plain(before)


def test_a_disk_that_is_full_after_the_first_of_several_segments_leaves_an_orphan_that_is_removed(desk: Desk) -> None:
    before = fill(desk, 300)
    objects = Failing(desk.objects.path)
    objects.then = lambda: setattr(objects, "full", True)
    worker = compactor_with(desk, objects)
    worker.bounds = Bounds(records=100_000, age=timedelta(0))
    worker.make = lambda frame, *, limit: build(frame, limit=100)
    with pytest.raises(OSError, match="No space left"):
        worker.run()
    assert len(list(desk.objects.keys())) == 1
    objects.full, objects.then = False, lambda: None
    worker.run()
    assert {one.key for one in desk.objects.keys()} == desk.database.read(catalogue.known_keys)  # noqa: SIM118
    assert plain(all_records(desk)) == plain(before)


def test_a_database_that_can_not_commit_the_swap_keeps_the_hot_records(desk: Desk) -> None:
    before = fill(desk, 120)
    with commits_fail(desk.database, table="segments"):
        for _ in range(2):
            with pytest.raises((Unavailable, IntegrityError)):
                desk.compact()
            assert (desk.reader.stats().hot_records, desk.reader.stats().segments) == (120, 0)
            assert plain(all_records(desk)) == plain(before)
        assert desk.post(info("taken in all the same")).first_id
    desk.compact()
    assert (desk.reader.stats().hot_records, desk.reader.stats().records) == (0, 121)
    assert len(list(desk.objects.keys())) == counted(desk, segments)


@pytest.mark.parametrize("after_pages", range(0, 12, 3))
def test_a_full_database_keeps_what_it_has_wherever_it_strikes_and_heals_by_itself(
    sqlite_settings: Settings, open_desk: Callable[..., Desk], after_pages: int
) -> None:
    desk = open_desk(sqlite_settings)
    before = fill(desk, 120)
    with disk_full(desk.database, after_pages=after_pages):
        for _ in range(2):
            with contextlib.suppress(Unavailable):
                desk.compact(records=20)
            assert plain(all_records(desk)) == plain(before)
        with pytest.raises(Unavailable):
            desk.post(*[info(secrets.token_hex(4_000)) for _ in range(50)])
    assert desk.post(info("room again")).first_id
    desk.compact()
    assert (desk.reader.stats().hot_records, desk.reader.stats().records) == (0, 121)
    assert {one.key for one in desk.objects.keys()} == desk.database.read(catalogue.known_keys)  # noqa: SIM118


# Records that no segment can be made of.


def uncompactable(desk: Desk) -> float:
    return desk.metrics.registry.get_sample_value("tocsin_uncompactable_total") or 0.0


def test_a_chunk_that_no_segment_can_be_made_of_stays_hot_and_stops_no_other(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    tried: list[int] = []

    def make(frame: pl.DataFrame, **how: Any) -> list[Built]:
        tried.append(len(frame))
        if frame.get_column("message").str.contains("poison").any():
            raise ValueError("a bug")
        return build(frame, **how)

    fill(desk, 150, per_post=10)
    poisoned = [desk.post(info("poison"), info("beside it")), desk.post(info("more poison"))]
    fill(desk, 150, seed=2, per_post=10)
    before = all_records(desk)
    desk.compactor.make = make
    capsys.readouterr()
    desk.compact()

    assert plain(all_records(desk)) == plain(before)
    assert (desk.reader.stats().hot_records, desk.reader.stats().records) == (3, 300)
    hot = desk.database.read(store.hot_chunks)
    assert [chunk.first_id for chunk in hot] == [stored.first_id for stored in poisoned]
    assert [record.message for record in desk.reader.search(LogQuery(q="poison")).items] == ["more poison", "poison"]
    assert desk.reader.get(poisoned[0].first_id or 0).message == "poison"
    assert uncompactable(desk) == 2

    tried.clear()
    for _ in range(3):
        desk.clock.advance(minutes=11)
        desk.compact()
    assert tried == []  # nobody tries again
    fill(desk, 50, seed=3)
    desk.compact()
    assert desk.reader.stats().hot_records == 3
    lines = [line for line in capsys.readouterr().out.splitlines() if "not_compactable" in line]
    assert len(lines) == 2
    assert "ValueError: a bug" in lines[0]

    desk.clock.advance(minutes=3)
    mended = compactor_with(desk, desk.objects)  # of the next start
    mended.run()
    assert desk.reader.stats().hot_records == 0
    assert len(all_records(desk)) == len(before) + 50


def test_more_chunks_than_fit_a_turn_may_be_left(desk: Desk) -> None:
    def make(frame: pl.DataFrame, **how: Any) -> list[Built]:
        if frame.get_column("message").str.contains("poison").any():
            raise ValueError("a bug")
        return build(frame, **how)

    for _ in range(7):
        desk.post(info("poison"))
    fill(desk, 60, per_post=10)
    worker = compactor_with(desk, desk.objects)
    worker.make, worker.bounds = make, Bounds(chunks=3, age=timedelta(0))
    worker.run()
    assert (desk.reader.stats().hot_records, desk.reader.stats().records) == (7, 60)


@pytest.mark.parametrize("error", [ValueError("a bug"), PanicException("a bug of a library")])
def test_a_single_chunk_is_left_whatever_goes_wrong_with_it(desk: Desk, error: BaseException) -> None:
    def make(*_: Any, **__: Any) -> list[Built]:
        raise error

    desk.post(info("poison"))
    desk.compactor.make = make
    desk.compact()
    assert uncompactable(desk) == 1
    assert [record.message for record in all_records(desk)] == ["poison"]


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.EIO, "I/O error")])
def test_what_the_surroundings_do_is_not_held_against_the_records(desk: Desk, error: Exception) -> None:
    def make(*_: Any, **__: Any) -> list[Built]:
        raise error

    before = fill(desk, 60)
    worker = compactor_with(desk, desk.objects)
    worker.make = make
    with pytest.raises(type(error)):
        worker.run()
    assert uncompactable(desk) == 0
    worker.make = build
    worker.run()
    assert desk.reader.stats().hot_records == 0
    assert plain(all_records(desk)) == plain(before)


def test_segments_that_can_not_be_merged_stay_as_they_are(desk: Desk) -> None:
    def make(frame: pl.DataFrame, **how: Any) -> list[Built]:
        if len(frame) > 20:
            raise ValueError("a bug")
        return build(frame, **how)

    desk.compactor.make = make
    for seed in range(9):
        fill(desk, 10, seed=seed, per_post=10)
        desk.compact()
    assert len(all_records(desk)) == 90
    assert desk.reader.stats().segments >= 8
    assert uncompactable(desk) == 8


# Which segments are merged.


def small(records: int, megabytes: float = 0, *, stray: bool = False) -> SmallSegment:
    return SmallSegment(secrets.token_hex(4), records, int(megabytes * 2**20) or records * 100, stray)


def test_large_segments_of_few_records_are_not_in_the_way_of_small_ones() -> None:
    tiny = [small(10) for _ in range(100)]
    assert to_merge([small(90, 40), small(80, 30), *tiny]) == tiny
    assert to_merge([small(50), *[small(60) for _ in range(10)]], most=60) == []


sizes = st.tuples(st.integers(1, 65_536), st.sampled_from([0, 0, 0.01, 1, 20, 31, 33, 64]), st.booleans())


@given(st.lists(sizes, max_size=60), st.sampled_from([100, 4_096, SEGMENT_RECORDS]))
def test_merging_comes_to_an_end_with_few_small_segments_left(found: list[tuple[Any, ...]], most: int) -> None:
    there = [small(min(records, most), megabytes, stray=stray) for records, megabytes, stray in found]
    rewritten = dict.fromkeys((segment.key for segment in there), 0)
    made_of = {segment.key: [segment.key] for segment in there}
    while chosen := to_merge([segment for segment in there if segment.records < 32_768], most=most):
        keys = {segment.key for segment in chosen}
        records, raw_bytes = sum(s.records for s in chosen), sum(s.raw_bytes for s in chosen)
        assert len(chosen) > 1
        assert records <= most
        assert raw_bytes <= SEGMENT_BYTES
        assert len({segment.stray for segment in chosen}) == 1
        merged = small(records, raw_bytes / 2**20, stray=chosen[0].stray)
        made_of[merged.key] = [origin for segment in chosen for origin in made_of[segment.key]]
        for origin in made_of[merged.key]:
            rewritten[origin] += 1
        place = there.index(chosen[0])
        there = [segment for segment in there if segment.key not in keys]
        there.insert(place, merged)
    for stray in (False, True):
        mergeable = [
            s for s in there if s.stray == stray and 2 * s.records <= most and s.raw_bytes < SEGMENT_BYTES // 2
        ]
        assert len(mergeable) <= 4 * 7  # seven of each size
    assert max(rewritten.values(), default=0) <= 12


def test_workers_that_compact_the_same_chunks_at_once_double_nothing(desk: Desk) -> None:
    before = fill(desk, 400)
    objects = Failing(desk.objects.path)
    met = threading.Barrier(2)
    objects.then = lambda: met.wait(30) and None
    frames = []

    def compact() -> None:
        worker = compactor_with(desk, objects)
        worker.lease = secrets.token_hex(4)  # as if the other one's had run out meanwhile
        frames.append(worker._compact())

    in_threads(compact, compact)
    assert sorted(frames) == [False, True]
    assert plain(all_records(desk)) == plain(before)
    assert len(list(desk.objects.keys())) == 1


def test_searches_during_compaction_see_every_record_once(desk: Desk) -> None:
    before = plain(fill(desk, 600, per_post=10))
    wrong: list[int] = []
    done = threading.Event()

    def search() -> None:
        while not done.is_set():
            found = plain(all_records(desk))
            if found != before:
                wrong.append(len(found))

    def compact() -> None:
        for age in range(30):
            desk.compact(records=20 + age)
            desk.clock.advance(seconds=5)
        done.set()

    found = in_threads(search, search, compact)
    assert (wrong, found) == ([], [None, None, None])


def test_more_hot_records_than_are_kept_in_memory_are_found_all_the_same(desk: Desk) -> None:
    before = fill(desk, 500, per_post=20)
    files = SegmentFiles(desk.database, desk.objects, metrics=desk.metrics)
    parts = Parts(desk.database, files, HotTail(desk.database, keep_bytes=5_000))
    found = find(parts, Sought(), limit=1000, budget=Budget(60))
    assert found.rows.get_column("id").to_list() == [record.id for record in before]
    assert found.scanned.parts > 1


def test_parked_records_stay_where_their_retry_looks_for_them(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desk = open_desk(settings, detection=Astray())
    parked = desk.post(critical())
    assert parked.first_id is not None
    desk.compact()
    held = desk.database.read(lambda tx: store.hot_chunk_of(tx, parked.first_id or 0))
    assert held is not None
    assert desk.reader.stats().hot_records == 1


# Damage.


def only_segment(desk: Desk) -> tuple[catalogue.Segment, Path]:
    [segment] = desk.database.read(catalogue.between)
    return segment, Path(desk.objects.source(segment.key))


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["spoiled", "cut", "gone"])
def test_a_damaged_segment_is_named_set_aside_and_stops_nothing(desk: Desk, how: str) -> None:
    lost = fill(desk, 60)
    desk.compact()
    segment, path = only_segment(desk)
    if how == "spoiled":
        spoil(path)
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        path.unlink()
    desk.post(info("still here"))

    page = desk.reader.search(LogQuery())
    assert [record.message for record in page.items] == ["still here"]
    assert page.scanned.damaged == 1
    with pytest.raises(NotFound):
        desk.reader.get(lost[0].id)
    [named] = desk.reader.stats().damaged
    assert named.key == segment.key
    assert named.damage
    assert not path.exists()
    told = desk.database.read(
        lambda tx: list(tx.execute(select(events.c.kind).where(events.c.kind == "SegmentDamaged")))
    )
    assert len(told) == 1
    desk.compact()
    assert desk.reader.search(LogQuery()).items[0].message == "still here"


def test_a_segment_that_someone_mends_is_taken_back(desk: Desk) -> None:
    before = fill(desk, 60)
    desk.compact()
    _, path = only_segment(desk)
    good = path.read_bytes()
    spoil(path)
    assert desk.reader.search(LogQuery()).items == []

    path.write_bytes(good)
    desk.clock.advance(minutes=11)
    desk.compact()
    assert plain(all_records(desk)) == plain(before)
    assert desk.reader.stats().damaged == []


def test_a_segment_that_is_spoiled_after_it_was_read_is_noticed(desk: Desk) -> None:
    fill(desk, 60)
    desk.compact()
    assert len(desk.reader.search(LogQuery()).items) == 60
    _, path = only_segment(desk)
    spoil(path)
    page = desk.reader.search(LogQuery())
    assert (page.items, page.scanned.damaged) == ([], 1)


def test_duckdb_reads_segments_as_they_are(desk: Desk) -> None:
    for n in range(200):
        desk.post(info(f"m{n}", attributes={"region": "eu" if n % 4 else "us", "ms": n + 0.5}))
    desk.compact()
    _, path = only_segment(desk)
    rows = duckdb.sql(
        'SELECT level, service, "attributes.region", count(*), max("attributes.ms") '
        f"FROM '{path}' GROUP BY ALL ORDER BY 3"
    ).fetchall()
    assert rows == [("INFO", "payments", "eu", 150, 199.5), ("INFO", "payments", "us", 50, 196.5)]
    [(first, last)] = duckdb.sql(f"SELECT epoch_us(min(timestamp)), epoch_us(max(timestamp)) FROM '{path}'").fetchall()
    assert first == last == to_us(START)


def test_what_can_be_ruled_out_is_not_read(desk: Desk) -> None:
    for service in ("a", "b", "c"):
        desk.post(*[info(f"{service} {n}", service=service) for n in range(10)])
        desk.compact()
    scanned = Scanned()
    files = SegmentFiles(desk.database, desk.objects, metrics=desk.metrics)
    found = Parts(desk.database, files, HotTail(desk.database)).for_(Sought(service="b"), scanned)
    assert len(found) == 1
    assert scanned.pruned == 2


def test_words_are_found_in_a_segment_that_was_merged_from_several(desk: Desk) -> None:
    words = [f"word{n}" for n in range(8)]
    for word in words:
        desk.post(info(word))
        desk.compactor.bounds = Bounds(age=timedelta(0))
        desk.compactor._compact()
    queries = [LogQuery(q=word) for word in words]
    assert [len(desk.reader.search(query).items) for query in queries] == [1] * 8
    before = {segment.id for segment in desk.database.read(catalogue.between)}
    desk.compact()

    assert desk.reader.stats().segments == 1
    assert [len(desk.reader.search(query).items) for query in queries] == [1] * 8
    assert not before & {segment.id for segment in desk.database.read(catalogue.between)}


def test_records_are_counted_in_a_hurry_while_too_many_wait(desk: Desk) -> None:
    told: list[tuple[str, int]] = []

    def counting(how: str) -> Callable[[pl.DataFrame], Callable[[Tx], None]]:
        def count(frame: pl.DataFrame) -> Callable[[Tx], None]:
            told.append((how, len(frame)))
            return lambda _: None

        return count

    desk.compactor.count, desk.compactor.count_quickly = counting("calmly"), counting("quickly")
    desk.compactor.bounds = Bounds(records=20, age=timedelta(0), behind=30)
    desk.post(*[info(f"m {n}") for n in range(20)])
    desk.post(*[info(f"n {n}") for n in range(20)])
    desk.compactor.run()
    assert told == [("quickly", 20), ("calmly", 20)]
