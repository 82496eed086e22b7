"""The map: which event goes to which stage, which timers exist, which loops run. What is not here does not happen."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from tocsin import upkeep
from tocsin.alerts import rule_service as rules
from tocsin.alerts import service as alerts
from tocsin.alerts.counting import FoldHours
from tocsin.alerts.rule_service import RuleBook
from tocsin.kit.events import AlertOpened, AlertQuieted, LogsStored, Recorded
from tocsin.kit.metrics import Metrics
from tocsin.logs.compaction import Compactor
from tocsin.logs.expiry import Expiry
from tocsin.logs.live import LiveTail
from tocsin.logs.store import WAKE
from tocsin.loops import Loop
from tocsin.storage import parking, timers
from tocsin.storage.database import Database
from tocsin.storage.dialects import Sqlite
from tocsin.storage.tx import Routes, Tx
from tocsin.tickets import correlation
from tocsin.tickets import service as tickets


def open_tickets(tx: Tx, opened: Sequence[Recorded[AlertOpened]]) -> None:
    correlation.open_for(tx, opened)


ROUTES: Final[Routes] = {
    LogsStored: (alerts.apply,),
    AlertOpened: (open_tickets,),
    AlertQuieted: (tickets.resolve_quiet,),
}


def timers_of(book: RuleBook) -> upkeep.TimerHandlers:
    """What is done when a timer of a kind is due."""
    return {
        alerts.QUIET: lambda _, timer: partial(alerts.end_if_quiet, timer=timer),
        correlation.AUTO_CLOSE: lambda _, timer: partial(tickets.auto_close, timer=timer),
        parking.RETRY: partial(upkeep.retry_parked, rules=book, mended=rules.mend, given_up=alerts.give_up),
    }


@dataclass(frozen=True, slots=True)
class LogKeeping:
    """What works on stored logs beside the requests."""

    compactor: Compactor
    expiry: Expiry
    tail: LiveTail

    def compact(self) -> None:
        """One turn of the loop `compact`."""
        try:
            self.compactor.run()
        finally:
            self.expiry.run()  # on a full disk, this is what makes room


def loops(database: Database, metrics: Metrics, logs: LogKeeping, book: RuleBook) -> list[Loop]:
    """Everything that runs beside the requests."""
    found = [
        Loop("compact", every_s=0.5, run=logs.compact, longest_s=30.0),  # a full disk stays full for a while
        Loop("tail", every_s=1.0, wake_on=WAKE, run=logs.tail.run),
        Loop("timers", every_s=1.0, wake_on=timers.WAKE, run=lambda: run_due_timers(database, metrics, book)),
        Loop("roll_up", every_s=5.0, run=alerts.RollUp(database).run),
        Loop("fold_pattern_hours", every_s=600.0, run=FoldHours(database).run),
        Loop("forget_keys", every_s=600.0, run=lambda: upkeep.forget_expired_keys(database)),
    ]
    if isinstance(database.dialect, Sqlite):
        found.append(Loop("checkpoint", every_s=10.0, run=lambda: keep_files_short(database)))
    return found


def run_due_timers(database: Database, metrics: Metrics, book: RuleBook) -> None:
    """One turn of the loop `timers`."""
    upkeep.run_due_timers(database, timers_of(book), metrics=metrics)


def keep_files_short(database: Database) -> None:
    """One turn of the loop `checkpoint`."""
    upkeep.give_space_back(database)
    upkeep.keep_wal_short(database)
