"""Rules about there being nothing: told of once, by the server's clock, and over when there is something again."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import update

from desk import ANA, START, Desk, FakeClock, critical, decode_records, error, in_threads, info
from tocsin.alerts import absence_store, absences, rule_service
from tocsin.alerts.absences import watch
from tocsin.alerts.detect import detect
from tocsin.alerts.model import rule_versions
from tocsin.alerts.overflow import OVERFLOW
from tocsin.alerts.rules import Kind
from tocsin.alerts.ruleset import RuleSet
from tocsin.kit.priorities import Priority
from tocsin.proof.explain import explain_alert, explain_record
from tocsin.proof.ledger import verify
from tocsin.settings import Settings
from tocsin.storage import timers
from tocsin.tickets.storming import StormLimits

SILENT: dict[str, Any] = {"kind": Kind.ABSENCE, "window_s": 300, "group_by": ()}
EACH: dict[str, Any] = {**SILENT, "group_by": ("service",)}
SLACK_S = 5


def balanced(desk: Desk) -> bool:
    return verify(desk.database, desk.reader, START, desk.clock.now()).balanced


def test_what_was_there_and_then_is_not_opens_one_ticket_and_comes_back_to_end_it(desk: Desk) -> None:
    desk.save_rule("silent", "service:payments", **SILENT, priority=Priority.P2, runbook_url="https://wiki.example.org")
    seen = desk.post(info(), info("request served again")).last_id
    desk.idle(seconds=300)
    assert desk.tickets == []
    desk.idle(seconds=SLACK_S)

    assert (desk.ticket.title, desk.ticket.service) == ("Nothing from payments for 5 min", "payments")
    assert (desk.ticket.priority, desk.ticket.late_s, desk.ticket.opened_by) == (2, 0, "rule:silent")
    last = f"the last sign of life noted is record {seen}."
    assert desk.ticket.description.startswith(f"Rule silent found nothing in payments for 5 min; {last}\n\nRunbook:")
    assert (desk.alert.count, desk.alert.first_record_id) == (0, seen)
    desk.idle(seconds=3600)
    assert (len(desk.alerts), desk.ticket.status) == (1, "OPEN")

    for _ in range(10):
        desk.post(info())
        desk.idle(seconds=60)
    assert (desk.ticket.status, desk.ticket.acknowledged_at, desk.alert.count) == ("RESOLVED", None, 0)
    assert desk.kinds("alert:1") == ["AlertOpened", "AbsenceEnded", "AlertQuieted"]
    assert desk.verdicts() == {"pending": 12}
    assert balanced(desk)
    desk.idle(seconds=300 + SLACK_S)
    assert (len(desk.alerts), desk.ticket.status, desk.ticket.reopen_count) == (2, "OPEN", 1)


def test_a_service_that_is_silent_for_long_explains_what_depends_on_it_until_it_is_there_again(desk: Desk) -> None:
    desk.declare("web", depends_on=["payments"])
    desk.save_rule("silent", "service:payments", **SILENT)
    desk.post(info())
    desk.idle(seconds=300 + SLACK_S)
    desk.clock.advance(minutes=30)
    desk.post(critical(service="web"))
    [_, of_web] = desk.alerts
    assert (of_web.ticket_id, of_web.suppressed_by) == (1, "inhibition:1")

    desk.post(info())
    desk.post(critical("another thing", service="web"))
    assert [ticket.service for ticket in desk.tickets] == ["payments", "web"]


def test_a_storm_of_what_is_silent_goes_on_until_little_is(
    settings: Settings, open_desk: Callable[..., Desk], clock: FakeClock
) -> None:
    desk = open_desk(settings, limits=StormLimits(2, 0))
    desk.save_rule("silent", "*", **{**SILENT, "group_by": ("service", "@host")})
    hosts = [info(host=host) for host in "abcd"]
    desk.post(*hosts)
    desk.idle(seconds=300 + SLACK_S)
    assert desk.ticket.opened_by == "storm"
    clock.advance(minutes=20)
    desk.run_due_timers()
    assert (len(desk.tickets), desk.events(kind="StormEnded")) == (1, [])

    desk.post(*hosts[:3])
    clock.advance(minutes=2)
    desk.run_due_timers()
    [ended] = desk.events(kind="StormEnded")
    missing = next(alert for alert in desk.alerts if alert.id in ended.data["released"])
    assert (len(ended.data["released"]), missing.title, missing.ticket_id) == (
        1,
        "Nothing from service=payments, @host=d for 5 min",
        2,
    )


def test_what_never_said_a_word_is_missed_from_when_the_rule_was_saved(desk: Desk) -> None:
    desk.save_rule("silent", "service:batch level:INFO", **SILENT)
    desk.idle(seconds=300 + SLACK_S)

    assert desk.ticket.title == "Nothing from batch for 5 min"
    assert desk.ticket.description == "Rule silent found nothing in batch for 5 min; there never was a sign of life."
    [opened] = desk.events("alert:1")
    assert (opened.data["first_record_id"], opened.cause_id, opened.actor) == (None, None, "system")
    told = explain_alert(desk.database, desk.reader, 1)
    assert told.summary == (
        "Rule silent (version 1) opened it, for there was no record for 300 s; there never was one; 0 records in all;"
        " ticket 1 (OPEN) was opened by it; it still fires."
    )
    assert (told.first_record, told.alert.first_log_id, told.ticket and told.ticket.first_log_id) == (None, None, None)


def test_every_group_is_watched_from_when_it_was_first_seen(desk: Desk) -> None:
    desk.save_rule("silent", "level:INFO", **EACH)
    desk.idle(seconds=600)
    desk.post(info(service="shop"), info())
    desk.idle(seconds=200)
    desk.post(info())
    desk.idle(seconds=100 + SLACK_S)
    assert [ticket.title for ticket in desk.tickets] == ["Nothing from shop for 5 min"]
    desk.idle(seconds=200)
    assert [ticket.service for ticket in desk.tickets] == ["shop", "payments"]


def test_groups_of_attributes_are_named_as_they_are_told_apart(desk: Desk) -> None:
    grouped = {**SILENT, "window_s": 5400, "group_by": ("@host",), "correlate_by": ("rule",)}
    desk.save_rule("silent", "level:INFO", **grouped)
    desk.post(info(attributes={"host": "a"}), info(attributes={"host": "b"}))
    desk.idle(seconds=5400 + SLACK_S)
    assert [alert.title for alert in desk.alerts] == [f"Nothing from @host={host} for 90 min" for host in "ab"]
    assert len(desk.tickets) == 1


@pytest.mark.parametrize(("after_s", "idle_s"), [(0, 0), (120, 120), (None, 600)])
def test_it_is_over_when_there_was_something_for_as_long_as_the_rule_says(
    desk: Desk, after_s: int | None, idle_s: int
) -> None:
    desk.save_rule("silent", "level:INFO", **EACH, auto_resolve_after_s=after_s)
    desk.post(info())
    desk.idle(seconds=305)
    for _ in range(idle_s // 60):
        desk.post(info())
        assert desk.ticket.status == "OPEN"
        desk.idle(seconds=60)
    desk.post(info())
    assert (desk.ticket.status, desk.alert.ended_at) == ("RESOLVED", desk.clock.now())


def test_silence_that_comes_again_before_it_is_over_goes_on_with_the_same_alert(desk: Desk) -> None:
    desk.save_rule("silent", "level:INFO", **EACH)
    desk.post(info())
    desk.idle(seconds=305)
    desk.post(info())
    desk.idle(seconds=1200)
    assert (len(desk.alerts), desk.ticket.status) == (1, "OPEN")
    for _ in range(11):
        desk.post(info())
        desk.idle(seconds=60)
    assert desk.ticket.status == "RESOLVED"


def test_a_ticket_that_a_person_resolves_is_not_opened_again_before_there_was_something(desk: Desk) -> None:
    desk.save_rule("silent", "level:INFO", **EACH)
    desk.post(info())
    desk.idle(seconds=305)
    desk.resolve(1)
    desk.idle(seconds=3600)
    assert (len(desk.alerts), desk.ticket.status) == (1, "RESOLVED")
    desk.post(info())
    desk.idle(seconds=305)
    assert (len(desk.alerts), len(desk.tickets)) == (2, 2)


def test_while_the_intake_was_down_nobody_could_be_heard(
    settings: Settings, open_desk: Callable[..., Desk], clock: FakeClock
) -> None:
    before = open_desk(settings)
    before.save_rule("silent", "level:INFO", **EACH)
    before.post(info())
    before.idle(seconds=100)
    clock.advance(hours=1)
    after = open_desk(settings)
    after.idle(seconds=300)
    assert after.tickets == []
    after.idle(seconds=20 + SLACK_S)
    assert len(after.tickets) == 1


def test_a_quick_restart_is_no_outage(settings: Settings, open_desk: Callable[..., Desk], clock: FakeClock) -> None:
    before = open_desk(settings)
    before.save_rule("silent", "level:INFO", **EACH)
    before.post(info())
    before.idle(seconds=280)
    clock.advance(seconds=20)
    open_desk(settings).idle(seconds=5)
    assert len(before.tickets) == 1


def test_a_busy_service_costs_a_write_every_few_seconds(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule("silent", "level:INFO", **EACH)
    desk.post(info())
    for expected_s in (0, 0, 0, 6, 6, 6, 12):
        desk.post(info())
        seen_at = desk.database.read(lambda tx: absence_store.earliest(tx, "silent"))
        assert seen_at is not None
        assert (seen_at - START).total_seconds() == expected_s
        clock.advance(seconds=2)


def test_backfilled_records_are_no_sign_of_life(desk: Desk) -> None:
    desk.save_rule("silent", "level:INFO", **SILENT)
    desk.idle(seconds=200)
    desk.post(info(), backfill=True)
    desk.idle(seconds=105)
    assert (len(desk.tickets), desk.verdicts(), balanced(desk)) == (1, {"backfill": 1}, True)


def test_a_dry_run_writes_down_what_it_would_have_opened_and_then_opens_it(desk: Desk) -> None:
    desk.save_rule("silent", "level:INFO", **EACH, dry_run=True)
    seen = desk.post(info()).first_id
    desk.idle(seconds=3600)
    assert (desk.alerts, desk.verdicts(), desk.would("silent")) == ([], {"dry_run": 1}, {"pending": 1, "opened": 0})
    found, _ = rule_service.rehearsals(desk.database, "silent", cursor=None, limit=10)
    assert [(one.n, one.first_record_id) for one in found] == [(0, seen)]
    assert balanced(desk)

    desk.save_rule("silent", "level:INFO", **EACH)
    desk.run_due_timers()
    assert len(desk.tickets) == 1


def test_a_rule_that_is_switched_off_or_removed_waits_for_nothing(desk: Desk) -> None:
    desk.save_rule("silent", "level:INFO", **SILENT)
    desk.save_rule("other", "level:INFO", **SILENT)
    desk.save_rule("silent", "level:INFO", **SILENT, enabled=False)
    desk.remove_rule("other")
    desk.idle(seconds=3600)
    assert (desk.tickets, desk.database.read(lambda tx: timers.any_of(tx, absences.ABSENCE))) == ([], False)

    desk.save_rule("silent", "level:INFO", **SILENT)
    desk.idle(seconds=200)
    assert desk.tickets == []
    desk.idle(seconds=105)
    assert len(desk.tickets) == 1


def test_a_change_of_the_window_holds_for_the_groups_there_are(desk: Desk) -> None:
    desk.save_rule("silent", "level:INFO", **EACH)
    desk.post(info())
    desk.idle(seconds=100)
    desk.save_rule("silent", "level:INFO", **{**EACH, "window_s": 60})
    desk.run_due_timers()
    assert desk.ticket.title == "Nothing from payments for 1 min"


def test_another_condition_begins_anew_and_its_open_alert_ends_with_a_sign_of_life(desk: Desk) -> None:
    desk.save_rule("silent", "level:INFO", **EACH, auto_resolve_after_s=0)
    desk.post(info(), info(service="shop"))
    desk.idle(seconds=305)
    desk.save_rule("silent", "level:<=INFO", **EACH, auto_resolve_after_s=0)
    desk.idle(seconds=600)
    assert len(desk.alerts) == 2
    desk.post(info())
    assert [ticket.status for ticket in desk.tickets] == ["RESOLVED", "OPEN"]


def test_while_records_wait_for_the_rule_nothing_is_said(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule("silent", "level:INFO", **EACH)
    desk.post(info())
    good = desk.rule("silent").rule.definition()
    _set(desk, {**good, "condition": "level:"})
    desk.idle(seconds=280)
    desk.post(info())
    desk.idle(seconds=200)
    assert desk.tickets == []
    _set(desk, good)
    desk.idle(seconds=100)
    assert (desk.tickets, desk.parked) == ([], 0)
    desk.idle(seconds=300)
    assert len(desk.tickets) == 1


def _set(desk: Desk, definition: dict[str, Any]) -> None:
    def write(tx: Any) -> None:
        tx.execute(update(rule_versions).where(rule_versions.c.name == "silent").values(definition=definition))
        tx.connection.exec_driver_sql("UPDATE counters SET value = value + 1 WHERE name = 'ruleset'")

    desk.database.write(write, actor=ANA)


def test_more_groups_than_a_rule_can_know_are_watched_together(desk: Desk) -> None:
    desk.save_rule("silent", "level:INFO", **EACH)
    desk.post(*[info(service=f"s{n}") for n in range(6)])
    desk.idle(seconds=305)
    assert len(desk.tickets) == 6
    desk.resolve(1)
    desk.resolve(2)
    desk.post(*[info(service=f"new{n}") for n in range(3)])

    def crowded(tx: Any) -> list[tuple[str | None, int, str]]:
        columns = decode_records([info(service=f"extra{n}") for n in range(5)], arrived=tx.now).columns
        found = detect(columns, RuleSet(1, [desk.rule("silent").rule]), first_id=1, backfill=False)
        shares = watch(tx, found.matches, observed_at=tx.now, max_groups=9)
        return [(share.verdict, share.match.n, share.match.template) for share in shares]

    told = desk.database.write(crowded, actor=ANA)
    assert told == [("pending", 1, "service=extra0"), ("pending", 1, "service=extra1"), ("overflow", 3, OVERFLOW)]
    desk.idle(seconds=305)
    assert "Nothing from (other groups) for 5 min" in [ticket.title for ticket in desk.tickets]


def test_signs_of_life_from_many_connections_lose_nothing_and_open_nothing(
    postgres_settings: Settings, open_desk: Callable[..., Desk], clock: FakeClock
) -> None:
    desks = [open_desk(postgres_settings) for _ in range(4)]
    desks[0].save_rule("silent", "level:INFO", **EACH, auto_resolve_after_s=0)

    def work(desk: Desk, turn: int) -> None:
        services = list(range(30))
        for _ in range(5):
            desk.post(*[info(service=f"s{n}") for n in (services if turn % 2 else reversed(services))])
            desk.run_due_timers()

    for _ in range(3):
        works = [partial(work, desk, turn) for turn, desk in enumerate(desks)]
        assert in_threads(*works) == [None] * 4
        assert desks[0].parked == 0
        assert all(ticket.status == "RESOLVED" for ticket in desks[0].tickets)
        desks[0].idle(seconds=310)
        assert len([alert for alert in desks[0].alerts if alert.ended_at is None]) == 30
    assert desks[0].verdicts() == {"pending": 3 * 4 * 5 * 30}
    assert balanced(desks[0])


def test_a_sign_of_life_is_explained(desk: Desk) -> None:
    desk.save_rule("silent", "level:INFO", **SILENT, auto_resolve_after_s=0)
    seen = desk.post(info(), error()).first_id
    assert seen is not None
    [told] = [one for one in explain_record(desk.database, desk.reader, seen).rules if one.rule == "silent"]
    assert told.why == "It is a sign of life: the rule opens an alert when there is none for 300 s."
    assert (told.window, told.alert) == (None, None)
    desk.idle(seconds=305)
    desk.post(info())
    told_of = explain_alert(desk.database, desk.reader, 1)
    assert told_of.first_record is not None
    assert told_of.first_record.id == seen
    assert "the last one was record" in told_of.summary
    assert told_of.ended is not None
    assert told_of.ended.why == "it ended with the next record"


def test_an_open_alert_gets_its_timer_when_its_rule_begins_to_let_alerts_end(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule()
    desk.post(error())
    desk.save_rule(auto_resolve_after_s=600)
    clock.advance(seconds=599)
    desk.run_due_timers()
    assert desk.ticket.status == "OPEN"
    clock.advance(seconds=1)
    desk.run_due_timers()
    assert desk.ticket.status == "RESOLVED"


def test_a_silence_of_the_service_hides_its_absence_and_what_is_still_absent_at_its_end_is_heard(desk: Desk) -> None:
    desk.save_rule("silent", "service:payments", **SILENT)
    desk.post(info())
    desk.silence("service:payments", duration_s=1800)
    desk.idle(seconds=300 + SLACK_S)
    assert (desk.tickets, desk.alert.status, desk.alert.suppressed_by) == ([], "suppressed", "silence:1")

    desk.idle(seconds=1800)
    assert (desk.ticket.title, desk.alert.status) == ("Nothing from payments for 5 min", "firing")


def test_an_absence_that_was_over_before_the_silence_was_is_never_heard(desk: Desk) -> None:
    desk.save_rule("silent", "service:payments", **SILENT, auto_resolve_after_s=0)
    desk.post(info())
    desk.silence("service:payments", duration_s=1800)
    desk.idle(seconds=300 + SLACK_S)
    desk.post(info())
    assert desk.alert.ended_at is not None

    desk.end_silence()
    desk.run_due_timers()
    assert desk.tickets == []


def test_a_silence_of_another_service_hides_no_absence(desk: Desk) -> None:
    desk.save_rule("silent", "service:payments", **SILENT)
    desk.post(info())
    desk.silence("service:shop", duration_s=1800)
    desk.idle(seconds=300 + SLACK_S)

    assert len(desk.tickets) == 1
