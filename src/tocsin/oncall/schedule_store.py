"""Every query about schedules: what is in force, what was, overrides, gaps that were told of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, and_, delete, func, insert, null, or_, select, tuple_, update

from tocsin.oncall.model import schedule_gaps, schedule_overrides, schedule_versions, schedules
from tocsin.oncall.schedules import FixedShift, Override, Temporary
from tocsin.storage import timers
from tocsin.storage.columns import row_value
from tocsin.storage.tx import ReadTx, Tx

OVERRIDE: Final = "override"
TEMPORARY: Final = "temporary"
GAPS: Final = "schedule.gaps"  # the timer


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """A schedule as it is in force. `calendar_hash` is that of the secret in its calendar's address."""

    name: str
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str
    calendar_hash: str | None
    definition: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ScheduleVersion:
    """What one said from an instant on; without `definition` it was removed then."""

    name: str
    version: int
    definition: dict[str, Any] | None
    at: datetime
    actor: str


@dataclass(frozen=True, slots=True)
class OverrideRow:
    """An override or a temporary schedule with who made it."""

    id: int
    schedule: str
    kind: str
    start: datetime
    end: datetime
    data: dict[str, Any]
    reason: str
    created_at: datetime
    created_by: str
    ended_at: datetime | None

    @property
    def override(self) -> Override:
        return Override(self.id, self.start, self.end, self.data["add"], self.data["remove"])

    @property
    def temporary(self) -> Temporary:
        shifts = tuple(
            FixedShift(datetime.fromisoformat(one["start"]), datetime.fromisoformat(one["end"]), tuple(one["users"]))
            for one in self.data["shifts"]
        )
        return Temporary(self.id, self.start, self.end, shifts)


def _rows() -> Select[Any]:
    same = (schedule_versions.c.name == schedules.c.name) & (schedule_versions.c.version == schedules.c.version)
    joined = select(schedules, schedule_versions.c.definition).join(schedule_versions, same)
    return joined.order_by(schedules.c.name)


def get(tx: ReadTx, name: str) -> ScheduleRow | None:
    found = tx.execute(_rows().where(schedules.c.name == name)).one_or_none()
    return None if found is None else ScheduleRow(**found._mapping)


def page(tx: ReadTx, *, after: str, limit: int | None) -> list[ScheduleRow]:
    """Schedules by name; without a limit, all."""
    statement = _rows().where(schedules.c.name > after)
    return [ScheduleRow(**row._mapping) for row in tx.execute(statement.limit(limit))]


def count(tx: ReadTx) -> int:
    return int(tx.execute(select(func.count()).select_from(schedules)).scalar_one())


def versions(tx: ReadTx, name: str, *, before: int | None, limit: int) -> list[ScheduleVersion]:
    """The versions of one, newest first, also if it was removed."""
    statement = select(schedule_versions).where(schedule_versions.c.name == name)
    if before is not None:
        statement = statement.where(schedule_versions.c.version < before)
    statement = statement.order_by(schedule_versions.c.version.desc()).limit(limit)
    return [ScheduleVersion(**row._mapping) for row in tx.execute(statement)]


def versions_between(
    tx: ReadTx, names: Sequence[str], since: datetime, until: datetime
) -> dict[str, list[ScheduleVersion]]:
    """The versions of these schedules that hold at any time from `since` to `until`, oldest first."""
    c = schedule_versions.c
    begun = (
        select(c.name, func.max(c.version).label("version"))
        .where(c.name.in_(sorted(names)), c.at <= since)
        .group_by(c.name)
        .subquery()
    )
    first = and_(c.name == begun.c.name, c.version == begun.c.version)
    statement = (
        select(schedule_versions)
        .outerjoin(begun, c.name == begun.c.name)
        .where(c.name.in_(sorted(names)), or_(first, and_(c.at > since, c.at < until)))
        .order_by(c.name, c.version)
    )
    found: dict[str, list[ScheduleVersion]] = {}
    for row in tx.execute(statement):
        found.setdefault(row.name, []).append(ScheduleVersion(**row._mapping))
    return found


def latest_version(tx: ReadTx, name: str) -> int:
    """The highest version one of this name ever had; 0 when there was none."""
    statement = select(func.coalesce(func.max(schedule_versions.c.version), 0)).where(schedule_versions.c.name == name)
    return int(tx.execute(statement).scalar_one())


def put(tx: Tx, name: str, version: int, definition: Mapping[str, Any], *, is_new: bool) -> None:
    """Make a version, which holds from now on."""
    _add_version(tx, name, version, dict(definition))
    row = {"version": version, "updated_at": tx.now, "updated_by": str(tx.actor)}
    if is_new:
        tx.execute(insert(schedules).values(name=name, created_at=tx.now, **row))
    else:
        tx.execute(update(schedules).where(schedules.c.name == name).values(**row))


def remove(tx: Tx, name: str, version: int) -> None:
    """Take one out of force; its versions stay."""
    _add_version(tx, name, version, None)
    tx.execute(delete(schedules).where(schedules.c.name == name))


def _add_version(tx: Tx, name: str, version: int, definition: dict[str, Any] | None) -> None:
    """It holds from now on: not from before the last one, whose transaction may have begun later and been faster."""
    c = schedule_versions.c
    last = tx.execute(select(func.max(c.at)).where(c.name == name)).scalar_one()
    kept = null() if definition is None else definition
    at = tx.now if last is None else max(tx.now, last)
    row = {"name": name, "version": version, "definition": kept, "at": at, "actor": str(tx.actor)}
    tx.execute(insert(schedule_versions).values(**row))


def set_calendar(tx: Tx, name: str, calendar_hash: str | None) -> None:
    tx.execute(update(schedules).where(schedules.c.name == name).values(calendar_hash=calendar_hash))


# Overrides and temporary schedules.


def overrides_between(
    tx: ReadTx, names: Sequence[str], since: datetime, until: datetime
) -> dict[str, list[OverrideRow]]:
    """Those of these schedules that hold at any time from `since` to `until`, in the order they were made."""
    c = schedule_overrides.c
    reaching = and_(c.schedule.in_(sorted(names)), c.end > since, c.start < until, c.start < c.end)
    found: dict[str, list[OverrideRow]] = {}
    for row in tx.execute(select(schedule_overrides).where(reaching).order_by(c.id)):
        found.setdefault(row.schedule, []).append(OverrideRow(**row._mapping))
    return found


def page_of_overrides(
    tx: ReadTx, name: str, *, ends_after: datetime, after: tuple[datetime, int] | None, limit: int
) -> list[OverrideRow]:
    """Overrides that end later than that, by start."""
    c = schedule_overrides.c
    statement = select(schedule_overrides).where(c.schedule == name, c.end > ends_after, c.start < c.end)
    if after is not None:
        columns = (c.start, c.id)
        statement = statement.where(tuple_(*columns) > row_value(columns, after))
    return [OverrideRow(**row._mapping) for row in tx.execute(statement.order_by(c.start, c.id).limit(limit))]


def override(tx: ReadTx, name: str, override_id: int) -> OverrideRow | None:
    c = schedule_overrides.c
    found = tx.execute(select(schedule_overrides).where(c.schedule == name, c.id == override_id)).one_or_none()
    return None if found is None else OverrideRow(**found._mapping)


def add_override(
    tx: Tx, name: str, kind: str, start: datetime, end: datetime, *, data: Mapping[str, Any], reason: str
) -> int:
    row = {"schedule": name, "kind": kind, "start": start, "end": end, "data": dict(data), "reason": reason}
    made = insert(schedule_overrides).values(**row, created_at=tx.now, created_by=str(tx.actor))
    key = tx.execute(made).inserted_primary_key
    assert key is not None
    return int(key[0])


def end_override(tx: Tx, found: OverrideRow) -> None:
    """Let it end now; one that has not begun never does."""
    end = max(tx.now, found.start)
    mine = schedule_overrides.c.id == found.id
    tx.execute(update(schedule_overrides).where(mine).values(end=end, ended_at=tx.now))


def running_overrides(tx: ReadTx, name: str) -> list[OverrideRow]:
    """Those that have not ended."""
    return overrides_between(tx, [name], tx.now, datetime.max.replace(tzinfo=tx.now.tzinfo)).get(name, [])


# Gaps that were told of, and are still there.


def look_soon(tx: Tx, name: str) -> None:
    """Have a schedule looked at for gaps."""
    timers.put(tx, GAPS, name, due_at=tx.now, version=0)


def told_gaps(tx: ReadTx, name: str) -> list[tuple[datetime, datetime]]:
    """The gaps of a schedule that were told of, as they were when it was looked at last."""
    c = schedule_gaps.c
    statement = select(c.start, c.end).where(c.schedule == name).order_by(c.start)
    return [(row.start, row.end) for row in tx.execute(statement)]


def set_gaps(tx: Tx, name: str, gaps: Sequence[tuple[datetime, datetime]]) -> None:
    """Note the gaps of a schedule, in the place of those that were noted before."""
    tx.execute(delete(schedule_gaps).where(schedule_gaps.c.schedule == name))
    if gaps:
        tx.execute(insert(schedule_gaps), [{"schedule": name, "start": start, "end": end} for start, end in gaps])


def count_with_gaps(tx: ReadTx, until: datetime) -> int:
    """How many schedules have a gap now or at any time up to an instant, which is at most seven days ahead."""
    c = schedule_gaps.c
    statement = (
        select(func.count(c.schedule.distinct()))
        .join(schedules, schedules.c.name == c.schedule)
        .where(c.start <= until, c.end > tx.now)
    )
    return int(tx.execute(statement).scalar_one())
