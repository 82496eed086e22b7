"""All lines of a sample, walked at once from the left: what was taken, and what lies ahead in each."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tocsin.logs.formats.levelwords import LEVEL_BY_NAME
from tocsin.logs.formats.pieces import (
    SEPARATOR,
    Piece,
    are_numbers,
    looks_like,
    name_column,
)

MOST: Final = 0.9  # of the lines must agree

_COLUMN: Final = re.compile(r"(\[[^\[\]]*+\]|[^\s|]++|\S++)[ \t]*+(?=\S)")
_BAR: Final = re.compile(r"\|")
_LETTER: Final = re.compile(r"[A-Z],?")
_PUNCTUATED: Final = re.compile(r"[^\s|]+[:,;]")
# Columns of which the pattern itself says more than one thing.
_COMPOUND: Final = (
    (re.compile(r"\d{1,10}#\d{1,10}:?"), Piece(r"(?P<@>\d{1,10})#(?P<@>\d{1,10}):?(?=\s)", ("pid", "tid"))),
    (re.compile(r"\d{1,10}:[A-Z]"), Piece(r"(?P<@>\d{1,10}):(?P<@>[A-Z])(?=\s)", ("pid", "role"))),
)


@dataclass(slots=True)
class Parts:
    """What was taken, in the order of the line."""

    before: list[Piece] = field(default_factory=list)
    stamp: list[Piece] = field(default_factory=list)
    middle: list[Piece] = field(default_factory=list)
    level: Piece | None = None
    after: list[Piece] = field(default_factory=list)


class Walk:
    """The state of learning a header. `rests` is what lies ahead in the lines that fitted so far."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.rests = [line.lstrip(" \t") for line in lines]
        self.parts = Parts()
        self.taken: set[str] = set()
        self.column = 0
        self.level_column: int | None = None
        self.stamp_column: int | None = None
        self.level_found = False
        self.level_glued = False  # as in `INFO:name:message`
        self.access_log = False
        self.piped = False
        self.done = False

    def save(self) -> tuple[list[str], int, set[str]]:
        """What `restore` needs to come back here."""
        return self.rests, self.column, set(self.taken)

    def restore(self, saved: tuple[list[str], int, set[str]]) -> None:
        """Go back to where `save` was called."""
        self.rests, self.column, self.taken = saved

    def share(self, probe: re.Pattern[str]) -> float:
        """How many of the lines have this next, 0 to 1."""
        return sum(1 for rest in self.rests if probe.match(rest)) / max(1, len(self.rests))

    def advance(self, probe: re.Pattern[str]) -> list[re.Match[str]]:
        """Step over this; lines that lack it are followed no further."""
        found = [(rest, m) for rest in self.rests if (m := probe.match(rest))]
        self.rests = [rest[m.end() :].lstrip(" \t") for rest, m in found]
        return [m for _, m in found]

    def claim(self, name: str) -> tuple[str]:
        """Use an attribute's name; what follows gets others."""
        self.taken.add(name)
        return (name,)

    def take_text(self, into: list[Piece], pattern: str) -> None:
        """Take what says nothing."""
        self.advance(re.compile(pattern))
        into.append(Piece(pattern))

    def take_separator(self, into: list[Piece]) -> bool:
        """Take a dash, bar or colon that most lines have next; whether there was one."""
        signs = Counter(m[0] for rest in self.rests if (m := SEPARATOR.match(rest)))
        sign, count = signs.most_common(1)[0] if signs else ("", 0)
        if count < max(1, MOST * len(self.rests)):
            return False
        self.take_text(into, re.escape(sign) + ("" if sign == "|" else r"(?=\s|$)"))
        return True

    def take_bar(self, into: list[Piece]) -> bool:
        """Take a `|` that most lines have next; whether there was one."""
        found = self.share(_BAR) >= MOST
        if found:
            self.take_text(into, _BAR.pattern)
        return found

    def take_column(self, into: list[Piece], columns: list[list[str]]) -> bool:
        """Take a word or bracketed part whatever it means, to be named by `name_columns`; whether there was one."""
        if not self.rests or self.share(_COLUMN) < MOST:
            return False
        values = [found[1] for found in self.advance(_COLUMN)]
        name = f"column_{self.column}"
        self.column += 1
        for probe, piece in _COMPOUND:
            if looks_like(probe, values, 1.0) and not self.taken.intersection(piece.fields):
                self.taken.update(piece.fields)
                into.append(piece)
                return True
        if all(value[:1] == "[" and value[-1:] == "]" for value in values):
            pattern = r"\[(?P<@>[^\[\]]*+)\]"
        elif are_numbers(values):
            pattern = r"(?P<@>\d++)(?=[\s|]|$)"
        elif looks_like(_PUNCTUATED, values, 1.0):
            pattern = r"(?P<@>[^\s|]{1,200})[:,;](?=\s)"
        else:
            pattern = r"(?P<@>[^\s|]++)"
        columns.append(values)
        into.append(Piece(pattern, (name,)))
        return True

    def name_columns(self, columns: list[list[str]], pieces: list[Piece], *, beside_level: bool) -> None:
        """Give the columns just passed the names that their values suggest."""
        places = [index for index, piece in enumerate(pieces) if piece.fields and "column_" in piece.fields[0]]
        in_front = pieces is self.parts.before
        client = in_front and len(places) == 3 and looks_like(re.compile("-"), columns[1])
        for order, (index, values) in enumerate(zip(places, columns, strict=True)):
            first = in_front and index == 0
            if first and looks_like(_LETTER, values, 1.0) and all(value[0] in LEVEL_BY_NAME for value in values):
                pieces[index] = Piece(r"[A-Z],?(?=\s)")  # repeats the level that comes in full
                continue
            last = beside_level and order == len(places) - 1
            fixed = ("client", "ident", "user")[order] if client else None
            name = fixed or name_column(values, self.taken, first=first, in_front=in_front, beside_level=last)
            if name is not None:
                pieces[index] = Piece(pieces[index].pattern, self.claim(name))
