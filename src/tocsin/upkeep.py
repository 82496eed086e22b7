"""What runs beside the requests: due timers, parked records, expired keys, the size of the database's files."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final, Protocol

import structlog

from tocsin.kit.actors import SYSTEM
from tocsin.kit.errors import Unavailable
from tocsin.kit.events import Detected, LogsStored, LogsUnparked, Recorded, Undecided
from tocsin.kit.metrics import Metrics
from tocsin.logs import store as logs
from tocsin.logs.record import Columns
from tocsin.storage import idempotency, parking, timers
from tocsin.storage.database import Database
from tocsin.storage.dialects import FileSpace, Sqlite, environment_fault
from tocsin.storage.parking import Parked
from tocsin.storage.timers import Timer
from tocsin.storage.tx import ReadTx, Tx

WAL_LIMIT_BYTES: Final = 64 << 20
FREE_LIMIT_BYTES: Final = 16 << 20
FREE_LIMIT_SHARE: Final = 0.25
BATCH: Final = 70  # timers in one turn of the write lock
VACUUM_PAGES: Final = 512  # at most in one turn of the write lock, and
VACUUM_WITHIN_S: Final = 0.003  # so long; the commit comes on top
VACUUM_TURNS: Final = 200  # in one run of the loop, which then lets itself be stopped
Work = Callable[[Tx], None]
# A handler looks at what it needs first, without holding anybody up, and returns what is to be done in a transaction.
Mended = Callable[[Tx, str], None]  # a rule works again
GivenUp = Callable[[Tx, int, Sequence[Undecided], datetime], bool]  # whether a rule is not waited for any longer
TimerHandlers = Mapping[str, Callable[[Database, Timer], Work]]
# The same for timers of one kind of which many are due at once; the work takes those of some that it may have off the
# table, and says how many.
BatchHandler = Callable[[Database, Sequence[Timer]], Callable[[Tx, Sequence[Timer]], int]]
BatchHandlers = Mapping[str, BatchHandler]

log = structlog.get_logger("tocsin.upkeep")


def run_due_timers(
    database: Database, handlers: TimerHandlers, *, metrics: Metrics, batches: BatchHandlers | None = None
) -> None:
    """Work off what is due, a transaction each, or one for many of a kind that has a handler in `batches`.

    A timer whose handler raises is set back and stops nobody else. Raises Unavailable when the database can't be
    written; what is due then stays due.
    """
    batches = batches or {}
    while due := database.read(timers.due):
        worked_off = [_run_timer(database, timer, handlers, metrics) for timer in due if timer.kind not in batches]
        for kind, handler in batches.items():
            mine = [timer for timer in due if timer.kind == kind]
            if mine:
                worked_off.append(_run_batch(database, mine, handler, metrics))
        if not any(worked_off):
            return  # another worker is at them


def _run_batch(database: Database, due: Sequence[Timer], handler: BatchHandler, metrics: Metrics) -> bool:
    """Whether any of the timers was ours and is off the table, or set back. One that raises is found by itself."""
    try:
        work = handler(database, due)
        some = [due[start : start + BATCH] for start in range(0, len(due), BATCH)]
        return sum(database.write(lambda tx, part=part: work(tx, part), actor=SYSTEM) for part in some) > 0  # type: ignore[misc]
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001  # one bad timer must not stop the others
        if len(due) > 1:
            return sum(_run_batch(database, [timer], handler, metrics) for timer in due) > 0
        _failed(database, due[0], error, metrics)
        return True


def _failed(database: Database, timer: Timer, error: Exception, metrics: Metrics) -> None:
    metrics.loop_errors.labels(timer.kind).inc()
    log.error("timer_failed", kind=timer.kind, subject=timer.subject, error=parking.describe(error))
    database.write(lambda tx: timers.set_back(tx, timer), actor=SYSTEM)


def _run_timer(database: Database, timer: Timer, handlers: TimerHandlers, metrics: Metrics) -> bool:
    """Whether the timer was ours and is off the table, or set back."""
    try:
        work = handlers[timer.kind](database, timer)
        return database.write(lambda tx: _claim_and_run(tx, database, timer, work), actor=SYSTEM)
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001  # one bad timer must not stop the others
        _failed(database, timer, error, metrics)
        return True


def _claim_and_run(tx: Tx, database: Database, timer: Timer, work: Work) -> bool:
    if not timers.claim(tx, database.dialect, timer):
        return False
    work(tx)
    return True


class Rules(Protocol):
    """The rules in force: all of them, or one."""

    def refresh(self, tx: ReadTx) -> int: ...

    def find(self, columns: Columns, first_id: int, backfill: bool) -> Detected: ...

    def find_of(self, rule: str, columns: Columns, first_id: int, backfill: bool) -> Detected: ...


def retry_parked(database: Database, timer: Timer, *, rules: Rules, mended: Mended, given_up: GivenUp) -> Work:
    """Match parked records again, outside any lock; the work then runs the handlers that failed.

    Records that wait for one rule are matched with that one alone: the others have had their say. When it is no longer
    in force, nothing follows from them.
    """
    item = database.read(lambda tx: parking.get(tx, int(timer.subject)))
    if item is None:
        return lambda _: None
    ruleset = database.read(rules.refresh)
    chunks = database.read(lambda tx: logs.chunks_between(tx, item.first_id, item.last_id))
    find = rules.find if item.rule is None else partial(rules.find_of, item.rule)
    found: list[Detected] = []
    failed: Exception | None = None
    for chunk in chunks:
        columns = database.read(lambda tx, chunk=chunk: logs.load(tx, chunk))  # type: ignore[misc]
        try:
            found.append(find(columns, chunk.first_id, chunk.backfill))
        except Exception as error:  # noqa: BLE001  # the records stay parked, whatever detection raised
            failed = error
            break
    undecided = tuple(one for part in found for one in part.undecided)
    if item.rule is not None and undecided:
        failed = RuleRaised(undecided[0].reason)
    stored = LogsStored(
        first_id=item.first_id,
        last_id=item.last_id,
        accepted=sum(chunk.last_id - chunk.first_id + 1 for chunk in chunks),
        rejected=0,
        observed_at=chunks[0].observed_at if chunks else item.parked_at,
        ruleset=max([ruleset, *(part.ruleset for part in found)]),
        matches=tuple(match for part in found for match in part.matches),
        undecided=undecided,
    )

    def work(tx: Tx) -> None:
        if item.rule is not None and undecided and given_up(tx, item.event_id, undecided, stored.observed_at):
            parking.done(tx, item)
            return
        if _work_off(tx, item, stored, failed) and item.rule is not None and not parking.any_of_rule(tx, item.rule):
            mended(tx, item.rule)

    return work


class RuleRaised(Exception):
    """A rule raised again on records that wait for it."""


def _work_off(tx: Tx, item: Parked, stored: LogsStored, failed: Exception | None) -> bool:
    """Run the handlers of a parked commit. When one raises again, the records stay parked, and this is False."""
    try:
        with tx.attempt():
            if failed is not None:
                raise failed
            tx.replay(Recorded(item.event_id, tx.now, stored))
    except Exception as error:
        if environment_fault(error):
            raise
        log.warning("still_parked", first_id=item.first_id, last_id=item.last_id, error=parking.describe(error))
        parking.postpone(tx, item, error)
        return False
    parking.done(tx, item)
    unparked = LogsUnparked(
        first_id=item.first_id,
        last_id=item.last_id,
        attempts=item.attempts + 1,
        rule=item.rule,
        ruleset=stored.ruleset,
    )
    tx.emit(unparked, causes=[item.event_id])
    return True


def forget_expired_keys(database: Database) -> None:
    while database.write(idempotency.forget_expired, actor=SYSTEM):
        pass


def keep_wal_short(database: Database) -> None:
    """Give the log's space back after a burst; a reader that holds a snapshot makes this try again later."""
    dialect = database.dialect
    if isinstance(dialect, Sqlite) and dialect.wal_bytes() > WAL_LIMIT_BYTES:
        database.checkpoint()


def give_space_back(database: Database, *, turns: int = VACUUM_TURNS) -> None:
    """Shrink an embedded database's file while much of it is free, a little at a time between other writers.

    What deleted rows leave is used again first: some of it stays. The file is shorter after the next checkpoint. A run
    of so many turns of the write lock takes a second or so; the next one goes on. Raises Unavailable.
    """
    dialect = database.dialect
    if not isinstance(dialect, Sqlite):
        return
    for _ in range(turns):
        if not worth_shrinking(database.read(lambda tx: dialect.space(tx.connection))):
            return
        database.write(
            lambda tx: dialect.release_pages(tx.connection, most=VACUUM_PAGES, within_s=VACUUM_WITHIN_S), actor=SYSTEM
        )


def worth_shrinking(space: FileSpace) -> bool:
    """Whether more of a file is free than new rows will soon need."""
    limit = max(FREE_LIMIT_BYTES, space.file_bytes * FREE_LIMIT_SHARE)
    return space.shrinks and space.free_bytes > limit
