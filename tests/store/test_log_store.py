"""Stored logs: filters, event time out of order, pages that neither skip nor double."""

import itertools
import random
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desk import START, Desk, critical, decode_records, info
from tocsin.kit.actors import SYSTEM
from tocsin.kit.errors import Invalid, NotFound
from tocsin.logs import store
from tocsin.logs.chunks import pack
from tocsin.logs.levels import Level
from tocsin.logs.parts import Budget
from tocsin.logs.record import Record
from tocsin.logs.service import LogQuery
from tocsin.settings import Settings

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def at(minutes: float) -> str:
    return (START - timedelta(minutes=minutes)).isoformat()


def pages(desk: Desk, query: LogQuery, *, max_s: float = 60) -> list[Record]:
    """All pages, one after the other."""
    found: list[Record] = []
    while True:
        page = desk.reader.search(query, budget=Budget(max_s))
        assert len(page.items) <= query.limit
        found += page.items
        assert len(found) < 50_000, "pages without end"
        if page.next is None:
            return found
        query = replace(query, cursor=page.next)


def keys(records: list[Record]) -> list[tuple[datetime, int]]:
    return [(record.timestamp, record.id) for record in records]


@pytest.fixture
def shelf(desk: Desk) -> Desk:
    """120 records in 24 chunks; event times out of order, many equal, some a year late."""
    chance = random.Random(7)
    for batch in range(24):
        desk.post(*[
            info(
                f"Message {batch}-{n} " + chance.choice(["Straße", "naïve", "plain"]),
                service=chance.choice(["shop", "payments", "mail"]),
                level=chance.choice(LEVELS),
                timestamp=at(chance.choice([0, 1, 5, 5, 5, 60, 60 * 24 * 365]) + chance.randrange(3)),
            )
            for n in range(5)
        ])  # fmt: skip
    return desk


@pytest.mark.parametrize("limit", [1, 7, 119, 120, 1000])
def test_pages_neither_skip_nor_double_whatever_their_size(shelf: Desk, limit: int) -> None:
    found = pages(shelf, LogQuery(limit=limit))

    assert keys(found) == sorted(keys(found), reverse=True)
    assert len({record.id for record in found}) == len(found) == 120


def test_a_search_that_runs_out_of_time_goes_on_where_it_stopped(shelf: Desk) -> None:
    assert keys(pages(shelf, LogQuery(limit=50), max_s=60)) == keys(pages(shelf, LogQuery(limit=1000)))
    assert _pages_in_no_time(shelf) == keys(pages(shelf, LogQuery(limit=1000)))


def _pages_in_no_time(desk: Desk) -> list[tuple[datetime, int]]:
    found: list[Record] = []
    cursor: str | None = None
    for _ in range(1000):
        page = desk.reader.search(LogQuery(limit=20, cursor=cursor), budget=Budget(0.002))
        found += page.items
        if page.partial and page.next is None:
            continue  # nowhere at all: a busy machine
        if page.next is None:
            return keys(found)
        cursor = page.next
    raise AssertionError("a search that never gets on")


def test_records_that_arrive_between_two_pages_move_no_other(shelf: Desk) -> None:
    first = shelf.reader.search(LogQuery(limit=50))
    shelf.post(info("late", timestamp=at(2)), info("new"))
    rest = pages(shelf, LogQuery(limit=50, cursor=first.next))

    ids = [record.id for record in (*first.items, *rest)]
    assert len(ids) == len(set(ids))
    assert {record.id for record in shelf.logs if record.message.startswith("Message")} <= set(ids)


@pytest.mark.parametrize(
    "query",
    [
        LogQuery(level=Level.WARNING),
        LogQuery(level=Level.CRITICAL),
        LogQuery(service="shop"),
        LogQuery(service="nobody"),
        LogQuery(since=START - timedelta(minutes=6)),
        LogQuery(until=START - timedelta(minutes=6)),
        LogQuery(since=START - timedelta(minutes=7), until=START - timedelta(minutes=6)),
        LogQuery(text="MESSAGE 3-"),
        LogQuery(text="message 3-"),
        LogQuery(text="naÏve", level=Level.ERROR, service="payments", since=START - timedelta(days=1)),
    ],
)
def test_filters_find_what_matches_and_nothing_else(shelf: Desk, query: LogQuery) -> None:
    def matches(record: Record) -> bool:
        return (
            (query.level is None or Level[record.level] >= query.level)
            and (query.service is None or record.service == query.service)
            and (query.since is None or record.timestamp >= query.since)
            and (query.until is None or record.timestamp < query.until)
            and (query.text is None or query.text.casefold() in record.message.casefold())
        )

    expected = sorted(((r.timestamp, r.id) for r in shelf.logs if matches(r)), reverse=True)
    assert keys(pages(shelf, query)) == expected
    small = replace(query, limit=3)
    assert keys(pages(shelf, small)) == expected


def test_a_record_is_read_back_as_it_was_sent(desk: Desk) -> None:
    stored = desk.post(
        info(
            "héllo\n\twörld 😀",
            timestamp="2026-11-24T03:20:00.123456+01:00",
            attributes={"a": [1, {"b": None}], "big": 2**70},
            trace_id="t1",
            span_id="s1",
            source="test",
        )
    )
    record = desk.reader.get(stored.first_id)

    assert (record.message, record.level, record.severity_number) == ("héllo\n\twörld 😀", "INFO", 9)
    assert record.timestamp.isoformat() == "2026-11-24T02:20:00.123456+00:00"
    assert record.observed_at == START
    assert bytes(record.attributes).replace(b" ", b"") == b'{"a":[1,{"b":null}],"big":%d}' % 2**70
    assert (record.trace_id, record.span_id, record.source, record.skewed, record.backfill) == (
        "t1",
        "s1",
        "test",
        None,
        False,
    )


@pytest.mark.parametrize("record_id", [0, -1, 2, 99, 2**53, 2**63, 2**80])
def test_an_id_that_no_record_has_is_not_found(desk: Desk, record_id: int) -> None:
    desk.post(info())
    with pytest.raises(NotFound):
        desk.reader.get(record_id)


def test_ids_rise_with_arrival_and_no_two_processes_share_one(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desks = [open_desk(settings) for _ in range(1 if settings.database_secret is None else 3)]
    for _ in range(3):
        for desk in desks:
            one, two = desk.post(info(), info()), desk.post(info())
            assert one.first_id + 1 == one.last_id < two.first_id
    ids = [record.id for record in desks[0].logs]
    assert len(ids) == len(set(ids)) == 9 * len(desks)
    assert max(ids) < 2**53


def test_reserved_ids_do_not_overlap(desk: Desk) -> None:
    firsts = [desk.database.write(lambda tx: store.reserve_ids(tx, 10), actor=SYSTEM) for _ in range(5)]
    assert [later - earlier for earlier, later in itertools.pairwise(firsts)] == [10] * 4


def test_a_large_batch_is_cut_into_chunks_and_read_in_one_order(desk: Desk) -> None:
    stored = desk.post(*[info(f"n{n}", timestamp=at(n % 7)) for n in range(20_000)])

    assert stored.last_id - stored.first_id == 19_999
    chunks = desk.database.read(lambda tx: store.chunks_between(tx, stored.first_id, stored.last_id))
    assert len(chunks) == 3
    assert [chunk.first_id for chunk in chunks[1:]] == [chunk.last_id + 1 for chunk in chunks[:-1]]
    assert len(pages(desk, LogQuery(limit=5000))) == 20_000


def test_a_cursor_of_another_list_is_invalid(desk: Desk) -> None:
    with pytest.raises(Invalid):
        desk.reader.search(LogQuery(cursor="bm9wZQ"))


@settings(max_examples=7, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=4), min_size=1, max_size=5),
    limit=st.integers(1, 6),
)
def test_paging_is_complete_for_any_event_times(desk: Desk, batches: list[list[int]], limit: int) -> None:
    for batch in batches:
        desk.post(*[info(timestamp=at(minutes)) for minutes in batch])

    found = pages(desk, LogQuery(limit=limit))
    assert keys(found) == sorted(((r.timestamp, r.id) for r in desk.logs), reverse=True)


def test_a_critical_record_a_year_late_stands_where_it_belongs(desk: Desk) -> None:
    desk.post(info("now"))
    desk.post(critical("long ago", timestamp=at(60 * 24 * 365)))
    desk.post(info("a minute ago", timestamp=at(1)))

    assert [record.message for record in pages(desk, LogQuery(limit=1))] == ["now", "a minute ago", "long ago"]


def test_a_page_ends_early_at_a_bound_of_bytes_and_the_next_goes_on_there(
    sqlite_settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desk = open_desk(sqlite_settings)
    bound = 30_000
    for batch in range(5):
        desk.post(*[info("ß" * 4000, timestamp=at(batch + n / 10), filler="y" * 1000) for n in range(2)])
    desk.post(info("z" * (bound + 1), timestamp=at(2.05)))

    sizes, found, cursor = [], [], None
    while True:
        page = desk.reader.search(LogQuery(limit=1000, cursor=cursor), max_bytes=bound)
        sizes.append(sum(len(record.message.encode()) + len(bytes(record.attributes)) for record in page.items))
        found += page.items
        cursor = page.next
        if cursor is None:
            break
        assert page.items
    assert len(found) == len({record.id for record in found}) == 11
    assert keys(found) == sorted(keys(found), reverse=True)
    assert sum(size > bound for size in sizes) == 1
    assert len(sizes) == 5
    assert keys(pages(desk, LogQuery(limit=1000))) == keys(found)


def test_a_search_holds_no_more_than_it_answers(sqlite_settings: Settings, open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(sqlite_settings)
    for batch in range(8):
        noise = [info("x" * 200_000, timestamp=at(100 - batch)) for _ in range(20)]
        desk.post(*noise, info("hit", timestamp=at(batch)))
    tracemalloc.start()
    try:
        page = desk.reader.search(LogQuery(text="hit"))
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(page.items) == 8
    assert held < 1 << 20
    assert peak < 20 << 20


def test_many_small_chunks_are_walked_once_each(desk: Desk) -> None:
    count = 522
    placed = []
    for number in range(count):
        batch = decode_records([info(timestamp=at(number * 7 % 5))], arrived=START)
        placed.append((1 + number, False, pack(batch.columns)))
    desk.database.write(lambda tx: store.insert_chunks(tx, placed, observed_at=START, event_id=1), actor=SYSTEM)

    for limit in (300, 1000):
        found = pages(desk, LogQuery(limit=limit))
        assert len(found) == len({record.id for record in found}) == count
        assert keys(found) == sorted(keys(found), reverse=True)
