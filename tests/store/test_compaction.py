"""Chunks become segments and segments become larger ones: nothing is lost, doubled or changed on the way."""

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
import pytest
from sqlalchemy import func, select

from desk import START, Astray, Desk, critical, in_threads, info
from tocsin.kit.clock import to_us
from tocsin.kit.errors import NotFound
from tocsin.logs import catalogue, store
from tocsin.logs.compaction import Bounds, Compactor
from tocsin.logs.hot import HotTail
from tocsin.logs.model import chunks, consumed, retired_objects, segments
from tocsin.logs.parts import Budget, Parts, Scanned, Sought
from tocsin.logs.record import Record
from tocsin.logs.search import find
from tocsin.logs.segmentfiles import SegmentFiles
from tocsin.logs.service import LogQuery
from tocsin.settings import Settings
from tocsin.storage.model import events
from tocsin.storage.objects import Folder, Stored


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

    objects.full = False
    worker.run()
    assert desk.reader.stats().hot_records == 0
    assert plain(all_records(desk)) == plain(before)


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
