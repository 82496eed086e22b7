"""SLA policies, calendars and clocks as they go in and out over HTTP."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from tocsin.kit.priorities import Priority
from tocsin.tickets.policies import DEFAULT_AT_RISK_SHARE, Policy
from tocsin.tickets.sla import ACKNOWLEDGE, RESOLVE, Clock
from tocsin.tickets.sla_service import Standing
from tocsin.web.schemas import (
    ClockOut,
    In,
    Moment,
    Out,
    PriorityIn,
    Prose,
    Reason,
    SlaOut,
    Word,
    duration_of,
    moment_of,
    no_nul,
)

_Text = Annotated[str, StringConstraints(max_length=2000), AfterValidator(no_nul)]
_Short = Annotated[str, StringConstraints(max_length=100), AfterValidator(no_nul)]
_Spans = list[list[_Short]]
_HOURS: Final = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}


def _until(value: object) -> datetime | timedelta:
    text = str(value).strip()
    ahead = None if text.startswith("-") else duration_of(text)
    return moment_of(text) if ahead is None else ahead


Until = Annotated[datetime | timedelta, BeforeValidator(_until, json_schema_input_type=str)]


class HolidaysIn(In):
    """Whose public holidays are days off."""

    country: _Short = Field(description="ISO 3166.", examples=["PT"])
    subdivision: _Short | None = Field(None, description="ISO 3166-2, without the country.", examples=["20"])


class CalendarDefinitionIn(In):
    """When somebody works, by the clock on the wall of a time zone."""

    time_zone: _Short = Field(description="Of the IANA database.", examples=["Europe/Lisbon"])
    hours: dict[str, _Spans] = Field(
        description="Spans of `mon` to `sun`, as many as there are; one that ends before it begins ends the next day.",
        examples=[_HOURS],
    )
    holidays: HolidaysIn | None = None
    days: dict[str, _Spans] = Field(
        default_factory=dict,
        description="Days of one's own by date, in place of weekday and holiday; without spans, a day off.",
        examples=[{"2026-12-24": [["09:00", "13:00"]], "2026-12-31": []}],
    )

    def definition(self) -> dict[str, Any]:
        """As JSON values."""
        return self.model_dump(include=set(CalendarDefinitionIn.model_fields))


class CalendarIn(CalendarDefinitionIn):
    """A new calendar."""

    name: Word = Field(description="a-z, 0-9, `.`, `_` and `-`.", examples=["lisbon-office"])


class _KeptOut(Out):
    name: str = Field(examples=["lisbon-office"])
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str = Field(examples=["local:admin"])


class HolidaysOut(Out):
    country: str
    subdivision: str | None


class CalendarOut(_KeptOut):
    """A calendar. `version` is also its ETag; every change makes a new one."""

    time_zone: str
    hours: dict[str, list[list[str]]]
    holidays: HolidaysOut | None
    days: dict[str, list[list[str]]]


class CalendarPageOut(Out):
    items: list[CalendarOut]
    next: str | None


class SlaVersionOut(Out):
    """What a policy or a calendar said from an instant on; `definition` is null where it was removed."""

    version: int
    at: datetime
    actor: str
    definition: dict[str, Any] | None


class SlaVersionPageOut(Out):
    items: list[SlaVersionOut]
    next: str | None


class PolicyDefinitionIn(In):
    """Which tickets, and within how much working time. A list that is empty asks for nothing."""

    acknowledge_s: int | None = Field(None, description="1 second to 366 days.", examples=[900])
    resolve_s: int | None = Field(None, description="1 second to 366 days.", examples=[14_400])
    priorities: list[PriorityIn] = Field(default_factory=list, examples=[["P1", "P2"]])
    services: list[Word] = Field(default_factory=list, description="In any case.", examples=[["payments"]])
    teams: list[Word] = Field(default_factory=list, description="Of the declared service.", examples=[["shop"]])
    labels: dict[_Text, _Text] = Field(
        default_factory=dict, description="That the rule which opened the ticket has.", examples=[{"tier": "gold"}]
    )
    calendar: Word | None = Field(None, description="By which time is reckoned; without it, around the clock.")
    at_risk_share: float | None = Field(
        None,
        description=f"At risk once such a share of a target has passed; {DEFAULT_AT_RISK_SHARE} unless one is given.",
    )
    at_risk_left_s: int | None = Field(None, description="Or: when so much is left of a target.", examples=[3600])
    description: Prose = ""
    require_resolution: bool = Field(
        False, description="Whoever resolves such a ticket gives `resolution_code` and `resolution_note`."
    )

    def policy(self, name: str) -> Policy:
        """The policy that is meant; it is checked when it is saved."""
        share = self.at_risk_share
        if share is None and self.at_risk_left_s is None:
            share = DEFAULT_AT_RISK_SHARE
        return Policy(
            name=name,
            version=0,
            acknowledge_s=self.acknowledge_s,
            resolve_s=self.resolve_s,
            priorities=tuple(sorted(set(self.priorities))),
            services=tuple(sorted(set(self.services))),
            teams=tuple(sorted(set(self.teams))),
            labels=tuple(sorted(self.labels.items())),
            calendar=self.calendar,
            at_risk_share=share,
            at_risk_left_s=self.at_risk_left_s,
            description=self.description,
            require_resolution=self.require_resolution,
        )


class PolicyIn(PolicyDefinitionIn):
    """A new policy."""

    name: Word = Field(description="a-z, 0-9, `.`, `_` and `-`.", examples=["payments-urgent"])


class PolicyOut(_KeptOut):
    """An SLA policy. `version` is also its ETag; every change makes a new one."""

    acknowledge_s: int | None
    resolve_s: int | None
    priorities: list[str] = Field(examples=[[Priority.P1.name]])
    services: list[str]
    teams: list[str]
    labels: dict[str, str]
    calendar: str | None
    at_risk_share: float | None
    at_risk_left_s: int | None
    description: str
    require_resolution: bool = False


class PolicyPageOut(Out):
    items: list[PolicyOut]
    next: str | None


class PauseIn(In):
    """A stretch in which a clock stands still."""

    start: Moment
    end: Moment | None = Field(None, description="None: it goes on.")


class TrialIn(In):
    """A calendar to reckon with, which is not kept, and either a target or an end."""

    calendar: CalendarDefinitionIn
    start: Moment = Field(examples=["2026-11-24T02:21:00Z"])
    target_s: int | None = Field(None, ge=1, le=366 * 86_400, examples=[14_400])
    end: Moment | None = None
    pauses: list[PauseIn] = Field(default_factory=list, max_length=1000)


class SpanOut(Out):
    start: datetime
    end: datetime


class TrialOut(Out):
    """What a calendar says: of a target when it is due, of an end how much working time there was."""

    due_at: datetime | None = Field(description="Null without a target, or when a pause without an end comes before.")
    elapsed_s: float | None = Field(description="Null without an end.")
    working: list[SpanOut] = Field(description="The first stretches of working time from `start` on.")


class HoldIn(In):
    """Why a ticket waits, and until when."""

    reason: Reason = Field(examples=["The vendor looks into it."])
    until: Until | None = Field(
        None,
        description="A time to come, or how long: `4h`, `2d`. Without it, until the ticket is resumed.",
        examples=["2026-11-25T09:00:00Z"],
    )


class WhyIn(In):
    """Why, for whoever reads the timeline."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, max_length=20_000), AfterValidator(no_nul)] = ""


def sla_out(standing: Standing) -> SlaOut:
    """A ticket's clocks as the API shows them."""
    one = standing.assigned
    return SlaOut(
        policy=one.policy,
        policy_version=one.policy_version,
        calendar=one.calendar,
        calendar_version=one.calendar_version,
        state=standing.state,
        acknowledge=_clock_out(standing.clocks, ACKNOWLEDGE),
        resolve=_clock_out(standing.clocks, RESOLVE),
    )


def _clock_out(clocks: Mapping[str, Clock], name: str) -> ClockOut | None:
    clock = clocks.get(name)
    if clock is None:
        return None
    return ClockOut(
        state=clock.state.value,
        due_at=clock.due_at,
        at_risk_at=clock.at_risk_at,
        elapsed_s=_seconds(clock.elapsed),
        remaining_s=_seconds(clock.remaining),
        paused_s=_seconds(clock.paused),
        breached_at=clock.breached_at,
    )


def _seconds(duration: timedelta) -> float:
    return duration.total_seconds()
