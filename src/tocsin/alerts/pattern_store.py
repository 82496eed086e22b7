"""Every query that counts, merges and splits patterns; those that show them are in `pattern_pages`."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import BigInteger, bindparam, case, delete, func, insert, or_, select, type_coerce, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ColumnElement

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
    """Make a row for each template, unless it just got one, with nothing counted; by digest."""
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
        tx.execute(_upsert(tx, patterns).on_conflict_do_nothing(index_elements=["digest"]), rows)
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


def any_hours(tx: ReadTx, before: datetime) -> bool:
    """Whether there are counts of hours before an instant that are not yet those of days."""
    return tx.execute(select(pattern_counts.c.hour).where(*_hours(before)).limit(1)).first() is not None


def _hours(before: datetime) -> tuple[ColumnElement[bool], ...]:
    of_hour = type_coerce(pattern_counts.c.hour, BigInteger)
    return pattern_counts.c.hour < before, of_hour % _DAY_US != 0


def fold_hours(tx: Tx, before: datetime, *, limit: int) -> None:
    """Count the hours before an instant by their days, so many rows."""
    of_hours = select(pattern_counts).where(*_hours(before)).order_by(pattern_counts.c.hour)
    rows = list(tx.execute(of_hours.limit(limit)))
    days: dict[tuple[datetime, int, str], int] = {}
    for row in rows:
        key = (row.hour.replace(hour=0), row.pattern_id, row.service)
        days[key] = days.get(key, 0) + row.n
    if not rows:
        return
    same = (
        pattern_counts.c.pattern_id == bindparam("of_pattern"),
        pattern_counts.c.hour == bindparam("of_hour", type_=Instant()),
        pattern_counts.c.service == bindparam("of_service"),
    )
    gone = [{"of_pattern": row.pattern_id, "of_hour": row.hour, "of_service": row.service} for row in rows]
    tx.execute(delete(pattern_counts).where(*same), gone)
    _add_counts(tx, sorted(days.items()))


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
