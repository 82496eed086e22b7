"""Rules about new patterns: whether there was one before. What is known costs no query.

A pattern that comes up while its service is still being learned, or in backfilled records, is known from then on. One
that comes up later opens an alert, once: its records are counted on that alert while it is open, and when it has ended
the pattern is known as well.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from tocsin.alerts import form_store, placing, store
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
_Key = tuple[str, int, str]
_Memory = dict[_Key, None]


def weigh_new(tx: Tx, matches: Sequence[Matched]) -> list[Share]:
    """What becomes of these records: `pending` when their pattern is known, or only learned."""
    memory: _Memory = tx.connection.info.setdefault(_MEMORY, {})
    shares = [Share(match, "pending", 0) for match in matches if _key(match) in memory]
    asked = [match for match in matches if _key(match) not in memory]
    own = store.hold_open(tx, {match.fingerprint for match in asked if not match.dry_run}) if asked else {}
    shares += [Share(match, None, 0) for match in asked if match.fingerprint in own]
    asked = [match for match in asked if match.fingerprint not in own]
    found = placing.look_up(tx, asked)
    new: list[Matched] = []
    for match in asked:
        one = found.get(match.fingerprint)
        share = None if one is None else _share_of_known(tx, match, one, memory)
        if share is None:
            new.append(match)
        else:
            shares.append(share)
    return shares + _weigh_first(tx, new, memory)


def _weigh_first(tx: Tx, matches: Sequence[Matched], memory: _Memory) -> list[Share]:
    """Records whose pattern was not known a moment ago. Their services are held now, so this is the last word."""
    found = placing.learn(tx, matches)
    shares: list[Share] = []
    opening: set[str] = set()
    for match in sorted(matches, key=lambda m: m.first_id):
        one = found.get(match.fingerprint) or _beyond(match)
        goes_as = one.match if one.pattern_id is None else match
        if one.fingerprints[0] in opening:
            shares.append(Share(goes_as, None, 0))
            continue
        share = _share_of_known(tx, match, one, memory) or _share_of_new(tx, goes_as, one)
        if share.verdict is None:
            opening.add(one.fingerprints[0])
        shares.append(share)
    return shares


def _share_of_known(tx: Tx, match: Matched, one: Placed, memory: _Memory) -> Share | None:
    """None when the rule has not met the pattern. An alert that has ended is over for good."""
    met = form_store.known(tx, match.rule, match.service, one.numbers)
    if not met:
        return None
    settled = [at for alerted, at in met if not alerted]
    if not settled:
        if store.hold_open(tx, one.fingerprints):
            return Share(match if one.pattern_id else one.match, None, 0)
        form_store.settle_known(tx, match.rule, match.service, one.numbers)
    elif min(settled) < tx.now:  # what this transaction has written may come to nothing
        if len(memory) >= MAX_REMEMBERED:
            memory.clear()
        memory[_key(match)] = None
    return Share(match, "pending", 0)


def _share_of_new(tx: Tx, match: Matched, one: Placed) -> Share:
    since = form_store.learning_since(tx, match.rule, match.service)
    learning = tx.now < since + timedelta(seconds=match.learn_s or 0)
    alerts = not learning and not match.dry_run
    first = form_store.make_known(tx, match.rule, match.service, one.numbers[0], alerted=alerts)
    return Share(match, None if first and not learning else "pending", 0)


def learn_from(tx: Tx, matches: Sequence[Matched]) -> None:
    """Take the patterns of backfilled records for known."""
    found = placing.look_up_or_learn(tx, matches)
    for match in matches:
        one = found.get(match.fingerprint) or _beyond(match)
        form_store.learning_since(tx, match.rule, match.service)
        if not form_store.known(tx, match.rule, match.service, one.numbers):
            form_store.make_known(tx, match.rule, match.service, one.numbers[0], alerted=False)


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


def _key(match: Matched) -> _Key:
    return match.rule, match.rule_version, match.fingerprint
