"""Whether silences cover all that fires of a ticket: told by the newest record of each of its open alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from tocsin.alerts import rule_store, silence_store
from tocsin.alerts import store as alerts
from tocsin.alerts.silencing import Fate, Silence, covering_absence, covering_ids, fate_of, hidden_by
from tocsin.alerts.store import Alert
from tocsin.kit.errors import NotFound
from tocsin.logs.record import Record
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx, Tx

MOST: Final = 100  # alerts of a ticket that are looked at


class Records(Protocol):
    """Where a record is found."""

    def get(self, record_id: int) -> Record: ...


@dataclass(frozen=True, slots=True)
class Firing:
    """An open alert: the silences that cover its newest record, and whether it fires still."""

    covering: tuple[int, ...]
    ends_by_itself: bool
    last_at: datetime | None

    def fires(self, now: datetime) -> bool:
        """As what a silence lets go of (see `silencing.fate_of`)."""
        found = fate_of(heir=None, ends_by_itself=self.ends_by_itself, last_at=self.last_at, now=now)
        return found is Fate.RELEASED


def look(database: Database, logs: Records, ticket_id: int) -> list[Firing]:
    """The open alerts of a ticket, looked at outside of any lock; records are read only where there are silences."""

    def read(tx: ReadTx) -> list[tuple[Alert, bool, datetime | None]]:
        found = [alert for alert in alerts.of_tickets(tx, ticket_id, limit=MOST) if alert.ended_at is None]
        return [(alert, _ends_by_itself(tx, alert.rule), alerts.last_counted_at(tx, alert.id)) for alert in found]

    silences = database.read(silence_store.unexpired)
    return [
        Firing(_covering(silences, alert, logs), ends_by_itself, last_at)
        for alert, ends_by_itself, last_at in database.read(read)
    ]


def _ends_by_itself(tx: ReadTx, rule: str) -> bool:
    row = rule_store.get(tx, rule)
    return row is not None and row.rule.quiet_s is not None


def _covering(silences: Sequence[Silence], alert: Alert, logs: Records) -> tuple[int, ...]:
    if not silences:
        return ()
    try:
        return covering_ids(silences, logs.get(alert.last_record_id))
    except NotFound:  # there was none, or retention has dropped it
        return covering_absence(silences, alert)


def hushed_by(tx: Tx, firing: Sequence[Firing]) -> list[str]:
    """The silences that hide all of these alerts now, if they do. None of them can end until this transaction does."""
    ids = {one for alert in firing for one in alert.covering}
    if not ids:
        return []
    held = silence_store.share(tx, ids)
    hiding = [hidden_by(held, alert.covering, tx.now) for alert in firing]
    found = {one for one in hiding if one is not None}
    return [] if None in hiding else [held[one].name.replace(":", " ") for one in sorted(found)]
