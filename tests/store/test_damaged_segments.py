"""Records of a damaged segment are missing, and every answer that they are missing in says so, not only the first."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from desk import START, Desk, info
from tocsin.kit.errors import NotFound, Unreadable
from tocsin.logs import catalogue
from tocsin.logs.levels import Level
from tocsin.logs.service import LogQuery


def at(minutes: int) -> str:
    return (START - timedelta(minutes=minutes)).isoformat()


def stored(desk: Desk, word: str, *, minutes: int, **facts: Any) -> int:
    """A segment of one record; its id."""
    posted = desk.post(info(word, timestamp=at(minutes), **facts))
    desk.compact()
    assert posted.first_id is not None
    return posted.first_id


def spoil(desk: Desk, record_id: int) -> str:
    """Cut the file of a record short; its key."""
    [segment] = desk.database.read(lambda tx: catalogue.holding(tx, record_id))
    path = Path(desk.objects.source(segment.key))
    path.write_bytes(path.read_bytes()[:-10])
    return segment.key


@pytest.fixture
def lost(desk: Desk) -> int:
    """The id of a record of `shop`, half an hour old, whose segment is damaged; there are sound ones beside it."""
    stored(desk, "older", minutes=40, service="shop")
    lost = stored(desk, "gone", minutes=30, service="shop")
    stored(desk, "newer", minutes=20, service="shop")
    stored(desk, "other", minutes=10, service="mail")
    desk.post(info("hot", service="shop"))
    spoil(desk, lost)
    return lost


EVERYTHING = LogQuery()


def test_every_answer_says_that_a_segment_is_missing(desk: Desk, lost: int) -> None:
    for _ in range(3):
        page = desk.reader.search(EVERYTHING)
        assert [record.message for record in page.items] == ["hot", "other", "newer", "older"]
        counted = desk.reader.histogram(EVERYTHING, interval=None, by=())
        ranked = desk.reader.top(EVERYTHING, field_name="service")
        listed = desk.reader.fields(EVERYTHING)
        assert [found.scanned.damaged for found in (page, counted, ranked, listed)] == [1, 1, 1, 1]
        assert (counted.total, ranked.total) == (4, 4)


def test_pages_say_so_as_long_as_it_lies_before_them(desk: Desk, lost: int) -> None:
    desk.reader.search(EVERYTHING)
    told = []
    query = LogQuery(limit=1)
    while True:
        page = desk.reader.search(query)
        told.append((page.items[0].message, page.scanned.damaged))
        if page.next is None:
            break
        query = LogQuery(limit=1, cursor=page.next)
    assert told == [("hot", 1), ("other", 1), ("newer", 1), ("older", 1)]
    until_then = LogQuery(until=START - timedelta(minutes=35))
    assert desk.reader.search(until_then).scanned.damaged == 0


@pytest.mark.parametrize(
    ("query", "damaged"),
    [
        (LogQuery(service="shop"), 1),
        (LogQuery(service="mail"), 0),
        (LogQuery(level=Level.INFO), 1),
        (LogQuery(level=Level.ERROR), 0),
        (LogQuery(since=START - timedelta(minutes=25)), 0),
        (LogQuery(until=START - timedelta(minutes=35)), 0),
        (LogQuery(since=START - timedelta(minutes=35), until=START - timedelta(minutes=25)), 1),
        (LogQuery(q="gone"), 1),
        (LogQuery(q="newer"), 0),
    ],
)
def test_a_segment_that_can_not_hold_what_is_sought_is_not_missed(
    desk: Desk, lost: int, query: LogQuery, damaged: int
) -> None:
    desk.reader.search(EVERYTHING)
    assert desk.reader.search(query).scanned.damaged == damaged


def test_a_record_of_a_damaged_segment_is_not_said_to_be_unknown(desk: Desk, lost: int) -> None:
    [segment] = desk.database.read(lambda tx: catalogue.holding(tx, lost))
    for _ in range(2):
        with pytest.raises(Unreadable, match=f"log record {lost} can't be read: it would be in segment {segment.key}"):
            desk.reader.get(lost)
    with pytest.raises(NotFound) as unknown:
        desk.reader.get(lost + 10**6)
    assert not isinstance(unknown.value, Unreadable)


def test_the_lines_around_one_say_that_some_may_be_missing(desk: Desk, lost: int) -> None:
    newest, oldest = desk.reader.search(LogQuery(service="shop")).items[::2]

    def around(record_id: int, *, before: int, after: int, query: LogQuery = EVERYTHING) -> tuple[list[str], int]:
        found = desk.reader.context(record_id, before=before, after=after, query=query)
        assert not found.partial
        return [record.message for record in (*found.after, found.record, *found.before)], found.scanned.damaged

    assert around(newest.id, before=5, after=5) == (["hot", "newer", "older"], 1)
    assert around(oldest.id, before=5, after=1) == (["newer", "older"], 1)
    # What lies outside of the lines that are shown is not missed among them.
    assert around(newest.id, before=1, after=5) == (["hot", "newer"], 0)
    assert around(newest.id, before=0, after=5) == (["hot"], 0)
    assert around(oldest.id, before=5, after=0) == (["older"], 0)
    assert around(newest.id, before=5, after=0, query=LogQuery(since=START - timedelta(minutes=25)))[1] == 0
    with pytest.raises(Unreadable):
        desk.reader.context(lost, before=1, after=1, query=EVERYTHING)


def test_a_segment_on_both_sides_of_a_line_is_missed_once(desk: Desk) -> None:
    both = desk.post(info("early", timestamp=at(30)), info("late", timestamp=at(10)))
    desk.compact()
    middle = stored(desk, "middle", minutes=20)
    spoil(desk, both.first_id or 0)
    for _ in range(2):
        found = desk.reader.context(middle, before=5, after=5, query=EVERYTHING)
        assert ([*found.after, *found.before], found.scanned.damaged) == ([], 1)


def test_a_search_that_had_no_time_says_so_around_a_line_too(desk: Desk) -> None:
    ids = [stored(desk, f"m{n}", minutes=n) for n in range(4)]
    budget = desk.reader.budget()
    budget.cancel()
    found = desk.reader.context(ids[0], before=3, after=0, query=EVERYTHING, budget=budget)
    assert found.partial
    assert len(found.before) < 3


def test_what_is_damaged_is_not_counted_among_what_there_is(desk: Desk, lost: int) -> None:
    desk.reader.search(EVERYTHING)
    stats = desk.reader.stats()
    assert (stats.segments, stats.records, stats.services) == (3, 3, {"mail": 1, "shop": 2})
    assert [segment.records for segment in stats.damaged] == [1]
