"""When a message that was not taken is tried again, and when no longer. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tocsin.notify.message import Kind

RETRY_AFTER_MOST_S: Final = 3600.0  # what the other side asks for counts up to here
SOONEST_S: Final = 0.5
# With another way open, so many tries before it is taken.
_TRIES_BEFORE_THE_NEXT_WAY: Final = 3


@dataclass(frozen=True, slots=True)
class Schedule:
    """The longest wait after the first failed try, the second, and so on; after the last one it is given up. Whatever
    else keeps it from being tried (an open breaker, a limit): nothing is sent that is older than `lifetime_s`."""

    waits_s: tuple[float, ...]
    lifetime_s: float


# Standard Webhooks 1.0.0, "Deliverability": at once, then after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.
_STANDARD: Final = Schedule((5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400), 302_400)
# What wakes somebody: quick at first, and worth nothing any more when it is hours old.
_PAGE: Final = Schedule((5, 15, 60, 300, 900, 1800, 3600), 14_400)
_NEWS: Final = Schedule((5, 15, 60, 300, 900, 1800, 3600, 7200, 18_000, 36_000), 86_400)
_CODE: Final = Schedule((5, 15, 60), 600)
_TEST: Final = Schedule((), 120)
_SCHEDULES: Final = {
    Kind.PAGE: _PAGE,
    Kind.OPENED: _NEWS,
    Kind.REOPENED: _NEWS,
    Kind.SLA: _NEWS,
    Kind.CODE: _CODE,
    Kind.TEST: _TEST,
}


def schedule_of(kind: Kind) -> Schedule:
    return _SCHEDULES.get(kind, _STANDARD)


def gives_up_at(kind: Kind, since: datetime) -> datetime:
    """When a message of this kind, due `since`, is too old to be sent."""
    return since + timedelta(seconds=schedule_of(kind).lifetime_s)


@dataclass(frozen=True, slots=True)
class Failure:
    """What is known of a try that failed."""

    permanent: bool = False
    retry_after_s: float | None = None


def next_try_at(
    kind: Kind,
    tried: int,
    failure: Failure,
    *,
    now: datetime,
    give_up_at: datetime,
    has_next_way: bool,
    chance: float,
    patience: float = 1.0,
) -> datetime | None:
    """When this way is tried again after `tried` tries; None: it is given up, and the next one taken if there is one.

    Full jitter: anything up to the schedule's wait, by a `chance` from 0 to 1, so that what failed together does not
    come back together. `patience` stretches the schedule.
    """
    waits_s = schedule_of(kind).waits_s
    most = min(_TRIES_BEFORE_THE_NEXT_WAY, len(waits_s) + 1) if has_next_way else len(waits_s) + 1
    if failure.permanent or tried >= most:
        return None
    wait_s = max(waits_s[max(tried, 1) - 1] * patience * chance, SOONEST_S)
    if failure.retry_after_s is not None:
        wait_s = max(wait_s, min(failure.retry_after_s, RETRY_AFTER_MOST_S))
    at = now + timedelta(seconds=wait_s)
    return None if at > give_up_at else at
