"""From alerts to tickets: join the open one, reopen a fresh one, or open one. One open ticket per correlation key."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from tocsin.alerts import store as alerts
from tocsin.alerts.absence import described
from tocsin.kit.errors import Conflict
from tocsin.kit.events import AlertJoined, AlertOpened, Event, Recorded, TicketOpened, TicketReopened
from tocsin.kit.priorities import Priority
from tocsin.storage import timers
from tocsin.storage.tx import Tx
from tocsin.tickets import store
from tocsin.tickets.store import Ticket
from tocsin.tickets.workflow import REOPENABLE, REOPENED_BY_ALERT

TRIES: Final = 5
AUTO_CLOSE: Final = "ticket.auto_close"


@dataclass(slots=True)
class _Outcome:
    """What is decided so far: the ticket of each key, and the events that tell of it with their causes."""

    ticket_of_key: dict[str, int] = field(default_factory=dict)
    new_keys: dict[str, int] = field(default_factory=dict)
    told: list[tuple[Event, int]] = field(default_factory=list)


def open_for(tx: Tx, opened: Sequence[Recorded[AlertOpened]]) -> None:
    """Give each new alert its ticket, in the transaction that opened the alert.

    Locks are taken in the order alerts, correlation keys, tickets, each sorted. Only the further keys of a reopened
    ticket come late; a deadlock that this makes is retried (`Database.write`).
    """
    by_key: dict[str, list[Recorded[AlertOpened]]] = {}
    for recorded in opened:
        by_key.setdefault(_match(recorded).correlation_key, []).append(recorded)
    outcome = _Outcome()
    outcome.ticket_of_key, claimed = _join_or_claim(tx, by_key)
    firsts = {key: by_key[key][0] for key in claimed}
    _reopen(tx, firsts, outcome)
    _create(tx, {key: first for key, first in firsts.items() if key not in outcome.new_keys}, outcome)
    store.point_keys(tx, outcome.new_keys)
    outcome.ticket_of_key |= outcome.new_keys
    _tell_of_joining(by_key, firsts, outcome)
    alerts.assign_ticket(
        tx,
        {recorded.event.alert_id: outcome.ticket_of_key[key] for key, group in by_key.items() for recorded in group},
    )
    outcome.told.sort(key=lambda pair: pair[1])
    tx.emit(*(event for event, _ in outcome.told), causes=[cause for _, cause in outcome.told])


def _match(recorded: Recorded[AlertOpened]) -> Any:
    match = recorded.event.match
    if match is None:
        raise ValueError("an AlertOpened is handed on together with its match")
    return match


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


def _reopen(tx: Tx, firsts: dict[str, Recorded[AlertOpened]], outcome: _Outcome) -> None:
    """Keys whose last ticket was resolved within the reopen window of the rule: a relapse, that ticket opens again."""
    last = alerts.latest_ticket_of_keys(tx, firsts)
    candidates = store.hold_many(tx, set(last.values()))
    for key in sorted(last):
        ticket = candidates.get(last[key])
        if ticket is None or ticket.id in outcome.new_keys.values():
            if ticket is not None:
                outcome.new_keys[key] = ticket.id
            continue
        if not _reopenable(tx, ticket, timedelta(seconds=_match(firsts[key]).reopen_window_s)):
            continue
        _set_open(tx, ticket)
        outcome.new_keys[key] = ticket.id
        alert_id = firsts[key].event.alert_id
        event = TicketReopened(
            ticket_id=ticket.id,
            before=REOPENABLE.value,
            after=REOPENED_BY_ALERT.value,
            reason="the alert fired again",
            assignee=ticket.assignee,
            alert_id=alert_id,
        )
        outcome.told.append((event, firsts[key].id))
        others = set(alerts.keys_of_ticket(tx, ticket.id)) - firsts.keys()
        store.claim_keys(tx, others, ticket.id)


def _reopenable(tx: Tx, ticket: Ticket, window: timedelta) -> bool:
    return ticket.status is REOPENABLE and ticket.resolved_at is not None and ticket.resolved_at >= tx.now - window


def _set_open(tx: Tx, ticket: Ticket) -> None:
    """An alert reopens to OPEN and clears the acknowledgement, or nobody would hear of it."""
    changes = {
        "status": REOPENED_BY_ALERT.value,
        "acknowledge_from": tx.now,
        "acknowledged_at": None,
        "resolved_at": None,
        "reopen_count": ticket.reopen_count + 1,
    }
    if not store.compare_and_set(tx, ticket, changes):
        raise Conflict(detail=f"ticket {ticket.id} changed although it was held")
    timers.drop(tx, AUTO_CLOSE, str(ticket.id))


def _create(tx: Tx, firsts: dict[str, Recorded[AlertOpened]], outcome: _Outcome) -> None:
    if not firsts:
        return
    earlier = alerts.latest_ticket_of_keys(tx, firsts)
    keys = sorted(firsts, key=lambda key: firsts[key].event.alert_id)
    rows = [_row(firsts[key], earlier.get(key)) for key in keys]
    for key, row, ticket_id in zip(keys, rows, store.create(tx, rows), strict=True):
        outcome.new_keys[key] = ticket_id
        event = TicketOpened(
            ticket_id=ticket_id,
            title=row["title"],
            priority=Priority(row["priority"]).name,
            service=row["service"],
            description=row["description"],
            assignee=None,
            alert_id=firsts[key].event.alert_id,
            late_s=row["late_s"],
            recurrence_of=row["recurrence_of"],
        )
        outcome.told.append((event, firsts[key].id))


def _row(recorded: Recorded[AlertOpened], recurrence_of: int | None) -> dict[str, Any]:
    match = _match(recorded)
    what = f"{match.threshold} times within {match.window_s} s " if match.threshold else ""
    if match.ratio_ppm:
        what = f"{match.ratio_ppm / 10_000:g} % of the records within {match.window_s} s "
    if match.for_s:
        what += f"for {match.for_s} s " if match.window_s else f"for {match.for_s} s on end "
    matched = f"Rule {match.rule} matched {what}in {match.service}: {match.template or '(empty message)'}"
    if match.absent_s:
        matched = described(match)
    return {
        "priority": int(match.priority),
        "service": match.service,
        "title": match.title,
        "description": f"{matched}\n\n{match.note}" if match.note else matched,
        "assignee": None,
        "opened_by": f"rule:{match.rule}",
        "late_s": recorded.event.late_s,
        "recurrence_of": recurrence_of,
    }


def _tell_of_joining(
    by_key: dict[str, list[Recorded[AlertOpened]]], firsts: dict[str, Recorded[AlertOpened]], outcome: _Outcome
) -> None:
    brought = {(event.ticket_id, event.alert_id) for event, _ in outcome.told if isinstance(event, TicketOpened)}
    brought |= {(event.ticket_id, event.alert_id) for event, _ in outcome.told if isinstance(event, TicketReopened)}
    for key, group in by_key.items():
        for recorded in group:
            pair = (outcome.ticket_of_key[key], recorded.event.alert_id)
            if pair not in brought:
                outcome.told.append((AlertJoined(ticket_id=pair[0], alert_id=pair[1]), recorded.id))
