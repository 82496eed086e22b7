"""Which alert follows from which: from one that fires at a service that its own depends on. Pure.

Upstream is what a service depends on. A failing dependant never explains what it depends on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from tocsin.alerts.dependencies import Edges, depths, steps_from, way
from tocsin.kit.priorities import Priority

SHORTLY_BEFORE: Final = timedelta(minutes=5)  # so long before its cause, an alert may have been noticed first
LEAST: Final = Priority.P3  # a ticket of less says little about the services that depend on its own


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert of a service, by the service's key, and the priority of its ticket: of the one it has, or would open.

    `beside` are other services whose alerts go to the same ticket: what explains it must explain them as well.
    """

    alert_id: int
    service: str
    priority: int
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cause:
    """The alert that another one follows from, and the services on the way there, by key, that of the other first."""

    alert_id: int
    way: tuple[str, ...]


def causes(wanting: Iterable[Firing], firing: Iterable[Firing], edges: Edges) -> dict[int, Cause]:
    """Of the alerts that want a ticket, those that follow from another one, which fires already or wants one as well.

    The cause is the nearest one upstream; of several as near that with the most urgent ticket, then the oldest. Because
    what is upstream is decided first, and `edges` hold no ring, each way from cause to cause ends at an alert that
    follows from none of these.
    """
    upstream = _Upstream(edges)
    for one in firing:
        upstream.add(one)
    depth = depths(edges)
    found: dict[int, Cause] = {}
    for one in sorted(wanting, key=lambda one: (depth.get(one.service, 0), one.alert_id)):
        cause = upstream.cause_of(one)
        if cause is None:
            upstream.add(one)
            continue
        found[one.alert_id] = Cause(cause.alert_id, tuple(way(edges, one.service, cause.service) or ()))
        # It joins the ticket of its cause, and makes that as urgent as itself.
        upstream.add(Firing(one.alert_id, one.service, min(one.priority, cause.priority)))
    return found


class _Upstream:
    """What is known to fire, by service, and how far each service is from what it depends on."""

    def __init__(self, edges: Edges) -> None:
        self._edges = edges
        self._firing: dict[str, list[Firing]] = {}
        self._steps: dict[str, dict[str, int]] = {}

    def add(self, one: Firing) -> None:
        if one.priority <= LEAST:
            self._firing.setdefault(one.service, []).append(one)

    def cause_of(self, one: Firing) -> Firing | None:
        steps = self._steps_of(one.service)
        shared = self._firing.keys() & steps.keys()
        for service in one.beside:
            shared &= self._steps_of(service).keys()
        causes = [cause for service in shared for cause in self._firing[service]]
        return min(causes, key=lambda cause: (steps[cause.service], cause.priority, cause.alert_id), default=None)

    def _steps_of(self, service: str) -> dict[str, int]:
        if service not in self._steps:
            self._steps[service] = steps_from(self._edges, service)
        return self._steps[service]


def root_of(alert_id: int, found: Mapping[int, Cause]) -> int:
    """The alert at the end of the way from cause to cause, whose ticket all on it go to."""
    while alert_id in found:
        alert_id = found[alert_id].alert_id
    return alert_id
