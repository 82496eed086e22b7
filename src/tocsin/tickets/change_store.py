"""Every query about what was changed in services."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, insert, select, tuple_

from tocsin.alerts.model import alerts
from tocsin.query.letters import fold
from tocsin.storage.columns import row_value
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets.model import changes
from tocsin.tickets.store import Ticket

MAX_SERVICES: Final = 200  # of a ticket: its own, and those of its alerts
_SLICE: Final = 500
Place = tuple[datetime, int]  # in the order of a list: when, and which one


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody changed in a service. `ref` is what was rolled out: a version, a commit."""

    id: int
    service: str
    at: datetime
    summary: str
    ref: str | None
    url: str | None
    author: str | None
    attributes: dict[str, Any]
    recorded_at: datetime
    recorded_by: str


@dataclass(frozen=True, slots=True)
class ChangeQuery:
    """Which changes. `since` is included, `until` is not; `service` in any spelling."""

    service: str | None = None
    author: str | None = None
    ref: str | None = None
    since: datetime | None = None
    until: datetime | None = None


_COLUMNS: Final = tuple(column for column in changes.c if column.name != "service_key")


def create(tx: Tx, service: str, facts: Mapping[str, Any]) -> int:
    row = {"service": service, "service_key": fold(service), "recorded_at": tx.now, "recorded_by": str(tx.actor)}
    return int(tx.execute(insert(changes).values(**row, **facts).returning(changes.c.id)).scalar_one())


def get(tx: ReadTx, change_id: int) -> Change | None:
    row = tx.execute(select(*_COLUMNS).where(changes.c.id == change_id)).one_or_none()
    return None if row is None else Change(**row._mapping)


def page(tx: ReadTx, query: ChangeQuery, *, before: Place | None, limit: int) -> list[Change]:
    """The newest first."""
    statement = select(*_COLUMNS)
    if query.service is not None:
        statement = statement.where(changes.c.service_key == fold(query.service))
    for column, value in ((changes.c.author, query.author), (changes.c.ref, query.ref)):
        if value is not None:
            statement = statement.where(column == value)
    if query.since is not None:
        statement = statement.where(changes.c.at >= query.since)
    if query.until is not None:
        statement = statement.where(changes.c.at < query.until)
    if before is not None:
        place = (changes.c.at, changes.c.id)
        statement = statement.where(tuple_(*place) < row_value(place, before))
    statement = statement.order_by(changes.c.at.desc(), changes.c.id.desc()).limit(limit)
    return [Change(**row._mapping) for row in tx.execute(statement)]


def of_services(
    tx: ReadTx, keys: Collection[str], *, since: datetime, until: datetime, after: Place | None, limit: int
) -> list[Change]:
    """What was changed in these services from `since` to `until`, both included, the oldest first."""
    inside = changes.c.service_key.in_(sorted(keys)) & (changes.c.at >= since) & (changes.c.at <= until)
    statement = select(*_COLUMNS).where(inside)
    if after is not None:
        place = (changes.c.at, changes.c.id)
        statement = statement.where(tuple_(*place) > row_value(place, after))
    statement = statement.order_by(changes.c.at, changes.c.id).limit(limit)
    return [Change(**row._mapping) for row in tx.execute(statement)]


def services_of(tx: ReadTx, ticket: Ticket) -> set[str]:
    """The services a ticket is about: its own, and those of its alerts."""
    theirs = select(alerts.c.service_key).where(alerts.c.ticket_id == ticket.id, alerts.c.service_key.is_not(None))
    found = set(tx.execute(theirs.distinct().limit(MAX_SERVICES)).scalars())
    return found if ticket.service is None else found | {fold(ticket.service)}


def forget(tx: Tx, before: datetime) -> int:
    """Delete some changes that are older; returns how many."""
    old = select(changes.c.id).where(changes.c.at < before).order_by(changes.c.at).limit(_SLICE)
    ids = list(tx.execute(old).scalars())
    tx.execute(delete(changes).where(changes.c.id.in_(ids)))
    return len(ids)
