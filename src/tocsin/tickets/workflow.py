"""The one transition table. Nothing else decides which move a ticket may make."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from tocsin.kit.errors import Conflict


class Status(StrEnum):
    """Where a ticket stands."""

    OPEN = "OPEN"
    IN_PROGRESS = "IN_PROGRESS"
    RESOLVED = "RESOLVED"
    CLOSED = "CLOSED"


TRANSITIONS: Final[Mapping[Status, frozenset[Status]]] = {
    Status.OPEN: frozenset({Status.IN_PROGRESS}),
    Status.IN_PROGRESS: frozenset({Status.RESOLVED}),
    Status.RESOLVED: frozenset({Status.CLOSED}),
    Status.CLOSED: frozenset(),
}

# Reopening is an action of its own: where it starts, and where it leads when a person or an alert does it.
REOPENABLE: Final = Status.RESOLVED
REOPENED_BY_PERSON: Final = Status.IN_PROGRESS
REOPENED_BY_ALERT: Final = Status.OPEN
# So is handing back: whoever acknowledged it gives it up, and it is nobody's.
HANDED_BACK_FROM: Final = Status.IN_PROGRESS
HANDED_BACK: Final = Status.OPEN
# So are merging a ticket into another one, and undoing that: it goes back to where it was.
MERGED: Final = Status.CLOSED
UNRESOLVED: Final = frozenset({Status.OPEN, Status.IN_PROGRESS})
EDITABLE: Final = frozenset({Status.OPEN, Status.IN_PROGRESS, Status.RESOLVED})


class TransitionRefused(Conflict):
    """This ticket can't move from {status} to {wanted}; allowed: {allowed}."""

    def __init__(self, status: Status, wanted: str) -> None:
        self.allowed = allowed(status)
        names = ", ".join(self.allowed) or "none, it is final"
        reopen = " (POST /tickets/{id}/reopen reopens it)" if status is REOPENABLE and wanted != status else ""
        super().__init__(status=status.value, wanted=wanted, allowed=names + reopen)


class ReopenRefused(TransitionRefused):
    """Only a RESOLVED ticket is reopened, this one is {status}; allowed: {allowed}."""


def allowed(status: Status) -> list[str]:
    """The moves a ticket in this status may make, in the order of the lifecycle."""
    return [after.value for after in Status if after in TRANSITIONS[status]]


def check_move(status: Status, wanted: Status) -> None:
    """Raises TransitionRefused unless the table has the move."""
    if wanted not in TRANSITIONS[status]:
        raise TransitionRefused(status, wanted.value)


def check_reopen(status: Status) -> None:
    """Raises ReopenRefused unless a ticket in this status can be reopened."""
    if status is not REOPENABLE:
        raise ReopenRefused(status, REOPENED_BY_PERSON.value)


def check_hand_back(status: Status) -> None:
    """Raises Conflict unless a ticket in this status is somebody's work that can be handed back."""
    if status is not HANDED_BACK_FROM:
        raise Conflict(detail=f"only a ticket that is IN_PROGRESS is handed back, this one is {status.value}")


def check_edit(status: Status) -> None:
    """Raises Conflict for a ticket whose fields are final."""
    if status not in EDITABLE:
        raise Conflict(detail=f"a {status.value} ticket is final; its fields don't change any more")


def check_merge(ticket_id: int, status: Status) -> None:
    """Raises Conflict unless a ticket in this status can be merged with another one."""
    if status not in UNRESOLVED:
        raise Conflict(detail=f"ticket {ticket_id} is {status.value}; only tickets that are not over are merged")


def check_split(ticket_id: int, status: Status) -> None:
    """Raises Conflict unless alerts of a ticket in this status can go to a new one, which then stands where it does."""
    if status not in UNRESOLVED:
        raise Conflict(detail=f"ticket {ticket_id} is {status.value}; only tickets that are not over are split")


def check_unmerge(into_id: int, status: Status) -> None:
    """Raises Conflict unless the ticket that another one was merged into still goes on."""
    if status not in UNRESOLVED:
        raise Conflict(detail=f"ticket {into_id}, which it was merged into, is {status.value}; it can't be undone")


def mermaid() -> str:
    """The lifecycle as a Mermaid state diagram, made from the table."""
    lines = ["stateDiagram-v2", "    [*] --> OPEN: opened by an alert or by hand"]
    lines += [f"    {a.value} --> {b.value}" for a in Status for b in Status if b in TRANSITIONS[a]]
    lines.append(f"    {REOPENABLE.value} --> {REOPENED_BY_PERSON.value}: reopened by a person")
    lines.append(f"    {REOPENABLE.value} --> {REOPENED_BY_ALERT.value}: reopened by an alert")
    lines.append(f"    {HANDED_BACK_FROM.value} --> {HANDED_BACK.value}: handed back")
    merged = [status for status in Status if status in UNRESOLVED]
    lines += [f"    {status.value} --> {MERGED.value}: merged into another ticket" for status in merged]
    lines += [f"    {MERGED.value} --> {status.value}: merge undone" for status in merged]
    lines += [f"    {status.value} --> [*]" for status in Status if not TRANSITIONS[status]]
    return "\n".join(lines) + "\n"
