"""Routes, escalation policies, notification rules and calls as they go in and out over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from tocsin.notify.paging import Call, check_way
from tocsin.notify.preview_service import Preview
from tocsin.oncall.escalation import DEFAULT_DELAY_S
from tocsin.oncall.escalation_store import RunRow
from tocsin.oncall.item_store import Item
from tocsin.web.schemas import In, Name, Out, PriorityIn, QueryText, Reason, Word

_Target = Annotated[Word, StringConstraints(max_length=110)]
_TARGETS = ["schedule:primary", "user:ana"]
RoutableKind = Literal["opened", "reopened", "acknowledged", "updated", "resolved", "closed", "sla", "notice"]
Priorities = Literal["P1", "P2", "P3", "P4", "P5"]


class EscalationStepIn(In):
    """Who is called, and how long an answer is waited for before the next step."""

    targets: list[_Target] = Field(
        min_length=1,
        max_length=20,
        description="`user:`, `schedule:`, `team:` or `channel:` NAME.",
        examples=[_TARGETS],
    )
    delay_s: int = Field(DEFAULT_DELAY_S, description="10 seconds to 7 days.", examples=[300])
    round_robin: bool = Field(
        False, description="One of the targets at a time, in turn over all tickets; of a team, one of its people."
    )


class EscalationPolicyIn(In):
    """All of what an escalation policy is; what is left out has its default."""

    description: str = Field("", max_length=2000)
    steps: list[EscalationStepIn] = Field(min_length=1, max_length=20)
    repeats: int = Field(0, description="How often all steps are taken once more; 0 to 50.", examples=[2])
    fallback: _Target | None = Field(
        None,
        description="A user, a team or a channel that is called where a step finds nobody.",
        examples=["channel:ops"],
    )
    ack_timeout_s: dict[Priorities, int] = Field(
        default_factory=dict,
        description="After so long without activity an acknowledged ticket calls again.",
        examples=[{"P1": 1800}],
    )


class _KeptOut(Out):
    name: str = Field(examples=["payments"])
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str = Field(examples=["local:admin"])


class EscalationStepOut(Out):
    targets: list[str] = Field(examples=[_TARGETS])
    delay_s: int
    round_robin: bool


class EscalationPolicyOut(_KeptOut):
    """An escalation policy. `version` is also its ETag; every change makes a new one."""

    description: str
    steps: list[EscalationStepOut]
    repeats: int
    fallback: str | None
    ack_timeout_s: dict[str, int]


class EscalationPolicyPageOut(Out):
    items: list[EscalationPolicyOut]
    next: str | None


class PagingVersionOut(Out):
    """What one said from an instant on; `definition` is null where it was removed."""

    version: int
    at: datetime
    actor: str
    definition: dict[str, Any] | None


class PagingVersionPageOut(Out):
    items: list[PagingVersionOut]
    next: str | None


class RouteIn(In):
    """All of what a route is; what is left out has its default. It matches what meets all that is said."""

    model_config = ConfigDict(populate_by_name=True)

    description: str = Field("", max_length=2000)
    query: QueryText = Field("", description="Which tickets, as `GET /tickets?q=` takes it; empty: all.")
    kinds: list[RoutableKind] = Field(
        default=["opened", "reopened", "acknowledged", "resolved"],
        max_length=20,
        description="What is to have happened.",
        examples=[["opened", "reopened", "resolved"]],
    )
    team: Name | None = Field(None, description="Only tickets of this team.")
    calendar: Name | None = Field(None, description="A calendar (`/sla/calendars`) that `when` goes by.")
    when: Literal["always", "within", "outside"] = "always"
    channels: list[Name] = Field(default_factory=list, max_length=20, examples=[["ops-chat"]])
    escalation_policy: Name | None = Field(None, description="Begins for what opened, reopened, or is late.")
    schedule: Name | None = Field(None, description="Whoever is on call there is called, once.")
    page_team: Name | None = Field(None, description="All of this team are called, once.")
    goes_on: bool = Field(False, alias="continue", description="Whether later routes are tried as well.")
    enabled: bool = True
    place: int | None = Field(None, ge=1, le=10_000, description="Where it stands; a new one last by default.")

    def definition(self) -> dict[str, Any]:
        """As JSON values."""
        return self.model_dump(exclude={"place"})


class RouteOut(_KeptOut):
    """A route. `place` says when it is tried, from 1 on."""

    model_config = ConfigDict(populate_by_name=True, from_attributes=True)

    place: int
    description: str
    query: str = Field(examples=["service:payments priority:<=P2"])
    kinds: list[str]
    team: str | None
    calendar: str | None
    when: str
    channels: list[str]
    escalation_policy: str | None
    schedule: str | None
    page_team: str | None
    goes_on: bool = Field(alias="continue")
    enabled: bool


class RouteListOut(Out):
    """All routes, in the order they are tried."""

    items: list[RouteOut]
    next: None = None


class RouteOrderIn(In):
    names: list[Name] = Field(max_length=10_000, description="Each route once.", examples=[["payments", "rest"]])


class DescribedTicketIn(In):
    """A ticket that is only described."""

    service: Word | None = None
    priority: PriorityIn | None = None
    title: str = Field("", max_length=200)
    description: str = Field("", max_length=2000)
    team: Name | None = None
    tags: list[Word] = Field(default_factory=list, max_length=200)
    assignee: Name | None = None
    opened_by: Word | None = Field(None, examples=["rule:critical-logs"])
    sla: str | None = Field(None, max_length=20, examples=["at_risk"])


class RoutePreviewIn(In):
    """A ticket that there is, or one that is described."""

    ticket_id: int | None = Field(None, ge=1, le=2**53)
    ticket: DescribedTicketIn | None = None
    kind: RoutableKind = Field("opened", description="What is to have happened.")


class TriedOut(Out):
    route: str
    matched: bool
    why: str = Field(examples=["the ticket does not meet priority:P1"])
    error: str | None


class RoutedChannelOut(Out):
    channel: str
    route: str | None = Field(description="Null: no route is about it.")


class StepPreviewOut(Out):
    policy: str
    round: int
    step: int
    at: datetime
    people: list[str]
    channels: list[str]
    fallback: bool = Field(description="Nobody of the step would be there.")
    absent: list[str] = Field(
        description="Why some of its targets have nobody.", examples=[["nobody is on call in schedule primary"]]
    )


class CallOut(Out):
    """One call: by which way, when (null: at once), by which of the person's rules; `otherwise` are further ways."""

    method_id: int
    method: str = Field(examples=["sms"])
    due_at: datetime | None
    rule: str = Field(examples=["default rule 1 for P2: at once by the loudest way"])
    otherwise: list[int]


class CallPreviewOut(Out):
    person: str
    at: datetime
    why: str
    calls: list[CallOut]
    warning: str | None


class RoutePreviewOut(Out):
    """What would happen now, if nobody answered. `problems` is what would go wrong."""

    tried: list[TriedOut]
    channels: list[RoutedChannelOut]
    steps: list[StepPreviewOut]
    people: list[CallPreviewOut]
    problems: list[str]


class NotificationRuleIn(In):
    """One call, so many seconds after the page."""

    after_s: int = Field(0, description="0 to a day.", examples=[300])
    method: Annotated[Name, AfterValidator(check_way)] = Field(
        "loudest", description="`loudest`, `other` than before, a kind such as `email`, or the number of a method."
    )
    working_hours: bool = Field(False, description="Not before they work.")
    calendar: Name | None = Field(None, description="Whose hours; without it 9 to 17, Monday to Friday.")


class NotificationRulesIn(In):
    """How somebody wants to be called, by the ticket's priority; one that is left out has its default."""

    rules: dict[Priorities, list[NotificationRuleIn]] = Field(
        examples=[{"P1": [{"after_s": 0, "method": "voice"}, {"after_s": 300, "method": "other"}]}]
    )

    def definition(self) -> dict[str, Any]:
        """As JSON values."""
        found: dict[str, Any] = self.model_dump()["rules"]
        return found


class NotificationRuleOut(Out):
    after_s: int
    method: str
    working_hours: bool
    calendar: str | None


class NotificationRulesOut(Out):
    """How somebody is called. `version` is 0, and `own` empty, for who never said otherwise."""

    person: str
    version: int
    rules: dict[str, list[NotificationRuleOut]]
    own: list[str] = Field(description="The priorities that they said something about.", examples=[["P1"]])


class HandBackIn(In):
    reason: Reason = Field(examples=["My shift is over."])


class PageIn(In):
    """Whom to call: one of the five."""

    user: Name | None = None
    schedule: Name | None = None
    team: Name | None = None
    channel: Name | None = None
    policy: Name | None = Field(None, description="An escalation policy that is to begin.")
    message: str = Field("", max_length=2000, examples=["Please look at the database."])


class PagedOut(Out):
    """Who was called, and whether that reaches anybody."""

    called: list[str] = Field(examples=[["ana"]])
    reached: bool = Field(description="Whether a message is on its way to anybody who was asked for.")
    problems: list[str] = Field(
        description="What keeps it from people.", examples=[["rui has no verified way to be reached"]]
    )


class EscalationRunOut(Out):
    """A run of an escalation policy. `next_at`: when its `step` of `round` is taken, or silence is noticed. A `step`
    behind the last one: all were taken, and the last is waited for."""

    id: int
    policy: str
    policy_version: int
    route: str | None = Field(description="Null: somebody began it by hand.")
    state: str = Field(description="`calling`, `waiting` (somebody has it), `spent` or `ended`.", examples=["calling"])
    round: int
    step: int
    next_at: datetime | None
    paused: list[str] = Field(description="`hold`, `silence`.", examples=[[]])
    began_at: datetime
    ended_at: datetime | None


class EscalationRunsOut(Out):
    items: list[EscalationRunOut]
    next: None = None


def kept(item: Item) -> dict[str, Any]:
    """What is shown of everything that is kept."""
    return {name: getattr(item, name) for name in ("name", "version", "created_at", "updated_at", "updated_by")}


def policy_out(item: Item) -> EscalationPolicyOut:
    return EscalationPolicyOut(**kept(item), **item.definition)


def route_out(item: Item) -> RouteOut:
    return RouteOut(**kept(item), place=item.place, **item.definition)


def run_out(row: RunRow) -> EscalationRunOut:
    same = ("id", "policy", "policy_version", "route", "began_at", "ended_at")
    run = {name: getattr(row.run, name) for name in ("round", "step", "next_at")}
    return EscalationRunOut(
        **{name: getattr(row, name) for name in same}, **run, state=row.run.state.value, paused=list(row.run.paused)
    )


def call_out(call: Call) -> CallOut:
    return CallOut(
        method_id=call.method_id,
        method=call.method,
        due_at=call.due_at,
        rule=call.rule,
        otherwise=list(call.otherwise),
    )


def preview_out(found: Preview) -> RoutePreviewOut:
    return RoutePreviewOut(
        tried=[
            TriedOut(route=one.route.name, matched=one.matched, why=one.why, error=one.error)
            for one in found.decision.tried
        ],
        channels=[RoutedChannelOut(channel=name, route=route) for name, route in found.decision.channels.items()],
        steps=[StepPreviewOut.model_validate(step) for step in found.steps],
        people=[
            CallPreviewOut(
                person=one.person,
                at=one.at,
                why=one.why,
                calls=[call_out(call) for call in one.calls.calls],
                warning=one.calls.warning,
            )
            for one in found.calls
        ],
        problems=found.problems,
    )
