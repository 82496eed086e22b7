"""Which records which rules match, as a pure function: live detection, retries and back-tests all call it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import compress
from typing import Final

from tocsin.alerts.grouping import (
    MAX_TEMPLATE_CHARS,
    correlation_key_of,
    fingerprint_of,
    group_of,
    template_of,
    title_of,
)
from tocsin.alerts.rules import TEMPLATE, WINDOWED
from tocsin.alerts.ruleset import Compiled, Row, RuleSet, times_of
from tocsin.kit.events import Detected, Matched, Undecided
from tocsin.logs.record import Columns

MAX_SAMPLES: Final = 5
MAX_REASON_CHARS: Final = 500
Group = tuple[str, ...]


def detect(columns: Columns, ruleset: RuleSet, *, first_id: int, backfill: bool) -> Detected:
    """The matches of a chunk whose row 0 has the id `first_id`: one per rule and fingerprint.

    A rule that raises spoils nothing for the others: the whole chunk is `undecided` for it, and none of it is matched.
    """
    matches: list[Matched] = []
    undecided: list[Undecided] = []
    seen: dict[int, Row] = {}
    for one, rows in _candidates(columns, ruleset):
        try:
            matches += _matches(columns, one, rows, seen, first_id=first_id, backfill=backfill)
        except Exception as error:  # noqa: BLE001  # isolated: it is told of, and tried again later
            reason = one.error or f"{type(error).__name__}: {error}"
            last_id = first_id + len(columns) - 1
            undecided.append(Undecided(one.rule.name, one.rule.version, first_id, last_id, reason[:MAX_REASON_CHARS]))
    return Detected(ruleset.version, matches, undecided)


def _candidates(columns: Columns, ruleset: RuleSet) -> Iterable[tuple[Compiled, Sequence[int]]]:
    work = ruleset.work(columns)
    if len(work) == 1:
        [(part, rows)] = work.items()
        return part.candidates(columns, rows)
    rows_of: dict[Compiled, list[int]] = {}
    for part, rows in work.items():
        for one, found in part.candidates(columns, rows):
            rows_of.setdefault(one, []).extend(found)
    return [(one, sorted(found)) for one, found in rows_of.items()]


def _matches(
    columns: Columns, one: Compiled, rows: Sequence[int], seen: dict[int, Row], *, first_id: int, backfill: bool
) -> list[Matched]:
    condition = one.condition
    if condition is None:
        raise ValueError(one.error)
    if condition.by_level_alone and one.default_groups:
        groups: dict[Group, list[int]] = {}
        for row in rows:
            groups.setdefault((columns.services[row], template_of(columns.messages[row])), []).append(row)
    else:
        matching = rows if condition.by_level_alone else [r for r in rows if condition.holds(_row(columns, r, seen))]
        groups = _grouped(columns, one, matching, seen)
    return [
        _matched(columns, one, group, members, seen, first_id=first_id, backfill=backfill)
        for group, members in groups.items()
    ]


def _row(columns: Columns, row: int, seen: dict[int, Row]) -> Row:
    found = seen.get(row)
    if found is None:
        found = seen[row] = Row(columns, row)
    return found


def _grouped(columns: Columns, one: Compiled, rows: Sequence[int], seen: dict[int, Row]) -> dict[Group, list[int]]:
    groups: dict[Group, list[int]] = {}
    for number in rows:
        row = _row(columns, number, seen)
        groups.setdefault(tuple(value(row) for value in one.group), []).append(number)
    return groups


def _matched(
    columns: Columns,
    one: Compiled,
    group: Group,
    members: list[int],
    seen: dict[int, Row],
    *,
    first_id: int,
    backfill: bool,
) -> Matched:
    rule = one.rule
    hits, others = _parted(columns, one, members, seen)
    rows = hits or others
    first = Row(columns, rows[0])
    service = rule.service or columns.services[rows[0]]
    fingerprint = fingerprint_of(rule.name, *group) if one.default_groups else group_of(rule.name, rule.group_by, group)
    times = [columns.timestamps[row] for row in rows]
    mined = TEMPLATE in rule.group_by
    return Matched(
        rule=rule.name,
        rule_version=rule.version,
        fingerprint=fingerprint,
        correlation_key=_correlation_key(one, first, service) if one.key else fingerprint,
        service=service,
        template=_shown(rule.group_by, group),
        title=title_of(service, columns.messages[rows[0]]),
        level=max(columns.levels[row] for row in rows),
        priority=rule.priority,
        backfill=backfill,
        n=len(hits),
        first_id=first_id + rows[0],
        last_id=first_id + rows[-1],
        first_at=min(times),
        last_at=max(times),
        sample_ids=tuple(first_id + row for row in rows[:MAX_SAMPLES]),
        dry_run=rule.dry_run,
        reopen_window_s=rule.reopen_window_s,
        quiet_s=rule.quiet_s,
        note=one.note,
        threshold=rule.threshold or 0,
        window_s=rule.window_s or 0,
        ratio_ppm=rule.ratio_ppm,
        minimum=rule.minimum or 0,
        records=times_of(columns, hits, first_id) if rule.kind in WINDOWED else (),
        others=times_of(columns, others, first_id),
        message=columns.messages[rows[0]] if mined else "",
        group=tuple(zip(rule.group_by, group, strict=True)) if mined else (),
        key=_key(one, first, service) if mined and one.key else (),
        learn_s=rule.learning_s,
    )


def _parted(columns: Columns, one: Compiled, rows: list[int], seen: dict[int, Row]) -> tuple[list[int], list[int]]:
    """The rows that meet the condition, and for a ratio the others."""
    is_hit = None if one.condition is None else one.condition.is_hit
    if is_hit is None:
        return rows, []
    marks = [is_hit(_row(columns, row, seen)) for row in rows]
    return list(compress(rows, marks)), [row for row, mark in zip(rows, marks, strict=True) if not mark]


def _correlation_key(one: Compiled, row: Row, service: str) -> str:
    return correlation_key_of(one.rule.correlate_by, [value for _, value in _key(one, row, service)])


def _key(one: Compiled, row: Row, service: str) -> tuple[tuple[str, str], ...]:
    """What alerts that share a ticket have in common: names and values."""
    pairs = zip(one.rule.correlate_by, one.key, strict=True)
    return tuple((name, service if name == "service" else value(row)) for name, value in pairs)


def _shown(names: Sequence[str], values: Group) -> str:
    """What a group has in common, for people: its template, or its fields."""
    if TEMPLATE in names:
        return values[names.index(TEMPLATE)]
    return ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))[:MAX_TEMPLATE_CHARS]


def merge(matches: Sequence[Matched]) -> list[Matched]:
    """One match per rule version, fingerprint and backfill flag, in the order of their first record."""
    merged: dict[tuple[str, int, str, bool], list[Matched]] = {}
    for match in sorted(matches, key=lambda m: m.first_id):
        merged.setdefault((match.rule, match.rule_version, match.fingerprint, match.backfill), []).append(match)
    return [_joined(group) for group in merged.values()]


def _joined(group: list[Matched]) -> Matched:
    if len(group) == 1:
        return group[0]
    telling = [match for match in group if match.n] or group  # without a record of its own, a match says nothing else
    samples = [sample for match in telling for sample in match.sample_ids]
    return replace(
        telling[0],
        level=max(match.level for match in telling),
        n=sum(match.n for match in telling),
        last_id=max(match.last_id for match in telling),
        first_at=min(match.first_at for match in telling),
        last_at=max(match.last_at for match in telling),
        sample_ids=tuple(samples[:MAX_SAMPLES]),
        records=tuple(sorted(record for match in group for record in match.records)),
        others=tuple(sorted(record for match in group for record in match.others)),
    )
