"""Every query of stage 2."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, insert, literal, select, text, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ColumnElement

from tocsin.alerts.model import alerts, verdicts
from tocsin.kit.events import Matched
from tocsin.storage.columns import row_value
from tocsin.storage.tx import ReadTx, Tx

IN_CLAUSE = 500


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
    count: int


def open_ids(tx: ReadTx, fingerprints: Collection[str]) -> dict[str, int]:
    """The open alert of each fingerprint that has one."""
    wanted = sorted(fingerprints)
    found: dict[str, int] = {}
    for start in range(0, len(wanted), IN_CLAUSE):
        inside = alerts.c.fingerprint.in_(wanted[start : start + IN_CLAUSE])
        statement = select(alerts.c.fingerprint, alerts.c.id).where(inside, alerts.c.ended_at.is_(None))
        found.update({row.fingerprint: row.id for row in tx.execute(statement)})
    return found


def open_new(tx: Tx, matches: Sequence[Matched]) -> dict[str, int]:
    """Open an alert for each match unless another transaction just did; returns those that are new."""
    rows = [
        {
            "fingerprint": m.fingerprint,
            "correlation_key": m.correlation_key,
            "rule": m.rule,
            "rule_version": m.rule_version,
            "service": m.service,
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
            "counted": 0,
            "rolled_up_to": 0,
        }
        for m in sorted(matches, key=lambda m: m.fingerprint)
    ]
    upsert = postgresql.insert(alerts) if tx.dialect == "postgresql" else sqlite.insert(alerts)
    statement = upsert.on_conflict_do_nothing(index_elements=["fingerprint"], index_where=text("ended_at IS NULL"))
    inserted = tx.execute(statement.returning(alerts.c.fingerprint, alerts.c.id), rows)
    return {row.fingerprint: row.id for row in inserted}


def append_verdicts(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    tx.execute(insert(verdicts).values(position=tx.position), rows)


def assign_ticket(tx: Tx, ticket_of: Mapping[int, int]) -> None:
    """Set the ticket of alerts: alert id -> ticket id."""
    by_ticket: dict[int, list[int]] = {}
    for alert_id, ticket_id in ticket_of.items():
        by_ticket.setdefault(ticket_id, []).append(alert_id)
    for ticket_id, ids in sorted(by_ticket.items()):
        for start in range(0, len(ids), IN_CLAUSE):
            inside = alerts.c.id.in_(sorted(ids)[start : start + IN_CLAUSE])
            tx.execute(update(alerts).where(inside).values(ticket_id=ticket_id))


def end_of_ticket(tx: Tx, ticket_id: int) -> list[int]:
    """End the open episodes of a ticket; returns their alerts' ids."""
    mine = (alerts.c.ticket_id == ticket_id) & alerts.c.ended_at.is_(None)
    statement = update(alerts).where(mine).values(ended_at=tx.now).returning(alerts.c.id)
    return sorted(tx.execute(statement).scalars())


def latest_ticket_of_keys(tx: ReadTx, keys: Collection[str]) -> dict[str, int]:
    """The ticket that the newest alert of each correlation key went to."""
    wanted = sorted(keys)
    found: dict[str, int] = {}
    for start in range(0, len(wanted), IN_CLAUSE):
        inside = alerts.c.correlation_key.in_(wanted[start : start + IN_CLAUSE])
        newest = (
            select(func.max(alerts.c.id))
            .where(inside, alerts.c.ticket_id.is_not(None))
            .group_by(alerts.c.correlation_key)
        )
        statement = select(alerts.c.correlation_key, alerts.c.ticket_id).where(alerts.c.id.in_(newest))
        found.update({row.correlation_key: row.ticket_id for row in tx.execute(statement)})
    return found


def keys_of_ticket(tx: ReadTx, ticket_id: int) -> list[str]:
    statement = select(alerts.c.correlation_key).where(alerts.c.ticket_id == ticket_id).distinct()
    return sorted(tx.execute(statement).scalars())


def _with_counts() -> Select[Any]:
    """Alerts with what their verdicts add since the last roll-up, in one statement: one snapshot."""
    fresh = (
        select(
            func.coalesce(func.sum(verdicts.c.n), 0).label("n"),
            func.max(verdicts.c.last_at).label("last_at"),
            func.max(verdicts.c.last_id).label("last_id"),
        )
        .where(verdicts.c.alert_id == alerts.c.id, verdicts.c.position >= alerts.c.rolled_up_to)
        .correlate(alerts)
    )

    def one(name: str) -> ColumnElement[Any]:
        return fresh.with_only_columns(fresh.selected_columns[name]).scalar_subquery()

    return select(
        alerts,
        one("n").label("fresh_n"),
        one("last_at").label("fresh_last_at"),
        one("last_id").label("fresh_last_id"),
    )


def _alert(row: Any) -> Alert:
    values = dict(row._mapping)
    fresh_n, fresh_at, fresh_id = values.pop("fresh_n"), values.pop("fresh_last_at"), values.pop("fresh_last_id")
    values.pop("rolled_up_to")
    values["count"] = values.pop("counted") + int(fresh_n)
    if fresh_at is not None:
        values["last_seen_at"] = max(values["last_seen_at"], fresh_at)
        values["last_record_id"] = max(values["last_record_id"], fresh_id)
    return Alert(**values)


def get(tx: ReadTx, alert_id: int) -> Alert | None:
    row = tx.execute(_with_counts().where(alerts.c.id == alert_id)).one_or_none()
    return None if row is None else _alert(row)


def of_tickets(tx: ReadTx, ticket_id: int, *, limit: int) -> list[Alert]:
    """The alerts of a ticket, newest first."""
    statement = _with_counts().where(alerts.c.ticket_id == ticket_id).order_by(alerts.c.id.desc()).limit(limit)
    return [_alert(row) for row in tx.execute(statement)]


def page(
    tx: ReadTx,
    *,
    firing: bool | None,
    service: str | None,
    since: datetime | None,
    after: tuple[datetime, int] | None,
    limit: int,
) -> list[Alert]:
    """Alerts, newest first by (opened_at, id)."""
    statement = _with_counts().order_by(alerts.c.opened_at.desc(), alerts.c.id.desc()).limit(limit)
    if firing is not None:
        statement = statement.where(alerts.c.ended_at.is_(None) if firing else alerts.c.ended_at.is_not(None))
    if service is not None:
        statement = statement.where(alerts.c.service == service)
    if since is not None:
        statement = statement.where(alerts.c.opened_at >= since)
    if after is not None:
        key = (alerts.c.opened_at, alerts.c.id)
        statement = statement.where(tuple_(*key) < row_value(key, after))
    return [_alert(row) for row in tx.execute(statement)]


def roll_up(tx: Tx, *, since: int, horizon: int, limit: int) -> int:
    """Add verdicts at positions in [since, horizon) to their alerts' counts; returns how many alerts changed.

    At most `limit` alerts a call; call again until it returns 0. Positions below the horizon don't change any more.
    """
    due = (
        select(alerts.c.id, alerts.c.rolled_up_to)
        .where(
            alerts.c.rolled_up_to < horizon,
            select(literal(1))
            .where(
                verdicts.c.alert_id == alerts.c.id,
                verdicts.c.position >= alerts.c.rolled_up_to,
                verdicts.c.position < horizon,
            )
            .exists(),
            alerts.c.id.in_(
                select(verdicts.c.alert_id).where(
                    verdicts.c.position >= since, verdicts.c.position < horizon, verdicts.c.alert_id.is_not(None)
                )
            ),
        )
        .order_by(alerts.c.id)
        .limit(limit)
    )
    found = tx.execute(due).all()
    for row in found:
        _roll_up_one(tx, row.id, row.rolled_up_to, horizon)
    return len(found)


def _roll_up_one(tx: Tx, alert_id: int, rolled_up_to: int, horizon: int) -> None:
    inside = (
        verdicts.c.alert_id == alert_id,
        verdicts.c.position >= rolled_up_to,
        verdicts.c.position < horizon,
    )
    n, last_at, last_id = tx.execute(
        select(func.sum(verdicts.c.n), func.max(verdicts.c.last_at), func.max(verdicts.c.last_id)).where(*inside)
    ).one()
    unchanged = (alerts.c.id == alert_id) & (alerts.c.rolled_up_to == rolled_up_to)
    current = tx.execute(select(alerts.c.last_seen_at, alerts.c.last_record_id).where(unchanged)).one_or_none()
    if current is None:
        return
    tx.execute(
        update(alerts)
        .where(unchanged)
        .values(
            counted=alerts.c.counted + int(n),
            rolled_up_to=horizon,
            last_seen_at=max(current.last_seen_at, last_at),
            last_record_id=max(current.last_record_id, last_id),
        )
    )
