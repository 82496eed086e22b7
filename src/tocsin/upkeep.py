"""What runs beside the requests: due timers, parked records, expired keys, the length of the write-ahead log."""

from collections.abc import Callable, Mapping
from typing import Final

import structlog

from tocsin.kit.actors import SYSTEM
from tocsin.kit.events import LogsStored, LogsUnparked, Matched, Recorded
from tocsin.kit.metrics import Metrics
from tocsin.logs import store as logs
from tocsin.logs.intake import Detect
from tocsin.storage import idempotency, parking, timers
from tocsin.storage.database import Database
from tocsin.storage.dialects import Sqlite
from tocsin.storage.timers import Timer
from tocsin.storage.tx import Tx

WAL_LIMIT_BYTES: Final = 64 << 20
TimerHandlers = Mapping[str, Callable[[Tx, Timer], None]]

log = structlog.get_logger("tocsin.upkeep")


def run_due_timers(database: Database, handlers: TimerHandlers, *, metrics: Metrics) -> None:
    """Work off what is due, in turns; a timer whose handler raises is set back and stops nobody else."""

    def turn(tx: Tx) -> int:
        claimed = timers.claim_due(tx, database.dialect)
        for timer in claimed:
            try:
                with tx.attempt():
                    handlers[timer.kind](tx, timer)
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


def retry_parked(tx: Tx, timer: Timer, *, detect: Detect) -> None:
    """Work out what follows from parked records: match the stored records again and run the same handlers."""
    item = parking.get(tx, int(timer.subject))
    if item is None:
        return
    matches: list[Matched] = []
    found = list(logs.iterate(tx, item.first_id, item.last_id))
    try:
        for chunk, columns in found:
            matches.extend(detect(columns, chunk.first_id, chunk.backfill))
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


def forget_expired_keys(database: Database) -> None:
    while database.write(idempotency.forget_expired, actor=SYSTEM):
        pass


def keep_wal_short(database: Database) -> None:
    """Give the log's space back after a burst; a reader that holds a snapshot makes this try again later."""
    dialect = database.dialect
    if isinstance(dialect, Sqlite) and dialect.wal_bytes() > WAL_LIMIT_BYTES:
        database.checkpoint()
