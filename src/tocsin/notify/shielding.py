"""Routes and calls may be broken: that never refuses a log, nor keeps anybody from hearing of it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import structlog

from tocsin.kit.events import Recorded, RoutingFailed
from tocsin.notify.callers import Callers
from tocsin.notify.message import Kind
from tocsin.notify.routing import CONSOLE
from tocsin.notify.wanted import Wanted
from tocsin.oncall.rota import Rota
from tocsin.storage.dialects import environment_fault
from tocsin.storage.tx import Handler, Tx

log = structlog.get_logger("tocsin.notify")


def shielded(
    tx: Tx, callers: Callers, work: Callable[[], object], *, part: str, about: Kind, event_id: int, ticket_id: int
) -> bool:
    """Whether the work was done. When it raises, nothing of it remains, the ticket says so, and the console hears."""
    try:
        with tx.aside():
            work()
    except Exception as error:
        if environment_fault(error):
            raise
        text = f"{type(error).__name__}: {error}"
        tell(tx, callers, text, part=part, about=about, event_id=event_id, ticket_id=ticket_id)
        return False
    return True


class Guard(Protocol):
    """How a part of the planning is run: `shielded`, or `bare` where all parts are shielded together."""

    def __call__(
        self,
        tx: Tx,
        callers: Callers,
        work: Callable[[], object],
        *,
        part: str,
        about: Kind,
        event_id: int,
        ticket_id: int,
    ) -> bool: ...


def bare(
    tx: Tx, callers: Callers, work: Callable[[], object], *, part: str, about: Kind, event_id: int, ticket_id: int
) -> bool:
    """Do the work; what it raises stops the others too."""
    work()
    return True


def together(tx: Tx, work: Callable[[], object], *, part: str) -> bool:
    """Whether the work for a whole batch was done; otherwise nothing of it remains, and each is to be done alone."""
    try:
        with tx.aside():
            work()
    except Exception as error:
        if environment_fault(error):
            raise
        log.warning("planned_one_by_one", part=part, error=f"{type(error).__name__}: {error}")
        return False
    return True


def guarded(handler: Callable[[Tx, Sequence[Recorded[Any]], Rota], None], callers: Callers) -> Handler:
    """A handler of escalation, event by event: one that raises changes nothing, and the ticket goes on all the same."""

    def handle(tx: Tx, batch: Sequence[Recorded[Any]]) -> None:
        for one in batch:
            work, ticket_id = partial(handler, tx, [one], callers.rota), one.event.ticket_id
            part = "the escalation"
            shielded(tx, callers, work, part=part, about=Kind.UPDATED, event_id=one.id, ticket_id=ticket_id)

    return handle


def tell(tx: Tx, callers: Callers, error: str, *, part: str, about: Kind, event_id: int, ticket_id: int) -> None:
    """Say that a part of the planning failed: in our own log, on the ticket, and on the console."""
    log.error("routing_failed", ticket_id=ticket_id, part=part, error=error)
    tx.emit(RoutingFailed(ticket_id, about=about.value, part=part, error=error[:500]), causes=[event_id])
    why: Mapping[str, object] = {"failed": part, "error": error[:500]}
    wanted = Wanted(
        key=f"failed:{event_id}:{part}", kind=about, event_id=event_id, ticket_id=ticket_id, channel=CONSOLE, why=why
    )
    attempted(tx, lambda: callers.plan(tx, [wanted]), part="the console")


def attempted(tx: Tx, work: Callable[[], object], *, part: str) -> bool:
    """Whether the work was done. When it raises, nothing of it remains, and only our own log says so."""
    try:
        with tx.aside():
            work()
    except Exception as error:
        if environment_fault(error):
            raise
        log.error("notice_failed", part=part, error=f"{type(error).__name__}: {error}")
        return False
    return True
