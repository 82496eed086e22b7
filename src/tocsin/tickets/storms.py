"""Storms: one ticket gathers the alerts that would otherwise open more tickets than people can read."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tocsin.alerts.suppression import STORM, by
from tocsin.kit.events import Event, StormBegan, TicketOpened
from tocsin.kit.priorities import Priority
from tocsin.storage import timers
from tocsin.storage.tx import Tx
from tocsin.tickets import store
from tocsin.tickets.storming import ALL, WITHIN, WITHIN_S, StormLimits, begins, scope_of, service_of, storm_for
from tocsin.tickets.teams import teams_of
from tocsin.tickets.wanting import Wanting, most_urgent

TIMER: Final = "ticket.storm"
MAX_NAMED: Final = 100
Groups = Mapping[str, Sequence[Wanting]]  # by correlation key


@dataclass(slots=True)
class Gathered:
    """Where storms take the keys, and what there is to tell of it: events with their causes."""

    ticket_of_key: dict[str, int] = field(default_factory=dict)
    told: list[tuple[Event, int]] = field(default_factory=list)

    def suppressed(self, groups: Groups) -> dict[int, str]:
        """By alert, the storm that it is suppressed by."""
        return {
            one.alert_id: by(STORM, ticket_id) for key, ticket_id in self.ticket_of_key.items() for one in groups[key]
        }


def gather(tx: Tx, groups: Groups, limits: StormLimits) -> Gathered:
    """Take those of these alerts, each about to open a ticket, that belong to a storm which goes on or begins now.

    An alert that a storm has just let go has its own ticket. Whoever opens tickets waits here for each other, so that
    no two look at the same count; while a storm goes on nobody does.
    """
    found = Gathered()
    _join(tx, groups, found)
    rest = {key: group for key, group in groups.items() if _may_be_gathered(key, group, found)}
    if not rest or not limits.any:
        return found
    store.lock_storms(tx)
    _join(tx, rest, found)  # one may have begun while we waited
    rest = {key: group for key, group in rest.items() if key not in found.ticket_of_key}
    lately = store.opened_lately(tx, tx.now - WITHIN)
    wanted = Counter(group[0].service for group in rest.values())
    for scope in begins(lately, wanted, limits):
        mine = {key: group for key, group in rest.items() if scope in {ALL, scope_of(group[0].service)}}
        ticket_id = _begin(tx, scope, mine, found, limit=limits.of(scope), lately=_of_scope(lately, scope))
        found.ticket_of_key |= dict.fromkeys(mine, ticket_id)
    return found


def _may_be_gathered(key: str, group: Sequence[Wanting], found: Gathered) -> bool:
    return key not in found.ticket_of_key and group[0].released_from is None


def _join(tx: Tx, groups: Groups, found: Gathered) -> None:
    scopes = {ALL} | {scope_of(group[0].service) for group in groups.values()}
    storms = store.join_storms(tx, scopes)
    for key, group in groups.items():
        ticket_id = storm_for(group[0].service, storms)
        if ticket_id is not None and _may_be_gathered(key, group, found):
            found.ticket_of_key[key] = ticket_id


def _of_scope(by_service: Mapping[str | None, int], scope: str) -> int:
    service = service_of(scope)
    return sum(by_service.values()) if service is None else by_service.get(service, 0)


def _begin(tx: Tx, scope: str, groups: Groups, found: Gathered, *, limit: int, lately: int) -> int:
    """Open the ticket of a storm."""
    alerts = sorted((one for group in groups.values() for one in group), key=lambda one: one.alert_id)
    service = service_of(scope)
    before = store.titles_opened_since(tx, tx.now - WITHIN, service=service, limit=MAX_NAMED)
    row = _row(service, alerts, before, limit) | {"team": teams_of(tx, [service]).get(service)}
    [ticket_id] = store.create(tx, [row])
    store.begin_storm(tx, ticket_id, scope)
    timers.put(tx, TIMER, str(ticket_id), due_at=tx.now + WITHIN, version=1)
    opened = TicketOpened(
        ticket_id=ticket_id,
        title=row["title"],
        priority=Priority(row["priority"]).name,
        service=service,
        description=row["description"],
        assignee=None,
        alert_id=alerts[0].alert_id,
        late_s=row["late_s"],
        recurrence_of=None,
        team=row["team"],
    )
    began = StormBegan(
        ticket_id,
        scope=scope,
        tickets=lately + len(groups),
        limit=limit,
        within_s=WITHIN_S,
        opened_before=tuple(before),
    )
    found.told += [(opened, alerts[0].event_id), (began, alerts[0].event_id)]
    return ticket_id


def _row(service: str | None, alerts: Sequence[Wanting], before: Mapping[int, str], limit: int) -> dict[str, Any]:
    services = sorted({one.service for one in alerts})
    where = service or f"{len(services)} services"
    lines = [
        f"More than {limit} tickets would have opened within {WITHIN_S // 60} minutes: this one gathers them.",
        "When that is over, what still fires gets a ticket of its own. It began with:",
        "",
        *(f"- {one.title}" for one in alerts[:MAX_NAMED]),
    ]
    if len(alerts) > MAX_NAMED:
        lines.append(f"- and {len(alerts) - MAX_NAMED} more; all are among the alerts of this ticket")
    if before:
        lines += ["", "Opened just before:", "", *(f"- ticket {number}: {title}" for number, title in before.items())]
    return {
        "priority": int(most_urgent(alerts)),
        "service": service,
        "title": f"Storm in {where}: {len(alerts)} alerts at once",
        "description": "\n".join(lines),
        "assignee": None,
        "opened_by": store.BY_STORM,
        "late_s": max(one.late_s for one in alerts),
        "recurrence_of": None,
        "released_from": None,
    }
