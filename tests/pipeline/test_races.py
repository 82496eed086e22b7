"""Two transactions at one ticket on PostgreSQL, one of them held open: what would be lost if either went ahead."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from desk import ANA, Desk, FakeClock, critical
from tocsin.kit.priorities import Priority
from tocsin.settings import Settings
from tocsin.storage import timers
from tocsin.storage.tx import Tx
from tocsin.tickets import service as tickets


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


def started(work: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(0.3)  # long enough to run into the lock; when it does not, the test decides all the same
    return thread


def test_a_relapse_waits_for_an_edit_and_reopens_the_same_ticket(desk: Desk) -> None:
    desk.post(critical())
    desk.resolve(1)
    edit = Held(desk, lambda tx: tickets.change(tx, 1, status=None, edits={"title": "edited"}))
    posted = desk.start_post(critical())
    edit.release()
    posted.result(20)

    assert [(t.id, t.status, t.title) for t in desk.tickets] == [(1, "OPEN", "edited")]


def test_auto_close_that_loses_against_an_edit_comes_again(desk: Desk, clock: FakeClock) -> None:
    desk.post(critical())
    desk.resolve(1)
    clock.advance(days=8)
    edit = Held(desk, lambda tx: tickets.prioritise(tx, 1, Priority.P4))
    closing = started(desk.run_due_timers)
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
    resolving = started(lambda: desk.resolve(1))
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
    from tocsin import pipeline
    from tocsin.logs.decode import decode

    body = b'{"level":"CRITICAL","service":"payments","message":"%s"}' % message.encode()
    columns = decode(body, lines=False, arrived=desk.clock.now()).columns
    return pipeline.detect_in(columns, 1, False)[0].correlation_key


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

    second = started(reopen)
    reopened.release()
    second.join(20)

    assert [type(error).__name__ for error in failed] == ["Conflict"]
    assert "ticket 1 is open for the same trouble as ticket 1" not in str(failed[0])
