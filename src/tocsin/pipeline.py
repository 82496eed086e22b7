"""The map: which event goes to which stage, which timers exist, which loops run. What is not here does not happen."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from tocsin import upkeep
from tocsin.alerts import absences, episodes, quieting, silence_ending, silence_service
from tocsin.alerts import rule_service as rules
from tocsin.alerts import service as alerts
from tocsin.alerts.absence import BEAT_S
from tocsin.alerts.counting import FoldHours
from tocsin.alerts.rule_service import RuleBook
from tocsin.kit.events import (
    AlertGrew,
    AlertJoined,
    AlertOpened,
    AlertQuieted,
    AlertReleased,
    ChannelDisabled,
    ChannelPaged,
    ContactMethodCodeWanted,
    DrillMissed,
    EscalationEnded,
    EscalationPaused,
    EscalationStopped,
    Event,
    LogsStored,
    PersonPaged,
    Recorded,
    RuleBroken,
    ScheduleGapFound,
    SilenceBroken,
    SilenceEnded,
    SilenceStarted,
    SlaAtRisk,
    SlaBreached,
    TicketAbsorbed,
    TicketAnswered,
    TicketCommented,
    TicketEdited,
    TicketHandedBack,
    TicketHeld,
    TicketMerged,
    TicketMoved,
    TicketOpened,
    TicketPrioritised,
    TicketReopened,
    TicketResumed,
    TicketSplitOff,
    TicketUnmerged,
)
from tocsin.kit.metrics import Metrics
from tocsin.logs.compaction import Compactor
from tocsin.logs.expiry import Expiry
from tocsin.logs.intake import Intake
from tocsin.logs.live import LiveTail
from tocsin.logs.service import LogReader
from tocsin.logs.store import WAKE
from tocsin.loops import Loop
from tocsin.notify import delivery_store, forgetting
from tocsin.notify import drill_service as drills
from tocsin.notify import notice_service as notices
from tocsin.notify import page_service as pages
from tocsin.notify import route_service as notify
from tocsin.notify.callers import KEPT, Callers
from tocsin.notify.sending import Courier
from tocsin.notify.shielding import guarded
from tocsin.oncall import escalation_service as escalation
from tocsin.oncall import forgetting as escalation_forgetting
from tocsin.oncall import people_service as people
from tocsin.oncall import problem_service as looking
from tocsin.oncall import schedule_store
from tocsin.storage import parking, timers
from tocsin.storage.database import Database
from tocsin.storage.dialects import Sqlite
from tocsin.storage.tx import Handler, Routes, Tx
from tocsin.tickets import block_service, change_service, correlation, storm_end, storms
from tocsin.tickets import service as tickets
from tocsin.tickets import sla_service as sla
from tocsin.tickets.storming import DEFAULT_LIMITS, StormLimits


def routes(limits: StormLimits, callers: Callers = KEPT) -> Routes:
    """Which event goes to which stage."""
    upstream: dict[type[Event], tuple[Handler, ...]] = {
        LogsStored: (alerts.apply,),
        AlertOpened: (lambda tx, opened: correlation.open_for(tx, opened, limits),),
        AlertReleased: (lambda tx, released: correlation.open_for_released(tx, released, limits),),
        AlertQuieted: (tickets.resolve_quiet,),
        AlertGrew: (correlation.raise_for,),
        TicketOpened: (sla.start,),
        TicketPrioritised: (sla.reassign,),
        TicketMoved: (sla.follow,),
        TicketReopened: (sla.follow,),
        TicketHeld: (sla.follow,),
        TicketResumed: (sla.follow,),
        TicketMerged: (sla.follow,),
        TicketUnmerged: (sla.follow,),
        TicketSplitOff: (sla.follow,),
        TicketHandedBack: (sla.follow,),
    }
    downstream = paging_routes(callers)
    return {kind: (*upstream.get(kind, ()), *downstream.get(kind, ())) for kind in {**upstream, **downstream}}


def paging_routes(callers: Callers) -> dict[type[Event], tuple[Handler, ...]]:
    """Which event goes to escalation, and who hears of it. A run follows its ticket before others hear of that."""

    def hear(tx: Tx, batch: Sequence[Recorded[Any]]) -> None:
        notify.hear(tx, batch, callers)

    def replan(tx: Tx, batch: Sequence[Recorded[Any]]) -> None:
        notify.replan(tx, batch, callers)

    return {
        TicketOpened: (drills.notice, hear),
        TicketReopened: (drills.notice, hear, guarded(escalation.reopened, callers)),
        TicketMoved: (guarded(escalation.moved, callers), hear),
        TicketPrioritised: (replan, guarded(escalation.prioritised, callers), hear),
        TicketEdited: (guarded(escalation.edited, callers), replan, hear),
        TicketCommented: (guarded(escalation.commented, callers), hear),
        TicketAnswered: (guarded(escalation.commented, callers),),
        TicketHeld: (guarded(escalation.held, callers), hear),
        TicketResumed: (guarded(escalation.resumed, callers), hear),
        TicketMerged: (guarded(escalation.merged, callers), hear),
        TicketUnmerged: (hear, lambda tx, batch: notify.call_again(tx, batch, callers)),
        TicketAbsorbed: (hear,),
        TicketHandedBack: (
            hear,
            guarded(escalation.handed_back, callers),
            lambda tx, batch: notify.call_again(tx, batch, callers),
        ),
        SlaAtRisk: (hear,),
        SlaBreached: (hear,),
        SilenceStarted: (escalation.silences_changed,),
        SilenceEnded: (escalation.silences_changed,),
        SilenceBroken: (escalation.silences_changed,),
        AlertJoined: (escalation.joined,),
        AlertReleased: (lambda tx, batch: notify.call_for_calmed(tx, batch, callers),),
        EscalationStopped: (lambda tx, batch: pages.take_back(tx, batch, callers),),
        EscalationPaused: (lambda tx, batch: pages.take_back(tx, batch, callers),),
        EscalationEnded: (lambda tx, batch: pages.take_back(tx, batch, callers),),
        PersonPaged: (lambda tx, batch: pages.call_people(tx, batch, callers),),
        ChannelPaged: (lambda tx, batch: pages.call_channels(tx, batch, callers),),
        ContactMethodCodeWanted: (lambda tx, batch: notices.send_codes(tx, batch, callers),),
        **dict.fromkeys(
            (ChannelDisabled, ScheduleGapFound, RuleBroken, DrillMissed),
            (lambda tx, batch: notices.notice(tx, batch, callers),),
        ),
    }


ROUTES: Final = routes(DEFAULT_LIMITS)  # with the limits that hold unless settings say otherwise


def timers_of(
    book: RuleBook, reader: LogReader, intake: Intake, limits: StormLimits, *, callers: Callers = KEPT
) -> upkeep.TimerHandlers:
    """What is done when a timer of a kind is due."""
    return {
        absences.ABSENCE: lambda _, timer: partial(alerts.open_for_absence, timer=timer),
        quieting.QUIET: lambda _, timer: partial(alerts.end_if_quiet, timer=timer),
        episodes.CALM: lambda _, timer: partial(alerts.calm, timer=timer),
        silence_service.TURN: lambda _, timer: partial(silence_service.take_turn, timer=timer),
        silence_service.LET_GO: partial(silence_ending.let_go, logs=reader),
        storms.TIMER: lambda _, timer: partial(storm_end.look, timer=timer, limits=limits),
        correlation.AUTO_CLOSE: lambda _, timer: partial(tickets.auto_close, timer=timer),
        tickets.HOLD_END: lambda _, timer: partial(tickets.end_hold, timer=timer),
        escalation.STEP: partial(escalation.take_due, rota=callers.rota, logs=reader),
        escalation.SILENCES: partial(escalation.weigh_silences, rota=callers.rota, logs=reader),
        drills.TURN: lambda _, timer: partial(drills.take_turn, timer=timer),
        drills.SEND: partial(drills.send, intake=intake),
        drills.LOOK: lambda _, timer: partial(drills.look, timer=timer),
        people.CODE_END: lambda _, timer: partial(people.end_code, timer=timer),
        schedule_store.GAPS: lambda _, timer: partial(looking.tell_gaps, timer=timer),
        parking.RETRY: partial(upkeep.retry_parked, rules=book, mended=rules.mend, given_up=alerts.give_up),
    }


BATCHES: Final[upkeep.BatchHandlers] = {sla.TIMER: sla.tell_due}  # timers of which many may be due at once


@dataclass(frozen=True, slots=True)
class LogKeeping:
    """What works on stored logs beside the requests."""

    compactor: Compactor
    expiry: Expiry
    tail: LiveTail
    reader: LogReader

    def compact(self) -> None:
        """One turn of the loop `compact`."""
        try:
            self.compactor.run()
        finally:
            self.expiry.run()  # on a full disk, this is what makes room


SETTLED_S: Final = 2.0  # after a start, what can wait waits so long


def loops(
    database: Database,
    metrics: Metrics,
    logs: LogKeeping,
    book: RuleBook,
    *,
    limits: StormLimits,
    courier: Courier,
    intake: Intake,
    callers: Callers = KEPT,
) -> list[Loop]:
    """Everything that runs beside the requests."""
    run_timers = partial(
        run_due_timers, database, metrics, book, logs.reader, intake=intake, limits=limits, callers=callers
    )
    found = [
        # A full disk stays full for a while.
        Loop("compact", every_s=0.5, run=logs.compact, longest_s=30.0, first_after_s=0.5),
        Loop("tail", every_s=1.0, wake_on=WAKE, run=logs.tail.run),
        Loop("timers", every_s=1.0, wake_on=timers.WAKE, run=run_timers),
        Loop("deliveries", every_s=1.0, wake_on=delivery_store.WAKE, run=courier.turn),
        Loop("forget_deliveries", every_s=600.0, run=lambda: forget_paging(database), first_after_s=SETTLED_S),
        Loop("presence", every_s=BEAT_S, run=lambda: absences.note_presence(database)),
        Loop("roll_up", every_s=5.0, run=alerts.RollUp(database).run, first_after_s=SETTLED_S),
        Loop("break_silences", every_s=5.0, run=silence_ending.BreakWatch(database).run, first_after_s=SETTLED_S),
        Loop("block_tickets", every_s=60.0, run=block_service.BlockMaker(database).run, first_after_s=SETTLED_S),
        Loop("fold_pattern_hours", every_s=600.0, run=FoldHours(database).run, first_after_s=SETTLED_S),
        Loop("forget_keys", every_s=600.0, run=lambda: upkeep.forget_expired_keys(database), first_after_s=SETTLED_S),
        Loop(
            "forget_changes", every_s=3600.0, run=lambda: change_service.forget_old(database), first_after_s=SETTLED_S
        ),
    ]
    if isinstance(database.dialect, Sqlite):
        found.append(Loop("checkpoint", every_s=10.0, run=lambda: keep_files_short(database), first_after_s=SETTLED_S))
    return found


def forget_paging(database: Database) -> None:
    """One turn of the loop `forget_deliveries`."""
    forgetting.forget_old(database)
    escalation_forgetting.forget_old(database)


def run_due_timers(
    database: Database,
    metrics: Metrics,
    book: RuleBook,
    reader: LogReader,
    *,
    intake: Intake,
    limits: StormLimits = DEFAULT_LIMITS,
    callers: Callers = KEPT,
) -> None:
    """One turn of the loop `timers`."""
    handlers = timers_of(book, reader, intake, limits, callers=callers)
    upkeep.run_due_timers(database, handlers, metrics=metrics, batches=BATCHES)


def keep_files_short(database: Database) -> None:
    """One turn of the loop `checkpoint`."""
    upkeep.give_space_back(database)
    upkeep.keep_wal_short(database)
