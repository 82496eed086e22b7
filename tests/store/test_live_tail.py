"""Live tail: every match once, in order; a slow reader is told what it missed, and no filter delays another."""

import threading

import msgspec
import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from desk import PATIENCE_S, Desk, info
from tocsin.kit.actors import SYSTEM
from tocsin.logs.live import MAX_CATCH_UP, MAX_LATE, LiveTail
from tocsin.logs.model import chunks
from tocsin.logs.parts import Sought
from tocsin.logs.service import LogQuery
from tocsin.logs.tailreader import MAX_WAITING_BYTES, Line, Lines, Reader
from tocsin.query.tree import Named, Regex

POISON = Sought(Regex(Named("message"), "a{"))  # Polars raises where it meets this


def quiet(sought: Sought | None = None) -> Reader:
    return Reader(sought or Sought(), lambda: None)


def joined(tail: LiveTail, reader: Reader | None = None, last_seen: str | None = None) -> Reader:
    reader = reader or quiet()
    assert tail.join(reader, last_seen)
    return reader


def taken(reader: Reader) -> Lines:
    """All that waits, as if it came at a time."""
    found = [reader.take()]
    while found[-1].lines:
        found.append(reader.take())
    lines = [line for some in found for line in some.lines]
    return Lines(found[0].missed, found[0].exact, lines, found[-1].place, found[-1].ended)


def messages(lines: Lines) -> list[str]:
    return [message_of(line) for line in lines.lines]


def message_of(line: Line) -> str:
    message: str = msgspec.json.decode(line.json)["message"]
    return message


def test_a_reader_hears_of_what_is_stored_after_it_came(desk: Desk) -> None:
    desk.post(info("before"))
    woken: list[int] = []
    reader = joined(desk.tail, Reader(desk.reader.sought(LogQuery(q="-quiet")), lambda: woken.append(1)))
    desk.post(info("one"), info("quiet"))
    desk.post(info("two"))
    desk.tail.run()
    lines = taken(reader)
    assert messages(lines) == ["one", "two"]
    assert (lines.missed, lines.exact, bool(woken)) == (0, True, True)
    desk.compact()
    desk.tail.run()
    assert taken(reader).lines == []
    desk.tail.leave(reader)
    assert not desk.tail.has_readers


def test_readers_who_come_at_different_times_each_hear_what_follows_once(desk: Desk) -> None:
    early = joined(desk.tail)
    desk.post(info("one"))
    late = joined(desk.tail)
    desk.post(info("two"))
    desk.tail.run()
    desk.post(info("three"))
    desk.tail.run()
    assert messages(taken(early)) == ["one", "two", "three"]
    assert messages(taken(late)) == ["two", "three"]


def test_a_slow_reader_gets_the_newest_lines_and_the_number_of_the_others(desk: Desk) -> None:
    reader = joined(desk.tail, Reader(Sought(), lambda: None, capacity=3))
    for batch in range(4):
        desk.post(*[info(f"{batch}-{n}") for n in range(5)])
        desk.tail.run()
    lines = taken(reader)
    assert messages(lines) == ["3-2", "3-3", "3-4"]
    assert (lines.missed, lines.exact) == (17, True)
    assert reader.take().missed == 0


def test_what_waits_for_a_reader_is_bounded_in_bytes(desk: Desk) -> None:
    reader = joined(desk.tail)
    for batch in range(3):
        desk.post(*[info(f"{batch}-{n}" + "x" * 200_000) for n in range(10)])
        desk.tail.run()
    lines = taken(reader)
    size = sum(len(line.json) for line in lines.lines)
    assert MAX_WAITING_BYTES - 210_000 < size <= MAX_WAITING_BYTES
    assert lines.missed == 30 - len(lines.lines)
    assert messages(lines)[-1].startswith("2-9")


def test_a_client_that_stops_reading_holds_little_beside_what_waits(desk: Desk) -> None:
    reader = joined(desk.tail)
    desk.post(*[info("x" * 20_000) for _ in range(10)])
    desk.tail.run()
    assert sum(len(line.json) for line in reader.take().lines) < 100_000


def test_readers_share_what_was_encoded(desk: Desk) -> None:
    first, second = joined(desk.tail), joined(desk.tail)
    desk.post(info("one"))
    desk.tail.run()
    assert first.take().lines[0].json is second.take().lines[0].json


def test_a_filter_that_fails_ends_its_own_tail_only(desk: Desk) -> None:
    before, poison, after = joined(desk.tail), joined(desk.tail, quiet(POISON)), joined(desk.tail)
    with capture_logs() as logged:
        for n in range(3):
            desk.post(info(f"line {n}"))
            desk.tail.run()
    for reader in (before, after):
        assert messages(taken(reader)) == ["line 0", "line 1", "line 2"]
    ended = poison.take().ended
    assert ended is not None
    assert "filter" in ended
    assert [entry["event"] for entry in logged].count("tail_filter_failed") == 1
    desk.tail.leave(before)
    desk.tail.leave(after)
    assert not desk.tail.has_readers


def test_a_filter_that_takes_too_long_again_and_again_ends_its_tail(desk: Desk) -> None:
    impatient = LiveTail(desk.database, judge_s=0)
    reader = joined(impatient)
    for n in range(MAX_LATE):
        assert reader.take().ended is None
        desk.post(info(f"line {n}"))
        impatient.run()
    ended = reader.take().ended
    assert ended is not None
    assert "simpler" in ended
    assert not impatient.has_readers


def test_what_there_was_no_time_for_is_told_as_missed(desk: Desk) -> None:
    impatient = LiveTail(desk.database, judge_s=0)
    reader = joined(impatient)
    desk.post(*[info(str(n)) for n in range(1_000)])
    impatient.run()
    lines = taken(reader)
    assert messages(lines)[-1] == "999"
    assert lines.missed == 1_000 - len(lines.lines) > 0
    assert not lines.exact


def test_a_slice_that_was_judged_in_part_counts_as_not_judged(desk: Desk) -> None:
    impatient = LiveTail(desk.database, judge_s=0)
    reader = joined(impatient, quiet(desk.reader.sought(LogQuery(q="-@tags:[5 TO 6]"))))
    desk.post(*[info(str(n), attributes={"tags": ["a", "b"]}) for n in range(10)])
    impatient.run()
    lines = taken(reader)
    assert (messages(lines), lines.missed, lines.exact) == ([], 10, False)


def test_nobody_waits_for_a_filter_to_join_or_leave(desk: Desk) -> None:
    judging, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        judging.set()
        assert go_on.wait(PATIENCE_S)

    slow = joined(desk.tail, Reader(Sought(), hold))
    desk.post(info("one"))
    turn = threading.Thread(target=desk.tail.run)
    turn.start()
    assert judging.wait(PATIENCE_S)  # in the middle of a turn, for as long as we like
    other = joined(desk.tail)
    desk.tail.leave(slow)
    desk.post(info("two"))
    go_on.set()
    turn.join(PATIENCE_S)
    desk.tail.run()
    assert messages(taken(other)) == ["two"]


def test_records_that_were_compacted_meanwhile_are_still_heard(desk: Desk) -> None:
    reader = joined(desk.tail)
    desk.post(info("one"))
    desk.compact()
    desk.tail.run()
    assert messages(taken(reader)) == ["one"]


def test_a_chunk_that_cannot_be_read_is_told_as_missed(desk: Desk) -> None:
    reader = joined(desk.tail)
    desk.post(info("one"), info("two"))
    desk.database.write(lambda tx: tx.execute(update(chunks).values(blob=b"broken")), actor=SYSTEM)
    desk.post(info("three"))
    desk.tail.run()
    lines = taken(reader)
    assert messages(lines) == ["three"]
    assert (lines.missed, lines.exact) == (2, False)


# A reader that comes back.


@pytest.mark.parametrize("compacted", [False, True])
def test_a_reader_that_comes_back_hears_what_it_missed_once(desk: Desk, compacted: bool) -> None:
    reader = joined(desk.tail)
    desk.post(info("one"), info("two"), info("three"))
    desk.tail.run()
    second = reader.take().lines[1]
    desk.tail.leave(reader)
    desk.post(info("four"))
    if compacted:
        desk.compact()
    again = joined(desk.tail, last_seen=str(second.place))
    desk.post(info("five"))
    desk.tail.run()
    lines = taken(again)
    assert messages(lines) == ["three", "four", "five"]
    assert lines.missed == 0


def test_a_reader_that_heard_nothing_comes_back_to_where_it_was(desk: Desk) -> None:
    desk.post(info("before"))
    reader = joined(desk.tail, quiet(desk.reader.sought(LogQuery(q="level:ERROR"))))
    desk.post(info("uninteresting"))
    desk.tail.run()
    place = reader.take().place
    desk.tail.leave(reader)
    desk.post(info("one"))
    again = joined(desk.tail, last_seen=str(place))
    desk.tail.run()
    assert messages(taken(again)) == ["one"]


def test_what_happened_in_a_long_absence_is_not_claimed_to_be_known(desk: Desk) -> None:
    reader = joined(desk.tail)
    desk.post(info("one"))
    desk.tail.run()
    place = taken(reader).place
    desk.tail.leave(reader)
    desk.clock.advance(minutes=6)
    again = joined(desk.tail, last_seen=str(place))
    desk.post(info("two"))
    desk.tail.run()
    lines = taken(again)
    assert (lines.missed, lines.exact) == (None, False)
    assert messages(lines) == ["two"]


@pytest.mark.parametrize("last_seen", ["", "17", "no.such.place", f"{2**62}.1.1", "9" * 400])
def test_a_place_that_is_none_is_a_gap_of_unknown_size(desk: Desk, last_seen: str) -> None:
    reader = joined(desk.tail, last_seen=last_seen)
    assert reader.take().missed is None
    desk.post(info("one"))
    desk.tail.run()
    assert messages(taken(reader)) == ["one"]


def test_of_very_much_that_was_missed_the_newest_is_heard(desk: Desk) -> None:
    reader = joined(desk.tail)
    place = reader.take().place
    desk.tail.leave(reader)
    batches = MAX_CATCH_UP // 65_536 + 1
    for _ in range(batches):
        desk.post(*[info("m")] * 65_536)
    again = joined(desk.tail, last_seen=str(place))
    desk.tail.run()
    lines = taken(again)
    assert lines.missed == batches * 65_536 - len(lines.lines)
    assert not lines.exact
