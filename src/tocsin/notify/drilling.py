"""Drills: when one is due, what it sends, and how far it came. Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from tocsin.kit.errors import FieldError, Invalid
from tocsin.kit.zones import zone_of

DRILL_TAG: Final = "drill"
MARK: Final = "Tocsin drill"
EVERY_S: Final = (600, 366 * 86_400)
WITHIN_S: Final = (5, 3600)
DEFAULT_WITHIN_S: Final = 120
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_AT: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_DAYS_AHEAD: Final = 9


class Step(StrEnum):
    """What a drill goes through, in order."""

    SENT = "sent"
    TICKET = "ticket"
    DELIVERED = "delivered"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Drill:
    """A drill of a service, `every_s` seconds or at a time of day; it is missed unless it is delivered in time."""

    service: str
    every_s: int | None = None
    at: str | None = None
    time_zone: str = "UTC"
    weekdays: tuple[str, ...] = ()
    within_s: int = DEFAULT_WITHIN_S
    enabled: bool = True

    def definition(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "service": self.service,
            "every_s": self.every_s,
            "at": self.at,
            "time_zone": self.time_zone,
            "weekdays": list(self.weekdays),
            "within_s": self.within_s,
            "enabled": self.enabled,
        }

    def next_at(self, now: datetime) -> datetime | None:
        """When it is run next; None when it is not."""
        if not self.enabled:
            return None
        if self.every_s is not None:
            return now + timedelta(seconds=self.every_s)
        hour, minute = (int(part) for part in (self.at or "00:00").split(":"))
        local = now.astimezone(zone_of(self.time_zone) or UTC)
        for days in range(_DAYS_AHEAD):
            then = (local + timedelta(days=days)).replace(hour=hour, minute=minute, second=0, microsecond=0)
            if then.astimezone(UTC) > now and (not self.weekdays or WEEKDAYS[then.weekday()] in self.weekdays):
                return then.astimezone(UTC)
        return None


def drill_of(definition: Mapping[str, Any]) -> Drill:
    """The drill that JSON values of the right types say. Raises Invalid, with all that is wrong."""
    drill = Drill(**{**definition, "weekdays": tuple(definition.get("weekdays", ()))})
    errors = []
    if (drill.every_s is None) == (drill.at is None):
        errors.append(FieldError("/every_s", "expected every_s or at, one of the two"))
    if drill.every_s is not None and not EVERY_S[0] <= drill.every_s <= EVERY_S[1]:
        errors.append(FieldError("/every_s", f"expected {EVERY_S[0]} seconds to 366 days"))
    if drill.at is not None and _AT.fullmatch(drill.at) is None:
        errors.append(FieldError("/at", "expected a time of day such as 09:30"))
    if zone_of(drill.time_zone) is None:
        errors.append(FieldError("/time_zone", "is no time zone known here; expected a name such as Europe/Lisbon"))
    errors += [
        FieldError(f"/weekdays/{place}", f"expected one of {', '.join(WEEKDAYS)}")
        for place, day in enumerate(drill.weekdays)
        if day not in WEEKDAYS
    ]
    errors += within_errors(drill.within_s)
    if errors:
        raise Invalid(f"{errors[0].pointer[1:]}: {errors[0].detail}", errors=tuple(errors))
    return drill


def within_errors(within_s: int) -> list[FieldError]:
    """What is wrong with a time to deliver within."""
    if WITHIN_S[0] <= within_s <= WITHIN_S[1]:
        return []
    return [FieldError("/within_s", f"expected {WITHIN_S[0]} to {WITHIN_S[1]} seconds")]


def record_of(drill_id: int, service: str) -> bytes:
    """The synthetic record that a drill sends, marked as such."""
    said = {
        "level": "CRITICAL",
        "service": service,
        "message": f"{MARK}: nothing is wrong with {service}, this tries whether a page arrives",
        "attributes": {"tocsin_drill": drill_id},
        "source": "tocsin-drill",
    }
    return json.dumps(said).encode()
