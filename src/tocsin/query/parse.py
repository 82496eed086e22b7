"""A query's text as a tree. The structure is luqum's grammar of Lucene; what a condition means is decided here."""

import difflib
import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import polars as pl
import re2
from luqum.exceptions import ParseError
from luqum.thread import parse as parse_lucene
from luqum.tree import AndOperation, Group, OrOperation
from luqum.tree import Not as LuceneNot
from luqum.tree import Word as Place

from tocsin.kit.clock import to_us
from tocsin.query.errors import QueryError
from tocsin.query.letters import fold
from tocsin.query.lexer import Token, tokens_of_query
from tocsin.query.patterns import for_polars, rewritten
from tocsin.query.schema import Field, Kind, Schema
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
    Target,
    Truth,
    Wildcard,
    Word,
)
from tocsin.query.values import number_of

REGEX_MEMORY: Final = 8 << 20
_EXISTS: Final = "_exists_"
_RELATIVE: Final = re.compile(r"(?:now)?-(\d{1,6})(s|m|h|d|w)")
_UNITS_US: Final = {
    "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000, "w": 604_800_000_000,
}  # fmt: skip
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_NONE: Final = frozenset({"none", "null"})


def parse(text: str, schema: Schema, *, now: datetime) -> Node:
    """The tree of a query; `now` is what relative times (`-15m`) are reckoned from. Raises QueryError."""
    tokens = tokens_of_query(text)
    if not tokens or text.strip() == "*":
        return Everything()
    leaves: dict[str, Node] = {}
    source = _for_grammar(tokens, leaves, _Reader(schema, now))
    try:
        return _node(parse_lucene(source), leaves)
    except ParseError as error:
        raise QueryError(_where(tokens), column=_column(tokens)) from error


def _for_grammar(tokens: list[Token], leaves: dict[str, Node], reader: "_Reader") -> str:
    """The query with a placeholder for each condition, and AND written out between neighbours: it binds over OR."""
    out: list[str] = []
    fields: list[str | None] = []
    complete = False
    for token in tokens:
        if token.kind in {"and", "or"}:
            if not complete:
                raise QueryError(f"{token.text} has nothing before it; expected a condition", column=token.column)
            out.append(token.kind.upper())
            complete = False
            continue
        if token.kind == "close":
            if not complete:
                raise QueryError("expected a condition before this )", column=token.column)
            fields.pop()
            out.append(")")
            continue
        if complete:
            out.append("AND")
        complete = token.kind not in {"not", "open"}
        if token.kind == "not":
            if out[-1:] == ["NOT"]:
                out.pop()  # twice is not at all, and nesting stays bounded by that of groups
            else:
                out.append("NOT")
        elif token.kind == "open":
            fields.append(token.field or (fields[-1] if fields else None))
            out.append("(")
        else:
            name = f"L{len(leaves)}"
            leaves[name] = reader.leaf(token, token.field or (fields[-1] if fields else None))
            out.append(name)
    if not complete:
        raise QueryError(f"ends after {tokens[-1].text}; expected a condition", column=_column(tokens))
    return " ".join(out)


def _node(found: Any, leaves: Mapping[str, Node]) -> Node:
    if isinstance(found, Place):
        return leaves[found.value]
    if isinstance(found, Group):
        return _node(found.children[0], leaves)
    if isinstance(found, LuceneNot):
        return Not(_node(found.children[0], leaves))
    parts = tuple(_node(child, leaves) for child in found.children)
    assert isinstance(found, AndOperation | OrOperation)
    return And(parts) if isinstance(found, AndOperation) else Or(parts)


def _where(tokens: list[Token]) -> str:
    return f"can't be read near {tokens[-1].text!r}; expected a condition"


def _column(tokens: list[Token]) -> int:
    return tokens[-1].column + len(tokens[-1].text)


class _Reader:
    """Says what a condition means for a schema."""

    def __init__(self, schema: Schema, now: datetime) -> None:
        self._schema = schema
        self._now = now

    def leaf(self, token: Token, name: str | None) -> Node:
        if name == _EXISTS:
            return Exists(self._target(token.text, token.column))
        if name is None:
            return self._bare(token)
        target = self._target(name, token.column)
        return self._attribute(token, target) if isinstance(target, Attribute) else self._named(token, target)

    def _named(self, token: Token, target: Named) -> Node:
        field = self._schema.field(target.name)
        assert field is not None
        if field.kind is Kind.TEXT:
            return self._text(token, target)
        if field.kind is Kind.KEYWORD:
            if token.kind == "word" and token.text.lower() in _NONE:
                return Not(Exists(target))
            return self._one_of(self._whole(token, target), field, token.column)
        if field.kind is Kind.BOOLEAN:
            return _truth(token, target)
        return self._ordered(token, target, field)

    def _bare(self, token: Token) -> Leaf:
        if token.kind == "regex":
            return Regex(Named(self._schema.first_text), self._regex(token))
        return self._text(token, Anywhere())

    def _text(self, token: Token, target: Target) -> Leaf:
        if token.kind == "regex":
            return Regex(target, self._regex(token))
        if token.kind == "phrase":
            return Phrase(target, token.text)
        if token.kind != "word":
            raise QueryError("a text can't be compared; expected a word, a phrase or /a regex/", column=token.column)
        if _has_wildcard(token.text):
            return (
                Exists(target) if token.text == "*" and not isinstance(target, Anywhere) else _wildcard(token, target)
            )
        return Word(target, _plain(token.text))

    def _whole(self, token: Token, target: Target) -> Leaf:
        if token.kind == "regex":
            return Regex(target, self._regex(token))
        if token.kind in {"compare", "range"}:
            raise QueryError("this field can't be compared with < or >; expected a value", column=token.column)
        if token.kind == "word" and token.text == "*":
            return Exists(target)
        if token.kind == "word" and _has_wildcard(token.text):
            return _wildcard(token, target, whole=True)
        return Equals(target, token.text if token.kind == "phrase" else _plain(token.text))

    def _attribute(self, token: Token, target: Attribute) -> Leaf:
        if token.kind not in {"compare", "range"}:
            leaf = self._whole(token, target)
            return Equals(target, leaf.text, number_of(leaf.text)) if isinstance(leaf, Equals) else leaf

        def read(text: str) -> float:
            value = number_of(text)
            if value is None:
                raise QueryError(f"{text!r} is not a number; attributes are compared as numbers", column=token.column)
            return value

        return _between(token, target, lambda text: (read(text), read(text)))

    def _ordered(self, token: Token, target: Named, field: Field) -> Leaf:
        if token.kind == "regex" or (token.kind == "word" and _has_wildcard(token.text)):
            raise QueryError(f"{field.name} takes a value, < > or a range", column=token.column)
        read = {Kind.NUMBER: _number, Kind.INSTANT: self._instant, Kind.ORDERED: _rank}[field.kind]

        def ends(text: str) -> tuple[float, float]:
            try:
                found: tuple[float, float] = read(text, field)
            except ValueError as error:
                raise QueryError(f"{field.name}: {error}", column=token.column) from error
            return found

        if token.kind in {"compare", "range"}:
            return _between(token, target, ends)
        return Between(target, *ends(_plain(token.text)))

    def _instant(self, text: str, field: Field) -> tuple[float, float]:
        """When it begins and ends: a date stands for its whole day."""
        relative = _RELATIVE.fullmatch(text)
        if relative:
            at = to_us(self._now) - int(relative[1]) * _UNITS_US[relative[2]]
        elif text == "now":
            at = to_us(self._now)
        else:
            assert field.parse_instant is not None
            at = field.parse_instant(text)
        return at, at + (_UNITS_US["d"] - 1 if _DATE.fullmatch(text) else 0)

    def _one_of(self, leaf: Leaf, field: Field, column: int) -> Leaf:
        """A value as it is stored."""
        if not field.values or not isinstance(leaf, Equals):
            return leaf
        known = {fold(value): value for value in field.values}
        if fold(leaf.text) not in known:
            raise QueryError(f"{field.name}: {leaf.text!r} is none of {', '.join(field.values)}", column=column)
        return Equals(leaf.target, known[fold(leaf.text)])

    def _regex(self, token: Token) -> str:
        if not self._schema.regexes:
            detail = "regular expressions can't be used here; expected words, a phrase or wildcards"
            raise QueryError(detail, column=token.column)
        pattern = rewritten(token.text, column=token.column)
        reason = _what_is_wrong(pattern)
        if reason is not None:
            raise QueryError(f"the regular expression can't be used: {reason}", column=token.column)
        return pattern

    def _target(self, name: str, column: int) -> Named | Attribute:
        if self._schema.attributes:
            for prefix in ("@", "attributes."):
                path = _unquoted(name.removeprefix(prefix))
                if name.startswith(prefix) and path:
                    return Attribute(path)
        if self._schema.field(name) is not None:
            return Named(name)
        known = [field.name for field in self._schema.fields]
        near = difflib.get_close_matches(name.lower(), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        attribute = f"; an attribute is written @{name}" if self._schema.attributes else ""
        raise QueryError(
            f"there is no field {name!r}: {hint}{attribute}; text with a colon needs quotes", column=column
        )


def _what_is_wrong(pattern: str) -> str | None:
    """What either of our engines has against a pattern: each refuses some that the other one takes."""
    try:
        compiled(pattern)
    except re2.error as error:
        return error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
    try:
        pl.Series([""]).str.contains(for_polars(pattern))
    except pl.exceptions.ComputeError as error:
        said = re.search(r"^error: (.+)$|(exceeds size limit.*)$", str(error), re.MULTILINE)
        return "the engine for stored logs can't read it" if said is None else said[1] or said[2]
    return None


def compiled(pattern: str) -> Any:
    """A pattern for RE2, with bounded memory and in silence. Raises re2.error."""
    options = re2.Options()
    options.max_mem = REGEX_MEMORY
    options.log_errors = False
    return re2.compile(pattern, options)


def _between(token: Token, target: Target, ends: Any) -> Between:
    if token.kind == "range":
        first, low, high, last = token.parts
        return Between(
            target,
            None if low == "*" else ends(low)[first == "{"],
            None if high == "*" else ends(high)[last == "]"],
            low_open=first == "{",
            high_open=last == "}",
        )
    low, high = ends(token.text)
    return {
        ">": Between(target, high, None, low_open=True),
        ">=": Between(target, low, None),
        "<": Between(target, None, low, high_open=True),
        "<=": Between(target, None, high),
    }[token.parts[0]]


def _number(text: str, _field: Field) -> tuple[float, float]:
    value = number_of(text)
    if value is None or not math.isfinite(value):
        raise ValueError(f"{text!r} is not a number")
    return value, value


def _rank(text: str, field: Field) -> tuple[float, float]:
    assert field.name_of is not None
    name = field.name_of(text)
    if name is None:
        raise ValueError(f"{text!r} is none of {', '.join(field.ranks)}")
    return field.ranks[name]


def _truth(token: Token, target: Named) -> Truth:
    if token.kind in {"word", "phrase"} and token.text.lower() in {"true", "false"}:
        return Truth(target, token.text.lower() == "true")
    raise QueryError(f"{target.name} is true or false", column=token.column)


def _has_wildcard(text: str) -> bool:
    return re.search(r"(?<!\\)[*?]", text) is not None


def _wildcard(token: Token, target: Target, *, whole: bool = False) -> Wildcard:
    if "\\" in token.text:
        raise QueryError(
            "a wildcard and an escaped * or ? can't be mixed; use a phrase or a regex", column=token.column
        )
    return Wildcard(target, token.text, whole)


def _plain(text: str) -> str:
    return re.sub(r"\\([*?])", r"\1", text)


def _unquoted(path: str) -> str:
    inner = path[1:-1] if len(path) > 1 and path[0] == path[-1] == '"' else path
    return re.sub(r"\\(.)", r"\1", inner)
