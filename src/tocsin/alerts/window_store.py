"""Every query about windows: their rows are locked in one order before their sums are read."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from tocsin.alerts.model import windows
from tocsin.alerts.windows import NONE, Window
from tocsin.storage.columns import Instant
from tocsin.storage.tx import ReadTx, Tx

IN_CLAUSE: Final = 400
Key = tuple[str, str]  # rule and fingerprint


@dataclass(frozen=True, slots=True)
class Held:
    """A window that nobody else can change until the transaction ends. `full_at`: when it last held enough."""

    window: Window
    full_at: datetime | None


def hold(tx: Tx, keys: Collection[Key]) -> dict[Key, Held]:
    """The windows of these groups, where there are any."""
    wanted = sorted(keys)
    found: dict[Key, Held] = {}
    for start in range(0, len(wanted), IN_CLAUSE):
        statement = (
            select(windows)
            .where(_in(wanted[start : start + IN_CLAUSE]))
            .order_by(windows.c.rule, windows.c.fingerprint)
            .with_for_update()
        )
        for row in tx.execute(statement):
            counts, totals = tuple(row.counts), tuple(row.totals)
            window = Window(row.width_us, row.head, row.floor, counts, totals, row.fired, row.since_us, row.latest_us)
            found[row.rule, row.fingerprint] = Held(window, row.full_at)
    return found


def make(tx: Tx, width_us_of: Mapping[Key, int]) -> dict[Key, Held]:
    """Windows for groups that had none, unless another transaction has just made them; they are held."""
    if not width_us_of:
        return {}
    upsert = postgresql.insert(windows) if tx.dialect == "postgresql" else sqlite.insert(windows)
    shared = {"counts": list(NONE), "totals": list(NONE), "fired": False, "seen_at": tx.now}
    rows = [
        {"rule": rule, "fingerprint": fingerprint, "width_us": width_us, **shared}
        for (rule, fingerprint), width_us in sorted(width_us_of.items())
    ]
    tx.execute(upsert.on_conflict_do_nothing(), rows)
    return hold(tx, width_us_of.keys())


def _in(keys: Sequence[Key]) -> Any:
    return tuple_(windows.c.rule, windows.c.fingerprint).in_(keys)


def count(tx: ReadTx, rule: str) -> int:
    """How many groups of a rule have a window."""
    return int(tx.execute(select(func.count()).where(windows.c.rule == rule)).scalar_one())


def forget_idle(tx: Tx, rule: str, before: datetime, *, held: Collection[str]) -> None:
    """Remove a rule's windows that nothing was added to since; whoever holds one keeps it. `held` are the fingerprints
    of those that this transaction is about to add to."""
    old = select(windows.c.fingerprint).where(windows.c.rule == rule, windows.c.seen_at < before)
    idle = set(tx.execute(old.with_for_update(skip_locked=True)).scalars()).difference(held)
    forgotten = sorted(idle)
    for start in range(0, len(forgotten), IN_CLAUSE):
        mine = windows.c.fingerprint.in_(forgotten[start : start + IN_CLAUSE])
        tx.execute(delete(windows).where(windows.c.rule == rule, mine))


def save(tx: Tx, held: Mapping[Key, Held]) -> None:
    """Write windows that are held."""
    statement = (
        update(windows)
        .where(windows.c.rule == bindparam("of_rule"), windows.c.fingerprint == bindparam("of_group"))
        .values(
            width_us=bindparam("to_width"),
            head=bindparam("to_head"),
            floor=bindparam("to_floor"),
            counts=bindparam("to_counts", type_=windows.c.counts.type),
            totals=bindparam("to_totals", type_=windows.c.totals.type),
            fired=bindparam("to_fired"),
            since_us=bindparam("to_since"),
            latest_us=bindparam("to_latest"),
            full_at=bindparam("to_full_at", type_=Instant()),
            seen_at=tx.now,
        )
    )
    rows = [
        {
            "of_rule": rule,
            "of_group": fingerprint,
            "to_width": one.window.width_us,
            "to_head": one.window.head,
            "to_floor": one.window.floor,
            "to_counts": list(one.window.counts),
            "to_totals": list(one.window.totals),
            "to_fired": one.window.fired,
            "to_since": one.window.since_us,
            "to_latest": one.window.latest_us,
            "to_full_at": one.full_at,
        }
        for (rule, fingerprint), one in sorted(held.items(), key=lambda pair: pair[0])
    ]
    if rows:
        tx.execute(statement, rows)


def full_at(tx: ReadTx, rule: str, fingerprint: str) -> datetime | None:
    """When a group's window last held enough."""
    same = (windows.c.rule == rule) & (windows.c.fingerprint == fingerprint)
    found: datetime | None = tx.execute(select(windows.c.full_at).where(same)).scalar_one_or_none()
    return found
