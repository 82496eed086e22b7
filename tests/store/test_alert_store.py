"""Alerts: exact counts while they are rolled up, and a slow transaction that loses nothing."""

import threading
from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import select

from desk import ANA, PATIENCE_S, Desk, critical, in_threads
from tocsin.alerts import service, store
from tocsin.alerts.model import alerts
from tocsin.alerts.store import AlertQuery
from tocsin.kit.errors import Invalid, NotFound
from tocsin.settings import Settings
from tocsin.storage.tx import Tx
from tocsin.tickets.storming import StormLimits


def test_the_count_is_the_same_before_and_after_it_was_rolled_up(desk: Desk) -> None:
    for n in range(1, 6):
        desk.post(*[critical() for _ in range(n)])
        before = desk.alert
        desk.roll_up()
        assert desk.alert == before
        assert before.count == n * (n + 1) // 2
    stored = desk.database.read(lambda tx: tx.execute(select(alerts.c.counted)).scalar_one())
    assert stored in {10, 15}  # the last commit may still lie above the horizon
    desk.check_books()


def test_rolling_up_twice_changes_nothing(desk: Desk) -> None:
    desk.post(critical(), critical())
    desk.roll_up()
    before = desk.alert
    desk.roll_up()
    desk.roll_up()
    assert desk.alert == before


def test_a_fresh_roll_up_after_a_restart_counts_nothing_twice(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    first = open_desk(settings)
    first.post(critical(), critical())
    first.roll_up()
    first.post(critical())
    second = open_desk(settings)
    second.roll_up()

    assert second.alert.count == 3
    second.check_books()


def test_rolling_up_while_counting_goes_on_keeps_the_count_exact(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desks = [open_desk(settings) for _ in range(1 if settings.database_secret is None else 4)]
    desks[0].post(*[critical(f"{word} broke") for word in "abcdefgh"])
    posting = threading.Event()
    reads: list[int] = []

    def count(desk: Desk) -> None:
        for _ in range(30):
            desk.post(*[critical(f"{word} broke") for word in "abcdefgh"])

    def roll(desk: Desk) -> None:
        while not posting.is_set():
            desk.roll_up()
            reads.append(min(alert.count for alert in desk.alerts))

    def count_all() -> None:
        outcomes = in_threads(*[partial(count, desk) for desk in desks])
        posting.set()
        assert outcomes == [None] * len(desks), outcomes

    assert in_threads(count_all, partial(roll, desks[0]), partial(roll, desks[-1])) == [None] * 3
    for desk in desks:
        desk.roll_up()
    assert {alert.count for alert in desks[0].alerts} == {1 + 30 * len(desks)}
    assert max(reads) <= 1 + 30 * len(desks)
    desks[0].check_books()


def test_a_slow_transaction_does_not_lose_its_verdicts_to_the_roll_up(
    postgres_settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    slow, fast = open_desk(postgres_settings), open_desk(postgres_settings)
    fast.post(critical())
    fast.roll_up()
    written, may_commit = threading.Event(), threading.Event()

    def count_slowly(tx: Tx) -> None:
        row = {"event_id": 1, "rule": "critical-logs", "rule_version": 1, "fingerprint": fast.alert.fingerprint,
               "verdict": "counted", "alert_id": 1, "n": 5, "first_id": 10, "last_id": 14, "first_at": tx.now,
               "last_at": tx.now}  # fmt: skip
        store.append_verdicts(tx, [row])
        written.set()
        may_commit.wait(PATIENCE_S)

    def meanwhile() -> list[int]:
        written.wait(PATIENCE_S)
        counts = []
        for _ in range(3):
            fast.post(critical())
            fast.roll_up()
            counts.append(fast.alert.count)
        may_commit.set()
        return counts

    slowly, counts = in_threads(lambda: slow.database.write(count_slowly, actor=ANA), meanwhile)
    assert (slowly, counts) == (None, [2, 3, 4])
    assert fast.alert.count == 9
    for desk in (fast, slow):
        desk.roll_up()
        assert desk.alert.count == 9


def test_many_alerts_are_rolled_up_in_slices(desk: Desk) -> None:
    words = [chr(97 + n % 26) + chr(97 + n // 26) for n in range(service.ROLL_UP_SLICE * 2 + 7)]
    desk.post(*[critical("it broke", service=word) for word in words])
    desk.roll_up()

    counted = desk.database.read(lambda tx: list(tx.execute(select(alerts.c.counted)).scalars()))
    assert counted == [1] * len(words)


def test_the_last_seen_time_and_record_follow_the_newest(desk: Desk) -> None:
    desk.post(critical(timestamp="2026-11-24T02:10:00Z"))
    late = desk.post(critical(timestamp="2026-11-24T02:00:00Z"))
    assert desk.alert.last_seen_at.minute == 10
    assert desk.alert.last_record_id == late.last_id
    desk.roll_up()
    assert desk.alert.last_seen_at.minute == 10
    assert desk.alert.last_record_id == late.last_id


def test_alerts_are_found_by_what_they_are_and_paged_without_gaps(desk: Desk) -> None:
    for n, word in enumerate("abcdefg"):
        desk.post(critical(f"{word} broke", service="shop" if n % 2 else "mail"))
        desk.clock.advance(seconds=n % 2)
    desk.resolve(1)

    def all_pages(**wanted: object) -> list[int]:
        ids, cursor = [], None
        while True:
            items, cursor = service.find(desk.database, AlertQuery(**wanted, limit=2, cursor=cursor))
            ids += [alert.id for alert in items]
            assert len(ids) <= 7, "pages without end"
            if cursor is None:
                return ids

    assert all_pages() == [7, 6, 5, 4, 3, 2, 1]
    assert all_pages(status="firing") == [7, 6, 5, 4, 3, 2]
    assert all_pages(status="resolved") == [1]
    assert all_pages(service="shop") == [6, 4, 2]
    assert all_pages(since=desk.clock.now()) == [7]
    assert all_pages(service="nobody") == []
    assert all_pages(rule="critical-logs", ticket_id=3) == [3]
    assert all_pages(rule="nobodys") == []


def test_alerts_are_found_by_what_keeps_them_from_people(settings: Settings, open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(settings, limits=StormLimits(2, 0))
    desk.silence("service:hushed")
    desk.post(critical(service="hushed"), *(critical(f"{word} broke") for word in "abcd"), critical(service="mail"))

    def found(**wanted: object) -> list[tuple[str, str | None]]:
        alerts, _ = service.find(desk.database, AlertQuery(**wanted))
        return sorted((alert.service, alert.suppressed_by) for alert in alerts)

    [storm] = [ticket.id for ticket in desk.tickets if ticket.opened_by == "storm"]
    assert found(suppressed_by="storm") == found(ticket_id=storm) == [("payments", f"storm:{storm}")] * 4
    assert found(suppressed_by=f"storm:{storm}", status="suppressed") == found(ticket_id=storm)
    assert found(suppressed_by="silence") == found(suppressed_by="silence:1") == [("hushed", "silence:1")]
    assert found(suppressed_by="silence:2") == found(suppressed_by="flap") == []


def test_an_alert_that_is_not_there_and_a_cursor_of_another_list_are_named(desk: Desk) -> None:
    with pytest.raises(NotFound):
        service.get(desk.database, 1)
    with pytest.raises(Invalid):
        service.find(desk.database, AlertQuery(cursor="bm9wZQ"))


def test_the_database_itself_refuses_a_second_open_alert_of_a_fingerprint(desk: Desk) -> None:
    desk.post(critical())
    row = desk.database.read(lambda tx: dict(tx.execute(select(alerts)).one()._mapping))
    row.pop("id")
    with pytest.raises(Exception, match=r"(?i)unique"):
        desk.database.write(lambda tx: tx.execute(alerts.insert().values(**row)), actor=ANA)
