"""Working time of many stretches at once, by one calendar. Pure; the same as `kit.calendar.elapsed` of each."""

from typing import Any

import numpy as np

from tocsin.kit.calendar import Calendar, working


def worked(starts: Any, ends: Any, calendar: Calendar) -> Any:
    """The working time from each start to its end, in microseconds as they are; none where they stand the other way
    round."""
    if calendar.always or not len(starts):
        return np.maximum(ends - starts, 0)
    lows, highs = _stretches(calendar, int(starts.min()), int(ends.max()))
    before = np.concatenate(([0], np.cumsum(highs - lows)))
    return np.maximum(_until(ends, lows, highs, before) - _until(starts, lows, highs, before), 0)


def _stretches(calendar: Calendar, first: int, last: int) -> tuple[Any, Any]:
    found: list[tuple[int, int]] = []
    for low, high in working(calendar).spans(first):
        if low >= last:
            break
        found.append((low, high))
    pairs = np.array(found, dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _until(at: Any, lows: Any, highs: Any, before: Any) -> Any:
    """How much there is until each of these instants."""
    place = np.searchsorted(lows, at, side="right")
    if not len(lows):
        return np.zeros_like(at)
    end = highs[np.maximum(place - 1, 0)]
    return before[place] - np.where(place > 0, np.maximum(end - at, 0), 0)
