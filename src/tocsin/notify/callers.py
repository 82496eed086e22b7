"""What routes and pages work with, given as functions: who is on call, and where deliveries are asked for."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tocsin.notify import channel_store, delivery_service
from tocsin.notify.routing import CONSOLE
from tocsin.notify.wanted import Wanted
from tocsin.oncall import rota
from tocsin.oncall.rota import Rota
from tocsin.storage.tx import ReadTx, Tx


@dataclass(frozen=True, slots=True)
class Callers:
    """`plan` writes deliveries; `cancel` takes back what was not sent of a ticket's calls."""

    rota: Rota
    plan: Callable[[Tx, Sequence[Wanted]], object]
    cancel: Callable[[Tx, int], object]


def _cancel(tx: Tx, ticket_id: int) -> object:
    return delivery_service.cancel_pages(tx, ticket_id, why="it is not called for any more")


def _channels(tx: ReadTx, names: Collection[str]) -> Collection[str]:
    return channel_store.usable(tx, names)


def _otherwise(tx: ReadTx) -> Sequence[str]:
    return channel_store.defaults(tx) or (CONSOLE,)


_ROTA: Final = replace(rota.KEPT, channels=_channels, otherwise=_otherwise)
KEPT: Final = Callers(_ROTA, delivery_service.plan, _cancel)
