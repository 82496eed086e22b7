"""Which records which rules match, as a pure function: live detection, retries and back-tests all call it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import compress
from typing import Final

from tocsin.alerts.budget import overdrawn
from tocsin.alerts.grouping import (
    MAX_TEMPLATE_CHARS,
    correlation_key_of,
    fingerprint_of,
    group_of,
    template_of,
    title_of,
)
from tocsin.alerts.rules import TEMPLATE, WINDOWED, Kind
from tocsin.alerts.ruleset import Compiled, Row, RuleSet, times_of
from tocsin.alerts.silencing import Covering, covers
from tocsin.kit.clock import from_us
from tocsin.kit.events import Detected, Matched, Undecided
from tocsin.logs.record import Columns

MAX_SAMPLES: Final = 5
MAX_REASON_CHARS: Final = 500
_LOOKS: Final = 2  # a rule is not slow because memory was being tidied up meanwhile
NONE_SLOW: Final[Mapping[str, str]] = {}
Group = tuple[str, ...]


def detect(
    columns: Columns,
    ruleset: RuleSet,
    *,
    first_id: int,
    backfill: bool,
    cpu_ns: Callable[[], int] | None = None,
    too_slow: Mapping[str, str] = NONE_SLOW,
) -> Detected:
    """The matches of a chunk whose row 0 has the id `first_id`: one per rule and fingerprint.

    A rule that raises spoils nothing for the others: the whole chunk is `undecided` for it, and none of it is matched.
    So it is for a rule that takes more than its budget, by the clock `cpu_ns`; and for those that are known to be
    `too_slow`, with the reason, which are not asked.
    """
    matches: list[Matched] = []
    undecided: list[Undecided] = []
    seen: dict[int, Row] = {}
    last_id = first_id + len(columns) - 1
    cover = _Cover(columns, ruleset.coverings, seen, first_id) if ruleset.coverings and not backfill else None
    for one, rows in _candidates(columns, ruleset):
        try:
            if one.rule.name in too_slow:
                raise TooSlow(too_slow[one.rule.name])
            for _ in range(_LOOKS):
                began = 0 if cpu_ns is None else cpu_ns()
                found = _matches(columns, one, rows, seen, cover, first_id=first_id, backfill=backfill)
                slow = None if cpu_ns is None else overdrawn(cpu_ns() - began, columns, rows)
                if slow is None:
                    break
            else:
                raise TooSlow(slow)
            matches += found
        except Exception as error:  # noqa: BLE001  # isolated: it is told of, and tried again later
            slow_one = isinstance(error, TooSlow)
            reason = one.error or (str(error) if slow_one else f"{type(error).__name__}: {error}")
            known = (one.rule.name, one.rule.version, first_id, last_id, reason[:MAX_REASON_CHARS])
            undecided.append(Undecided(*known, too_slow=slow_one))
    return Detected(ruleset.version, matches, undecided)


class TooSlow(Exception):
    """A rule takes more time than it may."""


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


class _Cover:
    """Which silences cover records of a chunk. Those that a severity and a service leave are looked up, and asked once
    about a record, however many rules match it."""

    def __init__(self, columns: Columns, coverings: Sequence[Covering], seen: dict[int, Row], first_id: int) -> None:
        self._columns = columns
        self._coverings = coverings
        self._seen = seen
        self._first_id = first_id
        self._of_kind: dict[tuple[int, str], tuple[tuple[int, ...], list[Covering]]] = {}
        self._of_row: dict[int, tuple[int, ...]] = {}

    def of(self, rows: Sequence[int]) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """The ids of the rows that any silence covers, each with those of the silences."""
        return tuple((self._first_id + row, ids) for row in rows if (ids := self._ids(row)))

    def _ids(self, row: int) -> tuple[int, ...]:
        kind = self._columns.severities[row], self._columns.services[row]
        known = self._of_kind.get(kind)
        if known is None:
            known = self._of_kind[kind] = self._decided(kind, row)
        always, asked = known
        if not asked:
            return always
        ids = self._of_row.get(row)
        if ids is None:
            found = _row(self._columns, row, self._seen)
            ids = tuple(sorted((*always, *(one.id for one in asked if covers(one, found)))))
            self._of_row[row] = ids
        return ids

    def _decided(self, kind: tuple[int, str], row: int) -> tuple[tuple[int, ...], list[Covering]]:
        """The silences that cover every record of a severity and a service, and those that are to be asked of each."""
        may = [one for one in self._coverings if one.may_cover(*kind)]
        found = _row(self._columns, row, self._seen)
        return tuple(one.id for one in may if one.by_kind and covers(one, found)), [o for o in may if not o.by_kind]


def _matches(
    columns: Columns,
    one: Compiled,
    rows: Sequence[int],
    seen: dict[int, Row],
    cover: _Cover | None,
    *,
    first_id: int,
    backfill: bool,
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
        _matched(columns, one, group, members, seen, cover=cover, first_id=first_id, backfill=backfill)
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
    cover: _Cover | None,
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
        template=shown(rule.group_by, group),
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
        window_s=(rule.window_s or 0) if rule.kind in WINDOWED else 0,
        ratio_ppm=rule.ratio_ppm,
        minimum=rule.minimum or 0,
        records=times_of(columns, hits, first_id) if rule.kind in WINDOWED or rule.for_s or cover is not None else (),
        others=times_of(columns, others, first_id),
        for_s=rule.for_s or 0,
        absent_s=(rule.window_s or 0) if rule.kind is Kind.ABSENCE else 0,
        covered=() if cover is None else cover.of(hits),
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


def shown(names: Sequence[str], values: Group) -> str:
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
        covered=tuple(sorted(record for match in group for record in match.covered)),
    )


def picked(match: Matched, places: Sequence[int]) -> Matched:
    """Some of a match's records, by their places, as a match of its own."""
    if len(places) == match.n and not match.others:
        return match
    records = tuple(match.records[place] for place in places)
    ids, times = {record_id for record_id, _ in records}, [at_us for _, at_us in records]
    return replace(
        match,
        n=len(records),
        first_id=records[0][0],
        last_id=records[-1][0],
        first_at=from_us(min(times)),
        last_at=from_us(max(times)),
        sample_ids=tuple(record_id for record_id, _ in records[:MAX_SAMPLES]),
        records=records,
        others=(),
        covered=tuple(one for one in match.covered if one[0] in ids),
    )
