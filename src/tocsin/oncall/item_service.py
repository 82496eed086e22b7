"""Use cases that escalation policies, routes, rules and drills share: make or replace, remove, find, versions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import NotFound, PreconditionFailed
from tocsin.kit.events import (
    DrillRemoved,
    DrillSaved,
    EscalationPolicyRemoved,
    EscalationPolicySaved,
    Event,
    NotificationRulesRemoved,
    NotificationRulesSaved,
    RouteRemoved,
    RouteSaved,
)
from tocsin.oncall import item_store as store
from tocsin.oncall.item_store import Item, ItemVersion
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx, Tx


class _Saved(Protocol):
    def __call__(self, name: str, version: int, *, changed: tuple[str, ...]) -> Event: ...


class _Removed(Protocol):
    def __call__(self, name: str, version: int) -> Event: ...


@dataclass(frozen=True, slots=True)
class ItemKind:
    """What is kept, what people call it, and which events tell of its changes."""

    name: str
    words: str
    saved: _Saved
    removed: _Removed


ESCALATION_POLICY: Final = ItemKind(
    "escalation_policy", "escalation policy", EscalationPolicySaved, EscalationPolicyRemoved
)
ROUTE: Final = ItemKind("route", "route", RouteSaved, RouteRemoved)
NOTIFICATION_RULES: Final = ItemKind(
    "notification_rules", "notification rules of", NotificationRulesSaved, NotificationRulesRemoved
)
DRILL: Final = ItemKind("drill", "drill", DrillSaved, DrillRemoved)


def get(tx: ReadTx, kind: ItemKind, name: str) -> Item:
    """One as it is in force. Raises NotFound."""
    found = store.get(tx, kind.name, name)
    if found is None:
        raise NotFound(what=kind.words, id=name)
    return found


def save(
    tx: Tx,
    kind: ItemKind,
    name: str,
    definition: Mapping[str, Any],
    *,
    seen_version: int | None = None,
    place: int | None = None,
) -> tuple[Item, bool]:
    """Make or replace one, and whether it is new. What changes nothing makes no version.

    A new one stands last unless `place` says where. Raises PreconditionFailed.
    """
    store.lock(tx)
    before = store.get(tx, kind.name, name)
    agree(0 if before is None else before.version, seen_version)
    here = before.place if before is not None else store.last_place(tx, kind.name) + 1
    if before is not None and before.definition == definition and place in {None, here}:
        return before, False
    version = store.latest_version(tx, kind.name, name) + 1
    old = {} if before is None else before.definition
    store.put(tx, kind.name, name, version=version, place=here, said=definition, is_new=before is None)
    if place is not None:
        names = [item.name for item in store.in_order(tx, kind.name) if item.name != name]
        store.place_in_order(tx, kind.name, [*names[: place - 1], name, *names[place - 1 :]])
    changed = tuple(key for key in definition if before is not None and definition[key] != old.get(key))
    tx.emit(kind.saved(name, version, changed=changed))
    return get(tx, kind, name), before is None


def remove(tx: Tx, kind: ItemKind, name: str, *, seen_version: int | None = None) -> Item:
    """Take one out of force. Raises NotFound, PreconditionFailed."""
    store.lock(tx)
    found = get(tx, kind, name)
    agree(found.version, seen_version)
    store.remove(tx, kind.name, name, found.version + 1)
    tx.emit(kind.removed(name, found.version + 1))
    return found


def agree(version: int, seen_version: int | None) -> None:
    """Raises PreconditionFailed when a change was decided on another version."""
    if seen_version is not None and seen_version != version:
        raise PreconditionFailed(version=version, wanted=seen_version)


def find(database: Database, kind: ItemKind, *, cursor: str | None, limit: int) -> tuple[list[Item], str | None]:
    """A page of them by name, and the cursor of the next."""
    after = "" if cursor is None else str(decode_cursor(cursor, kind.name, str)[0])
    found = database.read(lambda tx: store.page(tx, kind.name, after=after, limit=limit + 1))
    items = found[:limit]
    return items, encode_cursor(kind.name, items[-1].name) if len(found) > limit else None


def versions(
    database: Database, kind: ItemKind, name: str, *, cursor: str | None, limit: int
) -> tuple[list[ItemVersion], str | None]:
    """A page of versions, newest first, also of one that was removed. Raises NotFound when there never was any."""
    before = None if cursor is None else int(decode_cursor(cursor, f"{kind.name}:versions", int)[0])
    found = database.read(lambda tx: store.versions(tx, kind.name, name, before=before, limit=limit + 1))
    if not found and before is None:
        raise NotFound(what=kind.words, id=name)
    items = found[:limit]
    return items, encode_cursor(f"{kind.name}:versions", items[-1].version) if len(found) > limit else None
