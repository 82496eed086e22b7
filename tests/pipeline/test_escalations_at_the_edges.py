"""Stories of escalations when things come together badly: nobody is there, two things at once, a backlog."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from desk import ANA, Desk, critical, error
from paged import asked_for, hire, paged, put_on_call, save_policy, save_route
from tocsin import pipeline
from tocsin.kit.actors import SYSTEM, Actor
from tocsin.kit.priorities import Priority
from tocsin.notify import page_service
from tocsin.notify.callers import KEPT
from tocsin.notify.message import Kind
from tocsin.oncall import escalation_service, escalation_store
from tocsin.oncall.escalation_model import escalation_steps
from tocsin.settings import Settings
from tocsin.storage import timers
from tocsin.storage.timers import Timer
from tocsin.storage.tx import Tx
from tocsin.tickets import comment_service, sla_service
from tocsin.tickets import service as tickets
from tocsin.tickets.policies import Policy

OPS = Actor("local", "ops")


def furnish(desk: Desk) -> Desk:
    """Any ticket pages ana, then rui."""
    hire(desk, "ana", "rui", "eva")
    save_policy(desk, "pay", ("user:ana", 300), ("user:rui", 300))
    save_route(desk, escalation_policy="pay")
    return desk


@pytest.fixture
def desk(settings: Settings, open_desk: Callable[..., Desk]) -> Desk:
    return furnish(open_desk(settings))


def act(desk: Desk, what: Callable[..., Any], ticket_id: int = 1, *, actor: Actor = ANA, **how: Any) -> Any:
    return desk.database.write(lambda tx: what(tx, ticket_id, **how), actor=actor)


def test_where_nobody_at_all_is_called_the_default_channels_are(desk: Desk) -> None:
    put_on_call(desk, "primary")
    save_policy(desk, "pay", ("schedule:primary", 300), ("channel:gone", 300))
    desk.post(critical())
    assert [(one.channel, one.why["step"]) for one in asked_for(desk, Kind.PAGE)] == [("console", 2)]
    assert "nobody else is there to be called" in asked_for(desk, Kind.PAGE)[0].why["why"]
    assert len(desk.events(kind="NobodyOnCall")) == 2


def test_a_channel_that_is_gone_or_switched_off_reaches_nobody(desk: Desk) -> None:
    desk.save_channel("off", "console", enabled=False)
    desk.save_channel("helped", "console", enabled=False, fallback="console")
    save_policy(desk, "pay", ("channel:gone", "channel:off", 300), ("channel:helped", 300), fallback="user:eva")
    desk.post(critical())
    assert paged(desk) == ["eva"]
    desk.idle(seconds=310, step_s=310)
    assert [one.channel for one in asked_for(desk, Kind.PAGE) if one.channel] == ["helped"]


def test_a_run_that_changes_while_its_step_is_due_keeps_its_timer(desk: Desk) -> None:
    desk.post(critical())
    desk.clock.advance(seconds=300)
    [due] = [timer for timer in desk.database.read(timers.due) if timer.kind == escalation_service.STEP]
    work = escalation_service.take_due(desk.database, due, rota=KEPT.rota, logs=desk.reader)
    desk.clock.advance(seconds=-0.05)  # another server's clock
    act(desk, tickets.prioritise, priority=Priority.P3)
    desk.clock.advance(seconds=0.05)
    desk.database.write(lambda tx: timers.claim(tx, desk.database.dialect, due) and work(tx), actor=SYSTEM)
    desk.run_due_timers()
    assert paged(desk) == ["ana", "rui"]


def test_a_clock_that_is_set_back_between_the_look_and_the_step_loses_no_timer(desk: Desk) -> None:
    desk.post(critical())
    desk.clock.advance(seconds=300)
    [due] = [timer for timer in desk.database.read(timers.due) if timer.kind == escalation_service.STEP]
    work = escalation_service.take_due(desk.database, due, rota=KEPT.rota, logs=desk.reader)
    desk.clock.advance(seconds=-60)
    desk.database.write(lambda tx: timers.claim(tx, desk.database.dialect, due) and work(tx), actor=SYSTEM)
    assert paged(desk) == ["ana"]
    desk.clock.advance(seconds=60)
    desk.run_due_timers()
    assert paged(desk) == ["ana", "rui"]


def test_a_step_that_is_due_waits_for_no_run_that_somebody_else_holds(
    postgres_settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desk = furnish(open_desk(postgres_settings))
    desk.post(critical())
    desk.clock.advance(seconds=300)

    def hold(tx: Tx) -> None:
        escalation_store.hold_live(tx, [1])
        desk.run_due_timers()
        assert paged(desk) == ["ana"]
        timers.put(tx, escalation_service.STEP, "1", due_at=tx.now, version=1)

    desk.database.write(hold, actor=ANA)
    desk.run_due_timers()
    assert paged(desk) == ["ana", "rui"]


def due_weighing(desk: Desk) -> Timer:
    [due] = [timer for timer in desk.database.read(timers.due) if timer.kind == escalation_service.SILENCES]
    return due


def test_what_joins_between_the_look_and_the_pause_is_heard(desk: Desk) -> None:
    desk.remove_rule()
    desk.save_rule(correlate_by=("rule",))
    desk.post(error("database lost"))
    desk.silence("message:database", duration_s=86_400)
    due = due_weighing(desk)
    work = escalation_service.weigh_silences(desk.database, due, rota=KEPT.rota, logs=desk.reader)
    desk.post(error("disk full"))
    desk.database.write(lambda tx: timers.claim(tx, desk.database.dialect, due) and work(tx), actor=SYSTEM)
    assert "EscalationPaused" in desk.kinds("ticket:1")
    desk.idle(seconds=60)
    assert paged(desk) == ["ana", "rui"]


def test_records_of_the_same_alert_that_the_silence_does_not_cover_are_heard(desk: Desk) -> None:
    desk.post(critical(attributes={"env": "staging"}))
    desk.silence("attributes.env:staging", duration_s=86_400)
    desk.run_due_timers()
    desk.idle(seconds=600, step_s=100)
    assert paged(desk) == ["ana"]
    desk.post(critical(attributes={"env": "prod"}))
    desk.idle(seconds=60)
    assert paged(desk) == ["ana", "rui"]


def test_a_backlog_is_weighed_a_few_runs_at_a_time(desk: Desk) -> None:
    desk.post(*[critical("it is down", service=f"shop{number}") for number in range(45)])
    assert len(paged(desk)) == 45
    desk.silence("level:>=ERROR", duration_s=86_400)
    due = due_weighing(desk)
    work = escalation_service.weigh_silences(desk.database, due, rota=KEPT.rota, logs=desk.reader)
    desk.database.write(lambda tx: timers.claim(tx, desk.database.dialect, due) and work(tx), actor=SYSTEM)
    assert len(desk.events(kind="EscalationPaused")) == 20
    assert due_weighing(desk).version == 20
    desk.run_due_timers()
    assert len(desk.events(kind="EscalationPaused")) == 45
    desk.end_silence()
    desk.run_due_timers()
    assert len(paged(desk)) == 90, "it fires still"
    desk.idle(seconds=60)
    assert desk.database.read(lambda tx: timers.any_of(tx, escalation_service.SILENCES)) is False


def call_by_hand(desk: Desk, message: str = "please look") -> list[str]:
    return desk.database.write(lambda tx: page_service.page(tx, 1, "policy:pay", message, KEPT), actor=OPS)


def test_a_policy_that_is_spent_or_stopped_can_be_called_by_hand(desk: Desk) -> None:
    desk.post(critical())
    assert call_by_hand(desk) == ["policy pay goes on already"]
    desk.idle(seconds=910, step_s=305)
    assert desk.kinds("ticket:1")[-1] == "EscalationSpent"
    assert call_by_hand(desk) == ["policy pay"]
    assert paged(desk) == ["ana", "rui", "ana"]
    assert desk.events(kind="PersonPaged")[-1].data["message"] == "please look"
    desk.move(1, "IN_PROGRESS")
    call_by_hand(desk, "it is worse")
    desk.idle(seconds=310, step_s=310)
    assert paged(desk) == ["ana", "rui", "ana", "ana", "rui"]
    assert desk.events(kind="PersonPaged")[-1].data["message"] == "it is worse"
    why = [event.data["why"] for event in desk.events(kind="EscalationRestarted")]
    assert why == ["called by ops", "called by ops"]


def test_a_target_that_is_missed_calls_anew_what_called_in_vain(desk: Desk) -> None:
    save_route(desk, escalation_policy="pay", kinds=["opened", "sla"])
    targets = Policy(name="p", version=1, acknowledge_s=1200)
    desk.database.write(lambda tx: sla_service.save_policy(tx, targets), actor=ANA)
    desk.post(critical())
    desk.idle(seconds=700, step_s=350)
    assert paged(desk) == ["ana", "rui"]
    desk.idle(seconds=300, step_s=300)
    assert paged(desk) == ["ana", "rui", "ana"], "it is at risk"


def test_a_policy_that_a_route_begins_on_hold_stands_still_until_it_is_over(desk: Desk) -> None:
    save_policy(desk, "more", ("user:eva", 300))
    save_route(desk, "more", query="tag:x", escalation_policy="more", place=1, goes_on=True)
    desk.post(critical())
    act(desk, tickets.hold, reason="waiting for the vendor", until=None)
    act(desk, tickets.change, status=None, edits={"tags": ["x"]}, actor=OPS)
    assert paged(desk) == ["ana"]
    assert desk.events(kind="EscalationBegan")[-1].data["why"].endswith("it stands still: hold")
    act(desk, tickets.resume)
    assert paged(desk) == ["ana", "eva"]


def test_a_policy_that_a_route_begins_in_a_silence_stands_still_too(desk: Desk) -> None:
    save_policy(desk, "more", ("user:eva", 300))
    save_route(desk, "more", query="tag:x", escalation_policy="more", place=1, goes_on=True)
    desk.post(critical())
    desk.silence("service:payments", duration_s=3000)
    desk.run_due_timers()
    act(desk, tickets.change, status=None, edits={"tags": ["x"]}, actor=OPS)
    desk.idle(seconds=100, step_s=50)
    assert paged(desk) == ["ana"]


def test_a_name_that_nobody_has_stops_no_run(desk: Desk) -> None:
    desk.post(critical())
    act(desk, tickets.change, status=None, edits={"assignee": "vendor desk"}, actor=ANA)
    [told] = desk.events(kind="PersonUnreachable")
    assert (told.data["person"], told.data["reason"]) == ("vendor desk", "vendor desk is nobody known here")
    desk.database.write(lambda tx: comment_service.add(tx, 1, "they know"), actor=ANA)
    desk.idle(seconds=310, step_s=310)
    assert paged(desk) == ["ana", "rui"]
    act(desk, tickets.change, status=None, edits={"assignee": "eva"}, actor=ANA)
    act(desk, tickets.change, status=None, edits={"assignee": "vendor desk"}, actor=ANA)
    assert paged(desk) == ["ana", "rui", "eva", "ana"]


def test_a_ticket_that_opens_for_a_name_that_nobody_has_is_called_for(desk: Desk) -> None:
    desk.database.write(
        lambda tx: tickets.open_by_hand(
            tx, title="slow", description="", priority=Priority.P1, service="payments", assignee="Bob (vendor)"
        ),
        actor=ANA,
    )
    assert paged(desk) == ["ana"]
    [told] = desk.events(kind="RoutingFailed")
    assert "nobody known here" in told.data["error"]


def test_runs_that_ended_long_ago_are_forgotten_with_their_steps(desk: Desk) -> None:
    desk.post(critical())
    desk.resolve(1)
    desk.post(critical("disk is full"))
    desk.clock.advance(days=399)
    pipeline.forget_paging(desk.database)
    assert [row.id for row in desk.database.read(lambda tx: escalation_store.of_ticket(tx, 1))] == [1]
    desk.clock.advance(days=2)
    pipeline.forget_paging(desk.database)
    assert desk.database.read(lambda tx: escalation_store.of_ticket(tx, 1)) == []
    runs = desk.database.read(lambda tx: list(tx.execute(select(escalation_steps.c.run_id)).scalars()))
    assert runs == [2], "what goes on is kept"
