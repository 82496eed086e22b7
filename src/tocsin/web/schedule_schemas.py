"""Schedules as they go in and out over HTTP."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, StringConstraints

from tocsin.oncall.schedules import FixedShift, Shift
from tocsin.oncall.seeing import PersonShift, Seen
from tocsin.web.schemas import In, Moment, Out, Prose, QueryIn, Reckoned, no_nul

_Short = Annotated[str, StringConstraints(max_length=100), AfterValidator(no_nul)]
_Who = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(no_nul)]
_Why = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000), AfterValidator(no_nul)]
_WEEKDAYS: Final = "Names in any case (`mon`, `monday`, `MO`) or ranges (`mon-fri`)."


class RotationIn(In):
    """Turns. Turn 0 begins at `start`; there are turns before it too. Turn n is that of group n modulo their number."""

    frequency: _Short = Field(
        description="`hourly`, `daily`, `weekly`, `monthly` or `custom`. A turn is `interval` of these. Hand-offs keep"
        " the time of day on the clock of the zone; one at a time that is skipped is at the first instant after the"
        " gap, one at a time that comes twice at the first. A monthly hand-off is on the day of `start`, or on the last"
        " of a shorter month.",
        examples=["weekly"],
    )
    interval: int = Field(1, description="1 to 1000.")
    start: _Short = Field(
        description="A hand-off, as the clock of the zone shows it: `2026-11-23T09:00`, or a date for midnight. With an"
        " offset or `Z` it is that instant.",
        examples=["2026-11-23T09:00"],
    )
    hours: _Short = Field(
        "wall",
        description="Of an hourly rotation: `wall`, hours on the clock (24 are a day, also of 23 or 25 hours; an hour"
        " that comes twice is one); or `elapsed`, hours that pass.",
    )
    weekdays: list[_Short] = Field(
        default_factory=list,
        max_length=50,
        description=f"A day mask: nobody has the turn on other days. {_WEEKDAYS} A day begins at the hand-off's time."
        " A daily rotation counts masked days only; a weekly or monthly one then turns with calendar weeks or months.",
        examples=[["mon-fri"]],
    )
    week_start: _Short = Field("mon", description="With a day mask: on which day calendar weeks begin.")
    covers: _Short = Field(
        "first",
        description="With a day mask and an `interval` above 1, weekly or monthly: `first`, a turn is only the first of"
        " its weeks or months, as by FREQ, INTERVAL and BYDAY of RFC 5545; or `all`.",
    )
    length_s: int | None = Field(None, description="Of a custom rotation: seconds that pass, 900 or more.")
    handoffs: list[_Short] = Field(
        default_factory=list,
        description="Or of a custom rotation: the moments of a week at which the turn changes. The first at or after"
        " `start` begins turn 0.",
        examples=[["mon 09:00", "fri 17:00"]],
    )


class RestrictionIn(In):
    """All that is said must hold; what is left out holds always. Of several restrictions one must hold."""

    times: list[list[_Short]] = Field(
        default_factory=list,
        description="Spans, from and until; one that ends at or before its beginning ends on the next day, and belongs"
        " to the day it begins on. `until` is not in it.",
        examples=[[["20:00", "08:00"]]],
    )
    weekdays: list[_Short] = Field(default_factory=list, max_length=50, description=_WEEKDAYS)
    days_of_month: list[int | _Short] = Field(
        default_factory=list,
        description="1 to 31, or from -1 (the last) to -31; or ranges with both ends: `4:6`, `-7:-1`.",
        examples=[["-7:-1"]],
    )
    months: list[int | _Short] = Field(
        default_factory=list, description="1 to 12, names, or ranges: `jun:aug`.", examples=[["jun:aug"]]
    )
    years: list[int | _Short] = Field(default_factory=list, description="Or ranges: `2026:2028`.", examples=[[2026]])
    time_zone: _Short | None = Field(None, description="The layer's by default.")


class LayerIn(In):
    """Who takes turns, and when."""

    name: _Short = Field("", description="`layer-1`, `layer-2` ... by default.", examples=["primary"])
    priority: int = Field(
        0,
        ge=-1000,
        le=1000,
        description="Of the layers that have somebody at an instant those with the highest count, together.",
    )
    users: list[_Who | list[_Who]] = Field(
        description="Whose turns come one after the other: users, or lists of users who are on call together. Without a"
        " rotation all are on call together.",
        examples=[["ana", ["rui", "eva"]]],
    )
    rotation: RotationIn | None = None
    restrictions: list[RestrictionIn] = Field(default_factory=list)
    time_zone: _Short | None = Field(None, description="The schedule's by default.")
    starts_at: Moment | None = Field(None, description="Nobody has the turn before.")
    ends_at: Moment | None = Field(None, description="Nobody has the turn from then on.")


class ScheduleIn(In):
    """All of what a schedule is, but for its overrides."""

    description: Prose = ""
    time_zone: _Short = Field(description="Of the IANA database.", examples=["Europe/Lisbon"])
    layers: list[LayerIn] = Field(default_factory=list)
    coverage: list[RestrictionIn] = Field(
        default_factory=list, description="When somebody should be on call, else it is a gap; always by default."
    )

    def definition(self) -> dict[str, Any]:
        """As values of JSON's types, and instants."""
        return self.model_dump(include=set(ScheduleIn.model_fields))


class OverrideIn(In):
    """From `start` to `end`: `add` is on call as well; `remove` is not; or, with both, `add` is in the place of
    `remove` while that one is on call."""

    start: Moment = Field(examples=["2026-11-28T18:00:00Z"])
    end: Moment = Field(examples=["2026-11-28T22:00:00Z"])
    add: _Who | None = Field(None, examples=["rui"])
    remove: _Who | None = Field(None, examples=["ana"])


class OverrideWhyIn(OverrideIn):
    """A new override. What of it is past is left out."""

    reason: _Why = Field("", examples=["dentist"])


class FixedShiftIn(In):
    """A shift that is written down."""

    start: Moment
    end: Moment
    users: list[_Who] = Field(examples=[["rui"]])


class TemporaryIn(In):
    """From `start` to `end` these shifts take the place of all layers; what they leave empty is empty."""

    start: Moment = Field(examples=["2026-12-24T08:00:00Z"])
    end: Moment = Field(examples=["2026-12-27T08:00:00Z"])
    shifts: list[FixedShiftIn] = Field(default_factory=list)


class TemporaryWhyIn(TemporaryIn):
    """A new temporary schedule. What of it is past is left out."""

    reason: _Why = Field("", examples=["Christmas"])


class PartIn(In):
    """What one of two gives away."""

    user: _Who = Field(examples=["ana"])
    start: Moment = Field(examples=["2026-11-30T09:00:00Z"])
    end: Moment = Field(examples=["2026-12-07T09:00:00Z"])


class SwapIn(In):
    """Two people take each other's place: who gives `give` takes `take`, and the other way round."""

    give: PartIn
    take: PartIn
    reason: _Why = ""


class PastShiftIn(In):
    """What was. Without an end it goes on until `now`, and beyond if the schedule has the same person then."""

    user: _Who
    start: Moment
    end: Moment | None = None

    def shift(self, now: datetime) -> FixedShift:
        return FixedShift(self.start, now if self.end is None else min(self.end, now), (self.user,))


class TriedScheduleIn(ScheduleIn):
    """A schedule that is not kept, with overrides and temporary schedules. Its users need not exist."""

    overrides: list[OverrideIn] = Field(default_factory=list, description="In the order in which they were made.")
    temporary: list[TemporaryIn] = Field(default_factory=list)


class ScheduleTrialIn(In):
    """A schedule, and the window to look at: at most 400 days."""

    schedule: TriedScheduleIn
    since: Moment = Field(examples=["2026-11-30T00:00:00Z"])
    until: Moment = Field(examples=["2026-12-14T00:00:00Z"])
    join: bool = Field(False, description="Whether shifts of one person that touch are one, also over hand-offs.")
    now: Moment | None = Field(None, description="The schedule holds from then on; before it was as `history` says.")
    history: list[PastShiftIn] = Field(default_factory=list, max_length=1000)


class WindowIn(Reckoned):
    """Which part of a schedule to look at."""

    since: Moment | None = Field(None, description="Now by default.")
    until: Moment | None = Field(None, description="14 days after `since` by default; at most 400.")


class ShiftQueryIn(WindowIn):
    user: _Who | None = Field(None, description="Shifts of that person alone.")
    join: bool = Field(False, description="Whether shifts of one person that touch are one, also over hand-offs.")


class OverrideQueryIn(QueryIn):
    ends_after: Moment | None = Field(None, description="Now by default.")


class _CutOut(Out):
    start: datetime = Field(description="Within the window.")
    end: datetime = Field(description="Within the window; it is not in the shift.")
    whole_start: datetime | None = Field(description="When it really began; null: more than 400 days earlier.")
    whole_end: datetime | None = Field(description="When it really ends; null: more than 400 days later, or never.")
    truncated: bool = Field(description="Whether it goes on after the window's end.")


class ShiftOut(_CutOut):
    """A stretch in which the same people are on call. A hand-off ends it, also one to the same person."""

    users: list[str]
    layer: str | None = Field(description="Null where several layers count, or an override.")
    override_id: int | None = Field(description="The override or temporary schedule it comes from; tried, its place.")


class PersonShiftOut(_CutOut):
    """A stretch in which one person is on call, whoever else is."""

    user: str


class StretchOut(Out):
    start: datetime
    end: datetime


class ShiftsOut(Out):
    """A final schedule. `shifts` part the time; `people` has the same by person; `gaps` is when somebody should be on
    call and nobody is."""

    shifts: list[ShiftOut]
    people: list[PersonShiftOut]
    gaps: list[StretchOut]


class TriedOut(ShiftsOut):
    unknown_users: list[str] = Field(description="Whom the schedule names and there are not.")


class ScheduleOut(Out):
    """A schedule. `version` is also its ETag; every change makes a new one, which holds from then on."""

    name: str = Field(examples=["payments"])
    version: int
    description: str
    time_zone: str
    layers: list[dict[str, Any]] = Field(description="As they are written, with every default.")
    coverage: list[dict[str, Any]]
    has_calendar: bool = Field(description="Whether there is a secret address of its calendar.")
    created_at: datetime
    updated_at: datetime
    updated_by: str


class SchedulePageOut(Out):
    items: list[ScheduleOut]
    next: str | None


class ScheduleVersionOut(Out):
    """What a schedule said from `at` on; `definition` is null where it was removed."""

    version: int
    at: datetime
    actor: str
    definition: dict[str, Any] | None


class ScheduleVersionPageOut(Out):
    items: list[ScheduleVersionOut]
    next: str | None


class OverrideOut(Out):
    """An override or a temporary schedule (`kind`)."""

    id: int
    kind: str = Field(examples=["override"])
    start: datetime
    end: datetime
    add: str | None
    remove: str | None
    shifts: list[dict[str, Any]] | None
    reason: str
    created_at: datetime
    created_by: str
    ended_at: datetime | None = Field(description="When it was ended early.")


class OverridePageOut(Out):
    items: list[OverrideOut]
    next: str | None


class SwapOut(Out):
    overrides: list[OverrideOut]


class OnCallPersonOut(Out):
    name: str
    display_name: str
    away: bool


class OnCallOut(Out):
    """Who is on call at an instant, and until when that stays so."""

    schedule: str
    at: datetime
    users: list[OnCallPersonOut]
    until: datetime | None = Field(description="When other people are on call; null: not within 400 days.")


class OnCallPageOut(Out):
    items: list[OnCallOut]
    next: str | None


class OnCallQueryIn(QueryIn):
    at: Moment | None = Field(None, description="Now by default.")


class ScheduleProblemOut(Out):
    """Something to look at."""

    kind: str = Field(
        description="`gap`, `away`, `removed`, `unknown`, `double_booked` or `override_without_effect`.",
        examples=["gap"],
    )
    start: datetime
    end: datetime
    user: str | None
    other: str | None = Field(description="The other schedule, or the two layers, in which a person is booked.")
    override_id: int | None
    note: str


class ScheduleProblemsOut(Out):
    items: list[ScheduleProblemOut]
    next: str | None


class LoadOut(Out):
    """What a person bears. Nights are 22:00 to 06:00 and weekends Saturday and Sunday where the person lives; each in
    which any time is on call counts."""

    user: str
    shifts: int
    on_call_s: float
    night_s: float
    nights: int
    weekend_s: float
    weekends: int


class LoadsOut(Out):
    since: datetime
    until: datetime
    items: list[LoadOut]
    next: str | None


class CalendarAddressOut(Out):
    """The secret address of a calendar. It is shown this once."""

    path: str = Field(examples=["/schedules/payments/calendar.ics?token=..."])
    token: str


class CalendarGoneOut(Out):
    has_calendar: bool = False


def shifts_out(
    found: Seen, until: datetime, gaps: Sequence[tuple[datetime, datetime]], user: str | None = None
) -> dict[str, Any]:
    """The parts of a final schedule as the API shows it."""
    return {
        "shifts": [
            ShiftOut(
                **_cut(one, None, found, until), users=list(one.users), layer=one.layer, override_id=one.override_id
            )
            for one in found.shifts
            if user is None or user in one.users
        ],
        "people": [
            PersonShiftOut(**_cut(one, one.user, found, until), user=one.user)
            for one in found.people
            if user in {None, one.user}
        ],
        "gaps": [StretchOut(start=start, end=end) for start, end in gaps],
    }


def _cut(one: Shift | PersonShift, user: str | None, found: Seen, until: datetime) -> dict[str, Any]:
    start, end = found.extents.get((one.start, user), (one.start, one.end))
    return {
        "start": one.start,
        "end": one.end,
        "whole_start": start,
        "whole_end": end,
        "truncated": end is None or end > until,
    }
