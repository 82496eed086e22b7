"""Files with rules, silences and services as they go in and out over HTTP."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar

from pydantic import Field, StringConstraints, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from tocsin.alerts.apply_service import Present
from tocsin.alerts.applying import RULES, SERVICES, SILENCES, Asked, Step, Wanted, name_for
from tocsin.alerts.declarations import Declaration
from tocsin.alerts.rules import DEFINED, Kind, Rule
from tocsin.alerts.silence_checks import Draft
from tocsin.alerts.silencing import Silence
from tocsin.kit.clock import iso
from tocsin.kit.errors import FieldError, Invalid
from tocsin.web.declaration_schemas import DeclarationIn
from tocsin.web.faults import faults_within
from tocsin.web.rule_schemas import RuleDefinitionIn, RuleIn
from tocsin.web.schemas import In, Name, Out
from tocsin.web.silence_schemas import SilenceIn

MAX_ENTRIES: Final = 10_000
T = TypeVar("T")


class Faulty(list[FieldError]):
    """What is wrong with an entry that could not be read: the others are looked at all the same."""


def _read(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError as error:
        return Faulty(faults_within(error, value))


class SilenceEntryIn(SilenceIn):
    """A silence in a file: with `starts_at` and `ends_at`, or a `recurrence` with `until`."""

    name: Name = Field(description="What the file calls it.", examples=["weekly-vacuum"])

    def wanted(self) -> Wanted:
        """What is meant; it is checked when it is applied."""
        return Wanted(self.name, self.draft(""))


class ServiceEntryIn(DeclarationIn):
    """A service in a file."""

    name: Annotated[str, StringConstraints(max_length=1000)] = Field(
        description="As its records carry it, in any case.", examples=["payments"]
    )


class ApplyIn(In):
    """What there is to be. A section that is absent is left alone; entries are as for `POST /rules`, `POST /silences`
    and `PUT /services/{name}`, each with its `name`."""

    rules: list[Annotated[RuleIn, WrapValidator(_read)]] | None = Field(None, max_length=MAX_ENTRIES)
    silences: list[Annotated[SilenceEntryIn, WrapValidator(_read)]] | None = Field(None, max_length=MAX_ENTRIES)
    services: list[Annotated[ServiceEntryIn, WrapValidator(_read)]] | None = Field(None, max_length=MAX_ENTRIES)
    prune: bool = Field(
        False, description="Remove what is in none of the sections given; of silences, those from files."
    )
    dry_run: bool = Field(False, description="Only tell what would be done.")
    expected: str | None = Field(
        None, max_length=100, description="The `fingerprint` of the plan that was agreed on: nothing else is done."
    )

    def asked(self) -> tuple[Asked, list[FieldError]]:
        """What is meant, and what is wrong with entries that can't mean anything."""
        found: list[FieldError] = []
        rules = _entries(RULES, self.rules, found)
        silences = _entries(SILENCES, self.silences, found)
        services = _entries(SERVICES, self.services, found)
        asked = Asked(
            None if rules is None else _rules(rules, found),
            None if silences is None else [(place, one.wanted()) for place, one in silences],
            None if services is None else [(place, one.declaration(one.name)) for place, one in services],
            self.prune,
        )
        return asked, found


def _entries(section: str, given: list[T] | None, found: list[FieldError]) -> list[tuple[int, T]] | None:
    if given is None:
        return None
    for place, one in enumerate(given):
        if isinstance(one, Faulty):
            found += [FieldError(f"/{section}/{place}{fault.pointer}", fault.detail) for fault in one]
    return [(place, one) for place, one in enumerate(given) if not isinstance(one, Faulty)]


def _rules(entries: list[tuple[int, RuleIn]], found: list[FieldError]) -> list[tuple[int, Rule]]:
    rules = []
    for place, one in entries:
        try:
            rules.append((place, one.rule(one.name)))
        except Invalid as error:  # its kind
            found += [FieldError(f"/{RULES}/{place}{fault.pointer}", fault.detail) for fault in error.errors]
    return rules


class ChangeOut(Out):
    """A field's value: what it was and what it becomes."""

    before: Any
    after: Any


class StepOut(Out):
    """What becomes of an entry."""

    section: str = Field(description="`rules`, `silences` or `services`.", examples=["rules"])
    name: str = Field(examples=["payments-errors"])
    action: str = Field(
        description="`create`, `change`, `delete`, `unchanged`, or `kept`: it is there, is not in the file, and is not"
        " pruned.",
        examples=["change"],
    )
    changed: dict[str, ChangeOut] = Field(description="Of a change, its fields.")
    note: str | None = Field(description="Why, when the action alone does not say it.")


class ApplyOut(Out):
    """What was done, or would be."""

    applied: bool = Field(description="False: it was only asked for, and nothing was changed.")
    plan: list[StepOut]
    counts: dict[str, int] = Field(description="By action.")
    fingerprint: str = Field(description="Of this plan.")


def step_out(step: Step) -> StepOut:
    """A line of a plan as the API shows it."""
    changed = {name: ChangeOut(before=was, after=now) for name, (was, now) in step.changed.items()}
    return StepOut(section=step.section, name=step.name, action=step.action.value, changed=changed, note=step.note)


class ExportOut(Out):
    """A file of what there is, as `POST /apply` takes it. Fields that have their default are left out."""

    rules: list[dict[str, Any]] | None = None
    silences: list[dict[str, Any]] | None = None
    services: list[dict[str, Any]] | None = None


def export_out(found: Present, sections: tuple[str, ...]) -> dict[str, Any]:
    """The sections that were asked for, each in the order of names."""
    taken = {one.applied_as for one in found.silences if one.applied_as is not None}
    entries = {
        RULES: [_rule_entry(rule) for rule in found.rules],
        SILENCES: sorted(
            (_silence_entry(one, name_for(one, taken)) for one in found.silences), key=lambda entry: str(entry["name"])
        ),
        SERVICES: [_service_entry(one) for one in found.services],
    }
    return {section: entries[section] for section in sections}


def _rule_entry(rule: Rule) -> dict[str, Any]:
    # What is left out of a rule depends on its kind.
    bare = RuleDefinitionIn.model_validate({"condition": rule.condition, "kind": rule.kind.value}).rule(rule.name)
    default = {**bare.definition(), "condition": None, "kind": Kind.MATCH.value}
    return {"name": rule.name, **_said(rule.definition(), default, DEFINED)}


def _silence_entry(silence: Silence, name: str) -> dict[str, Any]:
    end = "ends_at" if silence.recurrence is None else "until"
    draft = Draft(silence.matcher, silence.owner, silence.reason)
    said = {
        "matcher": silence.matcher,
        "owner": silence.owner,
        "reason": silence.reason,
        "starts_at": iso(silence.starts_at),
        end: iso(silence.ends_at),
    }
    rest = ("recurrence", "duration_s", "time_zone", "break_factor")
    others = {field: value for field in rest if (value := getattr(silence, field)) != getattr(draft, field)}
    return {"name": name, **said, **others}


def _service_entry(one: Declaration) -> dict[str, Any]:
    facts = one.facts()
    return {"name": facts.pop("name"), **_said(facts, Declaration(one.name).facts(), tuple(facts))}


def _said(facts: Mapping[str, Any], default: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    return {field: facts[field] for field in fields if facts[field] != default[field]}
