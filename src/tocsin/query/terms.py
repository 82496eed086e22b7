"""What an index keeps of a text so that words, and pieces of words, are found without reading it.

Of each token its whole (`=timeout`) and all runs of three characters in it (`tim`, `ime`, ...), folded; of a value that
is looked for as a whole its tokens, by the name of its field (`source=servicenow`); of the day it belongs to, the day
and the longer spans around it, so that what is in many texts is found span by span. What a query needs of them
(`need_of`) narrows down where to look; whether a text meets it is for the exact check to say.

What `terms_of` gives is what stands in the index: whoever changes it makes the index anew, by a migration.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tocsin.query.letters import fold
from tocsin.query.tree import And, Anywhere, Equals, Leaf, Named, Node, Or, Phrase, Target, Wildcard, Word

GRAM: Final = 3
SPANS: Final = (256, 16, 1)  # days
LONGEST_WORD: Final = 64  # a longer token is found by its pieces
MOST_TERMS: Final = 8  # more of them narrow down no further, and each is read
_TOKEN: Final = re.compile(r"[0-9A-Za-z_\x80-\U0010ffff]+")
_WILD: Final = re.compile(r"[*?]+")


@dataclass(frozen=True, slots=True)
class Has:
    """One text, at the target, has all these terms."""

    target: Target
    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple["Need", ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    parts: tuple["Need", ...]


Need = Has | AllOf | OneOf


def terms_of(*texts: str, **values: str | None) -> set[str]:
    """The terms of some texts, and of values by their fields."""
    found = {term for name, value in values.items() for term in _of_value(name, value or "")}
    for token in {token for text in texts for token in _TOKEN.findall(fold(text))}:
        found.update(token[place : place + GRAM] for place in range(len(token) - GRAM + 1))
        if len(token) <= LONGEST_WORD:
            found.add(f"={token}")
    return found


def time_terms(day: int) -> set[str]:
    """The spans that a day, counted since 1970, is in."""
    return {span_term(day // days, days) for days in SPANS}


def span_term(number: int, days: int) -> str:
    """The term of a span of so many days, counted since 1970."""
    return f"days{days}={number}"


def _of_value(name: str, value: str) -> list[str]:
    return [f"{name}={token}" for token in _TOKEN.findall(fold(value)) if len(token) <= LONGEST_WORD]


def words_of(text: str) -> list[str]:
    """The tokens of a text, folded, in order."""
    return _TOKEN.findall(fold(text))


def need_of(node: Node, texts: Sequence[str], values: Sequence[str] = ()) -> Need | None:
    """What is needed of a thing for a query to be true of it, by its fields; None: nothing for certain."""
    match node:
        case And(parts):
            needs = [need for part in parts if (need := need_of(part, texts, values)) is not None]
            return _joined(AllOf, needs)
        case Or(parts):
            some = [need_of(part, texts, values) for part in parts]
            return None if None in some else _joined(OneOf, [need for need in some if need is not None])
        case Word() | Phrase() | Wildcard():
            at = node.target
            terms = needed_terms(node) if isinstance(at, Anywhere) or _is_one_of(at, texts) else ()
            return Has(at, terms) if terms else None
        case Equals(Named(name), value) if name in values:
            found = _of_value(name, value)
            return Has(node.target, tuple(found[:MOST_TERMS])) if found else None
        case _:
            return None


def _is_one_of(target: Target, fields: Sequence[str]) -> bool:
    return isinstance(target, Named) and target.name in fields


def _joined(kind: type[AllOf] | type[OneOf], needs: Sequence[Need]) -> Need | None:
    if len(needs) < 2:
        return needs[0] if needs else None
    flat = [inner for need in needs for inner in (need.parts if isinstance(need, kind) else (need,))]
    return kind(tuple(flat))


def all_in_one(need: Need, covers: Callable[[Target], bool]) -> Need | None:
    """What the terms of one text must be if it alone, of those that are covered, meets all that is needed.

    None: it can't.
    """
    match need:
        case Has(target, _):
            return need if covers(target) else None
        case AllOf(parts):
            every = [all_in_one(part, covers) for part in parts]
            return None if None in every else _joined(AllOf, [part for part in every if part is not None])
        case OneOf(parts):
            some = [found for part in parts if (found := all_in_one(part, covers)) is not None]
            return _joined(OneOf, some)


def any_part(need: Need, covers: Callable[[Target], bool]) -> Need | None:
    """What the terms of a text must be if it, of those that are covered, meets any part of what is needed."""
    return _joined(OneOf, [part for part in _leaves(need) if covers(part.target)])


def _leaves(need: Need) -> Iterable[Has]:
    if isinstance(need, Has):
        return (need,)
    return (leaf for part in need.parts for leaf in _leaves(part))


def needed_terms(leaf: Leaf) -> tuple[str, ...]:
    """Terms that every text has which meets a word, a phrase or a wildcard: those that say most, first."""
    match leaf:
        case Word(_, text):
            found = _of_piece(fold(text), left_open=False, right_open=False)
        case Phrase(_, text):
            found = _of_piece(fold(text), left_open=True, right_open=True)
        case Wildcard(_, pattern, False):
            pieces = _WILD.split(fold(pattern))
            last = len(pieces) - 1
            found = [
                term
                for place, piece in enumerate(pieces)
                for term in _of_piece(piece, left_open=place > 0, right_open=place < last)
            ]
        case _:
            return ()
    unlike = sorted(set(found), key=lambda term: (-len(term), term))
    return tuple(unlike[:MOST_TERMS])


def _of_piece(text: str, *, left_open: bool, right_open: bool) -> list[str]:
    """Of a literal text; a token at an open end may be part of a longer one."""
    found: list[str] = []
    for token in _TOKEN.finditer(text):
        partial = (left_open and token.start() == 0) or (right_open and token.end() == len(text))
        if partial or len(token[0]) > LONGEST_WORD:
            found += _pieces(token[0])
        else:
            found.append(f"={token[0]}")
    return found


def _pieces(token: str) -> list[str]:
    """Runs of three characters that cover a token."""
    last = len(token) - GRAM
    return [token[place : place + GRAM] for place in sorted({*range(0, last, GRAM), last})] if last >= 0 else []
