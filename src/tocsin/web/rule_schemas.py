"""Rules as they go in and out over HTTP."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from tocsin.alerts.rules import DEFAULT_REOPEN_WINDOW_S, DEFINED, TEMPLATE, Kind, Rule
from tocsin.kit.errors import FieldError, Invalid
from tocsin.kit.priorities import Priority
from tocsin.web.schemas import In, Out, PriorityIn, Prose, Word, no_nul

MAX_CONDITION_CHARS = 10_000
_Text = Annotated[str, StringConstraints(max_length=2000), AfterValidator(no_nul)]
_FieldName = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(no_nul)]
Address = _Text
Seconds = Annotated[int, Field(ge=0, le=366 * 86_400)]


class RuleDefinitionIn(In):
    """What a rule says. A field that is absent has its default."""

    condition: Annotated[str, StringConstraints(max_length=MAX_CONDITION_CHARS), AfterValidator(no_nul)] = Field(
        description="Which records it is about, in the filter language.",
        examples=['service:payments level:>=ERROR "timed out"'],
    )
    kind: str = Field(
        Kind.MATCH.value,
        description="`match`: every record; `threshold`: so many within a window; `ratio`: such a share; `absence`:"
        " that there is none for a while; `new_pattern`: the first of a pattern that its service never had.",
    )
    enabled: bool = True
    dry_run: bool = Field(False, description="Only write down what it would have done.")
    priority: PriorityIn = Priority.P3
    description: Prose = ""
    runbook_url: Address | None = Field(None, examples=["https://wiki.example.org/payments"])
    labels: dict[_Text, _Text] = Field(default_factory=dict, examples=[{"team": "payments"}])
    service: Word | None = Field(None, description="Stands on alert and ticket in place of the record's own.")
    group_by: list[_FieldName] = Field(
        default_factory=lambda: ["service", TEMPLATE],
        description="What tells alerts apart: `service`, `template` (of the message), `level`, `message`, `trace_id`,"
        " `span_id`, `source`, or `@x` for the attribute x. A `ratio` is by default that of a `service`, an `absence`"
        " that of all records which meet the condition (`[]`).",
    )
    correlate_by: list[_FieldName] = Field(
        default_factory=list,
        description="Alerts in which these are the same go to one ticket: the fields of `group_by`, and `rule`. Without"
        " any, each group has its own.",
    )
    reopen_window_s: Seconds = Field(
        DEFAULT_REOPEN_WINDOW_S, description="An alert so soon after its ticket was resolved opens that one again."
    )
    auto_resolve_after_s: Seconds | None = Field(
        None,
        description="When to end by itself. By default never for `match`, else after two windows; 0 for an `absence`:"
        " as soon as there is something.",
    )
    threshold: int | None = Field(None, description="`threshold`: how many records of a group.", examples=[20])
    window_s: int | None = Field(
        None,
        description="`threshold`, `ratio`: within how many seconds, 12 or more; `absence`: for how many there must be"
        " nothing, 60 or more.",
        examples=[300],
    )
    ratio: float | None = Field(None, description="`ratio`: which share of the records that meet `of`, up to 1.")
    of: Annotated[str, StringConstraints(max_length=MAX_CONDITION_CHARS), AfterValidator(no_nul)] = Field(
        "*", description="`ratio`: all the records of which a share is taken, in the filter language."
    )
    minimum: int | None = Field(None, description="`ratio`: how many of those there must be at least.")
    raise_at: dict[_Text, int] = Field(
        default_factory=dict,
        description="From how many records of an alert on its ticket is more urgent, by priority.",
        examples=[{"P1": 1000}],
    )
    for_s: int | None = Field(
        None,
        description="Only once a window has held enough for so long without a break; `match`: once records have gone on"
        " for so long.",
        examples=[120],
    )
    learn_s: int | None = Field(
        None,
        description="`new_pattern`: for how long after the first record of a service its patterns are only learned; by"
        " default a day.",
    )

    def rule(self, name: str) -> Rule:
        """The rule that is meant; its other fields are checked when it is saved. Raises Invalid."""
        return Rule(name=name, version=0, **rule_values(self))


class RuleIn(RuleDefinitionIn):
    """A new rule."""

    name: Word = Field(description="a-z, 0-9, `.`, `_` and `-`.", examples=["payments-errors"])


class RulePatchIn(In):
    """What to switch."""

    enabled: bool | None = None
    dry_run: bool | None = None


class RuleOut(Out):
    """A rule. `version` is also its ETag; every change makes a new one."""

    name: str = Field(examples=["critical-logs"])
    version: int
    condition: str = Field(examples=["level:CRITICAL"])
    kind: str = Field(examples=["match"])
    enabled: bool
    dry_run: bool
    priority: str = Field(examples=["P2"])
    description: str
    runbook_url: str | None
    labels: dict[str, str]
    service: str | None
    group_by: list[str]
    correlate_by: list[str]
    reopen_window_s: int
    auto_resolve_after_s: int | None
    threshold: int | None
    window_s: int | None
    ratio: float | None
    of: str
    minimum: int | None
    raise_at: dict[str, int]
    for_s: int | None
    learn_s: int | None
    created_at: datetime
    updated_at: datetime
    updated_by: str = Field(examples=["local:admin"])
    broken_reason: str | None = Field(
        description="Why it raised, or how long it took; its records wait until it works again."
    )
    broken_at: datetime | None


class RulePageOut(Out):
    items: list[RuleOut]
    next: str | None


class RuleVersionOut(Out):
    """What a rule said from an instant on; `definition` is null where it was removed."""

    version: int
    at: datetime
    actor: str
    definition: dict[str, Any] | None


class RuleVersionPageOut(Out):
    items: list[RuleVersionOut]
    next: str | None


class RehearsalOut(Out):
    """An alert that a rule in its dry run would have opened."""

    rule_version: int
    fingerprint: str
    records: int = Field(description="How many it would have opened with.")
    first_log_id: int
    last_log_id: int
    first_at: datetime = Field(description="Event time.")
    last_at: datetime


class RehearsalPageOut(Out):
    items: list[RehearsalOut]
    next: str | None


def rule_values(given: RuleDefinitionIn) -> dict[str, Any]:
    """The fields of the rule that is meant; the kind is checked, the others are when it is saved. Raises Invalid."""
    values = given.model_dump(include=set(DEFINED))
    values["kind"] = _kind(given.kind)
    values["priority"] = given.priority
    values["labels"] = tuple(sorted(given.labels.items()))
    values["raise_at"] = tuple(sorted(given.raise_at.items()))
    if values["kind"] is Kind.RATIO and "group_by" not in given.model_fields_set:
        values["group_by"] = ["service"]  # the share of a template among its own records says nothing
    if values["kind"] is Kind.ABSENCE and "group_by" not in given.model_fields_set:
        values["group_by"] = []  # what was never seen must be missed too
    values["group_by"], values["correlate_by"] = tuple(values["group_by"]), tuple(given.correlate_by)
    return values


def _kind(text: str) -> Kind:
    try:
        return Kind(text)
    except ValueError:
        detail = f"{text[:40]!r} is not a kind of rule here; expected one of {', '.join(Kind)}"
        raise Invalid(f"kind: {detail}", errors=(FieldError("/kind", detail),)) from None
