"""Records matched again: whole columns at once where that tells it exactly, else by the detection that did it first.

Where the columns' count is not what was recorded of a commit, its records are put before detection one by one: that is
what has the last word.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final, Protocol

import numpy as np
import polars as pl

from tocsin.alerts.detect import detect
from tocsin.alerts.rules import CONDITIONS, Kind, Rule
from tocsin.alerts.ruleset import RuleSet
from tocsin.logs.record import Record
from tocsin.logs.sources import NONE
from tocsin.proof.books import Account, Found, Key
from tocsin.proof.facts import Verdict, Waiting
from tocsin.proof.judging import columns_of, rules_that_judged
from tocsin.query.expressions import Layout, compile_bounds

MAX_TOLD: Final = 24  # rules whose expressions are tried on all records; more are found by what they need
Ids = Any  # an array of integers


@dataclass(slots=True)
class RulesThen:
    """The rules of each state, as they are needed."""

    at: dict[int, list[Rule]] = field(default_factory=dict)
    _made: dict[tuple[int, frozenset[str] | None], RuleSet] = field(default_factory=dict)

    def ruleset(self, number: int, names: frozenset[str] | None = None) -> RuleSet:
        """The rules of a state, all or only some of them."""
        if (number, names) not in self._made:
            rules = [rule for rule in self.at[number] if names is None or rule.name in names]
            self._made[number, names] = RuleSet(number, rules)
        return self._made[number, names]


@dataclass(frozen=True, slots=True)
class Plan:
    """How the rules of a state are held against records of one layout: those that columns tell exactly, and the names
    of the `others`, which need a look at those records of which `possible` is true."""

    told: Sequence[tuple[Key, pl.Expr]]
    others: frozenset[str]
    possible: pl.Expr


def plan(rules: Sequence[Rule], layout: Layout, *, most: int = MAX_TOLD) -> Plan:
    """What is cheapest, and certain."""
    told: list[tuple[Key, pl.Expr]] = []
    others: dict[str, pl.Expr] = {}
    for rule in rules:
        if not rule.enabled:
            continue
        try:
            parts = [rule.node(), rule.hit()] if rule.kind is Kind.RATIO else [rule.node()]
            bounds = [compile_bounds(node, layout, CONDITIONS) for node in parts]
        except Exception:  # noqa: BLE001  # it is for detection to say what is wrong with the rule
            others[rule.name] = pl.lit(value=True)
            continue
        if all(one.exact for one in bounds) and len(told) < most:
            told.append(((rule.name, rule.version), pl.all_horizontal([one.possible for one in bounds])))
        else:
            others[rule.name] = bounds[0].possible  # a ratio that raises may do so on any it looks at
    many = len(others) > MAX_TOLD
    possible = pl.lit(value=True) if many else pl.any_horizontal([*others.values(), pl.lit(value=False)])
    return Plan(told, frozenset(others), possible)


class Part(Protocol):
    """Some stored records."""

    @property
    def layout(self) -> Layout:
        """Which attributes have columns."""
        ...

    def read(self, *wanted: pl.Expr | str) -> pl.DataFrame:
        """Some columns of all of them."""
        ...

    def records(self, which: pl.Expr) -> Sequence[Record]:
        """Those of which `which` is true, by id."""
        ...


class Matching:
    """Accounts, by the ids of their first records, that parts of the stored records are entered on."""

    def __init__(self, accounts: Sequence[Account], rules: RulesThen, *, most_told: int = MAX_TOLD) -> None:
        self._accounts = accounts
        self._rules = rules
        self._most_told = most_told
        self._starts = [one.entry.first_log_id for one in accounts]
        self._firsts = np.array(self._starts, dtype=np.int64)
        self._lasts = np.array([one.entry.last_log_id for one in accounts], dtype=np.int64)
        self._states = np.array([one.entry.ruleset for one in accounts], dtype=np.int64)
        self._troubled = np.array([one.troubled for one in accounts], dtype=bool)

    def enter(self, part: Part) -> None:
        """Count what is stored and what matches."""
        heads = part.read("id", "source")
        places = self._places(heads)
        self._count_stored(places, heads.get_column("source"))
        there = np.unique(places[places >= 0])
        for state in np.unique(self._states[there[~self._troubled[there]]]):
            self._match(part, int(state))
        self._by_detection(part, there[self._troubled[there]])

    def enter_again(self, part: Part, doubtful: Sequence[bool]) -> None:
        """Match by detection what belongs to some of the accounts, which have begun anew."""
        places = self._places(part.read("id"))
        there = np.unique(places[places >= 0])
        self._by_detection(part, there[np.array(doubtful, dtype=bool)[there]])

    def _places(self, frame: pl.DataFrame) -> Ids:
        """Which account each row is of; -1: none of these."""
        ids = frame.get_column("id").to_numpy()
        places = np.searchsorted(self._firsts, ids, side="right") - 1
        return np.where((places >= 0) & (ids <= self._lasts[places]), places, -1)

    def _count_stored(self, places: Ids, sources: pl.Series) -> None:
        """One source for all is the rule, and none the most frequent one."""
        if sources.null_count() == len(sources):
            for place, n in zip(*np.unique(places[places >= 0], return_counts=True), strict=True):
                self._accounts[place].stored += int(n)
                self._accounts[place].sources[NONE] += int(n)
            return
        counted = pl.DataFrame({"place": places, "source": sources}).filter(pl.col("place") >= 0)
        for place, source, n in counted.group_by("place", "source").len().rows():
            self._accounts[place].stored += n
            self._accounts[place].sources[NONE if source is None else source] += n

    def _match(self, part: Part, state: int) -> None:
        how = plan(self._rules.at[state], part.layout, most=self._most_told)
        mine = (self._states == state) & ~self._troubled
        if how.told:
            # Ids are read once more: in which order rows come is for each reading to decide.
            frame = part.read("id", *[mark.alias(str(n)) for n, (_, mark) in enumerate(how.told)])
            places = self._places(frame)
            inside = (places >= 0) & mine[places]
            for n, (key, _) in enumerate(how.told):
                rows = frame.get_column(str(n)).to_numpy() & inside
                if rows.any():
                    self._enter_matches(key, frame.get_column("id").to_numpy()[rows], places[rows])
        if how.others:
            ruleset = self._rules.ruleset(state, how.others)
            for account, records in self._of_accounts(part.records(how.possible), mine):
                detect_again(account, records, ruleset)

    def _enter_matches(self, key: Key, ids: Ids, places: Ids) -> None:
        found = pl.DataFrame({"place": places, "id": ids}).group_by("place")
        first, last = pl.col("id").min().alias("first"), pl.col("id").max().alias("last")
        for place, n, first_id, last_id in found.agg(pl.len(), first, last).rows():
            self._accounts[place].matched.setdefault(key, Found()).add(n, first_id, last_id)

    def _by_detection(self, part: Part, wanted: Ids) -> None:
        if not len(wanted):
            return
        which = np.zeros(len(self._accounts), dtype=bool)
        which[wanted] = True
        inside = pl.col("id").is_between(int(self._firsts[wanted[0]]), int(self._lasts[wanted[-1]]))
        for account, records in self._of_accounts(part.records(inside), which):
            match_again(account, records, self._rules)

    def _of_accounts(self, records: Iterable[Record], which: Ids) -> Iterator[tuple[Account, list[Record]]]:
        """Records, by id, with the account they are of, if it is one of these."""
        for place, some in groupby(records, key=lambda record: bisect_right(self._starts, record.id) - 1):
            if place >= 0 and which[place]:
                account = self._accounts[place]
                # Others lie between two commits of another server.
                mine = [record for record in some if record.id <= account.entry.last_log_id]
                if mine:
                    yield account, mine


def match_again(account: Account, records: Sequence[Record], rules: RulesThen) -> None:
    """Put records of a commit before the rules that had the last word on them."""
    if not account.troubled:
        detect_again(account, records, rules.ruleset(account.entry.ruleset))
        return
    for record in records:
        retries = [one for one in account.retries if one.data["first_id"] <= record.id <= one.data["last_id"]]
        judging, _ = rules_that_judged(account.entry.ruleset, retries, rules.at.__getitem__)
        open_to = [rule for rule in judging if not _is_parked(account, rule, record.id)]
        account.still_waiting += any(w.first_log_id <= record.id <= w.last_log_id for w in account.waiting)
        detect_again(account, [record], RuleSet(0, open_to))


def _is_parked(account: Account, rule: Rule, record_id: int) -> bool:
    """Whether a record waits for a rule, or is given up with it: it isn't known then whether it matches."""
    waits = (w for w in account.waiting if w.rule in {None, rule.name})
    given_up = (v for v in account.verdicts if v.verdict == "parked" and v.rule == rule.name)
    return any(one.first_log_id <= record_id <= one.last_log_id for one in _ranges(waits, given_up))


def _ranges(waits: Iterable[Waiting], given_up: Iterable[Verdict]) -> Iterator[Waiting | Verdict]:
    yield from waits
    yield from given_up


def detect_again(account: Account, records: Sequence[Record], ruleset: RuleSet) -> None:
    """Put records of a commit before some rules, by the same detection that judged them when they came in."""
    found = detect(columns_of(records), ruleset, first_id=0, backfill=False)  # which says only what verdict they get
    for match in found.matches:
        if match.n:
            first_id, last_id = records[match.first_id].id, records[match.last_id].id
            account.matched.setdefault((match.rule, match.rule_version), Found()).add(match.n, first_id, last_id)
    for one in found.undecided:
        account.raised[one.rule, one.rule_version] = one.reason
