"""Every query of the sealed books: how far they go, the pages of hours, moving on."""

from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Select, delete, func, insert, select, update

from tocsin.kit.errors import Conflict
from tocsin.proof.books import HOUR, Gap, HourBalance, Line, Page, SourceLine
from tocsin.proof.model import sealed_hours
from tocsin.storage.database import Database
from tocsin.storage.model import counters, parked
from tocsin.storage.tx import ReadTx, Tx

SEALED_TO: Final = "sealed_to"


def sealed_to(tx: ReadTx) -> int:
    """All commits at positions before that are on sealed books."""
    found: int = tx.execute(select(counters.c.value).where(counters.c.name == SEALED_TO)).scalar_one()
    return found


def move_on(tx: Tx, seen: int, to: int) -> None:
    """Raises Conflict when another worker was first."""
    same = (counters.c.name == SEALED_TO) & (counters.c.value == seen)
    if tx.execute(update(counters).where(same).values(value=to)).rowcount != 1:
        raise Conflict(detail="another worker has sealed these commits")


def horizon(tx: ReadTx, database: Database) -> int:
    """Every commit at a position before that is visible for good."""
    found: int = tx.execute(select(database.horizon)).scalar_one()
    return found


def oldest_parked_since(tx: ReadTx, instant: datetime) -> set[int]:
    """The events of commits of which records wait since then, or for less long."""
    return set(tx.execute(select(parked.c.event_id).where(parked.c.parked_at > instant)).scalars())


def page(tx: ReadTx, hour: datetime) -> Page | None:
    """What is sealed of an hour."""
    found = _pages(tx, select(sealed_hours).where(sealed_hours.c.hour == hour))
    return found[0] if found else None


def pages_within(tx: ReadTx, since: datetime, until: datetime, *, limit: int) -> list[Page]:
    """What is sealed of the hours that reach into [since, until), oldest first."""
    inside = (sealed_hours.c.hour > since - HOUR) & (sealed_hours.c.hour < until)
    return _pages(tx, select(sealed_hours).where(inside).order_by(sealed_hours.c.hour).limit(limit))


def open_before(tx: ReadTx, instant: datetime) -> list[Page]:
    """Hours that ended before that, of which some is sealed and that are not closed yet."""
    over = ~sealed_hours.c.closed & (sealed_hours.c.hour <= instant - HOUR)
    return _pages(tx, select(sealed_hours).where(over).order_by(sealed_hours.c.hour))


def lost_unsealed(tx: ReadTx) -> int:
    """How many records are known on sealed books to be missing because they were let go of before."""
    return int(tx.execute(select(func.coalesce(func.sum(sealed_hours.c.expired), 0))).scalar_one())


def _pages(tx: ReadTx, statement: Select[Any]) -> list[Page]:
    return [_page(row) for row in tx.execute(statement)]


def _page(row: Any) -> Page:
    balance = HourBalance(
        hour=row.hour,
        sealed=row.closed,
        accepted=row.accepted,
        rejected=row.rejected,
        stored=row.stored,
        waiting=row.waiting,
        expired=row.expired,
        sources=msgspec.convert(row.sources, list[SourceLine]),
        rules=msgspec.convert(row.rules, list[Line]),
    )
    return Page(balance, row.commits, msgspec.convert(row.gaps, list[Gap]), row.gaps_found)


def put(tx: Tx, kept: Page) -> None:
    """Write the page of an hour, in the place of what was sealed of it."""
    balance = kept.balance
    tx.execute(delete(sealed_hours).where(sealed_hours.c.hour == balance.hour))
    row = {
        "hour": balance.hour,
        "commits": kept.commits,
        "accepted": balance.accepted,
        "rejected": balance.rejected,
        "stored": balance.stored,
        "waiting": balance.waiting,
        "expired": balance.expired,
        "sources": msgspec.to_builtins(balance.sources),
        "rules": msgspec.to_builtins(balance.rules),
        "gaps_found": kept.gaps_found,
        "gaps": msgspec.to_builtins(kept.gaps),
        "sealed_at": tx.now,
        "closed": balance.sealed,
    }
    tx.execute(insert(sealed_hours), row)
