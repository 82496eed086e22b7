"""What can be ruled out without looking: no record of a segment can match when its facts say so."""

from collections.abc import Callable, Collection
from typing import Protocol

from tocsin.query.letters import fold
from tocsin.query.patterns import is_word_character
from tocsin.query.predicate import inside, text_matcher
from tocsin.query.schema import Kind, Schema
from tocsin.query.tree import And, Attribute, Between, Equals, Leaf, Named, Node, Or, Phrase, Wildcard, Word


class Facts(Protocol):
    """What is known of many records together. Every answer may be yes wrongly, never no."""

    def has_tokens(self, wanted: Collection[str]) -> bool:
        """Whether each of these (folded) is in a message, a trace or span id, or an attribute value."""
        ...

    def may_have_rank(self, column: str, test: Callable[[float], bool]) -> bool:
        """Whether a record may have such a stored value of an ORDERED field."""
        ...

    def may_have_keyword(self, column: str, test: Callable[[str], bool]) -> bool: ...

    def may_have_time(self, column: str, low: float | None, high: float | None) -> bool: ...


def tokens_of(text: str) -> set[str]:
    """The tokens of a text, as they are sought: folded (see `letters`)."""
    return set("".join(c if is_word_character(c) else " " for c in fold(text)).split(" ")) - {""}


def may_match(node: Node, facts: Facts, schema: Schema) -> bool:
    """Whether any record may match: False only when none can."""
    if isinstance(node, And):
        return all(may_match(part, facts, schema) for part in node.parts)
    if isinstance(node, Or):
        return any(may_match(part, facts, schema) for part in node.parts)
    if isinstance(node, Word | Phrase | Wildcard | Equals | Between):
        return _leaf(node, facts, schema)
    return True  # a negation says nothing of what is there


def _leaf(leaf: Leaf, facts: Facts, schema: Schema) -> bool:
    if isinstance(leaf.target, Named):
        field = schema.field(leaf.target.name)
        assert field is not None
        column = field.stored_as
        if isinstance(leaf, Between):
            if field.kind is Kind.ORDERED:
                return facts.may_have_rank(column, lambda value: inside(leaf, value))
            return field.kind is not Kind.INSTANT or facts.may_have_time(column, leaf.low, leaf.high)
        if field.kind is Kind.KEYWORD and column not in schema.anywhere:
            return facts.may_have_keyword(column, text_matcher(leaf))
        if column not in schema.anywhere:
            return True
    certain = _certain_tokens(leaf)
    return not certain or facts.has_tokens(certain)


def _certain_tokens(leaf: Leaf) -> set[str]:
    """Tokens that every text which meets the condition has."""
    if isinstance(leaf, Word):
        return tokens_of(leaf.text)
    if isinstance(leaf, Equals):
        numeric = leaf.number is not None and isinstance(leaf.target, Attribute)
        return set() if numeric else tokens_of(leaf.text)
    if isinstance(leaf, Phrase):
        return _inner(leaf.text)
    if isinstance(leaf, Wildcard) and leaf.whole:
        return _inner(f" {leaf.pattern} ".replace("?", "*"), joker="*")
    return set()


def _inner(text: str, joker: str = "") -> set[str]:
    """Tokens that other characters of the text itself bound on both sides."""
    found: set[str] = set()
    start: int | None = None
    folded = fold(text)
    for place, character in enumerate(folded):
        if character != joker and is_word_character(character):
            start = place if start is None else start
            continue
        bounded = start is not None and start > 0 and character != joker and folded[start - 1] != joker
        if bounded:
            found.add(folded[start:place])
        start = None
    return found
