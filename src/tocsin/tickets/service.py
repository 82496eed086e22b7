"""Use cases of stage 3: open by hand, move, edit, prioritise, reopen, find. Every change is compare-and-set."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from tocsin.alerts import service as alerts
from tocsin.alerts.store import any_open, keys_of_ticket
from tocsin.kit.clock import from_us, iso, to_us
from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import Conflict, FieldError, Invalid, NotFound, PreconditionFailed
from tocsin.kit.events import (
    AlertQuieted,
    Event,
    Recorded,
    TicketEdited,
    TicketHandedBack,
    TicketHeld,
    TicketMoved,
    TicketOpened,
    TicketPrioritised,
    TicketReopened,
    TicketResumed,
)
from tocsin.kit.priorities import Priority
from tocsin.storage import timers
from tocsin.storage.database import Database
from tocsin.storage.timers import Timer
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import matrix_service, sla_service, store
from tocsin.tickets.correlation import AUTO_CLOSE
from tocsin.tickets.store import Ticket, TicketQuery
from tocsin.tickets.tags import tags_of
from tocsin.tickets.teams import teams_of
from tocsin.tickets.workflow import (
    HANDED_BACK,
    REOPENED_BY_PERSON,
    UNRESOLVED,
    Status,
    check_edit,
    check_hand_back,
    check_move,
    check_reopen,
)

AUTO_CLOSE_AFTER: Final = timedelta(days=7)
LONGEST_HOLD: Final = timedelta(days=3653)
HOLD_END: Final = "ticket.hold_end"
NOT_HELD: Final = {"held_since": None, "held_until": None, "hold_reason": None}
_CHAIN: Final = (Status.OPEN, Status.IN_PROGRESS, Status.RESOLVED)


def get(tx: ReadTx, ticket_id: int) -> Ticket:
    """One ticket. Raises NotFound."""
    ticket = store.get(tx, ticket_id)
    if ticket is None:
        raise NotFound(what="ticket", id=ticket_id)
    return ticket


def open_by_hand(
    tx: Tx,
    *,
    title: str,
    description: str,
    priority: Priority | None,
    service: str | None,
    assignee: str | None,
    team: str | None = None,
    tags: Collection[str] = (),
    impact: int | None = None,
    urgency: int | None = None,
) -> Ticket:
    """Open a ticket that no alert asked for.

    Without `priority` that follows from impact and urgency, else it is P3; without `team` it is that of its service.
    """
    priority = priority or matrix_service.priority_by(tx, impact, urgency) or Priority.P3
    theirs: dict[str, Any] = {
        "team": team or teams_of(tx, [service]).get(service),
        "tags": tags_of(tags),
        "impact": impact,
        "urgency": urgency,
    }
    row = {
        **theirs,
        "priority": int(priority),
        "service": service,
        "title": title,
        "description": description,
        "assignee": assignee,
        "opened_by": str(tx.actor),
        "late_s": None,
        "recurrence_of": None,
        "released_from": None,
    }
    [ticket_id] = store.create(tx, [row])
    tx.emit(
        TicketOpened(
            ticket_id=ticket_id,
            title=title,
            priority=priority.name,
            service=service,
            description=description,
            assignee=assignee,
            alert_id=None,
            late_s=None,
            recurrence_of=None,
            **theirs,
        )
    )
    return get(tx, ticket_id)


@dataclass(frozen=True, slots=True)
class Resolution:
    """Of what kind the end of a ticket was, and how it came about."""

    code: str | None = None
    note: str | None = None


NO_RESOLUTION: Final = Resolution()


def change(
    tx: Tx,
    ticket_id: int,
    *,
    status: Status | None,
    edits: Mapping[str, Any],
    resolution: Resolution = NO_RESOLUTION,
    seen_version: int | None = None,
) -> Ticket:
    """Edit fields and, after them, move along the transition table; both or neither.

    `edits` may hold `assignee`, `team`, `tags`, `title`, `description`, `impact`, `urgency`, from which the priority
    follows once both are known; `resolution` goes with a move to RESOLVED; `seen_version` is the version the caller
    decided on. Raises Invalid, TransitionRefused, Conflict, PreconditionFailed, NotFound.
    """
    ticket = seen(tx, ticket_id, seen_version)
    if "tags" in edits:
        edits = {**edits, "tags": tags_of(edits["tags"])}
    changes: dict[str, Any] = {k: v for k, v in edits.items() if getattr(ticket, k) != v}
    told: list[Event] = []
    if changes:
        check_edit(ticket.status)
        told.append(TicketEdited(ticket_id, before={k: getattr(ticket, k) for k in changes}, after=dict(changes)))
        changes |= _priority_by_matrix(tx, ticket, changes, told)
        if ticket.assignee is not None and changes.get("assignee") is not None:
            changes["reassignment_count"] = ticket.reassignment_count + 1  # from one to another
    if status is not None:
        check_move(ticket.status, status)
        _check_resolution(tx, ticket, status, resolution)
        changes |= _moved(tx, ticket, status)
        said = {"resolution_code": resolution.code, "resolution_note": resolution.note}
        changes |= said if status is Status.RESOLVED else {}
        told.append(TicketMoved(ticket_id, ticket.status.value, status.value, resolution.code, resolution.note))
    elif resolution != NO_RESOLUTION:
        _refuse_resolution("goes with a move to RESOLVED", resolution)
    saved = _save(tx, ticket, changes, told, seen_version) if changes else ticket
    if "tags" in changes:
        store.set_tags(tx, ticket_id, changes["tags"])
    if status is Status.RESOLVED:
        # Others were gathered in it while it was waited for; from now on nobody can.
        store.release_keys(tx, ticket_id)
        alerts.end_episodes(tx, ticket_id)
    return saved


def _priority_by_matrix(tx: Tx, ticket: Ticket, changes: Mapping[str, Any], told: list[Event]) -> dict[str, Any]:
    """The priority that follows from impact and urgency, if one of them changes."""
    if not {"impact", "urgency"} & changes.keys():
        return {}
    impact, urgency = changes.get("impact", ticket.impact), changes.get("urgency", ticket.urgency)
    priority = matrix_service.priority_by(tx, impact, urgency)
    if priority is None or priority == ticket.priority:
        return {}
    told.append(TicketPrioritised(ticket.id, before=Priority(ticket.priority).name, after=priority.name))
    return {"priority": int(priority)}


def _check_resolution(tx: Tx, ticket: Ticket, after: Status, resolution: Resolution) -> None:
    """Raises Invalid for a resolution where there is none, and for none where the SLA policy asks for one."""
    if after is not Status.RESOLVED:
        if resolution != NO_RESOLUTION:
            _refuse_resolution("goes with a move to RESOLVED", resolution)
        return
    missing = [name for name in ("code", "note") if not getattr(resolution, name)]
    policy = sla_service.asks_for_resolution(tx, ticket) if missing else None
    if policy is not None:
        detail = f"the SLA policy {policy} asks for resolution_code and resolution_note"
        raise Invalid(detail, errors=tuple(FieldError(f"/resolution_{name}", detail) for name in missing))


def _refuse_resolution(detail: str, resolution: Resolution) -> None:
    given = [name for name in ("code", "note") if getattr(resolution, name) is not None]
    errors = tuple(FieldError(f"/resolution_{name}", detail) for name in given)
    raise Invalid(f"resolution_{given[0]}: {detail}", errors=errors)


def _moved(tx: Tx, ticket: Ticket, after: Status) -> dict[str, Any]:
    """What a move changes beside the status, and what follows from it."""
    changes: dict[str, Any] = {"status": after.value}
    if after is Status.IN_PROGRESS:
        changes["acknowledged_at"] = tx.now
    elif after is Status.RESOLVED:
        changes["resolved_at"] = tx.now
        if ticket.held_since is not None:
            changes |= NOT_HELD
            timers.drop(tx, HOLD_END, str(ticket.id))
        store.end_storm(tx, ticket.id)
        alerts.end_episodes(tx, ticket.id)
        store.release_keys(tx, ticket.id)
        alerts.end_episodes(tx, ticket.id)  # those that joined while the keys were waited for
        timers.put(tx, AUTO_CLOSE, str(ticket.id), due_at=tx.now + AUTO_CLOSE_AFTER, version=ticket.version + 1)
    elif after is Status.CLOSED:
        changes["closed_at"] = tx.now
        timers.drop(tx, AUTO_CLOSE, str(ticket.id))
    return changes


def prioritise(tx: Tx, ticket_id: int, priority: Priority, *, seen_version: int | None = None) -> Ticket:
    """Change a ticket's priority."""
    ticket = seen(tx, ticket_id, seen_version)
    if ticket.priority == priority:
        return ticket
    check_edit(ticket.status)
    told = TicketPrioritised(ticket_id, before=Priority(ticket.priority).name, after=priority.name)
    return _save(tx, ticket, {"priority": int(priority)}, [told], seen_version)


def reopen(tx: Tx, ticket_id: int, *, reason: str, assignee: str | None, seen_version: int | None = None) -> Ticket:
    """A person takes a resolved ticket up again, as its assignee; the acknowledgement stands."""
    ticket = seen(tx, ticket_id, seen_version)
    check_reopen(ticket.status)
    _take_keys_back(tx, ticket_id)
    timers.drop(tx, AUTO_CLOSE, str(ticket_id))
    taken_by = assignee or tx.actor.name
    changes = {
        "status": REOPENED_BY_PERSON.value,
        "assignee": taken_by,
        "resolved_at": None,
        "resolution_code": None,
        "resolution_note": None,
        "reopen_count": ticket.reopen_count + 1,
    }
    told = TicketReopened(
        ticket_id,
        before=ticket.status.value,
        after=REOPENED_BY_PERSON.value,
        reason=reason,
        assignee=taken_by,
        alert_id=None,
    )
    return _save(tx, ticket, changes, [told], seen_version)


def hand_back(tx: Tx, ticket_id: int, *, reason: str, seen_version: int | None = None) -> Ticket:
    """Give a ticket up that somebody had acknowledged: it is OPEN and nobody's, and waits for another one to take it.

    Raises Conflict for one that is not IN_PROGRESS, PreconditionFailed, NotFound.
    """
    ticket = seen(tx, ticket_id, seen_version)
    check_hand_back(ticket.status)
    changes = {
        "status": HANDED_BACK.value,
        "assignee": None,
        "acknowledge_from": tx.now,
        "acknowledged_at": None,
    }
    told = TicketHandedBack(
        ticket_id, before=ticket.status.value, after=HANDED_BACK.value, reason=reason, assignee=ticket.assignee
    )
    return _save(tx, ticket, changes, [told], seen_version)


def check_unresolved(ticket: Ticket) -> None:
    """Raises Conflict for a ticket that nobody is called for any more."""
    if ticket.status not in UNRESOLVED:
        raise Conflict(detail=f"ticket {ticket.id} is {ticket.status.value}; nobody is called for it")


def _take_keys_back(tx: Tx, ticket_id: int) -> None:
    """A reopened ticket gathers its kind of trouble again, unless a newer ticket does: one thing has one ticket."""
    keys = set(keys_of_ticket(tx, ticket_id))
    taken = keys - store.claim_keys(tx, keys, ticket_id)
    others = sorted(set(store.join_keys(tx, taken).values()))
    if ticket_id in others:
        raise Conflict(detail=f"ticket {ticket_id} was reopened by an alert at the same moment; read it again")
    if others:
        names = " and ".join(f"ticket {other}" for other in others)
        raise Conflict(detail=f"{names} is open for the same trouble as ticket {ticket_id}; go on there")


def hold(tx: Tx, ticket_id: int, *, reason: str, until: datetime | None, seen_version: int | None = None) -> Ticket:
    """Let a ticket's clocks stand still, until a time or until it is resumed; once more changes reason and end.

    Raises Invalid for a time that is over, Conflict for a ticket whose clocks don't run.
    """
    ticket = seen(tx, ticket_id, seen_version)
    if ticket.status not in UNRESOLVED:
        raise Conflict(detail=f"a {ticket.status.value} ticket can't be put on hold: its clocks don't run")
    if until is not None and until <= tx.now:
        detail = f"expected a time to come, it is {iso(tx.now)} now"
        raise Invalid(f"until: {detail}", errors=(FieldError("/until", detail),))
    if until is not None and until > tx.now + LONGEST_HOLD:
        detail = f"expected a time within {LONGEST_HOLD.days} days; without one a hold lasts until it is resumed"
        raise Invalid(f"until: {detail}", errors=(FieldError("/until", detail),))
    since = ticket.held_since if ticket.is_held(tx.now) else tx.now
    changes = {"held_since": since, "held_until": until, "hold_reason": reason}
    held = _save(tx, ticket, changes, [TicketHeld(ticket_id, reason=reason, until=until)], seen_version)
    if until is None:
        timers.drop(tx, HOLD_END, str(ticket_id))
    else:
        timers.put(tx, HOLD_END, str(ticket_id), due_at=until, version=held.version)
    return held


def resume(tx: Tx, ticket_id: int, *, reason: str = "", seen_version: int | None = None) -> Ticket:
    """Let the clocks of a ticket that is on hold run again. Raises Conflict for one that isn't."""
    ticket = seen(tx, ticket_id, seen_version)
    if ticket.held_since is None:
        raise Conflict(detail=f"ticket {ticket_id} is not on hold")
    resumed = _resume(tx, ticket, reason, seen_version)
    timers.drop(tx, HOLD_END, str(ticket_id))
    return resumed


def end_hold(tx: Tx, timer: Timer) -> None:
    """A hold has run out, unless it was ended or given another end since the timer was set."""
    for ticket in store.hold_many(tx, [int(timer.subject)]).values():
        if ticket.held_until is None:
            return
        if ticket.held_until > tx.now:
            timers.put(tx, HOLD_END, timer.subject, due_at=ticket.held_until, version=ticket.version)
            return
        _resume(tx, ticket, "the hold has run out", None)


def _resume(tx: Tx, ticket: Ticket, reason: str, seen_version: int | None) -> Ticket:
    ended = tx.now if ticket.held_until is None else min(tx.now, ticket.held_until)
    told = TicketResumed(ticket.id, reason=reason)
    return _save(tx, ticket, NOT_HELD, [told], seen_version, at=ended)


def recalculate(tx: Tx, ticket_id: int, *, reason: str = "", seen_version: int | None = None) -> Ticket:
    """Let a ticket's clocks run by the SLA policy and the calendar that are in force now, from its opening on.

    Raises Conflict for a ticket that is final, or that no policy is about.
    """
    ticket = seen(tx, ticket_id, seen_version)
    check_edit(ticket.status)
    _save(tx, ticket, {}, [], seen_version)
    sla_service.reassess(tx, ticket_id, reason)
    return get(tx, ticket_id)


def resolve_quiet(tx: Tx, quieted: Sequence[Recorded[AlertQuieted]]) -> None:
    """Resolve the tickets whose last episode ended by itself, along the chain: nobody acknowledged them."""
    for ticket_id in sorted({recorded.event.ticket_id for recorded in quieted}):
        resolve_if_over(tx, ticket_id)


def resolve_if_over(tx: Tx, ticket_id: int) -> None:
    """Resolve a ticket none of whose episodes goes on."""
    [ticket] = store.hold_many(tx, [ticket_id]).values()
    chain = _CHAIN[_CHAIN.index(ticket.status) :] if ticket.status in _CHAIN else ()
    if len(chain) < 2 or any_open(tx, ticket_id):
        return
    keys = store.release_keys(tx, ticket_id)
    if any_open(tx, ticket_id):  # one has joined while the keys were waited for
        store.claim_keys(tx, keys, ticket_id)
        return
    for before, after in pairwise(chain):
        check_move(before, after)
    changes = _moved(tx, ticket, Status.RESOLVED)
    told = [TicketMoved(ticket_id, before=a.value, after=b.value) for a, b in pairwise(chain)]
    _save(tx, ticket, changes, list(told), None)


def auto_close(tx: Tx, timer: Timer) -> None:
    """Close a ticket that has been resolved for long, unless it moved on since the timer was set."""
    ticket = store.get(tx, int(timer.subject))
    if ticket is None or ticket.status is not Status.RESOLVED:
        return
    if ticket.resolved_at is not None and ticket.resolved_at + AUTO_CLOSE_AFTER > tx.now:
        due_at = ticket.resolved_at + AUTO_CLOSE_AFTER
        timers.put(tx, AUTO_CLOSE, timer.subject, due_at=due_at, version=ticket.version)
        return
    told = TicketMoved(ticket.id, before=ticket.status.value, after=Status.CLOSED.value)
    _save(tx, ticket, {"status": Status.CLOSED.value, "closed_at": tx.now}, [told], None)


def seen(tx: Tx, ticket_id: int, seen_version: int | None) -> Ticket:
    """A ticket at the version the caller decided on. Raises NotFound, PreconditionFailed."""
    ticket = get(tx, ticket_id)
    if seen_version is not None and ticket.version != seen_version:
        raise PreconditionFailed(version=ticket.version, wanted=seen_version)
    return ticket


def _save(
    tx: Tx,
    ticket: Ticket,
    changes: Mapping[str, Any],
    told: list[Event],
    seen_version: int | None,
    *,
    at: datetime | None = None,
) -> Ticket:
    if not store.compare_and_set(tx, ticket, changes):
        if seen_version is not None:
            raise PreconditionFailed(version=get(tx, ticket.id).version, wanted=seen_version)
        raise Conflict(detail=f"ticket {ticket.id} was changed by somebody else at the same moment; read it again")
    tx.emit(*told, at=None if at is None else [at] * len(told))
    return get(tx, ticket.id)


def find(database: Database, query: TicketQuery) -> tuple[list[Ticket], str | None]:
    """A page of tickets and the cursor of the next."""
    return database.read(lambda tx: page(tx, query))


def page(tx: ReadTx, query: TicketQuery) -> tuple[list[Ticket], str | None]:
    """The same, within a look at more."""
    name = f"tickets:{query.sort}:{'desc' if query.descending else 'asc'}"
    after: tuple[Any, int] | None = None
    if query.cursor is not None:
        key, last_id = decode_cursor(query.cursor, name, int, int)
        after = (int(key) if query.sort == "priority" else from_us(int(key)), int(last_id))
    found = store.page(tx, query, after=after, limit=query.limit + 1)
    items = found[: query.limit]
    if len(found) <= query.limit:
        return items, None
    return items, encode_cursor(name, _sort_key(items[-1], query.sort), items[-1].id)


def _sort_key(ticket: Ticket, sort: str) -> int:
    keys: dict[str, datetime | int] = {
        "opened": ticket.opened_at,
        "updated": ticket.updated_at,
        "priority": ticket.priority,
    }
    key = keys[sort]
    return to_us(key) if isinstance(key, datetime) else key
