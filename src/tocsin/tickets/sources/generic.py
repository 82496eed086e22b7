"""CSV and JSON of any tool, with a map of columns: a ticket per row or object, without steps."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tocsin.tickets.importing import Foreign
from tocsin.tickets.sources.rows import BadRow, Mapped, Read, Reader, level, number, rows_of, text_of, truth, word
from tocsin.tickets.sources.statuspage import objects_of
from tocsin.tickets.workflow import Status

FIELDS: Final = (
    "external_id", "title", "description", "priority", "service", "team", "assignee", "status", "opened_at",
    "acknowledged_at", "resolved_at", "closed_at", "reopen_count", "reassignment_count", "met", "impact", "urgency",
    "tags", "resolution_code", "resolution_note",
)  # fmt: skip
_BETWEEN_TAGS: Final = re.compile(r"[\s,;\"]+")
_NEEDED: Final = ("external_id", "title", "opened_at")


def read_csv(data: bytes, mapped: Mapped) -> Read:
    """The tickets of a CSV file. Raises Unreadable."""
    found = Read()
    needed = tuple(_columns(mapped)[name] for name in _NEEDED)
    return _read(rows_of(text_of(data, mapped.encoding), found, needed), found, mapped)


def read_json(data: bytes, mapped: Mapped) -> Read:
    """The tickets of a file of JSON lines, or of an array. `a.b` in the map is `b` within `a`. Raises Unreadable."""
    found = Read()
    columns = set(_columns(mapped).values())
    rows = [(line, {name: _text(one, name) for name in columns}) for line, one in objects_of(data, mapped, found)]
    return _read(rows, found, mapped)


def _columns(mapped: Mapped) -> dict[str, str]:
    return {name: mapped.columns.get(name, name).lower() for name in FIELDS}


def _text(one: Mapping[str, Any], path: str) -> str:
    value: Any = one
    for part in path.split("."):
        names = {str(name).lower(): name for name in value} if isinstance(value, dict) else {}
        value = value[names[part]] if part in names else None
    if isinstance(value, list):
        return ", ".join(str(one) for one in value if not isinstance(one, dict | list))
    return "" if value is None or isinstance(value, dict) else str(value).strip()


def _read(rows: Iterable[tuple[int, Mapping[str, str]]], found: Read, mapped: Mapped) -> Read:
    reader, columns = Reader(mapped), _columns(mapped)
    for line, row in rows:
        try:
            found.tickets.append(_ticket(line, {name: row.get(of, "") for name, of in columns.items()}, reader))
        except BadRow as error:
            found.bad.append((line, str(error)))
    return found


def _ticket(line: int, row: Mapping[str, str], reader: Reader) -> Foreign:
    missing = [name for name in _NEEDED if word(row, name) is None]
    if missing:
        raise BadRow(f"{', '.join(missing)}: empty")
    opened, acknowledged, resolved, closed = (
        reader.when(row, name) for name in ("opened_at", "acknowledged_at", "resolved_at", "closed_at")
    )
    text = word(row, "status")
    by_times = Status.CLOSED if closed else Status.RESOLVED if resolved else None
    status = by_times or (Status.IN_PROGRESS if acknowledged else Status.OPEN) if text is None else reader.status(text)
    if status is None or opened is None:
        raise BadRow(f"status: {text!r} is not known; name it under `states` in the map")
    return Foreign(
        external_id=row["external_id"],
        title=row["title"],
        description=row["description"],
        priority=reader.priority(word(row, "priority")),
        service=word(row, "service"),
        team=word(row, "team"),
        assignee=word(row, "assignee"),
        status=status,
        opened_at=opened,
        acknowledged_at=acknowledged,
        resolved_at=resolved,
        closed_at=closed,
        reopen_count=number(row, "reopen_count"),
        reassignment_count=number(row, "reassignment_count"),
        met=truth(word(row, "met")),
        impact=_level(row, "impact"),
        urgency=_level(row, "urgency"),
        tags=[tag for tag in _BETWEEN_TAGS.split(word(row, "tags") or "") if tag],
        resolution_code=word(row, "resolution_code"),
        resolution_note=word(row, "resolution_note"),
        line=line,
    )


def _level(row: Mapping[str, str], name: str) -> int | None:
    text = word(row, name)
    found = level(text)
    if text is not None and found is None:
        raise BadRow(f"{name}: {text[:40]!r} is none of 1 (high) to 3 (low)")
    return found
