"""The use case of importing tickets: each once, with its history; none of it pages anybody or starts a clock."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from tocsin.kit.actors import Actor
from tocsin.kit.errors import Invalid
from tocsin.kit.events import Event, TicketCommented, TicketLinked
from tocsin.storage import timers
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import import_store as store
from tocsin.tickets import link_store
from tocsin.tickets.correlation import AUTO_CLOSE
from tocsin.tickets.importing import Foreign, Plan, Tie, plan
from tocsin.tickets.links import INVERSE
from tocsin.tickets.service import AUTO_CLOSE_AFTER
from tocsin.tickets.workflow import Status

IMPORT: Final = "import"


@dataclass(slots=True)
class Imported:
    """What became of some tickets, by their place among those given. `known` were imported before, and stay as they
    are; of those that are `rejected` it says why."""

    created: dict[int, int] = field(default_factory=dict)
    known: dict[int, int] = field(default_factory=dict)
    rejected: dict[int, Invalid] = field(default_factory=dict)


def planned(tx: ReadTx, source: str, given: Sequence[Foreign]) -> tuple[Imported, dict[int, Plan]]:
    """What would become of these tickets. One that is given twice is planned once, the other is known by then."""
    outcome, plans = Imported(), dict[int, Plan]()
    there = store.known(tx, source, [one.external_id for one in given])
    for place, one in enumerate(given):
        if one.external_id in there:
            outcome.known[place] = there[one.external_id]
            continue
        try:
            plans[place] = plan(one, source=source, now=tx.now)
        except Invalid as error:
            outcome.rejected[place] = error
        else:
            there[one.external_id] = 0
    return outcome, plans


def take_in(tx: Tx, source: str, given: Sequence[Foreign]) -> Imported:
    """Write those of these tickets that are not here yet."""
    store.lock(tx)
    outcome, plans = planned(tx, source, given)
    ids = store.create(tx, [one.row for one in plans.values()])
    outcome.created = dict(zip(plans, ids, strict=True))
    said = [(ticket_id, one) for ticket_id, planned_ in zip(ids, plans.values(), strict=True)
            for one in planned_.comments]  # fmt: skip
    commented = defaultdict(list)
    for comment_id, (ticket_id, one) in zip(store.comment(tx, said), said, strict=True):
        commented[ticket_id].append((one.at, TicketCommented(ticket_id, comment_id)))
    told: list[tuple[datetime, Event]] = []
    for ticket_id, one_plan in zip(ids, plans.values(), strict=True):
        own = [(at, replace(event, ticket_id=ticket_id)) for at, event in one_plan.events]  # type: ignore[call-arg]  # all are events of a ticket
        told += sorted([*own, *commented[ticket_id]], key=lambda one: one[0])
    told += _tied(tx, source, {ticket_id: one.links for ticket_id, one in zip(ids, plans.values(), strict=True)})
    # Nothing follows from what is long past: no stage is called, so nobody is paged and no clock starts.
    tx.emit(*(event for _, event in told), at=[at for at, _ in told], actor=Actor(IMPORT, source), follow=False)
    resolved = [i for i, one in zip(ids, plans.values(), strict=True) if one.row["status"] == Status.RESOLVED.value]
    timers.put_many(tx, AUTO_CLOSE, {str(i): tx.now + AUTO_CLOSE_AFTER for i in resolved}, version=1)
    return outcome


def _tied(tx: Tx, source: str, ties: Mapping[int, Sequence[Tie]]) -> list[tuple[datetime, Event]]:
    """Link tickets with those that are here. Where the other one comes later, its own tie does it: each has one."""
    others = store.known(tx, source, [tie.external_id for some in ties.values() for tie in some])
    there = store.links_of(tx, list(ties)) if others else set()
    told: list[tuple[datetime, Event]] = []
    for ticket_id, some in ties.items():
        for tie in some:
            other_id = others.get(tie.external_id)
            if other_id is None or other_id == ticket_id or (ticket_id, tie.kind.value, other_id) in there:
                continue
            link_store.add(tx, ticket_id, tie.kind, other_id, at=tie.at, by=tie.by)
            inverse = INVERSE[tie.kind]
            there |= {(ticket_id, tie.kind.value, other_id), (other_id, inverse.value, ticket_id)}
            at = tie.at or tx.now
            told.append((at, TicketLinked(ticket_id, link=tie.kind.value, other_id=other_id)))
            told.append((at, TicketLinked(other_id, link=inverse.value, other_id=ticket_id)))
    return told
