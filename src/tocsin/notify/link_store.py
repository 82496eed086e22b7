"""Every query about links that act."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from tocsin.notify.link_model import link_keys, used_links
from tocsin.storage.tx import ReadTx, Tx

KEPT: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Use:
    """A link that was used: by whom and when."""

    used_by: str
    used_at: datetime


def keys(tx: ReadTx) -> list[bytes]:
    """The keys, the one that signs first."""
    return [bytes(key) for key in tx.execute(select(link_keys.c.key).order_by(link_keys.c.id.desc())).scalars()]


def use_of(tx: ReadTx, digest: str) -> Use | None:
    statement = select(used_links.c.used_by, used_links.c.used_at).where(used_links.c.digest == digest)
    found = tx.execute(statement).one_or_none()
    return None if found is None else Use(**found._mapping)


def use(tx: Tx, digest: str, *, ticket_id: int, verb: str, used_by: str, expires_at: datetime) -> bool:
    """Write down that a link is used; False when it was before. Whoever else uses it waits until this is decided."""
    row: dict[str, Any] = {
        "digest": digest,
        "ticket_id": ticket_id,
        "verb": verb,
        "used_by": used_by,
        "used_at": tx.now,
        "expires_at": expires_at,
    }
    insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    statement = insert(used_links).values(**row).on_conflict_do_nothing().returning(used_links.c.digest)
    return tx.execute(statement).first() is not None


def forget(tx: Tx) -> None:
    """Forget those that have been over for long: they would be refused as expired anyway."""
    tx.execute(delete(used_links).where(used_links.c.expires_at < tx.now - KEPT))
