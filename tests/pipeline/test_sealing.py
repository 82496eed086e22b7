"""An hour is sealed before its logs go: the books balance afterwards as they did before, and what did not is known."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select, update

from desk import ANA, START, Desk, FakeClock, critical, error, in_threads, info
from outside import commits_fail, disk_full
from tocsin.alerts.model import verdicts
from tocsin.kit.errors import Unavailable
from tocsin.kit.events import LogsExpired, LogsStored
from tocsin.logs import catalogue
from tocsin.logs.budget import Budget
from tocsin.logs.expiry import Expiry
from tocsin.logs.model import chunks
from tocsin.logs.retention import Retention, parse_retention
from tocsin.logs.service import LogQuery
from tocsin.pipeline import ROUTES
from tocsin.proof import sealed_store, store
from tocsin.proof.books import MISSING
from tocsin.proof.ledger import Ledger, verify
from tocsin.proof.model import sealed_hours
from tocsin.proof.sealing import Sealer
from tocsin.settings import Settings

DAY = parse_retention("1d", None, None)
HOUR = START.replace(minute=0)


def ledger(desk: Desk, **how: Any) -> Ledger:
    return verify(desk.database, desk.reader, START - timedelta(days=2), desk.clock.now(), **how)


def expiry_of(desk: Desk, kept: Retention = DAY, *, sealer: Sealer | None = None) -> Expiry:
    return Expiry(desk.database, desk.compactor, kept, seal=(sealer or desk.sealer).seal)


def expire(desk: Desk, kept: Retention = DAY) -> None:
    expiry_of(desk, kept).run()


def left(desk: Desk) -> int:
    return len(desk.reader.search(LogQuery(limit=1000)).items)


def sealed(desk: Desk) -> list[tuple[int, int, int]]:
    """Of each hour that was sealed: accepted, stored, gaps."""
    return [(e.data["accepted"], e.data["stored"], e.data["gaps"]) for e in desk.events(kind="HourSealed")]


def a_day_later(desk: Desk) -> None:
    desk.compact()
    desk.clock.advance(days=1, hours=2)


def metric(desk: Desk, name: str) -> float:
    return desk.metrics.registry.get_sample_value(name) or 0.0


def test_the_books_of_an_hour_say_the_same_before_and_after_its_logs_are_gone(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule(dry_run=True)
    desk.post(critical(), error(source="agent"), info(source="agent"))
    desk.post(critical(), error(), backfill=True)
    clock.advance(hours=1)
    desk.post(critical(), info())
    a_day_later(desk)
    before = ledger(desk)
    assert [hour.sealed for hour in before.hours] == [False, False]

    expire(desk)
    assert (left(desk), sealed(desk)) == (0, [(5, 5, 0), (2, 2, 0)])
    after = ledger(desk)
    assert [hour.sealed for hour in after.hours] == [True, True]
    assert [replace(hour, sealed=False) for hour in after.hours] == before.hours
    assert (after.balanced, after.accepted, after.stored, after.expired) == (True, 7, 7, 0)
    [first, _] = after.hours
    assert [(line.source, line.accepted, line.stored) for line in first.sources] == [("(none)", 3, 3), ("agent", 2, 2)]
    assert [event.data["sealed"] for event in desk.events(kind="LogsExpired")] == [True]


def test_a_gap_is_sealed_and_named_and_holds_nothing_up(desk: Desk) -> None:
    first = desk.post(info(), critical(), critical()).first_id
    lost = desk.post(info(), info()).first_id
    assert first is not None

    def spoil(tx: Any) -> None:
        tx.execute(delete(verdicts))
        tx.execute(delete(chunks).where(chunks.c.first_id == lost))

    desk.database.write(spoil, actor=ANA)
    a_day_later(desk)
    expire(desk)
    assert (left(desk), sealed(desk)) == (0, [(5, 3, 2)])
    assert (metric(desk, "tocsin_hours_sealed_total"), metric(desk, "tocsin_sealed_gaps_total")) == (1, 2)
    found = ledger(desk)
    assert (found.balanced, found.accepted, found.stored, found.gaps_found) == (False, 5, 3, 2)
    assert sorted((gap.rule or "", gap.first_log_id, gap.what) for gap in found.gaps) == [
        ("", lost, MISSING),
        ("critical-logs", first + 1, "records that match have no verdict"),
    ]


def test_killed_between_sealing_and_letting_go_it_seals_nothing_twice(
    settings: Settings, open_desk: Callable[..., Desk], clock: FakeClock
) -> None:
    desk = open_desk(settings)
    desk.post(critical(), info())
    a_day_later(desk)
    [segment] = desk.database.read(catalogue.between)
    assert desk.sealer.seal(segment.position, hurry=False, deadline=math.inf) >= segment.position
    assert (left(desk), sealed(desk)) == (2, [(2, 2, 0)])

    begun_anew = open_desk(settings)
    expire(begun_anew)
    assert (left(begun_anew), sealed(begun_anew)) == (0, [(2, 2, 0)])
    assert (ledger(begun_anew).balanced, ledger(begun_anew).accepted) == (True, 2)


def test_a_sealing_whose_commit_fails_keeps_the_logs_until_it_succeeds(desk: Desk) -> None:
    desk.post(critical(), info())
    a_day_later(desk)
    with commits_fail(desk.database, table="sealed_hours"):
        expire(desk)
        assert (left(desk), sealed(desk)) == (2, [])
    expire(desk)
    assert (left(desk), sealed(desk)) == (0, [(2, 2, 0)])


def test_what_is_too_much_goes_even_when_it_can_not_be_sealed_and_is_known_to_be_missing(desk: Desk) -> None:
    desk.post(critical(), info())
    a_day_later(desk)
    with commits_fail(desk.database, table="sealed_hours"):
        expire(desk, parse_retention(None, "1", None))
    assert left(desk) == 0
    assert [event.data["sealed"] for event in desk.events(kind="LogsExpired")] == [False]
    assert (ledger(desk).balanced, ledger(desk).expired, ledger(desk).stored) == (True, 2, 0)

    desk.post(info())
    a_day_later(desk)
    expire(desk)
    assert sealed(desk) == [(2, 0, 0), (1, 1, 0)]
    found = ledger(desk)
    assert (found.balanced, found.accepted, found.stored, found.expired) == (True, 3, 1, 2)


def test_a_database_that_is_full_is_not_written_to_over_and_over(
    sqlite_settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desk = open_desk(sqlite_settings)
    desk.post(critical(), info())
    a_day_later(desk)
    with disk_full(desk.database):
        try:
            expire(desk, parse_retention(None, "1", None))
        except Unavailable:
            assert left(desk) == 2
    expire(desk, parse_retention(None, "1", None))
    assert left(desk) == 0
    assert ledger(desk).balanced


def test_a_clock_that_is_set_back_adds_to_an_hour_that_is_sealed(desk: Desk, clock: FakeClock) -> None:
    desk.post(critical(), info())
    a_day_later(desk)
    expire(desk)
    clock.advance(days=-1, hours=-2, minutes=1)
    desk.post(critical(), info(), info())
    desk.compact()
    clock.advance(days=1, hours=2)
    partly = ledger(desk)
    assert [(hour.sealed, hour.accepted, hour.stored) for hour in partly.hours] == [(False, 5, 5)]
    expire(desk)
    assert (left(desk), sealed(desk)) == (0, [(2, 2, 0), (5, 5, 0)])
    whole = ledger(desk)
    assert [(hour.sealed, hour.accepted, hour.stored) for hour in whole.hours] == [(True, 5, 5)]
    assert whole.balanced


def test_what_there_is_no_time_to_seal_stays_for_the_next_turn(desk: Desk, clock: FakeClock) -> None:
    for _ in range(5):
        desk.post(critical(), info())
        desk.compact()
    clock.advance(days=1, hours=2)
    small = Sealer(desk.database, desk.reader, desk.metrics, at_once=store.Bounds(commits=1))

    def hurried(position: int, *, hurry: bool, deadline: float) -> int:
        return small.seal(position, hurry=hurry, deadline=-math.inf)

    expiry = Expiry(desk.database, desk.compactor, DAY, seal=hurried)
    seen = [left(desk)]
    for _ in range(8):
        expiry.run()  # at once again: it is not done
        seen.append(left(desk))
    assert (seen[0], seen[1] > 0, seen[-1]) == (10, True, 0)
    assert seen == sorted(seen, reverse=True)
    desk.post(info())
    small.seal(1 << 60, hurry=False, deadline=math.inf)
    assert sealed(desk) == [(10, 10, 0)]
    assert ledger(desk).balanced


def test_records_that_wait_for_a_later_stage_are_waited_for_but_not_for_ever(
    settings: Settings, open_desk: Callable[..., Desk], clock: FakeClock
) -> None:
    def broken(tx: Any, stored: Any) -> None:
        raise RecursionError("went astray")

    desk = open_desk(settings)
    desk.post(critical(), info())
    astray = open_desk(settings, routes={**ROUTES, LogsStored: (broken,)})
    astray.post(critical())
    desk.post(info())
    clock.advance(minutes=2)
    position = desk.database.read(lambda tx: sealed_store.horizon(tx, desk.database))
    reached = desk.sealer.seal(position, hurry=False, deadline=math.inf)
    assert reached < position
    assert desk.sealer.seal(position, hurry=True, deadline=math.inf) >= position
    clock.advance(hours=1)
    assert (ledger(desk).hours[0].waiting, ledger(desk).accepted) == (1, 4)


def test_two_workers_that_seal_at_once_write_every_commit_down_once(
    settings: Settings, open_desk: Callable[..., Desk], clock: FakeClock
) -> None:
    desks = [open_desk(settings), open_desk(settings)]
    for _ in range(6):
        for desk in desks:
            desk.post(critical(), info())
        clock.advance(minutes=20)
    clock.advance(hours=2)
    position = desks[0].database.read(lambda tx: sealed_store.horizon(tx, desks[0].database))

    def work(desk: Desk) -> int:
        sealer = Sealer(desk.database, desk.reader, desk.metrics, at_once=store.Bounds(commits=2))
        while (reached := sealer.seal(position, hurry=False, deadline=math.inf)) < position:
            pass
        return reached

    outcomes = in_threads(*[lambda desk=desk: work(desk) for desk in desks])
    assert all(isinstance(outcome, int) for outcome in outcomes), outcomes
    rows = desks[0].database.read(lambda tx: list(tx.execute(select(sealed_hours.c.accepted, sealed_hours.c.closed))))
    assert (sum(row.accepted for row in rows), all(row.closed for row in rows)) == (24, True)
    assert ledger(desks[0]).balanced


def test_an_installation_that_let_logs_go_before_there_were_seals_is_sealed_as_it_is_found(desk: Desk) -> None:
    gone = desk.post(info(), info()).first_id
    desk.post(critical(), info(), info())
    desk.database.write(lambda tx: tx.execute(delete(chunks).where(chunks.c.first_id == gone)), actor=ANA)
    old = LogsExpired(records=2, size_bytes=1, oldest=START, newest=START, service=None, reason="age")
    desk.database.write(lambda tx: tx.emit(old), actor=ANA)
    a_day_later(desk)
    expire(desk)
    assert sealed(desk) == [(5, 3, 0)]
    found = ledger(desk)
    assert (found.balanced, found.accepted, found.stored, found.expired) == (True, 5, 3, 2)


def test_rows_of_a_service_are_taken_out_only_when_their_books_are_closed(desk: Desk) -> None:
    desk.post(info(service="debug"), info(service="shop"), critical(service="debug"))
    a_day_later(desk)
    expire(desk, parse_retention("30d", None, "debug=1d"))
    assert (left(desk), sealed(desk)) == (1, [(3, 3, 0)])
    found = ledger(desk)
    assert (found.balanced, found.accepted, found.stored) == (True, 3, 3)


def test_records_of_this_hour_go_and_are_on_its_books_all_the_same(desk: Desk, clock: FakeClock) -> None:
    desk.post(info(timestamp="2001-01-01T00:00:00Z"))
    desk.compact()
    expire(desk)
    clock.advance(seconds=1)
    assert (left(desk), sealed(desk)) == (0, [])
    desk.post(critical())
    clock.advance(seconds=1)
    found = ledger(desk)
    assert [(hour.sealed, hour.accepted, hour.stored) for hour in found.hours] == [(False, 2, 2)]
    assert found.balanced


def test_a_span_that_takes_too_long_is_told_in_parts_that_add_up(desk: Desk, clock: FakeClock) -> None:
    for n in range(6):
        desk.post(critical(), info(), info())
        clock.advance(minutes=25)
        if n == 2:
            desk.compact()
            desk.sealer.seal(
                desk.database.read(lambda tx: sealed_store.horizon(tx, desk.database)), hurry=False, deadline=math.inf
            )
    whole = ledger(desk)
    parts, since = [], START - timedelta(days=2)
    while True:
        over = Budget(-1.0)
        part = verify(desk.database, desk.reader, since, clock.now(), budget=over, at_once=store.Bounds(commits=1))
        parts.append(part)
        if not part.partial:
            break
        assert part.reached > since
        since = part.reached
    assert len(parts) > 2
    assert sum(part.accepted for part in parts) == whole.accepted == 18
    assert sum(part.stored for part in parts) == whole.stored
    assert all(part.balanced for part in parts)


def test_a_verdict_that_is_changed_behind_the_seal_is_not_seen_and_one_before_it_is(desk: Desk) -> None:
    """What is sealed is what was true then: the logs it could be held against may be gone."""
    desk.post(critical())
    a_day_later(desk)
    expire(desk)
    desk.database.write(lambda tx: tx.execute(update(verdicts).values(n=7)), actor=ANA)
    assert ledger(desk).balanced
