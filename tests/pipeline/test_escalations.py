"""Stories of being paged: by routes and escalation policies, until somebody answers."""

import contextlib
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy import update

from desk import ANA, RUI, Desk, FakeClock, critical, in_threads
from paged import (
    CURSED,
    asked_for,
    hire,
    make_team,
    paged,
    put_on_call,
    save_channel,
    save_policy,
    save_route,
    save_rules,
    send_away,
)
from tocsin.kit.actors import Actor
from tocsin.kit.errors import Conflict, Invalid, NotFound
from tocsin.kit.priorities import Priority
from tocsin.notify import answering, page_service, preview_service, routing
from tocsin.notify.callers import KEPT
from tocsin.notify.links import Verb
from tocsin.notify.message import Kind
from tocsin.oncall import escalation_service, escalation_store, item_service
from tocsin.oncall.escalation_model import oncall_versions
from tocsin.oncall.item_service import ESCALATION_POLICY
from tocsin.settings import Settings
from tocsin.storage import timers
from tocsin.tickets import comment_service, merge_service, sla_service
from tocsin.tickets import service as tickets
from tocsin.tickets.store import Ticket
from tocsin.tickets.workflow import Status, TransitionRefused

OPS = Actor("local", "ops")
TEXTS = {"account_sid": "AC" + "0" * 32, "auth_token": "t", "from": "+15005550006"}


def furnish(desk: Desk) -> Desk:
    """Payments pages whoever is on call, then rui, then again."""
    hire(desk, "ana", "rui", "eva")
    put_on_call(desk, "primary", "ana")
    make_team(desk, "shop", "rui", "eva")
    save_policy(desk, "pay", ("schedule:primary", 300), ("user:rui", 600), repeats=1)
    save_route(desk, query="service:payments", channels=["ops"], escalation_policy="pay")
    return desk


@pytest.fixture
def desk(settings: Settings, open_desk: Callable[..., Desk]) -> Desk:
    return furnish(open_desk(settings))


def act(desk: Desk, what: Callable[..., Any], ticket_id: int = 1, *, actor: Actor = ANA, **how: Any) -> Any:
    return desk.database.write(lambda tx: what(tx, ticket_id, **how), actor=actor)


def edit(desk: Desk, ticket_id: int = 1, *, actor: Actor = OPS, **edits: Any) -> Ticket:
    found: Ticket = act(desk, tickets.change, ticket_id, actor=actor, status=None, edits=edits)
    return found


def pages(desk: Desk) -> list[tuple[str, int | None, int | None]]:
    found = desk.events(kind="PersonPaged")
    return [(event.data["person"], event.data["round"], event.data["step"]) for event in found]


def test_the_second_responder_is_paged_when_the_first_stays_silent(desk: Desk) -> None:
    desk.post(critical())
    assert paged(desk) == ["ana"]
    desk.idle(seconds=299, step_s=299)
    assert paged(desk) == ["ana"]
    desk.idle(seconds=1)
    assert paged(desk) == ["ana", "rui"]
    desk.idle(seconds=3600, step_s=300)
    assert pages(desk) == [("ana", 1, 1), ("rui", 1, 2), ("ana", 2, 1), ("rui", 2, 2)]
    assert desk.kinds("ticket:1")[-1] == "EscalationSpent"
    assert [(one.channel, one.why["route"]) for one in asked_for(desk, Kind.OPENED)] == [("ops", "pay")]
    called = asked_for(desk, Kind.PAGE)
    assert [one.person for one in called] == ["ana", "ana", "rui", "rui", "ana", "ana", "rui", "rui"]
    assert called[0].why == {
        "why": "step 1 of escalation policy pay, round 1: on call in schedule primary",
        "rule": "default rule 1 for P2: at once by the loudest way",
        "run_id": 1,
        "policy": "pay",
        "round": 1,
        "step": 1,
        "route": "pay",
    }


def test_an_acknowledgement_stops_the_run_and_takes_back_what_was_not_sent(desk: Desk) -> None:
    desk.post(critical())
    desk.move(1, "IN_PROGRESS")
    desk.idle(seconds=3600, step_s=300)
    assert paged(desk) == ["ana"]
    assert {one.state for one in asked_for(desk, Kind.PAGE)} == {"cancelled"}
    desk.move(1, "RESOLVED")
    assert [kind for kind in desk.kinds("ticket:1") if kind.startswith("Escalation")] == [
        "EscalationBegan",
        "EscalationStepTaken",
        "EscalationStopped",
        "EscalationEnded",
    ]


def test_a_reopening_by_an_alert_begins_a_new_run_and_one_by_a_person_does_not(desk: Desk) -> None:
    desk.post(critical())
    desk.resolve(1)
    desk.reopen(1, actor=RUI)
    assert paged(desk) == ["ana"]
    desk.move(1, "RESOLVED")
    desk.post(critical())
    assert paged(desk) == ["ana", "ana"]
    assert [event.data["run_id"] for event in desk.events(kind="EscalationBegan")] == [1, 2]


def test_handing_back_makes_it_nobodys_and_calls_again(desk: Desk) -> None:
    desk.post(critical())
    desk.move(1, "IN_PROGRESS")
    edit(desk, assignee="ana", actor=ANA)
    found = act(desk, tickets.hand_back, reason="I have to board a plane")
    assert (found.status, found.assignee, found.acknowledged_at) == (Status.OPEN, None, None)
    assert pages(desk) == [("ana", 1, 1), ("ana", 2, 1)]
    assert desk.events(kind="EscalationRestarted")[0].data["why"] == "it was handed back: I have to board a plane"
    with pytest.raises(Conflict):
        act(desk, tickets.hand_back, reason="again")
    desk.move(1, "IN_PROGRESS")
    desk.idle(seconds=3600, step_s=300)
    assert len(paged(desk)) == 2


def test_handing_back_calls_by_the_routes_when_no_run_goes_on(desk: Desk) -> None:
    desk.post(critical())
    desk.resolve(1)
    desk.reopen(1)
    act(desk, tickets.hand_back, reason="not mine")
    assert pages(desk) == [("ana", 1, 1), ("ana", 1, 1)]


def test_an_acknowledged_ticket_without_activity_calls_again(desk: Desk) -> None:
    save_policy(desk, "pay", ("schedule:primary", 300), ack_timeout_s={"P2": 1800})
    desk.post(critical())
    desk.move(1, "IN_PROGRESS")
    desk.idle(seconds=1000, step_s=500)
    desk.database.write(lambda tx: comment_service.add(tx, 1, "looking at it"), actor=ANA)
    desk.idle(seconds=1790, step_s=895)
    assert paged(desk) == ["ana"]
    desk.idle(seconds=20)
    assert pages(desk) == [("ana", 1, 1), ("ana", 2, 1)]
    desk.database.write(lambda tx: comment_service.add(tx, 1, "still here"), actor=ANA)
    desk.idle(seconds=1000, step_s=500)
    assert len(paged(desk)) == 2


def test_whoever_answers_through_somebody_else_is_not_called_for_it(desk: Desk) -> None:
    desk.post(critical())
    answer = partial(answering.answer, ticket_id=1, verb=Verb.ACKNOWLEDGE, person="rui", way="cli")
    desk.database.write(answer, actor=OPS)
    assert (desk.ticket.assignee, paged(desk)) == ("rui", ["ana"])


def test_an_acknowledged_ticket_that_calls_again_is_acknowledged_again(desk: Desk) -> None:
    save_policy(desk, "pay", ("schedule:primary", 300), ack_timeout_s={"P2": 1800})
    desk.post(critical())
    desk.move(1, "IN_PROGRESS")
    answer = partial(answering.answer, ticket_id=1, verb=Verb.ACKNOWLEDGE, person="ana", way="cli")
    assert desk.database.write(answer, actor=ANA)[1] is False, "ana has it, and nobody is called"
    desk.idle(seconds=1810, step_s=905)
    assert pages(desk) == [("ana", 1, 1), ("ana", 2, 1)]
    assert desk.database.write(answer, actor=ANA)[1] is True
    desk.idle(seconds=1000, step_s=500)
    assert len(paged(desk)) == 2


def test_a_ticket_that_is_given_to_somebody_calls_that_one_and_nobody_else(desk: Desk) -> None:
    desk.post(critical())
    edit(desk, assignee="eva")
    desk.idle(seconds=3600, step_s=300)
    assert paged(desk) == ["ana", "eva"]
    edit(desk, assignee=None)
    assert paged(desk) == ["ana", "eva", "ana"]
    edit(desk, assignee="rui", actor=RUI)
    desk.idle(seconds=3600, step_s=300)
    assert paged(desk) == ["ana", "eva", "ana"], "whoever takes it need not be told"


def test_a_preview_says_where_only_the_fallback_would_be_called(desk: Desk) -> None:
    put_on_call(desk, "primary")
    save_policy(desk, "pay", ("schedule:primary", 300), fallback="channel:console", repeats=1)
    facts = routing.facts_of({"service": "payments", "priority": "P2"})
    shown = desk.database.read(lambda tx: preview_service.preview(tx, facts, Kind.OPENED, KEPT))
    assert [(one.round, one.channels, one.fallback) for one in shown.steps] == [
        (1, ("console",), True),
        (2, ("console",), True),
    ]
    assert [one for one in shown.problems if "step" in one] == [
        (
            "step 1 of escalation policy pay would find nobody, and call the fallback: "
            "nobody is on call in schedule primary"
        )
    ]


def test_nobody_on_call_calls_the_fallback_and_says_so(desk: Desk) -> None:
    save_policy(desk, "pay", ("schedule:primary", 300), ("user:rui", 600), fallback="user:eva")
    put_on_call(desk, "primary")
    desk.post(critical())
    assert paged(desk) == ["eva"]
    [warning] = desk.events(kind="NobodyOnCall")
    assert (warning.data["wanted"], warning.data["fallback"]) == (["schedule:primary"], "user:eva")
    send_away(desk, "eva")
    save_policy(desk, "pay", ("schedule:gone", 300), ("user:eva", 300), ("user:rui", 600))
    desk.post(critical("disk is full"))
    assert paged(desk) == ["eva", "rui"], "what finds nobody is not waited for"


def test_a_more_urgent_priority_calls_anew_and_a_lower_one_only_stops_what_no_route_asks_for(desk: Desk) -> None:
    save_route(desk, "pay", query="service:payments priority:<=P3", escalation_policy="pay")
    desk.post(critical())
    act(desk, tickets.prioritise, priority=Priority.P3)
    assert paged(desk) == ["ana"]
    act(desk, tickets.prioritise, priority=Priority.P1)
    assert pages(desk) == [("ana", 1, 1), ("ana", 2, 1)]
    act(desk, tickets.prioritise, priority=Priority.P4)
    desk.idle(seconds=3600, step_s=300)
    assert len(paged(desk)) == 2
    assert desk.events(kind="EscalationEnded")[0].data["why"] == "no route asks for it any more"
    act(desk, tickets.prioritise, priority=Priority.P1)
    assert pages(desk)[-1] == ("ana", 1, 1)


def test_a_hold_pauses_and_a_merge_ends(desk: Desk) -> None:
    desk.post(critical(), critical("disk is full"))
    act(desk, tickets.hold, reason="waiting for the vendor", until=None)
    act(desk, merge_service.merge, 2, into_id=1)
    desk.idle(seconds=3600, step_s=300)
    assert paged(desk) == ["ana", "ana"]
    act(desk, tickets.resume, 1)
    desk.idle(seconds=310, step_s=310)
    assert paged(desk, 1) == ["ana", "rui"]
    assert "EscalationEnded" in desk.kinds("ticket:2")


def test_a_silence_pauses_the_runs_it_covers_and_what_still_fires_pages_once_at_its_end(desk: Desk) -> None:
    desk.post(critical())
    desk.silence("service:payments", duration_s=1200)
    desk.run_due_timers()
    assert {one.state for one in asked_for(desk, Kind.PAGE)} == {"cancelled"}
    desk.idle(seconds=1190, step_s=595)
    assert paged(desk) == ["ana"]
    assert desk.events(kind="EscalationPaused")[0].data["why"] == "silence 1 covers it"
    desk.post(critical())
    desk.idle(seconds=20)
    assert paged(desk) == ["ana", "rui"]


def test_at_the_end_of_a_silence_what_fires_no_more_goes_on_without_haste(desk: Desk) -> None:
    desk.post(critical())
    desk.idle(seconds=100, step_s=100)
    desk.silence("service:payments", duration_s=3000)
    desk.run_due_timers()
    desk.idle(seconds=3000, step_s=1000)
    desk.idle(seconds=190, step_s=190)
    assert paged(desk) == ["ana"]
    desk.idle(seconds=20)
    assert paged(desk) == ["ana", "rui"], "200 s were left when the silence began"


def test_what_joins_a_silent_ticket_and_is_not_covered_is_heard(desk: Desk) -> None:
    desk.save_rule("all", "level:>=ERROR", group_by=["message"], correlate_by=["service"])
    desk.remove_rule()
    desk.post(critical("database is down"))
    desk.silence("service:payments database", duration_s=3000)
    desk.idle(seconds=400, step_s=200)
    assert paged(desk) == ["ana"]
    desk.post(critical("disk is full"))
    desk.run_due_timers()
    assert desk.ticket.id == 1
    assert paged(desk) == ["ana", "rui"]


def test_a_silence_that_covers_something_else_pauses_nothing(desk: Desk) -> None:
    desk.post(critical())
    desk.silence("service:search", duration_s=3000)
    desk.idle(seconds=300, step_s=300)
    assert paged(desk) == ["ana", "rui"]


def test_anybody_can_be_called_by_hand(desk: Desk) -> None:
    desk.post(critical(service="search"))

    def call(target: str) -> list[str]:
        return desk.database.write(lambda tx: page_service.page(tx, 1, target, "please look", KEPT), actor=RUI)

    assert paged(desk) == []
    assert call("user:eva") == ["eva"]
    assert call("team:shop") == ["rui", "eva"]
    assert call("schedule:primary") == ["ana"]
    assert call("channel:ops") == ["channel ops"]
    assert call("policy:pay") == ["policy pay"]
    assert call("policy:pay") == ["policy pay goes on already"]
    assert paged(desk) == ["eva", "rui", "eva", "ana", "ana"]
    assert {one.facts["message"] for one in asked_for(desk, Kind.PAGE)} == {"please look"}
    for missing in ("user:kim", "team:none", "schedule:none", "policy:none"):
        with pytest.raises(NotFound):
            call(missing)
    desk.resolve(1)
    with pytest.raises(Conflict):
        call("user:eva")


def test_a_call_by_hand_tells_whom_it_reaches_and_what_keeps_it_from_the_others(desk: Desk) -> None:
    desk.post(critical(service="search"))

    def call(target: str) -> page_service.Reach:
        return desk.database.write(
            lambda tx: page_service.page_and_look(tx, 1, target, "please look", KEPT)[1], actor=RUI
        )

    none = "no channel carries a way to reach eva"
    assert call("user:eva") == page_service.Reach((), (), (none,))
    save_channel(desk, "texts", "sms", TEXTS)
    assert call("team:shop") == page_service.Reach(("rui", "eva"), (), ())
    assert call("channel:gone").problems == ("channel gone is gone, or switched off",)
    assert call("channel:console").channels == ("console",)
    put_on_call(desk, "empty")
    send_away(desk, "rui")
    assert call("team:shop") == page_service.Reach(("eva",), (), ())
    save_policy(desk, "vain", ("schedule:empty", 300), ("user:rui", 300), ("team:none", 300), fallback="user:kim")
    reach = call("policy:vain")
    assert (reach.anybody, reach.problems) == (
        False,
        (
            "nobody is on call in schedule empty",
            "rui is away",
            "there is no team none",
            "there is no user kim",
        ),
    )
    assert call("policy:vain").problems == reach.problems, "it had no step left, and was begun anew"
    save_policy(desk, "slow", ("user:eva", 300), ("user:rui", 300))
    assert call("policy:slow").people == ("eva",)
    assert call("policy:slow").problems[0] == "policy:slow goes on already, and calls whoever is next by itself"
    make_team(desk, "out", "rui")
    with pytest.raises(Conflict, match="nobody is there who is in team out: rui is away"):
        call("team:out")


def test_a_preview_shows_a_step_that_would_call_nobody_with_the_reason(desk: Desk) -> None:
    put_on_call(desk, "empty")
    save_policy(desk, "pay", ("schedule:empty", 300), ("channel:gone", 300), ("user:eva", 300), fallback="team:none")
    facts = routing.facts_of({"service": "payments"})
    found = desk.database.read(lambda tx: preview_service.preview(tx, facts, Kind.OPENED, KEPT))
    assert [(step.step, step.people, step.absent) for step in found.steps] == [
        (1, (), ("nobody is on call in schedule empty", "there is no team none")),
        (2, (), ("channel gone is gone, or switched off", "there is no team none")),
        (3, ("eva",), ()),
    ]
    assert "no channel carries a way to reach eva" in found.problems
    assert found.problems[0] == (
        "step 1 of escalation policy pay would call nobody: nobody is on call in schedule empty; there is no team none"
    )


def test_targets_in_turn_are_called_one_after_the_other_over_all_tickets(desk: Desk) -> None:
    definition = {"steps": [{"targets": ["user:ana", "user:rui"], "round_robin": True}]}
    desk.database.write(lambda tx: escalation_service.save_policy(tx, "pay", definition), actor=ANA)
    for text in ("one is broken", "two are on fire", "three fell over"):
        desk.post(critical(text))
    assert paged(desk) == ["ana", "rui", "ana"]
    facts = routing.facts_of({"service": "payments", "priority": "P2"})
    shown = desk.database.read(lambda tx: preview_service.preview(tx, facts, Kind.OPENED, KEPT))
    assert [one.people for one in shown.steps] == [("rui",)], "whose turn it is now"


def test_somebody_whom_several_ways_lead_to_is_called_once_for_one_thing(desk: Desk) -> None:
    make_team(desk, "shop", "ana", "eva")
    save_policy(desk, "more", ("user:ana", "team:shop", 300))
    save_route(desk, "more", escalation_policy="more", schedule="primary", page_team="shop", place=1, goes_on=True)
    facts = routing.facts_of({"service": "payments", "priority": "P2"})
    shown = desk.database.read(lambda tx: preview_service.preview(tx, facts, Kind.OPENED, KEPT))
    assert sorted(one.person for one in shown.calls if one.at == desk.clock.now()) == ["ana", "eva"]
    desk.post(critical())
    assert sorted(paged(desk)) == ["ana", "eva"]
    act(desk, tickets.prioritise, priority=Priority.P1)
    assert sorted(paged(desk)) == ["ana", "ana", "eva", "eva"]


def test_what_opens_is_answered_whatever_is_wrong_with_routes_and_people(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desk = furnish(open_desk(settings, callers=CURSED))
    save_policy(desk, "gone", ("user:ana", 300))
    put_on_call(desk, "none")
    desk.database.write(
        lambda tx: sla_service.save_calendar(tx, "none", {"time_zone": "UTC", "hours": {"mon": [["09:00", "17:00"]]}}),
        actor=ANA,
    )
    broken = {"channels": ["cursed"], "escalation_policy": "gone", "schedule": "none", "continue": True}
    save_route(desk, "broken", place=1, goes_on=broken.pop("continue"), **broken)
    desk.database.write(lambda tx: item_service.remove(tx, ESCALATION_POLICY, "gone"), actor=ANA)
    save_rules(desk, "ana", P2=[{"method": "carrier pigeon", "working_hours": True, "calendar": "none"}])
    desk.post(critical())
    assert desk.parked == 0
    assert desk.ticket.status is Status.OPEN
    failed = {event.data["part"] for event in desk.events(kind="RoutingFailed")}
    assert failed == {"channel cursed", "escalation policy gone", "route broken"}
    opened = asked_for(desk, Kind.OPENED)
    assert {one.why.get("failed") for one in opened if one.channel == "console"} == failed
    assert "ops" in {one.channel for one in opened}
    assert paged(desk) == ["rui"], "a schedule with a bug has nobody, and the next step is taken"


def test_a_run_that_can_not_be_worked_out_keeps_nobody_from_acknowledging(desk: Desk) -> None:
    desk.post(critical())
    spoiled = {"steps": "gone"}
    desk.database.write(
        lambda tx: tx.execute(
            update(oncall_versions).where(oncall_versions.c.name == "pay").values(definition=spoiled)
        ),
        actor=ANA,
    )
    assert desk.move(1, "IN_PROGRESS").status is Status.IN_PROGRESS
    assert {event.data["part"] for event in desk.events(kind="RoutingFailed")} == {"the escalation"}
    assert {one.state for one in asked_for(desk, Kind.PAGE)} == {"cancelled"}


def test_without_routes_everything_goes_to_the_console(settings: Settings, open_desk: Any) -> None:
    desk = open_desk(settings)
    desk.post(critical())
    desk.resolve(1)
    assert [(one.channel, one.kind) for one in asked_for(desk)] == [
        ("console", Kind.OPENED),
        ("console", Kind.ACKNOWLEDGED),
        ("console", Kind.RESOLVED),
    ]
    assert desk.kinds("ticket:1") == ["TicketOpened", "TicketMoved", "TicketMoved"]


def test_a_run_goes_on_where_it_was_after_a_restart(
    settings: Settings, open_desk: Callable[..., Desk], desk: Desk
) -> None:
    desk.post(critical())
    desk.idle(seconds=100, step_s=100)
    desk.close()
    desk.clock.advance(seconds=3600)
    after = open_desk(settings)
    after.run_due_timers()
    assert pages(after) == [("ana", 1, 1), ("rui", 1, 2)], "what was missed is taken up one step at a time"
    after.idle(seconds=600)
    assert pages(after)[2:] == [("ana", 2, 1)]


ACTIONS = ("acknowledge", "hand_back", "hold", "resume", "assign", "unassign", "urgent", "silence", "reopen", "restart")


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(1, 700)), min_size=5, max_size=10))
@hypothesis.settings(max_examples=4, suppress_health_check=list(HealthCheck))
def test_whatever_happens_each_step_comes_once_and_nothing_stays_overdue(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    shutil.copy(sqlite_template, folder / "tocsin.db")
    clock = FakeClock()
    desk = furnish(Desk(Settings(data_dir=folder), clock))
    desk.post(critical())
    for action, seconds in actions:
        if action == "restart":
            desk.close()
            clock.advance(seconds=seconds)
            desk = Desk(Settings(data_dir=folder), clock)
        else:
            _do(desk, action)
            clock.advance(seconds=seconds)
        desk.run_due_timers()
        assert desk.database.read(timers.due) == []
    taken = [
        (one.data["run_id"], one.data["round"], one.data["step"]) for one in desk.events(kind="EscalationStepTaken")
    ]
    assert len(taken) == len(set(taken))
    for run in desk.database.read(lambda tx: escalation_store.of_ticket(tx, 1)):
        assert run.run.next_at is None or run.run.next_at > clock.now()
    desk.close()


def _do(desk: Desk, action: str) -> None:
    """Do it, if the ticket is such that it can be done."""
    with contextlib.suppress(Conflict, Invalid, TransitionRefused):
        match action:
            case "acknowledge":
                desk.move(1, "IN_PROGRESS")
            case "hand_back":
                act(desk, tickets.hand_back, reason="not mine")
            case "hold":
                act(desk, tickets.hold, reason="waiting", until=None)
            case "resume":
                act(desk, tickets.resume)
            case "assign":
                edit(desk, assignee="eva")
            case "unassign":
                edit(desk, assignee=None)
            case "urgent":
                act(desk, tickets.prioritise, priority=Priority.P1)
            case "silence":
                desk.silence("service:payments", duration_s=300)
            case "reopen":
                desk.move(1, "RESOLVED")
                desk.post(critical())


def test_several_workers_take_a_step_once(postgres_settings: Settings, open_desk: Callable[..., Desk]) -> None:
    desks = [open_desk(postgres_settings) for _ in range(3)]
    furnish(desks[0])
    save_policy(desks[0], "pay", ("schedule:primary", 300), ("user:rui", 600), repeats=3)
    save_route(desks[0], escalation_policy="pay")
    for number in range(5):
        desks[0].post(critical(f"{'abcde'[number] * 8} is broken", service=f"service-{number}"))
    for _ in range(4):
        desks[0].clock.advance(seconds=600)
        outcomes = in_threads(*[desk.run_due_timers for desk in desks])
        assert outcomes == [None] * 3
    found = [(event.subject, event.data["round"], event.data["step"]) for event in desks[0].events(kind="PersonPaged")]
    assert len(found) == len(set(found)) == 25
