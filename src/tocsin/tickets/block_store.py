"""Every query about blocks of closed tickets (see `blocks`)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Integer, case, cast, delete, func, insert, or_, select

from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets.blocks import block_of, ids_of
from tocsin.tickets.model import ticket_blocks, tickets
from tocsin.tickets.workflow import Status

_OURS: Final = 0x70C52  # the class of this advisory lock, which all programs on a database share
OPENED_AT: Final = "opened_at"  # every block has this column


@dataclass(frozen=True, slots=True)
class BlockRow:
    """Which block, and when the first and the last of its tickets were opened."""

    block: int
    opened_from: datetime
    opened_until: datetime


def forget(tx: Tx, ids: Iterable[int]) -> None:
    """Throw away the blocks of tickets that are closed, or were, in this transaction. None is made until it ends."""
    wanted = sorted({block_of(ticket_id) for ticket_id in ids})
    if not wanted:
        return
    if tx.dialect == "postgresql":
        tx.execute(select(func.pg_advisory_xact_lock_shared(cast(_OURS, Integer), cast(0, Integer))))
    tx.execute(delete(ticket_blocks).where(ticket_blocks.c.block.in_(wanted)))


def alone(tx: Tx) -> bool:
    """Whether nobody is closing tickets, and nobody can until this transaction ends."""
    if tx.dialect != "postgresql":
        return True  # there is one writer
    return bool(tx.execute(select(func.pg_try_advisory_xact_lock(cast(_OURS, Integer), cast(0, Integer)))).scalar_one())


def all_of(tx: ReadTx) -> list[BlockRow]:
    """All blocks, in order."""
    b = ticket_blocks.c
    statement = select(b.block, b.opened_from, b.opened_until).where(b.name == OPENED_AT).order_by(b.block)
    return [BlockRow(**row._mapping) for row in tx.execute(statement)]


def is_there(tx: ReadTx, block: int) -> bool:
    """Whether there is this block."""
    mine = (ticket_blocks.c.block == block) & (ticket_blocks.c.name == OPENED_AT)
    return tx.execute(select(ticket_blocks.c.block).where(mine)).one_or_none() is not None


def parts(tx: ReadTx, since: datetime, until: datetime, names: Iterable[str]) -> dict[str, list[bytes]]:
    """These columns of the blocks that have tickets of a period, all in the same order."""
    b = ticket_blocks.c
    overlapping = (b.opened_until >= since, b.opened_from < until)
    wanted = sorted(set(names))
    found: dict[str, list[bytes]] = {name: [] for name in wanted}
    statement = select(b.name, b.data).where(*overlapping, b.name.in_(wanted)).order_by(b.block, b.name)
    for row in tx.execute(statement):
        found[row.name].append(row.data)
    return found


def last_id(tx: ReadTx) -> int:
    """The highest id of a ticket; 0 without any."""
    return int(tx.execute(select(func.coalesce(func.max(tickets.c.id), 0))).scalar_one())


def counts(tx: ReadTx, block: int) -> tuple[int, int, int]:
    """How many tickets there are in a block's span, how many are CLOSED, and of how many of these the clocks may still
    be written down."""
    t = tickets.c
    first, after = ids_of(block)
    closed = t.status == Status.CLOSED.value
    unsettled = or_(
        t.sla_due_at.is_not(None),
        t.sla_state.is_not(None) & t.sla_calendar.is_(None),
        t.acknowledge_due_at.is_not(None) & t.acknowledged_at.is_(None),
        t.resolve_due_at.is_not(None) & t.resolved_at.is_(None),
    )
    statement = select(
        func.count(),
        func.coalesce(func.sum(case((closed, 1), else_=0)), 0),
        func.coalesce(func.sum(case((closed & unsettled, 1), else_=0)), 0),
    ).where(t.id >= first, t.id < after)
    there, closed_, unsettled_ = tx.execute(statement).one()
    return int(there), int(closed_), int(unsettled_)


def put(tx: Tx, row: BlockRow, columns: Mapping[str, bytes]) -> None:
    """Write a block. There must be none of its span."""
    shared = {"block": row.block, "opened_from": row.opened_from, "opened_until": row.opened_until}
    rows: Sequence[dict[str, object]] = [{**shared, "name": name, "data": data} for name, data in columns.items()]
    tx.execute(insert(ticket_blocks), rows)
