"""What names what: routes, policies, rules, schedules and channels name others by their names. Pure.

Saving asks what of it there is not (`missing`, `faults`), removing who names it still (`naming`). What routes and SLA
policies only look for (the team of a ticket) is no reference: it may be anything that a ticket says.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

from tocsin.kit.errors import FieldError

_LISTED: Final = 5
_SHOWN: Final = 100


class Referred(StrEnum):
    """What can be named, in words."""

    CHANNEL = "channel"
    SCHEDULE = "schedule"
    ESCALATION_POLICY = "escalation policy"
    TEAM = "team"
    USER = "user"
    CALENDAR = "calendar"
    TEMPLATE = "template"


@dataclass(frozen=True, slots=True)
class Reference:
    """A name, and where it stands: `pointer` is a JSON pointer into what names it."""

    kind: Referred
    name: str
    pointer: str


@dataclass(frozen=True, slots=True)
class Namer:
    """What names others: its kind in words, its name, and all that it names."""

    kind: str
    name: str
    references: tuple[Reference, ...]


def missing(named: Iterable[Reference], there: Mapping[Referred, Collection[str]]) -> list[Reference]:
    """Those references that lead to nothing."""
    return [one for one in named if one.name not in there.get(one.kind, ())]


def faults(wrong: Sequence[Reference], known: Mapping[Referred, Sequence[str]]) -> list[FieldError]:
    """What to say of references that lead to nothing; `known` is what could have been meant."""
    return [FieldError(one.pointer, _said(one, known.get(one.kind, ()))) for one in wrong]


def _said(one: Reference, known: Sequence[str]) -> str:
    there_is_none = f"there is no {one.kind} {one.name[:_SHOWN]}"
    near = get_close_matches(one.name[:_SHOWN], known, n=3)
    if near:
        return f"{there_is_none}; did you mean {' or '.join(near)}?"
    if not known:
        return f"{there_is_none}; there is none yet"
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return f"{there_is_none}; there are {', '.join(known[:_LISTED])}{more}"


def naming(kind: Referred, name: str, namers: Iterable[Namer]) -> list[Namer]:
    """Those that name it, other than itself."""
    return [
        one
        for one in namers
        if (one.kind, one.name) != (kind, name)
        and any((reference.kind, reference.name) == (kind, name) for reference in one.references)
    ]
