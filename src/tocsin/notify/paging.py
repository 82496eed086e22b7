"""How somebody is called: their own rules, by priority. Pure: person, ways to reach them, rules and time give pages.

Without rules of their own: P1 and P2 at once by the loudest way, and again in 5 minutes by another one; P3 at once by
the loudest; P4 and P5 by email, in working hours.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from tocsin.kit.calendar import Calendar, NoWorkingTime, due_at
from tocsin.kit.errors import FieldError, Invalid
from tocsin.kit.priorities import Priority
from tocsin.oncall.people import MethodKind
from tocsin.oncall.person import Method, Person
from tocsin.oncall.references import Reference, Referred

LOUDEST: Final = "loudest"
OTHER: Final = "other"
EMAIL: Final = "email"
# The loudest first; what is not named here stands before email.
LOUDNESS: Final = ("voice", "sms", "ntfy", "telegram", "slack", "teams")
MAX_STEPS: Final = 10
MAX_AFTER_S: Final = 24 * 3600
OFFICE_HOURS: Final = (((9 * 60, 17 * 60),),) * 5 + ((),) * 2  # Monday to Friday, in the person's own time zone


@dataclass(frozen=True, slots=True)
class Rule:
    """One call: so many seconds after the page, by the `loudest` way, by an `other` one than before, by a kind of way
    (`email`), or by one of them (its number). `working_hours`: not before they work, by `calendar` or 9 to 17."""

    after_s: int = 0
    method: str = LOUDEST
    working_hours: bool = False
    calendar: str | None = None

    def said(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "after_s": self.after_s,
            "method": self.method,
            "working_hours": self.working_hours,
            "calendar": self.calendar,
        }


def check_way(method: str) -> str:
    """A way that a rule may ask for, as it is. Raises ValueError."""
    if method not in {LOUDEST, OTHER, *MethodKind} and not (method.isascii() and method.isdigit()):
        ways = ", ".join(MethodKind)
        raise ValueError(f"expected {LOUDEST}, {OTHER}, a kind ({ways}), or the number of a contact method")
    return method


Rules = Mapping[int, tuple[Rule, ...]]
_TWICE: Final = (Rule(), Rule(300, OTHER))
_OFFICE: Final = (Rule(0, EMAIL, working_hours=True),)
DEFAULT: Final[Rules] = {1: _TWICE, 2: _TWICE, 3: (Rule(),), 4: _OFFICE, 5: _OFFICE}


def rules_of(definition: Mapping[str, Sequence[Mapping[str, Any]]]) -> Rules:
    """The rules that JSON values of the right types say; a priority that is left out has its default. Raises Invalid,
    with all that is wrong."""
    errors: list[FieldError] = []
    found: dict[int, tuple[Rule, ...]] = {}
    for name, said in definition.items():
        if name not in Priority.__members__:
            errors.append(FieldError(f"/rules/{name}", "expected a priority, P1 to P5"))
            continue
        rules = tuple(Rule(**one) for one in said)
        found[int(Priority[name])] = rules
        pointer = f"/rules/{name}"
        if not 1 <= len(rules) <= MAX_STEPS:
            errors.append(FieldError(pointer, f"expected 1 to {MAX_STEPS} calls"))
        for place, rule in enumerate(rules):
            at = f"{pointer}/{place}"
            if not 0 <= rule.after_s <= MAX_AFTER_S:
                errors.append(FieldError(f"{at}/after_s", f"expected 0 to {MAX_AFTER_S} seconds (a day)"))
            if not rule.method.strip():
                errors.append(FieldError(f"{at}/method", "expected loudest, other, a kind, or a number"))
            if rule.calendar is not None and not rule.working_hours:
                errors.append(FieldError(f"{at}/calendar", "a calendar goes with working_hours"))
    if errors:
        raise Invalid(f"{errors[0].pointer[1:]}: {errors[0].detail}", errors=tuple(errors))
    return found


def references_of(rules: Rules) -> tuple[Reference, ...]:
    """The calendars that rules go by."""
    return tuple(
        Reference(Referred.CALENDAR, rule.calendar, f"/rules/{Priority(priority).name}/{place}/calendar")
        for priority, some in rules.items()
        for place, rule in enumerate(some)
        if rule.calendar is not None
    )


def definition_of(rules: Rules) -> dict[str, Any]:
    """The rules as JSON values."""
    return {Priority(priority).name: [rule.said() for rule in some] for priority, some in sorted(rules.items())}


@dataclass(frozen=True, slots=True)
class Call:
    """One call that is to be made. `rule` says in words which of the person's rules asks for it."""

    method_id: int
    method: str
    otherwise: tuple[int, ...]
    due_at: datetime | None
    rule: str


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of a page; `warning` says why they can't be trusted, or why there are none."""

    calls: tuple[Call, ...]
    warning: str | None = None


def calls(
    person: Person,
    methods: Iterable[Method],
    rules: Rules,
    *,
    priority: int,
    at: datetime,
    calendars: Mapping[str, Calendar],
) -> Calls:
    """How somebody is called for a ticket of that priority, at an instant."""
    known = [method for method in methods if method.disabled_reason is None]
    usable = sorted((method for method in known if method.verified_at is not None), key=_quiet)
    warning = None
    if not usable:
        usable = [method for method in known if method.kind == EMAIL][:1]
        if not usable:
            return Calls((), f"{person.name} has no way to be reached")
        warning = f"{person.name} has no verified way to be reached: their email is tried"
    found: list[Call] = []
    used: list[Method] = []
    name = Priority(priority).name
    for place, rule in enumerate(rules.get(priority, DEFAULT[priority]), 1):
        method = _chosen(rule.method, usable, used)
        if used and method in used and rule.method == OTHER and warning is not None:
            continue  # the same unproven address twice is no other way
        used.append(method)
        otherwise = tuple(one.id for one in usable if one is not method)
        own = "rule" if priority in rules else "default rule"
        words = f"{own} {place} for {name}: {_words(rule)}"
        found.append(Call(method.id, method.kind, otherwise, _due(rule, person, at, calendars), words))
    return Calls(tuple(found), warning)


def _quiet(method: Method) -> int:
    """The less, the louder; alike ones stay in the person's own order."""
    if method.kind == EMAIL:
        return len(LOUDNESS) + 1
    return LOUDNESS.index(method.kind) if method.kind in LOUDNESS else len(LOUDNESS)


def _chosen(wanted: str, usable: Sequence[Method], used: Sequence[Method]) -> Method:
    """The way a rule asks for; where there is none of the kind, the loudest."""
    kinds = {method.kind for method in used}
    fresh = [method for method in usable if method not in used]
    if wanted == OTHER:
        return next((one for one in fresh if one.kind not in kinds), None) or next(iter(fresh), usable[0])
    if wanted.isdigit():
        return next((one for one in usable if one.id == int(wanted)), usable[0])
    return next((one for one in usable if one.kind == wanted), usable[0])


def _due(rule: Rule, person: Person, at: datetime, calendars: Mapping[str, Calendar]) -> datetime | None:
    due = at + timedelta(seconds=rule.after_s)
    if rule.working_hours:
        kept = None if rule.calendar is None else calendars.get(rule.calendar)
        with contextlib.suppress(NoWorkingTime):  # rather heard at night than never
            due = due_at(due, timedelta(0), kept or office(person.time_zone)) or due
    return due if due > at else None


def office(time_zone: str) -> Calendar:
    """Monday to Friday from 9 to 17, by the clock on somebody's wall."""
    return Calendar(time_zone, OFFICE_HOURS)


def _words(rule: Rule) -> str:
    when = "at once" if not rule.after_s else f"after {rule.after_s} s"
    way = f"by the {rule.method} way" if rule.method in {LOUDEST, OTHER} else f"by {rule.method}"
    hours = f", in the hours of calendar {rule.calendar}" if rule.calendar else ", in working hours"
    return f"{when} {way}{hours if rule.working_hours else ''}"
