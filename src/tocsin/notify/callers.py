"""What routes and pages work with, given as functions: who is on call, and where deliveries are asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tocsin.notify import delivery_service
from tocsin.notify.wanted import Wanted
from tocsin.oncall import rota
from tocsin.oncall.rota import Rota
from tocsin.storage.tx import Tx


@dataclass(frozen=True, slots=True)
class Callers:
    """`plan` writes deliveries; `cancel` takes back what was not sent of a ticket's calls."""

    rota: Rota
    plan: Callable[[Tx, Sequence[Wanted]], object]
    cancel: Callable[[Tx, int], object]


def _cancel(tx: Tx, ticket_id: int) -> object:
    return delivery_service.cancel_pages(tx, ticket_id, why="it is not called for any more")


KEPT: Final = Callers(rota.KEPT, delivery_service.plan, _cancel)
