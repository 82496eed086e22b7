"""Exports: complete and without doubles, however often they are interrupted; a receiver that has left costs nothing."""

from collections.abc import Iterator
from contextlib import ExitStack

import polars as pl
import pytest

from desk import Desk, info
from tocsin.kit.errors import Unavailable
from tocsin.logs.budget import Budget
from tocsin.logs.segmentfiles import SegmentFiles
from tocsin.logs.service import AT_ONCE, EXPORTS_AT_ONCE, LogQuery, LogReader
from tocsin.storage.dialects import Sqlite


def endless() -> Budget:
    return Budget(float("inf"))


def messages(frame: pl.DataFrame) -> list[str]:
    return frame.get_column("message").to_list()


def all_messages(pages: Iterator[pl.DataFrame]) -> list[str]:
    return [message for frame in pages for message in messages(frame)]


@pytest.fixture
def filled(desk: Desk) -> Desk:
    """Records 0 to 11 in several parts, the last of them hot."""
    for batch in range(4):
        desk.clock.advance(seconds=1)
        desk.post(*[info(str(3 * batch + n)) for n in range(3)])
        if batch < 3:
            desk.compact(records=3)
    return desk


NEWEST_FIRST = [str(n) for n in range(11, -1, -1)]


def test_pages_are_complete_and_in_order(filled: Desk) -> None:
    assert all_messages(filled.reader.pages(LogQuery(), rows=5, budget=endless())) == NEWEST_FIRST


def test_a_page_that_ran_out_of_time_is_gone_on_with(filled: Desk) -> None:
    """However short the time for one page is."""
    files = SegmentFiles(filled.database, filled.objects, metrics=filled.metrics)
    hasty = LogReader(filled.database, files, filled.clock, search_s=1e-9)
    assert all_messages(hasty.pages(LogQuery(), rows=2, budget=endless())) == NEWEST_FIRST


def test_an_export_waits_while_others_search(filled: Desk) -> None:
    pages = filled.reader.pages(LogQuery(), rows=100, budget=endless())
    with ExitStack() as searching:
        for _ in range(AT_ONCE):
            searching.enter_context(filled.reader._turn(filled.reader.budget()))
        assert messages(next(pages)) == []
    assert all_messages(pages) == NEWEST_FIRST


def test_exports_leave_turns_to_searches(filled: Desk) -> None:
    with ExitStack() as exporting:
        for _ in range(EXPORTS_AT_ONCE):
            exporting.enter_context(filled.reader._export_turn())
        assert messages(next(filled.reader.pages(LogQuery(), rows=1, budget=endless()))) == []
        assert len(filled.reader.search(LogQuery()).items) == 12


def test_searches_beyond_the_bound_are_told_to_try_again(filled: Desk) -> None:
    with ExitStack() as searching:
        for _ in range(AT_ONCE):
            searching.enter_context(filled.reader._turn(filled.reader.budget()))
        with pytest.raises(Unavailable, match="try again"):
            filled.reader.search(LogQuery(), budget=Budget(0.01))


def test_an_export_ends_when_its_receiver_has_left(filled: Desk) -> None:
    budget = endless()
    pages = filled.reader.pages(LogQuery(), rows=1, budget=budget)
    assert messages(next(pages)) == ["11"]
    budget.cancel()
    assert list(pages) == []


def test_nothing_is_held_while_a_receiver_is_slow(filled: Desk) -> None:
    """Neither a turn nor a snapshot of the database, which would keep its write-ahead log growing."""
    pages = filled.reader.pages(LogQuery(), rows=2, budget=endless())
    next(pages)
    assert filled.database.dialect.readers.pool.checkedout() == 0  # type: ignore[attr-defined]
    if isinstance(filled.database.dialect, Sqlite):
        filled.post(info("written meanwhile"))
        filled.database.checkpoint()
        assert filled.database.dialect.wal_bytes() == 0
    with ExitStack() as searching:
        for _ in range(AT_ONCE):
            searching.enter_context(filled.reader._turn(Budget(0.01)))


def test_what_is_compacted_meanwhile_is_exported_once(desk: Desk) -> None:
    desk.post(*[info(str(n)) for n in range(12)])
    pages = desk.reader.pages(LogQuery(), rows=5, budget=endless())
    first = messages(next(pages))
    desk.compact()
    assert first + all_messages(pages) == NEWEST_FIRST
