"""Every query about silences: the rows, what they hide, the alerts they keep from opening a ticket."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, update

from tocsin.alerts import rule_store
from tocsin.alerts.model import alerts, verdicts
from tocsin.alerts.silence_model import silences
from tocsin.alerts.silencing import Silence, names_of, silence_id_of
from tocsin.kit.errors import Conflict
from tocsin.kit.events import SilenceBroken
from tocsin.kit.priorities import Priority
from tocsin.storage.model import events
from tocsin.storage.tx import ReadTx, Tx

IN_CLAUSE: Final = 500
_OF_SILENCE: Final = tuple(field.name for field in fields(Silence))


@dataclass(frozen=True, slots=True)
class SilenceRow:
    """A silence with who made and changed it. `started_at`: when the occurrence began whose end is still to be told."""

    silence: Silence
    started_at: datetime | None
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str


@dataclass(frozen=True, slots=True)
class Hidden:
    """What a silence has hidden so far. `would_be_p1`: alerts of priority P1 that began silenced. `last_at`: when the
    newest of the records came in."""

    records: int = 0
    alerts: int = 0
    would_be_p1: int = 0
    last_at: datetime | None = None


def _row(found: Any) -> SilenceRow:
    values = dict(found._mapping)
    silence = Silence(**{name: values.pop(name) for name in _OF_SILENCE})
    return SilenceRow(silence, **values)


def add(tx: Tx, silence: Silence) -> int:
    """Make a silence; its id."""
    values = {name: getattr(silence, name) for name in _OF_SILENCE if name != "id"}
    who = {"created_at": tx.now, "created_by": str(tx.actor), "updated_at": tx.now, "updated_by": str(tx.actor)}
    statement = insert(silences).values(**values, **who).returning(silences.c.id)
    return int(tx.execute(statement).scalar_one())


def get(tx: ReadTx, silence_id: int) -> SilenceRow | None:
    found = tx.execute(select(silences).where(silences.c.id == silence_id)).one_or_none()
    return None if found is None else _row(found)


def hold(tx: Tx, ids: Collection[int]) -> dict[int, SilenceRow]:
    """Silences that nobody else can change, or hide something by, until this transaction ends; taken in one order."""
    statement = select(silences).where(silences.c.id.in_(sorted(ids))).order_by(silences.c.id).with_for_update()
    return {found.id: _row(found) for found in tx.execute(statement)}


def hold_many(tx: Tx, ids: Collection[int]) -> dict[int, Silence]:
    """The same for any number of them."""
    wanted, found = sorted(ids), dict[int, Silence]()
    for start in range(0, len(wanted), IN_CLAUSE):
        rows = hold(tx, wanted[start : start + IN_CLAUSE])
        found |= {silence_id: row.silence for silence_id, row in rows.items()}
    return found


def share(tx: Tx, ids: Collection[int]) -> dict[int, Silence]:
    """Silences that nobody ends, breaks or changes until this transaction ends; others may hide something as well."""
    statement = select(silences).where(silences.c.id.in_(sorted(ids))).order_by(silences.c.id)
    return {found.id: _row(found).silence for found in tx.execute(statement.with_for_update(read=True))}


def unexpired(tx: ReadTx) -> list[Silence]:
    """The silences that aren't over, by id."""
    statement = select(silences).where(silences.c.ends_at > tx.now).order_by(silences.c.id)
    return [_row(found).silence for found in tx.execute(statement)]


def newest_applied_as(tx: ReadTx, names: Collection[str]) -> dict[str, Silence]:
    """By the name that a file gave it, the newest silence of each, also when it is over."""
    wanted, found = sorted(names), dict[str, Silence]()
    for start in range(0, len(wanted), IN_CLAUSE):
        mine = silences.c.applied_as.in_(wanted[start : start + IN_CLAUSE])
        for row in tx.execute(select(silences).where(mine).order_by(silences.c.id)):
            found[row.applied_as] = _row(row).silence
    return found


def by_ids(tx: ReadTx, ids: Collection[int]) -> dict[int, Silence]:
    """Silences by their ids."""
    wanted, found = sorted(ids), dict[int, Silence]()
    for start in range(0, len(wanted), IN_CLAUSE):
        mine = silences.c.id.in_(wanted[start : start + IN_CLAUSE])
        found |= {row.id: _row(row).silence for row in tx.execute(select(silences).where(mine))}
    return found


def overlapping(tx: ReadTx, since: datetime, until: datetime) -> list[SilenceRow]:
    """The silences that may have been active at some time in [since, until), also those that are over, by id."""
    mine = (silences.c.starts_at < until) & (silences.c.ends_at > since)
    return [_row(found) for found in tx.execute(select(silences).where(mine).order_by(silences.c.id))]


def broken_at(tx: ReadTx, ids: Collection[int]) -> dict[int, list[datetime]]:
    """When each of these silences broke, as far as the events about it are kept."""
    subjects = {f"silence:{silence_id}": silence_id for silence_id in ids}
    found: dict[int, list[datetime]] = {}
    wanted = sorted(subjects)
    for start in range(0, len(wanted), IN_CLAUSE):
        about = events.c.subject.in_(wanted[start : start + IN_CLAUSE])
        mine = about & (events.c.kind == SilenceBroken.__name__)
        for row in tx.execute(select(events.c.subject, events.c.at).where(mine).order_by(events.c.id)):
            found.setdefault(subjects[row.subject], []).append(row.at)
    return found


def breakable(tx: ReadTx) -> list[Silence]:
    """The silences that aren't over and break when too much comes."""
    mine = (silences.c.ends_at > tx.now) & silences.c.break_factor.is_not(None) & silences.c.baseline_n.is_not(None)
    return [_row(found).silence for found in tx.execute(select(silences).where(mine).order_by(silences.c.id))]


def set_edited(tx: Tx, before: Silence, **changes: Any) -> None:
    """Change a silence that is held, as a new version."""
    who = {"version": before.version + 1, "updated_at": tx.now, "updated_by": str(tx.actor)}
    same = (silences.c.id == before.id) & (silences.c.version == before.version)
    if tx.execute(update(silences).where(same).values(**who, **changes)).rowcount != 1:
        raise Conflict(detail=f"silence {before.id} changed although it was held")


def set_told(tx: Tx, silence_id: int, **told: datetime | None) -> None:
    """Write down what has been told of a silence that is held (`started_at`, `closed_at`)."""
    tx.execute(update(silences).where(silences.c.id == silence_id).values(**told))


def page(tx: ReadTx, *, over: bool | None, before: int | None, limit: int) -> list[SilenceRow]:
    """Silences, newest first; `over`: whether they may be over, or may not, as far as a query can tell."""
    statement = select(silences).order_by(silences.c.id.desc()).limit(limit)
    if over is not None:
        is_over = silences.c.ends_at <= tx.now
        may = or_(is_over, silences.c.recurrence.is_not(None)) if over else ~is_over
        statement = statement.where(may)
    if before is not None:
        statement = statement.where(silences.c.id < before)
    return [_row(found) for found in tx.execute(statement)]


def hidden(tx: ReadTx, ids: Collection[int]) -> dict[int, Hidden]:
    """What each of these has hidden so far, from the verdicts."""
    mine = verdicts.c.suppressed_by.in_(names_of(ids))
    sums = select(
        verdicts.c.suppressed_by,
        func.sum(verdicts.c.n).label("records"),
        func.count(verdicts.c.alert_id.distinct()).label("alerts"),
        func.max(verdicts.c.event_id).label("event_id"),
    ).where(mine)
    found = {silence_id_of(row.suppressed_by): row for row in tx.execute(sums.group_by(verdicts.c.suppressed_by))}
    newest = select(events.c.id, events.c.recorded_at).where(
        events.c.id.in_(sorted(r.event_id for r in found.values()))
    )
    at_of = {row.id: row.recorded_at for row in tx.execute(newest)}
    p1 = {silence_id_of(name): n for name, n in _would_be_p1(tx, names_of(ids)).items()}
    return {
        silence_id: Hidden(int(row.records), row.alerts, p1.get(silence_id, 0), at_of.get(row.event_id))
        for silence_id, row in found.items()
        if silence_id is not None
    }


def _would_be_p1(tx: ReadTx, names: list[str]) -> dict[str, int]:
    """How many alerts began with a record that each of these hid, and are P1: by their rule, or with as many records as
    make them so. An alert without a ticket is not made more urgent before it has one."""
    began = and_(alerts.c.id == verdicts.c.alert_id, alerts.c.first_record_id == verdicts.c.first_id)
    mine = verdicts.c.suppressed_by.in_(names)
    rules = tx.execute(select(alerts.c.rule).join(verdicts, began).where(mine).distinct()).scalars().all()
    raised = [
        (alerts.c.rule == name) & (_count() >= count)
        for name, rule in rule_store.rules_that_raise(tx, rules).items()
        for priority, count in rule.raise_at
        if priority == Priority.P1.name
    ]
    counted = select(verdicts.c.suppressed_by, func.count(alerts.c.id.distinct())).join(alerts, began)
    statement = counted.where(mine, or_(alerts.c.priority == int(Priority.P1), *raised))
    return {row[0]: row[1] for row in tx.execute(statement.group_by(verdicts.c.suppressed_by))}


def _count() -> ColumnElement[int]:
    """How many records there are on an alert: those that were rolled up, and those since."""
    fresh = verdicts.alias("fresh")
    since = (fresh.c.alert_id == alerts.c.id) & (fresh.c.position >= alerts.c.rolled_up_to)
    added = select(func.coalesce(func.sum(fresh.c.n), 0)).where(since).correlate(alerts).scalar_subquery()
    return alerts.c.counted + added


def hidden_since(tx: ReadTx, silence: Silence, since: datetime) -> int:
    """How many records a silence has hidden that came in after an instant, by the server's clock."""
    # Event ids grow with time, nearly: so the last one from before then bounds what is read.
    before = select(events.c.id).where(events.c.recorded_at <= since).order_by(events.c.id.desc()).limit(1)
    bound = func.coalesce(before.scalar_subquery(), 0)
    statement = (
        select(func.coalesce(func.sum(verdicts.c.n), 0))
        .join(events, events.c.id == verdicts.c.event_id)
        .where(verdicts.c.suppressed_by == silence.name, verdicts.c.event_id > bound, events.c.recorded_at > since)
    )
    return int(tx.execute(statement).scalar_one())


def suppressed_alerts(tx: ReadTx, silence: Silence, *, limit: int) -> list[int]:
    """Open alerts that a silence keeps from opening a ticket, oldest first."""
    mine = (alerts.c.suppressed_by == silence.name) & alerts.c.ended_at.is_(None)
    return list(tx.execute(select(alerts.c.id).where(mine).order_by(alerts.c.id).limit(limit)).scalars())


def open_alert_ids(tx: ReadTx) -> list[int]:
    """All open alerts, newest first."""
    statement = select(alerts.c.id).where(alerts.c.ended_at.is_(None)).order_by(alerts.c.id.desc())
    return list(tx.execute(statement).scalars())
