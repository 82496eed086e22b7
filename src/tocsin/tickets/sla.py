"""The clocks of a ticket: pure functions over its events, its policy, its calendar, and the time it is.

The acknowledge clock runs from opening, or from the last time it was handed back or an alert reopened it, to the
acknowledgement. The resolve clock runs from opening to the resolution; the time a ticket was resolved before it
reopened does not count. Both stand still while the ticket is on hold. What is due at a moment is overdue from then on;
what is done at that moment is in time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from tocsin.kit.actors import SYSTEM
from tocsin.kit.calendar import ALWAYS, Calendar, Pause, due_at, elapsed
from tocsin.kit.clock import MICROSECOND, from_us, to_us
from tocsin.logs.timestamps import us_of_text
from tocsin.tickets.workflow import REOPENED_BY_ALERT, Status

ACKNOWLEDGE: Final = "acknowledge"
RESOLVE: Final = "resolve"
AT_RISK: Final = "at_risk"
BREACHED: Final = "breached"


class State(StrEnum):
    """Where a clock stands, what calls the loudest first."""

    BREACHED = "breached"
    AT_RISK = "at_risk"
    PAUSED = "paused"
    ON_TRACK = "on_track"
    MET_LATE = "met_late"
    MET = "met"
    CANCELLED = "cancelled"


RUNNING: Final = (State.BREACHED, State.AT_RISK, State.PAUSED, State.ON_TRACK)
_LOUDNESS: Final = {state: place for place, state in enumerate(State)}


@dataclass(frozen=True, slots=True)
class Assigned:
    """The versions of policy and calendar that a ticket's clocks run by; without a calendar, around the clock."""

    policy: str
    policy_version: int
    calendar: str | None
    calendar_version: int | None
    since: datetime

    @property
    def calendar_key(self) -> str:
        """`NAME@VERSION` of the calendar; empty for around the clock."""
        return "" if self.calendar is None else f"{self.calendar}@{self.calendar_version}"


@dataclass(frozen=True, slots=True)
class Terms:
    """What the assigned versions say."""

    acknowledge: timedelta | None
    resolve: timedelta | None
    at_risk_share: float | None = None
    at_risk_left: timedelta | None = None
    calendar: Calendar = ALWAYS

    def at_risk(self, target: timedelta) -> timedelta:
        """After how much of a target a clock is at risk."""
        if self.at_risk_left is not None:
            return max(target - self.at_risk_left, MICROSECOND)
        share = 1.0 if self.at_risk_share is None else self.at_risk_share
        return max(timedelta(microseconds=round(target / MICROSECOND * share)), MICROSECOND)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a ticket's events say of its clocks. `told` are the moments an event has told of: `resolve:breached`."""

    opened_at: datetime
    acknowledge_from: datetime
    acknowledged_at: datetime | None = None
    cancelled_at: datetime | None = None
    resolved_at: datetime | None = None
    merged_at: datetime | None = None
    held_since: datetime | None = None
    held_until: datetime | None = None
    holds: tuple[tuple[datetime, datetime], ...] = ()
    resolved: tuple[tuple[datetime, datetime], ...] = ()
    told: tuple[str, ...] = ()
    assigned: Assigned | None = None

    def is_held(self, now: datetime) -> bool:
        """Whether the ticket is on hold."""
        return self.held_since is not None and (self.held_until is None or now < self.held_until)


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a clock stands at an instant, and its deadline. `due_at` is not known while a hold has no end."""

    name: str
    state: State
    due_at: datetime | None
    at_risk_at: datetime | None
    breached_at: datetime | None


@dataclass(frozen=True, slots=True)
class Clock(Mark):
    """A clock with what it has counted until an instant."""

    elapsed: timedelta
    remaining: timedelta
    paused: timedelta


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant that an event tells of: a clock is at risk, or breached."""

    at: datetime
    clock: str
    what: str

    @property
    def key(self) -> str:
        return f"{self.clock}:{self.what}"


def clocks(facts: Facts, terms: Terms, now: datetime) -> dict[str, Clock]:
    """Those of the two clocks that the policy has a target for."""
    return {run.name: _clock(run, target, terms, now) for run, target in _runs(facts, terms, now)}


def marks(facts: Facts, terms: Terms, now: datetime) -> dict[str, Mark]:
    """The same without what they have counted: nothing that is due follows from that."""
    return {run.name: _mark(run, target, terms, now) for run, target in _runs(facts, terms, now)}


def _runs(facts: Facts, terms: Terms, now: datetime) -> Iterator[tuple["_Run", timedelta]]:
    holds: tuple[Pause, ...] = facts.holds
    if facts.held_since is not None:
        holds = (*holds, (facts.held_since, facts.held_until))
    held = facts.is_held(now)
    if terms.acknowledge is not None:
        ended = facts.cancelled_at or facts.merged_at
        run = _Run(ACKNOWLEDGE, facts.acknowledge_from, facts.acknowledged_at, ended, holds, held)
        yield run, terms.acknowledge
    if terms.resolve is not None:
        run = _Run(RESOLVE, facts.opened_at, facts.resolved_at, facts.merged_at, (*holds, *facts.resolved), held)
        yield run, terms.resolve


@dataclass(frozen=True, slots=True)
class _Run:
    name: str
    start: datetime
    done_at: datetime | None
    cancelled_at: datetime | None
    pauses: tuple[Pause, ...]
    held: bool

    def until(self, now: datetime) -> tuple[datetime, tuple[Pause, ...]]:
        """Until when it counts, and the pauses before that."""
        ended = self.done_at or self.cancelled_at
        return (now, self.pauses) if ended is None else (ended, tuple(_before(self.pauses, ended)))


def _clock(run: _Run, target: timedelta, terms: Terms, now: datetime) -> Clock:
    mark = _mark(run, target, terms, now)
    until, pauses = run.until(now)
    counted = elapsed(run.start, until, terms.calendar, pauses)
    whole = elapsed(run.start, until, terms.calendar) if pauses else counted
    return Clock(
        name=mark.name,
        state=mark.state,
        due_at=mark.due_at,
        at_risk_at=mark.at_risk_at,
        breached_at=mark.breached_at,
        elapsed=counted,
        remaining=target - counted,
        paused=whole - counted,
    )


def _mark(run: _Run, target: timedelta, terms: Terms, now: datetime) -> Mark:
    until, pauses = run.until(now)
    due = due_at(run.start, target, terms.calendar, pauses)
    at_risk = due_at(run.start, terms.at_risk(target), terms.calendar, pauses)
    runs = run.done_at is None and run.cancelled_at is None
    over = due is not None and (due <= until if runs else due < until)
    state = _state(run, over=over, at_risk=at_risk is not None and at_risk <= now)
    return Mark(run.name, state, due, at_risk, breached_at=due if over else None)


def _before(pauses: Iterable[Pause], ended: datetime) -> Iterator[Pause]:
    """What came after a clock had ended does not move its deadline any more."""
    for begun, until in pauses:
        if begun < ended:
            yield begun, ended if until is None else min(until, ended)


def _state(run: _Run, *, over: bool, at_risk: bool) -> State:
    if run.done_at is not None:
        return State.MET_LATE if over else State.MET
    if run.cancelled_at is not None:
        return State.CANCELLED
    if over:
        return State.BREACHED
    if run.held:
        return State.PAUSED
    return State.AT_RISK if at_risk else State.ON_TRACK


def loudest(found: Mapping[str, Mark]) -> State | None:
    """The state of a ticket: that of its clocks which calls the loudest; one that runs goes before one that ended."""
    return min((clock.state for clock in found.values()), key=_LOUDNESS.__getitem__, default=None)


def next_due(found: Mapping[str, Mark]) -> tuple[datetime | None, datetime | None]:
    """When the first of the running clocks is due, and when the first is at risk."""
    running = [clock for clock in found.values() if clock.state in RUNNING]
    due = min((clock.due_at for clock in running if clock.due_at is not None), default=None)
    at_risk = min((clock.at_risk_at for clock in running if clock.at_risk_at is not None), default=None)
    return due, at_risk


def reported_due(clock: Mark | None) -> datetime | None:
    """When a clock is due, or was, for reports; one that was cancelled was never kept and never missed."""
    return None if clock is None or clock.state is State.CANCELLED else clock.due_at


def moments(facts: Facts, found: Mapping[str, Mark]) -> list[Moment]:
    """What running clocks will be told of, or should have been, in order of time."""
    all_of_them = [
        Moment(at, clock.name, what)
        for clock in found.values()
        if clock.state in RUNNING
        for at, what in ((clock.at_risk_at, AT_RISK), (clock.due_at, BREACHED))
        if at is not None
    ]
    return sorted((one for one in all_of_them if one.key not in facts.told), key=lambda one: (one.at, one.what))


def standing(facts: Facts, found: Mapping[str, Mark], now: datetime) -> tuple[str, ...]:
    """What has been told and is still so: under other terms it is not told again."""
    again = {one.key for one in moments(replace(facts, told=()), found) if one.at > now}
    return tuple(key for key in facts.told if key not in again)


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of a ticket, as it was written."""

    at: datetime
    kind: str
    actor: str
    data: Mapping[str, Any]


def replay(events: Iterable[Happened]) -> Facts:
    """The facts that a ticket's events add up to. The first is that it opened."""
    facts: Facts | None = None
    for event in events:
        facts = opened(event.at) if facts is None else step(facts, event)
    if facts is None:
        raise ValueError("a ticket has at least one event")
    return facts


def opened(at: datetime) -> Facts:
    """The facts of a ticket that has just opened."""
    return Facts(opened_at=at, acknowledge_from=at)


def step(facts: Facts, event: Happened) -> Facts:
    """The facts after one more event; kinds that say nothing of clocks change nothing."""
    change = _STEPS.get(event.kind)
    return facts if change is None else change(facts, event)


def _moved(facts: Facts, event: Happened) -> Facts:
    if event.data["after"] == Status.IN_PROGRESS.value:
        if event.actor == str(SYSTEM):
            return replace(facts, cancelled_at=event.at)
        return replace(facts, acknowledged_at=event.at)
    if event.data["after"] == Status.RESOLVED.value:
        return replace(_resumed(facts, event.at), resolved_at=event.at)
    return facts


def _reopened(facts: Facts, event: Happened) -> Facts:
    at = event.at
    resolved = facts.resolved if facts.resolved_at is None else (*facts.resolved, (facts.resolved_at, at))
    facts = replace(facts, resolved=resolved, resolved_at=None)
    if event.data["after"] != REOPENED_BY_ALERT.value:
        return facts
    told = tuple(key for key in facts.told if not key.startswith(ACKNOWLEDGE))
    return replace(facts, acknowledge_from=at, acknowledged_at=None, cancelled_at=None, told=told)


def _handed_back(facts: Facts, event: Happened) -> Facts:
    """Nobody has it any more: the time to acknowledge it runs anew."""
    told = tuple(key for key in facts.told if not key.startswith(ACKNOWLEDGE))
    return replace(facts, acknowledge_from=event.at, acknowledged_at=None, cancelled_at=None, told=told)


def _held(facts: Facts, event: Happened) -> Facts:
    until = None if event.data["until"] is None else _instant(event.data["until"])
    if not facts.is_held(event.at):
        facts = replace(_resumed(facts, event.at), held_since=event.at)
    return replace(facts, held_until=until)


def _resumed(facts: Facts, at: datetime) -> Facts:
    if facts.held_since is None:
        return facts
    ended = at if facts.held_until is None else min(at, facts.held_until)
    return replace(facts, holds=(*facts.holds, (facts.held_since, ended)), held_since=None, held_until=None)


def _merged(facts: Facts, event: Happened) -> Facts:
    return replace(_resumed(facts, event.at), merged_at=event.at)


def _unmerged(facts: Facts, event: Happened) -> Facts:
    """The time in between does not count."""
    if facts.merged_at is None:
        return facts
    return replace(facts, holds=(*facts.holds, (facts.merged_at, event.at)), merged_at=None)


def _split_off(facts: Facts, event: Happened) -> Facts:
    """What was before, where its alerts were then, is as if it had been here."""
    said = event.data

    def stretches(name: str) -> tuple[tuple[datetime, datetime], ...]:
        return tuple((_instant(begun), _instant(ended)) for begun, ended in said[name])

    return replace(
        facts,
        acknowledge_from=_instant(said["acknowledge_from"]),
        acknowledged_at=said["acknowledged_at"] and _instant(said["acknowledged_at"]),
        cancelled_at=said["cancelled_at"] and _instant(said["cancelled_at"]),
        holds=stretches("holds"),
        resolved=stretches("resolved"),
    )


def _instant(text: str) -> datetime:
    return from_us(us_of_text(text))


def _assigned(facts: Facts, event: Happened) -> Facts:
    said = event.data
    policy, version, calendar = said["policy"], said["policy_version"], said["calendar"]
    one = None if policy is None else Assigned(policy, version, calendar, said["calendar_version"], event.at)
    return replace(facts, assigned=one, told=tuple(said["told"]))


def _told(facts: Facts, event: Happened, what: str) -> Facts:
    return replace(facts, told=(*facts.told, f"{event.data['clock']}:{what}"))


_STEPS: Final[Mapping[str, Callable[[Facts, Happened], Facts]]] = {
    "TicketMoved": _moved,
    "TicketReopened": _reopened,
    "TicketHandedBack": _handed_back,
    "TicketMerged": _merged,
    "TicketUnmerged": _unmerged,
    "TicketSplitOff": _split_off,
    "TicketHeld": _held,
    "TicketResumed": lambda facts, event: _resumed(facts, event.at),
    "SlaAssigned": _assigned,
    "SlaAtRisk": lambda facts, event: _told(facts, event, AT_RISK),
    "SlaBreached": lambda facts, event: _told(facts, event, BREACHED),
}
KINDS: Final = ("TicketOpened", *_STEPS)


_INSTANTS: Final = ("opened_at", "acknowledge_from", "acknowledged_at", "cancelled_at", "resolved_at", "merged_at",
                    "held_since", "held_until")  # fmt: skip
_STRETCHES: Final = ("holds", "resolved")


def as_values(facts: Facts) -> dict[str, Any]:
    """Facts as JSON values; instants are microseconds since 1970, what is empty is left out."""
    values: dict[str, Any] = {name: to_us(at) for name in _INSTANTS if isinstance(at := getattr(facts, name), datetime)}
    values |= {name: [[to_us(a), to_us(b)] for a, b in getattr(facts, name)] for name in _STRETCHES}
    values["told"] = list(facts.told)
    if facts.assigned is not None:
        one = facts.assigned
        values["assigned"] = [one.policy, one.policy_version, one.calendar, one.calendar_version, to_us(one.since)]
    return {name: value for name, value in values.items() if value != []}


def and_told(values: Mapping[str, Any], keys: Sequence[str]) -> Mapping[str, Any]:
    """What `as_values` wrote down, and that these moments have been told of as well."""
    return {**values, "told": [*values.get("told", ()), *keys]} if keys else values


def of_values(values: Mapping[str, Any]) -> Facts:
    """The facts that `as_values` wrote down."""
    found: dict[str, Any] = {name: from_us(values[name]) for name in _INSTANTS if name in values}
    found |= {name: tuple((from_us(a), from_us(b)) for a, b in values[name]) for name in _STRETCHES if name in values}
    assigned = None
    if "assigned" in values:
        policy, version, calendar, calendar_version, since = values["assigned"]
        assigned = Assigned(policy, version, calendar, calendar_version, from_us(since))
    return Facts(**found, told=tuple(values.get("told", ())), assigned=assigned)
