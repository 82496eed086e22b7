"""Verify: match the stored records again with the rules recorded then, and hold the result against the verdicts.

For each commit: accepted = stored, and of each rule version as many matches as verdicts. What retention has removed
can't be matched again: so many records may be missing, and their verdicts be left over.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Final

from tocsin.alerts.detect import detect
from tocsin.alerts.rules import Rule
from tocsin.alerts.ruleset import RuleSet
from tocsin.logs.record import Record
from tocsin.logs.search import again_if_vanished
from tocsin.logs.service import LogReader
from tocsin.proof import store
from tocsin.proof.facts import Entry, Happening, Verdict, Waiting
from tocsin.proof.judging import columns_of, rules_that_judged
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx

HOUR: Final = timedelta(hours=1)
MAX_GAPS: Final = 1000
Key = tuple[str, int]  # a rule and its version


@dataclass(frozen=True, slots=True)
class Line:
    """A rule version within an hour: records it matches, and its verdicts. The `parked` ones were never matched, and
    don't count towards the balance."""

    rule: str
    version: int
    matched: int
    verdicts: dict[str, int]


@dataclass(frozen=True, slots=True)
class HourBalance:
    """What came in within an hour (by arrival), what of it is stored, and what its rules made of it.

    `waiting` records are still to be matched, with one rule or all.
    """

    hour: datetime
    accepted: int
    rejected: int
    stored: int
    waiting: int
    rules: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Gap:
    """Records of one commit that don't balance: `first_log_id` to `last_log_id` hold them. Without a rule, records are
    missing; `matched` is then how many were accepted, `recorded` how many are stored."""

    hour: datetime
    event_id: int
    rule: str | None
    version: int | None
    first_log_id: int
    last_log_id: int
    matched: int
    recorded: int
    what: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """The books of a span. `expired`: how many records retention has removed since it began, of whatever time; so many
    may be missing. `gaps` are the first 1,000; `gaps_found` counts all."""

    since: datetime
    until: datetime
    balanced: bool
    accepted: int
    stored: int
    expired: int
    gaps_found: int
    gaps: Sequence[Gap]
    hours: Sequence[HourBalance]


@dataclass(slots=True)
class _Found:
    n: int = 0
    first_id: int = 0
    last_id: int = 0

    def add(self, n: int, first_id: int, last_id: int) -> None:
        self.first_id = min(self.first_id, first_id) if self.n else first_id
        self.last_id = max(self.last_id, last_id) if self.n else last_id
        self.n += n


@dataclass(slots=True)
class _Account:
    """A commit while its records are matched again."""

    entry: Entry
    verdicts: list[Verdict] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    retries: list[Happening] = field(default_factory=list)
    stored: int = 0
    still_waiting: int = 0
    matched: dict[Key, _Found] = field(default_factory=dict)
    raised: dict[Key, str] = field(default_factory=dict)

    @property
    def troubled(self) -> bool:
        """Whether not all of its records were matched at once with all rules."""
        return bool(self.waiting or self.retries) or any(v.verdict == "parked" for v in self.verdicts)

    def recorded(self) -> Counter[Key]:
        found: Counter[Key] = Counter()
        for one in self.verdicts:
            if one.verdict != "parked":
                found[one.rule, one.rule_version] += one.n
        return found


class _Rules:
    """The rules of each state, read once."""

    def __init__(self) -> None:
        self.at: dict[int, list[Rule]] = {}
        self._made: dict[int, RuleSet] = {}

    def read(self, tx: ReadTx, rulesets: Iterable[int]) -> None:
        for ruleset in set(rulesets) - self.at.keys():
            self.at[ruleset] = store.rules_at(tx, ruleset)

    def ruleset(self, number: int) -> RuleSet:
        if number not in self._made:
            self._made[number] = RuleSet(number, self.at[number])
        return self._made[number]


def verify(database: Database, logs: LogReader, since: datetime, until: datetime) -> Ledger:
    """The books of what arrived in [since, until), hour by hour. Raises Vanished when logs are reorganised too fast."""
    commits, first_at = database.read(lambda tx: store.commits_within(tx, since, until))
    books = _Books(database, logs)
    if first_at is not None:
        books.fill(first_at, until)
    if books.commits < commits:  # a clock was set back: they aren't where their time would have them
        books = _Books(database, logs, near=False)
        books.fill(first_at or since, until)
    return books.closed(since, until)


class _Books:
    """What is found out hour by hour."""

    def __init__(self, database: Database, logs: LogReader, *, near: bool = True) -> None:
        self._database, self._logs, self._near = database, logs, near
        self._rules = _Rules()
        self._hours: list[HourBalance] = []
        self._gaps: list[Gap] = []
        self._missing: list[Gap] = []
        self._first_event: int | None = None
        self.commits = 0

    def fill(self, start: datetime, until: datetime) -> None:
        while start < until:
            end = min(_hour_of(start) + HOUR, until)
            self._add(start, again_if_vanished(partial(self._accounts, start, end)))
            start = end

    def _accounts(self, since: datetime, until: datetime) -> list[_Account]:
        """The commits of an hour with their records matched again."""
        accounts = self._database.read(lambda tx: _opened(tx, self._rules, since, until, near=self._near))
        _fill(accounts, self._logs, self._rules, since, until)
        return accounts

    def _add(self, start: datetime, accounts: Sequence[_Account]) -> None:
        if not accounts:
            return
        first = min(one.entry.event_id for one in accounts)
        self._first_event = first if self._first_event is None else min(first, self._first_event)
        self.commits += len(accounts)
        self._hours.append(_balance(_hour_of(start), accounts))
        self._gaps += [gap for one in accounts for gap in _gaps(one)]
        self._missing += [gap for one in accounts for gap in _missing(one)]

    def closed(self, since: datetime, until: datetime) -> Ledger:
        """The outcome. As many records as retention has removed may be missing."""
        event_id = self._first_event
        expired = 0 if event_id is None else self._database.read(lambda tx: store.expired_since(tx, event_id))
        lost = sum(gap.matched - gap.recorded for gap in self._missing) > expired
        gaps = self._missing + self._gaps if lost else self._gaps
        return Ledger(
            since=since,
            until=until,
            balanced=not gaps,
            accepted=sum(one.accepted for one in self._hours),
            stored=sum(one.stored for one in self._hours),
            expired=expired,
            gaps_found=len(gaps),
            gaps=gaps[:MAX_GAPS],
            hours=self._hours,
        )


def _hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _fill(accounts: Sequence[_Account], logs: LogReader, rules: _Rules, since: datetime, until: datetime) -> None:
    """Match the stored records of an hour again, each for its commit."""
    if not accounts:
        return
    first_id = accounts[0].entry.first_log_id
    last_id = max(one.entry.last_log_id for one in accounts)
    starts = [one.entry.first_log_id for one in accounts]
    for records in logs.arrived(since, until, first_id=first_id, last_id=last_id):
        for place, part in groupby(records, key=lambda record: bisect_right(starts, record.id) - 1):
            if place >= 0:
                account = accounts[place]
                # Others came in since the accounts were opened, or lie between two commits of another server.
                mine = [record for record in part if record.id <= account.entry.last_log_id]
                account.stored += len(mine)
                _match_again(account, mine, rules)


def _opened(tx: ReadTx, rules: _Rules, since: datetime, until: datetime, *, near: bool) -> list[_Account]:
    """The commits with everything that is recorded of them, as of one moment."""
    accounts = {entry.event_id: _Account(entry) for entry in store.entries(tx, since, until, near=near)}
    if not accounts:
        return []
    first_id = min(one.entry.first_log_id for one in accounts.values())
    last_id = max(one.entry.last_log_id for one in accounts.values())
    for verdict in store.verdicts_between(tx, first_id, last_id):
        if verdict.event_id in accounts:
            accounts[verdict.event_id].verdicts.append(verdict)
    for waiting in store.waiting_between(tx, first_id, last_id):
        if waiting.event_id in accounts:
            accounts[waiting.event_id].waiting.append(waiting)
    retries = store.retries_since(tx, min(accounts))
    for retry in retries:
        if retry.cause_id in accounts:
            accounts[retry.cause_id].retries.append(retry)
    rules.read(tx, [one.entry.ruleset for one in accounts.values()])
    rules.read(tx, [retry.data["ruleset"] for retry in retries if retry.data.get("ruleset")])
    return list(accounts.values())


def _match_again(account: _Account, records: Sequence[Record], rules: _Rules) -> None:
    if not account.troubled:
        for backfill, part in groupby(records, key=lambda record: record.backfill):
            _add(account, list(part), rules.ruleset(account.entry.ruleset), backfill=backfill)
        return
    for record in records:
        retries = [one for one in account.retries if one.data["first_id"] <= record.id <= one.data["last_id"]]
        judging, _ = rules_that_judged(account.entry.ruleset, retries, rules.at.__getitem__)
        open_to = [rule for rule in judging if not _is_parked(account, rule, record.id)]
        account.still_waiting += any(w.first_log_id <= record.id <= w.last_log_id for w in account.waiting)
        _add(account, [record], RuleSet(0, open_to), backfill=record.backfill)


def _is_parked(account: _Account, rule: Rule, record_id: int) -> bool:
    """Whether a record waits for a rule, or is given up with it: it isn't known then whether it matches."""
    waits = (w for w in account.waiting if w.rule in {None, rule.name})
    given_up = (v for v in account.verdicts if v.verdict == "parked" and v.rule == rule.name)
    return any(one.first_log_id <= record_id <= one.last_log_id for one in _ranges(waits, given_up))


def _ranges(waits: Iterable[Waiting], given_up: Iterable[Verdict]) -> Iterator[Waiting | Verdict]:
    yield from waits
    yield from given_up


def _add(account: _Account, records: Sequence[Record], ruleset: RuleSet, *, backfill: bool) -> None:
    found = detect(columns_of(records), ruleset, first_id=0, backfill=backfill)
    for match in found.matches:
        if match.n:
            first_id, last_id = records[match.first_id].id, records[match.last_id].id
            account.matched.setdefault((match.rule, match.rule_version), _Found()).add(match.n, first_id, last_id)
    for one in found.undecided:
        account.raised[one.rule, one.rule_version] = one.reason


def _balance(hour: datetime, accounts: Sequence[_Account]) -> HourBalance:
    matched: Counter[Key] = Counter()
    verdicts: dict[Key, Counter[str]] = {}
    for account in accounts:
        for key, found in account.matched.items():
            matched[key] += found.n
        for one in account.verdicts:
            verdicts.setdefault((one.rule, one.rule_version), Counter())[one.verdict] += one.n
    keys = sorted(matched.keys() | verdicts.keys())
    return HourBalance(
        hour=hour,
        accepted=sum(one.entry.accepted for one in accounts),
        rejected=sum(one.entry.rejected for one in accounts),
        stored=sum(one.stored for one in accounts),
        waiting=sum(one.still_waiting for one in accounts),
        rules=[Line(*key, matched[key], dict(verdicts.get(key, {}))) for key in keys],
    )


def _gaps(account: _Account) -> Iterator[Gap]:
    """Rule versions of a commit with more matches than verdicts, or fewer; what is missing may have had some."""
    recorded, entry = account.recorded(), account.entry
    missing = entry.accepted - account.stored
    for key in sorted(recorded.keys() | account.matched.keys() | account.raised.keys()):
        found = account.matched.get(key, _Found(0, entry.first_log_id, entry.last_log_id))
        if key in account.raised:
            what = f"the rule raises on them now: {account.raised[key]}"
        elif recorded[key] < found.n:
            what = "records that match have no verdict"
        elif recorded[key] > found.n + missing:
            what = "more verdicts than records that match"
        else:
            continue
        yield Gap(_hour_of(entry.at), entry.event_id, *key, found.first_id, found.last_id, found.n, recorded[key], what)


def _missing(account: _Account) -> Iterator[Gap]:
    entry = account.entry
    if account.stored != entry.accepted:
        what = "records were accepted and are not stored, or can't be read"
        span = (entry.first_log_id, entry.last_log_id)
        yield Gap(_hour_of(entry.at), entry.event_id, None, None, *span, entry.accepted, account.stored, what)
