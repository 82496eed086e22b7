"""The use case of importing tickets: each once, with its history; none of it pages anybody or starts a clock."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tocsin.kit.actors import Actor
from tocsin.kit.errors import Invalid
from tocsin.storage import timers
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import import_store as store
from tocsin.tickets.correlation import AUTO_CLOSE
from tocsin.tickets.importing import Foreign, Plan, plan
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
    told = [
        (at, replace(event, ticket_id=ticket_id))  # type: ignore[call-arg]  # all are events of a ticket
        for ticket_id, one in zip(ids, plans.values(), strict=True)
        for at, event in one.events
    ]
    # Nothing follows from what is long past: no stage is called, so nobody is paged and no clock starts.
    tx.emit(*(event for _, event in told), at=[at for at, _ in told], actor=Actor(IMPORT, source), follow=False)
    resolved = [i for i, one in zip(ids, plans.values(), strict=True) if one.row["status"] == Status.RESOLVED.value]
    timers.put_many(tx, AUTO_CLOSE, {str(i): tx.now + AUTO_CLOSE_AFTER for i in resolved}, version=1)
    return outcome
