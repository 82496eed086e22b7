"""When nothing has come from a group for too long, and what is then said: pure.

Absence counts by the server's clock, from the later of two moments: when a group was last seen (or first known of), and
since when intake has been up. A sign of life is written down unless the last one is fresh, so that a busy service costs
little; by so much (`slack_of`) the wait is longer. So an absence is told of after `window_s` at the earliest, and five
seconds later at the latest.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tocsin.alerts.grouping import correlation_key_of, group_of
from tocsin.alerts.overflow import OVERFLOW
from tocsin.alerts.rules import RULE, Rule
from tocsin.alerts.ruleset import compiled
from tocsin.kit.events import Matched
from tocsin.logs.levels import Level
from tocsin.query.tree import And, Equals, Named, Node

MOST_SLACK_S: Final = 5.0
OUTAGE_S: Final = 30.0  # without a sign of the intake for longer than that, senders can't have been heard
BEAT_S: Final = 5.0
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


@dataclass(frozen=True, slots=True)
class Group:
    """What an absence rule knows of a group. `seen_at`: its last sign of life, or without a record, from when on one is
    waited for. `absent`: that it is silent has been told; `back_since`: when it was seen again after that."""

    rule: str
    fingerprint: str
    correlation_key: str
    service: str
    template: str
    level: int
    seen_at: datetime
    record_id: int | None
    record_at: datetime | None
    absent: bool = False
    back_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Presence:
    """When intake was last known to be up, and since when it has been without an outage."""

    seen_at: datetime
    since: datetime


def still_up(before: Presence, now: datetime) -> Presence:
    """What is known once intake is seen to be up at `now`. A clock that was set back is no outage."""
    gone = now - before.seen_at > timedelta(seconds=OUTAGE_S)
    return Presence(now, now if gone else min(before.since, now))


def slack_of(window_s: int) -> timedelta:
    """How much older than it is a sign of life may look."""
    return timedelta(seconds=min(window_s / 60, MOST_SLACK_S))


def is_fresh(group: Group, at: datetime, window_s: int) -> bool:
    """Whether a record that came in at `at` tells nothing new of a group."""
    known = not group.absent and group.record_id is not None
    return known and at - group.seen_at <= slack_of(window_s)


def due_at(seen_at: datetime, up_since: datetime, window_s: int) -> datetime:
    """When the absence of a group that was last seen then is told of."""
    return max(seen_at, up_since) + timedelta(seconds=window_s) + slack_of(window_s)


def group_of_match(match: Matched, at: datetime) -> Group:
    """A group as its records show it that came in at `at`."""
    return Group(
        rule=match.rule,
        fingerprint=match.fingerprint,
        correlation_key=match.correlation_key,
        service=match.service,
        template=match.template,
        level=match.level,
        seen_at=at,
        record_id=match.last_id,
        record_at=match.last_at,
    )


def only_group(rule: Rule, at: datetime) -> Group:
    """The group of a rule that doesn't group, of which there was no record yet."""
    service = subject_of(rule)
    fingerprint = group_of(rule.name, (), ())
    known = {"service": service, RULE: rule.name}
    values = [known.get(name, "") for name in rule.correlate_by]
    return Group(
        rule=rule.name,
        fingerprint=fingerprint,
        correlation_key=correlation_key_of(rule.correlate_by, values) if rule.correlate_by else fingerprint,
        service=service,
        template="",
        level=int(Level.INFO),
        seen_at=at,
        record_id=None,
        record_at=None,
    )


def subject_of(rule: Rule) -> str:
    """What a rule that doesn't group is about: the one service that it names, or else itself."""
    return rule.service or _service(rule.hit()) or rule.name


def _service(node: Node) -> str | None:
    parts = node.parts if isinstance(node, And) else (node,)
    named = [part.text for part in parts if isinstance(part, Equals) and part.target == Named("service")]
    return named[0] if len(named) == 1 else None


def silence_of(rule: Rule, group: Group) -> Matched:
    """What opens an alert about a group that is silent: its first record is the last sign of life, 0 where is none."""
    window_s = rule.window_s or 0
    seen_at = group.record_at or group.seen_at
    return Matched(
        rule=rule.name,
        rule_version=rule.version,
        fingerprint=group.fingerprint,
        correlation_key=group.correlation_key,
        service=group.service,
        template=group.template,
        title=f"Nothing from {_who(rule, group)} for {in_words(window_s)}",
        level=group.level,
        priority=rule.priority,
        backfill=False,
        n=0,
        first_id=group.record_id or 0,
        last_id=group.record_id or 0,
        first_at=seen_at,
        last_at=seen_at,
        sample_ids=() if group.record_id is None else (group.record_id,),
        dry_run=rule.dry_run,
        reopen_window_s=rule.reopen_window_s,
        note=compiled(rule).note,
        absent_s=window_s,
    )


def _who(rule: Rule, group: Group) -> str:
    by_service = rule.group_by in {(), ("service",)} and group.template != OVERFLOW
    return group.service if by_service or not group.template else group.template


def described(rule: str, service: str, template: str, *, first_id: int, absent_s: int) -> str:
    """What a ticket about an absence says first. `first_id` is the record of the last sign of life; 0 for none."""
    last = f"the last sign of life noted is record {first_id}" if first_id else "there never was a sign of life"
    group = f" of {template}" if template else ""
    where = "" if template == OVERFLOW else f" in {service}"
    return f"Rule {rule} found nothing{group}{where} for {in_words(absent_s)}; {last}."


def in_words(seconds: int) -> str:
    """`5 min`, `25 h`, `1 h 30 min`: exact, in as few units as that takes."""
    for unit, size in _UNITS:
        if seconds >= size and seconds % size == 0 and seconds // size < 100:
            return f"{seconds // size} {unit}"
    parts: list[str] = []
    for unit, size in _UNITS:
        n, seconds = divmod(seconds, size)
        parts += [f"{n} {unit}"] if n else []
    return " ".join(parts) or "0 s"
