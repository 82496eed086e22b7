"""Escalation: who is called next, and when. Pure: a policy, a run, what happened and the time it is give the run after.

Steps are taken one after the other, each once in a round; `delay_s` is how long an answer is waited for before the next
one. Rounds and steps are counted from 1; a run names the step that is to be taken next. Whatever begins a round anew
counts on, so that no round and step comes twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from tocsin.kit.errors import FieldError, Invalid
from tocsin.kit.priorities import Priority
from tocsin.oncall.references import Reference, Referred

MAX_STEPS: Final = 20
MAX_TARGETS: Final = 20
MAX_REPEATS: Final = 50
DELAY_S: Final = (10, 7 * 86_400)
ACK_TIMEOUT_S: Final = (60, 30 * 86_400)
DEFAULT_DELAY_S: Final = 300
HOLD: Final = "hold"


class TargetKind(StrEnum):
    """Who or what a step calls."""

    USER = "user"
    SCHEDULE = "schedule"
    TEAM = "team"
    CHANNEL = "channel"


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One that is called, written `schedule:primary`."""

    kind: TargetKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.name}"


def target_of(text: str) -> Target:
    """The target that a text names. Raises ValueError."""
    kind, _, name = text.partition(":")
    if kind not in set(TargetKind) or not name.strip() or len(name) > 100:
        expected = ", ".join(f"{one.value}:NAME" for one in TargetKind)
        raise ValueError(f"{text[:60]!r} is no target; expected one of {expected}")
    return Target(TargetKind(kind), name.strip())


@dataclass(frozen=True, slots=True)
class Step:
    """Who is called, all of them or one after the other in turn, and how long an answer is waited for."""

    targets: tuple[Target, ...]
    delay_s: int = DEFAULT_DELAY_S
    round_robin: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """Steps, taken `repeats` times more when nobody answers. `fallback` is called where a step finds nobody.

    `ack_timeout_s`: after so long without any activity an acknowledged ticket calls again, by priority.
    """

    name: str
    version: int
    steps: tuple[Step, ...]
    repeats: int = 0
    fallback: Target | None = None
    ack_timeout_s: Mapping[int, int] | None = None
    description: str = ""

    def timeout(self, priority: int) -> timedelta | None:
        """How long an acknowledged ticket may show no activity."""
        seconds = (self.ack_timeout_s or {}).get(priority)
        return None if seconds is None else timedelta(seconds=seconds)

    def definition(self) -> dict[str, Any]:
        """What it says, as JSON values."""
        return {
            "description": self.description,
            "steps": [
                {
                    "targets": [str(target) for target in step.targets],
                    "delay_s": step.delay_s,
                    "round_robin": step.round_robin,
                }
                for step in self.steps
            ],
            "repeats": self.repeats,
            "fallback": None if self.fallback is None else str(self.fallback),
            "ack_timeout_s": {Priority(p).name: s for p, s in sorted((self.ack_timeout_s or {}).items())},
        }

    def references(self) -> tuple[Reference, ...]:
        """All whom its steps and its fallback call."""
        found = [
            Reference(Referred(target.kind.value), target.name, f"/steps/{place}/targets/{at}")
            for place, step in enumerate(self.steps)
            for at, target in enumerate(step.targets)
        ]
        if self.fallback is not None:
            found.append(Reference(Referred(self.fallback.kind.value), self.fallback.name, "/fallback"))
        return tuple(found)


def policy_of(name: str, version: int, definition: Mapping[str, Any]) -> Policy:
    """The policy that JSON values of the right types say. Raises Invalid, with all that is wrong."""
    errors: list[FieldError] = []
    steps = tuple(_step(place, said, errors) for place, said in enumerate(definition["steps"]))
    if not 1 <= len(steps) <= MAX_STEPS:
        errors.append(FieldError("/steps", f"expected 1 to {MAX_STEPS} steps"))
    repeats = definition.get("repeats", 0)
    if not 0 <= repeats <= MAX_REPEATS:
        errors.append(FieldError("/repeats", f"expected 0 to {MAX_REPEATS}"))
    said = definition.get("fallback")
    fallback = None if said is None else _target(said, "/fallback", errors)
    if fallback is not None and fallback.kind is TargetKind.SCHEDULE:
        errors.append(FieldError("/fallback", "expected a user, a team or a channel: a schedule may have nobody too"))
    timeouts: dict[int, int] = {}
    for priority, seconds in (definition.get("ack_timeout_s") or {}).items():
        pointer = f"/ack_timeout_s/{priority}"
        if priority not in Priority.__members__:
            errors.append(FieldError(pointer, "expected a priority, P1 to P5"))
        elif not ACK_TIMEOUT_S[0] <= seconds <= ACK_TIMEOUT_S[1]:
            errors.append(FieldError(pointer, f"expected {ACK_TIMEOUT_S[0]} to {ACK_TIMEOUT_S[1]} seconds (30 days)"))
        else:
            timeouts[int(Priority[priority])] = seconds
    if errors:
        raise Invalid(f"{errors[0].pointer[1:]}: {errors[0].detail}", errors=tuple(errors))
    return Policy(name, version, steps, repeats, fallback, timeouts, definition.get("description", ""))


def _step(place: int, said: Mapping[str, Any], errors: list[FieldError]) -> Step:
    pointer = f"/steps/{place}"
    found = [_target(text, f"{pointer}/targets/{at}", errors) for at, text in enumerate(said["targets"])]
    targets = tuple(target for target in found if target is not None)
    delay_s = said.get("delay_s", DEFAULT_DELAY_S)
    if not 1 <= len(found) <= MAX_TARGETS:
        errors.append(FieldError(f"{pointer}/targets", f"expected 1 to {MAX_TARGETS} targets"))
    if len(set(targets)) < len(targets):
        errors.append(FieldError(f"{pointer}/targets", "expected each target once"))
    if not DELAY_S[0] <= delay_s <= DELAY_S[1]:
        errors.append(FieldError(f"{pointer}/delay_s", f"expected {DELAY_S[0]} to {DELAY_S[1]} seconds (7 days)"))
    return Step(targets, delay_s, bool(said.get("round_robin", False)))


def _target(text: str, pointer: str, errors: list[FieldError]) -> Target | None:
    try:
        return target_of(text)
    except ValueError as error:
        errors.append(FieldError(pointer, str(error)))
        return None


# A run.


class State(StrEnum):
    """People are called; somebody has it and nobody is called; every round was taken; it is over."""

    CALLING = "calling"
    WAITING = "waiting"
    SPENT = "spent"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Run:
    """Where a policy stands for one ticket. `next_at`: when the next step is taken, or, while somebody has the ticket,
    when their silence is noticed. `paused` says why it stands still; `left_s` is what was left of the time then."""

    state: State
    priority: int
    round: int = 1
    step: int = 1
    last_round: int = 1
    next_at: datetime | None = None
    paused: tuple[str, ...] = ()
    left_s: float | None = None

    def is_due(self, now: datetime) -> bool:
        """Whether something is to be done now."""
        return self.next_at is not None and self.next_at <= now


class What(StrEnum):
    """What happens to a run."""

    DUE = "due"
    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    UNASSIGNED = "unassigned"
    ACTIVE = "active"  # somebody who has the ticket did something with it
    HANDED_BACK = "handed_back"
    PRIORITISED = "prioritised"
    PAUSED = "paused"
    RESUMED = "resumed"
    HEARD = "heard"  # resumed because a silence ended, and it fires still
    ASKED = "asked"  # something asks for it to be called for: a route
    ASKED_BY_HAND = "asked_by_hand"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Happening:
    """`why` names what pauses it (`hold`, `silence:3`) or is told to people; `priority` is that of the ticket."""

    what: What
    why: str = ""
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class After:
    """The run after something happened. `take`: its next step is to be taken now; `restarted`: why a round began
    before its time."""

    run: Run
    take: bool = False
    restarted: str | None = None


def begin(policy: Policy, priority: int, now: datetime) -> Run:
    """A run whose first step is to be taken at once."""
    return Run(State.CALLING, priority, last_round=1 + policy.repeats, next_at=now)


def happen(policy: Policy, run: Run, what: Happening, now: datetime) -> After:
    """The run after something happened to it."""
    if run.state is State.ENDED:
        return After(run)
    after = _DECIDED[what.what](policy, run, what, now)
    if has_called_in_vain(policy, after.run, now):
        return replace(after, run=replace(after.run, state=State.SPENT, next_at=None))
    return replace(after, take=has_to_call(policy, after.run, now))


def has_to_call(policy: Policy, run: Run, now: datetime) -> bool:
    """Whether its next step is due."""
    return run.state is State.CALLING and run.is_due(now) and run.step <= len(policy.steps)


def has_called_in_vain(policy: Policy, run: Run, now: datetime) -> bool:
    """Whether the last step had its time as well, and nobody answered."""
    return run.state is State.CALLING and run.is_due(now) and run.step > len(policy.steps)


def taken(policy: Policy, run: Run, now: datetime, *, reached: bool) -> Run:
    """The run after its step was taken. One that found nobody at all is not waited for, but for the last of a round:
    somebody may be on call later. After the last of all, its time is waited for as well."""
    step = policy.steps[run.step - 1]
    later = now + timedelta(seconds=step.delay_s)
    if run.step < len(policy.steps):
        return replace(run, step=run.step + 1, next_at=later if reached else now)
    if run.round < run.last_round:
        return replace(run, round=run.round + 1, step=1, next_at=later)
    return replace(run, step=len(policy.steps) + 1, next_at=later)


def _due(policy: Policy, run: Run, what: Happening, now: datetime) -> After:
    if run.state is State.WAITING and run.is_due(now):
        return _again(policy, run, "nothing was done with the ticket", now)
    return After(run)


def _had(policy: Policy, run: Run, what: Happening, now: datetime) -> After:
    """Somebody has the ticket: nobody is called, until that one is silent for too long."""
    timeout = policy.timeout(run.priority)
    return After(_timed(replace(run, state=State.WAITING), timeout, now))


def _active(policy: Policy, run: Run, what: Happening, now: datetime) -> After:
    return _had(policy, run, what, now)


def _back(policy: Policy, run: Run, what: Happening, now: datetime) -> After:
    return _again(policy, run, what.why or "it was handed back", now)


def _unassigned(policy: Policy, run: Run, what: Happening, now: datetime) -> After:
    return _again(policy, run, "it is nobody's again", now) if run.state is State.WAITING else After(run)


def _asked(policy: Policy, run: Run, what: Happening, now: datetime) -> After:
    """What has nobody left to call calls anew; not what took its last step at this very instant."""
    if run.state is State.SPENT or (_has_no_step_left(policy, run) and not _called_just_now(policy, run, now)):
        return _again(policy, run, what.why, now)
    return After(run)


def _asked_by_hand(policy: Policy, run: Run, what: Happening, now: datetime) -> After:
    """Somebody wants people called, also where one has it already."""
    goes_on = run.state is State.CALLING and not _has_no_step_left(policy, run)
    return After(run) if goes_on else _again(policy, run, what.why, now)


def _has_no_step_left(policy: Policy, run: Run) -> bool:
    """Whether its last step was taken, and is waited for alone."""
    return run.state is State.CALLING and run.step > len(policy.steps)


def _called_just_now(policy: Policy, run: Run, now: datetime) -> bool:
    return run.next_at == now + timedelta(seconds=policy.steps[-1].delay_s)


def _prioritised(policy: Policy, run: Run, what: Happening, now: datetime) -> After:
    priority = run.priority if what.priority is None else what.priority
    louder = priority < run.priority
    run = replace(run, priority=priority)
    if run.state is State.WAITING:
        return After(_timed(run, policy.timeout(priority), now))
    return _again(policy, run, f"it is {Priority(priority).name} now", now) if louder else After(run)


def _paused(policy: Policy, run: Run, what: Happening, now: datetime) -> After:
    if what.why in run.paused:
        return After(run)
    left_s = run.left_s if run.next_at is None else max((run.next_at - now).total_seconds(), 0.0)
    return After(replace(run, paused=(*run.paused, what.why), next_at=None, left_s=left_s))


def _resumed(policy: Policy, run: Run, what: Happening, now: datetime) -> After:
    return After(_unpaused(run, what.why, now))


def _heard(policy: Policy, run: Run, what: Happening, now: datetime) -> After:
    """What still fires is heard at once, unless something else pauses it."""
    if what.why not in run.paused:
        return After(run)
    return After(_unpaused(replace(run, left_s=None if run.left_s is None else 0.0), what.why, now))


def _over(policy: Policy, run: Run, what: Happening, now: datetime) -> After:
    return After(replace(run, state=State.ENDED, next_at=None, left_s=None, paused=()))


def _again(policy: Policy, run: Run, why: str, now: datetime) -> After:
    number = run.round + (run.step > 1)
    anew = replace(run, state=State.CALLING, round=number, step=1, last_round=number + policy.repeats)
    return After(_timed(anew, timedelta(0), now), restarted=why)


def _timed(run: Run, wait: timedelta | None, now: datetime) -> Run:
    """So long from now on, or as soon as it is not paused any more."""
    if run.paused:
        return replace(run, next_at=None, left_s=None if wait is None else wait.total_seconds())
    return replace(run, next_at=None if wait is None else now + wait, left_s=None)


def _unpaused(run: Run, why: str, now: datetime) -> Run:
    if why not in run.paused:
        return run
    run = replace(run, paused=tuple(one for one in run.paused if one != why))
    return run if run.paused else _timed(run, None if run.left_s is None else timedelta(seconds=run.left_s), now)


_DECIDED: Final = {
    What.DUE: _due,
    What.ACKNOWLEDGED: _had,
    What.ASSIGNED: _had,
    What.UNASSIGNED: _unassigned,
    What.ACTIVE: _active,
    What.HANDED_BACK: _back,
    What.PRIORITISED: _prioritised,
    What.PAUSED: _paused,
    What.RESUMED: _resumed,
    What.HEARD: _heard,
    What.ASKED: _asked,
    What.ASKED_BY_HAND: _asked_by_hand,
    What.OVER: _over,
}


# Whom a step calls.


@dataclass(frozen=True, slots=True)
class Called:
    """Who is called and by which target; channels; and of those in turn, whose it is the next time (None: all are
    called)."""

    people: Mapping[str, Target]
    channels: tuple[str, ...]
    next_turn: int | None = None

    @property
    def anybody(self) -> bool:
        return bool(self.people or self.channels)


def call(step: Step, people_of: Mapping[Target, Sequence[str]], turn: int = 0) -> Called:
    """Whom a step calls, each once. `people_of` says who stands behind each target now (a channel is there if it is
    in it); of those in turn, the first from `turn` on that has anybody. A team has its people in turn."""
    if not step.round_robin:
        return _called(step.targets, people_of)
    seats = [seat for target in step.targets for seat in _seats(target, people_of)]
    for offset in range(len(seats)):
        place = (turn + offset) % len(seats)
        target, there = seats[place]
        found = _called((target,), there)
        if found.anybody:
            return replace(found, next_turn=(place + 1) % len(seats))
    return Called({}, ())


def _seats(
    target: Target, people_of: Mapping[Target, Sequence[str]]
) -> list[tuple[Target, Mapping[Target, Sequence[str]]]]:
    """What takes turns: a target with who stands behind it, or each person of a team."""
    if target.kind is TargetKind.TEAM:
        return [(target, {target: [name]}) for name in people_of.get(target, ())]
    return [(target, people_of)]


def _called(targets: Iterable[Target], people_of: Mapping[Target, Sequence[str]]) -> Called:
    people: dict[str, Target] = {}
    channels: list[str] = []
    for target in targets:
        if target.kind is TargetKind.CHANNEL and target in people_of:
            channels.append(target.name)
        for name in people_of.get(target, ()):
            people.setdefault(name, target)
    return Called(people, tuple(channels))


_BY: Final = {
    TargetKind.USER: "named in it",
    TargetKind.SCHEDULE: "on call in schedule {name}",
    TargetKind.TEAM: "in team {name}",
    TargetKind.CHANNEL: "channel {name}",
}


def by(target: Target) -> str:
    """Why somebody is among those that a target stands for, in words."""
    return _BY[target.kind].format(name=target.name)
