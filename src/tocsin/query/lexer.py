"""Where a query's words, phrases, ranges, regular expressions and operators begin and end.

Our own, because Lucene's grammar would read `path:/api/v1/users` as a regular expression and stumble over what people
paste from a log.
"""

import re
from dataclasses import dataclass
from typing import Final

from tocsin.query.errors import QueryError

MAX_QUERY_CHARS: Final = 10_000
MAX_DEPTH: Final = 50
MAX_LEAVES: Final = 256
MAX_REGEX_CHARS: Final = 1_000
_FIELD: Final = re.compile(r'-?(?:@(?:"(?:[^"\\]|\\.)*"|(?:[^\s:()"\\]|\\.)+)|(?:[A-Za-z_][\w.\-]*)):')
_RANGE: Final = re.compile(r"([\[{])\s*(\S+)\s+TO\s+([^\s\]}]+)\s*([\]}])")
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_COMPARE: Final = re.compile(r"(>=|<=|>|<)")


@dataclass(frozen=True, slots=True)
class Token:
    """`kind`: word, phrase, regex, range, compare, and, or, not, open, close. `field` is what stood before the colon,
    for an `open` the field of the whole group. `parts` are a range's brackets and ends, or a comparison's sign."""

    kind: str
    text: str
    column: int
    field: str | None = None
    parts: tuple[str, ...] = ()


def tokens_of_query(text: str) -> list[Token]:
    """The tokens of a query, left to right. Raises QueryError."""
    if len(text) > MAX_QUERY_CHARS:
        raise QueryError(f"is longer than {MAX_QUERY_CHARS} characters")
    found: list[Token] = []
    depth = leaves = place = 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        token, place = _next(text, place)
        found.append(token)
        depth += {"open": 1, "close": -1}.get(token.kind, 0)
        leaves += token.kind in {"word", "phrase", "regex", "range", "compare"}
        if depth < 0:
            raise QueryError("this ) closes nothing", column=token.column)
        if depth > MAX_DEPTH:
            raise QueryError(f"is nested deeper than {MAX_DEPTH} groups", column=token.column)
        if leaves > MAX_LEAVES:
            raise QueryError(f"has more than {MAX_LEAVES} conditions", column=token.column)
    if depth:
        raise QueryError("a ( is never closed; expected )", column=len(text) + 1)
    return found


def _next(text: str, place: int) -> tuple[Token, int]:
    column = place + 1
    for sign, kind in (("(", "open"), (")", "close"), ("&&", "and"), ("||", "or")):
        if text.startswith(sign, place):
            return Token(kind, sign, column), place + len(sign)
    word = re.match(r"(AND|OR|NOT)(?=[\s()]|$)", text[place:])
    if word:
        return Token(word[1].lower(), word[1], column), place + len(word[1])
    if text[place] in "-!" and place + 1 < len(text) and not text[place + 1].isspace():
        return Token("not", text[place], column), place + 1
    field = _FIELD.match(text, place)
    if field and not _ADDRESS.match(text, place):
        name = field[0][:-1]
        if text.startswith("(", field.end()):
            return Token("open", "(", column, name), field.end() + 1
        return _value(text, field.end(), column, name)
    return _value(text, place, column, None)


def _value(text: str, place: int, column: int, field: str | None) -> tuple[Token, int]:
    if place >= len(text) or text[place].isspace() or text[place] == ")":
        raise QueryError(f"nothing stands after {field}: ; expected a value", column=place + 1)
    if text[place] == '"':
        content, end = _quoted(text, place)
        return Token("phrase", content, column, field), end
    if text[place] == "/":
        closed = _regex_end(text, place)
        if closed is not None:
            if closed - place - 2 > MAX_REGEX_CHARS:
                raise QueryError(f"a regular expression is longer than {MAX_REGEX_CHARS} characters", column=column)
            return Token("regex", text[place + 1 : closed - 1], column, field), closed
    if field is not None:
        ends = _RANGE.match(text, place)
        if ends:
            return Token("range", ends[0], column, field, ends.groups()), ends.end()
        sign = _COMPARE.match(text, place)
        if sign:
            token, end = _value(text, sign.end(), column, field)
            if token.kind not in {"word", "phrase"}:
                raise QueryError(f"expected a number, a time or a name after {sign[0]}", column=sign.end() + 1)
            return Token("compare", token.text, column, field, (sign[0],)), end
        if text[place] in "[{":
            raise QueryError("expected a range such as [1 TO 5] or {1 TO *]", column=place + 1)
    return _word(text, place, column, field)


def _word(text: str, place: int, column: int, field: str | None) -> tuple[Token, int]:
    """Up to a blank or a parenthesis that closes a group; a backslash takes the next character as it is."""
    end, opened, escaped = place, 0, False
    out: list[str] = []
    while end < len(text) and not text[end].isspace():
        character = text[end]
        if character == "\\" and end + 1 < len(text):
            out.append(text[end + 1] if text[end + 1] not in "*?" else "\\" + text[end + 1])
            end, escaped = end + 2, True
            continue
        if character == ")" and not opened:
            break
        opened += {"(": 1, ")": -1}.get(character, 0)
        out.append(character)
        end += 1
    word = "".join(out)
    if not escaped:
        for sign, what in (("~", "fuzzy search"), ("^", "boosting")):
            if re.fullmatch(rf"\w+\{sign}[\d.]*", word):
                raise QueryError(
                    f"{sign} ({what}) is not supported; quote it to search for the character", column=column
                )
    return Token("word", word, column, field), end


def _quoted(text: str, place: int) -> tuple[str, int]:
    out: list[str] = []
    end = place + 1
    while end < len(text):
        if text[end] == "\\" and end + 1 < len(text) and text[end + 1] in '"\\':
            out.append(text[end + 1])
            end += 2
        elif text[end] == '"':
            return "".join(out), end + 1
        else:
            out.append(text[end])
            end += 1
    raise QueryError('this " is never closed; expected "', column=place + 1)


def _regex_end(text: str, place: int) -> int | None:
    """Behind the slash that closes a regular expression: one before a blank, a parenthesis or the end."""
    end = place + 1
    while end < len(text):
        if text[end] == "\\":
            end += 2
            continue
        if (
            text[end] == "/"
            and end > place + 1
            and (end + 1 == len(text) or text[end + 1].isspace() or text[end + 1] == ")")
        ):
            return end + 1
        end += 1
    return None
