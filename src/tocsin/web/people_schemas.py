"""Users, contact methods and teams as they go in and out over HTTP."""

from datetime import datetime
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints

from tocsin.oncall.people import Away, MethodKind
from tocsin.oncall.people_service import Profile
from tocsin.web.schemas import In, Moment, Out, no_nul

USER_PATTERN: Final = r"^[a-z0-9][a-z0-9._@+-]*$"
TEAM_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9 ._&+-]*$"
UserName = Annotated[str, StringConstraints(pattern=USER_PATTERN, max_length=100)]
_Shown = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(no_nul)]
_Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000), AfterValidator(no_nul)]
_Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=320), AfterValidator(no_nul)]
_Zone = Annotated[str, StringConstraints(max_length=100), AfterValidator(no_nul)]
_Address = Annotated[str, StringConstraints(min_length=1, max_length=600), AfterValidator(no_nul)]


class AwayIn(In):
    """When somebody is not there."""

    start: Moment = Field(examples=["2026-12-21T00:00:00Z"])
    end: Moment = Field(examples=["2027-01-04T00:00:00Z"])
    note: _Note = Field("", examples=["vacation"])

    def away(self) -> Away:
        return Away(self.start, self.end, self.note)


class UserIn(In):
    """All of what is said of a user."""

    display_name: _Shown = Field("", description="The name itself, where there is none.", examples=["Ana Sousa"])
    email: _Email | None = Field(None, description="To know them by; what is sent goes to contact methods.")
    time_zone: _Zone = Field("UTC", description="Where they live (IANA): for nights, weekends and working hours.")
    away: list[AwayIn] = Field(default_factory=list)

    def profile(self) -> Profile:
        """What is meant; it is checked when it is saved."""
        away = tuple(sorted((one.away() for one in self.away), key=lambda one: one.start))
        return Profile(self.display_name, self.email or None, self.time_zone, away)


class AwayOut(Out):
    start: datetime
    end: datetime
    note: str


class UserOut(Out):
    """A user. `version` is also its ETag; every change makes a new one."""

    name: str = Field(examples=["ana"])
    display_name: str
    email: str | None
    time_zone: str
    away: list[AwayOut]
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str = Field(examples=["local:admin"])


class MethodOut(Out):
    """A way to reach a user. It is used if it is verified and not disabled."""

    id: int
    user: str
    kind: str = Field(examples=["email"])
    address: str = Field(examples=["ana@example.org"])
    verified_at: datetime | None
    disabled_reason: str | None = Field(description="Why it is not used: what it is for refused it for good.")
    created_at: datetime


class UserDetailOut(UserOut):
    """A user with contact methods, teams, and the schedules and escalation policies that name them."""

    methods: list[MethodOut]
    teams: list[str]
    schedules: list[str]
    escalation_policies: list[str]


class UserPageOut(Out):
    items: list[UserOut]
    next: str | None


class MethodIn(In):
    """A new way to reach a user."""

    kind: Annotated[MethodKind, Field(strict=False)] = Field(examples=["sms"])
    address: _Address = Field(
        description="An e-mail address; of `sms` and `voice` a number with its country; of `slack` and `telegram` an id"
        " or a name; of `ntfy` the name of a topic; of `webhook` an address.",
        examples=["+351912345678"],
    )


class MethodsOut(Out):
    items: list[MethodOut]
    next: str | None


class CodeAskedOut(Out):
    """A code is on its way."""

    expires_at: datetime = Field(description="Until when it is good. It may be tried five times.")


class VerifyIn(In):
    """The code that came, or `by_hand`."""

    code: Annotated[str, StringConstraints(max_length=20), AfterValidator(no_nul)] | None = Field(
        None, examples=["012345"]
    )
    by_hand: bool = Field(False, description="Take it for verified without a code.")


class TeamIn(In):
    """All of what is said of a team."""

    display_name: _Shown = ""
    members: list[UserName] = Field(default_factory=list, description="Users, in the team's order.")


class TeamOut(Out):
    """A team. `version` is also its ETag; every change makes a new one."""

    name: str = Field(examples=["shop"])
    display_name: str
    members: list[str]
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str


class TeamPageOut(Out):
    items: list[TeamOut]
    next: str | None
