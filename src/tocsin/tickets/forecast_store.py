"""The query of forecasts: how long past tickets of a kind took."""

from typing import Any, Final

from sqlalchemy import BigInteger, select, type_coerce

from tocsin.kit.clock import to_us
from tocsin.storage.tx import ReadTx
from tocsin.tickets.model import tickets
from tocsin.tickets.workflow import UNRESOLVED

NEWEST: Final = 2_000  # of a kind: the newest say most of what is to come
_US: Final = 1_000_000


def durations(tx: ReadTx, alike: dict[str, Any], *, but: int) -> tuple[list[float], list[bool]]:
    """Seconds that the newest tickets with these values took, and whether they are resolved, without one of them.

    A ticket that is over without a time when it was resolved tells nothing.
    """
    t = tickets.c
    opened, resolved = type_coerce(t.opened_at, BigInteger), type_coerce(t.resolved_at, BigInteger)
    told = t.resolved_at.is_not(None) | t.status.in_(sorted(UNRESOLVED))
    same = [t[name] == value for name, value in alike.items()]
    statement = select(opened.label("opened"), resolved.label("resolved")).where(told, t.id != but, *same)
    now = to_us(tx.now)
    rows = tx.execute(statement.order_by(t.opened_at.desc()).limit(NEWEST)).all()
    return [((row.resolved or now) - row.opened) / _US for row in rows], [row.resolved is not None for row in rows]
