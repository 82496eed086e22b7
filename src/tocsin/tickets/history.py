"""What a ticket was: a pure fold over its events. All of them together give its row."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from tocsin.kit.clock import from_us
from tocsin.kit.priorities import Priority
from tocsin.logs.timestamps import us_of_text
from tocsin.tickets import sla
from tocsin.tickets.links import Link
from tocsin.tickets.sla import Facts, Happened
from tocsin.tickets.workflow import Status


@dataclass(frozen=True, slots=True)
class Past:
    """A ticket at an instant. `facts` say when it was held, acknowledged, resolved, and what its clocks follow from."""

    title: str
    description: str
    service: str | None
    priority: int
    facts: Facts
    status: Status = Status.OPEN
    assignee: str | None = None
    team: str | None = None
    tags: tuple[str, ...] = ()
    impact: int | None = None
    urgency: int | None = None
    resolution_code: str | None = None
    resolution_note: str | None = None
    closed_at: datetime | None = None
    reopen_count: int = 0
    hold_reason: str | None = None
    late_s: int | None = None
    recurrence_of: int | None = None
    released_from: int | None = None
    merged_into: int | None = None
    split_from: int | None = None
    links: frozenset[tuple[Link, int]] = field(default=frozenset())


def replay(events: Iterable[Happened]) -> Past | None:
    """What a ticket's events add up to; None before it opened. The first is that it did."""
    past: Past | None = None
    for event in events:
        past = _opened(event) if past is None else step(past, event)
    return past


def step(past: Past, event: Happened) -> Past:
    """The ticket after one more event; kinds that say nothing of it change nothing."""
    past = replace(past, facts=sla.step(past.facts, event))
    change = _STEPS.get(event.kind)
    return past if change is None else change(past, event)


def _opened(event: Happened) -> Past:
    said = event.data
    kept: dict[str, Any] = {
        name: said.get(name) for name in ("assignee", "team", "impact", "urgency", "late_s", "recurrence_of")
    }
    return Past(
        title=said["title"],
        description=said["description"],
        service=said["service"],
        priority=int(Priority[said["priority"]]),
        facts=sla.opened(event.at),
        tags=tuple(said.get("tags", ())),
        released_from=said.get("released_from"),
        split_from=said.get("split_from"),
        **kept,
    )


def _moved(past: Past, event: Happened) -> Past:
    after = Status(event.data["after"])
    past = replace(past, status=after)
    if after is Status.RESOLVED:
        code, note = event.data.get("resolution_code"), event.data.get("resolution_note")
        return replace(past, hold_reason=None, resolution_code=code, resolution_note=note)
    return replace(past, closed_at=event.at) if after is Status.CLOSED else past


def _reopened(past: Past, event: Happened) -> Past:
    return replace(
        past,
        status=Status(event.data["after"]),
        assignee=event.data["assignee"],
        resolution_code=None,
        resolution_note=None,
        reopen_count=past.reopen_count + 1,
    )


def _merged(past: Past, event: Happened) -> Past:
    after = Status(event.data["after"])
    return replace(past, status=after, closed_at=event.at, hold_reason=None, merged_into=event.data["into_id"])


def _unmerged(past: Past, event: Happened) -> Past:
    return replace(past, status=Status(event.data["after"]), closed_at=None, merged_into=None)


def _edited(past: Past, event: Happened) -> Past:
    after: dict[str, Any] = dict(event.data["after"])
    if "tags" in after:
        after["tags"] = tuple(after["tags"])
    return replace(past, **after)


def _imported(past: Past, event: Happened) -> Past:
    """What the source says of a ticket holds over the steps it told of."""
    said = event.data
    acknowledged_at, resolved_at, closed_at = (
        None if said[name] is None else from_us(us_of_text(said[name]))
        for name in ("acknowledged_at", "resolved_at", "closed_at")
    )
    return replace(
        past,
        status=Status(said["status"]),
        team=said["team"],
        closed_at=closed_at,
        reopen_count=said["reopen_count"],
        facts=replace(past.facts, acknowledged_at=acknowledged_at, resolved_at=resolved_at),
    )


def _linked(past: Past, event: Happened) -> Past:
    return replace(past, links=past.links | {(Link(event.data["link"]), event.data["other_id"])})


def _unlinked(past: Past, event: Happened) -> Past:
    return replace(past, links=past.links - {(Link(event.data["link"]), event.data["other_id"])})


_STEPS: Final[Mapping[str, Callable[[Past, Happened], Past]]] = {
    "TicketMoved": _moved,
    "TicketReopened": _reopened,
    "TicketHandedBack": lambda past, event: replace(past, status=Status(event.data["after"]), assignee=None),
    "TicketEdited": _edited,
    "TicketPrioritised": lambda past, event: replace(past, priority=int(Priority[event.data["after"]])),
    "TicketHeld": lambda past, event: replace(past, hold_reason=event.data["reason"]),
    "TicketResumed": lambda past, event: replace(past, hold_reason=None),
    "TicketMerged": _merged,
    "TicketUnmerged": _unmerged,
    "TicketSplitOff": lambda past, event: replace(past, status=Status(event.data["status"])),
    "TicketImported": _imported,
    "TicketLinked": _linked,
    "TicketUnlinked": _unlinked,
}
