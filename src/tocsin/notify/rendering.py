"""What a delivery says, in plain words: from the facts of its ticket and of whoever asked for it, to a message. Pure.

A renderer is a function like `render` here. It must end by itself and soon: it runs beside all other deliveries.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from typing import Any, Final

from tocsin.kit.clock import iso
from tocsin.kit.priorities import Priority
from tocsin.notify.message import Action, Kind, Message

_MAX_TITLE: Final = 200
_WORDS: Final = {
    Kind.OPENED: "opened",
    Kind.REOPENED: "reopened",
    Kind.ACKNOWLEDGED: "acknowledged",
    Kind.UPDATED: "updated",
    Kind.RESOLVED: "resolved",
    Kind.CLOSED: "closed",
    Kind.PAGE: "needs you",
    Kind.SLA: "SLA",
}


@dataclass(frozen=True, slots=True)
class TicketFacts:
    """A ticket as it is when its message is sent."""

    id: int
    title: str
    description: str
    status: str
    priority: int
    service: str | None
    assignee: str | None
    team: str | None
    opened_at: datetime
    opened_by: str
    acknowledged_at: datetime | None = None
    resolved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EventFacts:
    """The event that a delivery follows from: its kind (`TicketCommented`), who did it, when, and its data."""

    kind: str
    actor: str
    at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WantedFacts:
    """What is known of a delivery besides its ticket. `settings` are those of its channel without the secret ones;
    `base_url` is where people find Tocsin. See `Message` for the rest."""

    message_id: str
    kind: Kind
    delivery_id: int
    channel: str
    channel_kind: str
    person: str | None = None
    event: EventFacts | None = None
    why: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    bundled: int = 1
    first_of_thread: bool = True
    earlier: str | None = None
    created_at: datetime | None = None
    base_url: str | None = None


Renderer = Callable[[TicketFacts | None, WantedFacts], Message]


def render(ticket: TicketFacts | None, wanted: WantedFacts) -> Message:
    """The message in plain words. `facts` may bring a `title` and a `text` of their own, and `actions`."""
    title = str(wanted.facts.get("title") or _title(ticket, wanted))[:_MAX_TITLE]
    facts = _facts(ticket, wanted)
    text = "\n".join(part for part in (_text(ticket, wanted), _listed(facts)) if part)
    url = None if ticket is None or wanted.base_url is None else f"{wanted.base_url}/console/tickets/{ticket.id}"
    return Message(
        id=wanted.message_id,
        kind=wanted.kind,
        title=title,
        text=text,
        html=f"<h2>{escape(title)}</h2>\n<pre>{escape(text)}</pre>\n",
        thread="tocsin" if ticket is None else f"ticket-{ticket.id}",
        first_of_thread=wanted.first_of_thread,
        ticket_id=None if ticket is None else ticket.id,
        priority=None if ticket is None else Priority(ticket.priority).name,
        status=None if ticket is None else ticket.status,
        service=None if ticket is None else ticket.service,
        url=url,
        facts=facts,
        actions=_actions(wanted.facts.get("actions")),
        earlier=wanted.earlier,
        bundled=wanted.bundled,
        payload=payload(ticket, wanted, title=title, text=text, url=url),
    )


def payload(
    ticket: TicketFacts | None, wanted: WantedFacts, *, title: str, text: str, url: str | None
) -> dict[str, object]:
    """What a webhook sends (docs/reference/webhooks.md): `type`, `timestamp`, `data`, as Standard Webhooks has it."""
    about = "tocsin" if ticket is None else "ticket"
    at = wanted.created_at if wanted.event is None else wanted.event.at
    return {
        "type": f"{about}.{wanted.kind.value}",
        "timestamp": None if at is None else iso(at),
        "data": {
            "delivery_id": wanted.delivery_id,
            "title": title,
            "text": text,
            "url": url,
            "person": wanted.person,
            "why": dict(wanted.why),
            "updates": wanted.bundled,
            "event": None if wanted.event is None else _event(wanted.event),
            "ticket": None if ticket is None else _ticket(ticket),
        },
    }


def _ticket(ticket: TicketFacts) -> dict[str, object]:
    def instant(at: datetime | None) -> str | None:
        return None if at is None else iso(at)

    return {
        "id": ticket.id,
        "title": ticket.title,
        "description": ticket.description,
        "status": ticket.status,
        "priority": Priority(ticket.priority).name,
        "service": ticket.service,
        "team": ticket.team,
        "assignee": ticket.assignee,
        "opened_by": ticket.opened_by,
        "opened_at": instant(ticket.opened_at),
        "acknowledged_at": instant(ticket.acknowledged_at),
        "resolved_at": instant(ticket.resolved_at),
    }


def _event(event: EventFacts) -> dict[str, object]:
    return {"kind": event.kind, "actor": event.actor, "at": iso(event.at), "data": dict(event.data)}


def _title(ticket: TicketFacts | None, wanted: WantedFacts) -> str:
    if wanted.kind is Kind.TEST:
        return f"Test of the channel {wanted.channel}"
    if wanted.kind is Kind.CODE:
        return "Your code"
    if ticket is None:
        return "Notice from Tocsin"
    word = _WORDS.get(wanted.kind, wanted.kind.value)
    if wanted.event is not None and wanted.kind is Kind.SLA:
        word = "SLA breached" if wanted.event.kind == "SlaBreached" else "SLA at risk"
    if wanted.bundled > 1:
        word = f"{word}, {wanted.bundled} updates"
    return f"[{Priority(ticket.priority).name}] #{ticket.id} {word}: {ticket.title}"


def _text(ticket: TicketFacts | None, wanted: WantedFacts) -> str:
    given = wanted.facts.get("text")
    if given:
        return str(given)
    if wanted.kind is Kind.TEST:
        return "This is a test. Nothing is wrong, and nothing needs to be done."
    if wanted.kind is Kind.CODE:
        return f"Your code is {wanted.facts.get('code', '')}"
    if ticket is not None and wanted.kind in (Kind.OPENED, Kind.REOPENED, Kind.PAGE):
        return ticket.description
    return ""


def _facts(ticket: TicketFacts | None, wanted: WantedFacts) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str | None]] = []
    if ticket is not None:
        found += [
            ("Status", ticket.status),
            ("Service", ticket.service),
            ("Team", ticket.team),
            ("Assignee", ticket.assignee),
            ("Opened", iso(ticket.opened_at)),
        ]
    if wanted.event is not None:
        found += [("What", wanted.event.kind), ("By", wanted.event.actor), ("At", iso(wanted.event.at))]
    if wanted.bundled > 1:
        found.append(("Updates", str(wanted.bundled)))
    return tuple((name, value) for name, value in found if value)


def _listed(facts: tuple[tuple[str, str], ...]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in facts)


def _actions(given: object) -> tuple[Action, ...]:
    if not isinstance(given, list):
        return ()
    return tuple(Action(**{k: str(v) for k, v in one.items()}) for one in given if isinstance(one, Mapping))
