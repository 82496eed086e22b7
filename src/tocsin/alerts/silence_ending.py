"""When a silence lets go of the alerts it hid: at its end, or when it breaks because too much came."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from tocsin.alerts import rule_store, silence_store, store
from tocsin.alerts.episodes import release
from tocsin.alerts.silence_service import LET_GO
from tocsin.alerts.silencing import BREAK_MINUTES, Fate, Silence, breaks, covering_ids, fate_of, hidden_by, usual_n
from tocsin.kit.actors import SYSTEM
from tocsin.kit.errors import NotFound
from tocsin.kit.events import AlertUnheard, SilenceBroken
from tocsin.logs.record import Record
from tocsin.logs.service import LogReader
from tocsin.storage import timers
from tocsin.storage.database import Database
from tocsin.storage.timers import Timer
from tocsin.storage.tx import ReadTx, Tx

SLICE: Final = 100  # alerts in one transaction
Work = Callable[[Tx], None]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was found before the transaction: alerts a silence hides, and which silences cover their newest record."""

    alert_ids: list[int]
    covering: Mapping[int, tuple[int, ...]]


def let_go(database: Database, timer: Timer, *, logs: LogReader) -> Work:
    """Look at the alerts that a silence hid, and return the work that gives them up: to another silence, to people if
    they still fire, or to their end.

    Which other silences cover an alert is told by its newest record, read outside of any lock.
    """
    silence_id = int(timer.subject)
    alerts = database.read(lambda tx: _hidden_alerts(tx, silence_id))
    others = database.read(silence_store.unexpired)
    records = {alert_id: _record(logs, record_id) for alert_id, record_id in alerts.items()} if others else {}
    covering = {alert: () if record is None else covering_ids(others, record) for alert, record in records.items()}
    seen = _Seen(list(alerts), covering)
    return lambda tx: _let_go(tx, silence_id, seen)


def _hidden_alerts(tx: ReadTx, silence_id: int) -> dict[int, int]:
    """Alerts and their newest records."""
    found = silence_store.get(tx, silence_id)
    ids = [] if found is None else silence_store.suppressed_alerts(tx, found.silence, limit=SLICE)
    return {alert.id: alert.last_record_id for alert in store.open_alerts_by_id(tx, ids)}


def _record(logs: LogReader, record_id: int) -> Record | None:
    """A record, unless retention has dropped it or it can't be read: then no other silence is known to cover it."""
    try:
        return logs.get(record_id)
    except NotFound:
        return None


def _let_go(tx: Tx, silence_id: int, seen: _Seen) -> None:
    others = {other for ids in seen.covering.values() for other in ids}
    held = silence_store.hold(tx, {silence_id, *others})
    silences = {one: row.silence for one, row in held.items()}
    released: list[int] = []
    left = False
    for alert_id in seen.alert_ids:
        fate = _give_up(tx, silences, silence_id, alert_id, seen.covering.get(alert_id, ()))
        left = left or fate is not None
        if fate is Fate.RELEASED:
            released.append(alert_id)
    name = silences[silence_id].name.replace(":", " ") if silence_id in silences else f"silence {silence_id}"
    release(tx, released, reason=f"{name} hides it no longer")
    if left and len(seen.alert_ids) >= SLICE:
        timers.put(tx, LET_GO, str(silence_id), due_at=tx.now, version=0)


def _give_up(
    tx: Tx, silences: Mapping[int, Silence], silence_id: int, alert_id: int, covering: tuple[int, ...]
) -> Fate | None:
    """What becomes of one alert; None when it is no longer hidden by this silence, or by it again."""
    alert = store.hold(tx, alert_id)
    if alert is None or silence_id not in silences or alert.suppressed_by != silences[silence_id].name:
        return None
    heir = hidden_by(silences, covering, tx.now)
    if heir == silence_id:
        return None
    row = rule_store.get(tx, alert.rule)
    quiet_s = None if row is None else row.rule.quiet_s
    last_at = store.last_counted_at(tx, alert_id)
    fate = fate_of(heir=heir, ends_by_itself=quiet_s is not None, last_at=last_at, now=tx.now)
    if fate is Fate.MOVED and heir is not None:
        store.suppress(tx, {alert_id: silences[heir].name})
    elif fate is Fate.ENDED:
        store.end(tx, alert_id)
        tx.emit(AlertUnheard(alert_id, suppressed_by=silences[silence_id].name))
    return fate


@dataclass(slots=True)
class BreakWatch:
    """The loop that sees whether so much is hidden that a silence breaks."""

    database: Database

    def run(self) -> None:
        """One turn. Records are counted without a lock; that it breaks is decided again by whoever holds the row."""
        for silence in self.database.read(silence_store.breakable):
            if self.database.read(lambda tx, silence=silence: _too_much(tx, silence) is not None):  # type: ignore[misc]
                self.database.write(lambda tx, silence=silence: _break(tx, silence.id), actor=SYSTEM)  # type: ignore[misc]


def _too_much(tx: ReadTx, silence: Silence) -> int | None:
    """How many records an active silence has hidden lately, if that is too many."""
    if not silence.active_at(tx.now):
        return None
    hidden_n = silence_store.hidden_since(tx, silence, tx.now - timedelta(minutes=BREAK_MINUTES))
    return hidden_n if breaks(silence, hidden_n) else None


def _break(tx: Tx, silence_id: int) -> None:
    held = silence_store.hold(tx, [silence_id]).get(silence_id)
    hidden_n = None if held is None else _too_much(tx, held.silence)
    if held is None or hidden_n is None:
        return  # another process was faster, or it was ended meanwhile
    silence = held.silence
    silence_store.set_edited(tx, silence, broken_at=tx.now)
    usual = usual_n(silence) / 60
    tx.emit(SilenceBroken(silence_id, hidden_n, baseline_per_min=usual, break_factor=silence.break_factor or 0))
    timers.put(tx, LET_GO, str(silence_id), due_at=tx.now, version=silence.version)
