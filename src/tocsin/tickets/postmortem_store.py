"""Every query about postmortems: what people wrote in the place of the draft, in versions; and what was alike."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select

from tocsin.alerts.model import alerts
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets.model import ticket_postmortems as postmortems


@dataclass(frozen=True, slots=True)
class Written:
    """A version; without `text` the draft holds again since then."""

    version: int
    text: str | None
    at: datetime
    actor: str


_COLUMNS = (postmortems.c.version, postmortems.c.text, postmortems.c.at, postmortems.c.actor)


def newest(tx: ReadTx, ticket_id: int) -> Written | None:
    mine = select(*_COLUMNS).where(postmortems.c.ticket_id == ticket_id)
    row = tx.execute(mine.order_by(postmortems.c.version.desc()).limit(1)).one_or_none()
    return None if row is None else Written(**row._mapping)


def get(tx: ReadTx, ticket_id: int, version: int) -> Written | None:
    mine = (postmortems.c.ticket_id == ticket_id) & (postmortems.c.version == version)
    row = tx.execute(select(*_COLUMNS).where(mine)).one_or_none()
    return None if row is None else Written(**row._mapping)


def page(tx: ReadTx, ticket_id: int, *, before: int | None, limit: int) -> list[Written]:
    """The versions, the newest first."""
    statement = select(*_COLUMNS).where(postmortems.c.ticket_id == ticket_id)
    if before is not None:
        statement = statement.where(postmortems.c.version < before)
    statement = statement.order_by(postmortems.c.version.desc()).limit(limit)
    return [Written(**row._mapping) for row in tx.execute(statement)]


def add(tx: Tx, ticket_id: int, version: int, text: str | None) -> None:
    row = {"ticket_id": ticket_id, "version": version, "text": text, "at": tx.now, "actor": str(tx.actor)}
    tx.execute(insert(postmortems).values(**row))


def alike(tx: ReadTx, keys: Collection[str], but: Collection[int], *, limit: int) -> list[int]:
    """The newest other tickets that had an alert with one of these correlation keys."""
    last = func.max(alerts.c.id)
    theirs = (
        alerts.c.correlation_key.in_(sorted(keys))
        & alerts.c.ticket_id.is_not(None)
        & alerts.c.ticket_id.not_in(sorted(but))
    )
    statement = select(alerts.c.ticket_id).where(theirs).group_by(alerts.c.ticket_id).order_by(last.desc())
    return list(tx.execute(statement.limit(limit)).scalars())
