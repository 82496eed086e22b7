"""What a silence would hide, told from the stored logs before it is made, and what is usual for what it covers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from tocsin.alerts import rule_store, silence_store, store
from tocsin.alerts.rules import CONDITIONS, Kind, Rule
from tocsin.alerts.silence_checks import Draft, check_matcher, silence_of, warnings_of
from tocsin.alerts.silencing import BASELINE_MINUTES, Silence, Span, covering_ids
from tocsin.alerts.store import Alert
from tocsin.kit.clock import EPOCH, MICROSECOND
from tocsin.kit.errors import NotFound
from tocsin.logs.fields import LOGS
from tocsin.logs.service import LogReader
from tocsin.query.parse import parse
from tocsin.query.tree import And, Node, Or
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx

MAX_ALERTS: Final = 200
MAX_OCCURRENCES: Final = 10


@dataclass(frozen=True, slots=True)
class Usual:
    """How many records of a time a silence would have hidden; at least so many, if `partial`."""

    records: int
    partial: bool


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a silence would do. `alerts` are the open ones it would hide, of the newest; `alerts_unseen` were too many
    to be looked at, or their newest record can't be read."""

    last_hour: Usual
    last_day: Usual
    alerts: Sequence[Alert]
    alerts_unseen: int
    occurrences: Sequence[Span]
    warnings: Sequence[str]


def usual(database: Database, logs: LogReader, matcher: str) -> Usual:
    """What is usual: the hour before now. Raises Invalid."""
    check_matcher(matcher)
    rules, now = database.read(_rules_in_force)
    return _count(logs, matcher, rules, now - timedelta(minutes=BASELINE_MINUTES), now)


def outlook(database: Database, logs: LogReader, draft: Draft) -> Outlook:
    """What a silence would do; one without an end is looked at for its matcher alone. Raises Invalid."""
    check_matcher(draft.matcher)
    rules, now = database.read(_rules_in_force)
    spans: list[Span] = []
    if draft.ends_at is not None or draft.duration_s is not None or draft.recurrence is not None:
        whole = replace(draft, owner=draft.owner or "-", reason=draft.reason or "-")
        spans = silence_of(whole, now).next_occurrences(now, MAX_OCCURRENCES)
    found, unseen = _open_alerts(database, logs, draft.matcher)
    return Outlook(
        last_hour=_count(logs, draft.matcher, rules, now - timedelta(hours=1), now),
        last_day=_count(logs, draft.matcher, rules, now - timedelta(days=1), now),
        alerts=found,
        alerts_unseen=unseen,
        occurrences=spans,
        warnings=warnings_of(draft.matcher),
    )


def _rules_in_force(tx: ReadTx) -> tuple[list[Rule], datetime]:
    """The rules that open alerts, and now."""
    return [rule for rule in rule_store.enabled_rules(tx) if not rule.dry_run], tx.now


def _count(logs: LogReader, matcher: str, rules: Sequence[Rule], since: datetime, until: datetime) -> Usual:
    """The records of that event time, both ends included, that the matcher and any rule are true of; each once."""
    if not rules:
        return Usual(0, partial=False)
    live = parse("backfill:false", LOGS, now=EPOCH)
    covered = parse(matcher, CONDITIONS, now=EPOCH)
    matched = [_node(rule) for rule in rules]
    node = And((covered, matched[0] if len(matched) == 1 else Or(tuple(matched)), live))
    return Usual(*logs.count(node, since, until + MICROSECOND))


def _node(rule: Rule) -> Node:
    return And((rule.node(), rule.hit())) if rule.kind is Kind.RATIO else rule.node()


def _open_alerts(database: Database, logs: LogReader, matcher: str) -> tuple[list[Alert], int]:
    """The open alerts whose newest record the matcher is true of, and how many could not be looked at."""
    ids = database.read(silence_store.open_alert_ids)
    newest = database.read(lambda tx: store.open_alerts_by_id(tx, ids[:MAX_ALERTS]))
    asked = [Silence(0, 0, matcher, "", "", EPOCH, EPOCH)]
    found: list[Alert] = []
    unread = 0
    for alert in reversed(newest):
        try:
            record = logs.get(alert.last_record_id)
        except NotFound:  # retention has dropped it, or its segment is damaged
            unread += 1
            continue
        if covering_ids(asked, record):
            found.append(alert)
    return found, unread + max(len(ids) - MAX_ALERTS, 0)
