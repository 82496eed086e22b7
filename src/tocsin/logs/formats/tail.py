"""What stands between a line's level (or timestamp) and its message: thread, logger, caller and the like."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tocsin.logs.formats.pieces import (
    BRACKET,
    DOTTED,
    NAME,
    SEPARATOR,
    UNDECIDED_NAME,
    UNDECIDED_WORDS,
    UUID,
    Piece,
    decide,
    is_telling,
    name_bracket,
    name_column,
    name_number,
)
from tocsin.logs.formats.walk import MOST, Walk

MAX_PARTS: Final = 10

_TOLD: Final = {"logger", "thread", "caller", UNDECIDED_NAME, UNDECIDED_WORDS}  # after these a dash ends the header

Matches = Sequence[re.Match[str]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A part that may come next: asked when `share` of the lines have it; `take` says what it is, or None."""

    probe: re.Pattern[str]
    take: Callable[[Walk, Matches], Piece | None]
    share: float = MOST
    width: bool = True  # takes characters, and must leave some for the message


def find_rest(walk: Walk) -> None:
    """Take part after part until none fits."""
    if walk.level_glued:
        _take_glued_name(walk)
    for _ in range(MAX_PARTS):
        if walk.done or not any(_take(walk, candidate) for candidate in CANDIDATES):
            break
    for index, piece in enumerate(walk.parts.after):
        fields = tuple(decide(name, walk.taken) for name in piece.fields)
        if fields != piece.fields:
            walk.taken.update(fields)
            walk.parts.after[index] = Piece(piece.pattern, fields, optional=piece.optional)


def _take(walk: Walk, candidate: Candidate) -> bool:
    found = [(rest, m) for rest in walk.rests if (m := candidate.probe.match(rest))]
    if not found or len(found) < candidate.share * len(walk.rests):
        return False
    if candidate.width and sum(1 for rest, m in found if rest[m.end() :].strip()) < MOST * len(found):
        return False
    piece = candidate.take(walk, [m for _, m in found])
    if piece is None:
        return False
    walk.parts.after.append(piece)
    ahead = {id(rest): rest[m.end() :].lstrip(" \t") for rest, m in found}
    walk.rests = [ahead.get(id(rest), rest) for rest in walk.rests if piece.optional or id(rest) in ahead]
    return True


def _take_glued_name(walk: Walk) -> None:
    probe = re.compile(r"([\w.$-]{1,100}):(?=\S)")
    if walk.share(probe) >= MOST and "logger" not in walk.taken:
        walk.advance(probe)
        walk.parts.after.append(Piece(r"(?P<@>[\w.$-]{1,100}):", walk.claim("logger")))
        walk.done = True


def _request(walk: Walk, _: Matches) -> Piece | None:
    """The request of the common log format; it stays in the message, and its parts are told as attributes too."""
    if not walk.access_log:
        return None
    walk.done = True
    request = r'"(?P<@>[A-Z]{3,10}) (?P<@>\S{1,2000})[^"]{0,100}" (?P<@>\d{3})(?=\s|$)'
    return Piece(f"(?={request})", ("method", "path", "status"))


def _separator(walk: Walk, found: Matches) -> Piece | None:
    sign, count = Counter(m[0] for m in found).most_common(1)[0]
    if count < MOST * len(walk.rests):
        return None
    walk.done = sign in ("-", ":") and bool(walk.taken & _TOLD)
    return Piece(re.escape(sign) + ("" if sign == "|" else r"(?=\s|$)"))


def _named(
    *fields: str, pattern: str, optional: bool = False, done: bool = False
) -> Callable[[Walk, Matches], Piece | None]:
    """Take a part with fixed names, unless the first of them is in use."""

    def take(walk: Walk, _: Matches) -> Piece | None:
        if fields[0] in walk.taken:
            return None
        walk.taken.update(fields)
        walk.done = walk.done or done
        return Piece(pattern, fields, optional=optional)

    return take


def _logger(pattern: str, *fields: str, done: bool = False) -> Callable[[Walk, Matches], Piece | None]:
    """Take a logger's name, unless there is one or the words are those of a sentence."""

    def take(walk: Walk, found: Matches) -> Piece | None:
        if "logger" in walk.taken or not is_telling([m[1] for m in found]):
            return None
        walk.taken.add("logger")
        walk.done = done
        return Piece(pattern, ("logger", *fields))

    return take


def _bracket(walk: Walk, found: Matches) -> Piece | None:
    name = name_bracket([m[1].strip() for m in found], walk.taken) or f"bracket_{len(walk.parts.after) + 1}"
    walk.claim(name)
    if found[0][0][0] == "<":
        return Piece(r"<(?P<@>[^<>]{0,200}+)>", (name,), optional=True)
    if name == "request_id":
        return Piece(r"\[(?P<@>[^\s\[\]]++)(?: (?P<@>[^\[\]]*+))?\]:?", (name, "context"), optional=True)
    return Piece(rf"\[(?P<@>{BRACKET})\]:?", (name,), optional=True)


def _dashed_name(walk: Walk, found: Matches) -> Piece | None:
    """`name - message`, where some names have a word more."""
    plain = [m for m in found if not m[2]]
    if "logger" in walk.taken or len(plain) * 2 < len(found) or not is_telling([m[1] for m in found]):
        return None
    walk.taken.add("logger")
    walk.done = True
    return Piece(r"(?P<@>[^\s:|\[\]()]{1,200}(?: [^\s-]\S{0,9})?)\s{1,20}-(?=\s)", ("logger",))


def _maybe_name(walk: Walk, found: Matches) -> Piece | None:
    """A colon after a dash, with a name between them in some lines."""
    after_dash = bool(walk.parts.after) and walk.parts.after[-1].pattern.startswith(r"\-")
    if not after_dash or not walk.level_found or "logger" in walk.taken or all(m[1] for m in found):
        return None
    walk.taken.add("logger")
    walk.done = True
    return Piece(rf"(?P<@>{NAME})?\s?:(?=\s|$)", ("logger",))


def _word(walk: Walk, found: Matches) -> Piece | None:
    """A word that stands apart by padding or before a bracket: one of few names of parts."""
    if "logger" in walk.taken or len({m[1] for m in found}) > max(5, 0.05 * len(found)):
        return None
    return Piece(r"(?P<@>[^\s|\[]{1,60})(?=\s)", walk.claim("logger"))


_STRUCTURE: Final = re.compile(
    rf"(?:-{{1,3}}|[|:])\s|\[|{NAME}\s{{0,40}}:\s|[\w./$-]{{1,200}}:\d{{1,9}}[\])]|{DOTTED}\s", re.ASCII
)


def _number(walk: Walk, found: Matches) -> Piece | None:
    """A number, where the next part proves that it belongs to the header, or where it follows the timestamp."""
    ahead = [m.string[m.end() :].lstrip(" \t") for m in found]
    structured = sum(1 for rest in ahead if _STRUCTURE.match(rest))
    flag = not walk.level_found and not walk.parts.after and all(rest[:1].isalpha() for rest in ahead)
    if not flag and (structured < MOST * len(found) or not walk.level_found):
        return None
    name = (name_number(walk.taken) if walk.level_found else None) or f"column_{walk.column}"
    walk.column += 1
    return Piece(r"(?P<@>\d{1,19})(?=\s|$)", walk.claim(name))


def _piped(walk: Walk, found: Matches) -> Piece | None:
    if not walk.piped:
        return None
    name = name_column([m[1] for m in found], walk.taken, first=False, in_front=False, beside_level=True)
    walk.column += 1
    return Piece(r"(?P<@>[^|]{0,120}?)\s{0,40}\|", walk.claim(name or f"column_{walk.column - 1}"))


_CALLER: Final = r"(?:[\w./$@-]{1,200}\.\w{1,8}|[\w.$]{1,100}:[\w.$<>]{1,100}):\d{1,9}"
_CLASS_LINE: Final = r"\[(?P<@>(?:[^\[\]]|\[[^\[\]]{0,100}\]){0,200}):(?P<@>[\w.$]{1,200})@(?P<@>-?\d{1,9})\](?=\s|$)"
_PID_TID: Final = r"\[pid (?P<@>\d{1,19})(?::tid (?P<@>\d{1,19}))?\]:?"
_NUMBERS: Final = r"(?P<@>\d{1,10})#(?P<@>\d{1,10}):?(?=\s|$)"
_NAME_COLON: Final = (
    rf"(?P<@>{NAME})(?:\[(?P<@>[^\]\s]{{0,64}})\]|\s{{0,20}}\(\s{{0,8}}(?P<@>\d{{1,10}})\))?\s{{0,40}}:(?=\s|$)"
)
_APART_COLON: Final = r"(?P<@>[A-Za-z]\S{0,200})\s{1,60}:(?=\s)"
_ID: Final = r"(?P<@>[\w-]{8,200}+)(?=\s|$)"
_NAME_PID: Final = r"(?P<@>[\w.-]{1,60})\[(?P<@>\d{1,10})\](?=\s)"


def _probe(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace("?P<@>", ""), re.ASCII)


# In the order in which they are asked, at every place anew.
CANDIDATES: Final = (
    Candidate(re.compile(r'"[A-Z]{3,10} \S{1,2000}[^"]{0,100}" \d{3}(?=\s|$)'), _request, share=0.6, width=False),
    Candidate(SEPARATOR, _separator),
    Candidate(_probe(_PID_TID), _named("pid", "tid", pattern=_PID_TID, optional=True)),
    Candidate(_probe(_CLASS_LINE), _named("thread", "logger", "line", pattern=_CLASS_LINE, optional=True)),
    Candidate(re.compile(rf"\[({BRACKET})\]:?"), _bracket),
    Candidate(re.compile(r"<([^<>]{0,200}+)>"), _bracket),
    Candidate(_probe(_NUMBERS), _named("pid", "tid", pattern=_NUMBERS)),
    Candidate(
        _probe(rf"\(?(?P<@>{_CALLER})[\])]?:?(?=\s|$)"),
        _named("caller", pattern=rf"\(?(?P<@>{_CALLER})[\])]?:?(?=\s|$)"),
    ),
    Candidate(re.compile(rf"({NAME})?\s?:(?=\s|$)"), _maybe_name),
    Candidate(_probe(_NAME_COLON), _logger(_NAME_COLON, "pid", "pid", done=True)),
    Candidate(_probe(_APART_COLON), _logger(_APART_COLON, done=True)),
    Candidate(re.compile(r"([^\s:|\[\]()]{1,200})( [^\s-]\S{0,9})?\s{1,20}-(?=\s)"), _dashed_name),
    Candidate(_probe(_NAME_PID), _named("logger", "pid", pattern=_NAME_PID)),
    Candidate(re.compile(rf"({DOTTED})(?=\s|$)"), _logger(rf"(?P<@>{DOTTED})(?=\s|$)")),
    Candidate(re.compile(rf"(?:{UUID.pattern})(?=\s|$)"), _named("request_id", pattern=_ID)),
    Candidate(re.compile(r"([A-Z][A-Z0-9_-]{1,40}|-)\s{1,20}(?=\[)"), _word),
    Candidate(re.compile(r"([A-Za-z][\w.-]{0,60}) {2,60}(?=\S)"), _word),
    Candidate(re.compile(r"(\d{1,19})(?=\s|$)"), _number),
    Candidate(re.compile(r"([^|]{0,120}?)\s{0,40}\|"), _piped),
)  # fmt: skip
