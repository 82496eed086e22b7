"""Rules about new patterns: whether there was one before. What is known costs no query, or some for all of a commit.

A pattern that comes up while its service is still being learned, or in backfilled records, is known from then on. One
that comes up later opens an alert, once: its records are counted on that alert while it is open, and when it has ended
the pattern is known as well, unless nobody heard of it because a silence hid it to its end.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from tocsin.alerts import form_store, placing, store
from tocsin.alerts.form_store import Met
from tocsin.alerts.grouping import fingerprint_of
from tocsin.alerts.overflow import OTHER_PATTERNS
from tocsin.alerts.placing import Placed
from tocsin.alerts.rules import TEMPLATE
from tocsin.alerts.thresholds import Share
from tocsin.kit.events import Matched
from tocsin.storage.tx import Tx

MAX_REMEMBERED: Final = 8_192
_BEYOND: Final = 0
_MEMORY: Final = "tocsin.known_patterns"
_Pattern = tuple[str, int, str, int, int]  # rule, its version, service; the pattern's oldest form, and how many it has


@dataclass(frozen=True, slots=True)
class _Group:
    """The records of a commit that are of one pattern, the first ones first."""

    one: Placed
    matches: list[Matched]

    @property
    def met_as(self) -> Met:
        """What the rule knows the pattern as, once it has met it."""
        return self.matches[0].rule, self.matches[0].service, self.one.numbers[0]

    @property
    def forms(self) -> list[Met]:
        return [(self.matches[0].rule, self.matches[0].service, number) for number in self.one.numbers]

    def shares(self, verdict: str | None) -> list[Share]:
        """What is counted on an alert is placed by its pattern later on; what is beyond the bound has none."""
        if verdict is None and self.one.pattern_id is None:
            return [Share(_beyond(match).match, None, 0) for match in self.matches]
        return [Share(match, verdict, 0) for match in self.matches]


@dataclass(slots=True)
class _Memory:
    """What a connection knows to be known for good: groups by rule, version and fingerprint, and their patterns."""

    fingerprints: dict[tuple[str, int, str], None] = field(default_factory=dict)
    patterns: dict[_Pattern, None] = field(default_factory=dict)

    def has(self, match: Matched) -> bool:
        return (match.rule, match.rule_version, match.fingerprint) in self.fingerprints

    def knows(self, group: _Group) -> bool:
        return _pattern(group.matches[0], group.one) in self.patterns

    def keep(self, group: _Group) -> None:
        for known in (self.fingerprints, self.patterns):
            if len(known) >= MAX_REMEMBERED:
                known.clear()
        for match in group.matches:
            self.fingerprints[match.rule, match.rule_version, match.fingerprint] = None
        self.patterns[_pattern(group.matches[0], group.one)] = None


def weigh_new(tx: Tx, matches: Sequence[Matched], heard: Collection[str]) -> list[Share]:
    """What becomes of these records: `pending` when their pattern is known, or only learned. `heard`: the fingerprints
    of those with a record that nothing hides."""
    memory: _Memory = tx.connection.info.setdefault(_MEMORY, _Memory())
    shares = [Share(match, "pending", 0) for match in matches if memory.has(match)]
    asked = [match for match in matches if not memory.has(match)]
    own = store.hold_open(tx, {match.fingerprint for match in asked if not match.dry_run}) if asked else {}
    shares += [Share(match, None, 0) for match in asked if match.fingerprint in own]
    asked = [match for match in asked if match.fingerprint not in own]
    found = placing.look_up(tx, asked)
    groups = _by_pattern([match for match in asked if match.fingerprint in found], found)
    known, unmet = _weigh_known(tx, groups, heard, memory)
    new = [match for match in asked if match.fingerprint not in found] + [m for group in unmet for m in group.matches]
    return [*shares, *known, *_weigh_first(tx, new, heard, memory)]


def _weigh_first(tx: Tx, matches: Sequence[Matched], heard: Collection[str], memory: _Memory) -> list[Share]:
    """Records whose pattern was not known a moment ago. Their services are held now, so this is the last word."""
    if not matches:
        return []
    known, unmet = _weigh_known(tx, _by_pattern(matches, placing.learn(tx, matches)), heard, memory)
    return [*known, *_meet(tx, unmet)]


def _by_pattern(matches: Sequence[Matched], found: Mapping[str, Placed]) -> list[_Group]:
    groups: dict[_Pattern, _Group] = {}
    for match in sorted(matches, key=lambda m: m.first_id):
        one = found.get(match.fingerprint) or _beyond(match)
        groups.setdefault(_pattern(match, one), _Group(one, [])).matches.append(match)
    return list(groups.values())


def _weigh_known(
    tx: Tx, groups: Sequence[_Group], heard: Collection[str], memory: _Memory
) -> tuple[list[Share], list[_Group]]:
    """What becomes of the patterns that their rules have met, and those that they have not."""
    asked = [group for group in groups if not memory.knows(group)]
    shares = [share for group in groups if memory.knows(group) for share in group.shares("pending")]
    met = form_store.known(tx, [at for group in asked for at in group.forms])
    alerted: list[_Group] = []
    unmet: list[_Group] = []
    for group in asked:
        mine = [met[at] for at in group.forms if at in met]
        settled = [one.at for one in mine if not one.alerted]
        if settled:
            shares += group.shares("pending")
            if min(settled) < tx.now:  # what this transaction has written may come to nothing
                memory.keep(group)
        else:
            (alerted if mine else unmet).append(group)
    return shares + (_weigh_alerted(tx, alerted, heard) if alerted else []), unmet


def _weigh_alerted(tx: Tx, groups: Sequence[_Group], heard: Collection[str]) -> list[Share]:
    """What becomes of patterns that have opened an alert. One that has ended is over for good, unless nobody was told
    of it."""
    of_first = {group.matches[0].fingerprint: group for group in groups}
    audible = {first for first, group in of_first.items() if any(m.fingerprint in heard for m in group.matches)}
    open_now = placing.open_of(tx, {first: group.one for first, group in of_first.items()}, audible)
    ended = [group for first, group in of_first.items() if first not in open_now]
    told = store.told_of(tx, {fingerprint for group in ended for fingerprint in group.one.fingerprints})
    over = [group for group in ended if not _unheard(group, told)]
    form_store.settle_known(tx, [at for group in over for at in group.forms])
    return [share for group in groups for share in group.shares("pending" if group in over else None)]


def _unheard(group: _Group, told: Mapping[str, bool]) -> bool:
    """Whether a pattern has had alerts, and people were told of none of them."""
    mine = [told[fingerprint] for fingerprint in group.one.fingerprints if fingerprint in told]
    return bool(mine) and not any(mine)


def _meet(tx: Tx, groups: Sequence[_Group]) -> list[Share]:
    """What becomes of patterns that their rules meet for the first time."""
    if not groups:
        return []
    since = form_store.learning_since(tx, {group.met_as[:2] for group in groups})
    learned = {group.met_as for group in groups if _is_learned(group, tx.now, since)}
    rows = {group.met_as: group.met_as not in learned and not group.matches[0].dry_run for group in groups}
    alerting = form_store.make_known(tx, rows) - learned
    return [share for group in groups for share in group.shares(None if group.met_as in alerting else "pending")]


def _is_learned(group: _Group, now: datetime, since: Mapping[tuple[str, str], datetime]) -> bool:
    return now < since[group.met_as[:2]] + timedelta(seconds=group.matches[0].learn_s or 0)


def learn_from(tx: Tx, matches: Sequence[Matched]) -> None:
    """Take the patterns of backfilled records for known."""
    if not matches:
        return
    groups = _by_pattern(matches, placing.look_up_or_learn(tx, matches))
    form_store.learning_since(tx, {group.met_as[:2] for group in groups})
    met = form_store.known(tx, [at for group in groups for at in group.forms])
    form_store.make_known(tx, {group.met_as: False for group in groups if met.keys().isdisjoint(group.forms)})


def _beyond(match: Matched) -> Placed:
    """All that is beyond the bound of a service counts as one pattern."""
    fingerprint = fingerprint_of(match.rule, match.service, OTHER_PATTERNS)
    other = replace(
        match,
        fingerprint=fingerprint,
        template=OTHER_PATTERNS,
        title=f"{match.service}: more patterns than are told apart",
        group=(),
        key=tuple((name, OTHER_PATTERNS if name == TEMPLATE else value) for name, value in match.key),
    )
    return Placed(other, None, OTHER_PATTERNS, (fingerprint,), (_BEYOND,))


def _pattern(match: Matched, one: Placed) -> _Pattern:
    return match.rule, match.rule_version, match.service, one.numbers[0], len(one.numbers)
