"""The regular expression of a template: what its messages have in common, for engines of linear time."""

import re
from typing import Final

import re2

from tocsin.alerts.skeletons import MAX_TOKENS, VARIABLE, head_of

_PART: Final = re.compile(r"""<\*>|\.{2,}|[=:,;()\[\]{}'"|<>]|[^\s=:,;()\[\]{}'"|<>]+""")
_MARKS: Final = frozenset("=:,;()[]{}'\"|<>")


def regex_of(template: str, *, strict: bool = True) -> str:
    """An anchored expression that messages of the template match, on their first line; more lines may follow.

    Blanks of any number may stand where tokens meet, and variables may be anything. `strict` wants a word to end
    where a variable begins.
    """
    parts = _PART.findall(template)
    found = [r"(?s)^\s*"]
    before = ""
    for part in parts:
        if part == VARIABLE:
            edge = strict and before[-1:].isascii() and (before[-1:].isalnum() or before.endswith("_"))
            found.append(r"\b.*" if edge else ".*")
        else:
            found += [_gap(before, part), r"\.{2,}" if set(part) == {"."} and len(part) > 1 else re.escape(part)]
        before = part
    if len(parts) >= MAX_TOKENS - 2:
        found.append(".*")  # the miner has not looked further
    return "".join(found) + r"\s*(?:\n.*)?$"


def _gap(before: str, part: str) -> str:
    if before in {"", VARIABLE}:
        return ""
    return r"\s*" if before in _MARKS or part in _MARKS or ".." in {before[:2], part[:2]} else r"\s+"


def regex_for(template: str, example: str) -> str | None:
    """The narrowest expression of a template that its example matches; None when there is none."""
    for strict in (True, False):
        regex = regex_of(template, strict=strict)
        if matches(regex, head_of(example)):
            return regex
    return None


def matches(regex: str, message: str) -> bool:
    """Whether the engine that searches use takes the expression and finds the message."""
    try:
        return re2.search(regex, message) is not None
    except re2.error:
        return False
