"""The books: accounts of commits whose records were matched again, the balance of an hour, and the gaps in it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from tocsin.logs.sources import NONE, OTHERS, few
from tocsin.proof.facts import Entry, Happening, Verdict, Waiting

HOUR: Final = timedelta(hours=1)
MAX_GAPS: Final = 1000
KEPT_GAPS: Final = 100  # of an hour that is sealed
MISSING: Final = "records were accepted and are not stored, or can't be read"
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
class SourceLine:
    """Records of a source within an hour; `accepted` is None when some commits of the hour don't tell."""

    source: str
    accepted: int | None
    stored: int


@dataclass(frozen=True, slots=True)
class HourBalance:
    """What came in within an hour (by arrival), what of it was stored, and what its rules made of it.

    `waiting` records are still to be matched, with one rule or all; of a sealed hour, they were when it was sealed.
    `expired` ones are missing because they were let go of before hours were sealed.
    """

    hour: datetime
    sealed: bool
    accepted: int
    rejected: int
    stored: int
    waiting: int
    expired: int
    sources: Sequence[SourceLine]
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
class Page:
    """The books of some commits of an hour, as far as they were gone through: their balance and what does not fit."""

    balance: HourBalance
    commits: int
    gaps: Sequence[Gap]
    gaps_found: int


@dataclass(slots=True)
class Found:
    """Records that a rule version matches."""

    n: int = 0
    first_id: int = 0
    last_id: int = 0

    def add(self, n: int, first_id: int, last_id: int) -> None:
        self.first_id = min(self.first_id, first_id) if self.n else first_id
        self.last_id = max(self.last_id, last_id) if self.n else last_id
        self.n += n


@dataclass(slots=True)
class Account:
    """A commit while its records are matched again."""

    entry: Entry
    verdicts: list[Verdict] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    retries: list[Happening] = field(default_factory=list)
    stored: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    still_waiting: int = 0
    matched: dict[Key, Found] = field(default_factory=dict)
    raised: dict[Key, str] = field(default_factory=dict)

    @property
    def troubled(self) -> bool:
        """Whether not all of its records were matched at once with all rules."""
        return bool(self.waiting or self.retries) or any(v.verdict == "parked" for v in self.verdicts)

    @property
    def missing(self) -> int:
        return self.entry.accepted - self.stored

    @property
    def fits(self) -> bool:
        """Whether there are as many matches as verdicts."""
        return not self.raised and self.recorded() == {key: found.n for key, found in self.matched.items()}

    def recorded(self) -> Counter[Key]:
        found: Counter[Key] = Counter()
        for one in self.verdicts:
            if one.verdict != "parked":
                found[one.rule, one.rule_version] += one.n
        return found

    def begin_anew(self) -> None:
        self.still_waiting = 0
        self.matched, self.raised = {}, {}


def hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def pages(accounts: Sequence[Account], *, expired: int) -> list[Page]:
    """The books of these commits by hour, oldest first. Up to `expired` records may be missing."""
    excused = 0 < sum(one.missing for one in accounts) <= expired
    by_hour: dict[datetime, list[Account]] = {}
    for one in accounts:
        by_hour.setdefault(hour_of(one.entry.at), []).append(one)
    return [_page(hour, by_hour[hour], excused=excused) for hour in sorted(by_hour)]


def _page(hour: datetime, accounts: Sequence[Account], *, excused: bool) -> Page:
    gaps = [gap for one in accounts for gap in _gaps(one)]
    if not excused:
        gaps = [gap for one in accounts for gap in _missing(one)] + gaps
    expired = sum(one.missing for one in accounts) if excused else 0
    return Page(_balance(hour, accounts, expired), len(accounts), gaps[:MAX_GAPS], len(gaps))


def together(one: Page, other: Page, *, most_gaps: int = MAX_GAPS) -> Page:
    """Two parts of an hour as one."""
    a, b = one.balance, other.balance
    balance = HourBalance(
        hour=a.hour,
        sealed=a.sealed and b.sealed,
        accepted=a.accepted + b.accepted,
        rejected=a.rejected + b.rejected,
        stored=a.stored + b.stored,
        waiting=a.waiting + b.waiting,
        expired=a.expired + b.expired,
        sources=_added_sources(a.sources, b.sources),
        rules=_added_lines([*a.rules, *b.rules]),
    )
    gaps = [*one.gaps, *other.gaps][:most_gaps]
    return Page(balance, one.commits + other.commits, gaps, one.gaps_found + other.gaps_found)


def sealed(page: Page) -> Page:
    """The page of an hour that is sealed as a whole."""
    return replace(page, balance=replace(page.balance, sealed=True))


def _balance(hour: datetime, accounts: Sequence[Account], expired: int) -> HourBalance:
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
        sealed=False,
        accepted=sum(one.entry.accepted for one in accounts),
        rejected=sum(one.entry.rejected for one in accounts),
        stored=sum(one.stored for one in accounts),
        waiting=sum(one.still_waiting for one in accounts),
        expired=expired,
        sources=_sources(accounts),
        rules=[Line(*key, matched[key], dict(verdicts.get(key, {}))) for key in keys],
    )


def _sources(accounts: Iterable[Account]) -> list[SourceLine]:
    """The few sources that commits name; what came from others counts as one, as the commits have it."""
    accepted: Counter[str] = Counter()
    stored: Counter[str] = Counter()
    told = True
    for one in accounts:
        named = one.entry.sources
        if named is None:
            told = False
            accepted[NONE] += 0  # a line that says so, even if nothing is stored
            stored.update(one.sources)
            continue
        accepted.update(named)
        if unnamed := one.entry.accepted - sum(named.values()):
            accepted[NONE] += unnamed
        for source, n in one.sources.items():
            stored[source if source in named or source == NONE else OTHERS] += n
    return _few_lines(accepted, stored, told=told)


def _few_lines(accepted: Counter[str], stored: Counter[str], *, told: bool) -> list[SourceLine]:
    """A line for each of the sources with most records; `told`: what was accepted is known of all."""
    kept = few({name: max(accepted[name], stored[name]) for name in accepted.keys() | stored.keys()})
    folded = {name: name if name in kept else OTHERS for name in accepted.keys() | stored.keys()}
    n_accepted: Counter[str] = Counter()
    n_stored: Counter[str] = Counter()
    for name, into in folded.items():
        n_accepted[into] += accepted[name]
        n_stored[into] += stored[name]
    names = sorted(set(folded.values()))
    return [SourceLine(name, n_accepted[name] if told else None, n_stored[name]) for name in names]


def _added_sources(one: Sequence[SourceLine], other: Sequence[SourceLine]) -> list[SourceLine]:
    both = [*one, *other]
    stored: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    for line in both:
        stored[line.source] += line.stored
        accepted[line.source] += line.stored if line.accepted is None else line.accepted
    return _few_lines(accepted, stored, told=all(line.accepted is not None for line in both))


def _added_lines(lines: Iterable[Line]) -> list[Line]:
    matched: Counter[Key] = Counter()
    verdicts: dict[Key, Counter[str]] = {}
    for line in lines:
        matched[line.rule, line.version] += line.matched
        verdicts.setdefault((line.rule, line.version), Counter()).update(line.verdicts)
    return [Line(*key, matched[key], dict(verdicts[key])) for key in sorted(verdicts)]


def _gaps(account: Account) -> Iterator[Gap]:
    """Rule versions of a commit with more matches than verdicts, or fewer; what is missing may have had some."""
    recorded, entry = account.recorded(), account.entry
    for key in sorted(recorded.keys() | account.matched.keys() | account.raised.keys()):
        found = account.matched.get(key, Found(0, entry.first_log_id, entry.last_log_id))
        if key in account.raised:
            what = f"the rule raises on them now: {account.raised[key]}"
        elif recorded[key] < found.n:
            what = "records that match have no verdict"
        elif recorded[key] > found.n + account.missing:
            what = "more verdicts than records that match"
        else:
            continue
        yield Gap(hour_of(entry.at), entry.event_id, *key, found.first_id, found.last_id, found.n, recorded[key], what)


def _missing(account: Account) -> Iterator[Gap]:
    entry = account.entry
    if account.missing:
        span = (entry.first_log_id, entry.last_log_id)
        yield Gap(hour_of(entry.at), entry.event_id, None, None, *span, entry.accepted, account.stored, MISSING)
