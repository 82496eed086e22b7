"""What becomes of a ticket that comes from elsewhere: its row, and its history as events at their own times. Pure.

Its history is told along our own lifecycle: what went there from New to Resolved at once walks both moves at that
moment; what was closed and taken up again was resolved until then; awaiting somebody is being on hold. The source's own
last word on its times and counts holds over what its steps add up to (`TicketImported`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from tocsin.kit.errors import FieldError, Invalid
from tocsin.kit.events import (
    Event,
    TicketEdited,
    TicketHeld,
    TicketImported,
    TicketMoved,
    TicketNoted,
    TicketOpened,
    TicketPrioritised,
    TicketReopened,
    TicketResumed,
)
from tocsin.kit.priorities import Priority
from tocsin.tickets.links import Link
from tocsin.tickets.tags import tags_of
from tocsin.tickets.workflow import REOPENED_BY_ALERT, REOPENED_BY_PERSON, UNRESOLVED, Status

MAX_AHEAD: Final = timedelta(minutes=5)
_WALK: Final = (Status.OPEN, Status.IN_PROGRESS, Status.RESOLVED, Status.CLOSED)
_CHANGED: Final = ("priority", "team", "assignee")


@dataclass(frozen=True, slots=True)
class Step:
    """A change at the source: what is None did not change. `held` gives the reason of a hold, "" ends it; an empty
    `team` or `assignee` takes it away. What an alert reopened waits for somebody again: it is OPEN."""

    at: datetime
    status: Status | None = None
    priority: Priority | None = None
    team: str | None = None
    assignee: str | None = None
    held: str | None = None
    note: str | None = None
    by: str | None = None
    by_alert: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """A comment, in Markdown."""

    at: datetime
    text: str
    by: str
    edited_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Tie:
    """What a ticket is to another one of the same source, by its name there."""

    kind: Link
    external_id: str
    at: datetime | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Foreign:
    """A ticket as its source last knew it, with the steps that led there, in order. `opened_as` is what priority, team
    and assignee were at first, where steps changed them. `line` is where it stands in the file."""

    external_id: str
    title: str
    priority: Priority
    opened_at: datetime
    status: Status
    description: str = ""
    service: str | None = None
    team: str | None = None
    assignee: str | None = None
    acknowledged_at: datetime | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    reopen_count: int | None = None
    reassignment_count: int = 0
    met: bool | None = None
    opened_as: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Step] = ()
    line: int | None = None
    tags: Sequence[str] = ()
    impact: int | None = None
    urgency: int | None = None
    resolution_code: str | None = None
    resolution_note: str | None = None
    comments: Sequence[Said] = ()
    links: Sequence[Tie] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written of a ticket. The events await its id; those of comments and links await theirs too."""

    row: dict[str, Any]
    events: tuple[tuple[datetime, Event], ...]
    comments: tuple[Said, ...] = ()
    links: tuple[Tie, ...] = ()


def fault(ticket: Foreign, now: datetime) -> FieldError | None:
    """What is wrong with a ticket's times."""
    order = (("opened_at", ticket.opened_at), ("resolved_at", ticket.resolved_at), ("closed_at", ticket.closed_at))
    before = ticket.opened_at
    for name, at in (*order, ("acknowledged_at", ticket.acknowledged_at)):
        if at is None:
            continue
        if at > now + MAX_AHEAD:
            return FieldError(name, f"{at:%Y-%m-%d %H:%M} is still to come")
        if at < (ticket.opened_at if name == "acknowledged_at" else before):
            return FieldError(name, f"{at:%Y-%m-%d %H:%M} is before what came first ({before:%Y-%m-%d %H:%M})")
        before = at if name != "acknowledged_at" else before
    ended = ticket.resolved_at or ticket.closed_at
    if ticket.status in UNRESOLVED and ended is not None:
        return FieldError("status", f"{ticket.status.value}, but it has a time when it was resolved or closed")
    return None


def plan(ticket: Foreign, *, source: str, now: datetime) -> Plan:
    """The row and the events of a ticket. Raises Invalid."""
    wrong = fault(ticket, now)
    if wrong is not None:
        raise Invalid(f"{wrong.pointer}: {wrong.detail}", errors=(wrong,))
    ticket = replace(ticket, tags=tags_of(ticket.tags, "tags"))
    walk = _Walk(ticket, source)
    for step in _without_second_lives(ticket.history):
        walk.take(step)
    walk.finish()
    said = tuple(
        replace(one, at=min(max(one.at, ticket.opened_at), now), by=_foreign(source, one.by)) for one in ticket.comments
    )
    ties = tuple(replace(tie, by=_foreign(source, tie.by or "")) for tie in ticket.links)
    return Plan(walk.row(source, now), tuple(walk.told), said, ties)


def _foreign(source: str, by: str) -> str:
    """Whoever it was there is nobody here: a name that is the same by chance must not speak, or edit, for them."""
    return f"import:{source}:{by}".removesuffix(":")


def _without_second_lives(steps: Sequence[Step]) -> list[Step]:
    """CLOSED is final here: what was taken up again after it had only been resolved."""
    last_life = max((place for place, step in enumerate(steps) if step.status in UNRESOLVED), default=-1)
    return [
        replace(step, status=Status.RESOLVED) if place < last_life and step.status is Status.CLOSED else step
        for place, step in enumerate(steps)
    ]


class _Walk:
    """A ticket on its way from its opening to what it is last. The id of its events is filled in when there is one."""

    def __init__(self, ticket: Foreign, source: str) -> None:
        self._ticket = ticket
        self._source = source
        self._status = Status.OPEN
        self._now = ticket.opened_at
        self._values: dict[str, Any] = {n: ticket.opened_as.get(n, getattr(ticket, n)) for n in _CHANGED}
        self._acknowledged_at: datetime | None = None
        self._acknowledge_from = ticket.opened_at
        self._reopened = 0
        self._held: tuple[datetime, str] | None = None
        self.told: list[tuple[datetime, Event]] = []
        self._open()

    def _tell(self, event: Event) -> None:
        self.told.append((self._now, event))

    def _open(self) -> None:
        ticket = self._ticket
        self._tell(
            TicketOpened(
                0,
                title=ticket.title,
                priority=self._values["priority"].name,
                service=ticket.service,
                description=ticket.description,
                assignee=self._values["assignee"],
                alert_id=None,
                late_s=None,
                recurrence_of=None,
                tags=tuple(ticket.tags),
                impact=ticket.impact,
                urgency=ticket.urgency,
            )
        )
        if self._values["team"] is not None:
            self._tell(TicketEdited(0, before={"team": None}, after={"team": self._values["team"]}))

    def take(self, step: Step) -> None:
        """One step; what is dated before the last one counts as at that."""
        self._now = max(self._now, step.at)
        self._edit({name: given for name in _CHANGED if (given := getattr(step, name)) is not None})
        if step.status is not None:
            self._reach(step.status, by_alert=step.by_alert)
        if step.held is not None:
            self._hold(step.held)
        if step.note:
            self._tell(TicketNoted(0, text=step.note, by=step.by))

    def _edit(self, given: Mapping[str, Any]) -> None:
        wanted = {name: value or None for name, value in given.items()}
        priority = wanted.pop("priority", None)
        if priority is not None and priority != self._values["priority"]:
            self._tell(TicketPrioritised(0, before=self._values["priority"].name, after=priority.name))
            self._values["priority"] = priority
        new = {name: value for name, value in wanted.items() if value != self._values[name]}
        if new:
            self._tell(TicketEdited(0, before={name: self._values[name] for name in new}, after=dict(new)))
            self._values.update(new)

    def _reach(self, wanted: Status, *, by_alert: bool = False) -> None:
        if wanted in UNRESOLVED and self._status is Status.RESOLVED:
            before, self._status = Status.RESOLVED, REOPENED_BY_ALERT if by_alert else REOPENED_BY_PERSON
            self._reopened += 1
            if by_alert:
                self._acknowledged_at, self._acknowledge_from = None, self._now
            assignee = self._values["assignee"]
            self._tell(
                TicketReopened(
                    0, before=before.value, after=self._status.value, reason="", assignee=assignee, alert_id=None
                )
            )
        while _WALK.index(self._status) < _WALK.index(wanted):
            before, self._status = self._status, _WALK[_WALK.index(self._status) + 1]
            if self._status is wanted is Status.IN_PROGRESS and self._acknowledged_at is None:
                self._acknowledged_at = self._now  # not on the way to RESOLVED: nobody said so
            self._tell(self._moved(before))

    def _moved(self, before: Status) -> TicketMoved:
        moved = TicketMoved(0, before=before.value, after=self._status.value)
        if self._status is not Status.RESOLVED:
            return moved
        self._held = None
        code, note = self._ticket.resolution_code, self._ticket.resolution_note
        return replace(moved, resolution_code=code, resolution_note=note)

    def _hold(self, reason: str) -> None:
        if reason and self._status in UNRESOLVED and (self._held is None or self._held[1] != reason):
            self._held = (self._now if self._held is None else self._held[0], reason)
            self._tell(TicketHeld(0, reason=reason, until=None))
        elif not reason and self._held is not None:
            self._held = None
            self._tell(TicketResumed(0, reason=""))

    def finish(self) -> None:
        """Go to where the source says it is, at the times it says."""
        ticket = self._ticket
        self._edit({name: getattr(ticket, name) or "" for name in _CHANGED})
        reached = {
            Status.IN_PROGRESS: ticket.acknowledged_at,
            Status.RESOLVED: ticket.resolved_at,
            Status.CLOSED: ticket.closed_at,
        }
        for status, at in reached.items():
            on_the_way = status is not ticket.status
            past = _WALK.index(status) <= _WALK.index(self._status)
            if (on_the_way and (at is None or past)) or _WALK.index(status) > _WALK.index(ticket.status):
                continue
            self._now = self._now if at is None else max(self._now, at)
            self._reach(status)

    def row(self, source: str, now: datetime) -> dict[str, Any]:
        ticket = self._ticket
        acknowledged_at = ticket.acknowledged_at or self._acknowledged_at
        imported = TicketImported(
            0,
            source=source,
            external_id=ticket.external_id,
            status=self._status.value,
            team=ticket.team,
            acknowledged_at=acknowledged_at,
            resolved_at=ticket.resolved_at,
            closed_at=ticket.closed_at,
            reopen_count=self._reopened if ticket.reopen_count is None else ticket.reopen_count,
            reassignment_count=ticket.reassignment_count,
            met=ticket.met,
        )
        self.told.append((now, imported))
        return {
            "status": self._status.value,
            "priority": int(ticket.priority),
            "service": ticket.service,
            "title": ticket.title,
            "description": ticket.description,
            "team": ticket.team,
            "assignee": ticket.assignee,
            "opened_by": f"import:{source}",
            "source": source,
            "external_id": ticket.external_id,
            "opened_at": ticket.opened_at,
            "updated_at": self._now,
            "acknowledge_from": self._acknowledge_from,
            "acknowledged_at": acknowledged_at,
            "resolved_at": ticket.resolved_at,
            "closed_at": ticket.closed_at,
            "reopen_count": imported.reopen_count,
            "reassignment_count": ticket.reassignment_count,
            "met_at_source": None if ticket.met is None else int(ticket.met),
            "held_since": None if self._held is None else self._held[0],
            "hold_reason": None if self._held is None else self._held[1],
            "tags": list(ticket.tags) or None,
            "impact": ticket.impact,
            "urgency": ticket.urgency,
            "resolution_code": None if self._status in UNRESOLVED else ticket.resolution_code,
            "resolution_note": None if self._status in UNRESOLVED else ticket.resolution_note,
            "late_s": None,
            "recurrence_of": None,
            "released_from": None,
            "version": 1,
        }
