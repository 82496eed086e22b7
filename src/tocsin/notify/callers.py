"""What routes and pages work with, given as functions: who is on call, and where deliveries are asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tocsin.notify.wanted import Wanted
from tocsin.oncall.rota import Rota
from tocsin.storage.tx import Tx


@dataclass(frozen=True, slots=True)
class Callers:
    """`plan` writes deliveries; `cancel` takes back what was not sent of a ticket's pages."""

    rota: Rota
    plan: Callable[[Tx, Sequence[Wanted]], object]
    cancel: Callable[[Tx, int], object]
