"""Use cases of stage 2: apply what detection found, roll counts up, read alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select

from tocsin.alerts import store
from tocsin.alerts.detect import merge
from tocsin.alerts.store import Alert
from tocsin.kit.actors import SYSTEM
from tocsin.kit.clock import from_us, to_us
from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import Conflict, NotFound
from tocsin.kit.events import AlertEnded, AlertOpened, LogsStored, Matched, Recorded
from tocsin.storage.database import Database
from tocsin.storage.tx import Tx

TRIES: Final = 5
ROLL_UP_SLICE: Final = 50
_CURSOR: Final = "alerts"


def apply(tx: Tx, stored: Sequence[Recorded[LogsStored]]) -> None:
    """Give every match its verdict: open an alert for a fingerprint that has none, count on the one it has."""
    for recorded in stored:
        matches = merge(recorded.event.matches)
        live = [match for match in matches if not match.backfill]
        opened, counted = _open_or_count(tx, live)
        _announce(tx, recorded, live, opened)
        rows = [_verdict(recorded, m, "backfill", None) for m in matches if m.backfill]
        rows += [_verdict(recorded, m, "opened", opened[m.fingerprint]) for m in live if m.fingerprint in opened]
        rows += [_verdict(recorded, m, "counted", counted[m.fingerprint]) for m in live if m.fingerprint in counted]
        if rows:
            store.append_verdicts(tx, rows)


def _open_or_count(tx: Tx, matches: list[Matched]) -> tuple[dict[str, int], dict[str, int]]:
    """Alert ids by fingerprint: those this transaction opens, and those that were open."""
    by_fingerprint = {match.fingerprint: match for match in matches}
    opened: dict[str, int] = {}
    counted = store.hold_open(tx, by_fingerprint) if by_fingerprint else {}
    for _ in range(TRIES):
        missing = [m for f, m in by_fingerprint.items() if f not in counted and f not in opened]
        if not missing:
            return opened, counted
        opened |= store.open_new(tx, missing)
        lost = {m.fingerprint for m in missing} - opened.keys()
        counted |= store.hold_open(tx, lost) if lost else {}
    raise Conflict(detail="alerts were opened and ended faster than they could be counted on")


def _announce(tx: Tx, stored: Recorded[LogsStored], matches: list[Matched], opened: dict[str, int]) -> None:
    new = [
        AlertOpened(
            alert_id=opened[match.fingerprint],
            rule=match.rule,
            rule_version=match.rule_version,
            fingerprint=match.fingerprint,
            service=match.service,
            first_record_id=match.first_id,
            late_s=max(0, int((stored.event.observed_at - match.first_at).total_seconds())),
            match=match,
        )
        for match in sorted(matches, key=lambda m: m.first_id)
        if match.fingerprint in opened
    ]
    tx.emit(*new, causes=[stored.id] * len(new))


def _verdict(stored: Recorded[LogsStored], match: Matched, verdict: str, alert_id: int | None) -> dict[str, Any]:
    return {
        "event_id": stored.id,
        "rule": match.rule,
        "rule_version": match.rule_version,
        "fingerprint": match.fingerprint,
        "verdict": verdict,
        "alert_id": alert_id,
        "n": match.n,
        "first_id": match.first_id,
        "last_id": match.last_id,
        "first_at": match.first_at,
        "last_at": match.last_at,
    }


def end_episodes(tx: Tx, ticket_id: int) -> None:
    """End the open alerts of a ticket that is being resolved: the next such record begins a new episode."""
    ended = store.end_of_ticket(tx, ticket_id)
    tx.emit(*(AlertEnded(alert_id=alert_id, ticket_id=ticket_id) for alert_id in ended))


@dataclass(slots=True)
class RollUp:
    """The loop that folds verdicts into their alerts' counts, so that reading a count stays cheap."""

    database: Database

    def run(self) -> None:
        """One turn: sums are read without a lock, and written a few alerts at a time."""
        since = self.database.read(store.rolled_up_to)
        horizon = self.database.read(lambda tx: int(tx.execute(select(self.database.horizon)).scalar_one()))
        if horizon <= since:
            return
        sums = self.database.read(lambda tx: store.waiting(tx, since=since, horizon=horizon))
        for start in range(0, len(sums), ROLL_UP_SLICE):
            part = sums[start : start + ROLL_UP_SLICE]
            self.database.write(lambda tx, part=part: store.roll_up(tx, part, horizon=horizon), actor=SYSTEM)  # type: ignore[misc]
        if sums:
            self.database.write(lambda tx: store.set_rolled_up_to(tx, horizon), actor=SYSTEM)


@dataclass(frozen=True, slots=True)
class AlertQuery:
    """Which alerts: `firing` True (open), False (ended) or None (both); opened at or after `since`."""

    firing: bool | None = None
    service: str | None = None
    since: datetime | None = None
    limit: int = 100
    cursor: str | None = None


def get(database: Database, alert_id: int) -> Alert:
    """One alert with its count. Raises NotFound."""
    found = database.read(lambda tx: store.get(tx, alert_id))
    if found is None:
        raise NotFound(what="alert", id=alert_id)
    return found


def find(database: Database, query: AlertQuery) -> tuple[list[Alert], str | None]:
    """A page of alerts, newest first, and the cursor of the next."""
    after: tuple[datetime, int] | None = None
    if query.cursor is not None:
        at, last_id = decode_cursor(query.cursor, _CURSOR, int, int)
        after = (from_us(int(at)), int(last_id))
    found = database.read(
        lambda tx: store.page(
            tx,
            firing=query.firing,
            service=query.service,
            since=query.since,
            after=after,
            limit=query.limit + 1,
        )
    )
    items = found[: query.limit]
    more = len(found) > query.limit
    return items, encode_cursor(_CURSOR, to_us(items[-1].opened_at), items[-1].id) if more else None
