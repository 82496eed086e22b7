"""One record put before the rules there were, by the same detection that judged it when it came in."""

from collections.abc import Sequence
from dataclasses import dataclass

from tocsin.alerts.detect import detect
from tocsin.alerts.rules import CONDITIONS, Kind, Rule
from tocsin.alerts.ruleset import Row, RuleSet
from tocsin.kit.events import Matched
from tocsin.logs.levels import Level
from tocsin.logs.record import Columns, Record
from tocsin.proof.reasons import Missing, missing
from tocsin.query.predicate import compile_predicate


@dataclass(frozen=True, slots=True)
class Judged:
    """What a rule finds in a record: a match, or what it misses, or the error that it raises. `as_other`: a ratio
    counts the record among those that its share is of."""

    rule: Rule
    matched: Matched | None = None
    missing: tuple[Missing, ...] = ()
    error: str = ""
    as_other: bool = False


def columns_of(record: Record) -> Columns:
    """A record as a batch of one."""

    def sparse(value: str | None) -> dict[int, str]:
        return {} if value is None else {0: value}

    return Columns(
        timestamps=[record.timestamp],
        severities=bytes([record.severity_number]),
        levels=bytes([Level[record.level]]),
        services=[record.service],
        messages=[record.message],
        attributes=[bytes(record.attributes)],
        trace_ids=sparse(record.trace_id),
        span_ids=sparse(record.span_id),
        sources=sparse(record.source),
        skewed=sparse(record.skewed),
    )


def judge(record: Record, rules: Sequence[Rule]) -> list[Judged]:
    """What each of these rules, all of them switched on, finds in a record."""
    columns = columns_of(record)
    found = detect(columns, RuleSet(0, rules), first_id=record.id, backfill=record.backfill)
    matched = {match.rule: match for match in found.matches}
    failed = {one.rule: one.reason for one in found.undecided}
    row = Row(columns, 0)
    return [_judged(rule, matched.get(rule.name), failed.get(rule.name), row) for rule in rules]


def _judged(rule: Rule, match: Matched | None, error: str | None, row: Row) -> Judged:
    if error is not None:
        return Judged(rule, error=error)
    if match is not None and match.n:
        return Judged(rule, matched=match)
    if rule.kind is not Kind.RATIO:
        return Judged(rule, missing=tuple(missing(rule.node(), row)))
    among = compile_predicate(rule.node(), CONDITIONS)(row)
    return Judged(rule, missing=tuple(missing(rule.hit() if among else rule.node(), row)), as_other=among)
