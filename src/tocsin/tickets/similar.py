"""How similar two tickets are, and why: the same trouble, rule, service, and words that are rare elsewhere.

Words are weighed as BM25 does (Robertson and Zaragoza, 2009), those of titles, each once.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from tocsin.query.terms import words_of


class Why(StrEnum):
    """What two tickets have in common."""

    FINGERPRINT = "fingerprint"
    TEMPLATE = "template"
    RULE = "rule"
    SERVICE = "service"
    WORDS = "words"


# Together 1; that of a template counts where there is no fingerprint in common.
WEIGHTS: Final[Mapping[Why, float]] = {
    Why.FINGERPRINT: 0.4,
    Why.TEMPLATE: 0.25,
    Why.RULE: 0.1,
    Why.SERVICE: 0.15,
    Why.WORDS: 0.35,
}
_SATURATION: Final = 1.2
_BY_LENGTH: Final = 0.5
_SHOWN_WORDS: Final = 6
RULE: Final = "rule:"


@dataclass(frozen=True, slots=True)
class Kin:
    """What is compared of a ticket. `fingerprints` leads from those of its alerts to their templates; `is_over`: it
    was resolved."""

    id: int
    words: frozenset[str]
    service: str | None = None
    opened_by: str = ""
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Likeness:
    """From 0 to 1, and what it rests on: kind -> what exactly."""

    score: float
    reasons: Mapping[Why, str]


@dataclass(frozen=True, slots=True)
class Rarity:
    """In how many of all tickets' titles a word is; one that isn't named is in too many to count."""

    tickets: int
    having: Mapping[str, int]

    def weight(self, word: str) -> float:
        """The rarer, the more; never negative."""
        having = min(self.having.get(word, self.tickets), self.tickets)
        return math.log(1 + (self.tickets - having + 0.5) / (having + 0.5))


def title_words(title: str) -> frozenset[str]:
    """The words of a title that say something: numbers change from one time to the next."""
    return frozenset(word for word in words_of(title) if not word.isdigit())


def likeness(mine: Kin, other: Kin, rarity: Rarity) -> Likeness:
    """How similar another ticket is to mine."""
    found: dict[Why, tuple[float, str]] = {}
    same = sorted(mine.fingerprints.keys() & other.fingerprints.keys())
    alike = sorted(set(mine.fingerprints.values()) & set(other.fingerprints.values()))
    if same:
        found[Why.FINGERPRINT] = 1.0, mine.fingerprints[same[0]]
    elif alike:
        found[Why.TEMPLATE] = 1.0, alike[0]
    if mine.opened_by == other.opened_by and mine.opened_by.startswith(RULE):
        found[Why.RULE] = 1.0, mine.opened_by.removeprefix(RULE)
    if mine.service is not None and mine.service == other.service:
        found[Why.SERVICE] = 1.0, mine.service
    common = mine.words & other.words
    share = _share(mine.words, other.words, rarity)
    if share > 0:
        rarest = sorted(common, key=lambda word: (-rarity.weight(word), word))
        found[Why.WORDS] = share, ", ".join(rarest[:_SHOWN_WORDS])
    score = sum(WEIGHTS[why] * part for why, (part, _) in found.items())
    return Likeness(round(min(score, 1.0), 3), {why: said for why, (_, said) in found.items()})


def _share(mine: frozenset[str], others: frozenset[str], rarity: Rarity) -> float:
    """How much of what my title says another one says too; one that says much more besides, says it less."""
    whole = sum(rarity.weight(word) for word in mine)
    if not whole:
        return 0.0
    length = 1 - _BY_LENGTH + _BY_LENGTH * len(others) / len(mine)
    common = sum(rarity.weight(word) for word in sorted(mine & others))
    return min(common / whole * (_SATURATION + 1) / (1 + _SATURATION * length), 1.0)


def ranked(mine: Kin, others: Iterable[Kin], rarity: Rarity, *, limit: int) -> list[tuple[int, Likeness]]:
    """The most similar tickets: those that are over first, since they tell how that went; then the newest.

    One with which only the service or the rule is common is none.
    """
    said = {Why.FINGERPRINT, Why.TEMPLATE, Why.WORDS}
    found = [(other, likeness(mine, other, rarity)) for other in others if other.id != mine.id]
    kept = [(other, like) for other, like in found if said & like.reasons.keys()]
    kept.sort(key=lambda pair: (not pair[0].is_over, -pair[1].score, -pair[0].id))
    return [(other.id, like) for other, like in kept[:limit]]
