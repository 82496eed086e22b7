"""How a count goes through the stock: the newest parts first, some at a time, until the budget is over."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import polars as pl

from tocsin.logs.budget import Budget
from tocsin.logs.parts import Part, Parts, Scanned, Sought, Wanted, collected

MAX_BATCH: Final = 16
_QUICK_S: Final = 0.1
_MANY_ROWS: Final = 50_000


class Count:
    """One count over the parts that may hold what is sought.

    `batches` are those that were read. `partial`: the budget was over before all were.
    """

    def __init__(self, parts: Parts, sought: Sought, budget: Budget) -> None:
        self._parts = parts
        self._sought = sought
        self._budget = budget
        self.scanned = Scanned()
        self.partial = False
        self.batches: list[Sequence[Part]] = []
        self.waiting: Sequence[Part] = sorted(parts.for_(sought, self.scanned), key=lambda p: p.max_at, reverse=True)

    def frames(self, wanted: Wanted, count: Callable[[pl.LazyFrame], pl.LazyFrame]) -> Iterator[pl.DataFrame]:
        """What `count` makes of the records sought, `wanted` of each; a frame must be used up before the next.

        Parts are read together because one at a time does not fill a machine. Fewer are after a batch that took long,
        so that a budget is heeded soon, and after one of which many rows remained, so that they fit into memory.
        """
        size = 1
        while self.waiting:
            batch, self.waiting = self.waiting[:size], self.waiting[size:]
            begun, rows = time.monotonic(), 0
            if self._over():
                return
            self.batches.append(batch)
            for lazy in self._parts.scan(batch, self._sought, wanted, self.scanned, self._budget):
                if self._over():
                    return
                counted = collected(count(lazy))
                rows += len(counted)
                self.partial |= self._budget.cut
                yield counted
            light = rows <= _MANY_ROWS and time.monotonic() - begun <= _QUICK_S
            size = min(size * 2, MAX_BATCH) if light else max(size // 2, 1)

    def _over(self) -> bool:
        over = self._budget.over or self._budget.cut
        self.partial |= over
        return over
