"""What goes in and out over HTTP. Inputs are strict and refuse unknown fields; instants are UTC with `Z`."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from tocsin.kit.clock import EPOCH, from_us
from tocsin.kit.priorities import Priority, priority_of
from tocsin.logs.levels import Level, level_of_severity, severity_of_name
from tocsin.logs.timestamps import NotATime, OutOfRange, us_of_text

_RELATIVE: Final = re.compile(r"-?(\d{1,6})(s|m|h|d|w)")
_YEARS: Final = (1970, 2200)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def no_nul(text: str) -> str:
    """The text, unless it holds what no database keeps or no encoding has. Raises ValueError."""
    if "\0" in text:
        raise ValueError("holds the character U+0000")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("holds an unpaired surrogate") from error
    return text


def _priority(value: object) -> Priority:
    if isinstance(value, str):
        return priority_of(value)
    raise ValueError("expected P1..P5 or CRITICAL, HIGH, MEDIUM, LOW, INFO")


def _level(value: object) -> Level:
    number = severity_of_name(value) if isinstance(value, str) else None
    if number is None:
        raise ValueError("expected TRACE, DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return level_of_severity(number)


def duration_of(text: str) -> timedelta | None:
    """`90s`, `15m`, `2h`, `7d`, `1w`, also with a minus before it; None for anything else."""
    found = _RELATIVE.fullmatch(text)
    return None if found is None else timedelta(**{_UNITS[found[2]]: int(found[1])})


def _instant(value: object) -> datetime | timedelta:
    """RFC 3339, an epoch number, or how long ago: `15m`, `-2h`, `7d`."""
    if isinstance(value, datetime | timedelta):
        return value
    text = str(value).strip()
    relative = duration_of(text)
    if relative is not None:
        return relative
    try:
        # A `+` of an offset that was not percent-encoded arrives as a blank.
        return from_us(us_of_text(re.sub(r" (\d\d:?\d\d)$", r"+\1", text)))
    except (NotATime, OutOfRange, OverflowError) as error:
        raise ValueError(f"{error}; or how long ago, such as 15m, 2h, 7d") from error


def before(now: datetime, ago: timedelta) -> datetime:
    """So long ago; nothing is kept from before 1970."""
    return now - ago if ago < now - EPOCH else EPOCH


def moment_of(value: object) -> datetime:
    """An instant that somebody wrote as a text. Raises ValueError with what was expected."""
    try:
        if not isinstance(value, str | datetime):
            raise NotATime("expected a text")
        found = value if isinstance(value, datetime) else from_us(us_of_text(value.strip()))
    except (NotATime, OutOfRange, OverflowError) as error:
        raise ValueError(f"expected an instant such as 2026-11-24T02:00:00Z ({error})") from error
    if not _YEARS[0] <= found.year <= _YEARS[1]:
        raise ValueError(f"expected a time from {_YEARS[0]} to {_YEARS[1]}")
    return found


Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(no_nul)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(no_nul)]
Prose = Annotated[str, StringConstraints(max_length=20_000), AfterValidator(no_nul)]
Reason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000), AfterValidator(no_nul)
]
Template = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000), AfterValidator(no_nul)
]
Step = Annotated[int, Field(ge=1, le=3, description="1 (high) to 3 (low).", examples=[2])]
Word = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(no_nul)]
PriorityIn = Annotated[
    Priority,
    BeforeValidator(_priority, json_schema_input_type=str),
    Field(description="P1..P5, or CRITICAL, HIGH, MEDIUM, LOW, INFO.", examples=["P2"]),
]
QueryText = Annotated[
    str,
    Field(
        max_length=10_000,
        description="What to find, in the filter language.",
        examples=['service:payments level:>=ERROR "timed out"'],
    ),
    AfterValidator(no_nul),
]
LevelIn = Annotated[Level, BeforeValidator(_level, json_schema_input_type=str)]
Moment = Annotated[
    datetime,
    BeforeValidator(moment_of, json_schema_input_type=str),
    Field(description="RFC 3339; without an offset it is UTC."),
]
InstantIn = Annotated[datetime | timedelta, BeforeValidator(_instant, json_schema_input_type=str)]


class In(BaseModel):
    """An input: a field that does not exist is an error, not ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Reckoned(BaseModel):
    """Parameters: one that does not exist is an error, not ignored."""

    model_config = ConfigDict(extra="forbid")

    def reckoned(self, now: datetime) -> dict[str, Any]:
        """The parameters; how long ago has become an instant. Nothing is kept from before 1970."""
        return {name: before(now, value) if isinstance(value, timedelta) else value for name, value in self}


class QueryIn(Reckoned):
    """A list's parameters."""

    limit: int = Field(100, ge=1, le=1000, description="Items on a page.")
    cursor: str | None = Field(None, max_length=500, description="`next` of the page before.")


class Out(BaseModel):
    """An output."""

    model_config = ConfigDict(from_attributes=True)


class LogOut(Out):
    """One stored log record."""

    id: int = Field(examples=[17])
    timestamp: datetime = Field(description="Event time.")
    observed_at: datetime = Field(description="When it arrived here.")
    level: str = Field(examples=["CRITICAL"])
    severity_number: int = Field(description="OpenTelemetry SeverityNumber, 1..24.", examples=[21])
    service: str = Field(examples=["payments"])
    message: str = Field(examples=["database connection lost"])
    attributes: dict[str, Any] = Field(examples=[{"region": "eu-west-1"}])
    trace_id: str | None = None
    span_id: str | None = None
    source: str | None = None
    skewed: str | None = Field(None, description="The original timestamp when it was replaced by the arrival time.")
    backfill: bool = False


class AlertOut(Out):
    """An episode of a fingerprint: it opened with a record and ends when its ticket is resolved."""

    id: int
    status: str = Field(description="`firing`, `suppressed` or `resolved`.", examples=["firing"])
    suppressed_by: str | None = Field(
        description="What keeps it from people: `silence:ID`, `flap`, `storm:TICKET`, `inhibition:ALERT`."
    )
    rule: str = Field(examples=["critical-logs"])
    rule_version: int
    fingerprint: str
    service: str
    title: str
    template: str = Field(
        description="The message that opened it, with its variable parts masked.",
        examples=["connection to <*> lost after <*>"],
    )
    pattern_id: int | None = Field(
        description="The pattern it was opened for, see `GET /patterns`: once they are many, all of its messages are"
        " counted here. Null where the rule does not group by `template`."
    )
    pattern: str | None = Field(description="The template of that pattern.", examples=["connection to <*> lost"])
    level: str
    priority: str
    count: int = Field(description="Records counted on this alert.")
    first_seen_at: datetime
    last_seen_at: datetime
    opened_at: datetime
    ended_at: datetime | None
    ticket_id: int | None
    sample_log_ids: list[int]


class AlertPageOut(Out):
    items: list[AlertOut]
    next: str | None


class OnHoldOut(Out):
    """A ticket's clocks stand still, until a time or until it is resumed."""

    since: datetime
    until: datetime | None
    reason: str


class ClockOut(Out):
    """A clock of a ticket as it stands now. Durations are in working time of the policy's calendar."""

    state: str = Field(
        description="`on_track`, `at_risk`, `breached`, `met`, `met_late`, `paused`, `cancelled`.",
        examples=["on_track"],
    )
    due_at: datetime | None = Field(description="Not known while the ticket is on hold without an end.")
    at_risk_at: datetime | None
    elapsed_s: float
    remaining_s: float = Field(description="Less than 0 once it is breached.")
    paused_s: float = Field(description="What did not count: on hold, or resolved before it reopened.")
    breached_at: datetime | None


class SlaOut(Out):
    """A ticket's clocks, and the versions they run by. `state` is that of the clock that calls the loudest."""

    policy: str
    policy_version: int
    calendar: str | None = Field(description="None: around the clock.")
    calendar_version: int | None
    state: str | None
    acknowledge: ClockOut | None
    resolve: ClockOut | None


class TicketOut(Out):
    """A ticket. `version` is also its ETag; it changes on moves and edits, never on counts."""

    id: int
    status: str = Field(examples=["OPEN"])
    priority: str = Field(examples=["P2"])
    title: str = Field(examples=["payments: database connection lost"])
    description: str
    service: str | None
    assignee: str | None
    opened_by: str = Field(description="`rule:NAME`, or the actor that opened it by hand.")
    opened_at: datetime
    acknowledged_at: datetime | None
    resolved_at: datetime | None
    closed_at: datetime | None
    updated_at: datetime
    time_to_acknowledge_s: float | None
    time_to_resolve_s: float | None
    reopen_count: int
    reassignment_count: int = Field(description="How often it went from one assignee to another.")
    source: str | None = Field(description="Where it was imported from.", examples=["servicenow"])
    external_id: str | None = Field(description="What it is called there.", examples=["INC0010023"])
    late_s: int | None = Field(description="How long before the ticket opened its first record had happened.")
    recurrence_of: int | None = Field(description="The closed or older ticket of the same kind of trouble.")
    released_from: int | None = Field(description="The ticket of the storm that its alert was gathered in before.")
    team: str | None = Field(description="Whose it is; that of its declared service unless somebody said otherwise.")
    tags: list[str] = Field(examples=[["database"]])
    impact: int | None = Field(description="1 (high) to 3 (low).")
    urgency: int | None = Field(description="1 (high) to 3 (low).")
    resolution_code: str | None = Field(description="Of what kind its resolution is.", examples=["fixed"])
    resolution_note: str | None
    merged_into: int | None = Field(description="The ticket that this one was closed as a duplicate of.")
    split_from: int | None = Field(description="The ticket that its alerts were in before.")
    on_hold: OnHoldOut | None
    sla: SlaOut | None = Field(description="Null for a ticket that no SLA policy is about.")
    allowed: list[str] = Field(description="The moves PATCH takes now.", examples=[["IN_PROGRESS"]])
    version: int


class ServiceInfoOut(Out):
    """What is declared of a service."""

    name: str = Field(examples=["payments"])
    team: str | None
    tier: int | None
    runbook_url: str | None


class LinkOut(Out):
    """A link as this ticket shows it: what it is to the other one."""

    kind: str = Field(
        description="`duplicate_of`, `caused_by`, `recurrence_of`, `related`; or, where the other one says so,"
        " `duplicated_by`, `causes`, `recurred_as`.",
        examples=["caused_by"],
    )
    ticket_id: int
    title: str
    status: str
    linked_at: datetime
    linked_by: str


class TicketDetailOut(TicketOut):
    """A ticket with its newest alerts and its links, and what is declared of its service now."""

    alert_count: int
    alerts: list[AlertOut] = Field(description="The newest 100; all: `GET /alerts?ticket_id=`.")
    links: list[LinkOut]
    service_info: ServiceInfoOut | None = Field(description="Null when its service is not declared.")


class PastLinkOut(Out):
    kind: str
    ticket_id: int


class TicketPastOut(Out):
    """A ticket as it was at an instant, from its events."""

    id: int
    at: datetime
    status: str
    priority: str
    title: str
    description: str
    service: str | None
    assignee: str | None
    team: str | None
    tags: list[str]
    impact: int | None
    urgency: int | None
    opened_at: datetime
    acknowledged_at: datetime | None
    resolved_at: datetime | None
    closed_at: datetime | None
    resolution_code: str | None
    resolution_note: str | None
    reopen_count: int
    late_s: int | None
    recurrence_of: int | None
    released_from: int | None
    merged_into: int | None
    split_from: int | None
    on_hold: OnHoldOut | None
    sla: SlaOut | None
    links: list[PastLinkOut]


class TicketPageOut(Out):
    items: list[TicketOut]
    next: str | None


class EventOut(Out):
    """One change: what, when, by whom, following from which other event."""

    id: int
    at: datetime
    recorded_at: datetime
    kind: str = Field(examples=["TicketMoved"])
    actor: str
    cause_id: int | None
    data: dict[str, Any]


class EventPageOut(Out):
    items: list[EventOut]
    next: str | None


class TicketIn(In):
    """A ticket opened by hand."""

    title: Line = Field(examples=["Checkout page is blank"])
    description: Prose = ""
    priority: PriorityIn | None = Field(
        None, description="Without it, what follows from impact and urgency, else P3.", examples=["P2"]
    )
    service: Word | None = None
    assignee: Name | None = None
    team: Name | None = Field(None, description="Without it, that of the declared service.")
    tags: list[Word] = Field(default_factory=list, max_length=200, examples=[["database"]])
    impact: Step | None = None
    urgency: Step | None = None


class TicketPatchIn(In):
    """What to change. Edits are made first, then the move; both or neither."""

    status: str | None = Field(None, description="IN_PROGRESS, RESOLVED or CLOSED.", examples=["IN_PROGRESS"])
    assignee: Name | None = None
    team: Name | None = None
    title: Line | None = None
    description: Prose | None = None
    tags: list[Word] | None = Field(None, max_length=200, description="All of them.", examples=[["database"]])
    impact: Step | None = None
    urgency: Step | None = None
    resolution_code: Name | None = Field(
        None, description="With a move to RESOLVED: of what kind that is.", examples=["fixed"]
    )
    resolution_note: Reason | None = Field(None, description="With a move to RESOLVED: how it came about.")


class PriorityPatchIn(In):
    priority: PriorityIn


class ReopenIn(In):
    reason: Reason = Field(examples=["It is back after the deploy."])
    assignee: Name | None = Field(None, description="Who takes it up; the caller by default.")


class ProblemOut(Out):
    """RFC 9457 problem document."""

    type: str = Field(examples=["urn:tocsin:problem:invalid"])
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = Field(None, description="Each with `detail` and `pointer`.")
    used_by: list[dict[str, str]] | None = Field(
        None, description="Of `in-use`: the first that name it, each with `kind` and `name`."
    )
    used_by_count: int | None = Field(None, description="Of `in-use`: how many name it.")


class IngestedOut(Out):
    """What became of a batch."""

    accepted: int
    rejected: int
    errors: list[dict[str, Any]] = Field(description="Of the first 100 rejected records: `index`, `field`, `detail`.")
    first_id: int | None
    last_id: int | None
