"""Drills, the explanation of calls and the report about paging as they go in and out over HTTP."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from tocsin.notify.drill_store import DrillRun
from tocsin.notify.drilling import DEFAULT_WITHIN_S, Step
from tocsin.oncall.item_store import Item
from tocsin.proof.called import Called, EverybodyTold, Sent, Told
from tocsin.proof.paging_costs import Cost
from tocsin.proof.paging_report import PagingReport
from tocsin.web.schemas import In, InstantIn, Out, Reckoned, Word

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class DrillIn(In):
    """When a drill is run: every so many seconds, or at a time of day."""

    service: Word = Field(examples=["payments"])
    every_s: int | None = Field(None, description="600 seconds to 366 days.", examples=[604_800])
    at: str | None = Field(None, max_length=5, examples=["09:30"])
    time_zone: str = Field("UTC", max_length=100, examples=["Europe/Lisbon"])
    weekdays: list[Day] = Field(default_factory=list, max_length=7, description="With `at`; all by default.")
    within_s: int = Field(DEFAULT_WITHIN_S, description="Missed unless it is delivered within 5 to 3600 seconds.")
    enabled: bool = True


class DrillOut(Out):
    """A scheduled drill. `version` is also its ETag."""

    name: str = Field(examples=["payments-weekly"])
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str
    service: str
    every_s: int | None
    at: str | None
    time_zone: str
    weekdays: list[str]
    within_s: int
    enabled: bool
    next_at: datetime | None = Field(description="When it is run next.")


class DrillPageOut(Out):
    items: list[DrillOut]
    next: str | None


class DrillRunIn(In):
    """A drill that is run now."""

    service: Word = Field(examples=["payments"])
    within_s: int = Field(DEFAULT_WITHIN_S, description="5 to 3600 seconds.")


class DrillStepOut(Out):
    step: str = Field(description="`sent`, `ticket`, `delivered`, `acknowledged`, `resolved`.", examples=["delivered"])
    at: datetime
    after_s: float = Field(description="Since the drill began.")


class DrillRunOut(Out):
    """A run of a drill, with the time of each step that it reached."""

    id: int
    name: str | None = Field(description="Of its schedule; null: by hand.")
    service: str
    within_s: int
    state: str = Field(description="`running`, `passed` or `missed`.", examples=["passed"])
    began_at: datetime
    ended_at: datetime | None
    ticket_id: int | None
    via: str | None = Field(description="The channel whose answer counted.", examples=["ops-chat"])
    steps: list[DrillStepOut]


class DrillRunPageOut(Out):
    items: list[DrillRunOut]
    next: str | None


class AttemptToldOut(Out):
    at: datetime
    channel: str
    outcome: str = Field(examples=["delivered"])
    answer: str = Field(examples=["202 Accepted"])
    took_ms: int | None


class DeliveryToldOut(Out):
    id: int
    method_id: int | None
    channel: str | None
    rule: str | None = Field(description="The rule of the person that asked for it.")
    state: str = Field(examples=["delivered"])
    due_at: datetime
    ended_at: datetime | None
    answer: str | None
    attempts: list[AttemptToldOut]


class CallToldOut(Out):
    at: datetime
    why: str = Field(examples=["step 1 of escalation policy payments, round 1: on call in schedule primary"])
    route: str | None
    policy: str | None
    round: int | None
    step: int | None
    deliveries: list[DeliveryToldOut]


class RoutedOut(Out):
    about: str = Field(examples=["opened"])
    routes: list[str]
    channels: list[str]
    policies: list[str]


class PersonToldOut(Out):
    """Whether somebody was called, by which route and rule, and what each provider answered."""

    person: str
    paged: bool
    heard: bool = Field(description="Whether any message to them was taken.")
    summary: str
    calls: list[CallToldOut]
    why_not: list[str]
    warnings: list[str]


class PagedExplanationOut(PersonToldOut):
    """Whether somebody was called about a ticket, by which route and rule, and what each provider answered."""

    ticket_id: int
    routes: list[RoutedOut]


class ChannelToldOut(DeliveryToldOut):
    """What a channel was told of."""

    kind: str = Field(examples=["opened"])
    why: str | None = Field(examples=["route payments"])
    route: str | None = Field(description="`default`: no route is about it; null: an escalation policy or a person.")


class EverybodyToldOut(Out):
    """Of everybody whom a ticket concerns whether they were called; and what channels were told."""

    ticket_id: int
    summary: str
    people: list[PersonToldOut] = Field(description="Who was called, and who is named in its escalation policies.")
    channels: list[ChannelToldOut]
    why_nobody: list[str] = Field(description="Why nobody is concerned, where that is so.")
    warnings: list[str]
    routes: list[RoutedOut]


class PagingReportIn(Reckoned):
    since: InstantIn | None = Field(None, description="Called from then on; 30 days by default.", examples=["30d"])
    until: InstantIn | None = Field(None, description="Called before; now by default.")
    by: Literal["person", "service", "team", "rule"] = "person"


class CostOut(Out):
    """What being paged cost. Nights are from 22 to 7 by the clock on each person's wall."""

    key: str | None
    pages: int
    people: int
    tickets: int
    night_pages: int
    nights: int = Field(description="Nights in which somebody was called, one for each person.")
    repeats: int = Field(description="Calls of somebody for the same ticket after the first.")
    over: int = Field(description="Of the tickets, how many are resolved.")
    without_action: int = Field(
        description="Acknowledged, and resolved within 10 minutes of that without anything done."
    )
    by_themselves: int = Field(description="Resolved before anybody acknowledged them.")
    share_without_action: float | None = Field(description="Of those that are over, how many needed nobody.")


class PagingReportOut(Out):
    since: datetime
    until: datetime
    by: str
    total: CostOut
    items: list[CostOut]


def drill_out(item: Item, next_at: datetime | None) -> DrillOut:
    kept = {name: getattr(item, name) for name in ("name", "version", "created_at", "updated_at", "updated_by")}
    return DrillOut(**kept, **item.definition, next_at=next_at)


def run_of_drill_out(run: DrillRun) -> DrillRunOut:
    same = {name: getattr(run, name) for name in DrillRunOut.model_fields if name != "steps"}
    reached = {step: datetime.fromisoformat(run.steps[step.value]) for step in Step if step.value in run.steps}
    steps = [
        DrillStepOut(step=step.value, at=at, after_s=(at - run.began_at).total_seconds())
        for step, at in reached.items()
    ]
    return DrillRunOut(**same, steps=steps)


def explanation_out(told: Told) -> PagedExplanationOut:
    return PagedExplanationOut(ticket_id=told.ticket_id, **_person_fields(told), routes=_routes_out(told.routes))


def everybody_out(told: EverybodyTold) -> EverybodyToldOut:
    same = ("ticket_id", "summary", "why_nobody", "warnings")
    return EverybodyToldOut(
        **{name: getattr(told, name) for name in same},
        people=[PersonToldOut(**_person_fields(one)) for one in told.people],
        channels=[_channel_told(one) for one in told.channels],
        routes=_routes_out(told.routes),
    )


def _person_fields(told: Told) -> dict[str, Any]:
    same = ("person", "paged", "heard", "summary", "why_not", "warnings")
    return {**{name: getattr(told, name) for name in same}, "calls": [_call_told(call) for call in told.calls]}


def _routes_out(routes: Sequence[Mapping[str, Any]]) -> list[RoutedOut]:
    return [RoutedOut(**{name: one[name] for name in RoutedOut.model_fields}) for one in routes]


def _delivery_fields(sent: Sent) -> dict[str, Any]:
    same = ("id", "method_id", "channel", "due_at", "ended_at", "answer")
    return {
        **{name: getattr(sent.delivery, name) for name in same},
        "rule": sent.delivery.why.get("rule"),
        "state": sent.delivery.state.value,
        "attempts": [AttemptToldOut.model_validate(attempt) for attempt in sent.attempts],
    }


def _channel_told(sent: Sent) -> ChannelToldOut:
    why = sent.delivery.why
    kind = sent.delivery.kind.value
    return ChannelToldOut(**_delivery_fields(sent), kind=kind, why=why.get("why"), route=why.get("route"))


def _call_told(call: Called) -> CallToldOut:
    deliveries = [DeliveryToldOut(**_delivery_fields(sent)) for sent in call.sent]
    same = {name: getattr(call, name) for name in ("at", "why", "route", "policy", "round", "step")}
    return CallToldOut(**same, deliveries=deliveries)


def paging_report_out(found: PagingReport) -> PagingReportOut:
    return PagingReportOut(
        since=found.since,
        until=found.until,
        by=found.by,
        total=_cost_out(found.total),
        items=[_cost_out(cost) for cost in found.groups],
    )


def _cost_out(cost: Cost) -> CostOut:
    return CostOut.model_validate(cost)
