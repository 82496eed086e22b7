"""A ticket in which two troubles were gathered becomes two; a merge puts them together again.

Locks are taken as by `merge_service`: alerts, then keys, then tickets. Nobody else knows the new ticket yet.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tocsin.alerts import store as alerts
from tocsin.alerts.store import Going
from tocsin.alerts.suppression import parts
from tocsin.kit.clock import iso
from tocsin.kit.errors import Conflict
from tocsin.kit.events import Event, TicketLinked, TicketOpened, TicketSplit, TicketSplitOff
from tocsin.kit.priorities import Priority
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import link_store, merge_service, service, sla, sla_store, store
from tocsin.tickets.link_service import MAX_LINKS
from tocsin.tickets.links import Link
from tocsin.tickets.sla import Facts
from tocsin.tickets.splitting import Stretch, check_alerts, check_keys, opened_at, taken_over
from tocsin.tickets.store import Ticket
from tocsin.tickets.teams import teams_of
from tocsin.tickets.workflow import check_split


@dataclass(frozen=True, slots=True)
class Parting:
    """Which alerts are to go, what the ticket that they get is about, and why it is not the same trouble."""

    alert_ids: Sequence[int]
    title: str
    reason: str


def split(tx: Tx, ticket_id: int, parting: Parting, *, seen_version: int | None = None) -> Ticket:
    """Give alerts of a ticket, and their open keys, to a new one, which has stood since they opened where it stands.

    Raises Invalid for alerts of another ticket, of a key that would be parted, or all there are; Conflict for a ticket
    that is over, gathers a storm, or was changed meanwhile; NotFound, PreconditionFailed.
    """
    ticket = service.seen(tx, ticket_id, seen_version)
    check_split(ticket_id, ticket.status)
    going = _going(tx, ticket, list(dict.fromkeys(parting.alert_ids)))
    keys = sorted({one.correlation_key for one in going})
    opening = _opening(tx, ticket, going, parting)
    [new_id] = store.create(tx, [opening.row])
    ids = [one.id for one in going]
    moved = alerts.move_back(tx, ticket_id, new_id, ids, keys)
    moved_keys = store.move_keys(tx, ticket_id, new_id, keys)
    moved += alerts.move_back(tx, ticket_id, new_id, ids, keys)  # those that joined while the keys were waited for
    moved.sort()
    if not store.compare_and_set(tx, ticket, {}):
        raise Conflict(detail=f"ticket {ticket_id} was changed by somebody else at the same moment; read it again")
    _let_go(tx, ticket_id, new_id)
    link_store.add(tx, new_id, Link.RELATED, ticket_id)
    told = opening.told(new_id, ticket, parting.reason, moved)
    told += [
        TicketSplit(ticket_id, new_id, parting.reason, tuple(moved), tuple(moved_keys)),
        TicketLinked(new_id, link=Link.RELATED.value, other_id=ticket_id),
        TicketLinked(ticket_id, link=Link.RELATED.value, other_id=new_id),
    ]
    tx.emit(*told, at=[opening.facts.opened_at, *[tx.now] * (len(told) - 1)])
    return service.get(tx, new_id)


def unsplit(tx: Tx, ticket_id: int, *, seen_version: int | None = None) -> Ticket:
    """Undo a split: what was split off is merged into the ticket that it came from. Raises as `merge` does."""
    ticket = service.get(tx, ticket_id)
    if ticket.split_from is None:
        raise Conflict(detail=f"ticket {ticket_id} was not split from another one")
    return merge_service.merge(tx, ticket_id, ticket.split_from, seen_version=seen_version)


def _going(tx: Tx, ticket: Ticket, wanted: Sequence[int]) -> list[Going]:
    """The alerts that are to go, the first one first."""
    if store.hold_storm(tx, ticket.id) is not None:
        raise Conflict(
            detail=f"ticket {ticket.id} gathers a storm that goes on; what still fires gets its own after it"
        )
    going = alerts.some_of_ticket(tx, ticket.id, wanted)
    check_alerts(ticket.id, wanted, {one.id: one.correlation_key for one in going})
    keys = {one.correlation_key for one in going}
    alike = alerts.of_ticket_with_keys(tx, ticket.id, keys)
    check_keys(wanted, alike, any_left=alerts.any_without_keys(tx, ticket.id, keys))
    if link_store.count(tx, {ticket.id}) >= MAX_LINKS:
        raise Conflict(detail=f"ticket {ticket.id} has {MAX_LINKS} links already")
    return sorted(going, key=lambda one: (one.opened_at, one.id))


@dataclass(frozen=True, slots=True)
class _Opening:
    """The new ticket: its row, and what its clocks take over."""

    row: dict[str, Any]
    facts: Facts
    first: Going

    def told(self, new_id: int, ticket: Ticket, reason: str, moved: Collection[int]) -> list[Event]:
        row, facts = self.row, self.facts
        opened = TicketOpened(
            new_id,
            title=row["title"],
            priority=Priority(row["priority"]).name,
            service=row["service"],
            description=row["description"],
            assignee=row["assignee"],
            alert_id=self.first.id,
            late_s=row["late_s"],
            recurrence_of=None,
            team=row["team"],
            split_from=ticket.id,
        )
        off = TicketSplitOff(
            new_id,
            from_id=ticket.id,
            reason=reason,
            alert_ids=tuple(moved),
            status=row["status"],
            acknowledge_from=facts.acknowledge_from,
            acknowledged_at=facts.acknowledged_at,
            cancelled_at=facts.cancelled_at,
            holds=_texts(facts.holds),
            resolved=_texts(facts.resolved),
        )
        return [opened, off]


def _texts(stretches: Sequence[Stretch]) -> tuple[tuple[str, str], ...]:
    return tuple((iso(begun), iso(ended)) for begun, ended in stretches)


def _opening(tx: ReadTx, ticket: Ticket, going: Sequence[Going], parting: Parting) -> _Opening:
    first = going[0]
    opened = opened_at([one.opened_at for one in going], _openings(tx, ticket))
    facts = taken_over(sla.replay(sla_store.happened(tx, [ticket.id])[ticket.id]), opened, tx.now)
    row = {
        "status": ticket.status.value,
        "priority": min(one.priority for one in going),
        "service": first.service,
        "title": parting.title,
        "description": f"Split from ticket {ticket.id}: {parting.reason}",
        "assignee": ticket.assignee,
        "opened_by": f"rule:{first.rule}",
        "opened_at": opened,
        "acknowledge_from": facts.acknowledge_from,
        "acknowledged_at": facts.acknowledged_at,
        "late_s": max(0, int((opened - first.first_seen_at).total_seconds())),
        "team": teams_of(tx, [first.service]).get(first.service) or ticket.team,
        "split_from": ticket.id,
    }
    return _Opening(row, facts, first)


def _openings(tx: ReadTx, ticket: Ticket) -> list[datetime]:
    """When a ticket opened, and those that were merged into it."""
    return [ticket.opened_at, *(one.opened_at for one in merge_service.merged_into(tx, ticket.id))]


def _let_go(tx: Tx, ticket_id: int, new_id: int) -> None:
    """An alert that was gathered because of one that is in another ticket now stands for itself."""
    gathered = [(one, parts(one.suppressed_by)[1]) for one in alerts.gathered_in(tx, (ticket_id, new_id))]
    ticket_of = alerts.tickets_of(tx, {cause for _, cause in gathered if cause is not None})
    apart = [one.id for one, cause in gathered if cause is not None and ticket_of.get(cause) != one.ticket_id]
    alerts.unsuppress_gathered(tx, apart)
