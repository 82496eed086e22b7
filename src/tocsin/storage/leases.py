"""Leases: work that one process at a time does. A holder that dies loses it when its time is up."""

from datetime import timedelta

from sqlalchemy import delete, or_, update
from sqlalchemy.dialects import postgresql, sqlite

from tocsin.storage.model import leases
from tocsin.storage.tx import Tx


def take(tx: Tx, name: str, holder: str, *, for_s: float) -> bool:
    """Get the lease, or keep it, for so many seconds; False while another one has it."""
    until = tx.now + timedelta(seconds=for_s)
    mine = or_(leases.c.holder == holder, leases.c.until <= tx.now)
    taken = update(leases).where(leases.c.name == name, mine).values(holder=holder, until=until)
    if tx.execute(taken).rowcount == 1:
        return True
    upsert = postgresql.insert(leases) if tx.dialect == "postgresql" else sqlite.insert(leases)
    new = upsert.values(name=name, holder=holder, until=until).on_conflict_do_nothing().returning(leases.c.name)
    return tx.execute(new).one_or_none() is not None


def release(tx: Tx, name: str, holder: str) -> None:
    """Give it back before its time is up."""
    tx.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))
