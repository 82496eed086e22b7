"""Use cases of declared services: make, change, remove, find; what they depend on and what depends on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tocsin.alerts import declaration_store as store
from tocsin.alerts.declaration_store import DeclaredRow, Part
from tocsin.alerts.declarations import DECLARED, MAX_SERVICES, MAX_STEPS, Declaration, check_name, tidied
from tocsin.alerts.dependencies import depths, ring_text, rings, steps_from, turned, way
from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import Conflict, FieldError, Invalid, NotFound, PreconditionFailed
from tocsin.kit.events import ServiceRemoved, ServiceSaved
from tocsin.query.letters import fold
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx, Tx

_CURSOR: Final = "services"


@dataclass(frozen=True, slots=True)
class Relative:
    """A service that another one depends on, or that depends on it, in so many `steps`: the shortest `way` there."""

    name: str
    declared: bool
    team: str | None
    tier: int | None
    steps: int
    way: tuple[str, ...]


def get(tx: ReadTx, name: str) -> DeclaredRow:
    """One service, by its name in any case. Raises NotFound."""
    found = store.get(tx, fold(name))
    if found is None:
        raise NotFound(what="service", id=name)
    return found


def save(tx: Tx, declaration: Declaration, *, seen_version: int | None = None) -> tuple[DeclaredRow, bool]:
    """Make or replace a service, and whether it is new. What changes nothing makes no version.

    Raises Invalid, also for a ring; Conflict when there are too many; with `seen_version`, PreconditionFailed unless it
    is at that one.
    """
    declaration = tidied(declaration)
    version = store.next_version(tx)
    return _replace(tx, declaration, version, seen_version)


def change(tx: Tx, name: str, changes: Mapping[str, Any], *, seen_version: int | None = None) -> DeclaredRow:
    """Change some fields of a service. Raises NotFound, Invalid, PreconditionFailed."""
    version = store.next_version(tx)
    declaration = tidied(replace(get(tx, name).declaration, **changes))
    return _replace(tx, declaration, version, seen_version)[0]


def save_together(tx: Tx, declarations: Sequence[Declaration]) -> None:
    """Make or replace services at once: only when all are there, there must be no ring and no chain that is too long.

    Raises Invalid, with a pointer such as `/2/depends_on` for the third; Conflict when there are too many.
    """
    tidy = [tidied(one) for one in declarations]
    for one in tidy:
        version = store.next_version(tx)
        before = store.get(tx, one.key)
        if before is None or before.declaration != one:
            _put(tx, one, version, before)
    _check_chains_together(tx, tidy)


def _check_chains_together(tx: Tx, declarations: Sequence[Declaration]) -> None:
    places = {one.key: place for place, one in enumerate(declarations)}
    above, below = store.upstream_part(tx, places), store.downstream_part(tx, places)
    found: list[FieldError] = []
    for one in rings(above.edges):
        place = min(places[key] for key in one if key in places)  # there was no ring without these
        begin = one.index(declarations[place].key)
        ring = [*one[begin:-1], *one[: begin + 1]]
        found.append(FieldError(f"/{place}/depends_on", ring_text(_names(tx, ring, above), ring)))
    if not found:
        up, down = depths(above.edges), depths(turned(below.edges))
        for key, place in places.items():
            steps = up.get(key, 0) + down.get(key, 0)
            if steps > MAX_STEPS:
                found.append(FieldError(f"/{place}/depends_on", _chain_text(steps)))
    if found:
        raise Invalid("; ".join(f"{error.pointer[1:]}: {error.detail}" for error in found), errors=tuple(found))


def _replace(tx: Tx, declaration: Declaration, version: int, seen_version: int | None) -> tuple[DeclaredRow, bool]:
    before = store.get(tx, declaration.key)
    _check_version(before, seen_version)
    if before is not None and before.declaration == declaration:
        return before, False
    _check_chains(tx, declaration)
    _put(tx, declaration, version, before)
    return get(tx, declaration.name), before is None


def _put(tx: Tx, declaration: Declaration, version: int, before: DeclaredRow | None) -> None:
    if before is None and store.count(tx) >= MAX_SERVICES:
        raise Conflict(detail=f"there are {MAX_SERVICES} services already; remove one first")
    store.put(tx, declaration, version, is_new=before is None)
    was = {} if before is None else before.declaration.facts()
    now = declaration.facts()
    changed = [field for field in DECLARED if field not in was or was[field] != now[field]]
    tx.emit(
        ServiceSaved(
            declaration.name,
            version,
            before={field: was[field] for field in changed if field in was},
            after={field: now[field] for field in changed},
        )
    )


def _check_version(before: DeclaredRow | None, seen_version: int | None) -> None:
    version = 0 if before is None else before.version
    if seen_version is not None and seen_version != version:
        raise PreconditionFailed(version=version, wanted=seen_version)


def _check_chains(tx: Tx, declaration: Declaration) -> None:
    """Raises Invalid when the service would depend on itself by others, or in too long a chain."""
    above = store.upstream_part(tx, declaration.upstreams)
    edges = {**above.edges, declaration.key: set(declaration.upstreams)}
    ring = way(edges, declaration.key, declaration.key)
    if ring is not None:
        names = _names(tx, ring, above) | declaration.upstreams | {declaration.key: declaration.name}
        _refuse(ring_text(names, ring))
    below = turned(store.downstream_part(tx, [declaration.key]).edges)
    steps = depths(edges)[declaration.key] + depths(below).get(declaration.key, 0)
    if steps > MAX_STEPS:
        _refuse(_chain_text(steps))


def _chain_text(steps: int) -> str:
    return f"makes a chain of {steps} dependencies; expected at most {MAX_STEPS}"


def _refuse(detail: str) -> None:
    raise Invalid(f"depends_on: {detail}", errors=(FieldError("/depends_on", detail),))


def _names(tx: ReadTx, keys: list[str], part: Part) -> dict[str, str]:
    """How these are called: as declared, or else as whoever depends on them wrote it."""
    declared = store.names(tx, keys)
    return {key: declared[key].name if key in declared else part.names.get(key, key) for key in keys}


def remove(tx: Tx, name: str, *, seen_version: int | None = None) -> DeclaredRow:
    """Forget a service; those that depend on it still say so. Raises NotFound, PreconditionFailed."""
    version = store.next_version(tx)
    found = get(tx, name)
    _check_version(found, seen_version)
    store.remove(tx, found.declaration.key)
    tx.emit(ServiceRemoved(found.declaration.name, version, before=found.declaration.facts()))
    return found


@dataclass(frozen=True, slots=True)
class ServiceQuery:
    """Which services: of a team, of a tier, those that depend directly on one."""

    team: str | None = None
    tier: int | None = None
    depends_on: str | None = None
    limit: int = 100
    cursor: str | None = None


def find(database: Database, query: ServiceQuery) -> tuple[list[DeclaredRow], str | None]:
    """A page of services by name, and the cursor of the next."""
    after = "" if query.cursor is None else str(decode_cursor(query.cursor, _CURSOR, str)[0])
    check_name(after or "a")
    depends_on = None if query.depends_on is None else fold(query.depends_on)
    found = database.read(
        lambda tx: store.page(
            tx, team=query.team, tier=query.tier, depends_on=depends_on, after=after, limit=query.limit + 1
        )
    )
    items = found[: query.limit]
    more = len(found) > query.limit
    return items, encode_cursor(_CURSOR, items[-1].declaration.key) if more else None


def relatives(tx: ReadTx, name: str) -> tuple[list[Relative], list[Relative]]:
    """All that a service depends on, and all that depends on it; the nearest first. Raises NotFound."""
    key = get(tx, name).declaration.key
    above, below = store.upstream_part(tx, [key]), store.downstream_part(tx, [key])
    written = Part(names=above.names | below.names)
    return _relatives(tx, above.edges, key, written), _relatives(tx, turned(below.edges), key, written)


def _relatives(tx: ReadTx, edges: Mapping[str, set[str]], key: str, written: Part) -> list[Relative]:
    steps = steps_from(edges, key)
    declared = store.names(tx, [key, *steps])
    names = {one: declared[one].name if one in declared else written.names.get(one, one) for one in [key, *steps]}
    found = []
    for one in sorted(steps, key=lambda one: (steps[one], one)):
        known = declared.get(one)
        there = tuple(names[step] for step in way(edges, key, one) or ())
        team, tier = (None, None) if known is None else (known.team, known.tier)
        found.append(Relative(names[one], known is not None, team, tier, steps[one], there))
    return found
