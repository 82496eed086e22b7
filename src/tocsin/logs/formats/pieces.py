"""Parts a header may have between its timestamp and its message, and what to call them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

CLOSE: Final = r"[ \t]*+"
NAME: Final = r"(?:[^\s:\[\]()|]|::)++"
BRACKET: Final = r"(?:[^\[\]]++|\[[^\[\]]*+\])*+"
DOTTED: Final = r"[A-Za-z_$][\w$-]*+(?:[./][\w$<>-]++)++"

SEPARATOR: Final = re.compile(r"(?:-{1,3}|[:;,>–—]|->|=>|::)(?=\s|$)|\|")
CALLER: Final = re.compile(r"[A-Za-z_][\w./$-]*:\d+")
UUID: Final = re.compile(r"(?:req-)?[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|req-[\w-]+|[0-9a-f]{32}")
_ADDRESS: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?|(?=[^:]*:[^:]*:)[0-9a-fA-F:.]{3,45}")
_IDENTIFIER: Final = re.compile(r"[A-Za-z_$][\w$.:/@+<>~-]*")
_TELLING: Final = re.compile(r"[a-z][A-Z]|^[A-Z][a-z]*[A-Z]|^[A-Z][a-z]|[._$/@]|::|-\w|^[A-Z][A-Z0-9]+$")
_THREAD: Final = re.compile(r"main|(?i:thread|worker|exec|pool|conn|handler|dispatcher|scheduler)|[-# ]\d+$")
_DATE: Final = re.compile(r"\d{4}[-/.]\d\d[-/.]\d\d")
_DATE_TIME: Final = re.compile(r"\d{4}[-/.]\d\d[-/.]\d\d[-T_ :]\d\d[:.]\d\d[:.]\d\d\S*")
_FILE: Final = re.compile(r"\S+\.log\S*|/\S+/\S+")
_CODE: Final = re.compile(r"[A-Z]{2,8}-?\d{3,8}")
_PAIR: Final = re.compile(r".*\w=.*")
_DOTTED: Final = re.compile(DOTTED)
_UPTIME: Final = re.compile(r"\d{1,12}(?:\.\d{1,9})?(?:ms|s)")
_STREAM: Final = re.compile(r"stdout|stderr")
_LABEL: Final = re.compile(r"-|[A-Z][A-Z0-9_]+")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a header: a pattern whose groups are written `(?P<@>`, and the attribute of each group."""

    pattern: str
    fields: tuple[str, ...] = ()
    optional: bool = False


# A bracketed part is the thread where a logger's name follows; else a name is the logger's, and words are some context.
UNDECIDED_NAME: Final = "thread or logger"
UNDECIDED_WORDS: Final = "thread or context"


def decide(name: str, taken: set[str]) -> str:
    """The name of a part that was left undecided until the whole header was known."""
    if name not in (UNDECIDED_NAME, UNDECIDED_WORDS):
        return name
    if "logger" in taken and "thread" not in taken:
        return "thread"
    return "logger" if name == UNDECIDED_NAME and "logger" not in taken else "context"


def looks_like(pattern: re.Pattern[str], values: Sequence[str], share: float = 0.9) -> bool:
    """Whether at least `share` of the values are matched in full."""
    return bool(values) and sum(1 for value in values if pattern.fullmatch(value)) >= share * len(values)


def are_numbers(values: Sequence[str]) -> bool:
    """Whether every value is a decimal number."""
    return bool(values) and all(value.isascii() and value.isdigit() for value in values)


def is_telling(values: Sequence[str]) -> bool:
    """Whether names look like those of components (`Foo`, `a.b`, `a_b`) rather than words of a sentence."""
    telling = sum(1 for value in values if _IDENTIFIER.fullmatch(value) and _TELLING.search(value))
    return telling * 2 >= len(values)


def name_number(taken: set[str]) -> str | None:
    """The first number of a header is the process, the second the thread."""
    return next((name for name in ("pid", "tid") if name not in taken), None)


def name_column(
    values: Sequence[str], taken: set[str], *, first: bool, in_front: bool, beside_level: bool
) -> str | None:
    """What to call a column of words; None when nothing tells.

    `first`: it begins the line; `in_front`: it stands before the timestamp; `beside_level`: the level comes next.
    """
    inner = [value.strip("[]{}()#:,;") for value in values]
    meant = [value for value in inner if value and value != "-"] or inner
    bracketed = all(value.startswith("[") for value in values)
    if are_numbers(meant):
        return name_number(taken) if bracketed or (not in_front and max(len(value) for value in meant) > 1) else None
    named = (
        ("label", first and "-" in inner and looks_like(_LABEL, inner, 1.0)),
        ("date", looks_like(_DATE, meant)),
        ("local_time", looks_like(_DATE_TIME, meant)),
        ("stream", looks_like(_STREAM, meant)),
        ("client", looks_like(_ADDRESS, meant)),
        ("request_id", looks_like(UUID, meant)),
        ("file", looks_like(_FILE, meant)),
        ("caller", not in_front and looks_like(CALLER, meant)),
        ("uptime", looks_like(_UPTIME, meant)),
        ("thread", bracketed),
        ("logger", beside_level and looks_like(_IDENTIFIER, meant)),
        ("logger", not in_front and looks_like(_DOTTED, meant)),
    )
    return next((name for name, fits in named if fits and name not in taken), None)


def name_bracket(values: Sequence[str], taken: set[str]) -> str | None:
    """What to call a bracketed part that stands after the level."""
    meant = [value for value in values if value.strip("- ")] or list(values)
    if are_numbers(meant):
        return name_number(taken)
    if looks_like(UUID, [value.split(" ", 1)[0] for value in meant]):
        return "request_id"
    for name, pattern in (("client", _ADDRESS), ("caller", CALLER), ("code", _CODE), ("context", _PAIR)):
        if looks_like(pattern, meant):
            return name if name not in taken else None
    if any(_THREAD.search(value) for value in meant):
        order: tuple[str, ...] = ("thread", "context")
    elif "logger" in taken:
        order = ("context", "thread")
    else:
        order = (UNDECIDED_NAME if is_telling(meant) else UNDECIDED_WORDS, "context")
    return next((name for name in order if name not in taken), None)
