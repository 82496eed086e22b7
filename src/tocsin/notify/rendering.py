"""What whoever writes a message is told of its delivery, and the body that a webhook sends. Pure.

A renderer makes a message of these facts. It must end by itself and soon.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tocsin.kit.clock import iso
from tocsin.kit.priorities import Priority
from tocsin.notify.message import Kind, Message


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
    """What is known of a delivery besides its ticket. `template` is that of its channel. See `Message` for the rest."""

    message_id: str
    kind: Kind
    delivery_id: int
    channel: str
    channel_kind: str
    person: str | None = None
    event: EventFacts | None = None
    why: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    template: str | None = None
    bundled: int = 1
    first_of_thread: bool = True
    earlier: str | None = None
    created_at: datetime | None = None


Renderer = Callable[[TicketFacts | None, WantedFacts], Message]


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
