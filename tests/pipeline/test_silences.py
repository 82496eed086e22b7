"""Silences: what they hide is kept, counted and shown, opens no ticket, and is heard once when they let go of it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from desk import START, Desk, FakeClock, critical, error, in_threads, info
from tocsin.alerts import silence_service
from tocsin.alerts.rules import Kind
from tocsin.alerts.silence_ending import SLICE
from tocsin.alerts.silence_model import silences
from tocsin.alerts.silencing import State
from tocsin.kit.actors import SYSTEM
from tocsin.kit.clock import iso
from tocsin.kit.errors import Conflict, Invalid
from tocsin.kit.priorities import Priority
from tocsin.settings import Settings
from tocsin.tickets.storming import StormLimits


def state(desk: Desk, silence_id: int = 1) -> State:
    row = desk.database.read(lambda tx: silence_service.get(tx, silence_id))
    return row.silence.state_at(desk.clock.now())


def on(desk: Desk, *, minutes: float) -> None:
    """Time goes on, and what is due is done."""
    desk.clock.advance(minutes=minutes)
    desk.run_due_timers()


def test_a_silenced_record_opens_an_alert_that_is_counted_and_has_no_ticket(desk: Desk) -> None:
    desk.silence("service:payments")
    desk.post(critical(), critical(), critical(service="shop"))
    desk.post(critical())
    assert [ticket.service for ticket in desk.tickets] == ["shop"]
    hidden, heard = desk.alerts
    assert (hidden.service, hidden.status, hidden.suppressed_by, hidden.count) == (
        "payments", "suppressed", "silence:1", 3,
    )  # fmt: skip
    assert heard.status == "firing"
    assert desk.verdicts() == {"suppressed": 3, "opened": 1}
    assert desk.suppressed_by() == {"silence:1": 3}
    assert desk.kinds(f"alert:{hidden.id}") == ["AlertOpened"]
    desk.check_books()


def test_it_holds_for_the_next_record_of_every_process(settings: Settings, open_desk: Callable[..., Desk]) -> None:
    if settings.database_secret is None:
        pytest.skip("an embedded database has one process")
    here, there = open_desk(settings), open_desk(settings)
    there.post(info())
    here.silence("service:payments")
    there.post(critical())
    assert there.tickets == []
    here.end_silence()
    there.post(critical("another thing"))
    assert len(there.tickets) == 1


def test_a_record_that_nothing_hides_releases_the_alert_and_its_ticket_opens_once(desk: Desk) -> None:
    desk.silence("@host:db1")
    desk.post(critical(attributes={"host": "db1"}))
    assert desk.tickets == []
    desk.post(critical(attributes={"host": "db2"}), critical(attributes={"host": "db1"}))
    desk.post(critical(attributes={"host": "db2"}))
    assert desk.alert.ticket_id == desk.ticket.id
    assert (desk.alert.status, desk.alert.count) == ("firing", 4)
    assert desk.verdicts() == {"suppressed": 2, "counted": 2}
    assert desk.kinds("alert:1") == ["AlertOpened", "AlertReleased"]
    desk.check_books()


def test_what_opens_with_heard_and_hidden_records_has_a_ticket_by_those_that_are_heard(desk: Desk) -> None:
    desk.silence("@host:db1")
    desk.post(critical(attributes={"host": "db1"}), critical(attributes={"host": "db2"}))
    assert desk.alert.first_record_id == desk.logs[1].id
    assert (desk.alert.ticket_id, desk.alert.count) == (desk.ticket.id, 2)
    assert desk.verdicts() == {"opened": 1, "suppressed": 1}


def test_an_alert_that_has_a_ticket_keeps_it_when_a_silence_begins(desk: Desk) -> None:
    desk.post(critical())
    desk.silence()
    desk.post(critical(), critical())
    assert (desk.ticket.id, desk.alert.status, desk.alert.count) == (1, "firing", 3)
    assert desk.verdicts() == {"opened": 1, "suppressed": 2}
    assert (desk.hidden().records, desk.hidden().alerts, desk.hidden().would_be_p1) == (2, 1, 0)
    on(desk, minutes=61)
    assert len(desk.tickets) == 1
    desk.check_books()


def test_at_its_end_what_still_fires_is_heard_once_and_the_rest_ends(desk: Desk, clock: FakeClock) -> None:
    desk.silence("level:CRITICAL", duration_s=3600)
    desk.post(critical("long ago"))
    clock.advance(minutes=55)
    desk.post(critical("just now"))
    on(desk, minutes=6)
    desk.run_due_timers()
    old, fresh = desk.alerts
    assert (old.status, old.ticket_id) == ("resolved", None)
    assert (fresh.status, fresh.ticket_id) == ("firing", desk.ticket.id)
    assert desk.kinds("alert:1") == ["AlertOpened", "AlertUnheard"]
    assert desk.kinds("silence:1") == ["SilenceSaved", "SilenceStarted", "SilenceEnded"]
    desk.post(critical("long ago"))
    assert len(desk.tickets) == 2, "a new episode is heard"
    desk.check_books()


def test_a_rule_that_ends_its_alerts_by_itself_still_fires_as_long_as_they_are_open(desk: Desk) -> None:
    desk.save_rule(auto_resolve_after_s=1800)
    desk.silence(duration_s=1200)
    desk.post(error())
    on(desk, minutes=21)
    assert (desk.alert.status, len(desk.tickets)) == ("firing", 1)


def test_a_hidden_alert_that_goes_quiet_ends_without_a_ticket(desk: Desk) -> None:
    desk.save_rule(auto_resolve_after_s=600)
    desk.silence()
    desk.post(error())
    on(desk, minutes=11)
    assert (desk.alert.status, desk.tickets) == ("resolved", [])
    assert desk.kinds("alert:1") == ["AlertOpened", "AlertUnheard"]


def test_ended_by_hand_it_lets_go_at_once_and_says_by_whom(desk: Desk) -> None:
    desk.silence()
    desk.post(critical())
    desk.end_silence()
    desk.run_due_timers()
    assert desk.alert.ticket_id == desk.ticket.id
    [ended] = desk.events("silence:1", "SilenceEnded")
    assert (ended.actor, ended.data["early"], state(desk)) == ("local:rui", True, State.EXPIRED)
    with pytest.raises(Conflict, match="over already"):
        desk.end_silence()
    desk.check_books()


def test_another_active_silence_takes_over_what_it_covers(desk: Desk, clock: FakeClock) -> None:
    desk.silence("service:payments", duration_s=540)
    desk.post(critical())
    desk.post(critical("elsewhere", attributes={"host": "x"}))
    clock.advance(minutes=8)
    desk.silence("message:database", duration_s=600)  # made after the last record came
    on(desk, minutes=2)
    taken, freed = desk.alerts
    assert (taken.suppressed_by, taken.ticket_id) == ("silence:2", None)
    assert (freed.suppressed_by, freed.ticket_id) == (None, desk.ticket.id)
    clock.advance(minutes=7)
    desk.post(critical())
    on(desk, minutes=2)
    assert desk.alerts[0].ticket_id is not None
    assert desk.suppressed_by() == {"silence:1": 2, "silence:2": 1}
    desk.check_books()


def test_of_silences_that_overlap_the_first_one_hides(desk: Desk) -> None:
    desk.silence("service:payments")
    desk.silence("level:CRITICAL")
    desk.post(critical(), critical(service="shop"))
    assert desk.suppressed_by() == {"silence:1": 1, "silence:2": 1}


def test_one_that_has_not_begun_hides_nothing_yet(desk: Desk, clock: FakeClock) -> None:
    desk.silence(starts_at=START + timedelta(minutes=10), duration_s=600)
    assert (state(desk), desk.kinds("silence:1")) == (State.SCHEDULED, ["SilenceSaved"])
    desk.post(critical("before"))
    on(desk, minutes=10)
    desk.post(critical("within"))
    assert (len(desk.tickets), state(desk)) == (1, State.ACTIVE)
    clock.advance(minutes=10)  # by the clock it is over, though no timer has run yet
    desk.post(critical("after"))
    desk.post(critical("within"))
    assert len(desk.tickets) == 3
    desk.run_due_timers()
    assert (len(desk.tickets), state(desk)) == (3, State.EXPIRED)
    desk.check_books()


def test_one_that_is_called_off_before_it_begins_never_hides_anything(desk: Desk) -> None:
    desk.silence(starts_at=START + timedelta(minutes=10), duration_s=600)
    desk.end_silence()
    on(desk, minutes=11)
    desk.post(critical())
    assert (len(desk.tickets), desk.kinds("silence:1")) == (1, ["SilenceSaved", "SilenceSaved"])


def test_a_maintenance_window_hides_within_each_occurrence_and_lets_go_between_them(
    desk: Desk, clock: FakeClock
) -> None:
    desk.silence(  # it is 03:21 in Berlin
        recurrence="FREQ=DAILY;BYHOUR=4;BYMINUTE=0", duration_s=1800, time_zone="Europe/Berlin",
        until=START + timedelta(days=2),
    )  # fmt: skip
    assert state(desk) is State.SCHEDULED
    on(desk, minutes=39)
    desk.post(critical())
    assert (state(desk), desk.tickets) == (State.ACTIVE, [])
    clock.advance(minutes=29)
    desk.post(critical())
    on(desk, minutes=1)
    assert (state(desk), desk.alert.ticket_id) == (State.SCHEDULED, desk.ticket.id)
    on(desk, minutes=24 * 60 - 30)
    desk.post(critical("another thing"))
    assert (state(desk), len(desk.tickets)) == (State.ACTIVE, 1)
    on(desk, minutes=30)
    assert (state(desk), desk.alerts[1].status) == (State.EXPIRED, "resolved"), "it was over before the window was"
    kinds = ["SilenceSaved", *["SilenceStarted", "SilenceEnded"] * 2]
    assert desk.kinds("silence:1") == kinds
    desk.check_books()


def test_windows_count_silenced_records_and_pending_stays_pending(desk: Desk) -> None:
    desk.save_rule(kind=Kind.THRESHOLD, threshold=3, window_s=600)
    desk.silence("@host:db1")
    desk.post(error(attributes={"host": "db1"}), error(attributes={"host": "db1"}))
    assert desk.verdicts() == {"pending": 2}
    desk.post(error(attributes={"host": "db1"}))
    assert (desk.alert.suppressed_by, desk.tickets) == ("silence:1", [])
    desk.post(error(attributes={"host": "db2"}))
    assert desk.ticket.title.startswith("payments")
    assert desk.verdicts() == {"pending": 2, "suppressed": 1, "counted": 1}


def test_late_records_are_told_apart_by_whether_they_are_hidden(desk: Desk) -> None:
    desk.save_rule(kind=Kind.THRESHOLD, threshold=1, window_s=600)
    desk.silence("@host:db1")
    late = iso(START - timedelta(minutes=3))
    desk.post(error(attributes={"host": "db2"}))
    desk.post(
        error(attributes={"host": "db1"}), error(timestamp=late, attributes={"host": "db1"}),
        error(attributes={"host": "db2"}), error(timestamp=late, attributes={"host": "db2"}),
        error(timestamp=late, attributes={"host": "db2"}),
    )  # fmt: skip
    assert desk.late == 3
    assert desk.verdicts() == {"opened": 1, "suppressed": 2, "counted": 3}


def test_backfill_and_dry_runs_are_what_they_are_silenced_or_not(desk: Desk) -> None:
    desk.save_rule("rehearsal", "level:ERROR", dry_run=True)
    desk.silence("*")
    desk.post(critical(), backfill=True)
    desk.post(error())
    assert desk.verdicts() == {"backfill": 1, "dry_run": 1}


def test_it_shows_live_what_it_hides(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule(priority=Priority.P1)
    desk.silence("service:payments")
    assert desk.hidden() == desk.hidden(99)
    desk.post(error("one"), error("one"), error("two"), critical("three"))
    clock.advance(minutes=3)
    desk.post(error("two"))
    found = desk.hidden()
    # The critical one is matched by critical-logs (P2) and by errors (P1).
    assert (found.records, found.alerts, found.would_be_p1, found.last_at) == (6, 4, 3, clock.now())


def test_much_more_than_usual_breaks_it_once_and_its_alerts_are_heard(desk: Desk, clock: FakeClock) -> None:
    desk.silence(break_factor=10, baseline_n=60, duration_s=7200)  # one a minute
    desk.post(*[critical()] * 50)
    desk.watch_silences()
    assert state(desk) is State.ACTIVE, "50 in five minutes are ten times as many, not more"
    clock.advance(minutes=6)
    desk.post(*[critical()] * 50)
    desk.watch_silences()
    assert state(desk) is State.ACTIVE, "what came more than five minutes ago counts no more"
    desk.post(critical())
    desk.watch_silences()
    desk.watch_silences()
    desk.run_due_timers()
    assert (state(desk), desk.alert.ticket_id) == (State.BROKEN, desk.ticket.id)
    [broken] = desk.events("silence:1", "SilenceBroken")
    assert (broken.data["hidden_n"], broken.data["baseline_per_min"]) == (51, 1.0)
    desk.post(critical("another thing"))
    assert len(desk.tickets) == 2
    on(desk, minutes=115)
    assert state(desk) is State.EXPIRED
    desk.check_books()


def test_several_processes_break_it_once(settings: Settings, open_desk: Callable[..., Desk]) -> None:
    if settings.database_secret is None:
        pytest.skip("an embedded database has one process")
    desks = [open_desk(settings) for _ in range(4)]
    desks[0].silence(break_factor=1, baseline_n=1)
    desks[0].post(*[critical()] * 10)
    assert in_threads(*(one.watch_silences for one in desks)) == [None] * 4
    in_threads(*(one.run_due_timers for one in desks))
    assert len(desks[0].events("silence:1", "SilenceBroken")) == 1
    assert len(desks[0].tickets) == 1
    desks[0].check_books()


def test_a_matcher_that_can_not_be_read_any_more_hides_nothing_and_stops_nobody(desk: Desk) -> None:
    desk.silence()
    desk.database.write(lambda tx: tx.execute(update(silences).values(matcher="levl:(")), actor=SYSTEM)
    desk.silence("service:shop")
    desk.post(critical(), critical(service="shop"))
    assert ([ticket.service for ticket in desk.tickets], desk.parked) == (["payments"], 0)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"ends_at": START}, "/ends_at: is not after its start"),
        ({"starts_at": START - timedelta(hours=3)}, "/ends_at: is over already"),
        ({"duration_s": 0}, "/duration_s: expected 1 to"),
        ({"duration_s": -5}, "/duration_s: expected 1 to"),
        ({"duration_s": 100 * 366 * 86_400}, "/duration_s: expected 1 to"),
        ({"ends_at": START + timedelta(days=36_600)}, "/ends_at: is 36600 days after its start"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(desk: Desk, fields: dict[str, Any], told: str) -> None:
    with pytest.raises(Invalid) as refused:
        desk.silence(**fields)
    assert any(f"{one.pointer}: {one.detail}".startswith(told) for one in refused.value.errors), refused.value.errors


def test_records_that_come_while_it_ends_are_hidden_or_heard_and_none_is_left_behind(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    here = open_desk(settings, limits=StormLimits(0, 0))
    there = here if settings.database_secret is None else open_desk(settings, limits=StormLimits(0, 0))
    here.silence()

    def post(desk: Desk, kind: str) -> None:
        for number in range(12):
            desk.post(critical(f"{kind} {'abcdefghijkl'[number]} failed"))

    def end() -> None:
        there.end_silence()
        there.run_due_timers()

    assert in_threads(lambda: post(here, "disk"), end, lambda: post(there, "net")) == [None] * 3
    here.run_due_timers()
    assert {alert.status for alert in here.alerts} == {"firing"}
    assert len(here.alerts) == len({alert.fingerprint for alert in here.alerts})
    assert here.verdicts().get("suppressed", 0) == here.hidden().records
    here.check_books()


def test_however_many_alerts_it_hid_it_lets_go_of_all(settings: Settings, open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(settings, limits=StormLimits(0, 0))
    desk.save_rule(group_by=("@host",))
    desk.silence("level:ERROR")
    desk.post(*[error(attributes={"host": f"h{number}"}) for number in range(2 * SLICE + 5)])
    desk.end_silence()
    desk.run_due_timers()
    assert {alert.status for alert in desk.alerts} == {"firing"}
    assert len(desk.tickets) == 2 * SLICE + 5


def test_an_alert_that_grows_under_a_silence_would_be_as_urgent_as_its_rule_says(desk: Desk) -> None:
    desk.save_rule(raise_at=(("P1", 4), ("P2", 2)))
    desk.silence()
    desk.post(*[error("one")] * 3, error("two"))
    assert desk.hidden().would_be_p1 == 0
    desk.roll_up()
    desk.post(error("one"))
    assert (desk.hidden().alerts, desk.hidden().would_be_p1) == (2, 1)
    desk.roll_up()
    assert desk.hidden().would_be_p1 == 1
