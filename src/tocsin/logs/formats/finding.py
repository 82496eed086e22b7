"""Which timestamp shape a sample of lines carries, and whether its dates are day first or month first."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tocsin.logs.formats.stamps import AFTER, SHAPES, Shape, StampReader

SEEN: Final = 256  # characters from the line's start in which a timestamp is searched
COLUMNS: Final = 8  # columns that may stand before it
LEAST_SHARE: Final = 0.2  # of the lines that aren't indented
ALIKE: Final = 0.9  # a shape with so much of the winner's votes is its equal
MOST_AHEAD: Final = timedelta(hours=15)  # an epoch and a local time of one instant differ by no more than a zone

_BEFORE: Final = r"(?<![\w.:/+-])"
_PATTERNS: Final = tuple((shape, re.compile(_BEFORE + shape.pattern + AFTER)) for shape in SHAPES)


@dataclass(slots=True)
class _Votes:
    shape: Shape
    pattern: re.Pattern[str]
    matches: dict[int, re.Match[str]]  # by index of the line, only those in the column most lines have it in

    @property
    def start(self) -> float:
        return sum(match.start() for match in self.matches.values()) / len(self.matches)

    @property
    def length(self) -> float:
        return sum(match.end() - match.start() for match in self.matches.values()) / len(self.matches)


def find_shape(lines: Sequence[str], *, now: datetime) -> tuple[Shape, list[str]] | None:
    """The shape most lines carry in one column, and the lines that do; None when too few carry any."""
    votes = [found for found in (_count(shape, pattern, lines) for shape, pattern in _PATTERNS) if found]
    dated = [found for found in votes if found.shape.dated]
    candidates = dated or votes
    if not candidates:
        return None
    most = max(len(found.matches) for found in candidates)
    fresh = sum(1 for line in lines if not line[:1].isspace())
    if most < max(1, LEAST_SHARE * fresh):
        return None
    equals = [found for found in candidates if len(found.matches) >= ALIKE * most]
    winner = _prefer(equals, now)
    return winner.shape, [lines[index] for index in winner.matches]


def _count(shape: Shape, pattern: re.Pattern[str], lines: Sequence[str]) -> _Votes | None:
    matches: dict[int, re.Match[str]] = {}
    columns: Counter[int] = Counter()
    column_of: dict[int, int] = {}
    for index, line in enumerate(lines):
        found = pattern.search(line, 0, SEEN)
        if found is not None:
            column = len(line[: found.start()].split())
            if column <= COLUMNS:
                matches[index], column_of[index] = found, column
                columns[column] += 1
    if not columns:
        return None
    usual = columns.most_common(1)[0][0]
    return _Votes(shape, pattern, {index: found for index, found in matches.items() if column_of[index] == usual})


def _prefer(equals: list[_Votes], now: datetime) -> _Votes:
    calendars = [found for found in equals if not found.shape.epoch]
    epochs = [found for found in equals if found.shape.epoch]
    if not calendars:
        return min(epochs, key=lambda found: found.start)
    first = min(calendars, key=lambda found: (round(found.start), -round(found.length)))
    for epoch in epochs:  # it needs neither a zone nor a year to be exact
        if _tell_the_same(epoch, first, now):
            return epoch
    rivals = [f for f in calendars if abs(f.start - first.start) < 1 and abs(f.length - first.length) < 1]
    return _by_dates(rivals, now)


def _tell_the_same(epoch: _Votes, calendar: _Votes, now: datetime) -> bool:
    """Whether both timestamps of each line can be one instant, told with and without a zone."""
    exact = StampReader(epoch.shape, epoch.pattern, now=now)
    for index in list(epoch.matches)[:20]:
        instant = datetime.fromisoformat(exact.read(epoch.matches[index]) or "")
        reader = StampReader(calendar.shape, calendar.pattern, now=instant)
        other = reader.read(calendar.matches[index]) if index in calendar.matches else None
        if other is None or abs(datetime.fromisoformat(other) - instant) > MOST_AHEAD:
            return False
    return True


def _by_dates(rivals: list[_Votes], now: datetime) -> _Votes:
    """Of shapes that match the same text: no impossible day, none to come, the narrowest span, close to now, order."""

    def rank(order: int) -> tuple[int, int, int, bool, int]:
        votes = rivals[order]
        reader = StampReader(votes.shape, votes.pattern, now=now)
        read = [reader.read(match) for match in votes.matches.values()]
        instants = [datetime.fromisoformat(text) for text in read if text]
        if not instants:
            return len(read), 0, 0, True, order
        to_come = sum(1 for instant in instants if instant > now + timedelta(days=1))
        recent = abs(now - max(instants)) <= timedelta(days=7)
        return len(read) - len(instants), to_come, (max(instants) - min(instants)).days, not recent, order

    return rivals[min(range(len(rivals)), key=rank)]
