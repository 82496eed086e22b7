"""Two tickets for one trouble become one, and two again: no alert is lost, one thing keeps one ticket."""

import threading
from datetime import timedelta
from typing import Any

import pytest

from desk import ANA, PATIENCE_S, RUI, Desk, FakeClock, critical, in_threads, wait_until, waiting_for_locks
from tocsin.kit.errors import Conflict, Invalid
from tocsin.kit.priorities import Priority
from tocsin.storage.tx import Tx
from tocsin.tickets import merge_service, sla_service, split_service
from tocsin.tickets import service as tickets
from tocsin.tickets.policies import Policy
from tocsin.tickets.split_service import Parting
from tocsin.tickets.store import Ticket
from tocsin.tickets.workflow import Status


def merge(desk: Desk, ticket_id: int, into_id: int) -> Ticket:
    return desk.database.write(lambda tx: merge_service.merge(tx, ticket_id, into_id), actor=ANA)


def unmerge(desk: Desk, ticket_id: int) -> Ticket:
    return desk.database.write(lambda tx: merge_service.unmerge(tx, ticket_id), actor=ANA)


def statuses(desk: Desk) -> dict[int, str]:
    return {ticket.id: ticket.status.value for ticket in desk.tickets}


def two(desk: Desk) -> None:
    desk.post(critical("database connection lost"))
    desk.post(critical("disk full"))


def test_alerts_go_over_and_what_follows_them_too(desk: Desk) -> None:
    two(desk)
    merged = merge(desk, 2, 1)
    assert (merged.status, merged.merged_into) == (Status.CLOSED, 1)
    assert len(desk.alerts_of(1)) == 2
    desk.post(critical("disk full"))
    assert len(desk.tickets) == 2
    assert sum(alert.count for alert in desk.alerts_of(1)) == 3
    assert "TicketAbsorbed" in desk.kinds("ticket:1")
    assert {"TicketMerged", "TicketLinked"} <= set(desk.kinds("ticket:2"))
    desk.resolve(1)
    assert all(alert.ended_at for alert in desk.alerts)
    desk.check_books()


def test_a_relapse_of_what_was_merged_reopens_the_one_that_went_on(desk: Desk) -> None:
    two(desk)
    merge(desk, 2, 1)
    desk.resolve(1)
    desk.post(critical("disk full"))
    assert statuses(desk) == {1: "OPEN", 2: "CLOSED"}
    desk.check_books()


def test_the_more_urgent_priority_counts_and_the_clocks_of_the_merged_one_are_cancelled(desk: Desk) -> None:
    policy = Policy("all", 0, acknowledge_s=60, resolve_s=3600)
    desk.database.write(lambda tx: sla_service.save_policy(tx, policy), actor=ANA)
    two(desk)
    desk.database.write(lambda tx: tickets.prioritise(tx, 2, Priority.P1), actor=ANA)
    merge(desk, 2, 1)
    found = desk.database.read(lambda tx: sla_service.standings(tx, [tickets.get(tx, 2)]))[2]
    assert {clock.state.value for clock in found.clocks.values()} == {"cancelled"}
    desk.clock.advance(minutes=5)
    desk.run_due_timers()
    assert [event.subject for event in desk.events(kind="SlaBreached")] == ["ticket:1"]
    assert {ticket.id: ticket.priority for ticket in desk.tickets} == {1: 1, 2: 1}
    unmerge(desk, 2)
    assert {ticket.id: ticket.priority for ticket in desk.tickets} == {1: 2, 2: 1}
    found = desk.database.read(lambda tx: sla_service.standings(tx, [tickets.get(tx, 2)]))[2]
    assert found.clocks["acknowledge"].paused.total_seconds() == 300


def test_a_merge_is_undone_with_what_came_since(desk: Desk) -> None:
    two(desk)
    desk.move(2, "IN_PROGRESS")
    merge(desk, 2, 1)
    desk.post(critical("disk full"))
    assert unmerge(desk, 2).status is Status.IN_PROGRESS
    assert [len(desk.alerts_of(n)) for n in (1, 2)] == [1, 1]
    desk.post(critical("disk full"))
    assert (desk.alerts_of(2)[0].count, len(desk.tickets)) == (3, 2)
    desk.check_books()
    with pytest.raises(Conflict, match="not merged"):
        unmerge(desk, 2)


def test_a_merge_that_is_undone_leaves_the_priority_that_came_since(desk: Desk) -> None:
    """What a person set, or another ticket that is still merged, or an alert that still fires asks for, stays."""
    two(desk)
    desk.post(critical("queue full"))

    def prioritise(ticket_id: int, priority: Priority) -> None:
        desk.database.write(lambda tx: tickets.prioritise(tx, ticket_id, priority), actor=ANA)

    prioritise(1, Priority.P4)
    prioritise(2, Priority.P1)
    prioritise(3, Priority.P3)
    merge(desk, 2, 1)
    merge(desk, 3, 1)
    unmerge(desk, 2)
    assert [ticket.priority for ticket in desk.tickets] == [3, 1, 3]
    merge(desk, 2, 1)
    prioritise(1, Priority.P5)
    unmerge(desk, 2)
    assert [ticket.priority for ticket in desk.tickets] == [5, 1, 3]
    merge(desk, 2, 1)
    desk.clock.advance(minutes=1)
    desk.post(critical("database connection lost"))
    unmerge(desk, 2)
    assert [ticket.priority for ticket in desk.tickets] == [2, 1, 3]
    assert desk.kinds("ticket:1").count("TicketPrioritised") == 7


def test_a_hold_goes_on_when_a_merge_is_undone_before_its_end(desk: Desk) -> None:
    two(desk)
    until = desk.clock.now() + timedelta(hours=1)
    desk.database.write(lambda tx: tickets.hold(tx, 2, reason="the vendor", until=until), actor=ANA)
    merge(desk, 2, 1)
    desk.clock.advance(minutes=20)
    again = unmerge(desk, 2)
    assert (again.held_since, again.held_until, again.hold_reason) == (desk.clock.now(), until, "the vendor")
    merge(desk, 2, 1)
    desk.clock.advance(minutes=60)
    assert unmerge(desk, 2).held_since is None
    desk.database.write(lambda tx: tickets.hold(tx, 2, reason="for good", until=None), actor=ANA)
    merge(desk, 2, 1)
    assert unmerge(desk, 2).hold_reason == "for good"


def test_a_merge_is_not_undone_once_the_other_ticket_is_over(desk: Desk) -> None:
    two(desk)
    merge(desk, 2, 1)
    desk.resolve(1)
    with pytest.raises(Conflict, match="RESOLVED"):
        unmerge(desk, 2)


def test_rings_itself_and_what_is_over_are_refused(desk: Desk) -> None:
    two(desk)
    desk.post(critical("queue full"))
    with pytest.raises(Invalid):
        merge(desk, 1, 1)
    merge(desk, 2, 1)
    for ticket_id, into_id in ((1, 2), (2, 1), (2, 3), (3, 2)):
        with pytest.raises(Conflict):
            merge(desk, ticket_id, into_id)
    merge(desk, 1, 3)
    assert len(desk.alerts_of(3)) == 3
    desk.check_books()


def test_of_two_merges_into_each_other_at_once_one_is_done(desk: Desk) -> None:
    two(desk)
    done = in_threads(lambda: merge(desk, 1, 2), lambda: merge(desk, 2, 1))
    assert sorted(isinstance(one, Conflict) for one in done) == [False, True]
    assert sorted(statuses(desk).values()) == ["CLOSED", "OPEN"]
    desk.check_books()


def test_of_two_merges_of_one_ticket_at_once_one_is_done(desk: Desk) -> None:
    two(desk)
    desk.post(critical("queue full"))
    done = in_threads(lambda: merge(desk, 1, 2), lambda: merge(desk, 1, 3))
    assert sorted(isinstance(one, Conflict) for one in done) == [False, True]
    assert len(desk.alerts_of(1)) == 0
    desk.check_books()


def test_three_merges_in_a_ring_at_once_leave_one_ticket_with_everything(desk: Desk) -> None:
    two(desk)
    desk.post(critical("queue full"))
    done = in_threads(*(lambda a=a, b=b: merge(desk, a, b) for a, b in ((1, 2), (2, 3), (3, 1))))
    assert not [one for one in done if isinstance(one, Exception) and not isinstance(one, Conflict)]
    going_on = [ticket_id for ticket_id, status in statuses(desk).items() if status == "OPEN"]
    assert going_on, "a ring would leave none"
    assert sum(len(desk.alerts_of(ticket_id)) for ticket_id in going_on) == 3
    desk.check_books()


@pytest.mark.parametrize("moved", [1, 2])
def test_a_ticket_that_is_being_moved_is_merged_as_it_was_moved_or_not_at_all(desk: Desk, moved: int) -> None:
    two(desk)
    done: list[Any] = []

    def merging() -> None:
        try:
            done.append(merge(desk, 2, 1))
        except Conflict as error:
            done.append(error)

    other = threading.Thread(target=merging)

    def move(tx: Tx) -> None:
        tickets.change(tx, moved, status=Status.IN_PROGRESS, edits={})
        other.start()
        if tx.dialect == "postgresql":
            wait_until(lambda: waiting_for_locks(desk.database))

    desk.database.write(move, actor=RUI)
    other.join(PATIENCE_S)
    [outcome] = done
    assert isinstance(outcome, Conflict) or moved == 1 or unmerge(desk, 2).status is Status.IN_PROGRESS
    assert desk.tickets[moved - 1].acknowledged_at is not None
    desk.check_books()


def test_a_clock_that_is_set_back_stops_no_merge_and_no_split(desk: Desk, clock: FakeClock) -> None:
    two(desk)
    desk.database.write(lambda tx: tickets.hold(tx, 1, reason="waiting", until=None), actor=ANA)
    clock.advance(hours=-1)
    merge(desk, 2, 1)
    parting = Parting([2], "Disk full", "it differs")
    new = desk.database.write(lambda tx: split_service.split(tx, 1, parting), actor=ANA)
    assert (new.opened_at, new.split_from) == (desk.alerts[1].opened_at, 1)
    desk.database.write(lambda tx: tickets.resume(tx, 1), actor=ANA)
    with pytest.raises(Invalid):
        desk.database.write(lambda tx: tickets.hold(tx, 1, reason="again", until=clock.now()), actor=ANA)
    assert desk.database.write(lambda tx: split_service.unsplit(tx, new.id), actor=ANA).merged_into == 1
    assert unmerge(desk, new.id).status is Status.OPEN
    desk.check_books()


def test_records_that_come_while_tickets_are_merged_and_moved_are_all_kept_on_one_ticket(desk: Desk) -> None:
    two(desk)
    done = in_threads(
        lambda: merge(desk, 2, 1),
        lambda: desk.move(2, "IN_PROGRESS", actor=RUI),
        *[lambda: desk.post(critical("disk full"), critical("disk full"))] * 3,
    )
    assert not [one for one in done if isinstance(one, Exception) and not isinstance(one, Conflict)]
    assert sum(alert.count for alert in desk.alerts) == 8
    desk.check_books()
