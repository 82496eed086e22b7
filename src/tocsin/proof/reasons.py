"""Why a condition isn't true of a record: the parts of it that failed, in words of the filter language."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tocsin.alerts.rules import CONDITIONS
from tocsin.logs.fields import LOGS
from tocsin.logs.levels import level_of_severity
from tocsin.query.patterns import as_written
from tocsin.query.predicate import Row, compile_predicate
from tocsin.query.tree import (
    And,
    Anywhere,
    Attribute,
    Between,
    Equals,
    Everything,
    Exists,
    Leaf,
    Named,
    Node,
    Not,
    Or,
    Phrase,
    Regex,
    Truth,
    Wildcard,
    Word,
)

MAX_FOUND_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Missing:
    """A part of a condition that did not hold, and what the record has instead."""

    wanted: str
    found: str

    @property
    def text(self) -> str:
        return f"{self.wanted}, but {self.found}"


def missing(node: Node, row: Row) -> list[Missing]:
    """Everything that would have to be otherwise for the tree to be true of a record; nothing when it is true."""
    if compile_predicate(node, CONDITIONS)(row):
        return []
    if isinstance(node, And):
        return [one for part in node.parts for one in missing(part, row)]
    found = dict.fromkeys(_found(leaf, row) for leaf in _leaves(node))
    return [Missing(written(node), ", ".join(found))]


def written(node: Node) -> str:
    """A tree as one would write it."""
    match node:
        case Everything():
            return "*"
        case And(parts):
            return " ".join(_bracketed(part) for part in parts)
        case Or(parts):
            return " OR ".join(_bracketed(part) for part in parts)
        case Not(part):
            return f"NOT {_bracketed(part)}"
        case Exists(target):
            return f"_exists_:{_name(target)}"
        case _:
            name = _name(node.target)
            return f"{name}:{_wanted(node)}" if name else _wanted(node)


def _bracketed(node: Node) -> str:
    return f"({written(node)})" if isinstance(node, And | Or) else written(node)


def _leaves(node: Node) -> Iterator[Leaf]:
    match node:
        case Everything():
            return
        case And(parts) | Or(parts):
            for part in parts:
                yield from _leaves(part)
        case Not(part):
            yield from _leaves(part)
        case _:
            yield node


def _name(target: Anywhere | Named | Attribute) -> str:
    if isinstance(target, Anywhere):
        return ""
    return target.name if isinstance(target, Named) else f"@{target.path}"


def _wanted(leaf: Leaf) -> str:
    match leaf:
        case Phrase(_, text) | Word(_, text) | Equals(_, text):
            plain = text and not isinstance(leaf, Phrase) and set(text).isdisjoint(' "():')
            return text if plain else f'"{text}"'
        case Wildcard(_, pattern):
            return pattern
        case Regex(_, pattern):
            return f"/{as_written(pattern)}/"
        case Between():
            return _range(leaf)
        case Truth(_, value):
            return str(value).lower()
    return "*"


def _range(leaf: Between) -> str:
    """`>=ERROR`, `CRITICAL`, `>500`, `[1 TO 5]`."""
    field = LOGS.field(leaf.target.name) if isinstance(leaf.target, Named) else None
    ranks = {} if field is None else field.ranks
    same = [name for name, ends in ranks.items() if ends == (leaf.low, leaf.high)]
    if same:
        return same[0]
    low = _bound(leaf.low, {ends[leaf.low_open]: name for name, ends in ranks.items()})
    high = _bound(leaf.high, {ends[not leaf.high_open]: name for name, ends in ranks.items()})
    if leaf.high is None:
        return (">" if leaf.low_open else ">=") + low
    if leaf.low is None:
        return ("<" if leaf.high_open else "<=") + high
    return f"{'{' if leaf.low_open else '['}{low} TO {high}{'}' if leaf.high_open else ']'}"


def _bound(value: float | None, names: dict[int, str]) -> str:
    if value is None:
        return "*"
    return names.get(int(value), f"{value:g}") if value == int(value) else f"{value:g}"


def _found(leaf: Leaf, row: Row) -> str:
    """What a record has where a leaf looks."""
    target = leaf.target
    if isinstance(target, Attribute):
        values = [value.text for value in row.attributes().get(target.path, ())]
        return f"@{target.path} is {_shortened(', '.join(values))}" if values else f"@{target.path} is absent"
    if isinstance(target, Anywhere):
        return f"neither its message ({_shortened(str(row.get('message')))}) nor an id or attribute has that"
    field = CONDITIONS.field(target.name)
    value = None if field is None else row.get(field.stored_as)
    if target.name == "level" and value is not None:
        value = level_of_severity(int(value)).name
    return f"{target.name} is absent" if value is None else f"{target.name} is {_shortened(str(value))}"


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_FOUND_CHARS else text[: MAX_FOUND_CHARS - 1] + "…"
