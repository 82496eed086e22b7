"""Absence rules at work: signs of life are noted with their commit, a timer per rule finds who is silent.

A rule knows at most `MAX_GROUPS` groups; when there are more, those whose ticket a person has resolved and that were
not seen since are forgotten, and if that is not enough, new ones are watched together as one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from tocsin.alerts import absence_store as store
from tocsin.alerts import rule_store
from tocsin.alerts import store as alerts
from tocsin.alerts.absence import (
    Group,
    due_at,
    group_of_match,
    is_fresh,
    only_group,
    silence_of,
    slack_of,
    still_up,
)
from tocsin.alerts.absence_store import Key
from tocsin.alerts.overflow import MAX_GROUPS, gathered, parted, rules_of
from tocsin.alerts.quieting import QUIET
from tocsin.alerts.rules import Kind, Rule
from tocsin.alerts.thresholds import Share
from tocsin.kit.actors import SYSTEM
from tocsin.kit.events import AbsenceEnded, AlertQuieted, Matched
from tocsin.storage import parking, timers
from tocsin.storage.database import Database
from tocsin.storage.timers import Timer
from tocsin.storage.tx import ReadTx, Tx

ABSENCE: Final = "rule.absence"
TURN: Final = 200
LOOK_AGAIN: Final = timedelta(seconds=10)
# With another one of these, the groups there were say nothing of those that there are to be.
_BEGINS_ANEW: Final = ("kind", "enabled", "condition", "service", "group_by", "correlate_by")


def watch(tx: Tx, matches: Sequence[Matched], *, observed_at: datetime, max_groups: int = MAX_GROUPS) -> list[Share]:
    """Note signs of life. Their verdict is `pending`: nothing is counted, the rule waits for there being none."""
    if not matches:
        return []
    known = store.find(tx, {_key(match) for match in matches})
    new = [match for match in matches if _key(match) not in known]
    new, outside = parted(new, {rule: _room(tx, rule, new, max_groups) for rule in rules_of(new)})
    others = gathered(outside)
    known |= store.find(tx, {_key(match) for match in others})
    new += [match for match in others if _key(match) not in known]
    beyond = {match.fingerprint for match in outside}
    apart = [match for match in matches if match.fingerprint not in beyond]
    _see(tx, [match for match in [*apart, *others] if _key(match) in known], known, observed_at)
    _learn(tx, new, observed_at)
    return [Share(match, "pending", 0) for match in apart] + [Share(match, "overflow", 0) for match in others]


def _key(match: Matched) -> Key:
    return match.rule, match.fingerprint


def _room(tx: Tx, rule: str, new: Sequence[Matched], max_groups: int) -> int:
    """How many more groups of a rule can be known."""
    wanted = sum(match.rule == rule for match in new)
    used = store.count(tx, rule)
    if used + wanted > max_groups:
        store.forget_done(tx, rule)
        used = store.count(tx, rule)
    return max_groups - used


def _see(tx: Tx, matches: Sequence[Matched], known: Mapping[Key, Group], observed_at: datetime) -> None:
    """Write down what tells something new of groups that are known."""
    stale = {_key(m): m for m in matches if not is_fresh(known[_key(m)], observed_at, m.absent_s)}
    if not stale:
        return
    store.see(tx, [group_of_match(match, observed_at) for match in stale.values()])
    held = store.find(tx, stale)  # the timer may have told of their absence since they were looked at
    _bring_back(tx, [match for key, match in stale.items() if key in held and held[key].absent], observed_at)


def _learn(tx: Tx, matches: Sequence[Matched], observed_at: datetime) -> None:
    """Know of groups from now on. An alert that is open, because the rule has begun anew, has seen its absence end."""
    if not matches:
        return
    firing = alerts.hold_open(tx, {match.fingerprint for match in matches if not match.dry_run})
    groups = [group_of_match(match, observed_at) for match in matches]
    store.learn(tx, [replace(group, absent=group.fingerprint in firing) for group in groups])
    _bring_back(tx, [match for match in matches if match.fingerprint in firing], observed_at)


def _bring_back(tx: Tx, matches: Sequence[Matched], observed_at: datetime) -> None:
    """Groups are there again: their alerts end when that lasts for as long as the rule says."""
    if not matches:
        return
    store.bring_back(tx, [_key(match) for match in matches], observed_at)
    open_ones = alerts.hold_open(tx, {match.fingerprint for match in matches})
    back = [(open_ones[match.fingerprint].id, match) for match in matches if match.fingerprint in open_ones]
    tx.emit(*(AbsenceEnded(alert_id, record_id=match.first_id, quiet_s=match.quiet_s) for alert_id, match in back))
    due_at_of = {str(a): tx.now + timedelta(seconds=match.quiet_s) for a, match in back if match.quiet_s}
    timers.put_many(tx, QUIET, due_at_of, version=0)
    for alert_id, match in back:
        if match.quiet_s == 0:
            _end(tx, alert_id)


def _end(tx: Tx, alert_id: int) -> None:
    alert = alerts.hold(tx, alert_id)
    if alert is not None and alerts.end(tx, alert_id) and alert.ticket_id is not None:
        tx.emit(AlertQuieted(alert_id, alert.ticket_id, quiet_s=0))


def silent(tx: Tx, timer: Timer) -> list[Matched]:
    """What has become silent when the timer of a rule is due, as matches that open alerts; the timer is set anew.

    Nothing is said while records wait to be matched with the rule: the sign of life may be among them.
    """
    row = rule_store.get(tx, timer.subject)
    if row is None or not _watches(row.rule):
        return []
    rule, window_s = row.rule, row.rule.window_s or 0
    up_since = store.presence(tx).since
    groups: list[Group] = []
    if row.broken_at is not None or parking.any_waiting(tx, rule.name):
        _set_timer(tx, rule, tx.now + LOOK_AGAIN)
        return []
    if due_at(up_since, up_since, window_s) <= tx.now:
        groups = store.silent(tx, rule.name, tx.now - timedelta(seconds=window_s) - slack_of(window_s), limit=TURN)
    if groups:
        store.mark_absent(tx, [(group.rule, group.fingerprint) for group in groups])
    _set_timer(tx, rule, tx.now if len(groups) == TURN else _next_due(tx, rule, up_since))
    found = [silence_of(rule, group) for group in groups]
    if rule.dry_run and found:
        alerts.append_verdicts(tx, [_rehearsed(match) for match in found])
        return []
    return found


def _watches(rule: Rule) -> bool:
    return rule.kind is Kind.ABSENCE and rule.enabled


def _next_due(tx: ReadTx, rule: Rule, up_since: datetime) -> datetime:
    """There is always a next time: of a group that is learned meanwhile, it may be the first."""
    window_s = rule.window_s or 0
    seen_at = store.earliest(tx, rule.name)
    return due_at(min(seen_at or tx.now, tx.now), up_since, window_s)


def _set_timer(tx: Tx, rule: Rule, at: datetime) -> None:
    timers.put(tx, ABSENCE, rule.name, due_at=at, version=rule.version)


def _rehearsed(match: Matched) -> dict[str, Any]:
    """A dry run would have opened an alert now; no record is to be accounted for."""
    return {
        "event_id": 0,
        "rule": match.rule,
        "rule_version": match.rule_version,
        "fingerprint": match.fingerprint,
        "verdict": "dry_run",
        "alert_id": None,
        "n": 0,
        "first_id": match.first_id,
        "last_id": match.last_id,
        "first_at": match.first_at,
        "last_at": match.last_at,
        "late": 0,
        "would": "opened",
    }


def rule_saved(tx: Tx, rule: Rule, before: Rule | None) -> None:
    """Let groups and timer follow a rule that was made or changed."""
    if not _watches(rule):
        if before is not None and before.kind is Kind.ABSENCE:
            rule_removed(tx, rule.name)
        return
    _note_presence(tx)  # until something is waited for, nobody does
    if before is None or any(getattr(rule, name) != getattr(before, name) for name in _BEGINS_ANEW):
        store.forget_all(tx, rule.name)
        if not rule.group_by:
            group = only_group(rule, tx.now)
            store.learn(tx, [replace(group, absent=bool(alerts.hold_open(tx, [group.fingerprint])))])
    elif before.dry_run and not rule.dry_run:
        store.tell_again(tx, rule.name)
    _set_timer(tx, rule, max(_next_due(tx, rule, store.presence(tx).since), tx.now))


def rule_removed(tx: Tx, name: str) -> None:
    """Nothing is waited for any longer. What is open stays open until a person resolves it."""
    store.forget_all(tx, name)
    timers.drop(tx, ABSENCE, name)


def note_presence(database: Database) -> None:
    """One turn of the loop `presence`: intake is up. It is written down only while something is waited for."""
    if database.read(lambda tx: timers.any_of(tx, ABSENCE)):
        database.write(_note_presence, actor=SYSTEM)


def _note_presence(tx: Tx) -> None:
    store.set_presence(tx, still_up(store.hold_presence(tx), tx.now))
