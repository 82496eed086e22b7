"""Every query about SLA policies, calendars, their versions, and the clocks that stand in tickets' rows."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, bindparam, delete, func, insert, null, select, tuple_, update

from tocsin.storage.model import counters, events
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets.model import sla_items, sla_versions, tickets
from tocsin.tickets.sla import KINDS, Happened
from tocsin.tickets.store import IN_CLAUSE

POLICY: Final = "policy"
CALENDAR: Final = "calendar"
_SLA: Final = "sla"


@dataclass(frozen=True, slots=True)
class Item:
    """A policy or a calendar as it is in force, with who changed it last."""

    kind: str
    name: str
    version: int
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


@dataclass(frozen=True, slots=True)
class SlaRow:
    """What the choice of a policy looks at in a ticket, and what is written there of its clocks."""

    id: int
    priority: int
    service: str | None
    opened_by: str
    sla: dict[str, Any] | None


def lock(tx: Tx) -> None:
    """Whoever else changes policies or calendars waits until this transaction ends."""
    tx.execute(update(counters).where(counters.c.name == _SLA).values(value=counters.c.value + 1))


def _items(kind: str) -> Select[Any]:
    same = (
        (sla_versions.c.kind == sla_items.c.kind)
        & (sla_versions.c.name == sla_items.c.name)
        & (sla_versions.c.version == sla_items.c.version)
    )
    statement = select(sla_items, sla_versions.c.definition).join(sla_versions, same)
    return statement.where(sla_items.c.kind == kind).order_by(sla_items.c.name)


def get(tx: ReadTx, kind: str, name: str) -> Item | None:
    found = tx.execute(_items(kind).where(sla_items.c.name == name)).one_or_none()
    return None if found is None else Item(**found._mapping)


def all_of(tx: ReadTx, kind: str) -> list[Item]:
    """All that are in force, by name."""
    return [Item(**row._mapping) for row in tx.execute(_items(kind))]


def page(tx: ReadTx, kind: str, *, after: str, limit: int) -> list[Item]:
    statement = _items(kind).where(sla_items.c.name > after).limit(limit)
    return [Item(**row._mapping) for row in tx.execute(statement)]


def versions(tx: ReadTx, kind: str, name: str, *, before: int | None, limit: int) -> list[ItemVersion]:
    """The versions of one, newest first, also if it was removed."""
    statement = select(sla_versions).where(sla_versions.c.kind == kind, sla_versions.c.name == name)
    if before is not None:
        statement = statement.where(sla_versions.c.version < before)
    statement = statement.order_by(sla_versions.c.version.desc()).limit(limit)
    return [ItemVersion(**row._mapping) for row in tx.execute(statement)]


def current_versions(tx: ReadTx, kind: str, names: Collection[str]) -> dict[str, int]:
    """The version in force of each of these names."""
    if not names:
        return {}
    mine = (sla_items.c.kind == kind) & sla_items.c.name.in_(sorted(names))
    return {row.name: row.version for row in tx.execute(select(sla_items.c.name, sla_items.c.version).where(mine))}


def definitions(tx: ReadTx, kind: str, wanted: Collection[tuple[str, int]]) -> dict[tuple[str, int], dict[str, Any]]:
    """What these versions say, by name and version."""
    if not wanted:
        return {}
    one = tuple_(sla_versions.c.name, sla_versions.c.version)
    statement = select(sla_versions.c.name, sla_versions.c.version, sla_versions.c.definition).where(
        sla_versions.c.kind == kind, one.in_(sorted(wanted))
    )
    return {(row.name, row.version): row.definition for row in tx.execute(statement)}


def all_versions(tx: ReadTx, kind: str) -> list[tuple[str, int, dict[str, Any]]]:
    """Every version that said something: name, version, what it said."""
    v = sla_versions.c
    statement = select(v.name, v.version, v.definition).where(v.kind == kind).order_by(v.name, v.version)
    return [(row.name, row.version, row.definition) for row in tx.execute(statement) if row.definition is not None]


def latest_version(tx: ReadTx, kind: str, name: str) -> int:
    """The highest version one of this name ever had; 0 when there was none."""
    mine = (sla_versions.c.kind == kind) & (sla_versions.c.name == name)
    statement = select(func.coalesce(func.max(sla_versions.c.version), 0)).where(mine)
    return int(tx.execute(statement).scalar_one())


def put(tx: Tx, kind: str, name: str, version: int, definition: Mapping[str, Any], *, is_new: bool) -> None:
    """Make a version, which is in force from now on."""
    _add_version(tx, kind, name, version, dict(definition))
    row = {"version": version, "updated_at": tx.now, "updated_by": str(tx.actor)}
    if is_new:
        tx.execute(insert(sla_items).values(kind=kind, name=name, created_at=tx.now, **row))
    else:
        mine = (sla_items.c.kind == kind) & (sla_items.c.name == name)
        tx.execute(update(sla_items).where(mine).values(**row))


def remove(tx: Tx, kind: str, name: str, version: int) -> None:
    """Take one out of force; its versions stay."""
    _add_version(tx, kind, name, version, None)
    tx.execute(delete(sla_items).where(sla_items.c.kind == kind, sla_items.c.name == name))


def _add_version(tx: Tx, kind: str, name: str, version: int, definition: dict[str, Any] | None) -> None:
    row = {
        "kind": kind,
        "name": name,
        "version": version,
        "definition": null() if definition is None else definition,
        "at": tx.now,
        "actor": str(tx.actor),
    }
    tx.execute(insert(sla_versions).values(**row))


_ROW: Final = (tickets.c.id, tickets.c.priority, tickets.c.service, tickets.c.opened_by, tickets.c.sla)


def rows(tx: ReadTx, ids: Iterable[int]) -> dict[int, SlaRow]:
    """What stands in these tickets of their clocks."""
    wanted, found = sorted(set(ids)), {}
    for start in range(0, len(wanted), IN_CLAUSE):
        inside = tickets.c.id.in_(wanted[start : start + IN_CLAUSE])
        found.update({row.id: SlaRow(**row._mapping) for row in tx.execute(select(*_ROW).where(inside))})
    return found


# Made once: making it costs more than reading some tens of rows.
_HOLD_FREE: Final = (
    select(tickets.c.id, tickets.c.sla)
    .where(tickets.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(tickets.c.id)
    .with_for_update(skip_locked=True)
)


_CLOCKS: Final = select(tickets.c.id, tickets.c.sla).where(tickets.c.id.in_(bindparam("ids", expanding=True)))


def clocks_of(tx: ReadTx, ids: Iterable[int]) -> dict[int, dict[str, Any] | None]:
    """What is written of the clocks of these tickets."""
    wanted = sorted(set(ids))
    assert len(wanted) <= IN_CLAUSE
    return {row[0]: row[1] for row in tx.execute(_CLOCKS, {"ids": wanted})}


def hold_free(tx: Tx, ids: Iterable[int]) -> dict[int, dict[str, Any] | None]:
    """What is written of the clocks of those of these tickets that nobody else is changing; nobody can until this
    transaction ends."""
    wanted = sorted(set(ids))
    assert len(wanted) <= IN_CLAUSE
    return {row[0]: row[1] for row in tx.execute(_HOLD_FREE, {"ids": wanted})}


_EVENT: Final = (events.c.subject, events.c.at, events.c.kind, events.c.actor, events.c.data)


def happened(tx: ReadTx, ids: Collection[int]) -> dict[int, list[Happened]]:
    """The events of these tickets that say something of their clocks, in order."""
    id_of = {f"ticket:{ticket_id}": ticket_id for ticket_id in ids}
    subjects = sorted(id_of)
    found: dict[int, list[Happened]] = {ticket_id: [] for ticket_id in ids}
    for start in range(0, len(subjects), IN_CLAUSE):
        mine = events.c.subject.in_(subjects[start : start + IN_CLAUSE]) & events.c.kind.in_(KINDS)
        for row in tx.execute(select(*_EVENT).where(mine).order_by(events.c.id)):
            found[id_of[row.subject]].append(Happened(row.at, row.kind, row.actor, row.data))
    return found


_WRITE: Final = (
    update(tickets)
    .where(tickets.c.id == bindparam("of_id"))
    .values(
        sla=bindparam("of_sla"),
        sla_state=bindparam("of_state"),
        sla_due_at=bindparam("of_due_at"),
        sla_at_risk_at=bindparam("of_at_risk_at"),
        acknowledge_due_at=bindparam("of_acknowledge_due_at"),
        resolve_due_at=bindparam("of_resolve_due_at"),
        sla_calendar=bindparam("of_calendar"),
    )
)


def write(tx: Tx, values: list[dict[str, Any]]) -> None:
    """Write down the clocks of tickets; their versions stay, because nobody changed anything."""
    if values:
        tx.execute(_WRITE, sorted(values, key=lambda one: int(one["of_id"])))
