"""Who is called next, and when: over anything that may happen, each step once and at its time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.kit.errors import Invalid
from tocsin.oncall.escalation import (
    HOLD,
    Happening,
    Policy,
    Run,
    State,
    Step,
    Target,
    TargetKind,
    What,
    begin,
    call,
    happen,
    has_to_call,
    policy_of,
    taken,
    target_of,
)

NOW = datetime(2026, 11, 24, 2, 21, tzinfo=UTC)
ANA, RUI = target_of("user:ana"), target_of("user:rui")
TWO = Policy("pay", 1, (Step((ANA,), 300), Step((RUI,), 600)), repeats=1, ack_timeout_s={1: 1800})


class Follower:
    """Plays a run as the service does, and keeps what was taken."""

    def __init__(self, policy: Policy = TWO, priority: int = 1) -> None:
        self.policy, self.now = policy, NOW
        self.taken: list[tuple[int, int, datetime]] = []
        self.run = begin(policy, priority, self.now)
        self.take()

    def take(self, *, reached: bool = True) -> None:
        while has_to_call(self.policy, self.run, self.now):
            self.taken.append((self.run.round, self.run.step, self.now))
            self.run = taken(self.policy, self.run, self.now, reached=reached)

    def happen(self, what: What, why: str = "", priority: int | None = None, *, reached: bool = True) -> None:
        self.run = happen(self.policy, self.run, Happening(what, why, priority), self.now).run
        self.take(reached=reached)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        if self.run.is_due(self.now):
            self.happen(What.DUE)


def steps(follower: Follower) -> list[tuple[int, int, int]]:
    return [(number, step, int((at - NOW).total_seconds())) for number, step, at in follower.taken]


def test_steps_are_taken_in_turn_and_repeated_until_every_round_is_over() -> None:
    follower = Follower()
    for _ in range(29):
        follower.wait(60)
    assert steps(follower) == [(1, 1, 0), (1, 2, 300), (2, 1, 900), (2, 2, 1200)]
    assert follower.run.state is State.CALLING, "the last one called has time to answer"
    follower.wait(60)
    assert follower.run.state is State.SPENT
    assert follower.run.next_at is None


def test_an_acknowledgement_stops_and_silence_afterwards_calls_again_in_a_new_round() -> None:
    follower = Follower()
    follower.wait(60)
    follower.happen(What.ACKNOWLEDGED)
    follower.wait(1000)
    follower.happen(What.ACTIVE)
    follower.wait(1799)
    assert steps(follower) == [(1, 1, 0)]
    follower.wait(1)
    assert steps(follower) == [(1, 1, 0), (2, 1, 2860)]


def test_without_a_timeout_for_its_priority_what_is_acknowledged_stays_quiet() -> None:
    follower = Follower(priority=2)
    follower.happen(What.ACKNOWLEDGED)
    follower.wait(10**6)
    assert len(follower.taken) == 1


def test_a_hold_keeps_what_was_left_of_the_time_and_a_silence_that_ends_is_heard_at_once() -> None:
    follower = Follower()
    follower.wait(100)
    follower.happen(What.PAUSED, HOLD)
    follower.wait(5000)
    follower.happen(What.RESUMED, HOLD)
    follower.wait(199)
    assert len(follower.taken) == 1
    follower.happen(What.PAUSED, "silence")
    follower.wait(5000)
    assert len(follower.taken) == 1
    follower.happen(What.HEARD, "silence")
    assert steps(follower)[-1] == (1, 2, 10_299)


def test_two_things_that_pause_a_run_must_both_be_over() -> None:
    follower = Follower()
    follower.happen(What.PAUSED, HOLD)
    follower.happen(What.PAUSED, "silence")
    follower.happen(What.HEARD, "silence")
    assert len(follower.taken) == 1
    follower.happen(What.RESUMED, HOLD)
    assert len(follower.taken) == 2


def test_handing_back_and_becoming_more_urgent_begin_a_new_round_and_less_urgent_does_not() -> None:
    follower = Follower(priority=3)
    follower.happen(What.PRIORITISED, priority=4)
    assert [one[:2] for one in follower.taken] == [(1, 1)]
    follower.happen(What.PRIORITISED, priority=1)
    follower.happen(What.ACKNOWLEDGED)
    follower.happen(What.HANDED_BACK)
    assert [one[:2] for one in follower.taken] == [(1, 1), (2, 1), (3, 1)]


@pytest.mark.parametrize("asked", [What.ASKED, What.ASKED_BY_HAND])
def test_what_waits_for_its_last_step_alone_calls_anew_when_it_is_asked_to(asked: What) -> None:
    follower = Follower()
    while follower.run.step <= len(follower.policy.steps):
        follower.happen(asked)  # it goes on already
        follower.wait(300)
        n = len(follower.taken)
    if asked is What.ASKED:
        follower.happen(asked)
        assert len(follower.taken) == n, "everybody was called at this very instant"
    follower.wait(1)
    follower.happen(asked)
    assert follower.taken[-1] == (follower.taken[-2][0] + 1, 1, follower.now)


def test_a_step_that_reaches_nobody_is_not_waited_for_within_its_round() -> None:
    follower = Follower()
    follower.wait(300)
    follower.happen(What.HANDED_BACK, reached=False)
    assert [one[:2] for one in follower.taken[-2:]] == [(2, 1), (2, 2)]
    assert follower.run.next_at == follower.now + timedelta(seconds=600)


EVENTS = st.one_of(
    st.tuples(st.just("wait"), st.integers(1, 2000)),
    st.tuples(st.sampled_from([w for w in What if w not in {What.OVER, What.PRIORITISED}]), st.just(0)),
    st.tuples(st.just(What.PRIORITISED), st.integers(1, 5)),
)


@given(st.lists(EVENTS, max_size=40), st.booleans())
def test_over_anything_no_step_comes_twice_and_nobody_is_called_who_must_not_be(
    events: list[tuple[object, int]], over: bool
) -> None:
    follower = Follower()
    for what, number in events:
        before, run = len(follower.taken), follower.run
        if what == "wait":
            follower.wait(number)
            late = follower.run.next_at
            assert late is None or late > follower.now, "what was due is done"
        else:
            assert isinstance(what, What)
            follower.happen(what, HOLD, number or None)
        if len(follower.taken) > before:
            assert not follower.run.paused
            assert what not in {What.ACKNOWLEDGED, What.ASSIGNED, What.ACTIVE, What.PAUSED}
        if run.state is State.CALLING and what in {What.ACKNOWLEDGED, What.ASSIGNED}:
            assert follower.run.state is State.WAITING
    keys = [one[:2] for one in follower.taken]
    assert len(keys) == len(set(keys))
    assert keys == sorted(keys)
    if over:
        follower.happen(What.OVER)
        for what in What:
            follower.happen(what, HOLD)
        assert follower.run.state is State.ENDED
        assert len(follower.taken) == len(keys)


@given(st.lists(st.integers(1, 900), min_size=1, max_size=60))
def test_each_step_waits_its_whole_delay_however_late_the_one_before_was(waits: list[int]) -> None:
    follower = Follower()
    for seconds in waits:
        follower.wait(seconds)
    for (_, step, at), (_, _, following) in zip(follower.taken, follower.taken[1:], strict=False):
        assert following - at >= timedelta(seconds=TWO.steps[step - 1].delay_s)


def test_of_targets_in_turn_the_first_that_has_anybody_is_called() -> None:
    primary = Target(TargetKind.SCHEDULE, "primary")
    step = Step((ANA, primary, RUI), round_robin=True)
    people = {ANA: ["ana"], primary: [], RUI: ["rui"]}
    assert [list(call(step, people, turn).people) for turn in range(4)] == [["ana"], ["rui"], ["rui"], ["ana"]]
    assert [call(step, people, turn).next_turn for turn in (1, 2)] == [0, 0]
    assert not call(step, {}, 1).anybody


def test_a_team_in_turn_has_one_of_its_people_called_after_the_other() -> None:
    shop, ops = Target(TargetKind.TEAM, "shop"), Target(TargetKind.CHANNEL, "ops")
    step, turn, called = Step((shop, ops), round_robin=True), 0, []
    for _ in range(5):
        found = call(step, {shop: ["ana", "rui"], ops: []}, turn)
        called.append([*found.people, *found.channels])
        turn = found.next_turn or 0
    assert called == [["ana"], ["rui"], ["ops"], ["ana"], ["rui"]]
    assert [*call(step, {shop: ["rui"]}, 5).people] == ["rui"], "others left meanwhile"
    assert not call(Step((shop,), round_robin=True), {shop: []}).anybody


def test_somebody_behind_several_targets_is_called_once() -> None:
    team = Target(TargetKind.TEAM, "shop")
    ops = Target(TargetKind.CHANNEL, "ops")
    gone = Target(TargetKind.CHANNEL, "gone")
    called = call(Step((ANA, team, ops, gone)), {ANA: ["ana"], team: ["rui", "ana"], ops: []})
    assert list(called.people) == ["ana", "rui"]
    assert called.people["ana"] == ANA
    assert called.channels == ("ops",)


def test_a_policy_is_what_it_was_written_as_and_all_that_is_wrong_is_named() -> None:
    policy = replace(TWO, fallback=target_of("channel:ops"), description="for payments")
    assert policy_of("pay", 1, policy.definition()) == policy
    wrong = {
        "steps": [{"targets": ["nobody"], "delay_s": 1}, {"targets": ["user:ana", "user:ana"]}],
        "repeats": 99,
        "fallback": "schedule:primary",
        "ack_timeout_s": {"P9": 60, "P1": 1},
    }
    with pytest.raises(Invalid) as refused:
        policy_of("pay", 0, wrong)
    assert {error.pointer for error in refused.value.errors} == {
        "/steps/0/targets/0",
        "/steps/0/delay_s",
        "/steps/1/targets",
        "/repeats",
        "/fallback",
        "/ack_timeout_s/P9",
        "/ack_timeout_s/P1",
    }
    with pytest.raises(Invalid):
        policy_of("pay", 0, {"steps": []})


def test_a_run_that_is_over_is_not_due() -> None:
    assert not Run(State.ENDED, 1).is_due(NOW)
