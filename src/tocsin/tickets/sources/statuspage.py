"""A status page: an incident with its updates per line of JSON, as Statuspage has them."""

import json
from collections.abc import Mapping
from typing import Any, Final

from tocsin.kit.priorities import Priority
from tocsin.tickets.importing import Foreign, Step
from tocsin.tickets.sources.rows import BadRow, Mapped, Read, Reader, Unreadable, text_of
from tocsin.tickets.workflow import Status

_WORKED_ON: Final = ("identified", "monitoring", "in progress", "in_progress", "verifying")
_OVER: Final = ("resolved", "completed", "postmortem")
_STATES: Final = {
    "investigating": "OPEN",
    "scheduled": "OPEN",
    **dict.fromkeys(_WORKED_ON, "IN_PROGRESS"),
    **dict.fromkeys(_OVER, "CLOSED"),
}
_IMPACTS: Final = {"critical": "P1", "major": "P2", "minor": "P3", "none": "P4", "maintenance": "P5"}
MAX_WORD: Final = 256
MAX_DESCRIPTION: Final = 20_000


def objects_of(
    data: bytes, mapped: Mapped, read: Read, *, within: str | None = None
) -> list[tuple[int, dict[str, Any]]]:
    """Lines and objects: JSON lines, or one array, whose items have their place in it as line; or the array of the name
    `within` in one object. Raises Unreadable."""
    text = text_of(data, mapped.encoding)
    named = None if within is None else _array(text, within)
    items: list[tuple[int, Any]]
    if named is not None:
        items = list(enumerate(named, 1))
    elif text.lstrip().startswith("["):
        try:
            items = list(enumerate(json.loads(text), 1))
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"it is no JSON: {error}; it was cut?") from None
    else:
        items = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    found: list[tuple[int, dict[str, Any]]] = []
    for line, item in items:
        read.rows += 1
        try:
            one = json.loads(item) if isinstance(item, str) else item
            if not isinstance(one, dict):
                raise ValueError("expected an object")
            found.append((line, one))
        except (ValueError, RecursionError) as error:
            if line == items[-1][0] and not text.endswith("\n"):
                raise Unreadable(f"it ends in the middle of line {line}: it was cut") from None
            read.bad.append((line, f"is no JSON object: {error}"))
    return found


def _array(text: str, name: str) -> list[Any] | None:
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return None
    found = whole.get(name) if isinstance(whole, dict) else None
    return found if isinstance(found, list) else None


def read(data: bytes, mapped: Mapped) -> Read:
    """The incidents of a status page, also as its own API has them. Raises Unreadable."""
    found = Read()
    states = {**_STATES, **mapped.states}
    reader = Reader(Mapped(states=states, priorities={**_IMPACTS, **mapped.priorities}, zone=mapped.zone))
    for line, one in objects_of(data, mapped, found, within="incidents"):
        try:
            found.tickets.append(_incident(line, one, reader, found))
        except BadRow as error:
            found.bad.append((line, str(error)))
        except (AttributeError, KeyError, TypeError) as error:
            found.bad.append((line, f"is no incident of a status page: {type(error).__name__} {error}"))
    return found


def _incident(line: int, one: Mapping[str, Any], reader: Reader, found: Read) -> Foreign:
    updates = one.get("updates") or one.get("incident_updates") or []
    steps = sorted((_step(update, reader, line, found) for update in updates), key=lambda step: step.at)
    started = one.get("started_at") or one.get("created_at")
    opened_at = reader.instant(str(started)) if started else steps[0].at if steps else None
    if opened_at is None:
        raise BadRow("it has neither a time when it began nor updates")
    status = next((step.status for step in reversed(steps) if step.status is not None), Status.OPEN)
    ended = one.get("resolved_at")
    resolved_at = reader.instant(str(ended)) if ended else None
    if resolved_at is not None:
        status = Status.CLOSED
    components = [_name(component) for component in one.get("components") or []]
    said = [step for step in steps if step.note]
    over = status is Status.CLOSED and bool(said)
    acted = next((step.at for step in steps if step.status is Status.IN_PROGRESS), None)
    return Foreign(
        external_id=str(one["id"])[:MAX_WORD],
        title=str(one.get("title") or one["name"])[:500],
        description=_description(str(one.get("url") or ""), components, said[0].note if said else None),
        priority=reader.priority(str(one["impact"])) if one.get("impact") else Priority.P3,
        service=components[0][:MAX_WORD] if components else None,
        opened_at=min([opened_at, *(step.at for step in steps)]),
        acknowledged_at=acted,
        resolved_at=resolved_at,
        closed_at=resolved_at if status is Status.CLOSED else None,
        status=status,
        history=tuple(steps),
        resolution_code=(said[-1].by or "resolved").lower() if over else None,
        resolution_note=said[-1].note if over else None,
        line=line,
    )


def _name(component: Any) -> str:
    return str(component["name"] if isinstance(component, dict) else component)


def _description(url: str, components: list[str], first: str | None) -> str:
    """What it began with is what people look for; the updates after that stand in the timeline."""
    named = f"Components: {', '.join(components)}" if components else ""
    return "\n".join(filter(None, [url, named, first]))[:MAX_DESCRIPTION]


def _step(update: Mapping[str, Any], reader: Reader, line: int, found: Read) -> Step:
    word = str(update.get("status") or "")
    status = reader.status(word)
    if status is None and word.lower() != "update":
        found.noted.append((line, f"state {word[:40]!r} is not known: the incident stays what it was before"))
    text = str(update.get("message") or update.get("body") or "")
    at = update.get("at") or update.get("created_at")
    if not at:
        raise BadRow("an update has no time")
    return Step(reader.instant(str(at)), status=status, note=text[:20_000] or None, by=word or None)
