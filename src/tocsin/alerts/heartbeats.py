"""Heartbeats: jobs that check in. Each is an absence rule that is named after it, and how it is doing is pure."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from tocsin.alerts.absence import Group
from tocsin.alerts.rules import MAX_SECONDS, MIN_ABSENCE_S, Kind, Rule
from tocsin.kit.errors import FieldError, Invalid
from tocsin.kit.priorities import Priority

PREFIX: Final = "heartbeat-"
SOURCE: Final = "heartbeat"
DEFAULT_INTERVAL_S: Final = 86_400
DEFAULT_GRACE_S: Final = 3_600
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,78}[a-z0-9])?")
_NAMES: Final = "expected up to 80 characters of a-z, 0-9, '.', '_', '-', such as nightly-backup"
_LABEL, _GRACE = "heartbeat", "grace_s"


class State(StrEnum):
    """Before the first check-in, on time, later than its interval, later than its grace, or not watched."""

    WAITING = "waiting"
    UP = "up"
    LATE = "late"
    DOWN = "down"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A check-in is expected every `interval_s`; one that is more than `grace_s` late opens a ticket."""

    name: str
    interval_s: int = DEFAULT_INTERVAL_S
    grace_s: int = DEFAULT_GRACE_S
    priority: Priority = Priority.P3
    description: str = ""
    runbook_url: str | None = None


def check(heartbeat: Heartbeat) -> None:
    """Raises Invalid, which names every field that is wrong and what was expected."""
    found = [] if _NAME.fullmatch(heartbeat.name) else [FieldError("/name", _NAMES)]
    if not MIN_ABSENCE_S <= heartbeat.interval_s <= MAX_SECONDS:
        found.append(FieldError("/interval_s", f"expected {MIN_ABSENCE_S} to {MAX_SECONDS} seconds"))
    if not 0 <= heartbeat.grace_s <= MAX_SECONDS - max(heartbeat.interval_s, 0):
        found.append(FieldError("/grace_s", f"expected 0 or more, and with interval_s up to {MAX_SECONDS} seconds"))
    if found:
        raise Invalid("; ".join(f"{error.pointer[1:]}: {error.detail}" for error in found), errors=tuple(found))


def rule_of_heartbeat(heartbeat: Heartbeat, before: Rule | None = None) -> Rule:
    """The rule that watches it; what a heartbeat says nothing of stays as it was `before`."""
    name = heartbeat.name
    rule = before or Rule(name=PREFIX + name, version=0, condition="", auto_resolve_after_s=0)
    return replace(
        rule,
        version=0,
        condition=f"service:{name} source:{SOURCE}",
        kind=Kind.ABSENCE,
        window_s=heartbeat.interval_s + heartbeat.grace_s,
        group_by=(),
        service=name,
        priority=heartbeat.priority,
        description=heartbeat.description,
        runbook_url=heartbeat.runbook_url,
        labels=tuple(sorted({**dict(rule.labels), _LABEL: name, _GRACE: str(heartbeat.grace_s)}.items())),
    )


def heartbeat_of(rule: Rule) -> Heartbeat | None:
    """The heartbeat that a rule watches; None when it is another kind of rule."""
    labels = dict(rule.labels)
    name, grace = labels.get(_LABEL, ""), labels.get(_GRACE, "")
    if rule.kind is not Kind.ABSENCE or rule.name != PREFIX + name or not re.fullmatch("[0-9]{1,9}", grace):
        return None
    interval_s = (rule.window_s or 0) - int(grace)
    if interval_s <= 0:
        return None
    return Heartbeat(name, interval_s, int(grace), rule.priority, rule.description, rule.runbook_url)


@dataclass(frozen=True, slots=True)
class Pulse:
    """How a heartbeat is doing. `due_at`: the next check-in is expected by then; `down_at`: a ticket opens then."""

    state: State
    last_at: datetime | None
    last_record_id: int | None
    due_at: datetime | None
    down_at: datetime | None


def pulse_of(heartbeat: Heartbeat, group: Group | None, now: datetime) -> Pulse:
    """From what its rule knows; nothing, while that is switched off."""
    if group is None:
        return Pulse(State.PAUSED, None, None, None, None)
    due_at = group.seen_at + timedelta(seconds=heartbeat.interval_s)
    state = State.UP if now < due_at else State.LATE
    if group.absent:
        state = State.DOWN
    elif group.record_id is None:
        state = State.WAITING
    last_at = None if group.record_id is None else group.seen_at
    return Pulse(state, last_at, group.record_id, due_at, due_at + timedelta(seconds=heartbeat.grace_s))
