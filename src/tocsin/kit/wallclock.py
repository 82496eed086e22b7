"""From the clock on a wall to instants, exactly: hours that are skipped, hours that come twice.

A wall time is a datetime without a zone. Where clocks are put forward, a time that is skipped is the first instant
after the gap; where they are put back, a time that comes twice has a first and a last instant.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

_SECOND: Final = timedelta(seconds=1)


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def local_of(instant: datetime, zone: str) -> datetime:
    """What the clock on the wall shows at an instant."""
    return instant.astimezone(_zone(zone)).replace(tzinfo=None, fold=0)


@lru_cache(maxsize=16_384)
def first_at(local: datetime, zone: str) -> datetime:
    """The first instant at which the clock shows this time, or the first after the gap it lies in."""
    return _at(local, zone, fold=0)


@lru_cache(maxsize=4096)
def last_at(local: datetime, zone: str) -> datetime:
    """The last instant at which the clock shows this time, or the first after the gap it lies in."""
    return _at(local, zone, fold=1)


def _at(local: datetime, zone: str, *, fold: int) -> datetime:
    # Instants are compared in UTC: Python compares those of one zone by what the wall shows.
    found = local.replace(tzinfo=_zone(zone), fold=fold).astimezone(UTC)
    if local_of(found, zone) == local:
        return found
    early = local.replace(tzinfo=_zone(zone), fold=1).astimezone(UTC)
    late = local.replace(tzinfo=_zone(zone), fold=0).astimezone(UTC)
    return _change_between(early, late, zone)


def _change_between(early: datetime, late: datetime, zone: str) -> datetime:
    """The second in which the offset changes: clocks never change twice within a gap."""
    before = early.astimezone(_zone(zone)).utcoffset()
    low, high = early.replace(microsecond=0), late.replace(microsecond=0) + _SECOND
    while high - low > _SECOND:
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(_zone(zone)).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high
