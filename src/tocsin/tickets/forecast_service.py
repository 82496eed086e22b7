"""The use case of forecasts: what past tickets of its kind say of one that is open."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tocsin.kit.errors import Conflict
from tocsin.kit.priorities import Priority
from tocsin.storage.tx import ReadTx
from tocsin.tickets import forecast_store as store
from tocsin.tickets import sla_service
from tocsin.tickets.forecast import Curve, Forecast, curve, forecast
from tocsin.tickets.service import get
from tocsin.tickets.sla import RESOLVE
from tocsin.tickets.store import Ticket
from tocsin.tickets.workflow import UNRESOLVED

KINDS: Final = (("priority", "service", "team"), ("priority", "service"), ("priority", "team"), ("priority",), ())


@dataclass(frozen=True, slots=True)
class Outlook:
    """A forecast, for how long the ticket has been open, and when its resolve target is due; None: nothing can be
    said, or there is no target."""

    open_s: float
    due_at: datetime | None
    found: Forecast | None


def of_ticket(tx: ReadTx, ticket_id: int) -> Outlook:
    """Raises NotFound, and Conflict for a ticket that is over."""
    ticket = get(tx, ticket_id)
    if ticket.status not in UNRESOLVED:
        raise Conflict(detail=f"ticket {ticket_id} is {ticket.status.value}: there is nothing to forecast")
    standing = sla_service.standings(tx, [ticket]).get(ticket_id)
    clock = None if standing is None else standing.clocks.get(RESOLVE)
    due_at = None if clock is None else clock.due_at
    open_s = max((tx.now - ticket.opened_at).total_seconds(), 0.0)
    due_s = None if due_at is None else (due_at - ticket.opened_at).total_seconds()
    return Outlook(open_s, due_at, forecast(list(_groups(tx, ticket)), open_s=open_s, due_s=due_s))


def _groups(tx: ReadTx, ticket: Ticket) -> Iterator[tuple[str, Curve]]:
    """From the narrowest kind to all tickets."""
    for names in KINDS:
        alike: dict[str, Any] = {name: getattr(ticket, name) for name in names}
        if None not in alike.values():
            yield kind(alike), curve(*store.durations(tx, alike, but=ticket.id))


def kind(alike: dict[str, Any]) -> str:
    """What a group is called: `of P2, service payments`."""
    said = [Priority(value).name if name == "priority" else f"{name} {value}" for name, value in alike.items()]
    return f"of {', '.join(said)}" if said else "of any kind"
