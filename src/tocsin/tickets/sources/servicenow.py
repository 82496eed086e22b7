"""ServiceNow: a CSV export of incidents, a row per incident or one per update, in order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from tocsin.kit.clock import EPOCH
from tocsin.tickets.importing import Foreign, Step
from tocsin.tickets.sources.rows import BadRow, Mapped, Read, Reader, level, number, rows_of, text_of, truth, word
from tocsin.tickets.workflow import Status

_STATES: Final = {
    "new": "OPEN", "1": "OPEN",
    "active": "IN_PROGRESS", "in progress": "IN_PROGRESS", "work in progress": "IN_PROGRESS", "2": "IN_PROGRESS",
    "on hold": "IN_PROGRESS", "3": "IN_PROGRESS",
    "resolved": "RESOLVED", "6": "RESOLVED",
    "closed": "CLOSED", "closed complete": "CLOSED", "closed incomplete": "CLOSED", "7": "CLOSED",
    "canceled": "CLOSED", "cancelled": "CLOSED", "8": "CLOSED",
}  # fmt: skip
_WAITING: Final = ("awaiting", "pending", "on hold")
_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "external_id": ("number",),
    "status": ("ident_state", "incident_state", "state"),
    "opened_at": ("opened_at",),
    "resolved_at": ("resolved_at",),
    "closed_at": ("closed_at",),
    "updated_at": ("sys_updated_at", "sys_updated_on"),
    "by": ("sys_updated_by",),
    "priority": ("priority",),
    "title": ("short_description", "title"),
    "description": ("description",),
    "service": ("business_service", "category"),
    "team": ("assignment_group",),
    "assignee": ("assigned_to",),
    "reopen_count": ("reopen_count",),
    "reassignment_count": ("reassignment_count",),
    "met": ("made_sla",),
    "impact": ("impact",),
    "urgency": ("urgency",),
    "resolution_code": ("close_code", "closed_code"),
    "resolution_note": ("close_notes",),
}
DATES: Final = ("%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S")
_NOWHERE: Final = Step(EPOCH)


@dataclass(slots=True)
class _Update:
    """A row as far as it can be understood."""

    line: int
    row: dict[str, str]
    at: datetime
    opened_at: datetime
    status: Status | None
    held: str


def read(data: bytes, mapped: Mapped) -> Read:
    """The incidents of an export, in the order of their first rows. Raises Unreadable."""
    found = Read()
    fields = {name: (mapped.columns[name].lower(),) if name in mapped.columns else columns
              for name, columns in _COLUMNS.items()}  # fmt: skip
    known = Mapped(mapped.columns, {**_STATES, **mapped.states}, mapped.priorities, mapped.dates or DATES, mapped.zone)
    reader = Reader(known)
    incidents: dict[str, list[_Update]] = {}
    needed = (*fields["external_id"], *fields["opened_at"])
    for line, row in rows_of(text_of(data, mapped.encoding), found, needed):
        try:
            name = word(row, *fields["external_id"])
            if name is None:
                raise BadRow("it has no number")
            one = _update(line, row, fields, reader, found)
            incidents.setdefault(name, []).append(one)
        except BadRow as error:
            found.bad.append((line, str(error)))
    for name, updates in incidents.items():
        try:
            found.tickets.append(_incident(name, updates, fields, reader))
        except BadRow as error:
            found.bad.append((updates[-1].line, str(error)))
    return found


def _update(
    line: int, row: dict[str, str], fields: Mapping[str, tuple[str, ...]], reader: Reader, found: Read
) -> _Update:
    opened_at = _when(row, fields["opened_at"], reader)
    if opened_at is None:
        raise BadRow("it has no time when it was opened")
    at = _when(row, fields["updated_at"], reader) or opened_at
    for name in ("resolved_at", "closed_at"):
        _when(row, fields[name], reader)
    text = word(row, *fields["status"]) or ""
    waiting = text.lower().startswith(_WAITING)
    status = Status.IN_PROGRESS if waiting else reader.status(text)
    if status is None:
        found.noted.append((line, f"state {text[:40]!r} is not known: the incident stays what it was before"))
    if at < opened_at:
        found.noted.append((line, "is an update before the opening: it counts as at the opening"))
    return _Update(line, row, max(at, opened_at), opened_at, status, text if waiting else "")


def _when(row: Mapping[str, str], names: Iterable[str], reader: Reader) -> datetime | None:
    return next((at for name in names if (at := reader.when(row, name)) is not None), None)


def _incident(name: str, updates: list[_Update], fields: Mapping[str, tuple[str, ...]], reader: Reader) -> Foreign:
    last = updates[-1]
    resolved_at, closed_at = (_when(last.row, fields[what], reader) for what in ("resolved_at", "closed_at"))
    status = next((one.status for one in reversed(updates) if one.status is not None), Status.OPEN)
    if status not in {Status.RESOLVED, Status.CLOSED}:
        resolved_at = closed_at = None  # what an export of updates knows of the future
    values = [_values(one.row, fields, reader) for one in updates]
    steps = [
        Step(at=one.at, status=one.status, held=one.held, by=word(one.row, *fields["by"]),
             priority=said["priority"], team=said["team"] or "", assignee=said["assignee"] or "")
        for one, said in zip(updates, values, strict=True)
    ]  # fmt: skip
    return Foreign(
        external_id=name,
        title=word(last.row, *fields["title"]) or f"Incident {name}",
        description=word(last.row, *fields["description"]) or "",
        service=word(last.row, *fields["service"]),
        status=status,
        opened_at=last.opened_at,
        resolved_at=resolved_at,
        closed_at=closed_at,
        reopen_count=number(last.row, fields["reopen_count"][0]),
        reassignment_count=number(last.row, fields["reassignment_count"][0]),
        met=truth(word(last.row, *fields["met"])),
        impact=level(word(last.row, *fields["impact"])),
        urgency=level(word(last.row, *fields["urgency"])),
        resolution_code=word(last.row, *fields["resolution_code"]),
        resolution_note=word(last.row, *fields["resolution_note"]),
        opened_as=values[0],
        history=tuple(_changes(_at_its_time(steps, resolved_at))),
        line=last.line,
        **values[-1],
    )


def _values(row: Mapping[str, str], fields: Mapping[str, tuple[str, ...]], reader: Reader) -> dict[str, Any]:
    return {
        "priority": reader.priority(word(row, *fields["priority"])),
        "team": word(row, *fields["team"]),
        "assignee": word(row, *fields["assignee"]),
    }


def _at_its_time(steps: list[Step], resolved_at: datetime | None) -> list[Step]:
    """The last resolution stands at the time the source gives for it, if nothing else happened after that."""
    first = len(steps)
    while first > 0 and steps[first - 1].status in {Status.RESOLVED, Status.CLOSED}:
        first -= 1
    if resolved_at is None or first == len(steps) or (first and steps[first - 1].at > resolved_at):
        return steps
    # Updates of a resolved incident that are dated before the resolution stay where they are, but for the state.
    rest = [replace(one, status=None, held=None) if one.at < resolved_at else one for one in steps[first:]]
    return sorted([*steps[:first], *rest, Step(resolved_at, status=Status.RESOLVED)], key=lambda one: one.at)


def _changes(steps: list[Step]) -> Iterable[Step]:
    """Only what differs from the step before."""
    before = _NOWHERE
    for step in steps:
        same = {name: None for name in ("status", "priority", "team", "assignee", "held")
                if getattr(step, name) == getattr(before, name)}  # fmt: skip
        told = replace(step, **same)  # type: ignore[arg-type]
        if any(getattr(told, name) is not None for name in ("status", "priority", "team", "assignee", "held")):
            yield told
        kept = {name: getattr(before, name) for name in ("status", "priority", "team", "assignee", "held")
                if getattr(step, name) is None}  # fmt: skip
        before = replace(step, **kept)
