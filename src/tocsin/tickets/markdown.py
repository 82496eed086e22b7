"""Text of others in a Markdown document: shown as it is, never obeyed. Pure.

CommonMark 0.31 and what GitHub adds: 2.4 (any ASCII punctuation may be escaped), 4.5 (a fence ends at one that is at
least as long), autolinks, tables.
"""

import re
from collections.abc import Iterable
from typing import Final

MAX_INLINE: Final = 300
_ESCAPED: Final = str.maketrans(
    {**{char: f"\\{char}" for char in r"\`*_{}[]()#!|~$@:^="}, "<": "&lt;", ">": "&gt;", "&": "&amp;"}
)
_LEADING: Final = re.compile(r"([-+]|\d+(?=[.)]))")  # would begin a list
_WWW: Final = re.compile(r"\b(www)\.", re.IGNORECASE)  # would be a link
_TICKS: Final = re.compile(r"`+")


def printable(text: str) -> str:
    """Without anything that steers a terminal or turns text round: such characters are shown by their escapes."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def cut(text: str, most: int) -> str:
    """The beginning of a text that is too long, and that it goes on."""
    return text if len(text) <= most else text[: most - 1] + "…"


def inline(text: str, *, most: int = MAX_INLINE) -> str:
    """A text as part of a line or a table's cell, in which nothing acts."""
    shown = printable(cut(" ".join(text.split()), most)).translate(_ESCAPED)
    shown = _LEADING.sub(_shown_as_it_is, shown, count=1) if _LEADING.match(shown) else shown
    return _WWW.sub(r"\1\\.", shown)


def _shown_as_it_is(found: re.Match[str]) -> str:
    # A number can't be escaped: what stands behind it can.
    return f"\\{found[1]}" if found[1] in {"-", "+"} else f"{found[1][:-1]}&#{ord(found[1][-1])};"


def fenced(lines: Iterable[str]) -> list[str]:
    """Lines as they are, in a block that none of them can end."""
    shown = [printable(line) for line in lines]
    longest = max((len(run) for line in shown for run in _TICKS.findall(line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *shown, fence]
