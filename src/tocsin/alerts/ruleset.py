"""The rules in force, indexed: which of them may match a record is found by its severity, service and words.

A thousand rules must cost little more than one. So the few rules that a severity and a service leave are looked up, and
of those, the ones that need some text are asked only about records that hold it: all texts are sought in one pass.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, compress
from typing import Any, Final

import re2

from tocsin.alerts.conditions import MIN_LITERAL, SEVERITIES, Condition, condition_of
from tocsin.alerts.grouping import template_of
from tocsin.alerts.rules import TEMPLATE, Rule, attribute_path
from tocsin.alerts.silencing import Silence, coverings_of
from tocsin.kit.clock import to_us
from tocsin.logs.levels import Level
from tocsin.logs.record import NO_ATTRIBUTES, Columns
from tocsin.query.letters import fold
from tocsin.query.predicate import Attributes
from tocsin.query.values import flatten

FINDER_MEMORY: Final = 64 << 20
MAX_SERVICES: Final = 65_536  # met at one severity; after so many the memory begins anew
_COMPILED: Final = 16_384
Value = Callable[["Row"], str]


class Row:
    """A record of a chunk as predicates and groups see it; its attributes are read once."""

    __slots__ = ("_attributes", "columns", "row")

    def __init__(self, columns: Columns, row: int) -> None:
        self.columns = columns
        self.row = row
        self._attributes: Attributes | None = None

    def get(self, field: str) -> Any:
        return _FIELDS[field](self.columns, self.row)

    def attributes(self) -> Attributes:
        if self._attributes is None:
            document = self.columns.attributes[self.row]
            self._attributes = {} if document == NO_ATTRIBUTES else flatten(document)
        return self._attributes


_FIELDS: Final[dict[str, Callable[[Columns, int], Any]]] = {
    "severity_number": lambda columns, row: columns.severities[row],
    "service": lambda columns, row: columns.services[row],
    "message": lambda columns, row: columns.messages[row],
    "trace_id": lambda columns, row: columns.trace_ids.get(row),
    "span_id": lambda columns, row: columns.span_ids.get(row),
    "source": lambda columns, row: columns.sources.get(row),
}


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A rule made ready. `error` says why that was not possible; it then raises on every record."""

    rule: Rule
    condition: Condition | None
    group: tuple[Value, ...]
    key: tuple[Value, ...]
    note: str
    error: str = ""

    @property
    def default_groups(self) -> bool:
        return self.rule.group_by == ("service", TEMPLATE)


@lru_cache(maxsize=_COMPILED)
def compiled(rule: Rule) -> Compiled:
    """A rule made ready, whatever it holds: one that can't be read must not keep the others from working."""
    condition, error = None, ""
    try:
        condition = condition_of(rule)
    except Exception as reason:  # noqa: BLE001  # it was stored by another program, or by hand
        error = f"{type(reason).__name__}: {reason}"
    group = tuple(_value(name, rule) for name in rule.group_by)
    key = tuple(_value(name, rule) for name in rule.correlate_by)
    return Compiled(rule, condition, group, key, note_of(rule), error)


def _value(name: str, rule: Rule) -> Value:
    """What tells records apart by a field."""
    if name == TEMPLATE:
        return lambda row: template_of(row.columns.messages[row.row])
    if name == "level":
        return lambda row: Level(row.columns.levels[row.row]).name
    if name == "rule":
        return lambda _: rule.name
    path = attribute_path(name)
    if path is not None:
        return lambda row: ", ".join(value.text for value in row.attributes().get(path, ()))
    field = _FIELDS[name]
    return lambda row: field(row.columns, row.row) or ""


def note_of(rule: Rule) -> str:
    """What a rule has to say to whoever reads its tickets."""
    lines = [rule.description.strip()] if rule.description.strip() else []
    lines += [f"Runbook: {rule.runbook_url}"] if rule.runbook_url else []
    lines += ["Labels: " + ", ".join(f"{name}={value}" for name, value in rule.labels)] if rule.labels else []
    return "\n".join(lines)


class Part:
    """Rules that may match the same records: those to ask about each, and those that need some text in it."""

    __slots__ = ("_beyond", "_by_literal", "_finder", "always")

    def __init__(self, rules: Sequence[Compiled]) -> None:
        self.always = tuple(one for one in rules if one.condition is None or one.condition.literals is None)
        self._by_literal: dict[bytes, list[Compiled]] = {}
        self._beyond = False
        for one in rules:
            if one.condition is not None and one.condition.literals is not None:
                self._beyond |= one.condition.literals.beyond
                for text in one.condition.literals.texts:
                    self._by_literal.setdefault(text, []).append(one)
        self._finder = _finder(self._by_literal)

    def candidates(self, columns: Columns, rows: Sequence[int]) -> Iterator[tuple[Compiled, Sequence[int]]]:
        """The rules to be asked, each with the rows it may match, in order."""
        for one in self.always:
            yield one, rows
        if self._finder is None:
            return
        found: dict[Compiled, dict[int, None]] = {}
        for row, text in self._found(columns, rows):
            for length in range(MIN_LITERAL, len(text) + 1):  # one that begins with others was found in their place
                for one in self._by_literal.get(text[:length], ()):
                    found.setdefault(one, {})[row] = None
        for one, places in found.items():
            yield one, sorted(places)

    def _found(self, columns: Columns, rows: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        yield from self._sought([columns.messages[row].encode() for row in rows], rows)
        if self._beyond:
            yield from self._sought(_beyond_messages(columns, rows), rows)

    def _sought(self, texts: Sequence[bytes], rows: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Each place where one of the literals begins, by row. No literal holds what parts the texts."""
        whole = b"\n".join(texts).lower()
        ends: list[int] = []
        place, index = 0, 0
        while (hit := self._finder.search(whole, place)) is not None:
            ends = ends or list(accumulate(len(text) + 1 for text in texts))
            while ends[index] <= hit.start():
                index += 1
            yield rows[index], hit.group()
            place = hit.start() + 1


def _beyond_messages(columns: Columns, rows: Sequence[int]) -> list[bytes]:
    """The other texts of each row: its attributes, and the ids of trace and span."""
    documents = columns.attributes
    if not columns.trace_ids and not columns.span_ids:
        return [document if b"\\" not in (document := documents[row]) else _meant(document) for row in rows]
    trace, span = columns.trace_ids.get, columns.span_ids.get
    return [
        b"%s\n%s\n%s"
        % (
            document if b"\\" not in (document := documents[row]) else _meant(document),
            trace(row, "").encode(),
            span(row, "").encode(),
        )
        for row in rows
    ]


def _meant(document: bytes) -> bytes:
    """The names and values of a JSON object as they are meant, not as JSON writes them."""
    flat = flatten(document)
    return "\n".join([*flat, *(value.text for values in flat.values() for value in values)]).encode()


def _finder(literals: Iterable[bytes]) -> Any:
    """A search for all of these at once, in linear time; None without any. The longest one at a place is found."""
    ordered = sorted(literals, key=lambda text: (-len(text), text))
    if not ordered:
        return None
    options = re2.Options()
    options.max_mem = FINDER_MEMORY
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    options.longest_match = True
    return re2.compile(b"|".join(re2.escape(text.decode()).encode() for text in ordered), options)


class RuleSet:
    """Immutable: the rules in force at `version`, and parts of them that are made when they are first needed; and the
    silences that aren't over."""

    def __init__(self, version: int, rules: Iterable[Rule], silences: Iterable[Silence] = ()) -> None:
        self.version = version
        self.silences = tuple(silences)
        self.coverings = coverings_of(self.silences)
        self.rules = tuple(compiled(rule) for rule in rules if rule.enabled)
        of_each = [SEVERITIES if one.condition is None else one.condition.severities for one in self.rules]
        possible = frozenset[int]().union(*of_each)
        self.possible = bytes(number in possible for number in range(256))
        self._parts: tuple[dict[str, tuple[Part, ...]], ...] = tuple({} for _ in SEVERITIES)
        self._shared: dict[tuple[int, ...], Part] = {}
        self._making = threading.Lock()
        alike = not any(map(_of_services, self.rules)) and all(frozenset(one) == possible for one in of_each)
        self._anywhere = (self._part(tuple(range(len(self.rules)))),) if alike and self.rules else None

    @property
    def services_remembered(self) -> int:
        """How many services it knows the parts of, at the severity that knows most."""
        return max(map(len, self._parts))

    def has(self, name: str, version: int) -> bool:
        """Whether this version of a rule is in force."""
        return any(one.rule.name == name and one.rule.version == version for one in self.rules)

    def only(self, name: str) -> "RuleSet":
        """The same without all rules but one."""
        return RuleSet(self.version, [one.rule for one in self.rules if one.rule.name == name], self.silences)

    def work(self, columns: Columns) -> dict[Part, list[int]]:
        """The rows that any rule may match, by the rules that may."""
        rows = _marked(columns.severities.translate(self.possible))
        if self._anywhere is not None:
            return {part: rows for part in self._anywhere if rows}
        work: dict[Part, list[int]] = {}
        for row in rows:
            service = columns.services[row]
            parts = self._parts[columns.severities[row]].get(service)
            if parts is None:
                parts = self._parts_for(columns.severities[row], service)
            for part in parts:
                work.setdefault(part, []).append(row)
        return work

    def _parts_for(self, severity: int, service: str) -> tuple[Part, ...]:
        """Rules for any service and rules for this one are kept apart: the first are asked about many at once."""
        with self._making:
            known = self._parts[severity]
            if len(known) >= MAX_SERVICES:
                known.clear()
            fitting = [place for place, one in enumerate(self.rules) if _may(one, severity, fold(service))]
            general = tuple(place for place in fitting if not _of_services(self.rules[place]))
            special = tuple(place for place in fitting if _of_services(self.rules[place]))
            known[service] = tuple(self._part(places) for places in (general, special) if places)
            return known[service]

    def _part(self, places: tuple[int, ...]) -> Part:
        if places not in self._shared:
            self._shared[places] = Part([self.rules[place] for place in places])
        return self._shared[places]


def _marked(marks: bytes) -> list[int]:
    """The rows that are marked by 1, however few or many they are."""
    if marks.count(1) > len(marks) // 8:
        return list(compress(range(len(marks)), marks))
    rows: list[int] = []
    row = marks.find(1)
    while row >= 0:
        rows.append(row)
        row = marks.find(1, row + 1)
    return rows


def _of_services(one: Compiled) -> bool:
    return one.condition is not None and one.condition.services is not None


def _may(one: Compiled, severity: int, service: str) -> bool:
    condition = one.condition
    if condition is None:
        return True
    return severity in condition.severities and (condition.services is None or service in condition.services)


EMPTY: Final = RuleSet(0, ())


def times_of(columns: Columns, rows: Iterable[int], first_id: int) -> tuple[tuple[int, int], ...]:
    """The id and the time of each of these rows."""
    return tuple((first_id + row, to_us(columns.timestamps[row])) for row in rows)
