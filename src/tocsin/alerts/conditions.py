"""What a rule's condition demands of a record: the predicate, and what is cheap to rule out before it is asked."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from tocsin.alerts.rules import CONDITIONS, Kind, Rule
from tocsin.query.letters import fold
from tocsin.query.patterns import text_test
from tocsin.query.predicate import Predicate, compile_predicate
from tocsin.query.pruning import may_match
from tocsin.query.tree import And, Attribute, Between, Equals, Leaf, Named, Node, Or, Phrase, Wildcard, Word

SEVERITIES: Final = range(25)
MIN_LITERAL: Final = 2
# What stands for itself in JSON and in UTF-8, whatever its case.
_RUN: Final = re.compile(r"[ !#-\[\]-~]+")


@dataclass(frozen=True, slots=True)
class Literals:
    """Every record that meets the condition holds at least one of these texts (ASCII, in lower case) in its message;
    `beyond` it too: in attribute names or values, or the ids of trace and span. `exact` ones are sought for themselves,
    the others are names of attributes, which many records have."""

    texts: frozenset[bytes]
    beyond: bool
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Condition:
    """`severities`, `services` (folded; None: any) and `literals` (None: nothing is certain) may let through records
    that don't match, never keep one out that does. `by_level_alone`: the severities say all.
    `is_hit`: which of the records that a ratio looks at it is about."""

    holds: Predicate
    severities: frozenset[int]
    services: frozenset[str] | None
    literals: Literals | None
    by_level_alone: bool
    is_hit: Predicate | None = None


def condition_of(rule: Rule) -> Condition:
    """A rule's condition, ready for use. Raises QueryError."""
    node = rule.node()
    level = CONDITIONS.field("level")
    by_level = isinstance(node, Between) and isinstance(node.target, Named) and node.target.name == "level"
    assert level is not None
    return Condition(
        holds=compile_predicate(node, CONDITIONS),
        severities=frozenset(s for s in SEVERITIES if may_match(node, _OfSeverity(level.stored_as, s), CONDITIONS)),
        services=_services(node),
        literals=_literals(node),
        by_level_alone=by_level,
        is_hit=compile_predicate(rule.hit(), CONDITIONS) if rule.kind is Kind.RATIO else None,
    )


@dataclass(frozen=True, slots=True)
class _OfSeverity:
    """Records of one severity number, of which nothing else is known."""

    column: str
    severity: int

    def has_tokens(self, wanted: Collection[str]) -> bool:
        return True

    def may_have_rank(self, column: str, test: Callable[[float], bool]) -> bool:
        return column != self.column or test(self.severity)

    def may_have_keyword(self, column: str, test: Callable[[str], bool]) -> bool:
        return True

    def may_have_time(self, column: str, low: float | None, high: float | None) -> bool:
        return True


def _services(node: Node) -> frozenset[str] | None:
    """The services a record must be of, folded; None when it may be of any."""
    if isinstance(node, And):
        known = [found for part in node.parts if (found := _services(part)) is not None]
        return min(known, key=len) if known else None
    if isinstance(node, Or):
        each = [_services(part) for part in node.parts]
        return frozenset().union(*(found for found in each if found is not None)) if None not in each else None
    if isinstance(node, Equals) and node.target == Named("service"):
        return frozenset({fold(node.text)})
    return None


def _literals(node: Node) -> Literals | None:
    if isinstance(node, And):
        known = [found for part in node.parts if (found := _literals(part)) is not None]
        return max(known, key=_worth) if known else None
    if isinstance(node, Or):
        each = [_literals(part) for part in node.parts]
        known = [found for found in each if found is not None]
        if len(known) < len(each):
            return None
        texts = frozenset().union(*(found.texts for found in known))
        return Literals(texts, any(found.beyond for found in known), all(found.exact for found in known))
    return _literal(node) if isinstance(node, Leaf) else None


def _worth(literals: Literals) -> tuple[bool, int, bool]:
    """How few records are likely to hold one of them, and how cheap that is to see."""
    return literals.exact, min(len(text) for text in literals.texts), not literals.beyond


def _literal(leaf: Leaf) -> Literals | None:
    if isinstance(leaf.target, Named) and leaf.target.name not in CONDITIONS.anywhere:
        return None
    beyond = leaf.target != Named("message")
    numeric = isinstance(leaf, Equals) and leaf.number is not None and isinstance(leaf.target, Attribute)
    if isinstance(leaf, Word | Phrase | Wildcard | Equals) and not numeric:
        found = _longest_run(text_test(leaf).literal)
        if found is not None:
            return Literals(frozenset({found}), beyond)
    if isinstance(leaf.target, Attribute):
        name = _longest_run(leaf.target.path.rpartition(".")[2])
        return None if name is None else Literals(frozenset({name}), beyond=True, exact=False)
    return None


def _longest_run(text: str) -> bytes | None:
    """The longest part of a text that looks the same wherever it stands, but for its case."""
    run = max(_RUN.findall(text), key=len, default="")
    return run.lower().encode() if len(run) >= MIN_LITERAL else None
