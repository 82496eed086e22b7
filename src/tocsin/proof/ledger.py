"""Verify: match the stored records again with the rules recorded then, and hold the result against the verdicts.

For each commit: accepted = stored, and of each rule version as many matches as verdicts. Hours whose logs retention may
have removed are on sealed books (see `sealing`): what those say is told as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from tocsin.kit.clock import MICROSECOND
from tocsin.logs.budget import Budget
from tocsin.logs.search import again_if_vanished
from tocsin.logs.segmentfiles import Vanished
from tocsin.logs.service import LogReader
from tocsin.proof import sealed_store, store
from tocsin.proof.accounts import accounts_of
from tocsin.proof.again import RulesThen
from tocsin.proof.books import MAX_GAPS, Account, Gap, HourBalance, Page, hour_of, pages, together
from tocsin.proof.facts import Entry
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx

MAX_HOURS: Final = 1000  # that are sealed, in one answer


@dataclass(frozen=True, slots=True)
class Ledger:
    """The books of a span, up to `reached`; `partial`: that is before its end. An hour that is sealed is told as a
    whole, so `since` may be earlier than what was asked for.

    `expired`: how many records of these hours may be missing because retention removed them while hours were not sealed
    before that. `gaps` are the first 1,000; `gaps_found` counts all.
    """

    since: datetime
    until: datetime
    reached: datetime
    partial: bool
    balanced: bool
    accepted: int
    stored: int
    expired: int
    gaps_found: int
    gaps: Sequence[Gap]
    hours: Sequence[HourBalance]


def verify(
    database: Database,
    logs: LogReader,
    since: datetime,
    until: datetime,
    *,
    budget: Budget | None = None,
    at_once: store.Bounds = store.AT_ONCE,
) -> Ledger:
    """The books of what arrived in [since, until), hour by hour, as far as the budget allows; without one, all. Raises
    Vanished when logs are reorganised too fast."""
    return again_if_vanished(lambda: _Books(database, logs, since, until, at_once).gone_through(budget))


class _Books:
    """What is found out, from one moment on."""

    def __init__(
        self, database: Database, logs: LogReader, since: datetime, until: datetime, at_once: store.Bounds
    ) -> None:
        self._database, self._logs, self._at_once = database, logs, at_once
        self._rules = RulesThen()
        self._sealed_to, sealed = database.read(
            lambda tx: (
                sealed_store.sealed_to(tx),
                sealed_store.pages_within(tx, since, until, limit=MAX_HOURS + 1) if since < until else [],
            )
        )
        self._asked_until = self._until = until
        if len(sealed) > MAX_HOURS:
            self._until = sealed.pop().balance.hour
        self._sealed = {page.balance.hour: page for page in sealed}
        self._since = min([since, *self._sealed])
        self._live: dict[datetime, Page] = {}
        self._losses: int | None = None  # how many records may be missing yet

    def gone_through(self, budget: Budget | None) -> Ledger:
        at: datetime | None = self._since
        while at is not None and at < self._until:
            try:
                accounts = again_if_vanished(partial(self._accounts, at))
            except _Overtaken:
                if not self._live:
                    raise
                return self._closed(at)  # what comes now is being sealed: to be asked for anew
            if not accounts:
                break
            self._add(accounts)
            last = max(one.entry.at for one in accounts)
            at = self._next(last)
            # An hour that is sealed in part is not left half told: it would be told of twice.
            if at is not None and budget is not None and budget.over and hour_of(at) not in self._sealed:
                return self._closed(at)
        return self._closed(self._until)

    def _next(self, last: datetime) -> datetime | None:
        return self._database.read(
            lambda tx: store.next_commit_at(tx, last + MICROSECOND, self._until, position=self._sealed_to)
        )

    def _accounts(self, at: datetime) -> list[Account]:
        """Some commits from an instant on that are not sealed, with their records matched again."""

        def commits(tx: ReadTx) -> Sequence[Entry]:
            return store.entries_from(tx, at, self._until, position=self._sealed_to, most=self._at_once)

        accounts = accounts_of(self._database, self._logs, self._rules, commits)
        sealed_to = self._database.read(sealed_store.sealed_to)
        if any(one.entry.position < sealed_to for one in accounts):
            raise _Overtaken  # their records may be gone since
        return accounts

    def _add(self, accounts: Sequence[Account]) -> None:
        missing = sum(one.missing for one in accounts)
        if missing and self._losses is None:
            first = min(one.entry.event_id for one in accounts)
            self._losses = self._database.read(lambda tx: store.unsealed_losses(tx, first))
        found = pages(accounts, expired=self._losses or 0)
        if missing and self._losses:
            self._losses -= sum(page.balance.expired for page in found)
        for page in found:
            hour = page.balance.hour
            self._live[hour] = together(self._live[hour], page) if hour in self._live else page

    def _closed(self, reached: datetime) -> Ledger:
        told = dict(self._live)
        for hour, page in self._sealed.items():
            if hour < reached:
                told[hour] = together(page, told[hour]) if hour in told else page
        found = [told[hour] for hour in sorted(told)]
        gaps = [gap for page in found for gap in page.gaps]
        hours = [page.balance for page in found]
        return Ledger(
            since=self._since,
            until=self._asked_until,
            reached=reached,
            partial=reached < self._asked_until,
            balanced=not gaps,
            accepted=sum(one.accepted for one in hours),
            stored=sum(one.stored for one in hours),
            expired=sum(one.expired for one in hours),
            gaps_found=sum(page.gaps_found for page in found),
            gaps=gaps[:MAX_GAPS],
            hours=hours,
        )


class _Overtaken(Vanished):
    """Commits were sealed while their records were matched again."""
