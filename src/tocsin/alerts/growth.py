"""Families that grow with nearly every line: what they have in common is the template, the rest is free text."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from tocsin.alerts.skeletons import VARIABLE, Tokens, is_word, settled

MAX_FAMILIES: Final = 2_000
_MIN_FAMILY: Final = 24
_MIN_WORDS: Final = 64  # a beginning of few words needs a family so much the larger
_RARE: Final = 2
_MOSTLY: Final = 0.8  # of a family's templates were seen in so few lines
_ALIKE: Final = 0.3
_LONGEST: Final = 8


class Growth(msgspec.Struct):
    """Beginnings and ends (these read backwards) after which something variable stands: one token, or all the rest."""

    starts: dict[Tokens, bool] = {}  # True: all the rest
    ends: dict[Tokens, bool] = {}

    def look_for(self, templates: Sequence[tuple[Tokens, int]]) -> bool:
        """Learn from all templates, each with its number of lines; whether there is something new."""
        if len(self.starts) + len(self.ends) >= MAX_FAMILIES:
            return False
        starts = _growing(templates)
        ends = _growing([(template[::-1], lines) for template, lines in templates])
        self.starts.update(starts)
        self.ends.update(ends)
        return bool(starts or ends)

    def cut(self, tokens: Tokens) -> Tokens | None:
        """The tokens with what grows in them as one variable."""
        if self.starts and (found := _cut(tokens, self.starts)):
            return settled(found)
        if self.ends and (found := _cut(tokens[::-1], self.ends)):
            return settled(found[::-1])
        return None


def _cut(tokens: Tokens, known: dict[Tokens, bool]) -> Tokens | None:
    for length in range(1, min(len(tokens), _LONGEST + 1)):
        all_the_rest = known.get(tokens[:length])
        if all_the_rest is not None and (all_the_rest or is_word(tokens[length])):
            return (*tokens[:length], VARIABLE) if all_the_rest else (*tokens[:length], VARIABLE, *tokens[length + 1 :])
    return None


def _growing(templates: Sequence[tuple[Tokens, int]]) -> dict[Tokens, bool]:
    """The longest beginnings with a word that many templates share, most of which are rare."""
    counts: dict[Tokens, list[int]] = {}
    for template, lines in templates:
        for length in range(1, min(len(template), _LONGEST + 1)):
            count = counts.setdefault(template[:length], [0, 0])
            count[0] += 1
            count[1] += lines <= _RARE
    chosen = {
        start
        for start, (count, rare) in counts.items()
        if count >= _MIN_FAMILY and rare >= _MOSTLY * count and count * sum(map(is_word, start)) >= _MIN_WORDS
    }
    shorter = {start[:length] for start in chosen for length in range(1, len(start))}
    longest = [start for start in counts if start in chosen and start not in shorter]
    return {start: _is_all_free(start, templates) for start in longest}


def _is_all_free(start: Tokens, templates: Sequence[tuple[Tokens, int]]) -> bool:
    """Whether what follows differs altogether; else it differs in the next token, and a few wordings come after it."""
    length = len(start)
    rests = Counter(template[length + 1 :] for template, _ in templates if template[:length] == start)
    return sum(count for count in rests.values() if count > 1) < _ALIKE * rests.total()
