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
from tocsin.tickets.forecast_store import Taken
from tocsin.tickets.service import get
from tocsin.tickets.sla import RESOLVE
from tocsin.tickets.sla_service import Standing
from tocsin.tickets.store import Ticket, get_many
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
    return _outlook(tx, ticket, sla_service.standings(tx, [ticket]).get(ticket_id), {})


def likeliest(tx: ReadTx, *, looked_at: int, limit: int) -> list[tuple[Ticket, Outlook]]:
    """Of the open tickets that are due next, those that are the likeliest to miss their resolve target, worst first;
    those of which nothing can be said at the end."""
    ids = store.next_due(tx, looked_at)
    tickets = get_many(tx, ids)
    standings = sla_service.standings(tx, tickets.values())
    known: _Known = {}
    found = [(tickets[i], _outlook(tx, tickets[i], standings.get(i), known)) for i in ids]
    return sorted((one for one in found if one[1].due_at is not None), key=_by_breach)[:limit]


def _by_breach(one: tuple[Ticket, Outlook]) -> tuple[float, float, int]:
    ticket, outlook = one
    said = None if outlook.found is None else outlook.found.breach
    left_s = 0.0 if outlook.due_at is None else outlook.due_at.timestamp()
    return (1.0 if said is None else -said), left_s, ticket.id


_Known = dict[tuple[tuple[str, Any], ...], Taken]


def _outlook(tx: ReadTx, ticket: Ticket, standing: Standing | None, known: _Known) -> Outlook:
    clock = None if standing is None else standing.clocks.get(RESOLVE)
    due_at = None if clock is None else clock.due_at
    open_s = max((tx.now - ticket.opened_at).total_seconds(), 0.0)
    due_s = None if due_at is None else (due_at - ticket.opened_at).total_seconds()
    return Outlook(open_s, due_at, forecast(list(_groups(tx, ticket, known)), open_s=open_s, due_s=due_s))


def _groups(tx: ReadTx, ticket: Ticket, known: _Known) -> Iterator[tuple[str, Curve]]:
    """From the narrowest kind to all tickets; what was read of a kind is kept in `known`."""
    for names in KINDS:
        alike: dict[str, Any] = {name: getattr(ticket, name) for name in names}
        if None in alike.values():
            continue
        key = tuple(alike.items())
        if key not in known:
            known[key] = store.taken(tx, alike)
        others = known[key].without(ticket.id)
        yield kind(alike), curve(others.durations_s, others.resolved)


def kind(alike: dict[str, Any]) -> str:
    """What a group is called: `of P2, service payments`."""
    said = [Priority(value).name if name == "priority" else f"{name} {value}" for name, value in alike.items()]
    return f"of {', '.join(said)}" if said else "of any kind"
