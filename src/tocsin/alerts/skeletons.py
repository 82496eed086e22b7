"""What is variable by its form alone: numbers, addresses, paths, dates. The rest of a message is words."""

import re
from collections.abc import Iterable
from typing import Final

# Neither can be a token of a message, where < and > stand alone.
VARIABLE: Final = "<*>"
NOTHING: Final = "<>"  # the value of a key that has none
HEAD_CHARS: Final = 2_000
MAX_TOKENS: Final = 120

Tokens = tuple[str, ...]

_BREAKS: Final = r"""\s=:,;()\[\]{}'"|<>"""
_START: Final = rf"(?<![^{_BREAKS}])"
_END: Final = rf"(?![^{_BREAKS}])"
_DOTS: Final = re.compile(r"\.{2,}")
_APOSTROPHE: Final = re.compile("(?<=[A-Za-z])'(?=[A-Za-z])")  # can't
_NO_QUOTE: Final = "\N{RIGHT SINGLE QUOTATION MARK}"
_NO_QUOTE_INSIDE: Final = re.compile(f"(?<=[A-Za-z]){_NO_QUOTE}(?=[A-Za-z])")

# Every alternative is tied to the start of a token: no search starts twice inside one, so the time is linear.
_DIGITS: Final = re.compile(
    rf"""{_START}(?:
      [A-Za-z][A-Za-z+.-]*://[^\s"'|<>(){{}}\[\],;]*        # URLs
    | /[^\s"'|<>(){{}}\[\],;]*[^\s"'|<>(){{}}\[\],;:.]      # paths
    | [A-Za-z]:\\[^\s"'|<>(){{}}\[\],;]*
    | \\\\[^\s"'|<>(){{}}\[\],;]+
    | [^{_BREAKS}0-9]*[0-9][^{_BREAKS}]*(?:==)?             # anything with a digit in it
    )""",
    re.VERBOSE,
)
_BARE: Final = re.compile(rf"[0-9][^{_BREAKS}]*")
_LETTER: Final = re.compile(r"[^\W\d_]")

_UNITS: Final = (
    r"[KMGTPkmgt]?i?[Bb](?:ytes?|its?|ps)?(?:/s)?|[KMG]?Hz|%"
    r"|[munµ]?s(?:ecs?|econds?)?|min(?:ute)?s?|h(?:ou)?rs?|h|days?"
)
_MONTHS: Final = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"
_WEEKDAYS: Final = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6}"
_ZONES: Final = r"UTC|GMT|CES?T|[ECMP][SD]T|JST|IST|BST"
_TOP_DOMAINS: Final = r"com|net|org|edu|gov|mil|int|info|biz|arpa|local|localdomain|lan|internal|intranet"

# Read on a kind, where whatever holds a digit is "0" already.
_TYPED: Final = re.compile(
    rf"""{_START}(?:
      (?:{_WEEKDAYS},?\s+)?(?:{_MONTHS}\s+0|0\s+{_MONTHS}(?:\s+0)?)(?:,?\s+0(?::0)*)*(?:\s+(?:{_ZONES}))?(?:\s+0)?{_END}
    | 0\s(?:[AaPp]\.?[Mm]\.?|{_ZONES}){_END}
    | 0\s?(?:{_UNITS}){_END}
    | (?=[A-Fa-f:]{{0,40}}0)(?:[0A-Fa-f]{{0,4}}:){{2,7}}[0A-Fa-f]{{1,4}}{_END}       # hardware and IPv6 addresses
    | [A-Fa-f]{{8,}}{_END}
    | [^{_BREAKS}@]+@[^{_BREAKS}@]+
    | (?:[A-Za-z_-]+\.)+(?:{_TOP_DOMAINS}){_END}                                     # host names
    | (?:[A-Za-z_-]+\.){{2,}}[a-z]{{2}}{_END}
    | [A-Za-z_-]+(?:\.[A-Za-z_-]+)+(?=:0{_END})                                      # whatever has a port
    | (?:(?<=\sto\s)|(?<=\sfrom\s)|(?<=\sat\s))[A-Za-z_-]+(?=:0{_END})
    | [^{_BREAKS}/]+/[^{_BREAKS}/]*/[^{_BREAKS}]*                                    # paths from where one stands
    )""",
    re.VERBOSE,
)
_BOUND: Final = re.compile(rf"(?<!\S)[<>~]=?\s?0(?:\s(?:{_UNITS}))?(?=[\s,;.)]|$)")  # "< 1 sec" stands where "2" may
_TOKEN: Final = re.compile(rf"""[=:,;()\[\]{{}}'"|<>]|[^{_BREAKS}]+""")
_BETWEEN_VARIABLES: Final = frozenset({":", ",", "|", ";", "-", "/", "--"})
_BETWEEN_ENTRIES: Final = frozenset({",", ";", "|"})
_LONGEST_ENTRY: Final = 12
_AFTER_NOTHING: Final = frozenset(",;)]}")
_MARKS: Final = frozenset("=:,;()[]{}'\"|<>")


def head_of(message: str) -> str:
    """The first line that isn't blank, as far as it is looked at."""
    return message[: 2 * HEAD_CHARS].strip().split("\n", 1)[0][:HEAD_CHARS].rstrip()


def kind_of(head: str) -> str:
    """The text with "0" for every token that holds a digit, and for paths. All else depends on this only."""
    if ".." in head:
        head = _DOTS.sub(" .. ", head)
    if "'" in head:
        head = _APOSTROPHE.sub(_NO_QUOTE, head)
    kind = _DIGITS.sub("0", head)
    return kind if _LETTER.search(kind) else _BARE.sub(" 0", head)


def skeleton_of(kind: str) -> Tokens:
    """The tokens of a kind, with what its form shows to be variable as `VARIABLE`."""
    typed = _TYPED.sub("0", kind)
    if not _LETTER.search(typed):
        typed = kind
    if "<" in typed or ">" in typed or "~" in typed:
        typed = _BOUND.sub("0", typed)
    tokens = _TOKEN.findall(typed)[:MAX_TOKENS]
    if "=" in tokens:
        tokens = _with_nothings(tokens)
    return settled([VARIABLE if part in {"0", "0."} else part for part in tokens])


def _with_nothings(tokens: list[str]) -> list[str]:
    """`a= b=1` has a value for `a` too: nothing."""
    found: list[str] = []
    last = len(tokens) - 1
    for at, part in enumerate(tokens):
        found.append(part)
        if part != "=" or at == 0 or not is_word(tokens[at - 1]):
            continue
        ends = at == last or tokens[at + 1] in _AFTER_NOTHING
        if ends or (at + 2 <= last and tokens[at + 2] == "=" and is_word(tokens[at + 1])):
            found.append(NOTHING)
    return found


def settled(tokens: Iterable[str]) -> Tokens:
    """Variables side by side, or parted by a separator only, are one: lists of any length are alike."""
    found: list[str] = []
    met: set[str] = set()
    for token in tokens:
        if token == VARIABLE and found:
            if found[-1] == VARIABLE:
                continue
            if len(found) > 1 and found[-2] == VARIABLE and found[-1] in _BETWEEN_VARIABLES:
                found.pop()
                continue
        found.append(token)
        if token in met:
            _drop_repeated(found)
        else:
            met.add(token)
    return tuple(found)


def _drop_repeated(found: list[str]) -> None:
    """Take the last tokens away where they are the same as those before: entries of a list, however many."""
    last, count = found[-1], len(found)
    for length in range(2, min(_LONGEST_ENTRY, count // 2) + 1):
        gap = 0
        if found[-1 - length] != last:
            if found[-1 - length] not in _BETWEEN_ENTRIES or 2 * length + 1 > count or found[-2 - length] != last:
                continue
            gap = 1
        entry = found[-length:]
        if VARIABLE in entry and _whole(entry) and entry == found[count - 2 * length - gap : count - length - gap]:
            del found[count - length - gap :]
            return


def _whole(entry: list[str]) -> bool:
    """Whether quotes and brackets that open in it close in it."""
    return all(entry.count(opening) == entry.count(closing) for opening, closing in ("()", "[]", "{}")) and not (
        entry.count('"') % 2 or entry.count("'") % 2
    )


def is_mark(token: str) -> bool:
    """Whether it is one of the characters that part tokens."""
    return token in _MARKS


def is_word(token: str) -> bool:
    """Whether it says something: it has a letter and isn't variable. A value that is absent says something too."""
    return token == NOTHING or (token != VARIABLE and _LETTER.search(token) is not None)


def text_of(tokens: Tokens) -> str:
    """The tokens as one would write them; the same for the same tokens everywhere, so it can be a key."""
    text = ""
    quoted = False
    tight = True
    for part in tokens:
        if part == NOTHING:
            tight = False
            continue
        closes = part in {")", "]", "}", ",", ";", ":", "="} or (quoted and part in {'"', "'"})
        closes = closes or (part == ">" and not text.endswith("<*"))  # a message's own <*> is no variable
        text += part if tight or closes else f" {part}"
        if part in {'"', "'"}:
            quoted = not quoted
        tight = part in {"(", "[", "{", "=", "<"} or (quoted and part in {'"', "'"})
    return _NO_QUOTE_INSIDE.sub("'", text)
