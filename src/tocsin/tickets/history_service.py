"""Time travel: a ticket as it was, from its events."""

from datetime import datetime

from tocsin.kit.errors import NotFound
from tocsin.storage.tx import ReadTx
from tocsin.tickets import history, service, sla, sla_service, store
from tocsin.tickets.history import Past
from tocsin.tickets.sla_service import Standing


def past(tx: ReadTx, ticket_id: int, at: datetime) -> tuple[Past, Standing | None]:
    """A ticket as it was at an instant, with its clocks as they stood then. Raises NotFound, also before it opened."""
    service.get(tx, ticket_id)
    found = history.replay(store.happened(tx, ticket_id, until=at))
    if found is None:
        raise NotFound(what=f"ticket {ticket_id} before it opened, at", id=at.isoformat())
    assigned = found.facts.assigned
    if assigned is None:
        return found, None
    clocks = sla.clocks(found.facts, sla_service.terms_of(tx, [found.facts])[assigned], at)
    return found, Standing(assigned, sla.loudest(clocks), clocks)
