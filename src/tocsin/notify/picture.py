"""What there is to say of a ticket, as values for templates. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from tocsin.alerts.declarations import Declaration
from tocsin.alerts.rules import Rule
from tocsin.kit.clock import iso
from tocsin.kit.priorities import Priority
from tocsin.logs.record import Record
from tocsin.notify.channels.cutting import cut, one_line, without_controls
from tocsin.notify.message import Action, Kind
from tocsin.notify.template_filters import time
from tocsin.tickets.sla import RUNNING, Clock, State

MAX_MESSAGE: Final = 4_000
MAX_ATTRIBUTES: Final = 100


@dataclass(frozen=True, slots=True)
class FirstAlert:
    """The alert that a ticket was opened by, with its rule as it was then."""

    facts: Mapping[str, Any]
    rule: Rule | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known of a ticket at an instant. `ticket` holds its row's values; `clocks` its SLA clocks by name."""

    ticket: Mapping[str, Any]
    now: datetime
    alert: FirstAlert | None = None
    alerts: int = 0
    records: int = 0
    record: Record | None = None
    service: Declaration | None = None
    clocks: Mapping[str, Clock] = field(default_factory=dict)
    policy: str | None = None


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a message is sent for, besides its ticket: to whom, by whom and which way something was done, why it is
    sent, what bundled updates say (`at`, `by`, `what`), in which zone times are told."""

    person: str | None = None
    by: str | None = None
    way: str | None = None
    why: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    changes: Sequence[Mapping[str, Any]] = ()
    bundled: int = 1
    actions: Sequence[Action] = ()
    zone: str = "UTC"


NO_OCCASION: Final = Occasion()


def values_of(kind: Kind, picture: Picture | None, occasion: Occasion, *, now: datetime) -> dict[str, Any]:
    """The values that a template sees: texts, numbers, lists and mappings, instants as RFC 3339."""
    about = _nothing() if picture is None else _about(picture)
    return {
        **about,
        "kind": kind.value,
        "person": occasion.person,
        "by": occasion.by,
        "way": occasion.way,
        "why": plain(occasion.why),
        "facts": plain(occasion.facts),
        "changes": [plain(one) for one in occasion.changes],
        "bundled": occasion.bundled,
        "links": {one.name: one.url for one in occasion.actions},
        "action_list": [{"name": one.name, "label": one.label, "url": one.url} for one in occasion.actions],
        "fact_list": [{"name": name, "value": value} for name, value in facts_of(picture, zone_name=occasion.zone)],
        "now": iso(now),
        "zone": occasion.zone,
        "said": {},
    }


def _nothing() -> dict[str, Any]:
    names = ("ticket", "service", "alert", "record", "sla")
    return {**{name: {} for name in names}, "alerts": 0, "records": 0, "runbook_url": None}


def _about(picture: Picture) -> dict[str, Any]:
    return {
        "ticket": _ticket(picture),
        "service": {} if picture.service is None else picture.service.facts(),
        "alert": {} if picture.alert is None else _alert(picture.alert),
        "alerts": picture.alerts,
        "records": picture.records,
        "record": {} if picture.record is None else _record(picture.record),
        "sla": _sla(picture),
        "runbook_url": runbook(picture),
    }


def _ticket(picture: Picture) -> dict[str, Any]:
    ticket = picture.ticket
    since = ticket["opened_at"]
    ended = ticket.get("resolved_at") or picture.now
    return {
        **{name: plain(value) for name, value in ticket.items()},
        "priority": Priority(ticket["priority"]).name,
        "title": one_line(str(ticket["title"]), 500),
        "headline": _headline(ticket),
        "description": without_controls(str(ticket.get("description") or "")),
        "since": iso(since),
        "age_s": max((ended - since).total_seconds(), 0.0),
    }


def _headline(ticket: Mapping[str, Any]) -> str:
    """Where and what, on one line: the titles that rules make begin with the service."""
    title, service = one_line(str(ticket["title"]), 500), one_line(str(ticket.get("service") or ""))
    named = not service or title.casefold().startswith(f"{service.casefold()}:")
    return title if named else f"{service}: {title}"


def _alert(alert: FirstAlert) -> dict[str, Any]:
    rule = alert.rule
    labels = {} if rule is None else dict(rule.labels)
    described = "" if rule is None else rule.description
    return {**plain(alert.facts), "labels": labels, "rule_description": described}


def _record(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "timestamp": iso(record.timestamp),
        "level": record.level,
        "service": record.service,
        "message": cut(without_controls(record.message), MAX_MESSAGE),
        "attributes": _attributes(record),
        "trace_id": record.trace_id,
        "source": record.source,
    }


def _attributes(record: Record) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(bytes(record.attributes))
        return {name: plain(value) for name, value in list(found.items())[:MAX_ATTRIBUTES]}
    except (msgspec.DecodeError, AttributeError, RecursionError):  # no object, or nested deeper than anybody reads
        return {}


def _sla(picture: Picture) -> dict[str, Any]:
    """The clock that is due first, and the state of the one that calls the loudest."""
    running = [clock for clock in picture.clocks.values() if clock.state in RUNNING]
    due = min((clock for clock in running if clock.due_at), key=_due, default=None)
    loudest = min((clock.state for clock in running), key=list(State).index, default=None)
    return {
        "policy": picture.policy,
        "state": None if loudest is None else loudest.value,
        "clock": None if due is None else due.name,
        "due_at": None if due is None or due.due_at is None else iso(due.due_at),
        "remaining_s": None if due is None or due.due_at is None else (due.due_at - picture.now).total_seconds(),
    }


def _due(clock: Clock) -> datetime:
    assert clock.due_at is not None
    return clock.due_at


def runbook(picture: Picture) -> str | None:
    """That of the rule, else that of the service."""
    rule = None if picture.alert is None else picture.alert.rule
    of_rule = None if rule is None else rule.runbook_url
    return of_rule or (None if picture.service is None else picture.service.runbook_url)


def facts_of(picture: Picture | None, *, zone_name: str = "UTC") -> tuple[tuple[str, str], ...]:
    """What a chat shows in columns."""
    if picture is None:
        return ()
    ticket, sla = picture.ticket, _sla(picture)
    level = None if picture.record is None else picture.record.level
    pairs: Iterable[tuple[str, Any]] = (
        ("Priority", Priority(ticket["priority"]).name + (f", {level}" if level else "")),
        ("Status", str(ticket["status"])),
        ("Service", ticket.get("service")),
        ("Team", ticket.get("team")),
        ("Assignee", ticket.get("assignee")),
        ("Records", f"{picture.records:,}" if picture.records else None),
        ("Since", _clock_time(ticket["opened_at"], zone_name)),
        ("SLA", f"{sla['clock']} by {_told(sla['due_at'], zone_name)}" if sla["due_at"] else None),
        ("Runbook", runbook(picture)),
    )
    return tuple((name, one_line(str(value), 500)) for name, value in pairs if value)


def _clock_time(at: datetime, zone_name: str) -> str:
    return _told(iso(at), zone_name)


def _told(at: str, zone_name: str) -> str:
    try:
        return time(at, zone_name, "day")
    except ValueError:
        return time(at, "UTC", "day")


def plain(value: Any) -> Any:
    """A value as a template may see it: instants as texts, nothing with methods of ours."""
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return without_controls(str(value))
