"""What routes and pages work with, given as functions: who is on call, and where deliveries are asked for."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final, Protocol

from tocsin.notify import channel_store, delivery_service
from tocsin.notify.routing import CONSOLE
from tocsin.notify.wanted import Wanted
from tocsin.oncall import rota
from tocsin.oncall.person import Person
from tocsin.oncall.rota import Rota
from tocsin.storage.tx import ReadTx, Tx


@dataclass(frozen=True, slots=True)
class Callers:
    """`plan` writes deliveries; `cancel` takes back what was not sent of a ticket's calls, or of one run's."""

    rota: Rota
    plan: Callable[[Tx, Sequence[Wanted]], object]
    cancel: "Cancel"

    def remembering(self) -> "Callers":
        """The same for one batch: who is on call now, and who people are, is asked once for all of it."""
        return replace(self, rota=_remembering(self.rota))


class Cancel(Protocol):
    def __call__(self, tx: Tx, ticket_id: int, run_id: int | None = None) -> object: ...


def _remembering(kept: Rota) -> Rota:
    known: dict[str, Person | None] = {}

    def people(tx: ReadTx, names: Collection[str]) -> Mapping[str, Person]:
        new = set(names) - known.keys()
        if new:
            found = kept.people(tx, new)
            known.update({name: found.get(name) for name in new})
        return {name: person for name in names if (person := known[name]) is not None}

    return replace(kept, on_call=cache(kept.on_call), members=cache(kept.members), people=people)


def _cancel(tx: Tx, ticket_id: int, run_id: int | None = None) -> object:
    return delivery_service.cancel_pages(tx, ticket_id, run_id=run_id, why="it is not called for any more")


def _channels(tx: ReadTx, names: Collection[str]) -> Collection[str]:
    return channel_store.usable(tx, names)


def _otherwise(tx: ReadTx) -> Sequence[str]:
    return channel_store.defaults(tx) or (CONSOLE,)


_ROTA: Final = replace(rota.KEPT, channels=_channels, otherwise=_otherwise)
KEPT: Final = Callers(_ROTA, delivery_service.plan, _cancel)
