"""Promise 5: a bug in a later stage delays, refuses and loses nothing. The records are kept and worked off later."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from desk import Astray, Desk, critical, info
from tocsin import pipeline
from tocsin.alerts import service as alerts
from tocsin.kit.events import AlertOpened, LogsStored, TicketOpened
from tocsin.settings import Settings
from tocsin.storage import timers
from tocsin.storage.tx import Routes, Tx


class Stage:
    """A handler with a bug that can be mended. `poison` limits the bug to batches for which it is true."""

    def __init__(self, statement: str | None = None, poison: Callable[[Any], bool] = lambda _: True) -> None:
        self.broken = True
        self.calls = 0
        self._statement = statement
        self._poison = poison

    def __call__(self, tx: Tx, batch: Sequence[Any]) -> None:
        self.calls += 1
        if self.broken and self._poison(batch):
            if self._statement is not None:
                tx.execute(text(self._statement))
            raise ZeroDivisionError("a bug in a stage")


def _routes(stage: Stage) -> dict[str, Routes]:
    apply, open_tickets = (alerts.apply,), pipeline.ROUTES[AlertOpened]
    return {
        "before alerts": {LogsStored: (stage, *apply), AlertOpened: open_tickets},
        "after alerts": {LogsStored: (*apply, stage), AlertOpened: open_tickets},
        "before tickets": {LogsStored: apply, AlertOpened: (stage, *open_tickets)},
        "after tickets": {LogsStored: apply, AlertOpened: (*open_tickets, stage)},
        "after the ticket opened": {**pipeline.ROUTES, TicketOpened: (stage,)},
    }


PLACES = list(_routes(Stage()))
BUGS = {
    "an error": None,
    "a table that is missing": "SELECT * FROM no_such_table",
    "a row that is there already": "INSERT INTO counters (name, value) VALUES ('record_ids', 0)",
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("bug", BUGS)
def test_logs_are_kept_when_a_stage_raises_and_worked_off_once_it_is_mended(
    settings: Settings, open_desk: Callable[..., Desk], place: str, bug: str
) -> None:
    stage = Stage(BUGS[bug])
    desk = open_desk(settings, routes=_routes(stage)[place])

    stored = desk.post(info(), critical("one"), critical("two"), critical("one"))
    assert [record.id for record in desk.logs] == list(range(stored.first_id, stored.last_id + 1))
    assert (desk.alerts, desk.tickets, desk.verdicts(), desk.parked) == ([], [], {}, 1)
    assert desk.kinds(f"logs:{stored.first_id}-{stored.last_id}") == ["LogsStored", "LogsParked"]

    desk.clock.advance(seconds=1)
    desk.run_due_timers()
    assert (desk.alerts, desk.tickets, desk.parked) == ([], [], 1)

    stage.broken = False
    desk.post(critical("one"))
    desk.clock.advance(minutes=1)
    desk.run_due_timers()
    assert desk.parked == 0
    assert {alert.title: alert.count for alert in desk.alerts} == {"payments: one": 3, "payments: two": 1}
    assert len(desk.tickets) == 2
    assert desk.kinds(f"logs:{stored.first_id}-{stored.last_id}") == ["LogsStored", "LogsParked", "LogsUnparked"]
    desk.check_books()

    desk.clock.advance(days=1)
    desk.run_due_timers()
    desk.check_books()


def test_detection_that_raises_parks_the_records_and_they_are_matched_again_later(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desk = open_desk(settings, detection=Astray())
    desk.post(critical(), info())
    assert (len(desk.logs), desk.parked, desk.tickets) == (2, 1, [])

    desk.clock.advance(seconds=1)
    desk.run_due_timers()
    assert (desk.parked, desk.alert.count) == (0, 1)
    [unparked] = desk.events(kind="LogsUnparked")
    [stored] = desk.events(kind="LogsStored")
    [opened] = desk.events(kind="AlertOpened")
    assert opened.cause_id == unparked.cause_id == stored.id
    desk.check_books()


def test_a_poison_batch_waits_longer_each_time_and_stops_no_other(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    poison = Stage(poison=lambda batch: any("poison" in match.title for r in batch for match in r.event.matches))
    desk = open_desk(settings, routes={**pipeline.ROUTES, LogsStored: (poison, alerts.apply)})
    desk.post(critical("poison"))
    desk.post(critical("healthy"))
    assert [ticket.title for ticket in desk.tickets] == ["payments: healthy"]

    waits = []
    for _ in range(12):
        due = desk.database.read(timers.next_due)
        assert due is not None
        waits.append((due - desk.clock.now()).total_seconds())
        desk.clock.advance(seconds=waits[-1])
        desk.run_due_timers()
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]

    desk.post(critical("healthy"))
    assert {alert.title: alert.count for alert in desk.alerts} == {"payments: healthy": 2}
    poison.broken = False
    desk.clock.advance(minutes=5)
    desk.run_due_timers()
    assert {alert.title: alert.count for alert in desk.alerts} == {"payments: healthy": 2, "payments: poison": 1}
    desk.check_books()


def test_parked_records_are_worked_off_in_slices_of_any_number(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    stage = Stage()
    desk = open_desk(settings, routes={**pipeline.ROUTES, LogsStored: (stage, alerts.apply)})
    for _ in range(120):
        desk.post(critical())
    assert desk.parked == 120

    stage.broken = False
    desk.clock.advance(seconds=1)
    desk.run_due_timers()
    assert desk.parked == 0
    assert desk.alert.count == 120
    desk.check_books()


def test_backfilled_records_that_were_parked_still_alert_nobody(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    stage = Stage()
    desk = open_desk(settings, routes={**pipeline.ROUTES, LogsStored: (stage, alerts.apply)})
    desk.post(critical(), backfill=True)
    stage.broken = False
    desk.clock.advance(seconds=1)
    desk.run_due_timers()

    assert (desk.parked, desk.alerts, desk.verdicts()) == (0, [], {"backfill": 1})


def test_a_sender_hears_201_while_a_stage_is_broken_and_the_metrics_tell_of_it(
    settings: Settings, open_api: Callable[..., TestClient], clock: object
) -> None:
    api = open_api(settings, clock=clock, routes={LogsStored: (Stage(),)})

    assert api.post("/logs", json=critical()).status_code == 201
    assert len(api.get("/logs").json()["items"]) == 1
    metrics = api.get("/metrics").text
    assert "tocsin_parked_total 1.0" in metrics
    assert "tocsin_parked_now 1.0" in metrics


@pytest.mark.parametrize("error", [TimeoutError("no answer"), ConnectionError("refused"), FileNotFoundError(2, "none")])
def test_a_stage_that_fails_to_reach_something_refuses_no_logs(
    sqlite_settings: Settings, open_desk: Callable[..., Desk], error: OSError
) -> None:
    def reach_out(tx: Tx, batch: Sequence[Any]) -> None:
        raise error

    desk = open_desk(sqlite_settings, routes={LogsStored: (reach_out,)})
    desk.post(critical())
    assert (len(desk.logs), desk.parked) == (1, 1)
