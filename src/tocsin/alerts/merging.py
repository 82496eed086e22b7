"""Which pattern stands for which: follows from the merges and splits in their order, so that any can be undone."""

from collections.abc import Iterable

from tocsin.alerts.pattern_store import SPLIT, Change


def roots(ids: Iterable[int], changes: Iterable[Change]) -> dict[int, int]:
    """The pattern that each is shown as, when these changes are made one after the other, from nothing.

    A merge lets what stands for the one be shown as what stands for the other. A split that holds parts nothing and
    joins nothing; one that was undone is a merge. Only the last split of a pattern counts.
    """
    made = list(changes)
    last_split = {change.pattern_id: change.id for change in made if change.kind == SPLIT}
    parents = {one: one for one in ids}

    def find(one: int) -> int:
        while parents.setdefault(one, one) != one:
            parents[one] = one = parents[parents[one]]
        return one

    for change in made:
        if change.kind == SPLIT:
            joins = change.undone_at is not None and last_split[change.pattern_id] == change.id
        else:
            joins = change.undone_at is None
        if joins:
            parents[find(change.pattern_id)] = find(change.into_id)
    return {one: find(one) for one in list(parents)}
