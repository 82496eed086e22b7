"""Retention: what is too old or too much goes, once and by name; everything else stays as it was."""

import errno
import os
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from desk import START, Desk, in_threads, info
from tocsin.kit.actors import SYSTEM
from tocsin.kit.clock import iso
from tocsin.logs import catalogue
from tocsin.logs.catalogue import KeptRows, NewSegment, Segment
from tocsin.logs.compaction import Bounds, Compactor
from tocsin.logs.expiry import Expiry
from tocsin.logs.live import LiveTail
from tocsin.logs.retention import Retention, parse_retention
from tocsin.logs.segmentfiles import SegmentFiles
from tocsin.logs.segments import Built, Facts, build
from tocsin.logs.service import LogQuery
from tocsin.pipeline import LogKeeping
from tocsin.storage.objects import Folder, Stored


def store(desk: Desk, *services: str, days: float = 0, each: int = 1) -> None:
    """A segment with so many records of each of these services, that many days old."""
    stamp = (desk.clock.now() - timedelta(days=days)).isoformat()
    desk.post(*[info(f"{name} {n}", service=name, timestamp=stamp) for name in services for n in range(each)])
    desk.compact()


def retention(age: str | None = None, total: str | None = None, services: str | None = None) -> Retention:
    return parse_retention(age, total, services)


def expire(desk: Desk, kept: Retention) -> None:
    """One look by a worker that has just begun."""
    Expiry(desk.database, desk.compactor, kept).run()


def left(desk: Desk) -> list[str]:
    return sorted(record.message for record in desk.reader.search(LogQuery(limit=1000)).items)


def told(desk: Desk) -> list[tuple[Any, ...]]:
    """What the event list says of retention, without the instants and bytes."""
    found = [event.data for event in desk.events(kind="LogsExpired")]
    return [(data["records"], data["service"], data["reason"]) for data in found]


def segments(desk: Desk) -> list[Segment]:
    return desk.database.read(KeptRows().between)


def files(desk: Desk) -> list[Path]:
    """All files of segments that are there, those set aside included."""
    return sorted(desk.objects.path.rglob("*.parquet"))


def after_a_while(desk: Desk) -> None:
    """What was replaced or let go of is removed."""
    desk.clock.advance(minutes=2)
    desk.compact()


def test_segments_whose_newest_record_is_too_old_go_with_their_files(desk: Desk) -> None:
    store(desk, "old", days=31, each=3)
    store(desk, "young", days=29)
    expire(desk, retention("30d"))

    assert left(desk) == ["young 0"]
    assert told(desk) == [(3, None, "age")]
    [event] = desk.events(kind="LogsExpired")
    assert event.data["oldest"] == event.data["newest"] == iso(START - timedelta(days=31))
    assert len(files(desk)) == 2  # a search that began before may still read it
    after_a_while(desk)
    assert len(files(desk)) == 1


def test_a_segment_stays_until_its_newest_record_is_too_old(desk: Desk) -> None:
    stamps = [(START - timedelta(days=days)).isoformat() for days in (40, 35, 29)]
    desk.post(*[info(stamp, service="shop", timestamp=stamp) for stamp in stamps])
    desk.compact()
    expire(desk, retention("30d"))
    assert len(left(desk)) == 3
    desk.clock.advance(days=1, seconds=1)
    expire(desk, retention("30d"))
    assert (left(desk), told(desk)) == ([], [(3, None, "age")])


def test_without_retention_nothing_goes(desk: Desk) -> None:
    store(desk, "old", days=3000)
    expire(desk, retention())
    assert (left(desk), told(desk)) == (["old 0"], [])


def test_rows_of_a_service_with_a_shorter_age_are_taken_out(desk: Desk) -> None:
    store(desk, "debug", "shop", "noise", days=2, each=3)
    before = desk.reader.search(LogQuery(service="shop")).items
    [old] = segments(desk)
    expire(desk, retention("30d", services="debug=1d, nois*=1d"))

    assert desk.reader.search(LogQuery()).items == before
    [new] = segments(desk)
    assert (new.records, new.services, new.first_id, new.last_id) == (3, {"shop": 3}, before[-1].id, before[0].id)
    assert told(desk) == [(3, "debug", "age"), (3, "noise", "age")]
    freed = sum(event.data["size_bytes"] for event in desk.events(kind="LogsExpired"))
    assert freed == 2 * (old.size_bytes * 3 // 9)
    after_a_while(desk)
    assert [path.name for path in files(desk)] == [Path(new.key).name]


def test_a_service_with_a_longer_age_is_what_stays(desk: Desk) -> None:
    store(desk, "audit", "shop", "mail", days=31)
    kept = retention("30d", services="audit=365d")
    expire(desk, kept)
    assert left(desk) == ["audit 0"]
    desk.clock.advance(days=400)
    expire(desk, kept)
    assert left(desk) == []
    assert told(desk) == [(1, "mail", "age"), (1, "shop", "age"), (1, None, "age")]


def test_the_oldest_segments_go_until_the_rest_is_small_enough(desk: Desk) -> None:
    for days in (5, 1, 4, 2, 3):
        store(desk, f"{days}d", days=days, each=5)
    sizes = {next(iter(segment.services)): segment.size_bytes for segment in segments(desk)}
    kept = sizes["1d"] + sizes["2d"]
    expire(desk, retention(total=f"{kept}"))

    assert {message.split()[0] for message in left(desk)} == {"1d", "2d"}
    assert told(desk) == [(15, None, "size")]
    expire(desk, retention(total=f"{kept}"))
    assert len(told(desk)) == 1
    expire(desk, retention(total="1"))
    assert (left(desk), told(desk)) == ([], [(15, None, "size"), (10, None, "size")])


def test_more_segments_than_are_looked_at_at_once_all_go_but_those_that_stay(desk: Desk) -> None:
    new = [row(n, "audit" if n % 2 else "shop") for n in range(450)]  # rows alone: what goes whole is not read
    desk.database.write(lambda tx: catalogue.add(tx, new), actor=SYSTEM)
    expire(desk, retention("30d", services="audit=365d"))
    assert {name for segment in segments(desk) for name in segment.services} == {"audit"}
    assert told(desk) == [(1, None, "age")] * 225


def row(n: int, service: str) -> NewSegment:
    at = START - timedelta(days=40, seconds=n)
    facts = Facts(
        first_id=n, last_id=n, records=1, raw_bytes=10, min_at=at, max_at=at, severities=1 << 9,
        services={service: 1}, layout={}, raw_rows=0, stray=False,
    )  # fmt: skip
    return NewSegment(f"2026-10/{n:016d}.parquet", Stored(10, "0" * 64), facts, b"")


def test_every_record_that_goes_is_told_of_once(desk: Desk) -> None:
    kept = retention("10d", "30kB", "debug=1d,audit=14d")
    posted = 0
    for turn in range(12):
        store(desk, "debug", "shop", "audit", each=turn + 1)
        posted += 3 * (turn + 1)
        expire(desk, kept)
        desk.clock.advance(days=2)
        expire(desk, kept)
        expire(desk, kept)
        assert sum(records for records, _, _ in told(desk)) == posted - len(left(desk))
    of_service = [service for _, service, _ in told(desk)]
    assert {None, "debug", "shop"} <= set(of_service)
    after_a_while(desk)
    assert {one.key for one in desk.objects.keys()} == {segment.key for segment in segments(desk)}  # noqa: SIM118


def test_hot_records_are_not_touched_however_old_they_are(desk: Desk) -> None:
    desk.post(info("ancient", timestamp="2011-01-01T00:00:00Z"), info("of today"))
    kept = retention("1d", "1", "payments=1s")
    expire(desk, kept)
    assert left(desk) == ["ancient", "of today"]
    desk.compact()
    expire(desk, retention("1d"))
    assert left(desk) == ["of today"]


def test_it_looks_once_a_minute(desk: Desk) -> None:
    expiry = Expiry(desk.database, desk.compactor, retention("1d"))
    expiry.run()
    store(desk, "old", days=2)
    expiry.run()
    assert left(desk) == ["old 0"]
    desk.clock.advance(seconds=61)
    expiry.run()
    assert left(desk) == []


# Damaged segments.


def spoil(desk: Desk, segment: Segment) -> None:
    path = Path(desk.objects.source(segment.key))
    path.write_bytes(path.read_bytes()[:-10])


def test_a_damaged_segment_goes_in_its_time_and_so_does_what_was_set_aside(desk: Desk) -> None:
    store(desk, "shop", days=2, each=3)
    spoil(desk, *segments(desk))
    assert left(desk) == []
    [set_aside] = files(desk)
    assert set_aside.is_relative_to(desk.objects.path / "damaged")
    expire(desk, retention("3d"))
    assert len(desk.reader.stats().damaged) == 1

    expire(desk, retention("1d"))
    assert (desk.reader.stats().damaged, told(desk)) == ([], [(3, None, "age")])
    after_a_while(desk)
    assert files(desk) == []


def test_a_damaged_segment_counts_as_long_as_its_file_takes_room(desk: Desk) -> None:
    store(desk, "shop", days=2, each=3)
    store(desk, "mail", days=1, each=3)
    old, young = sorted(segments(desk), key=lambda segment: segment.max_at)
    spoil(desk, old)
    left(desk)
    expire(desk, retention(total=f"{young.size_bytes}"))
    assert (desk.reader.stats().damaged, len(left(desk))) == ([], 3)
    after_a_while(desk)
    assert len(files(desk)) == 1


@pytest.mark.parametrize("noticed", ["by a search", "by retention itself"])
def test_rows_are_not_taken_out_of_a_damaged_segment(desk: Desk, noticed: str) -> None:
    store(desk, "debug", "shop", days=2)
    store(desk, "debug", "mail", days=2)
    damaged, _ = sorted(segments(desk), key=lambda segment: segment.first_id)
    spoil(desk, damaged)
    if noticed == "by a search":
        left(desk)
    kept = retention("30d", services="debug=1d")
    expire(desk, kept)
    assert left(desk) == ["mail 0"]
    assert told(desk) == [(1, "debug", "age")]
    desk.clock.advance(days=30)
    expire(desk, kept)
    assert sorted(told(desk)[1:]) == [(1, None, "age"), (2, None, "age")]
    after_a_while(desk)
    assert (segments(desk), files(desk)) == ([], [])


# Others at work, and a disk that is full.


class Slow(Folder):
    """A folder whose writers wait for each other before they are done, and which may be full."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.then: Callable[[], object] = lambda: None
        self.full = False

    def put(self, key: str, write: Callable[[Path], None]) -> Stored:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        stored = super().put(key, write)
        self.then()
        return stored


def compactor_with(desk: Desk, objects: Folder, **parts: Any) -> Compactor:
    found = SegmentFiles(desk.database, objects, metrics=desk.metrics)
    bounds = Bounds(age=timedelta(0))
    return Compactor(desk.database, objects, found, desk.metrics, alone=False, bounds=bounds, **parts)


def test_two_workers_that_take_the_same_rows_out_do_it_once(desk: Desk) -> None:
    store(desk, "debug", "shop", days=2, each=4)
    objects = Slow(desk.objects.path)
    met = threading.Barrier(2)
    objects.then = lambda: met.wait(30)

    def work() -> None:
        Expiry(desk.database, compactor_with(desk, objects), retention("30d", services="debug=1d")).run()

    assert in_threads(work, work) == [None, None]
    assert left(desk) == [f"shop {n}" for n in range(4)]
    assert told(desk) == [(4, "debug", "age")]
    after_a_while(desk)
    assert len(files(desk)) == 1


def test_two_workers_that_drop_the_same_segments_tell_of_it_once(desk: Desk) -> None:
    store(desk, "old", days=40)
    store(desk, "older", days=50)
    expiry = Expiry(desk.database, desk.compactor, retention("30d"))
    there = segments(desk)
    assert expiry._drop(there[:1], reason="age")
    assert not expiry._drop(there, reason="age")  # one of them is gone meanwhile
    assert told(desk) == [(1, None, "age")]
    expiry.run()
    assert (left(desk), told(desk)) == ([], [(1, None, "age")] * 2)


def test_a_segment_that_was_merged_meanwhile_is_looked_at_again(desk: Desk) -> None:
    store(desk, "debug", "shop", days=2)
    [seen] = segments(desk)
    desk.compactor.rewrite(seen, desk.compactor.files.whole(seen), lambda tx: None)  # by another worker
    expiry = Expiry(desk.database, desk.compactor, retention("30d", services="debug=1d"))
    assert expiry._rewrite(seen, {"debug"})
    assert (left(desk), told(desk)) == (["debug 0", "shop 0"], [])
    expiry.run()
    assert (left(desk), told(desk)) == (["shop 0"], [(1, "debug", "age")])


def test_a_full_disk_is_made_room_on(desk: Desk) -> None:
    """Neither what waits to be compacted nor rows to be taken out keep whole segments from going."""
    store(desk, "debug", "shop", days=2)
    store(desk, "old", days=1.9)
    store(desk, "large", days=40)
    desk.post(info("hot"))
    objects = Slow(desk.objects.path)
    objects.full = True
    worker = compactor_with(desk, objects)
    expiry = Expiry(desk.database, worker, retention("30d", services="debug=1d,old=1d"))
    keeping = LogKeeping(worker, expiry, LiveTail(desk.database), desk.reader)

    for _ in range(2):
        with pytest.raises(OSError, match="No space left"):
            keeping.compact()
        assert left(desk) == ["debug 0", "hot", "shop 0"]
    desk.clock.advance(minutes=2)
    with pytest.raises(OSError, match="No space left"):
        keeping.compact()
    assert len(files(desk)) == 1

    objects.full = False
    keeping.compact()
    assert left(desk) == ["hot", "shop 0"]
    assert sum(records for records, _, _ in told(desk)) == 3


def test_a_segment_that_can_not_be_rewritten_stops_no_other(desk: Desk) -> None:
    tried = []

    def make(frame: pl.DataFrame, **how: Any) -> list[Built]:
        tried.append(len(frame))
        if frame.get_column("service").is_in(["odd"]).any():
            raise ValueError("a bug")
        return build(frame, **how)

    store(desk, "debug", "odd", days=3)
    store(desk, "debug", "shop", days=2)
    expiry = Expiry(desk.database, compactor_with(desk, desk.objects, make=make), retention(services="debug=1d"))
    for _ in range(3):
        expiry.run()
        assert left(desk) == ["debug 0", "odd 0", "shop 0"]
        desk.clock.advance(minutes=2)
    assert (tried, told(desk)) == ([1, 1], [(1, "debug", "age")])
