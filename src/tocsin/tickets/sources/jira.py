"""Jira Service Management: the CSV that its issue search exports (all fields), a row per issue, without its history.

Jira names a column again for each value (Labels, Comment, Component/s, links), its own fields `Custom field (NAME)`,
and writes dates as whoever exported sees them, without a zone: `24/Nov/26 2:21 AM`. A comment is `date;author;text`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from tocsin.kit.priorities import Priority
from tocsin.tickets.importing import Foreign, Said, Step, Tie
from tocsin.tickets.links import Link
from tocsin.tickets.sources.rows import EMPTY, BadRow, Mapped, Read, Reader, columns_of, text_of
from tocsin.tickets.workflow import UNRESOLVED, Status

DATES: Final = (
    "%d/%b/%y %I:%M %p", "%d/%b/%y %H:%M", "%d/%b/%Y %I:%M %p", "%d/%b/%y %I:%M:%S %p", "%d/%m/%y %H:%M",
    "%d/%m/%Y %H:%M", "%b %d, %Y, %I:%M:%S %p", "%d.%m.%Y %H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S.%f",
)  # fmt: skip
_DONE: Final = ("resolved", "completed", "fixed", "cancelled", "canceled", "declined", "won't do")
_STATES: Final = {
    **dict.fromkeys(("open", "new", "to do", "reopened", "backlog", "waiting for triage", "waiting for support"),
                    "OPEN"),
    **dict.fromkeys(("in progress", "work in progress", "under investigation", "investigating", "escalated",
                     "under review", "implementing", "in review"), "IN_PROGRESS"),
    **dict.fromkeys(_DONE, "RESOLVED"),
    **dict.fromkeys(("closed", "done"), "CLOSED"),
}  # fmt: skip
_WAITING: Final = ("waiting for", "pending", "awaiting", "on hold", "blocked")
_NO_WAITING: Final = ("waiting for support", "waiting for triage")  # it waits for us
_PRIORITIES: Final = {
    "highest": "P1", "blocker": "P1", "critical": "P1", "high": "P2", "major": "P2", "medium": "P3", "moderate": "P3",
    "low": "P4", "minor": "P4", "lowest": "P5", "trivial": "P5",
}  # fmt: skip
_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "external_id": ("issue key", "key"),
    "title": ("summary",),
    "description": ("description",),
    "status": ("status",),
    "priority": ("priority",),
    "opened_at": ("created",),
    "acknowledged_at": ("custom field (first responded at)",),
    "resolved_at": ("resolved", "resolution date"),
    "updated_at": ("updated",),
    "closed_at": (),
    "assignee": ("assignee",),
    "service": ("custom field (affected services)", "affected services", "component/s", "components", "component"),
    "team": ("custom field (team)", "team name", "custom field (assignment group)"),
    "resolution_code": ("resolution",),
    "met": ("time to resolution", "custom field (time to resolution)"),
    "tags": ("labels",),
    "comments": ("comment", "comments"),
}
_LINKS: Final = {
    "duplicate": (Link.DUPLICATE_OF, Link.DUPLICATED_BY),
    "problem/incident": (Link.CAUSES, Link.CAUSED_BY),
    "causes": (Link.CAUSES, Link.CAUSED_BY),
    "relates": (Link.RELATED, Link.RELATED),
}
_LINK: Final = re.compile(r"(outward|inward) issue link \((.+)\)")
_COMMENT: Final = re.compile(r"([^;]{8,40});([^;]{0,100});(.*)", re.DOTALL)
_LEFT: Final = re.compile(r"(-)?(\d+):(\d{2})(?::(\d{2}))?|(-)?(?:\d+[wdhms] ?)+")
_UNRESOLVED: Final = ("unresolved", *EMPTY)
_NO_TAG: Final = re.compile(r'[\s,"]+')
Row = Mapping[str, Sequence[str]]


def read(data: bytes, mapped: Mapped) -> Read:
    """The issues of an export. Raises Unreadable."""
    found = Read()
    own = {name.lower(): value for name, value in mapped.priorities.items()}
    known = Mapped(mapped.columns, {**_STATES, **{name.lower(): of for name, of in mapped.states.items()}},
                   {**_PRIORITIES, **own}, mapped.dates or DATES, mapped.zone)  # fmt: skip
    columns = {name: (mapped.columns[name].lower(),) if name in mapped.columns else of for name, of in _COLUMNS.items()}
    needed: list[tuple[str, ...]] = [columns[name] for name in ("external_id", "title", "opened_at", "status")]
    issue = _Issues(Reader(known), columns, found).ticket
    for line, row in columns_of(text_of(data, mapped.encoding), found, needed):
        try:
            found.tickets.append(issue(line, row))
        except BadRow as error:
            found.bad.append((line, str(error)))
    return found


class _Issues:
    """Reads issues by their columns; notes what is taken with a grain of salt."""

    def __init__(self, reader: Reader, columns: Mapping[str, Sequence[str]], found: Read) -> None:
        self._reader = reader
        self._columns = columns
        self._found = found

    def ticket(self, line: int, row: Row) -> Foreign:
        """Raises BadRow."""

        def note(detail: str) -> None:
            self._found.noted.append((line, detail))

        said = {name: next(iter(self._all(row, name)), None) for name in self._columns}
        missing = [name for name in ("external_id", "title", "opened_at", "status") if said[name] is None]
        if missing:
            raise BadRow(f"{', '.join(self._columns[name][0] for name in missing)}: empty")
        times: dict[str, datetime | None] = {
            name: self._when(said, name) for name in ("opened_at", "acknowledged_at", "resolved_at", "closed_at")
        }
        status, held = self._status(said["status"] or "", note)
        if status in UNRESOLVED:
            times["resolved_at"] = times["closed_at"] = None  # one that was taken up again keeps it there
        elif times["resolved_at"] is None:
            times["resolved_at"] = self._when(said, "updated_at")
            note("has no time when it was resolved: its last update counts")
        if status is Status.CLOSED:
            times["closed_at"] = times["closed_at"] or times["resolved_at"]
        opened_at = times.pop("opened_at")
        assert opened_at is not None
        given: dict[str, Any] = {name: said[name] for name in ("service", "team", "assignee")} | times
        code = said["resolution_code"]
        return Foreign(
            external_id=said["external_id"] or "",
            title=said["title"] or "",
            description=said["description"] or "",
            priority=self._priority(said["priority"]),
            opened_at=opened_at,
            status=status,
            resolution_code=None if code is None or code.lower() in _UNRESOLVED else code,
            met=_met(said["met"]),
            history=(Step(self._when(said, "updated_at") or opened_at, held=held),) if held else (),
            tags=[_NO_TAG.sub("-", tag) for tag in self._all(row, "tags")],
            comments=[self._said(text, opened_at, note) for text in self._all(row, "comments")],
            links=list(_ties(row)),
            line=line,
            **given,
        )

    def _all(self, row: Row, name: str) -> list[str]:
        """What stands in the columns of a field, in the first of them that says something."""
        for column in self._columns[name]:
            said = [text for text in row.get(column, ()) if text.lower() not in EMPTY]
            if said:
                return said
        return []

    def _when(self, said: Mapping[str, str | None], name: str) -> datetime | None:
        text = said[name]
        if text is None:
            return None
        try:
            return self._reader.instant(text)
        except BadRow as error:
            raise BadRow(f"{self._columns[name][0]}: {error}") from None

    def _status(self, text: str, note: Callable[[str], None]) -> tuple[Status, str]:
        """What a state means, and what an issue waits for in it."""
        lower = text.lower()
        found = self._reader.status(lower)
        if lower.startswith(_WAITING) and not lower.startswith(_NO_WAITING):
            return Status.IN_PROGRESS if found is None else found, text
        if found is None:
            note(f"status {text[:40]!r} is not known: the issue is OPEN; name it under `states` in the map")
        return found or Status.OPEN, ""

    def _priority(self, text: str | None) -> Priority:
        return self._reader.priority(None if text is None else text.lower())

    def _said(self, text: str, opened_at: datetime, note: Callable[[str], None]) -> Said:
        parts = _COMMENT.fullmatch(text)
        try:
            if parts is not None:
                return Said(self._reader.instant(parts[1].strip()), parts[3].strip() or "(empty)", parts[2] or "?")
        except BadRow:
            pass
        note("a comment does not begin with its date and its author: it counts as at the opening")
        return Said(opened_at, text, "?")


def _met(text: str | None) -> bool | None:
    """Whether an SLA was kept: time was left (`1:30`, `2h 5m`), or it ran over (`-0:45`)."""
    found = _LEFT.fullmatch(text or "")
    return None if found is None else not (text or "").startswith("-")


def _ties(row: Row) -> list[Tie]:
    found = []
    for column, keys in row.items():
        link = _LINK.fullmatch(column)
        kinds = _LINKS.get(link[2]) if link else None
        if link and kinds:
            kind = kinds[0] if link[1] == "outward" else kinds[1]
            found += [Tie(kind, key) for key in keys if key]
    return found
