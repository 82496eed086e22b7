"""Drills: a marked log goes all the way to a channel's answer; one that does not, pages. What being paged costs."""

from collections.abc import Callable
from typing import Any

import pytest

from desk import ANA, RUI, Desk, critical, wait_until
from paged import hire, paged, put_on_call, save_policy, save_route
from receivers import Receiver
from tocsin.kit.errors import Conflict, Invalid, NotFound
from tocsin.notify import drill_service as drills
from tocsin.notify import drill_store
from tocsin.notify.drill_store import DrillRun
from tocsin.proof import called, paging_report
from tocsin.settings import Settings
from tocsin.tickets import comment_service
from tocsin.tickets.workflow import Status


@pytest.fixture
def desk(settings: Settings, open_desk: Callable[..., Desk]) -> Desk:
    found = open_desk(settings)
    hire(found, "ana", "rui")
    put_on_call(found, "primary", "ana")
    save_policy(found, "pay", ("schedule:primary", 300), ("user:rui", 600))
    save_route(found, query="service:payments", escalation_policy="pay", channels=["console"])
    return found


def drill(desk: Desk, **how: Any) -> DrillRun:
    """Begin a drill, and let its record reach the intake."""
    run = desk.database.write(lambda tx: drills.begin(tx, "payments", **{"within_s": 60, **how}), actor=ANA)
    let_it_in(desk)
    return run


def let_it_in(desk: Desk) -> None:
    before = len(desk.logs)
    desk.run_due_timers()
    wait_until(lambda: len(desk.logs) > before)


def run_of(desk: Desk, drill_id: int = 1) -> DrillRun:
    return desk.database.read(lambda tx: drills.get(tx, drill_id))


def test_a_drill_that_is_delivered_is_acknowledged_and_resolved_by_itself(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desk = open_desk(settings)
    drill(desk)
    desk.deliver()
    desk.clock.advance(seconds=1)
    desk.run_due_timers()
    run = run_of(desk)
    assert (run.state, run.via) == ("passed", "console")
    assert set(run.steps) == {"sent", "ticket", "delivered", "acknowledged", "resolved"}
    assert (desk.ticket.status, desk.ticket.tags) == (Status.RESOLVED, ("drill",))
    assert desk.ticket.resolution_code == "drill"
    drill(desk)
    desk.deliver()
    desk.clock.advance(seconds=1)
    desk.run_due_timers()
    assert run_of(desk, 2).state == "passed", "the next one takes up the same ticket"
    desk.check_ledger()


def test_a_channel_that_takes_the_news_is_no_proof_that_a_person_is_paged(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    receiver = Receiver()
    desk = open_desk(settings.model_copy(update={"allow_private": "127.0.0.1"}))
    desk.save_channel(url=receiver.url)
    hire(desk, "ana")
    save_policy(desk, "pay", ("user:ana", 300))
    save_route(desk, query="service:payments", escalation_policy="pay", channels=["hook"])
    drill(desk)
    desk.deliver()
    receiver.close()
    assert len(receiver.heard) == 1
    desk.idle(seconds=61, step_s=5)
    assert run_of(desk).state == "missed", "nobody has a channel for text messages"


def test_a_second_drill_of_a_service_waits_for_the_first(desk: Desk) -> None:
    desk.database.write(
        lambda tx: drills.save(tx, "hourly", {"service": "payments", "every_s": 3600, "within_s": 60}), actor=ANA
    )
    desk.clock.advance(seconds=3599)
    drill(desk)
    with pytest.raises(Conflict, match="a drill of payments runs already"):
        drill(desk)
    desk.clock.advance(seconds=2)
    desk.run_due_timers()
    assert [run.name for run in desk.database.read(drill_store.running)] == [None]


def test_a_drill_whose_people_are_not_reached_is_missed_and_pages(desk: Desk) -> None:
    drill(desk)
    desk.deliver()  # the console took its copy; nobody has a channel for text messages
    desk.idle(seconds=61, step_s=5)
    assert run_of(desk).state == "missed"
    [missed] = desk.events(kind="DrillMissed")
    assert missed.data["step"] == "ticket"
    rehearsed, real = desk.tickets
    assert (rehearsed.status, real.status) == (Status.RESOLVED, Status.OPEN)
    assert real.title == "A page for payments may not arrive: a drill was missed"
    assert paged(desk, real.id) == ["ana"]


def test_a_drill_without_a_rule_that_matches_is_missed(desk: Desk) -> None:
    desk.remove_rule()
    drill(desk)
    desk.idle(seconds=61, step_s=5)
    assert run_of(desk).last_step == "sent"
    assert run_of(desk).state == "missed"


def test_a_scheduled_drill_is_run_when_it_is_due(desk: Desk) -> None:
    said = {"service": "payments", "every_s": 3600, "within_s": 60}
    desk.database.write(lambda tx: drills.save(tx, "hourly", said), actor=ANA)
    desk.clock.advance(seconds=3600)
    let_it_in(desk)
    assert run_of(desk).name == "hourly"
    desk.database.write(lambda tx: drills.remove(tx, "hourly"), actor=ANA)
    desk.clock.advance(seconds=7200)
    desk.run_due_timers()
    assert len(desk.database.read(lambda tx: drill_store.page(tx, before=None, limit=10))) == 1
    with pytest.raises(Invalid):
        desk.database.write(lambda tx: drills.save(tx, "x", {"service": "x", "within_s": 1}), actor=ANA)


def test_it_is_told_why_somebody_was_called_and_why_another_was_not(desk: Desk) -> None:
    desk.post(critical())
    desk.deliver()

    def explain(person: str, ticket_id: int = 1) -> called.Told:
        return desk.database.read(lambda tx: called.explain(tx, ticket_id, person))

    ana = explain("ana")
    assert ana.paged
    assert ana.summary == "ana was called about ticket 1 once, but no message was taken so far."
    [call] = ana.calls
    assert (call.route, call.policy, call.step) == ("pay", "pay", 1)
    assert [sent.delivery.why["rule"] for sent in call.sent] == [
        "default rule 1 for P2: at once by the loudest way",
        "default rule 2 for P2: after 300 s by the other way",
    ]
    assert explain("rui").why_not == ["Escalation policy pay calls rui in step 2; it is at step 2, which is due later."]
    desk.move(1, "IN_PROGRESS")
    assert explain("rui").why_not == ["Escalation policy pay calls rui in step 2; it stopped before, at step 2."]
    desk.post(critical(service="search"))
    assert explain("ana", 2).why_not == [
        "No route was about it: it went to the default channels, and nobody was called."
    ]
    with pytest.raises(NotFound):
        explain("kim")


def test_without_a_person_it_is_told_of_everybody_concerned_and_of_channels(desk: Desk) -> None:
    desk.post(critical())
    desk.deliver()

    def everybody(ticket_id: int) -> called.EverybodyTold:
        return desk.database.read(lambda tx: called.explain_all(tx, ticket_id))

    told = everybody(1)
    assert told.summary == "Called about ticket 1: ana. A message was taken by: nobody so far."
    assert [(one.person, one.paged) for one in told.people] == [("ana", True), ("rui", False)]
    assert told.people[1].why_not == ["Escalation policy pay calls rui in step 2; it is at step 2, which is due later."]
    [sent] = told.channels
    assert (sent.delivery.channel, sent.delivery.why["route"], len(sent.attempts)) == ("console", "pay", 1)
    assert (told.why_nobody, [one["routes"] for one in told.routes]) == ([], [["pay"]])
    desk.post(critical(service="search"))
    told = everybody(2)
    assert (told.people, told.summary) == ([], "Nobody was called about ticket 2.")
    assert told.why_nobody == ["No route was about it: it went to the default channels, and nobody was called."]
    save_policy(desk, "vain", ("schedule:none", 300), ("user:kim", 300), fallback="channel:console")
    save_route(desk, "vain", query="service:vain", escalation_policy="vain")
    desk.post(critical(service="vain"))
    told = everybody(3)
    step = "step 1 of escalation policy vain, round 1, found nobody behind schedule:none"
    assert told.warnings == [f"{step}; channel:console was to be called instead"]
    assert told.people[0].why_not[-1] == "There is no user kim."
    with pytest.raises(NotFound):
        everybody(9)


def test_the_cost_of_paging_counts_calls_nights_repeats_and_what_needed_nobody(desk: Desk) -> None:
    desk.post(critical())  # at 02:21
    desk.idle(seconds=300)
    desk.move(1, "IN_PROGRESS", "RESOLVED")
    desk.clock.advance(hours=8)
    desk.post(critical("disk is full"))
    desk.move(2, "IN_PROGRESS", actor=RUI)
    desk.database.write(lambda tx: comment_service.add(tx, 2, "made room"), actor=RUI)
    desk.move(2, "RESOLVED", actor=RUI)
    drill(desk)
    now = desk.clock.now()

    def report(by: str) -> paging_report.PagingReport:
        since = now.replace(day=1)
        return desk.database.read(lambda tx: paging_report.report(tx, since, now.replace(day=30), by))

    total = report("person").total
    assert (total.pages, total.people, total.tickets, total.night_pages, total.nights) == (3, 2, 2, 2, 2)
    assert (total.over, total.without_action, total.share_without_action) == (2, 1, 0.5)
    assert [(one.key, one.pages) for one in report("person").groups] == [("ana", 2), ("rui", 1)]
    assert [(one.key, one.pages) for one in report("rule").groups] == [("critical-logs", 3)]
