"""Which pattern stands for which: follows from the merges and splits in their order, so that any can be undone."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

ALIAS: Final = "alias"
MERGE: Final = "merge"
SPLIT: Final = "split"


@dataclass(frozen=True, slots=True)
class Change:
    """A merge or split: `pattern_id` was merged into, or split from, `into_id`."""

    id: int
    kind: str
    pattern_id: int
    into_id: int
    actor: str
    at: datetime
    undone_at: datetime | None
    undone_by: str | None


def roots(ids: Iterable[int], changes: Iterable[Change]) -> dict[int, int]:
    """The pattern that each is shown as, when these changes are made one after the other, from nothing.

    A merge lets what stands for the one be shown as what stands for the other. A split that holds joins nothing, and
    what its pattern was merged into before does not count; one that was undone is a merge. Only a pattern's last split
    counts.
    """
    made = sorted(changes, key=lambda change: change.id)
    splits = {change.pattern_id: change for change in made if change.kind == SPLIT}
    parents = {one: one for one in ids}

    def find(one: int) -> int:
        while parents.setdefault(one, one) != one:
            parents[one] = one = parents[parents[one]]
        return one

    for change in made:
        if _joins(change, splits.get(change.pattern_id)):
            parents[find(change.pattern_id)] = find(change.into_id)
    return {one: find(one) for one in list(parents)}


def _joins(change: Change, split: Change | None) -> bool:
    if change.kind == SPLIT:
        return change == split and change.undone_at is not None
    apart = split is not None and split.undone_at is None and change.id < split.id
    return change.undone_at is None and not apart
