"""What makes a record an alert: a rule, and whether what somebody wrote is one."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final

from tocsin.kit.clock import EPOCH
from tocsin.kit.errors import FieldError, Invalid
from tocsin.kit.priorities import Priority
from tocsin.logs.fields import LOGS
from tocsin.query.errors import QueryError
from tocsin.query.parse import parse
from tocsin.query.schema import Schema
from tocsin.query.tree import Node

BUCKETS: Final = 12
MAX_WINDOW_S: Final = 7 * 86_400
MAX_SECONDS: Final = 366 * 86_400
MIN_ABSENCE_S: Final = 60  # twice what a restart of this program may take
MAX_FIELDS: Final = 8
QUIET_WINDOWS: Final = 2
DEFAULT_LEARN_S: Final = 86_400  # a cold start must not page every line
DEFAULT_REOPEN_WINDOW_S: Final = 1800  # a relapse, not a recurrence
TEMPLATE: Final = "template"
RULE: Final = "rule"
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,98}[a-z0-9])?")
_NAMES: Final = "expected up to 100 characters of a-z, 0-9, '.', '_', '-', such as payments-errors"
_URL: Final = re.compile(r"https?://[^\s\x00-\x1f]{1,1990}")
# A record is judged when it arrives, before it has an id and an arrival time; and its own time says nothing of now.
_UNKNOWN_YET: Final = frozenset({"id", "timestamp", "observed_at", "backfill"})
CONDITIONS: Final = Schema(
    fields=tuple(field for field in LOGS.fields if field.name not in _UNKNOWN_YET), anywhere=LOGS.anywhere
)
GROUP_FIELDS: Final = ("service", TEMPLATE, "level", "message", "trace_id", "span_id", "source")


class Kind(StrEnum):
    """What a rule looks at: each record, how many there are within a window, which share of others they are, that there
    are none, or whether there was one of that pattern before."""

    MATCH = "match"
    THRESHOLD = "threshold"
    RATIO = "ratio"
    ABSENCE = "absence"
    NEW_PATTERN = "new_pattern"


WINDOWED: Final = frozenset({Kind.THRESHOLD, Kind.RATIO})


@dataclass(frozen=True, slots=True)
class Rule:
    """Records of which `condition` is true open an alert per group, and a ticket of `priority`.

    Groups are told apart by the `group_by` fields: `service`, `template` (the message with its variable parts masked),
    `level`, other fields of a record, `@x` for an attribute. Alerts whose `correlate_by` fields (those, and `rule`) are
    the same go to one ticket; without any, each group has its own. `service` stands for the record's own on alert and
    ticket. A `threshold` of n needs n records of a group within `window_s`: the last 12 buckets of `window_s`/12, in
    event time. A `ratio` needs that share of a group's records that meet `of`, once there are `minimum` of those. With
    `for_s` a window must have been enough for so long, or the records of a `match` have gone on. An `absence` is that
    a group has none for `window_s`, by the server's clock. A `new_pattern` needs the first record of a pattern within a
    service; what comes within `learn_s` after the first record of the service is only learned. An alert ends by itself
    `auto_resolve_after_s` after its rule last had something to say. `dry_run` only writes down what would have
    happened. `raise_at` makes a ticket more urgent once an alert has so many records: pairs of a priority and a count.
    `version` stands on every verdict, so that it can be checked against the rule then.
    """

    name: str
    version: int
    condition: str
    kind: Kind = Kind.MATCH
    enabled: bool = True
    dry_run: bool = False
    priority: Priority = Priority.P3
    description: str = ""
    runbook_url: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    service: str | None = None
    group_by: tuple[str, ...] = ("service", TEMPLATE)
    correlate_by: tuple[str, ...] = ()
    reopen_window_s: int = DEFAULT_REOPEN_WINDOW_S
    auto_resolve_after_s: int | None = None
    threshold: int | None = None
    window_s: int | None = None
    ratio: float | None = None
    of: str = "*"
    minimum: int | None = None
    raise_at: tuple[tuple[str, int], ...] = ()
    for_s: int | None = None
    learn_s: int | None = None

    @property
    def ratio_ppm(self) -> int:
        """The ratio in millionths: reckoning with those is exact."""
        return round((self.ratio or 0) * 1_000_000)

    @property
    def learning_s(self) -> int | None:
        """How long all patterns of a service are only learned; None when the rule is not about new ones."""
        if self.kind is not Kind.NEW_PATTERN:
            return None
        return DEFAULT_LEARN_S if self.learn_s is None else self.learn_s

    @property
    def quiet_s(self) -> int | None:
        """How long its alerts outlast what they tell of; None: until a person resolves the ticket."""
        if self.auto_resolve_after_s is not None:
            return self.auto_resolve_after_s
        return None if self.window_s is None else QUIET_WINDOWS * self.window_s

    def priority_at(self, count: int) -> Priority:
        """How urgent its alert is with so many records."""
        return min([self.priority, *(Priority[name] for name, n in self.raise_at if count >= n)])

    def definition(self) -> dict[str, Any]:
        """Everything but name and version, as JSON values."""
        values = {name: getattr(self, name) for name in DEFINED}
        values.update(
            kind=self.kind.value,
            priority=self.priority.name,
            labels=dict(self.labels),
            group_by=list(self.group_by),
            correlate_by=list(self.correlate_by),
            raise_at=dict(self.raise_at),
        )
        return values

    def node(self) -> Node:
        """The tree of all records it has to look at. Raises QueryError."""
        return parse(self.of if self.kind is Kind.RATIO else self.condition, CONDITIONS, now=EPOCH)

    def hit(self) -> Node:
        """The condition's tree. Raises QueryError."""
        return parse(self.condition, CONDITIONS, now=EPOCH)


DEFINED: Final = tuple(field.name for field in fields(Rule) if field.name not in {"name", "version"})
SEED_RULE: Final = Rule(name="critical-logs", version=1, condition="level:CRITICAL", priority=Priority.P2)


def rule_of(name: str, version: int, definition: Mapping[str, Any]) -> Rule:
    """The rule that a stored definition means."""
    values = dict(definition)
    values.update(
        kind=Kind(values["kind"]),
        priority=Priority[values["priority"]],
        labels=tuple(sorted(values["labels"].items())),
        group_by=tuple(values["group_by"]),
        correlate_by=tuple(values["correlate_by"]),
        raise_at=tuple(sorted(values.get("raise_at", {}).items())),
    )
    return Rule(name=name, version=version, **values)


def check(rule: Rule) -> None:
    """Raises Invalid, which names every field that is wrong, the place in it and what was expected."""
    found = [FieldError(pointer, detail) for pointer, look in _CHECKS for detail in look(rule)]
    if found:
        raise Invalid("; ".join(f"{error.pointer[1:]}: {error.detail}" for error in found), errors=tuple(found))


def check_name(name: str) -> None:
    """Raises Invalid for what no rule can be called."""
    if not _NAME.fullmatch(name):
        raise Invalid("name: " + _NAMES, errors=(FieldError("name", _NAMES),))


def _name(rule: Rule) -> list[str]:
    return [] if _NAME.fullmatch(rule.name) else [_NAMES]


def condition_errors(text: str) -> list[str]:
    """What is wrong with a condition, and in which column."""
    if not text.strip():
        return ["is empty; expected a filter such as service:payments level:>=ERROR"]
    try:
        parse(text, CONDITIONS, now=EPOCH)
    except QueryError as error:
        place = "" if error.column is None else f"column {error.column}: "
        return [place + error.errors[0].detail.partition(": ")[2]]
    return []


def _grouping(names: tuple[str, ...], known: tuple[str, ...]) -> list[str]:
    if len(names) > MAX_FIELDS:
        return [f"has {len(names)} fields; expected at most {MAX_FIELDS}"]
    unknown = [name for name in names if name not in known and attribute_path(name) is None]
    if unknown:
        return [f"there is no field {unknown[0]!r}; expected some of {', '.join(known)}, or @x for the attribute x"]
    doubled = [name for name in names if names.count(name) > 1]
    return [f"{doubled[0]} is named twice"] if doubled else []


def _threshold(rule: Rule) -> list[str]:
    if rule.kind is not Kind.THRESHOLD:
        return _not_for(rule.threshold is None, "threshold")
    fits = rule.threshold is not None and 1 <= rule.threshold <= 1_000_000_000
    return [] if fits else ["expected how many records within the window, 1 or more"]


def _window(rule: Rule) -> list[str]:
    if rule.kind is Kind.ABSENCE:
        long_enough = rule.window_s is not None and MIN_ABSENCE_S <= rule.window_s <= MAX_SECONDS
        return (
            []
            if long_enough
            else [f"expected how long there must be nothing, {MIN_ABSENCE_S} to {MAX_SECONDS} seconds"]
        )
    if rule.kind not in WINDOWED:
        return _not_for(rule.window_s is None, "threshold, ratio and absence")
    fits = rule.window_s is not None and BUCKETS <= rule.window_s <= MAX_WINDOW_S
    return [] if fits else [f"expected {BUCKETS} to {MAX_WINDOW_S} seconds"]


def _ratio(rule: Rule) -> list[str]:
    if rule.kind is not Kind.RATIO:
        return _not_for(rule.ratio is None, "ratio")
    fits = rule.ratio is not None and 0.000001 <= rule.ratio <= 1
    return [] if fits else ["expected a share above 0 and up to 1, such as 0.05"]


def _minimum(rule: Rule) -> list[str]:
    if rule.kind is not Kind.RATIO:
        return _not_for(rule.minimum is None, "ratio")
    fits = rule.minimum is not None and 1 <= rule.minimum <= 1_000_000_000
    return [] if fits else ["expected how many records there must be before their share says anything, 1 or more"]


def _for(rule: Rule) -> list[str]:
    if rule.kind is Kind.ABSENCE:
        return (
            [] if rule.for_s is None else ["is not for rules of kind absence: their window_s is how long; leave it out"]
        )
    if rule.kind is Kind.NEW_PATTERN:
        return _not_for(rule.for_s is None, "match, threshold and ratio")
    fits = rule.for_s is None or 1 <= rule.for_s <= MAX_WINDOW_S
    return [] if fits else [f"expected 1 to {MAX_WINDOW_S} seconds"]


def _learning(rule: Rule) -> list[str]:
    if rule.kind is not Kind.NEW_PATTERN:
        return _not_for(rule.learn_s is None, "new_pattern")
    return _seconds(rule.learn_s, 0)


def _by_pattern(rule: Rule) -> list[str]:
    fits = rule.kind is not Kind.NEW_PATTERN or rule.group_by == ("service", TEMPLATE)
    return [] if fits else ["a new_pattern rule is always about service and template; leave it out"]


def _not_for(absent: bool, kinds: str) -> list[str]:
    return [] if absent else [f"is for rules of kind {kinds}; leave it out"]


def _labels(rule: Rule) -> list[str]:
    if len(rule.labels) > 50:
        return [f"has {len(rule.labels)} labels; expected at most 50"]
    long = [key for key, value in rule.labels if not 1 <= len(key) <= 100 or len(value) > 500]
    return [f"{long[0][:100]!r}: expected a name of 1 to 100 and a value of up to 500 characters"] if long else []


def _raise_at(rule: Rule) -> list[str]:
    unknown = [name for name, _ in rule.raise_at if name not in Priority.__members__]
    if unknown:
        return [f"there is no priority {unknown[0][:40]!r}; expected some of {', '.join(Priority.__members__)}"]
    useless = [name for name, _ in rule.raise_at if Priority[name] >= rule.priority]
    if useless:
        return [f"{useless[0]} is not more urgent than the rule's own {rule.priority.name}"]
    fits = all(1 <= n <= 1_000_000_000_000 for _, n in rule.raise_at)
    return [] if fits else ["expected how many records make a ticket so urgent, 1 or more"]


def _seconds(value: int | None, least: int) -> list[str]:
    fits = value is None or least <= value <= MAX_SECONDS
    return [] if fits else [f"expected {least} to {MAX_SECONDS} seconds"]


_CHECKS: Final[tuple[tuple[str, Callable[[Rule], list[str]]], ...]] = (
    ("/name", _name),
    ("/condition", lambda rule: condition_errors(rule.condition)),
    ("/of", lambda rule: condition_errors(rule.of) if rule.kind is Kind.RATIO else _not_for(rule.of == "*", "ratio")),
    ("/ratio", _ratio),
    ("/minimum", _minimum),
    ("/group_by", lambda rule: _grouping(rule.group_by, GROUP_FIELDS)),
    ("/correlate_by", lambda rule: _grouping(rule.correlate_by, (RULE, *GROUP_FIELDS))),
    ("/threshold", _threshold),
    ("/window_s", _window),
    ("/for_s", _for),
    ("/labels", _labels),
    ("/raise_at", _raise_at),
    (
        "/runbook_url",
        lambda rule: (
            [] if rule.runbook_url is None or _URL.fullmatch(rule.runbook_url) else ["expected an http(s) address"]
        ),
    ),
    ("/reopen_window_s", lambda rule: _seconds(rule.reopen_window_s, 0)),
    (
        "/auto_resolve_after_s",
        lambda rule: _seconds(rule.auto_resolve_after_s, 0 if rule.kind is Kind.ABSENCE else 1),
    ),
    ("/learn_s", _learning),
    ("/group_by", _by_pattern),
)


def attribute_path(name: str) -> str | None:
    """The path of an attribute that a field name means; None when it means none."""
    for prefix in ("@", "attributes."):
        if name.startswith(prefix) and 0 < len(name) - len(prefix) <= 200:
            return name.removeprefix(prefix)
    return None
