"""Lines of `key=value` pairs: a key's value is variable once it was seen with several values."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from tocsin.alerts.skeletons import VARIABLE, Tokens, is_word, settled

MIN_PAIRS: Final = 3
MAX_LINES: Final = 2_000  # kinds of lines, by their keys
MAX_MEMBERS: Final = 8_000  # wordings remembered of all together
MAX_MEMBERS_EACH: Final = 128
_ENOUGH: Final = 5.0  # plain values

_CLOSING: Final = {"(": ")", "[": "]", "{": "}", '"': '"', "'": "'"}
_NOT_A_VALUE: Final = frozenset(",;)]}=:|")


class Line(msgspec.Struct):
    """What was seen of the values of lines with the same keys."""

    values: list[dict[str, None] | None]  # None for a key whose value is variable
    members: dict[Tokens, Tokens] = {}  # wordings with what was left of them when last looked at


class Reduced(NamedTuple):
    """What is left of a skeleton, and what it taught."""

    skeleton: Tokens
    names: Sequence[str] = ()  # words that are values of variable keys
    members: Sequence[tuple[Tokens, Tokens]] = ()  # what was left of earlier skeletons, and what is left of them now


class Pairs(msgspec.Struct):
    """The lines of pairs by their keys."""

    lines: dict[Tokens, Line] = {}
    members: int = 0

    def reduced(self, skeleton: Tokens) -> Reduced:
        """The skeleton with its variable values masked."""
        units = _units(skeleton) if skeleton.count("=") >= MIN_PAIRS else []
        if len(units) < MIN_PAIRS:
            return Reduced(skeleton)
        keys = _wiped(skeleton, units, [True] * len(units))
        line = self.lines.get(keys)
        if line is None:
            if len(self.lines) >= MAX_LINES:
                return Reduced(skeleton)
            line = self.lines[keys] = Line([{} for _ in units])
        names, changed = _note(line, [skeleton[start:stop] for start, stop in units])
        members = _reduced_again(line) if changed else []
        masked = _masked(skeleton, line)
        self._remember(line, skeleton, masked)
        return Reduced(masked, names, members)

    def _remember(self, line: Line, skeleton: Tokens, masked: Tokens) -> None:
        if all(values is None for values in line.values):  # nothing will change any more
            self.members -= len(line.members)
            line.members.clear()
        elif skeleton not in line.members and len(line.members) < MAX_MEMBERS_EACH and self.members < MAX_MEMBERS:
            line.members[skeleton] = masked
            self.members += 1


def _reduced_again(line: Line) -> list[tuple[Tokens, Tokens]]:
    found: list[tuple[Tokens, Tokens]] = []
    for member, before in line.members.items():
        line.members[member] = now = _masked(member, line)
        if now != before:
            found.append((before, now))
    return found


def _masked(skeleton: Tokens, line: Line) -> Tokens:
    return settled(_wiped(skeleton, _units(skeleton), [values is None for values in line.values]))


def _note(line: Line, values: list[Tokens]) -> tuple[list[str], bool]:
    """Add the values; the one-word values of variable keys, and whether a key has just become variable."""
    names: list[str] = []
    changed = False
    for at, value in enumerate(values):
        text = " ".join(value)
        seen = line.values[at]
        if seen is None:
            names.append(text)
            continue
        seen[text] = None
        if sum(map(_weight, seen)) >= _ENOUGH or (len(seen) > 1 and any(VARIABLE in known for known in seen)):
            names += seen
            line.values[at] = None
            changed = True
    return [name for name in names if " " not in name and is_word(name)], changed


def _weight(value: str) -> float:
    """A dotted name is more likely one of many than a plain word is."""
    return 2.5 if value[1:-1].count(".") > 1 else 1.0


def _units(tokens: Tokens) -> list[tuple[int, int]]:
    """Where the values are: a quoted or bracketed text, or one token with the brackets that follow it."""
    found: list[tuple[int, int]] = []
    at = 1
    while at < len(tokens) - 1:
        if tokens[at] == "=" and is_word(tokens[at - 1]) and tokens[at + 1] not in _NOT_A_VALUE:
            start = at + 1
            stop = _closed(tokens, start) or start + 1
            if stop == start + 1 and stop < len(tokens) and tokens[stop] in {"(", "[", "{"}:
                stop = _closed(tokens, stop) or stop
            found.append((start, stop))
            at = stop
        else:
            at += 1
    return found


def _closed(tokens: Tokens, start: int) -> int | None:
    """Where the bracket or quote that opens at `start` is closed."""
    opening = tokens[start]
    closing = _CLOSING.get(opening)
    if closing is None:
        return None
    depth = 0
    for at in range(start, len(tokens)):
        if tokens[at] == closing and at > start:
            depth -= 1
            if depth == 0 or closing == opening:
                return at + 1
        elif tokens[at] == opening:
            depth += 1
    return None


def _wiped(tokens: Tokens, units: list[tuple[int, int]], which: list[bool]) -> Tokens:
    found: list[str] = []
    done = 0
    for (start, stop), wipe in zip(units, which, strict=True):
        found += tokens[done:start]
        found += (VARIABLE,) if wipe else tokens[start:stop]
        done = stop
    return (*found, *tokens[done:])
