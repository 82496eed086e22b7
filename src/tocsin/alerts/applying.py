"""What applying a file comes to: for each entry whether it is made, changed, removed or left alone. Pure."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Final

from tocsin.alerts.declarations import Declaration, tidied
from tocsin.alerts.dependencies import ring_text, rings
from tocsin.alerts.rules import Rule, check
from tocsin.alerts.silence_checks import Draft, silence_of
from tocsin.alerts.silencing import Silence, State
from tocsin.kit.clock import iso
from tocsin.kit.errors import FieldError, Invalid
from tocsin.query.letters import fold

RULES: Final = "rules"
SILENCES: Final = "silences"
SERVICES: Final = "services"
SECTIONS: Final = (RULES, SILENCES, SERVICES)
NOT_IN_THE_FILE: Final = "not in the file"
NOT_FROM_A_FILE: Final = "not from a file"
OVER: Final = "over"
CHANGEABLE: Final = ("ends_at", "owner", "reason")
_FIXED: Final = ("matcher", "starts_at", "recurrence", "duration_s", "time_zone", "break_factor")
_BY_ID: Final = re.compile(r"silence-0*([1-9][0-9]{0,14})")


class Action(StrEnum):
    """What becomes of an entry. `kept`: it is there, is not in the file, and nobody said that it shall go."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    UNCHANGED = "unchanged"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Step:
    """A line of a plan. `changed`: field -> what it was and what it becomes, as JSON values."""

    section: str
    name: str
    action: Action
    changed: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A silence as a file has it. `owner` and `starts_at` of its draft may be left to what is there."""

    name: str
    draft: Draft


@dataclass(frozen=True, slots=True)
class Asked:
    """A file: by section its entries, each with its place there. A section that is None is left alone."""

    rules: Sequence[tuple[int, Rule]] | None = None
    silences: Sequence[tuple[int, Wanted]] | None = None
    services: Sequence[tuple[int, Declaration]] | None = None
    prune: bool = False


class Way(StrEnum):
    """How a step about a silence is carried out. What it covers can't be changed: then another takes its place."""

    NOTHING = "nothing"
    MAKE = "make"
    EDIT = "edit"
    END = "end"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class SilenceStep:
    """A step with how to carry it out on `before`: the changes of an edit, or the silence that is to be made."""

    step: Step
    way: Way
    before: Silence | None
    edits: Mapping[str, Any]
    draft: Draft


def faults_of(asked: Asked, now: datetime) -> list[FieldError]:
    """All that is wrong with a file whatever is there already, each with its place in it."""
    found: list[FieldError] = []
    for place, rule in asked.rules or ():
        found += _faults(RULES, place, partial(check, rule))
    for place, wanted in asked.silences or ():
        found += _faults(SILENCES, place, partial(meant, wanted, None, actor="-", now=now))
    for place, one in asked.services or ():
        found += _faults(SERVICES, place, partial(tidied, one))
    found += _named_twice(RULES, [(place, rule.name, rule.name) for place, rule in asked.rules or ()])
    found += _named_twice(SILENCES, [(place, one.name, _known_as(one.name)) for place, one in asked.silences or ()])
    found += _named_twice(SERVICES, [(place, one.name, one.key) for place, one in asked.services or ()])
    return found + _rings_within(asked.services or ())


def _faults(section: str, place: int, look: Callable[[], object]) -> list[FieldError]:
    try:
        look()
    except Invalid as error:
        return placed(error, section, place)
    return []


def placed(error: Invalid, section: str, place: int) -> list[FieldError]:
    """What is wrong with an entry, with its place in the file."""
    return [FieldError(f"/{section}/{place}{one.pointer}", one.detail) for one in error.errors]


def _named_twice(section: str, names: Iterable[tuple[int, str, object]]) -> list[FieldError]:
    first: dict[object, int] = {}
    return [
        FieldError(f"/{section}/{place}/name", f"{name!r} is there already, at /{section}/{first[key]}")
        for place, name, key in names
        if first.setdefault(key, place) != place
    ]


def _rings_within(services: Sequence[tuple[int, Declaration]]) -> list[FieldError]:
    by_key = {one.key: (place, one) for place, one in reversed(services)}  # of two of a name, the first
    names = {key: name for _, one in by_key.values() for key, name in one.upstreams.items()}
    names |= {key: one.name for key, (_, one) in by_key.items()}
    edges = {key: set(one.upstreams) - {key} for key, (_, one) in by_key.items()}  # itself is told of before
    return [FieldError(f"/{SERVICES}/{by_key[ring[0]][0]}/depends_on", ring_text(names, ring)) for ring in rings(edges)]


def step_of(section: str, name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> Step:
    """What becomes of an entry, from what is there under its name and what the file says."""
    if before is None:
        return Step(section, name, Action.CREATE)
    changed = {key: (before.get(key), value) for key, value in after.items() if before.get(key) != value}
    return Step(section, name, Action.CHANGE if changed else Action.UNCHANGED, changed)


def left_over(section: str, name: str, *, prune: bool) -> Step:
    """What becomes of something that is there and not in the file."""
    return Step(section, name, Action.DELETE if prune else Action.KEPT, note=NOT_IN_THE_FILE)


def left_over_silence(silence: Silence, *, prune: bool) -> Step:
    """The same of a silence that is not over: one that no file made is nobody's to prune."""
    if silence.applied_as is None:
        return Step(SILENCES, f"silence-{silence.id}", Action.KEPT, note=NOT_FROM_A_FILE)
    return left_over(SILENCES, silence.applied_as, prune=prune)


def id_of_name(name: str) -> int | None:
    """The id of the silence that a file calls `silence-ID` when it has no name of its own."""
    found = _BY_ID.fullmatch(name)
    return None if found is None else int(found[1])


def _known_as(name: str) -> object:
    return id_of_name(name) or name


def name_for(silence: Silence, taken: Collection[str]) -> str:
    """What a file calls a silence; `taken` are names that files gave to others."""
    if silence.applied_as is not None:
        return silence.applied_as
    name = f"silence-{silence.id}"
    while name in taken:
        name = name.replace("-", "-0", 1)
    return name


def meant_by(wanted: Wanted, named: Mapping[str, Silence], by_id: Mapping[int, Silence]) -> Silence | None:
    """The silence that an entry is about: the newest that a file called so, or one by its number that no file called
    anything and that began at the same instant. (Numbers of another installation mean nothing here.)"""
    found = named.get(wanted.name) or by_id.get(id_of_name(wanted.name) or 0)
    if found is None or found.applied_as == wanted.name:
        return found
    return found if found.applied_as is None and found.starts_at == wanted.draft.starts_at else None


def meant(wanted: Wanted, before: Silence | None, *, actor: str, now: datetime) -> Silence:
    """The silence that an entry means; what it leaves out is as before. Raises Invalid.

    That it may be over is no fault: a file is applied again and again.
    """
    draft = filled(wanted.draft, before, actor=actor)
    found = _not_lasting(draft)
    if found:
        raise Invalid("; ".join(f"{error.pointer[1:]}: {error.detail}" for error in found), errors=tuple(found))
    if draft.starts_at is not None:
        return silence_of(draft, min(now, draft.starts_at))
    try:
        return silence_of(draft, now)
    except Invalid:
        if draft.until is None:
            raise
        return _of_the_past(draft, draft.until)


def filled(draft: Draft, before: Silence | None, *, actor: str) -> Draft:
    """A draft with what an entry may leave out."""
    starts_at = draft.starts_at
    if starts_at is None and before is not None and draft.recurrence is not None:
        starts_at = before.starts_at
    return replace(draft, starts_at=starts_at, owner=draft.owner or (actor if before is None else before.owner))


def _not_lasting(draft: Draft) -> list[FieldError]:
    """Why an entry would mean another silence each time it is applied."""
    if draft.recurrence is not None:
        return []
    again = "each time it is applied, it would be another silence; say starts_at and ends_at"
    if draft.duration_s is not None and draft.ends_at is None:
        return [FieldError("/duration_s", again)]
    return [FieldError("/starts_at", f"is missing: {again}")] if draft.starts_at is None else []


def _of_the_past(draft: Draft, until: datetime) -> Silence:
    """A recurrence that does not say its beginning, as it was a year before its end: it may only be over."""
    return silence_of(draft, until - timedelta(days=366))


def facts_of(silence: Silence) -> dict[str, Any]:
    """What a silence says, as JSON values."""
    values = {name: getattr(silence, name) for name in (*_FIXED, *CHANGEABLE)}
    return {name: iso(value) if isinstance(value, datetime) else value for name, value in values.items()}


def silence_step(wanted: Wanted, before: Silence | None, *, actor: str, now: datetime) -> SilenceStep:
    """What becomes of an entry; `before` is the silence it is about, as it is. Raises Invalid."""
    after = meant(wanted, before, actor=actor, now=now)
    draft = filled(wanted.draft, before, actor=actor)
    past = after.state_at(now) is State.EXPIRED
    gone = before is None or before.state_at(now) is State.EXPIRED
    same = before is not None and all(getattr(before, name) == getattr(after, name) for name in _FIXED)
    # One that is over stays so: what a person ended by hand must not come back because a file is applied again.
    if gone and (past or same):
        return SilenceStep(Step(SILENCES, wanted.name, Action.UNCHANGED, note=OVER), Way.NOTHING, before, {}, draft)
    if before is None or gone:
        return SilenceStep(Step(SILENCES, wanted.name, Action.CREATE), Way.MAKE, None, {}, draft)
    step = step_of(SILENCES, wanted.name, facts_of(before), facts_of(after))
    if past:
        return SilenceStep(replace(step, action=Action.CHANGE, note="ends now"), Way.END, before, {}, draft)
    if not same:
        return SilenceStep(replace(step, note="ends and is made anew"), Way.REPLACE, before, {}, draft)
    edits = {name: getattr(after, name) for name in CHANGEABLE if getattr(before, name) != getattr(after, name)}
    if before.applied_as != wanted.name:
        edits["applied_as"] = wanted.name
        step = replace(step, note=f"silence {before.id} is from a file from now on")
    return SilenceStep(step, Way.EDIT if edits else Way.NOTHING, before, edits, draft)


def counts(steps: Iterable[Step]) -> dict[str, int]:
    """How many entries each action is taken on."""
    found = dict.fromkeys(map(str, Action), 0)
    for step in steps:
        found[step.action] += 1
    return found


def in_order(steps: Iterable[Step]) -> list[Step]:
    """A plan's lines: by section, by name."""
    return sorted(steps, key=lambda step: (SECTIONS.index(step.section), fold(step.name), step.name))
