"""One who follows the logs: what waits for it, within bounds, and where it goes on after a break."""

import re
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tocsin.logs.parts import Sought

MAX_WAITING: Final = 2_000  # records that wait for one reader; beyond it they are counted, not kept
MAX_WAITING_BYTES: Final = 4 << 20  # of them, as JSON
TAKEN_BYTES: Final = 64 << 10  # what is taken at a time is out of the bound: a slow client must not hold much of it
_PLACE: Final = re.compile(r"([0-9]{1,19})\.([0-9]{1,19})\.([0-9]{1,12})")


@dataclass(frozen=True, slots=True)
class Place:
    """Up to where a reader was served: all commits before `position`, and of the one there the records up to
    `record_id`. `at`, in seconds since 1970: what it has not seen was stored later than that."""

    position: int
    record_id: int
    at: int

    def __str__(self) -> str:
        return f"{self.position}.{self.record_id}.{self.at}"


def place_of(text: str) -> Place | None:
    """The place that was written so; None when it was not one."""
    found = _PLACE.fullmatch(text)
    return None if found is None else Place(int(found[1]), int(found[2]), int(found[3]))


@dataclass(frozen=True, slots=True)
class Line:
    """A record as JSON, the same object for all readers."""

    place: Place
    json: bytes


@dataclass(frozen=True, slots=True)
class Lines:
    """What a reader gets at a time: `missed` matching records were left out before these.

    When it is not `exact`, some of those were never held against the filter: no more than so many; None: not known.
    `place` is where to go on after these. `ended` says why nothing more will come.
    """

    missed: int | None
    exact: bool
    lines: list[Line]
    place: Place
    ended: str | None


class Reader:
    """One who tails. `wake` is called from another thread when there is something to take.

    `place`, `looked_at` (monotonic) and `late` (turns in a row that took its filter too long) belong to the tail.
    """

    def __init__(
        self,
        sought: Sought,
        wake: Callable[[], None],
        *,
        capacity: int = MAX_WAITING,
        capacity_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self.sought = sought
        self.wake = wake
        self.capacity = capacity
        self.capacity_bytes = capacity_bytes
        self.place = Place(0, 0, 0)
        self.looked_at = 0.0
        self.late = 0
        self._turn = threading.Lock()
        self._waiting: deque[Line] = deque()
        self._bytes = 0
        self._missed = 0
        self._unjudged: int | None = 0
        self._ended: str | None = None

    def begin(self, place: Place, *, missed: int | None, looked_at: float) -> None:
        """Where it begins; `missed` records, or nobody knows how many, were stored between its last visit and that."""
        self.place = place
        self.looked_at = looked_at
        self._unjudged = missed
        if missed != 0:
            self.wake()

    def offer(self, lines: Sequence[Line], *, missed: int, unjudged: int, place: Place) -> None:
        """Keep the newest of these. `missed` others match, and `unjudged` ones were not held against the filter."""
        with self._turn:
            self._missed += missed
            if self._unjudged is not None:
                self._unjudged += unjudged
            self._waiting.extend(lines)
            self._bytes += sum(len(line.json) for line in lines)
            while len(self._waiting) > self.capacity or self._bytes > self.capacity_bytes:
                self._bytes -= len(self._waiting.popleft().json)
                self._missed += 1
            self.place = place
        if lines or missed or unjudged:
            self.wake()

    def end(self, why: str) -> None:
        """Nothing more will come."""
        with self._turn:
            self._ended = why
        self.wake()

    def take(self) -> Lines:
        """Some of what waits, the oldest."""
        with self._turn:
            taken: list[Line] = []
            size = 0
            while self._waiting and size < TAKEN_BYTES:
                taken.append(self._waiting.popleft())
                size += len(taken[-1].json)
            self._bytes -= size
            lines = Lines(
                missed=None if self._unjudged is None else self._missed + self._unjudged,
                exact=self._unjudged == 0,
                lines=taken,
                place=taken[-1].place if self._waiting else self.place,
                ended=self._ended,
            )
            self._missed = self._unjudged = 0
            return lines
