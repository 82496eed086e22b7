"""Live tail: every match once, in order; a slow reader is told what it missed, and nobody waits for it."""

from desk import Desk, info
from tocsin.logs.live import Reader
from tocsin.logs.parts import Sought
from tocsin.logs.service import LogQuery


def test_a_reader_hears_of_what_is_stored_after_it_came(desk: Desk) -> None:
    desk.post(info("before"))
    woken: list[int] = []
    reader = Reader(desk.reader.sought(LogQuery(q="-quiet")), lambda: woken.append(1))
    assert desk.tail.join(reader)
    desk.post(info("one"), info("quiet"))
    desk.post(info("two"))
    desk.tail.run()
    lines = reader.take()
    assert [record.message for record in lines.records] == ["one", "two"]
    assert (lines.missed, bool(woken)) == (0, True)
    desk.compact()
    desk.tail.run()
    assert reader.take().records == []
    desk.tail.leave(reader)
    assert not desk.tail.has_readers


def test_a_slow_reader_gets_the_newest_lines_and_the_number_of_the_others(desk: Desk) -> None:
    reader = Reader(Sought(), lambda: None, capacity=3)
    assert desk.tail.join(reader)
    for batch in range(4):
        desk.post(*[info(f"{batch}-{n}") for n in range(5)])
        desk.tail.run()
    lines = reader.take()
    assert [record.message for record in lines.records] == ["3-2", "3-3", "3-4"]
    assert lines.missed == 17
    assert reader.take().missed == 0


def test_records_that_were_compacted_meanwhile_are_still_heard(desk: Desk) -> None:
    reader = Reader(Sought(), lambda: None)
    assert desk.tail.join(reader)
    desk.post(info("one"))
    desk.compact()
    desk.tail.run()
    assert [record.message for record in reader.take().records] == ["one"]
