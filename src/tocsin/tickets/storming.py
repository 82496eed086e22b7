"""When too many tickets would open at once, and when that is over: pure. People can't read so many."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

T = TypeVar("T")
WITHIN_S: Final = 300
WITHIN: Final = timedelta(seconds=WITHIN_S)
LOOK_EVERY: Final = timedelta(minutes=1)
ALL: Final = "all"
_OF_SERVICE: Final = "service:"


@dataclass(frozen=True, slots=True)
class StormLimits:
    """More new tickets than this within 5 minutes are a storm, of one service or in all. 0: as many as there are."""

    of_service: int = 20
    in_all: int = 60

    def of(self, scope: str) -> int:
        """The limit of a storm's scope."""
        return self.in_all if scope == ALL else self.of_service

    @property
    def any(self) -> bool:
        """Whether there is any storm control."""
        return bool(self.of_service or self.in_all)


DEFAULT_LIMITS: Final = StormLimits()
NO_LIMITS: Final = StormLimits(0, 0)


def scope_of(service: str) -> str:
    """The scope of a storm of one service."""
    return _OF_SERVICE + service


def service_of(scope: str) -> str | None:
    """The service that a storm is of; None for one of all."""
    return None if scope == ALL else scope.removeprefix(_OF_SERVICE)


def begins(lately: Mapping[str | None, int], wanted: Mapping[str, int], limits: StormLimits) -> list[str]:
    """The scopes of the storms that begin when `wanted` tickets would open now, after those that opened `lately` (both
    by service).

    A service that is over its limit has a storm of its own, which is one ticket. Only if that leaves too many is there
    one of all, which is then the only one: a service that fails in many ways says nothing about the others.
    """
    most = limits.of_service
    over = {name for name, n in wanted.items() if most and lately.get(name, 0) + n > most}
    opening = len(over) + sum(n for name, n in wanted.items() if name not in over)
    if limits.in_all and sum(lately.values()) + opening > limits.in_all:
        return [ALL]
    return [scope_of(name) for name in sorted(over)]


def storm_for(service: str, storms: Mapping[str, T]) -> T | None:
    """The storm, of those that go on by scope, that takes what a service alerts of: its own, or else that of all."""
    return storms.get(scope_of(service)) or storms.get(ALL)


def is_over(joined: int, firing: int, limit: int) -> bool:
    """Whether a storm is over: so few alerts `joined` within 5 minutes, and so few still fire, that each may have a
    ticket of its own."""
    return not limit or (joined <= limit and firing <= limit)
