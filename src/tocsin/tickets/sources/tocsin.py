"""Another Tocsin: the JSON lines of `tocsin export tickets`, with history, comments and links.

What is told of a ticket here are the moves, edits and holds that its events tell of. What ran by an SLA policy there is
carried as whether it was kept; what alerts did is not.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tocsin.kit.actors import SYSTEM
from tocsin.tickets.importing import Foreign, Said, Step, Tie
from tocsin.tickets.links import Link
from tocsin.tickets.sources.rows import BadRow, Mapped, Read, Reader
from tocsin.tickets.sources.statuspage import objects_of
from tocsin.tickets.workflow import REOPENED_BY_ALERT, Status

_TEXTS: Final = ("service", "team", "assignee", "resolution_code", "resolution_note", "impact", "urgency", "met")
_INSTANTS: Final = ("acknowledged_at", "resolved_at", "closed_at")
_EDITED: Final = ("team", "assignee")


def read(data: bytes, mapped: Mapped) -> Read:
    """The tickets of an export. Raises Unreadable."""
    found = Read()
    reader = Reader(mapped)
    for line, one in objects_of(data, mapped, found):
        try:
            found.tickets.append(_ticket(line, one, reader))
        except BadRow as error:
            found.bad.append((line, str(error)))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            found.bad.append((line, f"is no ticket of an export: {type(error).__name__} {error}"))
    return found


def _ticket(line: int, one: Mapping[str, Any], reader: Reader) -> Foreign:
    events = one["events"]
    opened = events[0]["data"] if events else {}
    given: dict[str, Any] = {name: one[name] for name in _TEXTS}
    given |= {name: reader.instant(one[name]) if one[name] else None for name in _INSTANTS}
    steps = [step for event in events if (step := _step(event, reader)) is not None]
    return Foreign(
        external_id=str(one["id"]),
        title=one["title"],
        description=one["description"],
        priority=reader.priority(one["priority"]),
        status=Status(one["status"]),
        opened_at=reader.instant(one["opened_at"]),
        reopen_count=one["reopen_count"],
        reassignment_count=one["reassignment_count"],
        tags=tuple(one["tags"]),
        opened_as={
            "priority": reader.priority(opened.get("priority") or one["priority"]),
            **{name: opened.get(name) for name in _EDITED},
        },
        history=tuple(_without_undone(steps)),
        comments=tuple(_said(said, reader) for said in one["comments"] if not said["deleted_at"]),
        links=tuple(_ties(one, reader)),
        line=line,
        **given,
    )


_MERGED: Final = "a merge"  # by whom such a step is, as long as it may be undone


def _step(event: Mapping[str, Any], reader: Reader) -> Step | None:
    """What an event changes of a ticket; None where that is nothing that is carried."""
    tell = _STEPS.get(event["kind"])
    changes = None if tell is None else tell(event["data"], event["actor"])
    if changes is None:
        return None
    if "priority" in changes:
        changes["priority"] = reader.priority(changes["priority"])
    return Step(reader.instant(event["at"]), **{"by": event["actor"], **changes})


def _moved(data: Mapping[str, Any], actor: str) -> dict[str, Any] | None:
    """On the way to a resolution that nobody made: nobody acknowledged it."""
    passing = actor == str(SYSTEM) and data["after"] == Status.IN_PROGRESS.value
    return None if passing else {"status": Status(data["after"])}


def _reopened(data: Mapping[str, Any], _: str) -> dict[str, Any]:
    by_alert = data["after"] == REOPENED_BY_ALERT.value
    return {"status": Status(data["after"]), "assignee": data["assignee"] or "", "by_alert": by_alert}


def _edited(data: Mapping[str, Any], _: str) -> dict[str, Any] | None:
    return {name: data["after"][name] or "" for name in _EDITED if name in data["after"]} or None


_STEPS: Final[Mapping[str, Callable[[Mapping[str, Any], str], dict[str, Any] | None]]] = {
    "TicketMoved": _moved,
    "TicketReopened": _reopened,
    "TicketEdited": _edited,
    "TicketPrioritised": lambda data, _: {"priority": data["after"]},
    "TicketHeld": lambda data, _: {"held": data["reason"] or "on hold"},
    "TicketResumed": lambda _, __: {"held": ""},
    "TicketMerged": lambda _, __: {"status": Status.CLOSED, "by": _MERGED},
    "TicketUnmerged": lambda _, __: {"by": _MERGED},
    "TicketNoted": lambda data, _: {"note": data["text"], "by": data["by"]},
}


def _without_undone(steps: list[Step]) -> list[Step]:
    """A merge that was undone has never been."""
    found: list[Step] = []
    for step in steps:
        if step.by == _MERGED and step.status is None:
            last = max(place for place, one in enumerate(found) if one.by == _MERGED)
            del found[last]
        else:
            found.append(step)
    return found


def _said(said: Mapping[str, Any], reader: Reader) -> Said:
    edited = reader.instant(said["edited_at"]) if said["edited_at"] else None
    return Said(reader.instant(said["created_at"]), said["text"], said["author"], edited)


def _ties(one: Mapping[str, Any], reader: Reader) -> list[Tie]:
    ties = [
        Tie(Link(link["kind"]), str(link["ticket_id"]), reader.instant(link["linked_at"]), link["linked_by"])
        for link in one["links"]
    ]
    earlier = one["recurrence_of"]  # by an alert, which made no link of it
    if earlier is not None and not any(tie.external_id == str(earlier) for tie in ties):
        ties.append(Tie(Link.RECURRENCE_OF, str(earlier), reader.instant(one["opened_at"])))
    return ties
