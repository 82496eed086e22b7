"""Two troubles in one ticket become two tickets, and one again: no alert is lost, clocks run on as if always apart."""

from typing import Any

import pytest

from desk import ANA, RUI, START, Desk, critical, error, in_threads
from tocsin.kit.errors import Conflict, Invalid, PreconditionFailed
from tocsin.proof.explain import explain_alert
from tocsin.tickets import merge_service, sla_service, split_service
from tocsin.tickets import service as tickets
from tocsin.tickets.policies import Policy
from tocsin.tickets.split_service import Parting
from tocsin.tickets.store import Ticket
from tocsin.tickets.workflow import Status


def split(desk: Desk, *alerts: int, ticket_id: int = 1, **more: Any) -> Ticket:
    parting = Parting(alerts, "Disk full", "not the vendor's outage")
    return desk.database.write(lambda tx: split_service.split(tx, ticket_id, parting, **more), actor=ANA)


def unsplit(desk: Desk, ticket_id: int = 2) -> Ticket:
    return desk.database.write(lambda tx: split_service.unsplit(tx, ticket_id), actor=ANA)


def by_service(desk: Desk, **fields: Any) -> None:
    """Errors of a service share a ticket: two alerts in it, two minutes apart."""
    desk.remove_rule()
    desk.save_rule(correlate_by=("rule",), **fields)
    desk.post(error("database connection lost"))
    desk.clock.advance(minutes=2)
    desk.post(error("disk full"))


def gathered(desk: Desk) -> None:
    """Two alerts of different keys in ticket 1: ticket 2 was merged into it."""
    desk.post(critical("database connection lost"))
    desk.clock.advance(minutes=2)
    desk.post(critical("disk full"))
    desk.database.write(lambda tx: merge_service.merge(tx, 2, 1), actor=ANA)


def counts(desk: Desk) -> dict[int, list[int]]:
    return {ticket.id: [alert.count for alert in desk.alerts_of(ticket.id)] for ticket in desk.tickets}


def test_alerts_go_to_a_new_ticket_and_what_follows_them_too(desk: Desk) -> None:
    gathered(desk)
    desk.clock.advance(minutes=10)
    new = split(desk, 2)
    assert (new.status, new.split_from, new.title, new.service) == (Status.OPEN, 1, "Disk full", "payments")
    assert (new.opened_at, new.opened_by) == (desk.alerts[1].opened_at, "rule:critical-logs")
    desk.post(critical("disk full"), critical("database connection lost"))
    assert counts(desk) == {1: [2], 2: [], 3: [2]}
    assert desk.kinds("ticket:3") == ["TicketOpened", "TicketSplitOff", "TicketLinked"]
    assert desk.kinds("ticket:1")[-2:] == ["TicketSplit", "TicketLinked"]
    assert desk.events("ticket:3", "TicketSplitOff")[0].actor == "local:ana"
    desk.resolve(3)
    assert [alert.ended_at is None for alert in desk.alerts] == [True, False]
    desk.check_books()
    desk.post(critical("disk full"))  # a relapse belongs to what was split off
    assert counts(desk)[3] == [1, 2]
    desk.check_books()


def test_clocks_run_on_as_if_the_two_had_always_been_apart(desk: Desk) -> None:
    policy = Policy("all", 0, acknowledge_s=600, resolve_s=7200)
    desk.database.write(lambda tx: sla_service.save_policy(tx, policy), actor=ANA)
    gathered(desk)
    desk.clock.advance(minutes=3)
    desk.move(1, "IN_PROGRESS")
    desk.database.write(lambda tx: tickets.hold(tx, 1, reason="waiting", until=None), actor=ANA)
    desk.clock.advance(minutes=20)
    new = split(desk, 2)
    assert (new.status, new.held_since) == (Status.IN_PROGRESS, None)
    assert new.time_to_acknowledge_s == 180
    found = desk.database.read(lambda tx: sla_service.standings(tx, [tickets.get(tx, new.id)]))[new.id]
    assert {name: clock.state.value for name, clock in found.clocks.items()} == {
        "acknowledge": "met",
        "resolve": "on_track",
    }
    assert found.clocks["resolve"].paused.total_seconds() == 1200
    assert found.clocks["resolve"].elapsed.total_seconds() == 180
    desk.clock.advance(hours=3)
    desk.run_due_timers()
    assert [event.subject for event in desk.events(kind="SlaBreached")] == [f"ticket:{new.id}"]
    split_off = desk.tickets[2]
    assert split_off.sla_state == "breached"


def test_a_hidden_alerts_ticket_does_not_open_before_anybody_could_have_known(desk: Desk) -> None:
    desk.silence(duration_s=600)
    desk.post(critical("database connection lost"))
    desk.post(critical("disk full"))
    desk.idle(seconds=660)
    desk.database.write(lambda tx: merge_service.merge(tx, 2, 1), actor=ANA)
    new = split(desk, 2)
    assert new.opened_at == desk.tickets[0].opened_at > START
    assert new.late_s == (new.opened_at - START).total_seconds()


def test_alerts_of_one_key_go_together_and_one_alert_stays(desk: Desk) -> None:
    by_service(desk)
    with pytest.raises(Invalid, match="go together: with alert 2, name 1 too"):
        split(desk, 2)
    with pytest.raises(Invalid, match="at least one has to stay"):
        split(desk, 1, 2)
    with pytest.raises(Invalid, match="alert 9 is not one of ticket 1"):
        split(desk, 9)
    assert len(desk.tickets) == 1


def test_what_is_over_was_changed_or_gathers_a_storm_is_not_split(desk: Desk) -> None:
    gathered(desk)
    with pytest.raises(PreconditionFailed):
        split(desk, 2, seen_version=1)
    desk.resolve(1)
    with pytest.raises(Conflict, match="RESOLVED"):
        split(desk, 2)
    desk.post(*[critical(f"{word} is gone") for word in "abcdefghijklmnopqrstuvwxyz"])
    storm = next(ticket.id for ticket in desk.tickets if ticket.title.startswith("Storm") or "storm" in ticket.title)
    with pytest.raises(Conflict, match="storm"):
        split(desk, desk.alerts_of(storm)[0].id, ticket_id=storm)


def test_a_split_is_undone_and_done_again(desk: Desk) -> None:
    gathered(desk)
    new = split(desk, 2)
    desk.post(critical("disk full"))
    assert unsplit(desk, new.id).merged_into == 1
    assert counts(desk) == {1: [2, 1], 2: [], 3: []}
    desk.post(critical("disk full"))
    desk.check_books()
    apart = desk.database.write(lambda tx: merge_service.unmerge(tx, new.id), actor=RUI)
    assert (apart.status, counts(desk)) == (Status.OPEN, {1: [1], 2: [], 3: [3]})
    with pytest.raises(Conflict, match="not split"):
        unsplit(desk, 1)
    desk.check_books()


def test_alerts_that_were_gathered_stand_for_themselves_once_they_are_parted_from_their_cause(desk: Desk) -> None:
    desk.declare("database")
    desk.declare("payments", depends_on=["database"])
    desk.post(critical("disk full", service="database"))
    desk.post(critical("connection lost", service="payments"))
    assert desk.alerts[1].suppressed_by == "inhibition:1"
    new = split(desk, 2)
    assert desk.alerts[1].suppressed_by is None
    desk.resolve(new.id)
    desk.post(critical("connection lost", service="payments"))
    assert desk.alerts[-1].ticket_id in {1, new.id}
    desk.check_books()


def test_of_a_split_and_a_merge_a_move_or_another_split_at_once_no_alert_is_lost(desk: Desk) -> None:
    gathered(desk)
    desk.post(critical("queue full"))
    done = in_threads(
        lambda: split(desk, 2),
        lambda: split(desk, 1),
        lambda: desk.move(1, "IN_PROGRESS", actor=RUI),
        *[lambda: desk.post(critical("disk full"), critical("database connection lost"))] * 3,
    )
    failed = [one for one in done if isinstance(one, Exception)]
    assert not [one for one in failed if not isinstance(one, Conflict | Invalid)], failed
    assert sum(alert.count for alert in desk.alerts) == 9
    desk.check_books()


def test_alerts_that_join_while_their_key_goes_are_on_the_ticket_that_has_the_key(desk: Desk) -> None:
    desk.remove_rule()
    desk.save_rule(correlate_by=("service",))
    desk.post(error("database connection lost", service="payments"), error("disk full", service="shop"))
    desk.database.write(lambda tx: merge_service.merge(tx, 2, 1), actor=ANA)
    shop = next(alert for alert in desk.alerts if alert.service == "shop")
    words = iter(["queue", "cache", "cart", "search", "login", "stock", "price", "photo"])
    done = in_threads(
        *[lambda word=word: desk.post(error(f"{word} is gone", service="shop")) for word in words],
        lambda: split(desk, shop.id),
    )
    assert not [one for one in done[:-1] if isinstance(one, Exception)]
    assert isinstance(done[-1], Ticket | Invalid | Conflict)  # one that joined before it is to be named too
    wanted = done[-1].id if isinstance(done[-1], Ticket) else 1
    assert {alert.ticket_id for alert in desk.alerts if alert.service == "shop"} == {wanted}
    desk.post(error("door is gone", service="shop"))
    assert desk.alerts[-1].ticket_id == wanted
    desk.check_ledger()


def test_it_is_explained_how_an_alert_came_to_a_ticket_by_people(desk: Desk) -> None:
    def way(alert_id: int) -> tuple[str, str]:
        found = explain_alert(desk.database, desk.reader, alert_id).ticket
        assert found is not None
        return found.how, found.why

    gathered(desk)
    assert way(1)[0] == "opened"
    assert way(2) == ("merged", "local:ana merged ticket 2, where it was, into this one.")
    split(desk, 2)
    assert way(2) == ("split", "local:ana split it off ticket 1: not the vendor's outage")
