"""Texts made to fit: into a number of characters, of bytes, onto one line. Pure."""

import unicodedata
from collections.abc import Callable, Iterable
from typing import Final

ELLIPSIS: Final = "…"


def one_line(text: str, limit: int = 200) -> str:
    """The text on one line without control characters: what came from a log can't begin a header or a line."""
    return cut(" ".join(without_controls(text).split()), limit)


def without_controls(text: str) -> str:
    """The text with blanks for control characters but line ends and tabs, and for what turns the direction of letters,
    so that what is shown is what was sent."""
    return "".join(" " if _is_control(letter) else letter for letter in text)


def _is_control(letter: str) -> bool:
    if letter in "\n\t":
        return False
    category = unicodedata.category(letter)
    return category in {"Cc", "Cs", "Zl", "Zp"} or "\u202a" <= letter <= "\u202e" or "\u2066" <= letter <= "\u2069"


def cut(text: str, limit: int) -> str:
    """The text, or as much of it as fits with a sign that there was more."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)].rstrip() + ELLIPSIS


def with_links(text: str, links: Iterable[tuple[str, str]]) -> str:
    """The text, and below it the links that it does not hold itself, as `label: url`."""
    missing = "".join(f"{label}: {url}\n" for label, url in links if url and url not in text)
    return f"{text.rstrip()}\n\n{missing}" if missing else text


def fitting(text: str, limit: int, form: Callable[[str], str], size: Callable[[str], int] = len) -> str:
    """The longest beginning of a text that takes up at most `limit` once it has its form: nothing is cut in the middle
    of an escape."""
    whole = form(text)
    if size(whole) <= limit:
        return whole
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if size(form(text[:middle].rstrip() + ELLIPSIS)) <= limit:
            low = middle
        else:
            high = middle - 1
    return form(text[:low].rstrip() + ELLIPSIS)


def utf8_size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def utf16_size(text: str) -> int:
    """How many UTF-16 code units; some services count in these."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
