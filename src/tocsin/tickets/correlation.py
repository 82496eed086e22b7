"""From alerts to tickets: join the open one, reopen a fresh one, or open one. One open ticket per correlation key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from tocsin.alerts import store as alerts
from tocsin.kit.errors import Conflict
from tocsin.kit.events import (
    AlertGrew,
    AlertOpened,
    AlertReleased,
    Event,
    Recorded,
    TicketOpened,
    TicketPrioritised,
    TicketReopened,
)
from tocsin.kit.priorities import Priority
from tocsin.storage import timers
from tocsin.storage.tx import Tx
from tocsin.tickets import gathering, store, storms
from tocsin.tickets.gathering import Gathering
from tocsin.tickets.store import Ticket
from tocsin.tickets.storming import StormLimits
from tocsin.tickets.storms import Gathered
from tocsin.tickets.teams import teams_of
from tocsin.tickets.wanting import Wanting, by_opening, by_release, most_urgent
from tocsin.tickets.workflow import REOPENABLE, REOPENED_BY_ALERT, UNRESOLVED

TRIES: Final = 5
AUTO_CLOSE: Final = "ticket.auto_close"


@dataclass(slots=True)
class _Outcome:
    """What is decided so far: the ticket of each key, and the events that tell of it with their causes."""

    ticket_of_key: dict[str, int] = field(default_factory=dict)
    new_keys: dict[str, int] = field(default_factory=dict)
    told: list[tuple[Event, int]] = field(default_factory=list)


def open_for(tx: Tx, opened: Sequence[Recorded[AlertOpened]], limits: StormLimits) -> None:
    """Give each new alert its ticket, in the transaction that opened the alert, unless a silence hides it."""
    _give(tx, by_opening(opened), limits)


def open_for_released(tx: Tx, released: Sequence[Recorded[AlertReleased]], limits: StormLimits) -> None:
    """Give each alert its ticket that had none as long as it was suppressed."""
    _give(tx, by_release(tx, released), limits)


def _give(tx: Tx, wanting: Sequence[Wanting], limits: StormLimits) -> None:
    """Locks are taken in the order alerts, correlation keys, tickets, each sorted. Only the further keys of a reopened
    ticket, and tickets that become more urgent, come late; a deadlock that this makes is retried (`Database.write`).
    """
    by_key: dict[str, list[Wanting]] = {}
    for one in wanting:
        by_key.setdefault(one.correlation_key, []).append(one)
    if not by_key:
        return
    outcome = _Outcome()
    outcome.ticket_of_key, claimed = _join_or_claim(tx, by_key)
    upstream = gathering.gather(tx, by_key, outcome.ticket_of_key)
    firsts = {key: by_key[key][0] for key in claimed - upstream.keys}
    _reopen(tx, firsts, outcome)
    rest = {key: by_key[key] for key in firsts if key not in outcome.new_keys}
    gathered = storms.gather(tx, rest, limits) if rest else Gathered()
    outcome.new_keys |= gathered.ticket_of_key
    outcome.told += gathered.told
    _create(tx, {key: group for key, group in rest.items() if key not in gathered.ticket_of_key}, outcome)
    outcome.new_keys |= upstream.ticket_of(outcome.new_keys)
    store.point_keys(tx, outcome.new_keys)
    outcome.ticket_of_key |= outcome.new_keys
    _tell_of_joining(by_key, outcome, upstream)
    alerts.assign_ticket(
        tx, {one.alert_id: outcome.ticket_of_key[key] for key, group in by_key.items() for one in group}
    )
    suppressed = gathered.suppressed(rest) | upstream.suppressed(by_key)
    alerts.suppress(tx, suppressed)
    alerts.suppress_openings(tx, suppressed)
    outcome.told += gathering.suspect(tx, upstream, by_key, outcome.ticket_of_key)
    # What brings a ticket comes first: its cause may have come in later than what joins it.
    outcome.told.sort(key=lambda pair: (not isinstance(pair[0], TicketOpened | TicketReopened), pair[1]))
    tx.emit(*(event for event, _ in outcome.told), causes=[cause for _, cause in outcome.told])
    of_ticket: dict[int, list[Wanting]] = {}
    for key, group in by_key.items():
        of_ticket.setdefault(outcome.ticket_of_key[key], []).extend(group)
    raise_to(tx, {ticket_id: most_urgent(group) for ticket_id, group in of_ticket.items()})


def raise_for(tx: Tx, grown: Sequence[Recorded[AlertGrew]]) -> None:
    """Make the tickets of alerts that grew as urgent as those have become."""
    wanted: dict[int, Priority] = {}
    for one in grown:
        ticket_id, priority = one.event.ticket_id, Priority[one.event.priority]
        wanted[ticket_id] = min(priority, wanted.get(ticket_id, priority))
    raise_to(tx, wanted)


def raise_to(tx: Tx, priority_of: Mapping[int, Priority]) -> None:
    """Make these tickets as urgent as said, where they are less so and not over."""
    priorities = store.priorities(tx, priority_of)
    less_urgent = [ticket_id for ticket_id, priority in priorities.items() if priority > priority_of[ticket_id]]
    for ticket in store.hold_many(tx, less_urgent).values():
        wanted = priority_of[ticket.id]
        if ticket.priority <= wanted or ticket.status not in UNRESOLVED:
            continue
        if not store.compare_and_set(tx, ticket, {"priority": int(wanted)}):
            raise Conflict(detail=f"ticket {ticket.id} changed although it was held")
        tx.emit(TicketPrioritised(ticket.id, before=Priority(ticket.priority).name, after=wanted.name))


def _join_or_claim(tx: Tx, keys: dict[str, Any]) -> tuple[dict[str, int], set[str]]:
    """The open tickets of the keys that have one, and the keys that are now ours."""
    joined: dict[str, int] = {}
    claimed: set[str] = set()
    for _ in range(TRIES):
        joined |= store.join_keys(tx, keys.keys() - joined.keys() - claimed)
        missing = keys.keys() - joined.keys() - claimed
        if not missing:
            return joined, claimed
        claimed |= store.claim_keys(tx, missing)
    if keys.keys() == joined.keys() | claimed:
        return joined, claimed
    raise Conflict(detail="correlation keys were taken and released faster than they could be joined")


def _reopen(tx: Tx, firsts: Mapping[str, Wanting], outcome: _Outcome) -> None:
    """Keys whose last ticket was resolved within the reopen window of the rule: a relapse, that ticket opens again.

    That of a storm does not: one of the many things it was about says nothing of the others.
    """
    last = alerts.latest_ticket_of_keys(tx, firsts)
    candidates = store.hold_many(tx, set(last.values()))
    for key in sorted(last):
        ticket = candidates.get(last[key])
        if ticket is None or ticket.id in outcome.new_keys.values():
            if ticket is not None:
                outcome.new_keys[key] = ticket.id
            continue
        if not _reopenable(tx, ticket, timedelta(seconds=firsts[key].reopen_window_s)):
            continue
        _set_open(tx, ticket)
        outcome.new_keys[key] = ticket.id
        event = TicketReopened(
            ticket_id=ticket.id,
            before=REOPENABLE.value,
            after=REOPENED_BY_ALERT.value,
            reason="the alert fired again" + (", and flaps" if firsts[key].flapping else ""),
            assignee=ticket.assignee,
            alert_id=firsts[key].alert_id,
        )
        outcome.told.append((event, firsts[key].event_id))
        others = set(alerts.keys_of_ticket(tx, ticket.id)) - firsts.keys()
        store.claim_keys(tx, others, ticket.id)


def _reopenable(tx: Tx, ticket: Ticket, window: timedelta) -> bool:
    fresh = ticket.resolved_at is not None and ticket.resolved_at >= tx.now - window
    return ticket.status is REOPENABLE and fresh and ticket.opened_by != store.BY_STORM


def _set_open(tx: Tx, ticket: Ticket) -> None:
    """An alert reopens to OPEN and clears the acknowledgement, or nobody would hear of it."""
    changes = {
        "status": REOPENED_BY_ALERT.value,
        "acknowledge_from": tx.now,
        "acknowledged_at": None,
        "resolved_at": None,
        "resolution_code": None,
        "resolution_note": None,
        "reopen_count": ticket.reopen_count + 1,
    }
    if not store.compare_and_set(tx, ticket, changes):
        raise Conflict(detail=f"ticket {ticket.id} changed although it was held")
    timers.drop(tx, AUTO_CLOSE, str(ticket.id))


def _create(tx: Tx, groups: Mapping[str, Sequence[Wanting]], outcome: _Outcome) -> None:
    if not groups:
        return
    earlier = alerts.latest_ticket_of_keys(tx, groups)
    keys = sorted(groups, key=lambda key: groups[key][0].alert_id)
    teams = teams_of(tx, [groups[key][0].service for key in keys])
    rows = [_row(groups[key], earlier.get(key), teams) for key in keys]
    for key, row, ticket_id in zip(keys, rows, store.create(tx, rows), strict=True):
        outcome.new_keys[key] = ticket_id
        first = groups[key][0]
        event = TicketOpened(
            ticket_id=ticket_id,
            title=row["title"],
            priority=Priority(row["priority"]).name,
            service=row["service"],
            description=row["description"],
            assignee=None,
            alert_id=first.alert_id,
            late_s=row["late_s"],
            recurrence_of=row["recurrence_of"],
            released_from=first.released_from,
            team=row["team"],
        )
        outcome.told.append((event, first.event_id))


def _row(group: Sequence[Wanting], recurrence_of: int | None, teams: Mapping[str | None, str | None]) -> dict[str, Any]:
    first = group[0]
    return {
        "priority": int(most_urgent(group)),
        "service": first.service,
        "title": first.title,
        "description": first.description,
        "assignee": None,
        "opened_by": f"rule:{first.rule}",
        "late_s": first.late_s,
        "recurrence_of": None if recurrence_of == first.released_from else recurrence_of,
        "released_from": first.released_from,
        "team": teams.get(first.service),
    }


def _tell_of_joining(by_key: Mapping[str, Sequence[Wanting]], outcome: _Outcome, upstream: Gathering) -> None:
    brought = {(event.ticket_id, event.alert_id) for event, _ in outcome.told if isinstance(event, TicketOpened)}
    brought |= {(event.ticket_id, event.alert_id) for event, _ in outcome.told if isinstance(event, TicketReopened)}
    for key, group in by_key.items():
        for one in group:
            pair = (outcome.ticket_of_key[key], one.alert_id)
            if pair not in brought:
                outcome.told.append((upstream.joining(one, pair[0]), one.event_id))
