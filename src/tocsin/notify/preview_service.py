"""What would happen for a ticket now, if nobody answered: routes, steps, people. Nothing is written."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from tocsin.kit.errors import NotFound
from tocsin.kit.priorities import Priority
from tocsin.notify import channel_store, page_service, reaching, route_service
from tocsin.notify.callers import Callers
from tocsin.notify.message import Kind
from tocsin.notify.paging import Calls
from tocsin.notify.routing import Decision, Facts
from tocsin.oncall import escalation, escalation_service, escalation_store
from tocsin.oncall.escalation import Policy, Run, Target, TargetKind, by
from tocsin.storage.tx import ReadTx

STEPS_SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class CallPreview:
    """Somebody who would be called, when, why, and how."""

    person: str
    at: datetime
    why: str
    calls: Calls


@dataclass(frozen=True, slots=True)
class StepPreview:
    """A step of a policy, if nobody answers before: when, and whom it would call as things are now. `absent` says why
    nobody is behind its own targets, and behind the fallback."""

    policy: str
    round: int
    step: int
    at: datetime
    people: tuple[str, ...]
    channels: tuple[str, ...]
    fallback: bool
    absent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen for a ticket now. `problems` are what would go wrong."""

    decision: Decision
    steps: list[StepPreview] = field(default_factory=list)
    calls: list[CallPreview] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def preview(tx: ReadTx, facts: Facts, kind: Kind, callers: Callers) -> Preview:
    """The routes that would be tried, and everything they would lead to."""
    found = Preview(route_service.book_of(tx).decide(facts, kind, tx.now))
    found.problems.extend(f"route {one.route.name}: {one.error}" for one in found.decision.failed)
    work = _Previewing(tx, callers, int(facts.get("priority") or Priority.P3), found)
    for name, route in found.decision.policies.items():
        try:
            work.policy(escalation_service.policy(tx, name), f"route {route}")
        except NotFound as error:
            found.problems.append(f"route {route}: {error}")
    for kind_of_target, names in (
        (TargetKind.SCHEDULE, found.decision.schedules),
        (TargetKind.TEAM, found.decision.teams),
    ):
        for name, route in names.items():
            work.once(Target(kind_of_target, name), f"route {route}")
    named = [*found.decision.channels, *(channel for step in found.steps for channel in step.channels)]
    missing = [channel for channel in dict.fromkeys(named) if channel_store.get(tx, channel) is None]
    found.problems.extend(f"there is no channel {channel}" for channel in missing)
    return found


@dataclass(frozen=True, slots=True)
class _Previewing:
    tx: ReadTx
    callers: Callers
    priority: int
    found: Preview

    def policy(self, policy: Policy, route: str) -> None:
        run = escalation.begin(policy, self.priority, self.tx.now)
        turns = {
            number: escalation_store.seen_turn(self.tx, policy.name, number)
            for number, step in enumerate(policy.steps, 1)
            if step.round_robin
        }
        while (at := run.next_at) is not None and escalation.has_to_call(policy, run, at):
            if len(self.found.steps) == STEPS_SHOWN:
                return
            run = escalation.taken(policy, run, at, reached=self._step(policy, run, at, route, turns))

    def once(self, target: Target, route: str) -> None:
        people = escalation_service.who(self.tx, [target], self.callers.rota, self.tx.now)[target]
        if not people:
            self.found.problems.append(f"{route}: nobody is {by(target)}")
        for person in people:
            self._call(person, self.tx.now, f"{route}: {by(target)}")

    def _step(self, policy: Policy, run: Run, at: datetime, route: str, turns: dict[int, int]) -> bool:
        """Whether the step would reach anybody. `turns` says whose turn it is in each step that calls one of many."""
        step, rota = policy.steps[run.step - 1], self.callers.rota
        called = escalation.call(step, escalation_service.who(self.tx, step.targets, rota, at), turns.get(run.step, 0))
        if called.next_turn is not None:
            turns[run.step] = called.next_turn
        absent = escalation_service.absences(self.tx, step.targets, rota, at)
        fallback = not called.anybody and policy.fallback is not None
        if policy.fallback is not None and fallback:
            only = escalation.Step((policy.fallback,))
            called = escalation.call(only, escalation_service.who(self.tx, [policy.fallback], rota, at))
            absent += escalation_service.absences(self.tx, [policy.fallback], rota, at)
        people, why = tuple(called.people), tuple(absent)
        self.found.steps.append(
            StepPreview(policy.name, run.round, run.step, at, people, called.channels, fallback, why)
        )
        name = f"step {run.step} of escalation policy {policy.name}"
        problem = None if called.anybody else f"{name} would call nobody: {'; '.join(absent)}"
        if called.anybody and fallback:
            problem = f"{name} would find nobody, and call the fallback: {'; '.join(absent)}"
        if problem is not None and problem not in self.found.problems:
            self.found.problems.append(problem)
        for person in people:
            self._call(person, at, f"{route}: step {run.step} of escalation policy {policy.name}, round {run.round}")
        return called.anybody

    def _call(self, name: str, at: datetime, why: str) -> None:
        """By several ways at once somebody is called once."""
        if any((one.person, one.at) == (name, at) for one in self.found.calls):
            return
        rota = self.callers.rota
        person = rota.people(self.tx, [name])[name]
        calls = page_service.calls_of(self.tx, person, self.priority, rota, at=at)
        if not calls.calls and person.email is not None:
            calls = replace(calls, warning=f"{name} has no verified way to be reached: their email will be tried")
        if calls.warning is not None and calls.warning not in self.found.problems:
            self.found.problems.append(calls.warning)
        if calls.calls and name not in {one.person for one in self.found.calls}:
            self._check_carried(name, calls)
        self.found.calls.append(CallPreview(name, at, why, calls))

    def _check_carried(self, name: str, calls: Calls) -> None:
        """A way that no channel carries reaches nobody."""
        ids = {one_id for call in calls.calls for one_id in (call.method_id, *call.otherwise)}
        if not reaching.methods(self.tx, ids):
            self.found.problems.append(page_service.not_carried(name))
