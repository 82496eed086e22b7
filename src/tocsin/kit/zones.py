"""Time zones by their names in the IANA database."""

from datetime import UTC, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

# What they mean depends on the machine, so that nobody else could read them.
_OF_THE_MACHINE: Final = frozenset({"localtime", "posixrules"})


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(available_timezones()) - _OF_THE_MACHINE


def is_zone(name: str) -> bool:
    """Whether there is a time zone of that name."""
    return name in _names()


def zone_of(name: str) -> tzinfo | None:
    """The time zone of that name; None when there is none."""
    if name == "UTC":
        return UTC
    return ZoneInfo(name) if is_zone(name) else None
