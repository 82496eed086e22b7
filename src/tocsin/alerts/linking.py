"""Letting patterns stand for each other, and working out anew which stands for which."""

from tocsin.alerts import pattern_store
from tocsin.alerts.merging import ALIAS, Change, roots
from tocsin.storage.tx import ReadTx, Tx


def alias(tx: Tx, pattern_id: int, into_id: int) -> None:
    """The miner has merged one into another; nothing to do when they are shown as one already."""
    rows = pattern_store.by_id(tx, {pattern_id, into_id})
    one, other = rows[pattern_id].shown_as, rows[into_id].shown_as
    if one != other:
        pattern_store.record_change(tx, ALIAS, pattern_id, into_id)
        pattern_store.repoint(tx, one, other)


def connected(tx: ReadTx, pattern_id: int) -> tuple[set[int], list[Change]]:
    """The patterns that any change, undone or not, leads to or from, and these changes in their order."""
    ids, fresh = {pattern_id}, {pattern_id}
    changes: dict[int, Change] = {}
    while fresh:
        found = pattern_store.changes_of(tx, fresh)
        changes.update({change.id: change for change in found})
        fresh = {one for change in found for one in (change.pattern_id, change.into_id)} - ids
        ids |= fresh
    return ids, [changes[key] for key in sorted(changes)]


def settle(tx: Tx, pattern_id: int) -> None:
    """Work out anew what each pattern is shown as, of all that have to do with this one."""
    ids, changes = connected(tx, pattern_id)
    shown_as = roots(ids, changes)
    rows = pattern_store.by_id(tx, ids)
    pattern_store.point(tx, {one: shown_as[one] for one in ids if rows[one].shown_as != shown_as[one]})
