"""Two tickets for one trouble become one: alerts and correlation keys go over, and back when that is undone.

Locks are taken as by whoever opens tickets: alerts, then keys, then tickets by id; who moved one of the two meanwhile
is found out by its version.
"""

from collections.abc import Mapping
from typing import Any

from tocsin.alerts import store as alerts
from tocsin.kit.clock import from_us
from tocsin.kit.errors import Conflict, FieldError, Invalid
from tocsin.kit.events import (
    Event,
    TicketAbsorbed,
    TicketHeld,
    TicketLinked,
    TicketMerged,
    TicketParted,
    TicketPrioritised,
    TicketUnlinked,
    TicketUnmerged,
)
from tocsin.kit.priorities import Priority
from tocsin.logs.timestamps import us_of_text
from tocsin.storage import timers
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import link_store, service, store
from tocsin.tickets.link_service import MAX_LINKS
from tocsin.tickets.links import INVERSE, Link
from tocsin.tickets.store import Ticket
from tocsin.tickets.workflow import MERGED, Status, check_merge, check_unmerge


def merge(tx: Tx, ticket_id: int, into_id: int, *, seen_version: int | None = None) -> Ticket:
    """Close a ticket as the duplicate of another one, which gets its alerts and keys, and its priority if more urgent.

    Raises Invalid for one with itself, Conflict for one that is over or gathers a storm, NotFound, PreconditionFailed.
    """
    if ticket_id == into_id:
        detail = "a ticket can't be merged into itself"
        raise Invalid(f"into: {detail}", errors=(FieldError("/into", detail),))
    ticket, into = service.seen(tx, ticket_id, seen_version), service.get(tx, into_id)
    check_merge(ticket_id, ticket.status)
    check_merge(into_id, into.status)
    if store.hold_storm(tx, ticket_id) is not None:
        raise Conflict(detail=f"ticket {ticket_id} gathers a storm that goes on; merge the other one into it")
    moved, keys = _hand_over(tx, ticket_id, into_id)
    closed = {"status": MERGED.value, "closed_at": tx.now, "merged_into": into_id, **service.NOT_HELD}
    priority = min(ticket.priority, into.priority)
    _set_both(tx, {ticket_id: (ticket, closed), into_id: (into, {"priority": priority})})
    # Others were gathered in it while it was waited for; from now on nobody can.
    late = _hand_over(tx, ticket_id, into_id)
    moved, keys = moved | late[0], keys | late[1]
    held = ticket.is_held(tx.now)
    merged = TicketMerged(
        ticket_id,
        into_id,
        ticket.status.value,
        MERGED.value,
        tuple(sorted(moved)),
        tuple(sorted(keys)),
        raised_from=None if priority == into.priority else Priority(into.priority).name,
        hold_reason=ticket.hold_reason if held else None,
        hold_until=ticket.held_until if held else None,
    )
    told: list[Event] = [merged, TicketAbsorbed(into_id, other_id=ticket_id, alerts=len(moved))]
    if priority != into.priority:
        told.append(TicketPrioritised(into_id, Priority(into.priority).name, Priority(priority).name))
    timers.drop(tx, service.HOLD_END, str(ticket_id))
    if (Link.DUPLICATE_OF, into_id) not in link_store.between(tx, ticket_id, into_id):
        link_store.add(tx, ticket_id, Link.DUPLICATE_OF, into_id)
        told += _linked(TicketLinked, ticket_id, into_id)
    tx.emit(*told)
    return service.get(tx, ticket_id)


def _hand_over(tx: Tx, ticket_id: int, to_id: int) -> tuple[set[int], set[str]]:
    """Give all alerts and open keys of a ticket to another one; returns which."""
    moved = set(alerts.move_to_ticket(tx, ticket_id, to_id))
    keys = set(store.move_keys(tx, ticket_id, to_id))
    moved |= set(alerts.move_to_ticket(tx, ticket_id, to_id))  # those that joined while the keys were waited for
    return moved, keys


def unmerge(tx: Tx, ticket_id: int, *, seen_version: int | None = None) -> Ticket:
    """Undo a merge, as long as the other ticket is not over: what came over goes back, and what came since by its keys;
    so do the other one's priority, unless something else asks for the one it has, and a hold that would still go on.

    Raises Conflict for a ticket that is not merged, or whose keys or other ticket went on.
    """
    ticket = service.seen(tx, ticket_id, seen_version)
    said = store.latest_event(tx, ticket_id, TicketMerged.__name__)
    if ticket.merged_into is None or said is None:
        raise Conflict(detail=f"ticket {ticket_id} is not merged into another one")
    into = service.get(tx, ticket.merged_into)
    check_unmerge(into.id, into.status)
    moved = alerts.move_back(tx, into.id, ticket_id, said["alert_ids"], said["keys"])
    keys = store.move_keys(tx, into.id, ticket_id, said["keys"])
    if set(keys) != set(said["keys"]):
        raise Conflict(detail=f"alerts of ticket {ticket_id} have gone to other tickets since; it can't be undone")
    moved += alerts.move_back(tx, into.id, ticket_id, said["alert_ids"], said["keys"])
    told: list[Event] = [
        TicketUnmerged(ticket_id, into.id, before=ticket.status.value, after=Status(said["before"]).value),
        TicketParted(into.id, other_id=ticket_id, alerts=len(moved)),
    ]
    opened = {"status": said["before"], "closed_at": None, "merged_into": None}
    hold = _hold_before(tx, ticket_id, said)
    if hold is not None:
        opened |= {"held_since": tx.now, "held_until": hold.until, "hold_reason": hold.reason}
        told.append(hold)
    priority = _priority_before(tx, ticket, into, said)
    _set_both(tx, {ticket_id: (ticket, opened), into.id: (into, {"priority": int(priority)})})
    if hold is not None and hold.until is not None:
        timers.put(tx, service.HOLD_END, str(ticket_id), due_at=hold.until, version=ticket.version + 1)
    if priority != into.priority:
        told.append(TicketPrioritised(into.id, Priority(into.priority).name, priority.name))
    if link_store.remove(tx, ticket_id, Link.DUPLICATE_OF, into.id):
        told += _linked(TicketUnlinked, ticket_id, into.id)
    tx.emit(*told)
    return service.get(tx, ticket_id)


def _hold_before(tx: Tx, ticket_id: int, said: Mapping[str, Any]) -> TicketHeld | None:
    """The hold that a merge ended, unless its end has come since."""
    reason, text = said.get("hold_reason"), said.get("hold_until")
    until = None if text is None else from_us(us_of_text(text))
    return None if reason is None or (until is not None and until <= tx.now) else TicketHeld(ticket_id, reason, until)


def _priority_before(tx: Tx, ticket: Ticket, into: Ticket, said: Mapping[str, Any]) -> Priority:
    """What the priority of the other one was, if it is still what the merge made it; as urgent as what is still merged
    into it, and what goes on in it since."""
    now, before = Priority(into.priority), said.get("raised_from")
    last = store.latest_event(tx, into.id, TicketPrioritised.__name__)
    if before is None or last is None or (last["before"], last["after"]) != (before, now.name):
        return now
    asked = [one.priority for one in merged_into(tx, into.id) if one.id != ticket.id]
    since = alerts.most_urgent_since(tx, into.id, ticket.closed_at or tx.now)
    return Priority(min([int(Priority[before]), *asked, *([] if since is None else [since])]))


def merged_into(tx: ReadTx, ticket_id: int) -> list[Ticket]:
    """The tickets that were merged into one, and still are."""
    linked = link_store.of(tx, ticket_id, limit=MAX_LINKS)
    others = store.get_many(tx, [one.ticket_id for one in linked if one.kind is Link.DUPLICATED_BY])
    return [one for one in others.values() if one.merged_into == ticket_id]


def _linked(kind: type[TicketLinked] | type[TicketUnlinked], ticket_id: int, into_id: int) -> list[Event]:
    return [
        kind(ticket_id, link=Link.DUPLICATE_OF.value, other_id=into_id),
        kind(into_id, link=INVERSE[Link.DUPLICATE_OF].value, other_id=ticket_id),
    ]


def _set_both(tx: Tx, changes: Mapping[int, tuple[Ticket, dict[str, Any]]]) -> None:
    for ticket_id in sorted(changes):
        ticket, values = changes[ticket_id]
        if not store.compare_and_set(tx, ticket, values):
            raise Conflict(detail=f"ticket {ticket_id} was changed by somebody else at the same moment; read it again")
