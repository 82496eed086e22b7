"""The header of a file's lines, learnt from a sample: its parts in their order, as one pattern."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tocsin.logs.formats.levelwords import FORMS, LETTER, MARK, LevelForm, compile_form
from tocsin.logs.formats.pieces import CALLER, CLOSE, Piece, looks_like
from tocsin.logs.formats.stamps import AFTER, SHAPES, Shape, StampReader
from tocsin.logs.formats.syslog import TAG
from tocsin.logs.formats.tail import find_rest
from tocsin.logs.formats.walk import MOST, Walk

MAX_COLUMNS: Final = 8
DEEP: Final = 3  # a level further from the timestamp than this must be in nearly every line

_LEVELS: Final = tuple((form, compile_form(form)) for form in (*FORMS, LETTER, MARK))
_PREFIXES: Final = ("", r"\[", "<", r"\(", '"', r"\[(?P<@>[A-Z]) ")
_CLOSERS: Final = {r"\[": r"\]", "<": ">", r"\(": r"\)", '"': '"'}
_INNER_NUMBER: Final = re.compile(r"[\s,]{0,4}#?(\d{1,19})\]")
_INNER_LEVEL: Final = re.compile(
    r"[:,]?\s{0,4}([A-Z]{3,13})(?:/([^\]\s]{1,100}))?(?:\s{1,4}([^\]\s]{1,200}))?\s{0,4}\]"
)
_INNER: Final = re.compile(r"([^\[\]]{1,200})\]")
_BRACKETED: Final = re.compile(r"\[[^\[\]]{1,40}\]\s?\[")
_BARRED: Final = re.compile(r"(?:[^\s|]{1,80}\s{0,20})?\|")
_SYSLOG_TAIL: Final = re.compile(rf"\S{{1,200}}\s{{1,4}}{TAG}")
_NUMBERED_TAIL: Final = re.compile(r"[\w.-]{1,200} {1,4}[\w./@+-]{1,64}\[\d{1,10}\]:\s")
_CALENDARS: Final = tuple((s, re.compile(s.unnamed + AFTER)) for s in SHAPES if s.dated and not s.epoch)
_TAG_FIELDS: Final = (("?P<tag>", "logger"), ("?P<app>", "service"), ("?P<pid>", "pid"), ("?P<context>", "context"))


@dataclass(frozen=True, slots=True)
class Header:
    """A learnt header. `fields` are the attributes' names with the numbers of their groups in `pattern`."""

    pattern: re.Pattern[str]
    fields: tuple[tuple[str, int], ...]
    kept: tuple[tuple[str, int], ...]  # those in front of `cut`
    level: int
    level_bracketed: bool
    cut: int  # where the message of a line without a level begins
    message: int
    reader: StampReader | None
    level_column: int | None
    stamp_column: int | None


def learn_header(lines: Sequence[str], shape: Shape | None, *, now: datetime) -> Header | None:
    """The header of lines that all carry `shape` (None: no timestamp). None when they have no common form."""
    walk = Walk(lines)
    if shape is not None and not _find_stamp(walk, shape):
        return None
    if not walk.level_found:
        _find_level(walk, columns=MAX_COLUMNS if shape else int(walk.share(_BRACKETED) >= MOST))
    if not walk.level_found and shape is not None:
        _find_second_header(walk)
    if walk.level_found or shape is not None:
        find_rest(walk)
    return _compile(walk, shape, now)


def _find_stamp(walk: Walk, shape: Shape) -> bool:
    """Take columns until the timestamp comes, then the timestamp with its brackets."""
    columns: list[list[str]] = []
    before = walk.parts.before
    for _ in range(MAX_COLUMNS + 1):
        prefix = _stamp_prefix(walk, shape)
        if prefix is not None:
            walk.name_columns(columns, before, beside_level=False)
            _take_stamp(walk, shape, prefix)
            return True
        if _take_level(walk, before, deep=False, letters=False):
            continue
        if not (walk.take_bar(before) or walk.take_column(before, columns)):
            return False
    return False


def _stamp_prefix(walk: Walk, shape: Shape) -> str | None:
    for prefix in _PREFIXES:
        if walk.share(re.compile(prefix.replace("?P<@>", "") + shape.unnamed + AFTER)) >= MOST:
            return prefix
    return None


def _take_stamp(walk: Walk, shape: Shape, prefix: str) -> None:
    stamp = walk.parts.stamp
    walk.stamp_column = walk.column
    walk.column += 1
    walk.advance(re.compile(prefix.replace("?P<@>", "") + shape.unnamed + AFTER))
    fields = ("level",) if "?P<@>" in prefix else ()
    stamp.append(Piece(prefix + shape.pattern + AFTER, fields))
    walk.level_found = walk.level_found or bool(fields) or "?P<L>" in shape.pattern
    closer = _CLOSERS.get(prefix)
    if closer is not None and walk.share(re.compile(r"\s?" + closer)) >= MOST:
        walk.take_text(stamp, rf"\s?{closer}")
    elif prefix.startswith(r"\["):
        _take_inner(walk)
    walk.take_text(stamp, r"[:,;]?")
    walk.access_log = prefix == r"\[" and shape.name.startswith("day month-name year")
    walk.piped = walk.share(_BARRED) >= MOST


def _take_inner(walk: Walk) -> None:
    """What stands in the timestamp's own brackets after it: a process, a level, a caller."""
    stamp = walk.parts.stamp
    if walk.share(_INNER_NUMBER) >= MOST:
        walk.advance(_INNER_NUMBER)
        stamp.append(Piece(r"[\s,]{0,4}#?(?P<@>\d{1,19})\]", walk.claim("pid")))
    elif not walk.level_found and walk.share(_INNER_LEVEL) >= MOST:
        found = walk.advance(_INNER_LEVEL)
        walk.level_column, walk.level_found = walk.column, True
        walk.taken.update(name for name, group in (("thread", 2), ("logger", 3)) if any(m[group] for m in found))
        stamp.append(Piece(_INNER_LEVEL.pattern.replace("([", "(?P<@>["), ("level", "thread", "logger")))
    elif walk.share(_INNER) >= MOST:
        values = [found[1].strip() for found in walk.advance(_INNER)]
        name = (
            "caller" if looks_like(CALLER, values) else "logger" if all(v.isidentifier() for v in values) else "context"
        )
        stamp.append(Piece(r"(?P<@>[^\[\]]{1,200})\]", walk.claim(name)))


def _find_level(walk: Walk, *, columns: int) -> None:
    """Take columns until the level's comes; where none comes, none was taken."""
    saved = walk.save()
    passed: list[list[str]] = []
    trial: list[Piece] = []
    for depth in range(columns + 1):
        if _take_level(walk, trial, deep=depth > DEEP, letters=True):
            walk.parts.level = trial.pop()
            walk.name_columns(passed, trial, beside_level=True)
            walk.parts.middle = trial
            return
        if not (walk.take_separator(trial) or walk.take_column(trial, passed)):
            break
    walk.restore(saved)


def _take_level(walk: Walk, into: list[Piece], *, deep: bool, letters: bool) -> bool:
    if walk.level_found:
        return False
    for form, probe in _LEVELS:
        if not letters and form in (LETTER, MARK):
            continue
        found = [(rest, m) for rest in walk.rests if (m := probe.match(rest)) and form.accepts(m["level"])]
        enough = max(form.share, MOST if deep else 0) * len(walk.rests)
        if not found or len(found) < enough or not form.believes({m["level"] for _, m in found}):
            continue
        if sum(1 for rest, m in found if rest[m.end() :].strip()) < MOST * len(found):
            continue  # nothing is left to say: it's the message's last word
        extra = _extra_column(walk, form, probe) if all(m[0].endswith(":") for _, m in found) else ""
        glued = sum(1 for rest, m in found if m[0].endswith(":") and rest[m.end() : m.end() + 1].strip())
        walk.level_glued = glued >= MOST * len(found)
        walk.rests = [rest[m.end() :].lstrip(" \t") for rest, m in found]
        walk.level_column, walk.level_found = walk.column, True
        walk.column += 1
        into.append(Piece(extra + form.pattern, (*(("context",) if extra else ()), *form.fields)))
        walk.taken.update(form.fields)
        return True
    return False


def _extra_column(walk: Walk, form: LevelForm, probe: re.Pattern[str]) -> str:
    """One column that only some lines have in front of the level, such as `user@database`."""
    others = [rest for rest in walk.rests if not ((m := probe.match(rest)) and form.accepts(m["level"]))]
    behind = [rest.split(None, 1)[1] for rest in others if len(rest.split(None, 1)) > 1]
    hits = sum(1 for rest in behind if (m := probe.match(rest)) and form.accepts(m["level"]))
    return r"(?:(?P<@>[^\s|]++)[ \t]++)??" if hits > 1 else ""


def _find_second_header(walk: Walk) -> None:
    """Take the line's own header where a collector put its timestamp in front of it."""
    saved = walk.save()
    passed: list[list[str]] = []
    trial: list[Piece] = []
    for _ in range(4):
        for shape, probe in _CALENDARS:
            if walk.share(probe) >= MOST:
                walk.name_columns(passed, trial, beside_level=False)
                walk.advance(probe)
                pattern = re.sub(r"\(\?P<(?!L)\w>", "(?:", shape.pattern).replace("?P<L>", "?P<@>") + AFTER
                fields = ("local_time", "level") if "?P<@>" in pattern else ("local_time",)
                trial.append(Piece(f"(?P<@>{pattern}):?", fields))
                walk.parts.stamp.extend(trial)
                walk.level_found = "level" in fields
                _take_syslog_tail(walk)
                if not (walk.done or walk.level_found):
                    _find_level(walk, columns=DEEP)
                return
        if not walk.take_column(trial, passed):
            break
    walk.restore(saved)
    if walk.share(_NUMBERED_TAIL) >= 0.5:
        _take_syslog_tail(walk)


def _take_syslog_tail(walk: Walk) -> None:
    if walk.share(_SYSLOG_TAIL) < 0.6:
        return
    pattern = r"(?P<@>\S{1,200})\s{1,4}" + TAG
    for name, _ in _TAG_FIELDS:
        pattern = pattern.replace(name, "?P<@>")
    walk.parts.after.append(Piece(pattern, ("host", *(name for _, name in _TAG_FIELDS))))
    walk.done = True


class _Writer:
    """Writes pieces into one pattern and remembers which group holds what."""

    def __init__(self) -> None:
        self.names: list[str] = []  # of the groups g0, g1, ...

    def write(self, pieces: Sequence[Piece]) -> str:
        return "".join(self._one(piece) + CLOSE for piece in pieces)

    def write_nested(self, pieces: Sequence[Piece]) -> str:
        """Each piece may end the header: what a line lacks, the parts after it can't have."""
        if not pieces:
            return ""
        head, ahead = self._one(pieces[0]) + CLOSE, self.write_nested(pieces[1:])
        return f"(?:{head})?{ahead}" if pieces[0].optional else f"(?:{head}{ahead})?"

    def _one(self, piece: Piece) -> str:
        pattern = piece.pattern
        for name in piece.fields:
            pattern = pattern.replace("?P<@>", f"?P<g{len(self.names)}>", 1)
            again = name in self.names and not (name in piece.fields and piece.fields.count(name) > 1)
            self.names.append(f"{name}_2" if again else name)
        return pattern


def _compile(walk: Walk, shape: Shape | None, now: datetime) -> Header:
    parts, writer = walk.parts, _Writer()
    text = CLOSE + writer.write([*parts.before, *parts.stamp])
    stamped = len(writer.names)
    middle = writer.write(parts.middle)
    # Columns that only their shape can match are there without a level too; free words may be the message's.
    sure = all(piece.pattern.startswith((r"\[", r"(?P<@>\d")) or not piece.fields for piece in parts.middle)
    kept = len(writer.names) if sure else stamped
    level = writer.write([parts.level]) if parts.level else ""
    after = writer.write_nested(parts.after)
    if not parts.level:
        text += middle + after
    elif shape is None:
        text += f"{middle}(?P<cut>){level}{after}"
    else:
        text += f"(?:{middle}(?P<cut>)(?:{level}{after})?)?" if sure else f"(?P<cut>)(?:{middle}{level}{after})?"
    pattern = re.compile(text + "(?P<message>.*)", re.DOTALL | re.ASCII)
    index = pattern.groupindex
    fields = [(name, index[f"g{number}"]) for number, name in enumerate(writer.names)]
    return Header(
        pattern=pattern,
        fields=tuple(item for item in fields if item[0] != "level"),
        kept=tuple(item for item in fields[:kept] if item[0] != "level"),
        level=next((group for name, group in fields if name == "level"), index.get("L", 0)),
        level_bracketed=parts.level is not None and parts.level.pattern.startswith(r"[\[<("),
        cut=index.get("cut", 0),
        message=index["message"],
        reader=StampReader(shape, pattern, now=now) if shape else None,
        level_column=walk.level_column,
        stamp_column=walk.stamp_column,
    )
