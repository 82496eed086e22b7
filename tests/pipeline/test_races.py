"""Two transactions at one ticket on PostgreSQL, one of them held open: what would be lost if either went ahead."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from desk import ANA, START, Desk, FakeClock, critical, error, in_threads, wait_until, waiting_for_locks
from tocsin import pipeline
from tocsin.alerts import store as alert_store
from tocsin.alerts.rules import Kind
from tocsin.kit.actors import SYSTEM
from tocsin.kit.events import LogsStored, Matched, Recorded
from tocsin.kit.priorities import Priority
from tocsin.logs.intake import Stored
from tocsin.settings import Settings
from tocsin.storage import timers
from tocsin.storage.tx import Tx
from tocsin.tickets import merge_service
from tocsin.tickets import service as tickets
from tocsin.tickets import store as ticket_store
from tocsin.tickets.model import open_keys
from tocsin.tickets.storming import DEFAULT_LIMITS
from tocsin.tickets.workflow import Status


@pytest.fixture
def desk(postgres_settings: Settings, clock: FakeClock) -> Iterator[Desk]:
    found = Desk(postgres_settings, clock)
    yield found
    found.close()


class Held:
    """A transaction that has done its work and does not end before `release`."""

    def __init__(self, desk: Desk, work: Callable[[Tx], Any]) -> None:
        self._ready, self._go = threading.Event(), threading.Event()

        def hold(tx: Tx) -> None:
            work(tx)
            self._ready.set()
            self._go.wait(20)

        self._thread = threading.Thread(target=lambda: desk.database.write(hold, actor=ANA))
        self._thread.start()
        assert self._ready.wait(10)

    def release(self) -> None:
        self._go.set()
        self._thread.join(20)


def started(desk: Desk, work: Callable[[], Any]) -> threading.Thread:
    """A thread that has run into a lock by now, or is done because there was none."""
    before = waiting_for_locks(desk.database)
    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: not thread.is_alive() or waiting_for_locks(desk.database) > before)
    return thread


def test_a_relapse_waits_for_an_edit_and_reopens_the_same_ticket(desk: Desk) -> None:
    desk.post(critical())
    desk.resolve(1)
    edit = Held(desk, lambda tx: tickets.change(tx, 1, status=None, edits={"title": "edited"}))
    posted = desk.start_post(critical())
    wait_until(lambda: posted.done() or waiting_for_locks(desk.database))
    edit.release()
    posted.result(20)

    assert [(t.id, t.status, t.title) for t in desk.tickets] == [(1, "OPEN", "edited")]


def test_auto_close_that_loses_against_an_edit_comes_again(desk: Desk, clock: FakeClock) -> None:
    desk.post(critical())
    desk.resolve(1)
    clock.advance(days=8)
    edit = Held(desk, lambda tx: tickets.prioritise(tx, 1, Priority.P4))
    closing = started(desk, desk.run_due_timers)
    edit.release()
    closing.join(20)

    assert desk.ticket.status == "CLOSED" or desk.database.read(timers.next_due) is not None
    clock.advance(minutes=1)
    desk.run_due_timers()
    assert (desk.ticket.status, desk.ticket.priority) == ("CLOSED", 4)


def test_a_record_is_counted_on_an_open_alert_or_opens_one_whatever_it_waits_for(desk: Desk) -> None:
    desk.post(critical("one thing"))
    other = Held(desk, lambda tx: tickets.store.claim_keys(tx, [_key_of(desk, "other thing")], 99))
    posted = desk.start_post(critical("one thing"), critical("other thing"))
    wait_until(lambda: waiting_for_locks(desk.database))
    resolving = started(desk, lambda: desk.resolve(1))
    before = desk.events(kind="AlertEnded")
    other.release()
    posted.result(20)
    resolving.join(20)

    assert before == [], "the alert was ended while a record was being counted on it"
    [alert] = [alert for alert in desk.alerts if "one thing" in alert.title]
    assert (alert.count, alert.ended_at is not None) == (2, True)
    desk.post(critical("one thing"))
    assert {t.status for t in desk.tickets if "one thing" in t.title} == {"OPEN"}


def _key_of(desk: Desk, message: str) -> str:
    from tocsin.logs.decode import decode

    body = b'{"level":"CRITICAL","service":"payments","message":"%s"}' % message.encode()
    columns = decode(body, lines=False, arrived=desk.clock.now()).columns
    return desk.book.find(columns, 1, False).matches[0].correlation_key


def test_a_person_who_loses_against_an_alert_hears_that_the_ticket_changed(desk: Desk) -> None:
    desk.post(critical())
    desk.resolve(1)
    reopened = Held(desk, lambda tx: tickets.reopen(tx, 1, reason="it is back", assignee=None))
    failed: list[Exception] = []

    def reopen() -> None:
        try:
            desk.reopen(1)
        except Exception as error:
            failed.append(error)

    second = started(desk, reopen)
    reopened.release()
    second.join(20)

    assert [type(error).__name__ for error in failed] == ["Conflict"]
    assert "ticket 1 is open for the same trouble as ticket 1" not in str(failed[0])


@pytest.mark.parametrize("stage", ["alerts", "keys"])
def test_workers_that_open_the_same_things_at_once_take_their_locks_in_one_order(desk: Desk, stage: str) -> None:
    """A deadlock would be retried and nobody would hear of it; but in a storm nothing else would happen any more."""
    workers, rounds, things = 4, 12, 300
    together = threading.Barrier(workers)
    called: list[int] = []

    def take(tx: Tx, order: list[Matched]) -> None:
        called.append(1)
        if stage == "alerts":
            alert_store.open_new(tx, order, {})
        else:
            ticket_store.claim_keys(tx, dict.fromkeys(match.fingerprint for match in order), 1)

    def work(chance: random.Random) -> None:
        for number in range(rounds):
            order = [match_of(f"{number}-{thing}") for thing in range(things)]
            chance.shuffle(order)
            together.wait(20)
            desk.database.write(lambda tx, order=order: take(tx, order), actor=SYSTEM)

    assert in_threads(*[partial(work, random.Random(seed)) for seed in range(workers)]) == [None] * workers
    assert len(called) == workers * rounds


def match_of(fingerprint: str) -> Matched:
    return Matched(
        rule="r", rule_version=1, fingerprint=fingerprint, correlation_key=fingerprint, service="s", template="t",
        title="t", level=21, priority=2, backfill=False, n=1, first_id=1, last_id=1, first_at=START, last_at=START,
        sample_ids=(1,),
    )  # fmt: skip


def held_keys(desk: Desk) -> list[int]:
    """The tickets of all keys that are open."""
    return desk.database.read(lambda tx: sorted(tx.execute(select(open_keys.c.ticket_id)).scalars()))


def test_a_ticket_that_is_resolved_while_it_gathers_takes_what_it_gathered_with_it(desk: Desk) -> None:
    desk.declare("worker", depends_on=["db"])
    desk.post(critical(service="db"))
    desk.move(1, "IN_PROGRESS")
    other = Held(desk, ticket_store.lock_storms)  # which the ticket of `mail` waits for, when `worker` is gathered
    posted = desk.start_post(critical(service="worker"), critical(service="mail"))
    wait_until(lambda: waiting_for_locks(desk.database))
    resolving = started(desk, lambda: desk.move(1, "RESOLVED"))
    other.release()
    posted.result(20)
    resolving.join(20)

    assert [ticket.status for ticket in desk.tickets] == ["RESOLVED", "OPEN"]
    [of_worker] = [alert for alert in desk.alerts if alert.service == "worker"]
    assert (of_worker.ticket_id, of_worker.status) == (1, "resolved")
    assert held_keys(desk) == [2]
    desk.post(critical(service="worker"))
    assert desk.tickets[-1].service == "worker"
    desk.check_books()


def test_what_would_be_gathered_in_a_ticket_that_is_being_resolved_opens_its_own(desk: Desk) -> None:
    desk.declare("worker", depends_on=["db"])
    desk.post(critical(service="db"))
    desk.move(1, "IN_PROGRESS")
    resolving = Held(desk, lambda tx: tickets.change(tx, 1, status=Status.RESOLVED, edits={}))
    posted = desk.start_post(critical(service="worker"))
    wait_until(lambda: posted.done() or waiting_for_locks(desk.database))
    resolving.release()
    posted.result(20)

    assert [(ticket.service, ticket.status) for ticket in desk.tickets] == [("db", "RESOLVED"), ("worker", "OPEN")]
    assert held_keys(desk) == [2]
    desk.check_books()


def test_an_alert_that_joins_a_ticket_while_that_is_merged_goes_over_with_it(desk: Desk) -> None:
    desk.save_rule(condition="level:ERROR", correlate_by=("service",))
    desk.post(critical("disk full", service="db"))
    desk.post(error("one", service="web"))
    other = Held(desk, ticket_store.lock_storms)  # which the ticket of `mail` waits for, when `two` has joined
    posted = desk.start_post(error("two", service="web"), critical(service="mail"))
    wait_until(lambda: waiting_for_locks(desk.database))
    merging = started(desk, lambda: merge(desk, 2, 1))
    other.release()
    posted.result(20)
    merging.join(20)

    assert [ticket.status for ticket in desk.tickets] == ["OPEN", "CLOSED", "OPEN"]
    assert desk.alerts_of(2) == []
    [merged] = desk.events("ticket:2", "TicketMerged")
    assert merged.data["alert_ids"] == [2, 4]
    desk.post(error("three", service="web"))
    assert len(desk.alerts_of(1)) == 4


def test_an_alert_that_joins_a_ticket_while_a_merge_is_undone_goes_back_with_it(desk: Desk) -> None:
    desk.save_rule(condition="level:ERROR", correlate_by=("service",))
    desk.post(critical("disk full", service="db"))
    desk.post(error("one", service="web"))
    merge(desk, 2, 1)
    other = Held(desk, ticket_store.lock_storms)
    posted = desk.start_post(error("two", service="web"), critical(service="mail"))
    wait_until(lambda: waiting_for_locks(desk.database))
    parting = started(desk, lambda: desk.database.write(lambda tx: merge_service.unmerge(tx, 2), actor=ANA))
    other.release()
    posted.result(20)
    parting.join(20)

    assert [alert.service for alert in desk.alerts_of(1)] == ["db"]
    assert [alert.service for alert in desk.alerts_of(2)] == ["web", "web"]


def test_what_is_gathered_in_a_ticket_while_that_is_merged_goes_over_with_it(desk: Desk) -> None:
    desk.declare("worker", depends_on=["db"])
    desk.post(critical(service="db"))
    desk.post(critical(service="queue"))
    other = Held(desk, ticket_store.lock_storms)
    posted = desk.start_post(critical(service="worker"), critical(service="mail"))
    wait_until(lambda: waiting_for_locks(desk.database))
    merging = started(desk, lambda: merge(desk, 1, 2))
    other.release()
    posted.result(20)
    merging.join(20)

    assert [ticket.status for ticket in desk.tickets] == ["CLOSED", "OPEN", "OPEN"]
    assert {alert.service for alert in desk.alerts_of(2)} == {"db", "queue", "worker"}
    assert held_keys(desk) == [2, 2, 2, 3]
    desk.check_books()


def merge(desk: Desk, ticket_id: int, into_id: int) -> None:
    desk.database.write(lambda tx: merge_service.merge(tx, ticket_id, into_id), actor=ANA)


def counting_desk(settings: Settings, clock: FakeClock, applied: list[int]) -> Desk:
    """A server that notes how often a batch was judged: once each, if nothing had to be tried again."""
    routes = pipeline.routes(DEFAULT_LIMITS)
    judge = routes[LogsStored][0]

    def noted(tx: Tx, stored: Sequence[Recorded[LogsStored]]) -> None:
        applied.append(len(stored))
        judge(tx, stored)

    return Desk(settings, clock, routes={**routes, LogsStored: (noted,)})


LOGINS = [f"login of {a}{b} failed" for a in "abcdefghij" for b in "klmnopqrst"]


@pytest.mark.parametrize(
    ("fields", "hidden", "heard"),
    [
        ({}, ["disk full"], "disk full"),
        ({"kind": Kind.THRESHOLD, "threshold": 1, "window_s": 60}, ["disk full"], "disk full"),
        ({}, LOGINS, "login of zoe failed"),
        ({"kind": Kind.NEW_PATTERN, "learn_s": 0}, LOGINS, "login of zoe failed"),
    ],
    ids=["its own form", "a window", "another form of its pattern", "a new pattern"],
)
def test_two_servers_that_hear_of_a_silenced_alert_at_once_do_not_wait_for_each_other(
    postgres_settings: Settings, clock: FakeClock, fields: dict[str, Any], hidden: list[str], heard: str
) -> None:
    applied: list[int] = []
    desks = [counting_desk(postgres_settings, clock, applied) for _ in range(2)]
    try:
        desks[0].save_rule(condition="level:ERROR", **fields)
        desks[0].silence("@hidden:yes")
        desks[0].post(*(error(message, hidden="yes") for message in hidden))
        assert {alert.suppressed_by for alert in desks[0].alerts} == {"silence:1"}
        applied.clear()
        key = _key_of(desks[0], "other thing")
        other = Held(desks[0], lambda tx: alert_store.open_new(tx, [replace(match_of(key), correlation_key=key)], {}))
        # The first one knows of the alert and waits before it releases it; the second one comes along meanwhile.
        posted = [desks[0].start_post(error(heard), critical("other thing"))]
        wait_until(lambda: waiting_for_locks(desks[0].database))
        posted.append(desks[1].start_post(error(heard)))
        wait_until(lambda: posted[1].done() or waiting_for_locks(desks[0].database) > 1)
        other.release()
        assert [type(one.result(20)) for one in posted] == [Stored, Stored]
        assert applied == [1, 1]
        assert sum(alert.count for alert in desks[0].alerts if alert.rule == "errors") == len(hidden) + 2
        assert len(desks[0].events(kind="AlertReleased")) == 1
    finally:
        for desk in desks:
            desk.close()


def test_an_alert_that_joins_as_the_others_end_keeps_its_ticket_open(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule(condition="level:ERROR", correlate_by=("service",), auto_resolve_after_s=60)
    desk.post(error("one", service="web"))
    clock.advance(minutes=2)
    other = Held(desk, ticket_store.lock_storms)
    posted = desk.start_post(error("two", service="web"), critical(service="mail"))
    wait_until(lambda: waiting_for_locks(desk.database))
    ending = started(desk, desk.run_due_timers)
    other.release()
    posted.result(20)
    ending.join(20)

    assert [(ticket.id, ticket.status) for ticket in desk.tickets] == [(1, "OPEN"), (2, "OPEN")]
    assert [(alert.title, alert.status) for alert in desk.alerts_of(1)] == [
        ("web: two", "firing"),
        ("web: one", "resolved"),
    ]
    assert held_keys(desk) == [1, 2]
    desk.resolve(1)
    assert held_keys(desk) == [2]


def test_an_alert_that_grows_while_its_ticket_is_merged_makes_the_other_one_more_urgent(desk: Desk) -> None:
    desk.save_rule(condition="level:ERROR", raise_at=(("P1", 3),))
    desk.post(critical("disk full", service="db"))
    desk.post(*[error(service="web")] * 3)
    merging = Held(desk, lambda tx: merge_service.merge(tx, 2, 1))
    growing = started(desk, desk.roll_up)
    merging.release()
    growing.join(20)

    assert (desk.tickets[0].status, desk.tickets[0].priority) == ("OPEN", 1)
    assert [event.data["ticket_id"] for event in desk.events(kind="AlertGrew")] == [1]
