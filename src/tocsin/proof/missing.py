"""Absence in a replay: which groups there was nothing of for too long. Pure, with the functions that decide it live.

Intake is taken to have been up all the time. A group is known from its first record in the span on, that of a rule
which doesn't group from the beginning of it.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from tocsin.alerts.absence import Group, due_at, is_fresh, only_group, silence_of, slack_of
from tocsin.alerts.rules import Rule
from tocsin.kit.clock import from_us, to_us
from tocsin.kit.events import Matched
from tocsin.logs.levels import Level, level_of_severity
from tocsin.proof.outcome import Face, Heard, Outcome, Unfinished

TURN: Final = 200


@dataclass(slots=True)
class _Known:
    """A group, and which silences' matchers are true of its last sign of life."""

    group: Group
    covers: str | None = None


class Absences:
    """Rules that wait for there being nothing: no record is ever told, what is missing is."""

    def __init__(self, rule: Rule, outcome: Outcome, *, since: int, most: int) -> None:
        self._rule = rule
        self._window_s = rule.window_s or 0
        self._outcome = outcome
        self._since = from_us(since)
        self._most = most
        self._known: dict[str, _Known] = {}
        self._firing: Container[str] = ()
        if not rule.group_by:
            group = only_group(rule, self._since)
            self._known[group.fingerprint] = _Known(group)

    def beyond(self, at: int, heard: Sequence[Heard]) -> Sequence[Heard]:
        """Groups that were told of, and have no alert any more, are forgotten when there are too many."""
        new = [one for one in heard if one.face.fingerprint not in self._known]
        if len(self._known) + len(new) > self._most:
            known = self._known.items()
            self._known = {f: one for f, one in known if not one.group.absent or f in self._firing}
        return new[max(self._most - len(self._known), 0) :]

    def weigh(self, at: int, heard: Sequence[Heard], firing: Container[str]) -> list[Heard]:
        self._firing = firing
        self._outcome.pending += sum(one.n for one in heard)
        return []

    def back(self, at: int, heard: Sequence[Heard]) -> list[str]:
        """Note signs of life; the fingerprints whose absence was told of and is over."""
        now = from_us(at)
        found: list[str] = []
        for one in heard:
            known = self._known.get(one.face.fingerprint)
            if known is None:
                self._known[one.face.fingerprint] = _Known(self._group(one, now), one.covers)
            elif not is_fresh(known.group, now, self._window_s):
                if known.group.absent:
                    found.append(one.face.fingerprint)
                known.group = self._seen(known.group, one, now)
                known.covers = one.covers
        return found

    def _group(self, one: Heard, now: datetime) -> Group:
        return Group(
            rule=self._rule.name,
            fingerprint=one.face.fingerprint,
            correlation_key=one.key,
            service=one.service,
            template=one.face.template,
            level=_level(one),
            seen_at=now,
            record_id=one.last_id,
            record_at=from_us(one.last_at),
        )

    def _seen(self, before: Group, one: Heard, now: datetime) -> Group:
        seen = replace(before, seen_at=now, record_id=one.last_id, record_at=from_us(one.last_at), level=_level(one))
        return replace(seen, absent=False, back_since=now) if before.absent else seen

    def next_due(self, now: int) -> int:
        """When to look whether something is missing."""
        seen = min((one.group.seen_at for one in self._known.values() if not one.group.absent), default=from_us(now))
        return max(to_us(due_at(min(seen, from_us(now)), self._since, self._window_s)), now)

    def missing(self, now: int) -> list[tuple[Matched, str | None]]:
        """What is told to be missing at an instant, with what covers its last sign of life; some at a time."""
        before = from_us(now) - timedelta(seconds=self._window_s) - slack_of(self._window_s)
        if self._since > before:
            return []
        silent = [one for one in self._known.values() if not one.group.absent and one.group.seen_at <= before]
        silent.sort(key=lambda one: (one.group.seen_at, one.group.fingerprint))
        for one in silent[:TURN]:
            one.group = replace(one.group, absent=True, back_since=None)
        return [(silence_of(self._rule, one.group), one.covers) for one in silent[:TURN]]

    def said_at(self, fingerprint: str, counted_at: int) -> int | None:
        """Since when there has been something again."""
        known = self._known.get(fingerprint)
        since = None if known is None else known.group.back_since
        return None if since is None else to_us(since)

    def is_missing(self, fingerprint: str) -> bool:
        """Whether there is nothing still of what was told to be missing."""
        known = self._known.get(fingerprint)
        return known is not None and known.group.absent

    def unfinished(self) -> list[Unfinished]:
        return []


def heard_of(match: Matched, covers: str | None) -> Heard:
    """What opens an alert about there being no records."""
    face = Face(match.fingerprint, match.template or match.title)
    at = to_us(match.first_at)
    return Heard(face, match.service, match.correlation_key, 0, match.first_id, match.last_id, at, at, covers=covers)


def _level(one: Heard) -> int:
    return int(level_of_severity(one.level)) if one.level else int(Level.INFO)
