"""Silences as they go in and out over HTTP."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from tocsin.alerts.silence_checks import Draft
from tocsin.web.rule_schemas import MAX_CONDITION_CHARS
from tocsin.web.schemas import AlertOut, In, Moment, Name, Out, Reason, no_nul

_Rule = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(no_nul)]
_Zone = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(no_nul)]
_Matcher = Annotated[str, StringConstraints(max_length=MAX_CONDITION_CHARS), AfterValidator(no_nul)]


class _WhenIn(In):
    matcher: _Matcher = Field(
        description="Which records, in the filter language, as in a rule's condition.",
        examples=["service:payments @host:db1"],
    )
    starts_at: Moment | None = Field(None, description="Now by default; of a recurrence, today at midnight.")
    ends_at: Moment | None = Field(None, description="When it ends. Or say `duration_s`.")
    duration_s: int | None = Field(
        None, description="How long it lasts; with a `recurrence`, each of its occurrences.", examples=[7200]
    )
    recurrence: _Rule | None = Field(
        None,
        description="When it begins again and again: an RFC 5545 rule with FREQ=DAILY, WEEKLY or MONTHLY, INTERVAL,"
        " BYDAY, BYMONTHDAY, BYHOUR, BYMINUTE, COUNT, UNTIL.",
        examples=["FREQ=WEEKLY;BYDAY=SU;BYHOUR=2"],
    )
    time_zone: _Zone = Field("UTC", description="In which the recurrence is meant (IANA).", examples=["Europe/Lisbon"])
    until: Moment | None = Field(None, description="When the recurrence ends.")


class SilenceIn(_WhenIn):
    """A new silence, or with a `recurrence` a maintenance window."""

    owner: Name | None = Field(None, description="Who answers for it; whoever makes it by default.")
    reason: Reason = Field(examples=["disk replacement, CHG-1042"])
    break_factor: float | None = Field(
        None,
        description="It breaks when more records than so many times the usual are hidden within five minutes. Usual is"
        " the hour before it is made, at least one a minute.",
        examples=[10],
    )

    def draft(self, actor: str) -> Draft:
        """What is meant; its fields are checked when it is saved."""
        return Draft(
            matcher=self.matcher,
            owner=self.owner or actor,
            reason=self.reason,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            duration_s=self.duration_s,
            recurrence=self.recurrence,
            time_zone=self.time_zone,
            until=self.until,
            break_factor=self.break_factor,
        )


class SilencePreviewIn(_WhenIn):
    """A silence that is to be looked at first; without an end, only what its matcher covers."""

    def draft(self) -> Draft:
        """What is meant."""
        return Draft(owner="", reason="", **self.model_dump())


class SilencePatchIn(In):
    """What to change. A field that is absent stays."""

    ends_at: Moment | None = Field(None, description="Extend or shorten it; of a recurrence, when all of it is over.")
    reason: Reason | None = None
    owner: Name | None = None


class HiddenOut(Out):
    """What it has hidden so far."""

    records: int = Field(description="Verdicts `suppressed`: a record that two rules match counts twice.")
    alerts: int = Field(description="Alerts that such records were counted on.")
    would_be_p1: int = Field(
        description="Of these, alerts that began silenced and are P1, by their rule or by how many records they have."
    )
    last_at: datetime | None = Field(description="When the newest of the records came in.")


class OccurrenceOut(Out):
    starts_at: datetime
    ends_at: datetime


class SilenceOut(Out):
    """A silence. `version` is also its ETag; every change makes a new one."""

    id: int
    version: int
    applied_as: str | None = Field(description="Its name in the file that it came from.", examples=["weekly-vacuum"])
    state: str = Field(description="`scheduled`, `active`, `broken` or `expired`.", examples=["active"])
    matcher: str
    owner: str
    reason: str
    starts_at: datetime
    ends_at: datetime = Field(description="Of a recurrence: when it is over as a whole.")
    recurrence: str | None
    duration_s: int | None = Field(description="Of an occurrence; null when it doesn't recur.")
    time_zone: str
    next_occurrences: list[OccurrenceOut] = Field(description="The present one, if there is one, and up to four more.")
    break_factor: float | None
    baseline_per_min: float | None = Field(description="What was usual when it was made: records a minute.")
    broken_at: datetime | None
    hidden: HiddenOut
    warnings: list[str] = Field(examples=[[]])
    created_at: datetime
    created_by: str = Field(examples=["local:admin"])
    updated_at: datetime
    updated_by: str


class SilencePageOut(Out):
    items: list[SilenceOut]
    next: str | None


class SilencePreviewOut(Out):
    """What a silence would do."""

    records_last_hour: int = Field(description="Records of that event time that it covers and any rule matches.")
    records_last_day: int
    partial: bool = Field(description="There may be more records: counting took too long.")
    alerts: list[AlertOut] = Field(description="Open alerts whose newest record it covers, newest first.")
    alerts_unseen: int = Field(description="Open alerts beyond the newest 200, or whose newest record can't be read.")
    next_occurrences: list[OccurrenceOut] = Field(description="Up to ten.")
    warnings: list[str]
