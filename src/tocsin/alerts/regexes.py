"""The regular expression of a template: what its messages have in common, for engines of linear time."""

import re
from typing import Final

import re2

from tocsin.alerts.skeletons import MAX_TOKENS, VARIABLE, head_of

_PART: Final = re.compile(r"""<\*>|\.{2,}|[=:,;()\[\]{}'"|<>]|[^\s=:,;()\[\]{}'"|<>]+""")
_MARKS: Final = frozenset("=:,;()[]{}'\"|<>")
_BLANK: Final = r"\s"
_ANY_BLANK: Final = r"[\s\p{Z}\x0b\x1c-\x1f\x{85}]"  # as the miner has them


def regex_of(template: str, *, strict: bool = True, blank: str = _BLANK) -> str:
    """An anchored expression that messages of the template match, on their first line; more lines may follow.

    Blanks of any number may stand where tokens meet, and variables may be anything. `strict` wants words to end
    where a variable begins, and to begin where one ends.
    """
    parts = _PART.findall(template)
    found = [f"^{blank}*"]
    before = ""
    for part in parts:
        if part == VARIABLE:
            found.append(r"\b.*" if strict and _is_edge(before[-1:]) else ".*")
        elif before == VARIABLE:
            found.append((r"\b" if strict and _is_edge(part[0]) else "") + _literal(part))
        else:
            found += [_gap(before, part, blank), _literal(part)]
        before = part
    if len(parts) >= MAX_TOKENS - 2:
        found.append(".*")  # the miner has not looked further
    return "".join(found) + rf"{blank}*(?:\n(?s:.*))?$"


def _is_edge(character: str) -> bool:
    """Whether a word of ASCII may begin or end with it: `\\b` knows no others."""
    return character.isascii() and (character.isalnum() or character == "_")


def _literal(part: str) -> str:
    return r"\.{2,}" if len(part) > 1 and set(part) == {"."} else re.escape(part)


def _gap(before: str, part: str, blank: str) -> str:
    if not before:
        return ""
    touching = before in _MARKS or part in _MARKS or ".." in {before[:2], part[:2]}
    return f"{blank}*" if touching else f"{blank}+"


def regex_for(template: str, example: str) -> str | None:
    """The narrowest expression of a template that its example matches; None when there is none."""
    for strict, blank in ((True, _BLANK), (False, _BLANK), (False, _ANY_BLANK)):
        regex = regex_of(template, strict=strict, blank=blank)
        if matches(regex, head_of(example)):
            return regex
    return None


def matches(regex: str, message: str) -> bool:
    """Whether the engine that searches use takes the expression and finds the message."""
    try:
        return re2.search(regex, message) is not None
    except re2.error:
        return False
