"""Every query of the patterns."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, and_, bindparam, case, cast, delete, func, insert, or_, select, type_coerce, update
from sqlalchemy.dialects import postgresql, sqlite

from tocsin.alerts.merging import SPLIT, Change
from tocsin.alerts.pattern_model import miner_state, pattern_changes, pattern_counts, patterns
from tocsin.kit.clock import MICROSECOND
from tocsin.storage.columns import Instant
from tocsin.storage.tx import ReadTx, Tx

IN_CLAUSE: Final = 500
STATE: Final = "patterns"
_DAY_US: Final = timedelta(days=1) // MICROSECOND


def digest_of(template: str) -> str:
    """128 bits in hex that name a template."""
    return hashlib.sha256(template.encode()).hexdigest()[:32]


@dataclass(slots=True)
class Counted:
    """Records of a pattern that were counted together; `n` by hour and service. Instants are event times."""

    template: str
    first_at: datetime
    last_at: datetime
    example_id: int | None
    example: str
    n: dict[tuple[datetime, str], int] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return digest_of(self.template)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A row: the records that were counted with this very template."""

    id: int
    digest: str
    template: str
    first_seen_at: datetime
    last_seen_at: datetime
    records: int
    example_id: int | None
    example: str
    services: list[str]
    merged_into: int | None

    @property
    def shown_as(self) -> int:
        """The pattern that stands for this one."""
        return self.id if self.merged_into is None else self.merged_into


# What the miner learned.


def token(tx: ReadTx) -> str:
    """What names the present content of the miner's state."""
    return str(tx.execute(select(miner_state.c.token).where(miner_state.c.name == STATE)).scalar_one())


def hold(tx: Tx) -> str:
    """The token; whoever else changes patterns waits until this transaction ends."""
    same = select(miner_state.c.token).where(miner_state.c.name == STATE).with_for_update()
    return str(tx.execute(same).scalar_one())


def state(tx: ReadTx) -> tuple[str, int, bytes]:
    """The token, the version and the dump; all of one look."""
    row = tx.execute(select(miner_state).where(miner_state.c.name == STATE)).one()
    return row.token, row.version, row.dump


def save_state(tx: Tx, new_token: str, version: int, dump: bytes) -> None:
    values = {"token": new_token, "version": version, "dump": dump, "saved_at": tx.now}
    tx.execute(update(miner_state).where(miner_state.c.name == STATE).values(values))


# Counting.


def add_new(tx: Tx, counted: Iterable[Counted]) -> dict[str, Pattern]:
    """Make a row for each template, which has none yet, with nothing counted; by digest."""
    rows: list[dict[str, Any]] = [
        {
            "digest": one.digest,
            "template": one.template,
            "first_seen_at": one.first_at,
            "last_seen_at": one.last_at,
            "records": 0,
            "example_id": one.example_id,
            "example": one.example,
            "services": [],
        }
        for one in sorted(counted, key=lambda one: one.digest)
    ]
    if rows:
        tx.execute(insert(patterns), rows)
    return by_digest(tx, [row["digest"] for row in rows])


def by_digest(tx: ReadTx, digests: Collection[str]) -> dict[str, Pattern]:
    return {pattern.digest: pattern for pattern in _where(tx, patterns.c.digest, sorted(digests))}


def by_id(tx: ReadTx, ids: Collection[int]) -> dict[int, Pattern]:
    return {pattern.id: pattern for pattern in _where(tx, patterns.c.id, sorted(ids))}


def members(tx: ReadTx, canonical: int) -> list[Pattern]:
    """The patterns that are shown as this one, itself first."""
    mine = or_(patterns.c.id == canonical, patterns.c.merged_into == canonical)
    first = case((patterns.c.id == canonical, 0), else_=1)
    return [_pattern(row) for row in tx.execute(select(patterns).where(mine).order_by(first, patterns.c.id))]


def _where(tx: ReadTx, column: Any, values: Sequence[Any]) -> Iterable[Pattern]:
    for start in range(0, len(values), IN_CLAUSE):
        for row in tx.execute(select(patterns).where(column.in_(values[start : start + IN_CLAUSE]))):
            yield _pattern(row)


def _pattern(row: Any) -> Pattern:
    return Pattern(**row._mapping)


def add(tx: Tx, counted: Mapping[int, Counted], services: Mapping[int, Sequence[str]]) -> None:
    """Add to the rows of patterns, by id, and to their counts. `services` are those that a pattern has now."""
    first, last = bindparam("seen_first", type_=Instant()), bindparam("seen_last", type_=Instant())
    none_yet = patterns.c.records == 0
    statement = (
        update(patterns)
        .where(patterns.c.id == bindparam("of_pattern"))
        .values(
            records=patterns.c.records + bindparam("more"),
            first_seen_at=case((none_yet | (first < patterns.c.first_seen_at), first), else_=patterns.c.first_seen_at),
            last_seen_at=case((none_yet | (last > patterns.c.last_seen_at), last), else_=patterns.c.last_seen_at),
            example=case((patterns.c.example_id.is_(None), bindparam("seen_example")), else_=patterns.c.example),
            example_id=func.coalesce(patterns.c.example_id, bindparam("seen_id", type_=BigInteger())),
            services=bindparam("of_services", type_=patterns.c.services.type),
        )
    )
    rows = [
        {
            "of_pattern": pattern_id,
            "more": sum(one.n.values()),
            "seen_first": one.first_at,
            "seen_last": one.last_at,
            "seen_id": one.example_id,
            "seen_example": one.example,
            "of_services": list(services[pattern_id]),
        }
        for pattern_id, one in sorted(counted.items())
    ]
    tx.execute(statement, rows)
    _add_counts(
        tx,
        sorted(
            ((hour, pattern_id, service), n)
            for pattern_id, one in counted.items()
            for (hour, service), n in one.n.items()
        ),
    )


def _add_counts(tx: Tx, counts: Sequence[tuple[tuple[datetime, int, str], int]]) -> None:
    upsert = _upsert(tx, pattern_counts)
    statement = upsert.on_conflict_do_update(
        index_elements=["hour", "pattern_id", "service"], set_={"n": pattern_counts.c.n + upsert.excluded.n}
    )
    rows = [{"hour": key[0], "pattern_id": key[1], "service": key[2], "n": n} for key, n in counts]
    if rows:
        tx.execute(statement, rows)


def _upsert(tx: Tx, table: Any) -> Any:
    return postgresql.insert(table) if tx.dialect == "postgresql" else sqlite.insert(table)


def fold_hours(tx: Tx, before: datetime, *, limit: int) -> bool:
    """Count the hours before an instant by their days: so many rows; False when there are no more."""
    of_hour = type_coerce(pattern_counts.c.hour, BigInteger)
    mine = (pattern_counts.c.hour < before, of_hour % _DAY_US != 0)
    rows = list(tx.execute(select(pattern_counts).where(*mine).order_by(pattern_counts.c.hour).limit(limit)))
    days: dict[tuple[datetime, int, str], int] = {}
    for row in rows:
        key = (row.hour.replace(hour=0), row.pattern_id, row.service)
        days[key] = days.get(key, 0) + row.n
    if not rows:
        return False
    same = (
        pattern_counts.c.pattern_id == bindparam("of_pattern"),
        pattern_counts.c.hour == bindparam("of_hour", type_=Instant()),
        pattern_counts.c.service == bindparam("of_service"),
    )
    gone = [{"of_pattern": row.pattern_id, "of_hour": row.hour, "of_service": row.service} for row in rows]
    tx.execute(delete(pattern_counts).where(*same), gone)
    _add_counts(tx, sorted(days.items()))
    return True


# Merges and splits.


def point(tx: Tx, shown_as: Mapping[int, int]) -> None:
    """Let patterns be shown as others, or as themselves."""
    statement = update(patterns).where(patterns.c.id == bindparam("of_pattern")).values(merged_into=bindparam("to"))
    rows = [{"of_pattern": one, "to": None if one == to else to} for one, to in sorted(shown_as.items())]
    if rows:
        tx.execute(statement, rows)


def repoint(tx: Tx, root: int, to: int) -> None:
    """Let `to` stand for what `root` stood for, and for itself."""
    mine = or_(patterns.c.id == root, patterns.c.merged_into == root)
    tx.execute(update(patterns).where(mine).values(merged_into=to))


def record_change(tx: Tx, kind: str, pattern_id: int, into_id: int) -> int:
    values = {"kind": kind, "pattern_id": pattern_id, "into_id": into_id, "actor": str(tx.actor), "at": tx.now}
    return int(tx.execute(insert(pattern_changes).values(values).returning(pattern_changes.c.id)).scalar_one())


def mark_undone(tx: Tx, change_id: int) -> None:
    values = {"undone_at": tx.now, "undone_by": str(tx.actor)}
    tx.execute(update(pattern_changes).where(pattern_changes.c.id == change_id).values(values))


def change(tx: ReadTx, change_id: int) -> Change | None:
    row = tx.execute(select(pattern_changes).where(pattern_changes.c.id == change_id)).one_or_none()
    return None if row is None else Change(**row._mapping)


def changes_of(tx: ReadTx, ids: Collection[int]) -> list[Change]:
    """The changes that lead from or to any of these patterns, in their order."""
    found: dict[int, Change] = {}
    wanted = sorted(ids)
    for start in range(0, len(wanted), IN_CLAUSE):
        some = wanted[start : start + IN_CLAUSE]
        touching = or_(pattern_changes.c.pattern_id.in_(some), pattern_changes.c.into_id.in_(some))
        found.update({row.id: Change(**row._mapping) for row in tx.execute(select(pattern_changes).where(touching))})
    return [found[key] for key in sorted(found)]


def active_splits(tx: ReadTx) -> list[Change]:
    """The splits that hold, in their order."""
    holds = (pattern_changes.c.kind == SPLIT, pattern_changes.c.undone_at.is_(None))
    return [Change(**r._mapping) for r in tx.execute(select(pattern_changes).where(*holds).order_by("id"))]


# Reading.


@dataclass(frozen=True, slots=True)
class Summary:
    """A canonical pattern with all that it stands for. `count` is that of what was asked for: a service, a time."""

    pattern: Pattern
    count: int
    key: int
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Window:
    """Event times [since, until) on whole hours; `middle` parts what is recent from what was before."""

    since: datetime
    middle: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which canonical patterns: with a text in a template, of a service, with records in the window (`only_within`).

    Sorted by `count`, `newest` (first seen last) or `trend` (grew most), the largest first; `after` is the last
    page's last key and id.
    """

    window: Window
    text: str | None = None
    service: str | None = None
    only_within: bool = False
    sort: str = "count"
    after: tuple[int, int] | None = None
    limit: int = 100
    pattern_id: int | None = None

    @property
    def filtered(self) -> bool:
        """Whether only some of the records of a pattern count."""
        return self.only_within or self.service is not None


def _canonical() -> Any:
    # Cast, or SQLite makes no index for what is joined by it.
    return cast(func.coalesce(patterns.c.merged_into, patterns.c.id), BigInteger)


def _whole() -> Any:
    """All records of each canonical pattern."""
    canonical = _canonical()
    return (
        select(
            canonical.label("of"),
            func.sum(patterns.c.records).label("n"),
            func.min(patterns.c.first_seen_at).label("first_at"),
            func.max(patterns.c.last_seen_at).label("last_at"),
        )
        .group_by(canonical)
        .subquery()
    )


def _inside(since: datetime, until: datetime) -> Any:
    return and_(pattern_counts.c.hour >= since, pattern_counts.c.hour < until)


def _counted(wanted: Wanted) -> Any:
    """Records of each canonical pattern by their hours: in the window, or all when only a service is asked for.

    They are summed by pattern first: these are few, their hours many.
    """
    window, n = wanted.window, pattern_counts.c.n
    recent, before = _inside(window.middle, window.until), _inside(window.since, window.middle)
    grown = case((recent, n), (before, -n), else_=0)
    of_pattern = (pattern_counts.c.pattern_id + 0).label("pattern_id")  # SQLite would read by pattern, all of it
    inner = select(of_pattern, func.sum(n).label("n"), func.sum(grown).label("grown"))
    if wanted.service is not None:
        inner = inner.where(pattern_counts.c.service == wanted.service)
    if wanted.only_within or wanted.service is None:
        inner = inner.where(_inside(window.since, window.until))
    each = inner.group_by(of_pattern).subquery()
    canonical = _canonical()
    return (
        select(canonical.label("of"), func.sum(each.c.n).label("n"), func.sum(each.c.grown).label("grown"))
        .join(patterns, patterns.c.id == each.c.pattern_id)
        .group_by(canonical)
        .subquery()
    )


def page(tx: ReadTx, wanted: Wanted) -> list[Summary]:
    """Canonical patterns with their counts."""
    whole = _whole()
    keys = {"count": whole.c.n, "newest": whole.c.first_at}
    source = select(patterns, whole.c.first_at, whole.c.last_at).join(whole, whole.c.of == patterns.c.id)
    if wanted.filtered or wanted.sort == "trend":
        counted = _counted(wanted)
        source = source.join(counted, counted.c.of == patterns.c.id, isouter=not wanted.filtered)
        keys["trend"] = func.coalesce(counted.c.grown, 0)
        keys["count"] = counted.c.n if wanted.filtered else whole.c.n
    key = type_coerce(keys[wanted.sort], BigInteger)
    statement = (
        source.add_columns(keys["count"].label("count"), key.label("key"))
        .order_by(key.desc(), patterns.c.id.desc())
        .limit(wanted.limit)
    )
    if wanted.text is not None:
        some = patterns.alias()
        like = select(func.coalesce(some.c.merged_into, some.c.id)).where(
            some.c.template.icontains(wanted.text, autoescape=True)
        )
        statement = statement.where(patterns.c.id.in_(like))
    if wanted.after is not None:
        at, last_id = wanted.after
        statement = statement.where(or_(key < at, and_(key == at, patterns.c.id < last_id)))
    if wanted.pattern_id is not None:
        statement = statement.where(patterns.c.id == wanted.pattern_id)
    return [_summary(row) for row in tx.execute(statement)]


def _summary(row: Any) -> Summary:
    values = dict(row._mapping)
    count, key, first_at, last_at = (values.pop(name) for name in ("count", "key", "first_at", "last_at"))
    return Summary(Pattern(**values), int(count), int(key), first_at, last_at)


@dataclass(slots=True)
class Parts:
    """What belongs to a canonical pattern: itself and what it stands for, by id, and their services."""

    ids: list[int] = field(default_factory=list)
    services: set[str] = field(default_factory=set)


def parts_of(tx: ReadTx, canonical: Collection[int]) -> dict[int, Parts]:
    found = {one: Parts() for one in canonical}
    wanted = sorted(canonical)
    for start in range(0, len(wanted), IN_CLAUSE):
        some = wanted[start : start + IN_CLAUSE]
        mine = or_(patterns.c.id.in_(some), patterns.c.merged_into.in_(some))
        for row in tx.execute(select(patterns.c.id, patterns.c.merged_into, patterns.c.services).where(mine)):
            of = row.id if row.merged_into is None else row.merged_into
            if of in found:
                found[of].ids.append(row.id)
                found[of].services.update(row.services)
    return found


def hours_of(
    tx: ReadTx, parts: Mapping[int, Parts], window: Window, service: str | None
) -> dict[int, dict[datetime, int]]:
    """Records of canonical patterns by hour, within a window."""
    owners = {one: of for of, part in parts.items() for one in part.ids}
    found: dict[int, dict[datetime, int]] = {of: {} for of in parts}
    wanted = sorted(owners)
    for start in range(0, len(wanted), IN_CLAUSE):
        statement = (
            select(pattern_counts.c.pattern_id, pattern_counts.c.hour, func.sum(pattern_counts.c.n).label("n"))
            .where(pattern_counts.c.pattern_id.in_(wanted[start : start + IN_CLAUSE]))
            .where(_inside(window.since, window.until))
            .group_by(pattern_counts.c.pattern_id, pattern_counts.c.hour)
        )
        if service is not None:
            statement = statement.where(pattern_counts.c.service == service)
        for row in tx.execute(statement):
            hours = found[owners[row.pattern_id]]
            hours[row.hour] = hours.get(row.hour, 0) + int(row.n)
    return found


def by_service(tx: ReadTx, ids: Sequence[int]) -> dict[str, int]:
    """All records of patterns by service."""
    found: dict[str, int] = {}
    for start in range(0, len(ids), IN_CLAUSE):
        statement = (
            select(pattern_counts.c.service, func.sum(pattern_counts.c.n).label("n"))
            .where(pattern_counts.c.pattern_id.in_(ids[start : start + IN_CLAUSE]))
            .group_by(pattern_counts.c.service)
        )
        for row in tx.execute(statement):
            found[row.service] = found.get(row.service, 0) + int(row.n)
    return found
