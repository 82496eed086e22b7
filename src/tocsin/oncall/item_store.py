"""Every query about what people say of escalation, routes, rules and drills, and its versions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, bindparam, delete, func, insert, null, select, update

from tocsin.oncall.escalation_model import oncall_items, oncall_versions
from tocsin.storage.model import counters
from tocsin.storage.tx import ReadTx, Tx

LOCK: Final = "oncall_items"


@dataclass(frozen=True, slots=True)
class Item:
    """One as it is in force, with who changed it last."""

    kind: str
    name: str
    version: int
    place: int
    created_at: datetime
    updated_at: datetime
    updated_by: str
    definition: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ItemVersion:
    """What one said from an instant on; without `definition` it was removed then."""

    kind: str
    name: str
    version: int
    definition: dict[str, Any] | None
    at: datetime
    actor: str


def lock(tx: Tx) -> None:
    """Whoever else changes any of them waits until this transaction ends."""
    tx.execute(update(counters).where(counters.c.name == LOCK).values(value=counters.c.value + 1))


def _items(kind: str) -> Select[Any]:
    same = (
        (oncall_versions.c.kind == oncall_items.c.kind)
        & (oncall_versions.c.name == oncall_items.c.name)
        & (oncall_versions.c.version == oncall_items.c.version)
    )
    statement = select(oncall_items, oncall_versions.c.definition).join(oncall_versions, same)
    return statement.where(oncall_items.c.kind == kind)


def get(tx: ReadTx, kind: str, name: str) -> Item | None:
    found = tx.execute(_items(kind).where(oncall_items.c.name == name)).one_or_none()
    return None if found is None else Item(**found._mapping)


def some(tx: ReadTx, kind: str, names: Collection[str]) -> dict[str, Item]:
    """Those of these names that there are."""
    if not names:
        return {}
    statement = _items(kind).where(oncall_items.c.name.in_(sorted(names)))
    return {row.name: Item(**row._mapping) for row in tx.execute(statement)}


def in_order(tx: ReadTx, kind: str) -> list[Item]:
    """All that are in force, by their place."""
    statement = _items(kind).order_by(oncall_items.c.place, oncall_items.c.name)
    return [Item(**row._mapping) for row in tx.execute(statement)]


def page(tx: ReadTx, kind: str, *, after: str, limit: int) -> list[Item]:
    """Those after a name, by name."""
    statement = _items(kind).where(oncall_items.c.name > after).order_by(oncall_items.c.name).limit(limit)
    return [Item(**row._mapping) for row in tx.execute(statement)]


def versions(tx: ReadTx, kind: str, name: str, *, before: int | None, limit: int) -> list[ItemVersion]:
    """The versions of one, newest first, also if it was removed."""
    statement = select(oncall_versions).where(oncall_versions.c.kind == kind, oncall_versions.c.name == name)
    if before is not None:
        statement = statement.where(oncall_versions.c.version < before)
    statement = statement.order_by(oncall_versions.c.version.desc()).limit(limit)
    return [ItemVersion(**row._mapping) for row in tx.execute(statement)]


def definition(tx: ReadTx, kind: str, name: str, version: int) -> dict[str, Any] | None:
    """What a version says."""
    mine = (oncall_versions.c.kind == kind) & (oncall_versions.c.name == name) & (oncall_versions.c.version == version)
    found: dict[str, Any] | None = tx.execute(select(oncall_versions.c.definition).where(mine)).scalar_one_or_none()
    return found


def latest_version(tx: ReadTx, kind: str, name: str) -> int:
    """The highest version one of this name ever had; 0 when there was none."""
    mine = (oncall_versions.c.kind == kind) & (oncall_versions.c.name == name)
    return int(tx.execute(select(func.coalesce(func.max(oncall_versions.c.version), 0)).where(mine)).scalar_one())


def last_place(tx: ReadTx, kind: str) -> int:
    """The place of the last one; 0 without any."""
    mine = oncall_items.c.kind == kind
    return int(tx.execute(select(func.coalesce(func.max(oncall_items.c.place), 0)).where(mine)).scalar_one())


def put(tx: Tx, kind: str, name: str, *, version: int, place: int, said: Mapping[str, Any], is_new: bool) -> None:
    """Make a version, which is in force from now on."""
    _add_version(tx, kind, name, version, dict(said))
    row = {"version": version, "place": place, "updated_at": tx.now, "updated_by": str(tx.actor)}
    if is_new:
        tx.execute(insert(oncall_items).values(kind=kind, name=name, created_at=tx.now, **row))
    else:
        mine = (oncall_items.c.kind == kind) & (oncall_items.c.name == name)
        tx.execute(update(oncall_items).where(mine).values(**row))


def remove(tx: Tx, kind: str, name: str, version: int) -> None:
    """Take one out of force; its versions stay."""
    _add_version(tx, kind, name, version, None)
    tx.execute(delete(oncall_items).where(oncall_items.c.kind == kind, oncall_items.c.name == name))


def place_in_order(tx: Tx, kind: str, names: Sequence[str]) -> None:
    """Give each of these the place it has in the list, from 1 on."""
    if not names:
        return
    mine = (oncall_items.c.kind == kind) & (oncall_items.c.name == bindparam("of_name"))
    statement = update(oncall_items).where(mine).values(place=bindparam("to"))
    tx.execute(statement, [{"of_name": name, "to": place} for place, name in enumerate(names, 1)])


def _add_version(tx: Tx, kind: str, name: str, version: int, said: dict[str, Any] | None) -> None:
    row = {
        "kind": kind,
        "name": name,
        "version": version,
        "definition": null() if said is None else said,
        "at": tx.now,
        "actor": str(tx.actor),
    }
    tx.execute(insert(oncall_versions).values(**row))
