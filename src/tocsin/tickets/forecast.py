"""How long a ticket may still take, and whether it will miss its target, from past tickets of its kind. Pure.

Survival analysis: a ticket that is still open tells that it takes at least so long (it is censored), which an average
would leave out, and be too hopeful. The estimator is that of Kaplan and Meier (1958): S(t) is the share that takes
longer than t. What is asked of a ticket that has been open for t is conditional on that: S(T) / S(t).
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

ENOUGH: Final = 30  # resolved tickets of a group, or a wider one is asked
WEIGHT: Final = 50  # tickets that the wider kinds count for, beside those of a narrower one
_ROUNDING: Final = 1e-12  # of a product of many shares
STILL_OPEN: Final = 10  # of them that took longer than this one has: of fewer nothing can be said about what is left


@dataclass(frozen=True, slots=True)
class Curve:
    """The share that takes longer than each of `times_s` (ascending); 1 before the first. `resolved` of `n` tickets had
    been resolved. `left` is how many had not, and were still looked at, right after each time."""

    times_s: tuple[float, ...]
    longer: tuple[float, ...]
    left: tuple[int, ...]
    n: int
    resolved: int

    def survival(self, at_s: float) -> float:
        """The share that takes longer than `at_s`."""
        place = bisect_right(self.times_s, at_s)
        return self.longer[place - 1] if place else 1.0

    def at_risk(self, at_s: float) -> int:
        """How many are known to have taken longer than `at_s`."""
        place = bisect_right(self.times_s, at_s)
        return self.left[place - 1] if place else self.n


def curve(durations_s: Sequence[float], resolved: Sequence[bool]) -> Curve:
    """The Kaplan-Meier estimate; of tickets that are not resolved the duration is how long they have been open."""
    if not len(durations_s):
        return Curve((), (), (), 0, 0)
    taken = np.maximum(np.asarray(durations_s, dtype=float), 0.0)
    times, place = np.unique(taken, return_inverse=True)
    ended = np.bincount(place, weights=np.asarray(resolved, dtype=float), minlength=len(times))
    gone = np.cumsum(np.bincount(place, minlength=len(times)))
    before = len(taken) - np.concatenate(([0], gone[:-1]))
    longer = np.cumprod(1.0 - ended / before)
    return Curve(
        tuple(times.tolist()), tuple(longer.tolist()), tuple((len(taken) - gone).tolist()), len(taken), int(ended.sum())
    )


@dataclass(frozen=True, slots=True)
class Forecast:
    """What past tickets say of one that has been open for a while. `breach` is None without a target, `expected_s` (the
    time from opening by which half of those are resolved that took as long) where fewer than half ever were. It rests
    on so many `tickets` of the narrowest kind that has enough, and on those of wider kinds."""

    breach: float | None
    expected_s: float | None
    rests_on: str
    tickets: int


def forecast(groups: Sequence[tuple[str, Curve]], *, open_s: float, due_s: float | None) -> Forecast | None:
    """By groups of past tickets, from narrow to wide; None if none has enough to say.

    Each group counts by how many of it had been open as long, against `WEIGHT` for the wider ones together: few tickets
    of the same kind change a forecast a little, many decide it. `open_s` is how long the ticket has been open, `due_s`
    how long after its opening it is due, by the same clock.
    """
    telling = [(name, known) for name, known in groups if _tells(known, open_s)]
    if not telling:
        return None
    name, narrowest = telling[0]
    breach = None if due_s is None else 1.0 if due_s <= open_s else _breach(groups, open_s, due_s)
    return Forecast(breach, _half(narrowest, narrowest.survival(open_s) / 2), name, narrowest.n)


def _tells(known: Curve, open_s: float) -> bool:
    return known.resolved >= ENOUGH and known.at_risk(open_s) >= STILL_OPEN


def _breach(groups: Sequence[tuple[str, Curve]], open_s: float, due_s: float) -> float | None:
    said: float | None = None
    for _, known in reversed(groups):
        n, now = known.at_risk(open_s), known.survival(open_s)
        if n == 0 or now == 0:
            continue
        alone = known.survival(due_s) / now
        said = alone if said is None else (n * alone + WEIGHT * said) / (n + WEIGHT)
    return said


def _half(known: Curve, share: float) -> float | None:
    """The first time by which no more than a share is left."""
    found = next((place for place, longer in enumerate(known.longer) if longer <= share + _ROUNDING), None)
    return None if found is None else known.times_s[found]


def brier(said: Sequence[float], came: Sequence[bool]) -> float:
    """The mean squared distance of what was said from what came: 0 is a prophet, the base rate b scores b(1 - b)."""
    return float(np.mean((np.asarray(said, dtype=float) - np.asarray(came, dtype=float)) ** 2))


def calibration(said: Sequence[float], came: Sequence[bool], *, bins: int = 5) -> list[tuple[float, float, int]]:
    """By equal spans of what was said: its mean, the share that came, and of how many."""
    told, true = np.asarray(said, dtype=float), np.asarray(came, dtype=float)
    place = np.minimum((told * bins).astype(int), bins - 1)
    return [
        (float(told[place == one].mean()), float(true[place == one].mean()), int((place == one).sum()))
        for one in range(bins)
        if (place == one).any()
    ]
