"""One record put before the rules there were, by the same detection that judged it when it came in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tocsin.alerts.detect import detect
from tocsin.alerts.rules import CONDITIONS, Kind, Rule
from tocsin.alerts.ruleset import Row, RuleSet
from tocsin.kit.events import LogsUnparked, Matched
from tocsin.logs.levels import Level
from tocsin.logs.record import Columns, Record
from tocsin.proof.facts import Happening
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


def columns_of(records: Sequence[Record]) -> Columns:
    """Records as a batch, in their order."""

    def sparse(name: str) -> dict[int, str]:
        return {row: value for row, record in enumerate(records) if (value := getattr(record, name)) is not None}

    return Columns(
        timestamps=[record.timestamp for record in records],
        severities=bytes([record.severity_number for record in records]),
        levels=bytes([Level[record.level] for record in records]),
        services=[record.service for record in records],
        messages=[record.message for record in records],
        attributes=[bytes(record.attributes) for record in records],
        trace_ids=sparse("trace_id"),
        span_ids=sparse("span_id"),
        sources=sparse("source"),
        skewed=sparse("skewed"),
    )


def rules_that_judged(
    ruleset: int, retries: Sequence[Happening], rules_at: Callable[[int], Sequence[Rule]]
) -> tuple[list[Rule], list[Rule]]:
    """The rules that had the last word on a record that was matched in the state `ruleset`, and maybe again later with
    all or one of them; and those that raised on it and were gone before they could be tried again."""
    rules = {rule.name: rule for rule in rules_at(ruleset)}
    gone: dict[str, Rule] = {}
    for retry in retries:
        if retry.kind != LogsUnparked.__name__ or not retry.data.get("ruleset"):
            continue
        then = {rule.name: rule for rule in rules_at(retry.data["ruleset"])}
        only = retry.data.get("rule")
        if only is None:
            rules = then
        elif only in then:
            rules[only] = then[only]
        elif only in rules:
            gone[only] = rules.pop(only)
    return [rules[name] for name in sorted(rules)], [gone[name] for name in sorted(gone)]


def judge(record: Record, rules: Sequence[Rule]) -> list[Judged]:
    """What each of these rules, all of them switched on, finds in a record."""
    columns = columns_of([record])
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
