"""Sealing: the books of commits are gone through and written down before retention removes their records.

It goes in the order of commits, in slices, and remembers how far: so each commit is on one page once, whatever is
killed, and whatever a clock does. What does not balance is written down as well; it holds nothing up.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from tocsin.kit.actors import SYSTEM
from tocsin.kit.errors import Conflict
from tocsin.kit.events import HourSealed
from tocsin.kit.metrics import Metrics
from tocsin.logs.search import again_if_vanished
from tocsin.logs.segmentfiles import Vanished
from tocsin.logs.service import LogReader
from tocsin.proof import sealed_store, store
from tocsin.proof.accounts import accounts_of
from tocsin.proof.again import RulesThen
from tocsin.proof.books import HOUR, KEPT_GAPS, Account, Page, pages, sealed, together
from tocsin.proof.facts import Entry
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx, Tx

CLOCKS_DIFFER: Final = timedelta(minutes=1)  # at most, between servers that share a database
KEPT_STATES: Final = 16  # of the rules
PATIENCE: Final = timedelta(hours=1)  # with records that wait for a rule that raises

log = structlog.get_logger("tocsin.sealing")


@dataclass(frozen=True, slots=True)
class _Slice:
    """Commits at positions in [`begin`, `end`), gone through; `newest`: there are no later ones. `reach`: nothing
    earlier is to come, but for clocks that are set back."""

    begin: int
    end: int
    newest: bool
    reach: datetime
    accounts: Sequence[Account]


@dataclass(slots=True)
class Sealer:
    """Seals commits when it is asked to."""

    database: Database
    logs: LogReader
    metrics: Metrics
    at_once: store.Bounds = store.AT_ONCE
    _rules: RulesThen = field(default_factory=RulesThen)

    def seal(self, position: int, *, hurry: bool, deadline: float) -> int:
        """Seal what was committed before a position, and the rest of hours that are over by then.

        Returns up to which position all is sealed: less when the `deadline` (of `time.monotonic`) has come, or when
        records wait for a rule that raises and there is no `hurry`.
        """
        while True:
            begin, over = self.database.read(self._state)
            if begin >= position and not over:
                return begin
            slice_ = self._next(begin, over=over, hurry=hurry)
            if slice_ is None:
                return begin
            try:
                self._write(slice_)
            except Conflict:
                continue  # another worker was at it
            if slice_.newest or time.monotonic() > deadline:
                return slice_.end

    def _state(self, tx: ReadTx) -> tuple[int, bool]:
        """How far it is, and whether an hour that is over has only been begun."""
        return sealed_store.sealed_to(tx), bool(sealed_store.open_before(tx, tx.now - CLOCKS_DIFFER))

    def _next(self, begin: int, *, over: bool, hurry: bool) -> _Slice | None:
        """The next commits, with their records matched again; None when there are none, or they have to wait."""
        if len(self._rules.at) > KEPT_STATES:
            self._rules = RulesThen()
        horizon, end, now = 0, 0, self.database.clock.now()

        def commits(tx: ReadTx) -> Sequence[Entry]:
            nonlocal horizon, end
            horizon = max(sealed_store.horizon(tx, self.database), begin)
            found = store.entries_at(tx, begin, horizon, most=self.at_once)
            parked = set() if hurry else sealed_store.oldest_parked_since(tx, now - PATIENCE)
            ready = next((n for n, entry in enumerate(found) if entry.event_id in parked), len(found))
            behind = store.entries_at(tx, found[-1].position + 1, horizon, most=store.Bounds(1, 1)) if found else []
            end = found[ready].position if ready < len(found) else found[-1].position + 1 if behind else horizon
            return found[:ready]

        try:
            accounts = again_if_vanished(lambda: accounts_of(self.database, self.logs, self._rules, commits))
        except Vanished:
            return None  # compaction or another worker is faster: later
        newest = end == horizon
        if not accounts and not (newest and (over or end > begin)):
            return None
        reach = now if newest else max(one.entry.at for one in accounts)
        return _Slice(begin, end, newest, reach, accounts)

    def _write(self, slice_: _Slice) -> None:
        """Put the slice on the pages of its hours and close those that are over. Raises Conflict."""
        kept, gaps = self.database.read(lambda tx: self._pages(tx, slice_))
        closed = [page for page in kept if page.balance.sealed]

        def write(tx: Tx) -> None:
            sealed_store.move_on(tx, slice_.begin, slice_.end)
            for page in kept:
                sealed_store.put(tx, page)
            tx.emit(*map(_told, closed))

        self.database.write(write, actor=SYSTEM)
        self.metrics.hours_sealed.inc(len(closed))
        self.metrics.sealed_gaps.inc(gaps)
        for page in closed:
            self._say(page)

    def _pages(self, tx: ReadTx, slice_: _Slice) -> tuple[list[Page], int]:
        """The pages as they are to be, and how many gaps were found."""
        missing = any(one.missing for one in slice_.accounts)
        lost = store.unsealed_losses(tx) - sealed_store.lost_unsealed(tx) if missing else 0
        new = pages(slice_.accounts, expired=lost)
        over = slice_.reach - CLOCKS_DIFFER
        merged = {page.balance.hour: page for page in sealed_store.open_before(tx, over)}
        for page in new:
            hour = page.balance.hour
            before = merged.get(hour) or sealed_store.page(tx, hour)
            short = replace(page, gaps=page.gaps[:KEPT_GAPS])
            merged[hour] = short if before is None else together(before, short, most_gaps=KEPT_GAPS)
        found = [sealed(page) if page.balance.hour + HOUR <= over else page for page in merged.values()]
        return found, sum(page.gaps_found for page in new)

    def _say(self, page: Page) -> None:
        balance = page.balance
        said = {"hour": balance.hour.isoformat(), "accepted": balance.accepted, "stored": balance.stored}
        if not page.gaps_found:
            log.info("hour_sealed", **said)
            return
        first = page.gaps[0]
        ids = f"{first.first_log_id}-{first.last_log_id}"
        log.warning("hour_sealed_with_gaps", gaps=page.gaps_found, first=ids, what=first.what, **said)


def _told(page: Page) -> HourSealed:
    balance = page.balance
    return HourSealed(
        hour=balance.hour,
        commits=page.commits,
        accepted=balance.accepted,
        rejected=balance.rejected,
        stored=balance.stored,
        waiting=balance.waiting,
        gaps=page.gaps_found,
    )
