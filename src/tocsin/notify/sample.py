"""A ticket that is made up, to try templates on. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from tocsin.alerts.declarations import Declaration
from tocsin.alerts.rules import Rule
from tocsin.logs.record import Record
from tocsin.notify.message import Action, Kind
from tocsin.notify.picture import FirstAlert, Occasion, Picture
from tocsin.tickets.sla import Clock, State


@dataclass(frozen=True, slots=True)
class Sample:
    picture: Picture
    occasion: Occasion


def a_sample(kind: Kind, *, now: datetime) -> Sample:
    """What a message of this kind could be about."""
    since = now - timedelta(minutes=3)
    over = kind in {Kind.RESOLVED, Kind.CLOSED}
    taken = over or kind in {Kind.ACKNOWLEDGED, Kind.UPDATED}
    ticket = {
        "id": 4711, "title": "payments: database connection lost", "description": "", "priority": 2,
        "service": "payments", "status": "RESOLVED" if over else "IN_PROGRESS" if taken else "OPEN",
        "team": "payments", "tags": ["database"], "assignee": "ana" if taken else None, "opened_at": since,
        "opened_by": "system", "acknowledged_at": now if taken else None, "resolved_at": now if over else None,
        "closed_at": None, "reopen_count": 1 if kind is Kind.REOPENED else 0, "late_s": None, "recurrence_of": None,
        "merged_into": None, "impact": None, "urgency": None, "resolution_code": "fixed" if over else None,
        "external_id": None, "resolution_note": "The pool was restarted." if over else None, "source": None,
        "hold_reason": None, "held_until": None,
    }  # fmt: skip
    record = Record(
        id=123_456, timestamp=since, observed_at=since, level="CRITICAL", severity_number=21, service="payments",
        message="database connection lost: timeout after 30 s", attributes=msgspec.Raw(b'{"host": "db-1"}'),
    )  # fmt: skip
    clock = Clock(
        "acknowledge", State.BREACHED if kind is Kind.SLA else State.ON_TRACK,
        now + timedelta(minutes=-1 if kind is Kind.SLA else 12), None, None, timedelta(minutes=3),
        timedelta(minutes=12), timedelta(0),
    )  # fmt: skip
    rule = Rule(name="critical-logs", version=1, condition="level:CRITICAL", runbook_url="https://wiki.example.org/db")
    alert = {"id": 1, "rule": rule.name, "rule_version": 1, "count": 12, "status": "firing", "first_seen_at": since}
    picture = Picture(
        ticket, now, FirstAlert(alert, rule), 1, 12, record, Declaration("payments", team="payments", tier=1),
        {} if taken else {clock.name: clock}, None if taken else "standard",
    )  # fmt: skip
    changes = [{"at": now, "by": "rui", "what": "commented: looking at the pool"}]
    base = "https://tocsin.example.org/act/"
    actions = tuple(
        Action(name, name.capitalize(), f"{base}{name}") for name in (["open"] if taken else ["acknowledge", "open"])
    )
    facts = {"code": "123456", "title": "a notice", "text": "This is what a notice says."}
    return Sample(
        picture, Occasion(by="ana", way="link", why={"step": 1}, facts=facts, changes=changes, actions=actions)
    )
