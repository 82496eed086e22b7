"""Tickets over time: relapse, recurrence, reopening by hand, auto-close, backfill."""

from datetime import timedelta

import pytest

from desk import ANA, RUI, Desk, critical
from tocsin.kit.errors import Conflict
from tocsin.tickets.workflow import TransitionRefused


def test_a_relapse_within_the_window_opens_the_same_ticket_again_with_a_new_acknowledge_clock(desk: Desk) -> None:
    desk.post(critical())
    desk.clock.advance(minutes=2)
    desk.move(1, "IN_PROGRESS")
    desk.clock.advance(minutes=3)
    desk.move(1, "RESOLVED")
    assert (desk.ticket.time_to_acknowledge_s, desk.ticket.time_to_resolve_s) == (120, 300)
    assert desk.alert.ended_at == desk.clock.now()

    desk.clock.advance(minutes=30)
    desk.post(critical())
    ticket = desk.ticket
    assert (ticket.status, ticket.reopen_count, ticket.version) == ("OPEN", 1, 4)
    assert ticket.acknowledged_at is ticket.resolved_at is None
    assert ticket.acknowledge_from == desk.clock.now()
    first, second = desk.alerts
    assert first.ended_at is not None
    assert second.ended_at is None
    assert first.ticket_id == second.ticket_id == 1

    desk.clock.advance(seconds=45)
    assert desk.move(1, "IN_PROGRESS").time_to_acknowledge_s == 45
    assert desk.kinds("ticket:1") == ["TicketOpened", "TicketMoved", "TicketMoved", "TicketReopened", "TicketMoved"]
    reopened = desk.events(kind="TicketReopened")[0]
    assert (reopened.data["alert_id"], reopened.data["after"], reopened.actor) == (second.id, "OPEN", "system")
    desk.check_books()


def test_after_the_window_a_new_ticket_names_the_one_it_recurs(desk: Desk) -> None:
    desk.post(critical())
    desk.resolve(1)
    desk.clock.advance(minutes=30, microseconds=1)
    desk.post(critical())

    old, new = desk.tickets
    assert (old.status, new.status, new.recurrence_of) == ("RESOLVED", "OPEN", old.id)
    assert old.recurrence_of is None
    desk.check_books()


def test_a_closed_ticket_is_never_reopened_by_an_alert(desk: Desk) -> None:
    desk.post(critical())
    desk.resolve(1)
    desk.move(1, "CLOSED")
    desk.post(critical())

    assert [(t.status, t.recurrence_of) for t in desk.tickets] == [("CLOSED", None), ("OPEN", 1)]
    desk.check_books()


def test_a_person_who_reopens_takes_the_ticket_and_the_acknowledgement_stands(desk: Desk) -> None:
    desk.post(critical())
    desk.clock.advance(minutes=1)
    acknowledged = desk.resolve(1).acknowledged_at
    desk.clock.advance(days=2)
    ticket = desk.reopen(1, actor=RUI, reason="customers still call")

    assert (ticket.status, ticket.assignee, ticket.reopen_count) == ("IN_PROGRESS", "rui", 1)
    assert ticket.acknowledged_at == acknowledged
    assert ticket.resolved_at is None
    [event] = desk.events(kind="TicketReopened")
    assert (event.actor, event.data["reason"]) == (str(RUI), "customers still call")


def test_after_a_person_reopened_it_new_records_join_that_ticket(desk: Desk) -> None:
    desk.post(critical())
    desk.resolve(1)
    desk.reopen(1)
    desk.post(critical())

    assert (desk.ticket.status, desk.ticket.reopen_count) == ("IN_PROGRESS", 1)
    assert [alert.count for alert in desk.alerts] == [1, 1]
    assert desk.kinds("ticket:1")[-1] == "AlertJoined"
    desk.check_books()


@pytest.mark.parametrize("walk", [[], ["IN_PROGRESS"], ["IN_PROGRESS", "RESOLVED", "CLOSED"]])
def test_only_a_resolved_ticket_can_be_reopened(desk: Desk, walk: list[str]) -> None:
    desk.post(critical())
    if walk:
        desk.move(1, *walk)
    with pytest.raises(TransitionRefused):
        desk.reopen(1)


def test_an_old_ticket_is_not_reopened_while_its_recurrence_is_open(desk: Desk) -> None:
    desk.post(critical())
    desk.resolve(1)
    desk.clock.advance(hours=1)
    desk.post(critical())
    with pytest.raises(Conflict, match="ticket 2 is open for the same trouble"):
        desk.reopen(1)
    desk.post(critical())
    assert [alert.count for alert in desk.alerts_of(2)] == [2]

    desk.resolve(2)
    desk.reopen(1)
    assert {ticket.id: ticket.status for ticket in desk.tickets} == {1: "IN_PROGRESS", 2: "RESOLVED"}


def test_a_resolved_ticket_is_closed_by_the_system_after_seven_days(desk: Desk) -> None:
    desk.post(critical())
    desk.resolve(1)
    desk.clock.advance(days=7, microseconds=-1)
    desk.run_due_timers()
    assert desk.ticket.status == "RESOLVED"

    desk.clock.advance(microseconds=1)
    desk.run_due_timers()
    assert (desk.ticket.status, desk.ticket.closed_at) == ("CLOSED", desk.clock.now())
    last = desk.events("ticket:1")[-1]
    assert (last.kind, last.actor, last.data) == ("TicketMoved", "system", {
        "ticket_id": 1, "before": "RESOLVED", "after": "CLOSED", "resolution_code": None, "resolution_note": None,
    })  # fmt: skip


def test_a_reopened_ticket_is_closed_seven_days_after_its_last_resolution_only(desk: Desk) -> None:
    desk.post(critical())
    desk.resolve(1)
    desk.clock.advance(days=6)
    desk.reopen(1)
    desk.clock.advance(days=3)
    desk.run_due_timers()
    assert desk.ticket.status == "IN_PROGRESS"

    desk.move(1, "RESOLVED")
    desk.clock.advance(days=6)
    desk.run_due_timers()
    assert desk.ticket.status == "RESOLVED"
    desk.clock.advance(days=1)
    desk.run_due_timers()
    assert desk.ticket.status == "CLOSED"


def test_many_tickets_are_closed_in_one_run_of_the_timers(desk: Desk) -> None:
    letters = [chr(97 + n % 26) + chr(97 + n // 26) for n in range(130)]
    desk.post(*[critical(f"{word} broke") for word in letters])
    for ticket in desk.tickets:
        desk.resolve(ticket.id)
    desk.clock.advance(days=7)
    desk.run_due_timers()

    assert {ticket.status for ticket in desk.tickets} == {"CLOSED"}


def test_backfilled_records_are_kept_and_given_a_verdict_and_alert_nobody(desk: Desk) -> None:
    desk.post(critical(), critical(), backfill=True, actor=ANA)

    assert [record.backfill for record in desk.logs] == [True, True]
    assert desk.verdicts() == {"backfill": 2}
    assert (desk.alerts, desk.tickets) == ([], [])
    desk.check_books()


def test_backfilled_and_live_records_of_one_commit_are_told_apart(desk: Desk) -> None:
    posts = [desk.start_post(critical(), backfill=number % 2 == 0) for number in range(40)]
    for post in posts:
        post.result(60)

    assert desk.alert.count == 20
    assert desk.verdicts()["backfill"] == 20
    desk.check_books()


def test_the_time_to_resolve_counts_from_opening_to_the_last_resolution(desk: Desk) -> None:
    desk.post(critical())
    desk.resolve(1)
    desk.clock.advance(minutes=10)
    desk.post(critical())
    desk.clock.advance(minutes=10)
    ticket = desk.resolve(1)

    assert ticket.time_to_resolve_s == timedelta(minutes=20).total_seconds()
