"""How alerts of a replay find their tickets: the open one of their key, a fresh one again, a storm's, or a new one.

Pure, and in the order of steps of `tickets.correlation` and `tickets.storms`; what those decide is decided here by the
same functions. Of other rules' tickets nothing is known.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from typing import Final

from tocsin.alerts.rules import Rule
from tocsin.alerts.silencing import STILL_FIRES_WITHIN
from tocsin.alerts.suppression import FLAP, STORM
from tocsin.kit.clock import MICROSECOND, from_us
from tocsin.proof.outcome import Episode, Outcome, Ticket
from tocsin.tickets.storming import (
    ALL,
    LOOK_EVERY,
    WITHIN,
    StormLimits,
    begins,
    is_over,
    scope_of,
    service_of,
    storm_for,
)

SECOND_US: Final = 1_000_000
Groups = Mapping[str, Sequence[Episode]]  # by correlation key
LookAgain = Callable[[int, "Storm"], None]
StillFires = Callable[[Episode, int], bool]  # whether an alert that is open fired at an instant or later


def us(span: timedelta) -> int:
    """A time in microseconds."""
    return span // MICROSECOND


def tick(at: int) -> int:
    """The first whole second at or after an instant: when what is due then happens."""
    return -(-at // SECOND_US) * SECOND_US


@dataclass(slots=True, eq=False)
class Storm:
    """A storm that goes on in its ticket, and when alerts joined it."""

    scope: str
    ticket: Ticket
    joined: deque[int]


@dataclass(frozen=True, slots=True)
class Ways:
    """What the rule and the settings say of tickets."""

    reopen_window_s: int
    auto_close_s: int
    limits: StormLimits


class Tickets:
    """The open keys and the last tickets at one moment of a replay."""

    def __init__(
        self,
        ways: Ways,
        outcome: Outcome,
        zone: tzinfo,
        *,
        named: int,
        look_again: LookAgain,
        still_fires: StillFires,
    ) -> None:
        self._ways = ways
        self._outcome = outcome
        self._zone = zone
        self._named = named
        self._look_again = look_again
        self._still_fires = still_fires
        self._open: dict[str, Ticket] = {}
        self._last: dict[str, Ticket] = {}
        self._storms: dict[str, Storm] = {}
        self._lately: deque[tuple[int, str | None]] = deque()

    def __len__(self) -> int:
        return len(self._last)

    def __contains__(self, key: str) -> bool:
        return key in self._last

    def give(self, at: int, wanting: Iterable[Episode], *, released: bool = False) -> None:
        """Alerts that have no ticket, or only that of a storm which is over, get one."""
        by_key: dict[str, list[Episode]] = {}
        for one in wanting:
            by_key.setdefault(one.key, []).append(one)
        rest: dict[str, list[Episode]] = {}
        for key, group in by_key.items():
            if key in self._open:
                self._assign(key, group, self._open[key], "joined")
            elif not self._reopened(at, key, group):
                rest[key] = group
        if not released:
            rest = self._gathered(at, rest)
        for key, group in sorted(rest.items(), key=lambda pair: pair[1][0].face.fingerprint):
            last = self._last.get(key)
            came_from = group[0].ticket
            self._new(at, key, group, None if last is None or last is came_from else last.number)
            if not released:
                self._lately.append((at, group[0].service))

    def resolve_if_over(self, at: int, ticket: Ticket) -> None:
        """A ticket is resolved when none of its alerts goes on."""
        if ticket.going_on or ticket.resolved_at is not None:
            return
        ticket.resolved_at = at
        for key in ticket.keys:
            if self._open.get(key) is ticket:
                del self._open[key]
        self._storms = {scope: storm for scope, storm in self._storms.items() if storm.ticket is not ticket}

    def look_at(self, at: int, storm: Storm) -> None:
        """End a storm when it is over: what still fires gets a ticket of its own."""
        if self._storms.get(storm.scope) is not storm:
            return
        while storm.joined and storm.joined[0] < at - us(WITHIN):
            storm.joined.popleft()
        since = at - us(STILL_FIRES_WITHIN)
        firing = [one for one in storm.ticket.going_on if self._still_fires(one, since)]
        firing.sort(key=lambda one: one.first_id)
        if not is_over(len(storm.joined), len(firing), self._ways.limits.of(storm.scope)):
            self._look_again(at + us(LOOK_EVERY), storm)
            return
        del self._storms[storm.scope]
        for one in storm.ticket.going_on:
            one.suppressed_by = None if one.suppressed_by == STORM else one.suppressed_by
        for one in firing:
            if self._open.get(one.key) is storm.ticket:
                del self._open[one.key]
                storm.ticket.keys.discard(one.key)
        self.give(at, firing, released=True)
        self.resolve_if_over(at, storm.ticket)

    def _reopened(self, at: int, key: str, group: Sequence[Episode]) -> bool:
        ticket = self._last.get(key)
        if ticket is None or ticket.storm is not None:
            return False
        if ticket.opened_at[-1] == at and ticket.resolved_at is None:  # by another of its keys, a moment ago
            self._assign(key, group, ticket, "joined")
            return True
        if not self._reopenable(at, ticket):
            return False
        ticket.resolved_at = None
        ticket.opened_at.append(at)
        self._outcome.reopened += 1
        self._page(at, ticket, group[0])
        for other in ticket.keys - self._open.keys():
            self._open[other] = ticket
        self._assign(key, group, ticket, "reopened")
        return True

    def _reopenable(self, at: int, ticket: Ticket) -> bool:
        if ticket.resolved_at is None:
            return False
        closed = tick(ticket.resolved_at + self._ways.auto_close_s * SECOND_US) <= at
        return not closed and ticket.resolved_at >= at - self._ways.reopen_window_s * SECOND_US

    def _gathered(self, at: int, groups: dict[str, list[Episode]]) -> dict[str, list[Episode]]:
        """Without those that a storm takes."""
        left = self._without_joining(at, groups)
        if not left or not self._ways.limits.any:
            return left
        while self._lately and self._lately[0][0] <= at - us(WITHIN):
            self._lately.popleft()
        lately = Counter(service for _, service in self._lately)
        wanted = Counter(group[0].service for group in left.values())
        for scope in begins(lately, wanted, self._ways.limits):
            mine = {key: group for key, group in left.items() if scope in {ALL, scope_of(group[0].service)}}
            self._begin_storm(at, scope, mine)
            left = {key: group for key, group in left.items() if key not in mine}
        return left

    def _without_joining(self, at: int, groups: dict[str, list[Episode]]) -> dict[str, list[Episode]]:
        left: dict[str, list[Episode]] = {}
        for key, group in groups.items():
            storm = storm_for(group[0].service, self._storms)
            if storm is None:
                left[key] = group
            else:
                self._join_storm(at, storm, key, group)
        return left

    def _join_storm(self, at: int, storm: Storm, key: str, group: Sequence[Episode]) -> None:
        storm.joined.extend([at] * len(group))
        self._assign(key, group, storm.ticket, "joined")
        for one in group:
            one.suppressed_by = STORM

    def _begin_storm(self, at: int, scope: str, groups: Groups) -> None:
        first = min((group[0] for group in groups.values()), key=lambda one: one.face.fingerprint)
        everything = [one for group in groups.values() for one in group]
        ticket = self._made(at, everything, None, service=service_of(scope), storm=scope)
        self._outcome.storms += 1
        self._lately.append((at, ticket.service))
        self._page(at, ticket, first, always=True)
        storm = self._storms[scope] = Storm(scope, ticket, deque())
        for key, group in groups.items():
            self._join_storm(at, storm, key, group)
        first.how = "opened"
        self._outcome.joined -= 1
        self._look_again(at + us(WITHIN), storm)

    def _new(self, at: int, key: str, group: Sequence[Episode], recurrence_of: int | None) -> None:
        ticket = self._made(at, group, recurrence_of, service=group[0].service)
        if group[0].label is not None:
            self._outcome.labelled[group[0].label] += 1
        self._outcome.recurrences += recurrence_of is not None
        self._page(at, ticket, group[0])
        self._assign(key, group, ticket, "opened")

    def _made(
        self,
        at: int,
        group: Sequence[Episode],
        recurrence_of: int | None,
        *,
        service: str | None,
        storm: str | None = None,
    ) -> Ticket:
        self._outcome.opened += 1
        priority = min(one.priority for one in group)
        self._outcome.priorities[priority] += 1
        number, first_id = self._outcome.opened, group[0].first_id
        ticket = Ticket(number, service, first_id, recurrence_of, [at], priority, storm=storm)
        if len(self._outcome.tickets) < self._named:
            self._outcome.tickets.append(ticket)
        return ticket

    def _assign(self, key: str, group: Sequence[Episode], ticket: Ticket, how: str) -> None:
        self._open[key] = ticket
        self._last[key] = ticket
        ticket.keys.add(key)
        for place, one in enumerate(group):
            if one.ticket is not None:
                one.ticket.going_on.discard(one)
                one.ticket.alerts -= 1
            one.ticket = ticket
            one.how = "joined" if place else how
            self._outcome.joined += one.how == "joined"
            ticket.alerts += 1
            ticket.going_on.add(one)
        self._raise(ticket, min(one.priority for one in group))

    def raise_for(self, rule: Rule, grown: Iterable[Episode]) -> None:
        """Tickets become as urgent as the rule says of alerts with so many records. One without a ticket waits until
        it has one, and grows again."""
        for one in grown:
            wanted = int(rule.priority_at(one.n))
            if one.ticket is not None and wanted < one.priority:
                one.priority = wanted
                self._raise(one.ticket, wanted)

    def _raise(self, ticket: Ticket, priority: int) -> None:
        if priority >= ticket.priority or ticket.resolved_at is not None:
            return
        self._outcome.priorities[ticket.priority] -= 1
        self._outcome.priorities[priority] += 1
        self._outcome.raised += not ticket.raised
        ticket.priority, ticket.raised = priority, True

    def _page(self, at: int, ticket: Ticket, first: Episode, *, always: bool = False) -> None:
        """Somebody is called, unless the alert that moves the ticket flaps."""
        if first.suppressed_by == FLAP and not always:
            return
        local = from_us(at).astimezone(self._zone)
        ticket.pages += 1
        self._outcome.pages += 1
        if first.label is not None:
            self._outcome.labelled_pages[first.label] += 1
        self._outcome.hours[local.hour] += 1
        self._outcome.days[local.date()] += 1
        self._outcome.groups[first.face.fingerprint].pages += 1
