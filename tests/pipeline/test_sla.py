"""Clocks of tickets: which policy, how they run, stand still and end, and what is told of them exactly once."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desk import ANA, RUI, START, Desk, FakeClock, critical, error, in_threads
from tocsin import pipeline
from tocsin.kit.errors import Conflict, Invalid
from tocsin.kit.priorities import Priority
from tocsin.query.parse import parse
from tocsin.settings import Settings
from tocsin.storage import timers
from tocsin.tickets import service as tickets
from tocsin.tickets import sla, sla_service, sla_store
from tocsin.tickets.fields import TICKETS
from tocsin.tickets.policies import Policy
from tocsin.tickets.sla import Facts, State
from tocsin.tickets.sla_service import Standing
from tocsin.tickets.store import Ticket, TicketQuery

OFFICE = {"time_zone": "Europe/Lisbon", "hours": {d: [["09:00", "17:00"]] for d in ("mon", "tue", "wed", "thu", "fri")}}


def save_policy(desk: Desk, name: str = "all", **fields: Any) -> None:
    fields = {"acknowledge_s": 900, "resolve_s": 14_400, **fields}
    desk.database.write(lambda tx: sla_service.save_policy(tx, Policy(name, 0, **fields)), actor=ANA)


def save_calendar(desk: Desk, name: str = "office", **fields: Any) -> None:
    definition = {**OFFICE, **fields}
    desk.database.write(lambda tx: sla_service.save_calendar(tx, name, definition), actor=ANA)


def open_ticket(desk: Desk, priority: Priority = Priority.P2, service: str | None = "payments") -> Ticket:
    return desk.database.write(
        lambda tx: tickets.open_by_hand(
            tx, title="it is down", description="", priority=priority, service=service, assignee=None
        ),
        actor=ANA,
    )


def act(desk: Desk, what: Callable[..., Ticket], ticket_id: int = 1, *, actor: Any = ANA, **how: Any) -> Ticket:
    return desk.database.write(lambda tx: what(tx, ticket_id, **how), actor=actor)


def hold(desk: Desk, ticket_id: int = 1, *, until: datetime | None = None) -> Ticket:
    return act(desk, tickets.hold, ticket_id, reason="waiting for the vendor", until=until)


def standing(desk: Desk, ticket_id: int = 1) -> Standing | None:
    return desk.database.read(lambda tx: sla_service.standings(tx, [tickets.get(tx, ticket_id)])).get(ticket_id)


def states(desk: Desk, ticket_id: int = 1) -> tuple[str, ...]:
    found = standing(desk, ticket_id)
    assert found is not None
    return tuple(clock.state.value for clock in found.clocks.values())


def resolve_clock(desk: Desk, ticket_id: int = 1) -> sla.Clock:
    found = standing(desk, ticket_id)
    assert found is not None
    return found.clocks["resolve"]


def told(desk: Desk) -> list[tuple[str, str, timedelta, timedelta]]:
    """Each event of a clock: kind, clock, when it became true and when it was written, counted from the start."""
    found = [*desk.events(kind="SlaAtRisk"), *desk.events(kind="SlaBreached")]
    return [
        (event.kind, event.data["clock"], event.at - START, event.recorded_at - START)
        for event in sorted(found, key=lambda event: event.id)
    ]


def found_by(desk: Desk, q: str) -> list[int]:
    query = TicketQuery(condition=parse(q, TICKETS, now=desk.clock.now()), limit=1000)
    return sorted(ticket.id for ticket in tickets.find(desk.database, query)[0])


def check_replay(desk: Desk, *, filtered: bool = True) -> None:
    """What stands in each ticket's row is what its events add up to; the filter agrees with the clocks.

    A clock that was set back makes a hold of what had run out a hold again, and the filter looks at what was written.
    """

    def look(tx: Any) -> None:
        for ticket in (tickets.get(tx, one.id) for one in desk.tickets):
            facts = sla.replay(sla_store.happened(tx, [ticket.id])[ticket.id])
            assert (facts.opened_at, facts.acknowledge_from) == (ticket.opened_at, ticket.acknowledge_from)
            assert (facts.acknowledged_at, facts.resolved_at) == (ticket.acknowledged_at, ticket.resolved_at)
            assert (facts.held_since, facts.held_until) == (ticket.held_since, ticket.held_until)
            assert facts.assigned is None or ticket.sla is not None
            if ticket.sla is not None:
                assert sla.of_values(ticket.sla) == facts

    desk.database.read(look)
    for state in State if filtered else ():
        mine = {one.id for one in desk.tickets if (now := standing(desk, one.id)) is not None and now.state is state}
        assert set(found_by(desk, f"sla:{state.value}")) == mine, state


MINUTES_15, HOURS_4 = timedelta(minutes=15), timedelta(hours=4)


def test_without_a_policy_a_ticket_has_no_clocks(desk: Desk) -> None:
    desk.post(critical())
    assert standing(desk) is None
    assert desk.ticket.sla is None
    assert found_by(desk, "sla:none") == [1]
    assert desk.kinds("ticket:1") == ["TicketOpened"]


def test_an_alerts_ticket_has_both_clocks_from_its_opening(desk: Desk) -> None:
    save_policy(desk)
    desk.post(critical())
    found = standing(desk)
    assert found is not None
    assert [clock.due_at for clock in found.clocks.values()] == [START + MINUTES_15, START + HOURS_4]
    assert states(desk) == ("on_track", "on_track")
    assert desk.kinds("ticket:1") == ["TicketOpened", "SlaAssigned"]
    assert desk.events("ticket:1", "SlaAssigned")[0].cause_id == desk.events("ticket:1", "TicketOpened")[0].id
    check_replay(desk)


def test_a_clock_is_at_risk_then_breached_then_met_late(desk: Desk, clock: FakeClock) -> None:
    save_policy(desk)
    open_ticket(desk)
    seen = []
    for minutes in (11, 1, 2, 1):
        clock.advance(minutes=minutes)
        seen.append(states(desk)[0])
        check_replay(desk)
    assert seen == ["on_track", "at_risk", "at_risk", "breached"]
    desk.run_due_timers()
    desk.move(1, "IN_PROGRESS")
    assert states(desk) == ("met", "on_track")  # at the very moment it was due
    clock.advance(hours=4)
    desk.move(1, "RESOLVED")
    assert states(desk) == ("met", "met_late")
    late = resolve_clock(desk)
    assert late.breached_at == START + HOURS_4
    assert late.remaining == -MINUTES_15
    check_replay(desk)


def test_risk_and_breach_are_told_once_each_when_they_happen(desk: Desk, clock: FakeClock) -> None:
    save_policy(desk)
    open_ticket(desk)
    for _ in range(20):
        clock.advance(seconds=60)
        desk.run_due_timers()
        desk.run_due_timers()
    at = timedelta(seconds=675)
    assert told(desk) == [
        ("SlaAtRisk", "acknowledge", at, timedelta(minutes=12)),
        ("SlaBreached", "acknowledge", MINUTES_15, MINUTES_15),
    ]
    check_replay(desk)


def test_what_was_slept_through_is_told_at_the_next_start_with_both_times(
    settings: Settings, open_desk: Callable[..., Desk], clock: FakeClock
) -> None:
    before = open_desk(settings)
    save_policy(before)
    open_ticket(before)
    before.close()
    clock.advance(days=2)
    desk = open_desk(settings)
    desk.run_due_timers()
    desk.run_due_timers()
    now = timedelta(days=2)
    assert told(desk) == [
        ("SlaAtRisk", "acknowledge", timedelta(seconds=675), now),
        ("SlaBreached", "acknowledge", MINUTES_15, now),
        ("SlaAtRisk", "resolve", timedelta(hours=3), now),
        ("SlaBreached", "resolve", HOURS_4, now),
    ]
    check_replay(desk)


def test_a_clock_that_is_set_back_tells_nothing_twice(desk: Desk, clock: FakeClock) -> None:
    save_policy(desk)
    open_ticket(desk)
    clock.advance(minutes=20)
    desk.run_due_timers()
    clock.advance(minutes=-19)
    desk.run_due_timers()
    assert states(desk)[0] == "on_track"
    clock.advance(minutes=30)
    desk.run_due_timers()
    assert [event[0] for event in told(desk)] == ["SlaAtRisk", "SlaBreached"]
    check_replay(desk)


def test_a_hold_shifts_the_deadline_by_the_working_time_it_took(desk: Desk, clock: FakeClock) -> None:
    save_calendar(desk)
    save_policy(desk, calendar="office", resolve_s=8 * 3600)
    open_ticket(desk)  # at 02:21 on a Tuesday: due at 17:00
    assert resolve_clock(desk).due_at == START.replace(hour=17, minute=0)
    clock.advance(hours=13, minutes=39)  # 16:00
    hold(desk)
    assert states(desk) == ("breached", "paused")
    assert resolve_clock(desk).due_at is None
    clock.advance(hours=18)  # 10:00 on Wednesday: an hour each day was held
    act(desk, tickets.resume)
    found = resolve_clock(desk)
    assert found.due_at == START.replace(hour=11, minute=0) + timedelta(days=1)
    assert found.paused == timedelta(hours=2)
    assert found.remaining == timedelta(hours=1)
    check_replay(desk)


def test_a_hold_with_an_end_ends_by_itself_and_is_over_before_anybody_notices(desk: Desk, clock: FakeClock) -> None:
    save_policy(desk)
    open_ticket(desk)
    clock.advance(minutes=5)
    hold(desk, until=clock.now() + timedelta(hours=1))
    assert states(desk) == ("paused", "paused")
    assert resolve_clock(desk).due_at == START + timedelta(hours=5)
    clock.advance(hours=1, minutes=2)
    assert states(desk)[0] == "on_track"
    check_replay(desk)
    desk.run_due_timers()
    [resumed] = desk.events(kind="TicketResumed")
    assert resumed.at == START + timedelta(hours=1, minutes=5)
    assert resumed.recorded_at == clock.now()
    assert not desk.ticket.is_held(clock.now())
    assert desk.ticket.held_since is None
    assert told(desk) == []
    check_replay(desk)


def test_holding_again_changes_the_end_and_not_the_beginning(desk: Desk, clock: FakeClock) -> None:
    save_policy(desk)
    open_ticket(desk)
    hold(desk, until=START + timedelta(hours=1))
    clock.advance(minutes=30)
    hold(desk)
    clock.advance(hours=1)
    desk.run_due_timers()
    assert desk.ticket.held_since == START
    assert states(desk)[0] == "paused"
    act(desk, tickets.resume)
    assert resolve_clock(desk).paused == timedelta(hours=1, minutes=30)
    check_replay(desk)


def test_a_hold_into_the_past_or_on_a_ticket_that_is_over_is_refused(desk: Desk) -> None:
    open_ticket(desk)
    for until in (START, START - timedelta(seconds=1)):
        with pytest.raises(Invalid, match="a time to come"):
            hold(desk, until=until)
    with pytest.raises(Conflict, match="not on hold"):
        act(desk, tickets.resume)
    desk.resolve(1)
    with pytest.raises(Conflict, match="can't be put on hold"):
        hold(desk)
    desk.move(1, "CLOSED")
    with pytest.raises(Conflict, match="can't be put on hold"):
        hold(desk)


def test_resolving_ends_a_hold(desk: Desk, clock: FakeClock) -> None:
    save_policy(desk)
    open_ticket(desk)
    desk.move(1, "IN_PROGRESS")
    hold(desk, until=START + timedelta(days=1))
    clock.advance(hours=5)
    desk.move(1, "RESOLVED")
    assert desk.ticket.held_since is None
    assert states(desk) == ("met", "met")
    assert resolve_clock(desk).elapsed == timedelta(0)
    clock.advance(days=2)
    desk.run_due_timers()
    assert told(desk) == []
    check_replay(desk)


def test_a_person_who_reopens_resumes_the_resolve_clock(desk: Desk, clock: FakeClock) -> None:
    save_policy(desk)
    open_ticket(desk)
    clock.advance(minutes=10)
    desk.resolve(1)
    clock.advance(days=3)
    desk.reopen(1)
    assert states(desk) == ("met", "on_track")
    found = resolve_clock(desk)
    assert (found.elapsed, found.paused) == (timedelta(minutes=10), timedelta(days=3))
    assert found.due_at == START + timedelta(days=3) + HOURS_4
    check_replay(desk)


def test_a_reopening_by_an_alert_starts_a_new_acknowledge_cycle(desk: Desk, clock: FakeClock) -> None:
    save_policy(desk)
    desk.post(critical())
    clock.advance(minutes=16)
    desk.run_due_timers()
    desk.resolve(1)
    clock.advance(minutes=10)
    desk.post(critical())
    assert states(desk) == ("on_track", "on_track")
    found = standing(desk)
    assert found is not None
    assert found.clocks["acknowledge"].due_at == START + timedelta(minutes=26 + 15)
    assert found.clocks["resolve"].due_at == START + HOURS_4 + timedelta(minutes=10)
    clock.advance(minutes=16)
    desk.run_due_timers()
    assert [event[:2] for event in told(desk)] == [("SlaAtRisk", "acknowledge"), ("SlaBreached", "acknowledge")] * 2
    check_replay(desk)


def test_when_the_system_resolves_an_open_ticket_its_acknowledge_clock_is_cancelled(
    desk: Desk, clock: FakeClock
) -> None:
    save_policy(desk)
    desk.save_rule("errors", auto_resolve_after_s=60)
    desk.post(error())
    clock.advance(seconds=61)
    desk.run_due_timers()
    assert desk.ticket.acknowledged_at is None
    assert states(desk) == ("cancelled", "met")
    clock.advance(hours=1)
    desk.run_due_timers()
    assert told(desk) == []
    desk.reopen(1)
    assert states(desk) == ("cancelled", "on_track")
    check_replay(desk)


def test_another_priority_means_another_policy_reckoned_from_the_opening(desk: Desk, clock: FakeClock) -> None:
    save_policy(desk, "urgent", priorities=(Priority.P1,), resolve_s=3600)
    save_policy(desk, "rest")
    open_ticket(desk)
    clock.advance(minutes=30)
    act(desk, tickets.prioritise, priority=Priority.P1)
    assert resolve_clock(desk).due_at == START + timedelta(hours=1)
    assigned = [event.data for event in desk.events("ticket:1", "SlaAssigned")]
    assert [(one["policy"], one["why"]) for one in assigned] == [("rest", "opened"), ("urgent", "priority")]
    clock.advance(minutes=31)
    desk.run_due_timers()
    act(desk, tickets.prioritise, priority=Priority.P4)
    assert resolve_clock(desk).due_at == START + HOURS_4
    check_replay(desk)


def test_a_breach_that_stays_one_under_another_policy_is_not_told_again_and_one_to_come_is(
    desk: Desk, clock: FakeClock
) -> None:
    save_policy(desk, "urgent", priorities=(Priority.P1,), acknowledge_s=60, resolve_s=120)
    save_policy(desk, "rest", acknowledge_s=90, resolve_s=14_400)
    open_ticket(desk, Priority.P1)
    clock.advance(seconds=121)
    desk.run_due_timers()
    act(desk, tickets.prioritise, priority=Priority.P3)
    clock.advance(hours=4)
    desk.run_due_timers()
    breaches = [event[1] for event in told(desk) if event[0] == "SlaBreached"]
    assert breaches == ["acknowledge", "resolve", "resolve"]
    check_replay(desk)


def test_a_breach_by_a_policy_that_came_later_did_not_happen_before_it_held(desk: Desk, clock: FakeClock) -> None:
    save_policy(desk, "urgent", priorities=(Priority.P1,), acknowledge_s=60, resolve_s=120)
    open_ticket(desk)
    clock.advance(minutes=10)
    act(desk, tickets.prioritise, priority=Priority.P1)
    desk.run_due_timers()
    assert {event[2] for event in told(desk)} == {timedelta(minutes=10)}
    assert resolve_clock(desk).breached_at == START + timedelta(seconds=120)
    check_replay(desk)


def test_a_ticket_keeps_the_versions_it_opened_under_until_it_is_recalculated(desk: Desk) -> None:
    save_calendar(desk)
    save_policy(desk, calendar="office")
    open_ticket(desk)
    due = resolve_clock(desk).due_at
    save_calendar(desk, hours={"sun": [["10:00", "20:00"]]})
    save_policy(desk, calendar="office", resolve_s=3600)
    assert resolve_clock(desk).due_at == due
    desk.move(1, "IN_PROGRESS")
    act(desk, tickets.prioritise, priority=Priority.P1)
    assert resolve_clock(desk).due_at == due
    version = desk.ticket.version
    act(desk, tickets.recalculate, reason="the contract changed")
    found = standing(desk)
    assert found is not None
    assert (found.assigned.policy_version, found.assigned.calendar_version) == (2, 2)
    assert desk.ticket.version == version + 1
    assert desk.events("ticket:1")[-1].data["why"] == "recalculated"
    check_replay(desk)


def test_a_ticket_that_opened_before_there_was_a_policy_has_clocks_once_it_is_recalculated(
    desk: Desk, clock: FakeClock
) -> None:
    open_ticket(desk)
    with pytest.raises(Conflict, match="no SLA policy is about ticket 1"):
        act(desk, tickets.recalculate)
    hold(desk)
    clock.advance(hours=1)
    act(desk, tickets.resume)
    desk.move(1, "IN_PROGRESS")
    save_policy(desk)
    act(desk, tickets.recalculate)
    assert states(desk) == ("met", "on_track")
    assert resolve_clock(desk).due_at == START + timedelta(hours=5)
    check_replay(desk)


def test_what_is_removed_goes_on_for_tickets_that_run_by_it(desk: Desk, clock: FakeClock) -> None:
    save_calendar(desk)
    save_policy(desk, calendar="office")
    open_ticket(desk)
    before = resolve_clock(desk)
    for kind, name in ((sla_store.POLICY, "all"), (sla_store.CALENDAR, "office")):
        desk.database.write(lambda tx, kind=kind, name=name: sla_service.remove(tx, kind, name), actor=ANA)
    assert resolve_clock(desk) == before
    open_ticket(desk)
    assert standing(desk, 2) is None
    clock.advance(days=3)
    desk.run_due_timers()
    assert {event[0] for event in told(desk)} == {"SlaAtRisk", "SlaBreached"}
    act(desk, tickets.prioritise, priority=Priority.P1)
    assert standing(desk) is None
    check_replay(desk)


def test_the_labels_of_the_rule_and_the_service_choose_the_policy(desk: Desk) -> None:
    desk.save_rule("errors", labels=(("tier", "gold"),), group_by=("service",))
    save_policy(desk, "gold", labels=(("tier", "gold"),))
    save_policy(desk, "shop", services=("SHOP",))
    save_policy(desk, "all")
    desk.post(error(), error(service="shop"))
    open_ticket(desk)
    chosen = {ticket.title: now.assigned.policy for ticket in desk.tickets if (now := standing(desk, ticket.id))}
    assert chosen == {"payments: request failed": "gold", "shop: request failed": "shop", "it is down": "all"}


def test_the_team_of_the_declared_service_chooses_the_policy(desk: Desk) -> None:
    save_policy(desk, "red", teams=("red",))
    save_policy(desk, "all")
    desk.declare("Payments", team="red")
    open_ticket(desk)
    open_ticket(desk, service="shop")
    open_ticket(desk, service=None)
    chosen = [standing(desk, ticket.id) for ticket in desk.tickets]
    assert [one.assigned.policy for one in chosen if one is not None] == ["red", "all", "all"]


def test_one_timer_that_two_workers_see_tells_once(desk: Desk, clock: FakeClock) -> None:
    save_policy(desk)
    for _ in range(30):
        open_ticket(desk)
    clock.advance(minutes=16)
    in_threads(*[desk.run_due_timers] * 4)
    desk.run_due_timers()
    assert len(told(desk)) == 60
    check_replay(desk)


def test_hold_and_resolve_at_the_same_moment_leave_one_of_the_two(desk: Desk, clock: FakeClock) -> None:
    save_policy(desk)
    for number in range(1, 6):
        open_ticket(desk)
        desk.move(number, "IN_PROGRESS")
        outcomes = in_threads(partial(hold, desk, number), partial(desk.move, number, "RESOLVED", actor=RUI))
        assert any(isinstance(outcome, Ticket) for outcome in outcomes)
        assert all(isinstance(outcome, Ticket | Conflict) for outcome in outcomes), outcomes
    check_replay(desk)


def test_a_timer_and_a_move_at_the_same_moment_lose_nothing(desk: Desk, clock: FakeClock) -> None:
    save_policy(desk)
    for _ in range(10):
        open_ticket(desk)
    clock.advance(minutes=16)
    works = [partial(desk.move, number, "IN_PROGRESS") for number in range(1, 11)]
    outcomes = in_threads(desk.run_due_timers, *works, desk.run_due_timers)
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    desk.run_due_timers()
    check_replay(desk)
    assert len({(event.subject, event.kind) for event in desk.events(kind="SlaBreached")}) == len(
        desk.events(kind="SlaBreached")
    )


def test_a_timer_that_raises_is_set_back_and_the_others_of_its_batch_are_told(
    desk: Desk, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_policy(desk)
    for _ in range(3):
        open_ticket(desk)
    nothing = dict.fromkeys(("of_state", "of_due_at", "of_at_risk_at", "of_acknowledge_due_at", "of_resolve_due_at",
                             "of_calendar"))  # fmt: skip
    desk.database.write(
        lambda tx: sla_store.write(tx, [{"of_id": 2, "of_sla": {"assigned": "?"}, **nothing}]), actor=ANA
    )
    clock.advance(minutes=16)
    desk.run_due_timers()
    assert sorted({event.subject for event in desk.events(kind="SlaBreached")}) == ["ticket:1", "ticket:3"]
    assert desk.metrics.loop_errors.labels(sla_service.TIMER)._value.get() > 0
    assert desk.database.read(timers.next_due) is not None


def test_a_storms_ticket_has_its_clocks_and_so_has_what_is_released(desk: Desk, clock: FakeClock) -> None:
    save_policy(desk)
    desk.post(*[critical(f"{'word ' * n} broke", service="web") for n in range(1, 40)])
    assert {standing(desk, ticket.id) is not None for ticket in desk.tickets} == {True}
    check_replay(desk)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("advance"), st.integers(1, 200)),
        st.tuples(st.just("back"), st.integers(1, 30)),
        st.tuples(st.just("hold"), st.none() | st.integers(1, 300)),
        st.tuples(st.just("priority"), st.sampled_from(list(Priority))),
        st.tuples(
            st.sampled_from(["resume", "ack", "resolve", "reopen", "alert", "timers", "recalculate", "quiet"]),
            st.just(None),
        ),
    ),
    max_size=14,
)  # fmt: skip


def play(desk: Desk, clock: FakeClock, step: tuple[str, Any]) -> None:
    what, how = step
    acts: dict[str, Callable[[], Any]] = {
        "advance": lambda: clock.advance(minutes=how),
        "back": lambda: clock.advance(minutes=-how),
        "hold": lambda: hold(desk, until=None if how is None else clock.now() + timedelta(minutes=how)),
        "priority": lambda: act(desk, tickets.prioritise, priority=how),
        "resume": lambda: act(desk, tickets.resume),
        "ack": lambda: desk.move(1, "IN_PROGRESS"),
        "resolve": lambda: desk.move(1, "RESOLVED"),
        "reopen": lambda: desk.reopen(1),
        "alert": lambda: desk.post(critical()),
        "timers": desk.run_due_timers,
        "recalculate": lambda: act(desk, tickets.recalculate),
        "quiet": lambda: desk.database.write(lambda tx: tickets.resolve_if_over(tx, 1), actor=ANA),
    }
    try:
        acts[what]()
    except (Conflict, Invalid):
        return


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS)
def test_whatever_happens_replaying_the_events_gives_the_clocks_and_nothing_is_told_twice(
    steps: list[tuple[str, Any]], tmp_path_factory: pytest.TempPathFactory, sqlite_template: Any
) -> None:
    folder = tmp_path_factory.mktemp("replay")
    (folder / "tocsin.db").write_bytes(sqlite_template.read_bytes())
    clock = FakeClock()
    desk = Desk(Settings(data_dir=folder), clock, routes=pipeline.ROUTES)
    try:
        save_calendar(desk, hours={"tue": [["00:00", "12:00"]], "wed": [["22:00", "06:00"]]})
        save_policy(desk, "urgent", priorities=(Priority.P1, Priority.P2), resolve_s=3600)
        save_policy(desk, "slow", priorities=(Priority.P3,), calendar="office", acknowledge_s=None)
        desk.post(critical())
        latest = clock.now()
        for step in steps:
            latest = max(latest, clock.now())
            play(desk, clock, step)
            check_replay(desk, filtered=clock.now() >= latest)
        check_told_once(desk)
    finally:
        desk.close()


def check_told_once(desk: Desk) -> None:
    """A moment is told once in each cycle: a new policy, or a reopening by an alert, begins one."""
    for ticket in desk.tickets:
        seen: set[tuple[str, str]] = set()
        for event in desk.events(f"ticket:{ticket.id}"):
            if event.kind == "SlaAssigned" or (event.kind == "TicketReopened" and event.data["alert_id"]):
                seen = set() if event.kind == "TicketReopened" else {one for one in seen if _stays(event, one)}
            if event.kind in {"SlaAtRisk", "SlaBreached"}:
                one = (event.kind, event.data["clock"])
                assert one not in seen, f"{one} is told twice"
                seen.add(one)


def _stays(event: Any, one: tuple[str, str]) -> bool:
    return f"{one[1]}:{'at_risk' if one[0] == 'SlaAtRisk' else 'breached'}" in event.data["told"]


def test_the_facts_that_are_written_are_read_again_as_they_were() -> None:
    facts = Facts(
        opened_at=START,
        acknowledge_from=START,
        held_since=START,
        holds=((START, START + HOURS_4),),
        told=("resolve:breached",),
        assigned=sla.Assigned("all", 3, None, None, START),
    )
    assert sla.of_values(sla.as_values(facts)) == facts
