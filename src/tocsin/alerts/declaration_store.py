"""Every query about declared services, and about what depends on what."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from zlib import crc32

from sqlalchemy import ColumnElement, Integer, cast, delete, func, insert, select, update

from tocsin.alerts.declarations import MAX_SERVICES, Declaration
from tocsin.alerts.model import declared_services, service_dependencies
from tocsin.query.letters import fold
from tocsin.storage.model import counters
from tocsin.storage.tx import ReadTx, Tx

DECLARATIONS: Final = "declarations"
IN_CLAUSE: Final = 500
HELD: Final = 0x70C51  # the class of our advisory locks, which all programs on a database share
HELD_BUCKETS: Final = 1024  # so many a transaction may hold without filling the table of locks


@dataclass(frozen=True, slots=True)
class DeclaredRow:
    """A declaration with its version and who changed it last. A version never comes again, also after a removal."""

    declaration: Declaration
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part of what depends on what, by key; `names` are the names that were written."""

    edges: dict[str, set[str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


def next_version(tx: Tx) -> int:
    """Count a change of the declarations; whoever makes another one waits until this transaction ends."""
    statement = update(counters).where(counters.c.name == DECLARATIONS).values(value=counters.c.value + 1)
    return int(tx.execute(statement.returning(counters.c.value)).scalar_one())


def hold_declarations(tx: Tx) -> None:
    """Nobody else changes declarations until this transaction ends."""
    tx.execute(select(counters.c.value).where(counters.c.name == DECLARATIONS).with_for_update())


def count(tx: ReadTx) -> int:
    return int(tx.execute(select(func.count()).select_from(declared_services)).scalar_one())


def get(tx: ReadTx, key: str) -> DeclaredRow | None:
    found = _rows(tx, [declared_services.c.key == key], limit=1)
    return found[0] if found else None


def page(
    tx: ReadTx, *, team: str | None, tier: int | None, depends_on: str | None, after: str, limit: int
) -> list[DeclaredRow]:
    """Services by key. `depends_on` is the key of one that they depend on directly."""
    wanted = [declared_services.c.key > after]
    if team is not None:
        wanted.append(declared_services.c.team == team)
    if tier is not None:
        wanted.append(declared_services.c.tier == tier)
    if depends_on is not None:
        of = service_dependencies.c.upstream_key == depends_on
        wanted.append(declared_services.c.key.in_(select(service_dependencies.c.service_key).where(of)))
    return _rows(tx, wanted, limit=limit)


def every(tx: ReadTx) -> list[DeclaredRow]:
    """All services, by key."""
    return _rows(tx, (), limit=MAX_SERVICES)


def _rows(tx: ReadTx, wanted: Collection[ColumnElement[bool]], *, limit: int) -> list[DeclaredRow]:
    statement = select(declared_services).where(*wanted).order_by(declared_services.c.key).limit(limit)
    rows = tx.execute(statement).all()
    upstreams: dict[str, list[str]] = {}
    for one in _dependencies(tx, service_dependencies.c.service_key, [row.key for row in rows]):
        upstreams.setdefault(one.service_key, []).append(one.upstream)
    return [_row(row, upstreams.get(row.key, ())) for row in rows]


def _row(row: Any, depends_on: Iterable[str]) -> DeclaredRow:
    values = dict(row._mapping)
    values.pop("key")
    kept = {name: values.pop(name) for name in ("version", "created_at", "updated_at", "updated_by")}
    return DeclaredRow(Declaration(**values, depends_on=tuple(sorted(depends_on, key=fold))), **kept)


def names(tx: ReadTx, keys: Collection[str]) -> dict[str, Declaration]:
    """Those of these services that are declared, by key; without what they depend on."""
    wanted, found = sorted(keys), {}
    for start in range(0, len(wanted), IN_CLAUSE):
        inside = declared_services.c.key.in_(wanted[start : start + IN_CLAUSE])
        for row in tx.execute(select(declared_services).where(inside)):
            found[row.key] = _row(row, ()).declaration
    return found


def put(tx: Tx, declaration: Declaration, version: int, *, is_new: bool) -> None:
    row = {
        "name": declaration.name,
        "team": declaration.team,
        "tier": declaration.tier,
        "runbook_url": declaration.runbook_url,
        "description": declaration.description,
        "version": version,
        "updated_at": tx.now,
        "updated_by": str(tx.actor),
    }
    if is_new:
        tx.execute(insert(declared_services).values(key=declaration.key, created_at=tx.now, **row))
    else:
        tx.execute(update(declared_services).where(declared_services.c.key == declaration.key).values(**row))
        tx.execute(delete(service_dependencies).where(service_dependencies.c.service_key == declaration.key))
    edges = [
        {"service_key": declaration.key, "upstream_key": key, "upstream": name}
        for key, name in sorted(declaration.upstreams.items())
    ]
    if edges:
        tx.execute(insert(service_dependencies), edges)


def remove(tx: Tx, key: str) -> None:
    """Forget a service, and what it depends on. Those that depend on it still do."""
    tx.execute(delete(declared_services).where(declared_services.c.key == key))
    tx.execute(delete(service_dependencies).where(service_dependencies.c.service_key == key))


def dependants(tx: ReadTx, key: str) -> list[str]:
    """The names of the services that depend directly on one."""
    mine = (service_dependencies.c.upstream_key == key) & (
        service_dependencies.c.service_key == declared_services.c.key
    )
    return list(tx.execute(select(declared_services.c.name).where(mine).order_by(declared_services.c.key)).scalars())


def any_dependency(tx: ReadTx) -> bool:
    """Whether anything is said to depend on something."""
    return tx.execute(select(service_dependencies.c.service_key).limit(1)).one_or_none() is not None


def upstream_part(tx: ReadTx, keys: Collection[str]) -> Part:
    """All that these services depend on, directly or by others."""
    return _part(tx, keys, service_dependencies.c.service_key, lambda row: str(row.upstream_key))


def downstream_part(tx: ReadTx, keys: Collection[str]) -> Part:
    """All that depends on these services, directly or by others."""
    return _part(tx, keys, service_dependencies.c.upstream_key, lambda row: str(row.service_key))


def _part(tx: ReadTx, keys: Collection[str], column: ColumnElement[Any], next_of: Any) -> Part:
    """Level by level: one look for each step of the longest chain, each by an index."""
    found = Part()
    level, seen = set(keys), set(keys)
    while level:
        rows = _dependencies(tx, column, level)
        for row in rows:
            found.edges.setdefault(row.service_key, set()).add(row.upstream_key)
            found.names[row.upstream_key] = min(row.upstream, found.names.get(row.upstream_key, row.upstream))
        level = {next_of(row) for row in rows} - seen
        seen |= level
    return found


def _dependencies(tx: ReadTx, column: ColumnElement[Any], keys: Collection[str]) -> list[Any]:
    wanted, found = sorted(keys), list[Any]()
    for start in range(0, len(wanted), IN_CLAUSE):
        statement = select(service_dependencies).where(column.in_(wanted[start : start + IN_CLAUSE]))
        found += tx.execute(statement).all()
    return found


def hold(tx: Tx, alone: Mapping[str, bool]) -> None:
    """Hold services until this transaction ends: by its key one with True against all others, one with False against
    whoever wants it alone.

    An alert has its own service alone and shares what that depends on: of two that open at the same moment, one sees
    the other. A service need not be declared, so it is no row that is held. All take them in one order.
    """
    if tx.dialect != "postgresql":
        return  # there is one writer
    buckets: dict[int, bool] = {}
    for key, mode in alone.items():
        bucket = crc32(key.encode()) % HELD_BUCKETS
        buckets[bucket] = buckets.get(bucket, False) or mode
    for bucket, mode in sorted(buckets.items()):
        taken = func.pg_advisory_xact_lock if mode else func.pg_advisory_xact_lock_shared
        tx.execute(select(taken(cast(HELD, Integer), cast(bucket, Integer))))
