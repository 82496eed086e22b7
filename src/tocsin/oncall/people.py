"""Users, teams and ways to reach a person, as values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

MAX_AWAY: Final = 100
MAX_MEMBERS: Final = 500


class MethodKind(StrEnum):
    EMAIL = "email"
    SMS = "sms"
    VOICE = "voice"
    SLACK = "slack"
    TELEGRAM = "telegram"
    NTFY = "ntfy"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Away:
    """From `start` until `end` a person is not there."""

    start: datetime
    end: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """A person. `version` changes with what is said of them, not with their contact methods."""

    name: str
    display_name: str
    email: str | None
    time_zone: str
    away: tuple[Away, ...]
    version: int
    removed: bool
    created_at: datetime
    updated_at: datetime
    updated_by: str
    removed_at: datetime | None = None

    def is_there(self, at: datetime) -> bool:
        """Whether the person had not been removed by then."""
        return not self.removed or (self.removed_at is not None and at < self.removed_at)

    def is_away(self, at: datetime) -> bool:
        """Whether the person is away at an instant."""
        return any(away.start <= at < away.end for away in self.away)


@dataclass(frozen=True, slots=True)
class ContactMethod:
    """A way to reach a person. One that is not verified is not used; nor is one that has a `disabled_reason`."""

    id: int
    user: str
    kind: str
    address: str
    verified_at: datetime | None
    disabled_reason: str | None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Team:
    """People who answer for the same services."""

    name: str
    display_name: str
    members: tuple[str, ...]
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str
