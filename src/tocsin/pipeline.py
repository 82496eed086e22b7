"""The map: which event goes to which stage, which timers exist, which loops run. What is not here does not happen."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from tocsin.alerts import service as alerts
from tocsin.alerts.detect import detect
from tocsin.alerts.rules import REOPEN_WINDOW, SEED_RULE, Rule
from tocsin.kit.actors import SYSTEM
from tocsin.kit.events import AlertOpened, LogsStored, LogsUnparked, Matched, Recorded
from tocsin.kit.metrics import Metrics
from tocsin.logs import store as logs
from tocsin.logs.record import Columns
from tocsin.loops import Loop
from tocsin.storage import idempotency, parking, timers
from tocsin.storage.database import Database
from tocsin.storage.dialects import Sqlite
from tocsin.storage.timers import Timer
from tocsin.storage.tx import Routes, Tx
from tocsin.tickets import correlation
from tocsin.tickets import service as tickets

RULES: Final[Sequence[Rule]] = (SEED_RULE,)
WAL_LIMIT_BYTES: Final = 64 << 20

log = structlog.get_logger("tocsin.pipeline")


def detect_in(columns: Columns, first_id: int, backfill: bool) -> list[Matched]:
    """What the rules find in a chunk."""
    return detect(columns, RULES, first_id=first_id, backfill=backfill)


def open_tickets(tx: Tx, opened: Sequence[Recorded[AlertOpened]]) -> None:
    correlation.open_for(tx, opened, reopen_window=REOPEN_WINDOW)


def retry_parked(tx: Tx, timer: Timer) -> None:
    """Work out what follows from parked records: match the stored records again and run the same handlers."""
    item = parking.get(tx, int(timer.subject))
    if item is None:
        return
    matches: list[Matched] = []
    found = list(logs.iterate(tx, item.first_id, item.last_id))
    try:
        for chunk, columns in found:
            matches.extend(detect_in(columns, chunk.first_id, chunk.backfill))
        stored = LogsStored(
            first_id=item.first_id,
            last_id=item.last_id,
            accepted=sum(len(columns) for _, columns in found),
            rejected=0,
            observed_at=found[0][0].observed_at if found else item.parked_at,
            matches=tuple(matches),
        )
        with tx.attempt():
            tx.replay(Recorded(item.event_id, tx.now, stored))
    except Exception as error:  # noqa: BLE001  # it stays parked, whatever a later stage raised
        log.warning("still_parked", first_id=item.first_id, last_id=item.last_id, error=parking.describe(error))
        parking.postpone(tx, item, error)
        return
    parking.done(tx, item)
    unparked = LogsUnparked(first_id=item.first_id, last_id=item.last_id, attempts=item.attempts + 1)
    tx.emit(unparked, causes=[item.event_id])
    log.info("logs_unparked", first_id=item.first_id, last_id=item.last_id, attempts=item.attempts + 1)


ROUTES: Final[Routes] = {
    LogsStored: (alerts.apply,),
    AlertOpened: (open_tickets,),
}

TIMERS: Final[Mapping[str, Callable[[Tx, Timer], None]]] = {
    correlation.AUTO_CLOSE: tickets.auto_close,
    parking.RETRY: retry_parked,
}


def loops(database: Database, metrics: Metrics) -> list[Loop]:
    """Everything that runs beside the requests."""
    found = [
        Loop("timers", every_s=1.0, wake_on=timers.WAKE, run=lambda: run_due_timers(database, metrics)),
        Loop("roll_up", every_s=5.0, run=alerts.RollUp(database).run),
        Loop("forget_keys", every_s=600.0, run=lambda: forget_expired_keys(database)),
    ]
    if isinstance(database.dialect, Sqlite):
        found.append(Loop("checkpoint", every_s=10.0, run=lambda: keep_wal_short(database)))
    return found


def run_due_timers(database: Database, metrics: Metrics) -> None:
    """Work off what is due, in turns; a timer whose handler raises is set back and stops nobody else."""

    def turn(tx: Tx) -> int:
        claimed = timers.claim_due(tx, database.dialect)
        for timer in claimed:
            try:
                with tx.attempt():
                    TIMERS[timer.kind](tx, timer)
            except Exception as error:  # noqa: BLE001  # one bad timer must not stop the others
                metrics.loop_errors.labels(timer.kind).inc()
                log.error("timer_failed", kind=timer.kind, subject=timer.subject, error=parking.describe(error))
                timers.set_back(tx, timer)
        return len(claimed)

    due = database.read(timers.next_due)
    while due is not None and due <= database.clock.now():
        if not database.write(turn, actor=SYSTEM):
            return  # another worker is at them
        due = database.read(timers.next_due)


def forget_expired_keys(database: Database) -> None:
    while database.write(idempotency.forget_expired, actor=SYSTEM):
        pass


def keep_wal_short(database: Database) -> None:
    """Give the log's space back after a burst; a reader that holds a snapshot makes this try again later."""
    dialect = database.dialect
    if isinstance(dialect, Sqlite) and dialect.wal_bytes() > WAL_LIMIT_BYTES:
        database.checkpoint()
