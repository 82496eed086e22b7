"""The queries of forecasts: how long past tickets of a kind took, and which are due next."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, select, type_coerce

from tocsin.kit.clock import to_us
from tocsin.storage.tx import ReadTx
from tocsin.tickets.model import tickets
from tocsin.tickets.workflow import UNRESOLVED

NEWEST: Final = 2_000  # of a kind: the newest say most of what is to come
_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds that some tickets took so far, and whether they are resolved."""

    ids: tuple[int, ...]
    durations_s: tuple[float, ...]
    resolved: tuple[bool, ...]

    def without(self, ticket_id: int) -> "Taken":
        """Without one of them."""
        if ticket_id not in self.ids:
            return self
        at = self.ids.index(ticket_id)
        ids, durations_s, resolved = self.ids, self.durations_s, self.resolved
        return Taken(
            ids[:at] + ids[at + 1 :], durations_s[:at] + durations_s[at + 1 :], resolved[:at] + resolved[at + 1 :]
        )


def taken(tx: ReadTx, alike: dict[str, Any]) -> Taken:
    """How long the newest tickets with these values took.

    A ticket that is over without a time when it was resolved tells nothing.
    """
    t = tickets.c
    opened, resolved = type_coerce(t.opened_at, BigInteger), type_coerce(t.resolved_at, BigInteger)
    told = t.resolved_at.is_not(None) | t.status.in_(sorted(UNRESOLVED))
    same = [t[name] == value for name, value in alike.items()]
    statement = select(t.id, opened.label("opened"), resolved.label("resolved")).where(told, *same)
    now = to_us(tx.now)
    rows = tx.execute(statement.order_by(t.opened_at.desc()).limit(NEWEST)).all()
    return Taken(
        tuple(row.id for row in rows),
        tuple(((row.resolved or now) - row.opened) / _US for row in rows),
        tuple(row.resolved is not None for row in rows),
    )


def next_due(tx: ReadTx, limit: int) -> list[int]:
    """The unresolved tickets whose clocks run, those first that are due first."""
    t = tickets.c
    running = (t.sla_due_at.is_not(None), t.status.in_(sorted(UNRESOLVED)))
    return list(tx.execute(select(t.id).where(*running).order_by(t.sla_due_at, t.id).limit(limit)).scalars())
