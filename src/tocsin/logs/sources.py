"""How many records came from where: by the record's `source`, so many sources by name and the rest together."""

from collections.abc import Mapping
from heapq import nsmallest
from typing import Final

MAX_SOURCES: Final = 50
NONE: Final = "(none)"
OTHERS: Final = "(other sources)"


def few(counts: Mapping[str, int], *, most: int = MAX_SOURCES) -> dict[str, int]:
    """The counts; when there are more than `most` names, those of most records, and all others as one."""
    if len(counts) <= most:
        return dict(counts)
    named = {name: n for name, n in counts.items() if name != OTHERS}
    kept = dict(nsmallest(most, named.items(), key=lambda item: (-item[1], item[0])))
    return {**kept, OTHERS: sum(counts.values()) - sum(kept.values())}
