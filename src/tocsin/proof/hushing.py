"""What silences hide in a replay: of those whose matchers cover a record, the first that is active then. Pure.

Which matchers are true of a record is one text, their places with commas between them: records with the same text share
their fate at every moment.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tocsin.alerts.rules import CONDITIONS
from tocsin.alerts.silencing import AbsentRow
from tocsin.kit.events import Matched
from tocsin.query.predicate import compile_predicate
from tocsin.query.tree import Node

SEPARATOR: Final = ","
Covers = str | None  # None: nothing covers it


@dataclass(frozen=True, slots=True)
class Hiding:
    """A silence: which records it keeps from people, and while which they must have arrived (microseconds since 1970,
    ascending, the ends excluded). `told` is what people know of it: id, owner and reason."""

    name: str
    node: Node
    spans: Sequence[tuple[int, int]]
    told: str = ""


class Hidings:
    """Silences, the first one first."""

    def __init__(self, of: Sequence[Hiding] = ()) -> None:
        self._all = tuple(of)
        self._starts = [[start for start, _ in one.spans] for one in of]
        self._places: dict[str, tuple[int, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self._all)

    def by(self, at: int, covers: Covers) -> str | None:
        """What hides a record that arrives at an instant."""
        if covers is None:
            return None
        places = self._places.get(covers)
        if places is None:
            places = self._places[covers] = tuple(sorted(map(int, covers.split(SEPARATOR))))
        return self._first(at, places)

    def by_for_absence(self, at: int, match: Matched) -> str | None:
        """What hides an alert about there being no records."""
        row = AbsentRow(match)
        covering = (place for place, one in enumerate(self._all) if compile_predicate(one.node, CONDITIONS)(row))
        return self._first(at, covering)

    def ends(self) -> list[tuple[int, str]]:
        """When something is hidden no longer."""
        return sorted((end, one.name) for one in self._all for _, end in one.spans)

    def place(self, name: str | None) -> int:
        """Where a silence stands; what is heard comes first."""
        return next((place for place, one in enumerate(self._all, 1) if one.name == name), 0)

    def _first(self, at: int, places: Iterable[int]) -> str | None:
        return next((self._all[place].name for place in places if self._active(at, place)), None)

    def _active(self, at: int, place: int) -> bool:
        behind = bisect_right(self._starts[place], at)
        return behind > 0 and at < self._all[place].spans[behind - 1][1]


NOTHING: Final = Hidings()
