"""Every query of stage 2."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ScalarSelect,
    Select,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ColumnElement

from tocsin.alerts.flapping import changes
from tocsin.alerts.model import absences, alerts, verdicts
from tocsin.alerts.pattern_model import patterns
from tocsin.alerts.suppression import INHIBITION, SILENCE, alike
from tocsin.kit.events import Matched
from tocsin.query.letters import fold
from tocsin.storage.columns import Instant, row_value
from tocsin.storage.model import counters, events
from tocsin.storage.tx import ReadTx, Tx

IN_CLAUSE: Final = 500
ROLLED_UP_TO: Final = "rolled_up_to"
# An alert that was gathered because of another one says nothing about where its key belongs afterwards.
_OWN_TICKET: Final = or_(alerts.c.suppressed_by.is_(None), alerts.c.suppressed_by.not_like(alike(INHIBITION)))
_SEEN: Final = (("seen_first", Instant()), ("seen_last", Instant()), ("seen_id", BigInteger()))


@dataclass(frozen=True, slots=True)
class Alert:
    """An episode. `count`, `last_seen_at` and `last_record_id` include what has not been rolled up yet."""

    id: int
    fingerprint: str
    correlation_key: str
    rule: str
    rule_version: int
    service: str
    template: str
    title: str
    level: int
    priority: int
    ticket_id: int | None
    opened_at: datetime
    ended_at: datetime | None
    first_seen_at: datetime
    last_seen_at: datetime
    first_record_id: int
    last_record_id: int
    samples: list[int]
    suppressed_by: str | None
    pattern_id: int | None
    pattern: str | None
    count: int

    @property
    def status(self) -> str:
        """`firing`, `suppressed` (by `suppressed_by`) or `resolved`."""
        if self.ended_at is not None:
            return "resolved"
        return "firing" if self.suppressed_by is None else "suppressed"


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """What decides whether an episode is over."""

    id: int
    rule: str
    fingerprint: str
    ticket_id: int | None
    opened_at: datetime
    suppressed_by: str | None


@dataclass(frozen=True, slots=True)
class OpenEpisode:
    """The open alert of a fingerprint, and what keeps it from people."""

    id: int
    suppressed_by: str | None


def hold_open(tx: Tx, fingerprints: Collection[str]) -> dict[str, OpenEpisode]:
    """The open alert of each fingerprint that has one. They can't be ended until this transaction ends."""
    wanted = sorted(fingerprints)
    found: dict[str, OpenEpisode] = {}
    for start in range(0, len(wanted), IN_CLAUSE):
        inside = alerts.c.fingerprint.in_(wanted[start : start + IN_CLAUSE])
        statement = (
            select(alerts.c.fingerprint, alerts.c.id, alerts.c.suppressed_by)
            .where(inside, alerts.c.ended_at.is_(None))
            .order_by(alerts.c.fingerprint)
            .with_for_update(read=True)
        )
        found.update({row.fingerprint: OpenEpisode(row.id, row.suppressed_by) for row in tx.execute(statement)})
    return found


def hold_silenced(tx: Tx, fingerprints: Collection[str]) -> None:
    """Hold the open alerts of these fingerprints that silences keep from people, for whoever is about to release them.

    Before they are shared (`hold_open`): of two that share one and both want it for themselves neither goes on.
    """
    if tx.dialect != "postgresql":
        return  # there is one writer
    wanted = sorted(fingerprints)
    for start in range(0, len(wanted), IN_CLAUSE):
        inside = alerts.c.fingerprint.in_(wanted[start : start + IN_CLAUSE]) & alerts.c.ended_at.is_(None)
        silenced = inside & alerts.c.suppressed_by.like(alike(SILENCE))
        tx.execute(select(alerts.c.id).where(silenced).order_by(alerts.c.fingerprint).with_for_update()).all()


def changes_since(tx: ReadTx, fingerprints: Collection[str], since: datetime) -> dict[str, int]:
    """How many times the alert of each fingerprint opened or ended at `since` or later; only those that did."""
    wanted = sorted(fingerprints)
    found: dict[str, int] = {}
    for start in range(0, len(wanted), IN_CLAUSE):
        inside = alerts.c.fingerprint.in_(wanted[start : start + IN_CLAUSE])
        lately = or_(alerts.c.opened_at >= since, alerts.c.ended_at >= since)
        statement = select(alerts.c.fingerprint, alerts.c.opened_at, alerts.c.ended_at).where(inside, lately)
        for row in tx.execute(statement):
            found[row.fingerprint] = found.get(row.fingerprint, 0) + changes([(row.opened_at, row.ended_at)], since)
    return found


def told_of(tx: ReadTx, fingerprints: Collection[str]) -> dict[str, bool]:
    """Of the fingerprints that have had alerts: whether people were told of any, by a ticket."""
    wanted = sorted(fingerprints)
    found: dict[str, bool] = {}
    for start in range(0, len(wanted), IN_CLAUSE):
        inside = alerts.c.fingerprint.in_(wanted[start : start + IN_CLAUSE])
        columns = (alerts.c.fingerprint, func.count(alerts.c.ticket_id))
        for row in tx.execute(select(*columns).where(inside).group_by(alerts.c.fingerprint)):
            found[row[0]] = row[1] > 0
    return found


def open_new(tx: Tx, matches: Sequence[Matched], suppressed_by: Mapping[str, str | None]) -> dict[str, int]:
    """Open an alert for each match unless another transaction just did; returns those that are new."""
    rows = [
        {
            "fingerprint": m.fingerprint,
            "correlation_key": m.correlation_key,
            "rule": m.rule,
            "rule_version": m.rule_version,
            "service": m.service,
            "service_key": fold(m.service),
            "template": m.template,
            "title": m.title,
            "level": m.level,
            "priority": m.priority,
            "opened_at": tx.now,
            "first_seen_at": m.first_at,
            "last_seen_at": m.last_at,
            "first_record_id": m.first_id,
            "last_record_id": m.last_id,
            "samples": list(m.sample_ids),
            "suppressed_by": suppressed_by.get(m.fingerprint),
            "pattern_id": m.pattern_id,
            "counted": 0,
            "rolled_up_to": 0,
        }
        for m in sorted(matches, key=lambda m: m.fingerprint)
    ]
    upsert = postgresql.insert(alerts) if tx.dialect == "postgresql" else sqlite.insert(alerts)
    statement = upsert.on_conflict_do_nothing(index_elements=["fingerprint"], index_where=text("ended_at IS NULL"))
    inserted = tx.execute(statement.returning(alerts.c.fingerprint, alerts.c.id), rows)
    return {row.fingerprint: row.id for row in inserted}


def unsuppress(tx: Tx, alert_ids: Collection[int]) -> dict[int, str]:
    """Suppress open alerts no longer; by alert what did it."""
    found: dict[int, str] = {}
    for alert_id in sorted(alert_ids):
        mine = (alerts.c.id == alert_id) & alerts.c.ended_at.is_(None) & alerts.c.suppressed_by.is_not(None)
        by = tx.execute(select(alerts.c.suppressed_by).where(mine).with_for_update()).scalar_one_or_none()
        if by is not None:
            tx.execute(update(alerts).where(alerts.c.id == alert_id).values(suppressed_by=None))
            found[alert_id] = by
    return found


def suppress(tx: Tx, by_of: Mapping[int, str]) -> None:
    """Suppress alerts: alert id -> by what."""
    statement = update(alerts).where(alerts.c.id == bindparam("of_alert")).values(suppressed_by=bindparam("by"))
    if by_of:
        tx.execute(statement, [{"of_alert": alert_id, "by": by} for alert_id, by in sorted(by_of.items())])


def suppress_openings(tx: Tx, by_of: Mapping[int, str]) -> None:
    """The records that these alerts opened with are suppressed too: alert id -> by what."""
    mine = (verdicts.c.alert_id == bindparam("of_alert")) & (verdicts.c.verdict == "opened")
    statement = update(verdicts).where(mine).values(verdict="suppressed", suppressed_by=bindparam("by"))
    if by_of:
        tx.execute(statement, [{"of_alert": alert_id, "by": by} for alert_id, by in sorted(by_of.items())])


def open_alerts_by_id(tx: ReadTx, alert_ids: Collection[int]) -> list[Alert]:
    """Those of these alerts that are open, by id."""
    mine = alerts.c.id.in_(sorted(alert_ids)) & alerts.c.ended_at.is_(None)
    return [_alert(row) for row in tx.execute(_with_counts().where(mine).order_by(alerts.c.id))]


def counted_at() -> ScalarSelect[datetime]:
    """When a record was last counted on the alert of a row of `alerts`, by the server's clock."""
    newest = (
        select(verdicts.c.event_id)
        .where(verdicts.c.alert_id == alerts.c.id)
        .order_by(verdicts.c.position.desc())
        .limit(1)
        .correlate(alerts)
        .scalar_subquery()
    )
    return select(events.c.recorded_at).where(events.c.id == newest).correlate(alerts).scalar_subquery()


def still_fires(since: datetime) -> ColumnElement[bool]:
    """Whether a record was counted on an open alert at `since` or later, by the server's clock; or, for one about there
    being no records, whether there are none still."""
    same = (absences.c.rule == alerts.c.rule) & (absences.c.fingerprint == alerts.c.fingerprint)
    missing = select(absences.c.rule).where(same, absences.c.absent).correlate(alerts).exists()
    return or_(counted_at() >= literal(since, Instant()), missing)


def heard_of(tx: ReadTx, ticket_id: int, since: datetime) -> list[int]:
    """The open alerts of a ticket that fire still (see `still_fires`)."""
    mine = (alerts.c.ticket_id == ticket_id) & alerts.c.ended_at.is_(None) & still_fires(since)
    statement = select(alerts.c.id).where(mine).order_by(alerts.c.id)
    return list(tx.execute(statement).scalars())


def append_verdicts(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    tx.execute(insert(verdicts).values(position=tx.position), rows)


def rehearsed(tx: ReadTx, groups: Collection[tuple[str, str]]) -> set[tuple[str, int]]:
    """Those of these groups (rule and fingerprint) that a rule version would have opened: fingerprint and version."""
    wanted = sorted(groups)
    found: set[tuple[str, int]] = set()
    for start in range(0, len(wanted), IN_CLAUSE // 2):
        group = tuple_(verdicts.c.rule, verdicts.c.fingerprint)
        inside = group.in_(wanted[start : start + IN_CLAUSE // 2]) & (verdicts.c.would == "opened")
        statement = select(verdicts.c.fingerprint, verdicts.c.rule_version).where(inside).distinct()
        found.update((row.fingerprint, row.rule_version) for row in tx.execute(statement))
    return found


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """An alert that a rule in a dry run would have opened, with the first `n` of its records."""

    id: int
    rule_version: int
    fingerprint: str
    n: int
    first_record_id: int
    last_record_id: int
    first_at: datetime
    last_at: datetime


def rehearsals(tx: ReadTx, rule: str, *, before: int | None, limit: int) -> list[Rehearsal]:
    """What a rule would have opened, newest first."""
    columns = (
        verdicts.c.id,
        verdicts.c.rule_version,
        verdicts.c.fingerprint,
        verdicts.c.n,
        verdicts.c.first_id.label("first_record_id"),
        verdicts.c.last_id.label("last_record_id"),
        verdicts.c.first_at,
        verdicts.c.last_at,
    )
    mine = (verdicts.c.rule == rule) & (verdicts.c.would == "opened")
    statement = select(*columns).where(mine).order_by(verdicts.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(verdicts.c.id < before)
    return [Rehearsal(**row._mapping) for row in tx.execute(statement)]


def end(tx: Tx, alert_id: int) -> bool:
    """End an episode; False when it has ended already."""
    mine = (alerts.c.id == alert_id) & alerts.c.ended_at.is_(None)
    return tx.execute(update(alerts).where(mine).values(ended_at=tx.now)).rowcount == 1


def hold(tx: Tx, alert_id: int) -> OpenAlert | None:
    """An alert that is open, and stays so until this transaction ends or ends it itself."""
    mine = (alerts.c.id == alert_id) & alerts.c.ended_at.is_(None)
    columns = [alerts.c[field.name] for field in fields(OpenAlert)]
    row = tx.execute(select(*columns).where(mine).with_for_update()).one_or_none()
    return None if row is None else OpenAlert(**row._mapping)


def last_counted_at(tx: ReadTx, alert_id: int) -> datetime | None:
    """When a record was last counted on an alert, by the server's clock."""
    found: datetime | None = tx.execute(select(counted_at()).where(alerts.c.id == alert_id)).scalar_one_or_none()
    return found


def open_of_rule(tx: ReadTx, rule: str) -> list[int]:
    """The open alerts of a rule."""
    mine = (alerts.c.rule == rule) & alerts.c.ended_at.is_(None)
    return list(tx.execute(select(alerts.c.id).where(mine).order_by(alerts.c.id)).scalars())


def count_open(tx: ReadTx, rule: str) -> int:
    """How many alerts of a rule are open."""
    mine = (alerts.c.rule == rule) & alerts.c.ended_at.is_(None)
    return int(tx.execute(select(func.count()).select_from(alerts).where(mine)).scalar_one())


def any_open(tx: ReadTx, ticket_id: int) -> bool:
    """Whether an episode of the ticket goes on."""
    mine = (alerts.c.ticket_id == ticket_id) & alerts.c.ended_at.is_(None)
    return tx.execute(select(alerts.c.id).where(mine).limit(1)).one_or_none() is not None


def opened_since(tx: ReadTx, ticket_id: int, since: datetime) -> int:
    """How many alerts of a ticket opened at `since` or later."""
    mine = (alerts.c.ticket_id == ticket_id) & (alerts.c.opened_at >= since)
    return int(tx.execute(select(func.count()).select_from(alerts).where(mine)).scalar_one())


def unsuppress_all(tx: Tx, suppressed_by: str) -> None:
    """Suppress alerts by this no longer."""
    mine = (alerts.c.suppressed_by == suppressed_by) & alerts.c.ended_at.is_(None)
    tx.execute(update(alerts).where(mine).values(suppressed_by=None))


def unsuppress_gathered(tx: Tx, alert_ids: Collection[int]) -> None:
    """Suppress those of these alerts no longer that followed from another one."""
    mine = alerts.c.id.in_(sorted(alert_ids)) & alerts.c.suppressed_by.like(alike(INHIBITION))
    tx.execute(update(alerts).where(mine).values(suppressed_by=None))


def assign_ticket(tx: Tx, ticket_of: Mapping[int, int]) -> None:
    """Set the ticket of alerts: alert id -> ticket id."""
    statement = update(alerts).where(alerts.c.id == bindparam("of_alert")).values(ticket_id=bindparam("to"))
    if ticket_of:
        tx.execute(
            statement, [{"of_alert": alert_id, "to": ticket_id} for alert_id, ticket_id in sorted(ticket_of.items())]
        )


def move_to_ticket(tx: Tx, ticket_id: int, to_id: int) -> list[int]:
    """Give all alerts of a ticket to another one; returns their ids."""
    statement = update(alerts).where(alerts.c.ticket_id == ticket_id).values(ticket_id=to_id).returning(alerts.c.id)
    return sorted(tx.execute(statement).scalars())


def move_back(tx: Tx, ticket_id: int, to_id: int, ids: Collection[int], keys: Collection[str]) -> list[int]:
    """Give these alerts of a ticket, and all of these correlation keys, to another one; returns their ids."""
    wanted = or_(alerts.c.id.in_(sorted(ids)), alerts.c.correlation_key.in_(sorted(keys)))
    mine = (alerts.c.ticket_id == ticket_id) & wanted
    return sorted(tx.execute(update(alerts).where(mine).values(ticket_id=to_id).returning(alerts.c.id)).scalars())


@dataclass(frozen=True, slots=True)
class Going:
    """What the split of a ticket looks at in an alert."""

    id: int
    ticket_id: int
    correlation_key: str
    rule: str
    service: str
    priority: int
    opened_at: datetime
    first_seen_at: datetime
    suppressed_by: str | None


_GOING: Final = tuple(alerts.c[field.name] for field in fields(Going))


def some_of_ticket(tx: ReadTx, ticket_id: int, ids: Collection[int]) -> list[Going]:
    """Those of these alerts that are a ticket's."""
    wanted, found = sorted(ids), list[Going]()
    for start in range(0, len(wanted), IN_CLAUSE):
        mine = (alerts.c.ticket_id == ticket_id) & alerts.c.id.in_(wanted[start : start + IN_CLAUSE])
        found += [Going(**row._mapping) for row in tx.execute(select(*_GOING).where(mine))]
    return found


def of_ticket_with_keys(tx: ReadTx, ticket_id: int, keys: Collection[str]) -> dict[int, str]:
    """The correlation key of each alert of a ticket that has one of these."""
    mine = (alerts.c.ticket_id == ticket_id) & alerts.c.correlation_key.in_(sorted(keys))
    return {
        row.id: row.correlation_key for row in tx.execute(select(alerts.c.id, alerts.c.correlation_key).where(mine))
    }


def any_without_keys(tx: ReadTx, ticket_id: int, keys: Collection[str]) -> bool:
    """Whether a ticket has an alert with none of these correlation keys."""
    others = (alerts.c.ticket_id == ticket_id) & alerts.c.correlation_key.not_in(sorted(keys))
    return tx.execute(select(alerts.c.id).where(others).limit(1)).one_or_none() is not None


def gathered_in(tx: ReadTx, ticket_ids: Collection[int]) -> list[Going]:
    """The open alerts of these tickets that are there because of another one."""
    mine = alerts.c.ticket_id.in_(sorted(ticket_ids)) & alerts.c.ended_at.is_(None)
    because = alerts.c.suppressed_by.like(alike(INHIBITION))
    return [Going(**row._mapping) for row in tx.execute(select(*_GOING).where(mine, because).order_by(alerts.c.id))]


def tickets_of(tx: ReadTx, ids: Collection[int]) -> dict[int, int | None]:
    """The ticket of each of these alerts."""
    wanted, found = sorted(ids), dict[int, int | None]()
    for start in range(0, len(wanted), IN_CLAUSE):
        inside = alerts.c.id.in_(wanted[start : start + IN_CLAUSE])
        found.update(
            (row.id, row.ticket_id) for row in tx.execute(select(alerts.c.id, alerts.c.ticket_id).where(inside))
        )
    return found


def end_of_ticket(tx: Tx, ticket_id: int) -> list[int]:
    """End the open episodes of a ticket; returns their alerts' ids."""
    mine = (alerts.c.ticket_id == ticket_id) & alerts.c.ended_at.is_(None)
    statement = update(alerts).where(mine).values(ended_at=tx.now).returning(alerts.c.id)
    return sorted(tx.execute(statement).scalars())


def latest_ticket_of_keys(tx: ReadTx, keys: Collection[str]) -> dict[str, int]:
    """The ticket that the newest alert of each correlation key went to for its own sake."""
    wanted = sorted(keys)
    found: dict[str, int] = {}
    for start in range(0, len(wanted), IN_CLAUSE):
        inside = alerts.c.correlation_key.in_(wanted[start : start + IN_CLAUSE])
        newest = (
            select(func.max(alerts.c.id))
            .where(inside, alerts.c.ticket_id.is_not(None), _OWN_TICKET)
            .group_by(alerts.c.correlation_key)
        )
        statement = select(alerts.c.correlation_key, alerts.c.ticket_id).where(alerts.c.id.in_(newest))
        found.update({row.correlation_key: row.ticket_id for row in tx.execute(statement)})
    return found


def keys_of_alerts(tx: ReadTx, alert_ids: Collection[int]) -> set[str]:
    """The correlation keys of these alerts."""
    return set(tx.execute(select(alerts.c.correlation_key).where(alerts.c.id.in_(sorted(alert_ids)))).scalars())


def keys_of_ticket(tx: ReadTx, ticket_id: int) -> list[str]:
    """The correlation keys of the alerts that went to a ticket for their own sake."""
    mine = (alerts.c.ticket_id == ticket_id) & _OWN_TICKET
    statement = select(alerts.c.correlation_key).where(mine).distinct()
    return sorted(tx.execute(statement).scalars())


def _with_counts() -> Select[Any]:
    """Alerts with what their verdicts add since the last roll-up, in one statement: one snapshot."""
    fresh = (
        select(
            func.coalesce(func.sum(verdicts.c.n), 0).label("n"),
            func.max(verdicts.c.last_at).label("last_at"),
            func.max(verdicts.c.last_id).label("last_id"),
            func.min(verdicts.c.first_at).label("first_at"),
        )
        .where(verdicts.c.alert_id == alerts.c.id, verdicts.c.position >= alerts.c.rolled_up_to)
        .correlate(alerts)
    )

    def one(name: str) -> ColumnElement[Any]:
        return fresh.with_only_columns(fresh.selected_columns[name]).scalar_subquery()

    pattern = select(patterns.c.template).where(patterns.c.id == alerts.c.pattern_id).correlate(alerts)
    return select(
        alerts,
        pattern.scalar_subquery().label("pattern"),
        one("n").label("fresh_n"),
        one("last_at").label("fresh_last_at"),
        one("last_id").label("fresh_last_id"),
        one("first_at").label("fresh_first_at"),
    )


def _alert(row: Any) -> Alert:
    values = dict(row._mapping)
    fresh_n, fresh_at, fresh_id = values.pop("fresh_n"), values.pop("fresh_last_at"), values.pop("fresh_last_id")
    first_at = values.pop("fresh_first_at")
    values.pop("rolled_up_to")
    values.pop("service_key")
    values["count"] = values.pop("counted") + int(fresh_n)
    if fresh_at is not None:
        values["last_seen_at"] = max(values["last_seen_at"], fresh_at)
        values["last_record_id"] = max(values["last_record_id"], fresh_id)
        values["first_seen_at"] = min(values["first_seen_at"], first_at)
    return Alert(**values)


def get(tx: ReadTx, alert_id: int) -> Alert | None:
    row = tx.execute(_with_counts().where(alerts.c.id == alert_id)).one_or_none()
    return None if row is None else _alert(row)


def of_tickets(tx: ReadTx, ticket_id: int, *, limit: int) -> list[Alert]:
    """The alerts of a ticket, newest first."""
    statement = _with_counts().where(alerts.c.ticket_id == ticket_id).order_by(alerts.c.id.desc()).limit(limit)
    return [_alert(row) for row in tx.execute(statement)]


def early_records(tx: ReadTx, alert_id: int, most: int) -> list[int]:
    """Records from the first commits that an alert counted, the earliest first."""
    statement = select(verdicts.c.first_id, verdicts.c.last_id).where(verdicts.c.alert_id == alert_id)
    rows = tx.execute(statement.order_by(verdicts.c.position).limit(most))
    return list(dict.fromkeys(one for row in rows for one in (row.first_id, row.last_id)))


def most_urgent_since(tx: ReadTx, ticket_id: int, since: datetime) -> int | None:
    """The priority of the most urgent alert of a ticket that goes on, and was seen after that."""
    counted = (verdicts.c.alert_id == alerts.c.id) & (verdicts.c.last_at > since)  # perhaps not rolled up yet
    seen = or_(alerts.c.opened_at > since, alerts.c.last_seen_at > since, exists().where(counted))
    mine = (alerts.c.ticket_id == ticket_id) & alerts.c.ended_at.is_(None) & seen
    found: int | None = tx.execute(select(func.min(alerts.c.priority)).where(mine)).scalar_one()
    return found


def count_of_ticket(tx: ReadTx, ticket_id: int) -> int:
    """How many alerts a ticket has."""
    statement = select(func.count()).select_from(alerts).where(alerts.c.ticket_id == ticket_id)
    return int(tx.execute(statement).scalar_one())


_STATUSES: Final[dict[str, ColumnElement[bool]]] = {
    "firing": alerts.c.ended_at.is_(None) & alerts.c.suppressed_by.is_(None),
    "suppressed": alerts.c.ended_at.is_(None) & alerts.c.suppressed_by.is_not(None),
    "resolved": alerts.c.ended_at.is_not(None),
}


@dataclass(frozen=True, slots=True)
class AlertQuery:
    """Which alerts: `status` firing, suppressed, resolved or None (all); opened at or after `since`; `suppressed_by` as
    on alerts, or a kind alone for all of it (`silence`, `storm`, `inhibition`, `flap`)."""

    status: str | None = None
    service: str | None = None
    rule: str | None = None
    ticket_id: int | None = None
    suppressed_by: str | None = None
    since: datetime | None = None
    limit: int = 100
    cursor: str | None = None


def page(tx: ReadTx, query: AlertQuery, *, after: tuple[datetime, int] | None, limit: int) -> list[Alert]:
    """Alerts, newest first by (opened_at, id)."""
    statement = _with_counts().order_by(alerts.c.opened_at.desc(), alerts.c.id.desc()).limit(limit)
    if query.status is not None:
        statement = statement.where(_STATUSES[query.status])
    if query.service is not None:
        statement = statement.where(alerts.c.service == query.service)
    if query.rule is not None:
        statement = statement.where(alerts.c.rule == query.rule)
    if query.ticket_id is not None:
        statement = statement.where(alerts.c.ticket_id == query.ticket_id)
    if query.suppressed_by is not None:
        kind = alerts.c.suppressed_by.like(alike(query.suppressed_by))
        statement = statement.where(or_(alerts.c.suppressed_by == query.suppressed_by, kind))
    if query.since is not None:
        statement = statement.where(alerts.c.opened_at >= query.since)
    if after is not None:
        key = (alerts.c.opened_at, alerts.c.id)
        statement = statement.where(tuple_(*key) < row_value(key, after))
    return [_alert(row) for row in tx.execute(statement)]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the verdicts of an alert add to its row. `rolled_up_to` is the position they were read from."""

    alert_id: int
    rolled_up_to: int
    n: int
    first_at: datetime
    last_at: datetime
    last_id: int


def waiting(tx: ReadTx, *, since: int, horizon: int) -> list[Waiting]:
    """What waits below the horizon, for the alerts that got verdicts at positions in [since, horizon).

    Verdicts below the horizon don't change any more, so this needs no lock. An alert's sum begins at its own mark: a
    roll-up that lost against another one leaves something behind.
    """
    counted = select(verdicts.c.alert_id).where(verdicts.c.position >= since, verdicts.c.position < horizon)
    fresh = (
        alerts.c.id.in_(counted),
        verdicts.c.position >= alerts.c.rolled_up_to,
        verdicts.c.position < horizon,
    )
    statement = (
        select(
            alerts.c.id.label("alert_id"),
            alerts.c.rolled_up_to,
            func.sum(verdicts.c.n).label("n"),
            func.min(verdicts.c.first_at).label("first_at"),
            func.max(verdicts.c.last_at).label("last_at"),
            func.max(verdicts.c.last_id).label("last_id"),
        )
        .join(alerts, alerts.c.id == verdicts.c.alert_id)
        .where(*fresh)
        .group_by(alerts.c.id, alerts.c.rolled_up_to)
        .order_by(alerts.c.id)
    )
    return [Waiting(**{**row._mapping, "n": int(row.n)}) for row in tx.execute(statement)]


def roll_up(tx: Tx, sums: Sequence[Waiting], *, horizon: int) -> None:
    """Add sums to their alerts' rows, unless another worker did it meanwhile."""
    first, last, last_id = (bindparam(name, type_=kind) for name, kind in _SEEN)
    statement = (
        update(alerts)
        .where(alerts.c.id == bindparam("of_alert"), alerts.c.rolled_up_to == bindparam("from_position"))
        .values(
            counted=alerts.c.counted + bindparam("more"),
            rolled_up_to=horizon,
            first_seen_at=case((first < alerts.c.first_seen_at, first), else_=alerts.c.first_seen_at),
            last_seen_at=case((last > alerts.c.last_seen_at, last), else_=alerts.c.last_seen_at),
            last_record_id=case((last_id > alerts.c.last_record_id, last_id), else_=alerts.c.last_record_id),
        )
    )
    rows = [
        {
            "of_alert": s.alert_id,
            "from_position": s.rolled_up_to,
            "more": s.n,
            "seen_first": s.first_at,
            "seen_last": s.last_at,
            "seen_id": s.last_id,
        }
        for s in sums
    ]
    tx.execute(statement, rows)


def rules_counting_since(tx: ReadTx, since: int) -> set[str]:
    """The rules that counted records on alerts at positions from `since` on."""
    counting = (verdicts.c.position >= since) & verdicts.c.alert_id.is_not(None)
    return set(tx.execute(select(verdicts.c.rule).where(counting).distinct()).scalars())


def counted_since(tx: ReadTx, rules: Collection[str], since: int) -> list[Alert]:
    """The open alerts of these rules that records were counted on at positions from `since` on."""
    counted = select(verdicts.c.alert_id).where(verdicts.c.position >= since, verdicts.c.rule.in_(sorted(rules)))
    mine = alerts.c.id.in_(counted) & alerts.c.ended_at.is_(None)
    return [_alert(row) for row in tx.execute(_with_counts().where(mine).order_by(alerts.c.id))]


def raise_priority(tx: Tx, alert_id: int, priority: int) -> int | None:
    """Make an open alert more urgent that has a ticket; returns the ticket, None when it is so urgent already."""
    open_now = (alerts.c.id == alert_id) & alerts.c.ended_at.is_(None)
    less_urgent = open_now & (alerts.c.priority > priority) & alerts.c.ticket_id.is_not(None)
    raised = update(alerts).where(less_urgent).values(priority=priority).returning(alerts.c.ticket_id)
    found: int | None = tx.execute(raised).scalar_one_or_none()
    return found


def rolled_up_to(tx: ReadTx) -> int:
    """The horizon of the last roll-up that was completed."""
    return int(tx.execute(select(counters.c.value).where(counters.c.name == ROLLED_UP_TO)).scalar_one())


def set_rolled_up_to(tx: Tx, horizon: int) -> None:
    tx.execute(update(counters).where(counters.c.name == ROLLED_UP_TO).values(value=horizon))
