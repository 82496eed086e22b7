"""The circuit breaker of a channel: after failures in a row it is left alone for a while, then tried once. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

# A receiver that fails half of the time takes what is tried again: so many in a row are hardly ever its chance.
OPENS_AFTER: Final = 10
FIRST_PAUSE_S: Final = 15.0
LONGEST_PAUSE_S: Final = 300.0
# An open breaker sends messages that have another way on that way, once it has been open for so long.
FAILS_OVER_AFTER_S: Final = 30.0


class Gate(StrEnum):
    """Whether a channel is sent to: as usual, not now, or one message to see how it is."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Breaker:
    """`failures` in a row. Open since `opened_at`; from `probe_at` on one message may try."""

    failures: int = 0
    opened_at: datetime | None = None
    probe_at: datetime | None = None

    def gate(self, now: datetime) -> Gate:
        if self.opened_at is None or self.probe_at is None:
            return Gate.CLOSED
        set_back = self.probe_at - now > timedelta(seconds=LONGEST_PAUSE_S)  # no pause is as long: the clock was
        return Gate.HALF_OPEN if now >= self.probe_at or set_back else Gate.OPEN

    def fails_over(self, now: datetime) -> bool:
        """Whether it has been open for so long that messages go another way."""
        return self.opened_at is not None and now - self.opened_at >= timedelta(seconds=FAILS_OVER_AFTER_S)


def probing(breaker: Breaker, now: datetime, *, for_s: float) -> Breaker:
    """One message tries; nobody else does until that is over."""
    return replace(breaker, probe_at=now + timedelta(seconds=for_s))


def after_success() -> Breaker:
    return Breaker()


def after_failure(breaker: Breaker, now: datetime, *, probe: bool) -> Breaker:
    """What was on its way when the breaker opened tells nothing new; a probe that fails doubles the pause."""
    if breaker.opened_at is not None and not probe:
        return breaker
    failures = breaker.failures + 1
    if failures < OPENS_AFTER and breaker.opened_at is None:
        return replace(breaker, failures=failures)
    pause_s = min(FIRST_PAUSE_S * 2.0 ** min(max(failures - OPENS_AFTER, 0), 16), LONGEST_PAUSE_S)
    return Breaker(failures, breaker.opened_at or now, now + timedelta(seconds=pause_s))
