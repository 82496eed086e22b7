"""The one way to ask for the time, so that tests can set it, and the microsecond form instants are stored in."""

from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)


class Clock(Protocol):
    def now(self) -> datetime:
        """The current instant, aware, in UTC."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def to_us(instant: datetime) -> int:
    """Microseconds since 1970-01-01T00:00:00Z of an aware instant."""
    return (instant - EPOCH) // MICROSECOND


def from_us(microseconds: int) -> datetime:
    """The UTC instant that lies `microseconds` after 1970-01-01T00:00:00Z."""
    return EPOCH + timedelta(microseconds=microseconds)


def iso(instant: datetime) -> str:
    """RFC 3339 in UTC with `Z`; the fraction is left out when it is zero."""
    text = instant.astimezone(UTC).isoformat()
    return text[: -len("+00:00")] + "Z"
