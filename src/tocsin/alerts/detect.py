"""Which records which rules match, as a pure function: live detection, retries and back-tests all call it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tocsin.alerts.grouping import fingerprint_of, template_of, title_of
from tocsin.alerts.rules import Rule
from tocsin.kit.events import Matched
from tocsin.logs.levels import Level
from tocsin.logs.record import Columns

MAX_SAMPLES: Final = 5
_AT_LEAST: Final = {least: bytes(int(value >= least) for value in range(256)) for least in Level}


def detect(columns: Columns, rules: Sequence[Rule], *, first_id: int, backfill: bool) -> list[Matched]:
    """The matches of a chunk whose row 0 has the id `first_id`: one per rule and fingerprint."""
    return [match for rule in rules for match in _matches(columns, rule, first_id=first_id, backfill=backfill)]


def _rows_at_least(levels: bytes, least: Level) -> list[int]:
    """The rows whose level is at least `least`."""
    marks = levels.translate(_AT_LEAST[least])
    rows: list[int] = []
    row = marks.find(1)
    while row >= 0:
        rows.append(row)
        row = marks.find(1, row + 1)
    return rows


def _matches(columns: Columns, rule: Rule, *, first_id: int, backfill: bool) -> list[Matched]:
    groups: dict[tuple[str, str], list[int]] = {}
    for row in _rows_at_least(columns.levels, rule.level):
        groups.setdefault((columns.services[row], template_of(columns.messages[row])), []).append(row)
    return [
        _matched(columns, rule, template, members, first_id=first_id, backfill=backfill)
        for (_, template), members in groups.items()
    ]


def _matched(columns: Columns, rule: Rule, template: str, rows: list[int], *, first_id: int, backfill: bool) -> Matched:
    service = columns.services[rows[0]]
    fingerprint = fingerprint_of(rule.name, service, template)
    times = [columns.timestamps[row] for row in rows]
    return Matched(
        rule=rule.name,
        rule_version=rule.version,
        fingerprint=fingerprint,
        correlation_key=fingerprint,
        service=service,
        template=template,
        title=title_of(service, columns.messages[rows[0]]),
        level=max(columns.levels[row] for row in rows),
        priority=rule.priority,
        backfill=backfill,
        n=len(rows),
        first_id=first_id + rows[0],
        last_id=first_id + rows[-1],
        first_at=min(times),
        last_at=max(times),
        sample_ids=tuple(first_id + row for row in rows[:MAX_SAMPLES]),
    )


def merge(matches: Sequence[Matched]) -> list[Matched]:
    """One match per rule version, fingerprint and backfill flag, in the order of their first record."""
    merged: dict[tuple[str, int, str, bool], Matched] = {}
    for match in sorted(matches, key=lambda m: m.first_id):
        key = (match.rule, match.rule_version, match.fingerprint, match.backfill)
        merged[key] = _joined(merged[key], match) if key in merged else match
    return list(merged.values())


def _joined(a: Matched, b: Matched) -> Matched:
    return replace(
        a,
        level=max(a.level, b.level),
        n=a.n + b.n,
        last_id=max(a.last_id, b.last_id),
        first_at=min(a.first_at, b.first_at),
        last_at=max(a.last_at, b.last_at),
        sample_ids=(a.sample_ids + b.sample_ids)[:MAX_SAMPLES],
    )
