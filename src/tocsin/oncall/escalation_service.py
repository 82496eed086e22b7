"""Use cases of escalation: policies; runs that begin, follow what happens to their tickets, and call people in time.

Locks are taken in the order tickets, runs, timers: whoever has changed a ticket holds it already. What is due has taken
its timer off the table, and so waits for no run: one that somebody else holds is tried again a moment later.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from tocsin.kit.actors import SYSTEM
from tocsin.kit.errors import Conflict, NotFound
from tocsin.kit.events import (
    AlertJoined,
    ChannelPaged,
    EscalationBegan,
    EscalationEnded,
    EscalationPaused,
    EscalationRestarted,
    EscalationResumed,
    EscalationSpent,
    EscalationStepTaken,
    EscalationStopped,
    Event,
    NobodyOnCall,
    PersonPaged,
    PersonUnreachable,
    Recorded,
    SilenceBroken,
    SilenceEnded,
    SilenceStarted,
    TicketAnswered,
    TicketCommented,
    TicketEdited,
    TicketHandedBack,
    TicketHeld,
    TicketMerged,
    TicketMoved,
    TicketPrioritised,
    TicketReopened,
    TicketResumed,
)
from tocsin.kit.priorities import Priority
from tocsin.oncall import escalation, hushing, item_service, item_store
from tocsin.oncall import escalation_store as store
from tocsin.oncall.escalation import Called, Happening, Policy, Run, State, Step, Target, TargetKind, What
from tocsin.oncall.escalation_store import RunRow
from tocsin.oncall.item_service import ESCALATION_POLICY
from tocsin.oncall.item_store import Item
from tocsin.oncall.rota import Rota
from tocsin.storage import timers
from tocsin.storage.database import Database
from tocsin.storage.dialects import environment_fault
from tocsin.storage.timers import Timer
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import store as tickets
from tocsin.tickets.store import Ticket
from tocsin.tickets.workflow import Status

STEP: Final = "escalation.step"
SILENCES: Final = "escalation.silences"
SILENCE: Final = "silence"
# What a timer of silences is for: one run, those that silences pause, or (the number of a silence) all that go on.
_RUN: Final = "run:"
_PAUSED: Final = "paused"
_AT_ONCE: Final = 20  # runs that are weighed in one turn of the write lock
_LOOK_AGAIN: Final = timedelta(seconds=45)
_BUSY: Final = timedelta(milliseconds=100)  # until a run is tried again that somebody else holds
Work = Callable[[Tx], None]

log = structlog.get_logger("tocsin.oncall")


# Policies.


def save_policy(
    tx: Tx, name: str, definition: Mapping[str, Any], *, seen_version: int | None = None
) -> tuple[Item, bool]:
    """Make or replace a policy, and whether it is new. Raises Invalid, PreconditionFailed."""
    policy = escalation.policy_of(name, 0, definition)
    return item_service.save(tx, ESCALATION_POLICY, name, policy.definition(), seen_version=seen_version)


def policy(tx: ReadTx, name: str) -> Policy:
    """A policy as it is in force. Raises NotFound."""
    item = item_service.get(tx, ESCALATION_POLICY, name)
    return escalation.policy_of(name, item.version, item.definition)


def _policy_of(tx: ReadTx, row: RunRow) -> Policy:
    """The version that a run goes by."""
    said = item_store.definition(tx, ESCALATION_POLICY.name, row.policy, row.policy_version)
    if said is None:
        raise NotFound(what="version of the escalation policy", id=f"{row.policy} {row.policy_version}")
    return escalation.policy_of(row.policy, row.policy_version, said)


# Runs.


def begin(
    tx: Tx,
    ticket_id: int,
    policy_name: str,
    *,
    priority: int,
    rota: Rota,
    why: str,
    route: str | None = None,
    message: str = "",
    has_assignee: bool = False,
) -> RunRow | None:
    """Begin a run and take its first step, or begin a round of the one that is spent; None when one goes on calling.

    Where somebody has the ticket already nobody is called, until they are silent for too long; where it is on hold, or
    a silence pauses another run of it, this one stands still too. Whoever asks by hand (without a route) has people
    called whatever stands still, and one that stopped called anew. Raises NotFound.
    """
    found = policy(tx, policy_name)
    run = escalation.begin(found, priority, tx.now)
    ticket = tickets.get(tx, ticket_id)
    if has_assignee:
        run = escalation.happen(found, run, Happening(What.ASSIGNED), tx.now).run
    pauses = _pauses(tx, ticket) if route is not None and ticket is not None else []
    for pause in pauses:
        run = escalation.happen(found, run, Happening(What.PAUSED, pause), tx.now).run
    row = store.add(tx, ticket_id, run, policy=found.name, policy_version=found.version, route=route, message=message)
    if row is None:
        what = What.ASKED if route is not None else What.ASKED_BY_HAND
        return _ask_again(tx, ticket_id, found.name, Happening(what, why), rota, message=message)
    told = f"{why}; it stands still: {' and '.join(pauses)}" if pauses else why
    tx.emit(EscalationBegan(ticket_id, row.id, found.name, policy_version=found.version, why=told, route=route))
    return _go_on(tx, row, found, rota, why)


def _pauses(tx: ReadTx, ticket: Ticket) -> list[str]:
    """What makes a run of this ticket stand still now."""
    found = [escalation.HOLD] if ticket.is_held(tx.now) else []
    silent = any(SILENCE in row.run.paused for row in store.live_of(tx, [ticket.id]))
    return [*found, SILENCE] if silent else found


def _nobody_known(tx: Tx, ticket: Ticket, rota: Rota) -> str | None:
    """The assignee of a ticket that nobody has acknowledged, if we know nobody of that name."""
    if ticket.status is Status.IN_PROGRESS or ticket.assignee is None or _is_known(tx, ticket.assignee, rota):
        return None
    return ticket.assignee


def _is_known(tx: Tx, assignee: str, rota: Rota) -> bool:
    """Whether that is somebody: a user, or whoever does this."""
    return assignee == tx.actor.name or assignee in rota.people(tx, [assignee])


def _goes_on(ticket_id: int, assignee: str) -> Event:
    return PersonUnreachable(
        ticket_id, assignee, reason=f"{assignee} is nobody known here", fallback="the escalation policy"
    )


def _ask_again(tx: Tx, ticket_id: int, policy_name: str, what: Happening, rota: Rota, *, message: str) -> RunRow | None:
    """Ask the run that goes on to call anew; None when it need not."""
    for row in store.hold_live(tx, [ticket_id]):
        if row.policy == policy_name:
            asked = replace(row, message=message or row.message)
            after = _happened(tx, asked, _policy_of(tx, row), what, rota)
            return None if after.version == row.version else after
    return None


def take_due(database: Database, timer: Timer, *, rota: Rota, logs: hushing.Records) -> Work:
    """A step is due, unless its run went on since the timer was set, or a silence covers all that fires.

    What silences cover is told by the newest records of the ticket's alerts, read outside of any lock.
    """
    run_id = int(timer.subject)
    seen = database.read(lambda tx: store.get(tx, run_id))
    if seen is None:
        return lambda _: None
    alerts = hushing.look(database, logs, seen.ticket_id)

    def work(tx: Tx) -> None:
        row = store.hold_free(tx, database.dialect, run_id)
        if row is None:
            timers.put(tx, STEP, timer.subject, due_at=tx.now + _BUSY, version=timer.version)
            return
        if not row.run.is_due(tx.now):
            if row.run.next_at is not None:  # the clock was set back since the look: this is its only timer
                timers.put(tx, STEP, timer.subject, due_at=row.run.next_at, version=row.version)
            return
        found = _policy_of(tx, row)
        by = hushing.hushed_by(tx, alerts)
        if by:
            _happened(tx, row, found, Happening(What.PAUSED, SILENCE), rota, told=f"{' and '.join(by)} covers it")
        else:
            _happened(tx, row, found, Happening(What.DUE), rota)

    return work


def weigh_silences(database: Database, timer: Timer, *, rota: Rota, logs: hushing.Records) -> Work:
    """Silences began or ended, or something joined what they cover: runs all of whose alerts they cover stand still,
    those that they paused before go on, and what still fires of these is heard at once.

    A few runs in one transaction; the timer is put again for those after them. Its version is the last run looked at.
    What a silence has paused is looked at now and then: an alert may have joined after the look and before the pause,
    and records that it doesn't cover may be counted on an alert that it did.
    """
    alone = timer.subject.removeprefix(_RUN) if timer.subject.startswith(_RUN) else None
    rows = database.read(lambda tx: _to_weigh(tx, timer, alone))
    looked = {row.id: hushing.look(database, logs, row.ticket_id) for row in rows}

    def work(tx: Tx) -> None:
        for run_id in sorted(looked):
            row = store.hold_free(tx, database.dialect, run_id)
            if row is None:
                timers.put(tx, SILENCES, f"{_RUN}{run_id}", due_at=tx.now + _BUSY, version=0)
            elif row.ended_at is None:
                _weigh_alone(tx, row, looked[run_id], rota)
        if alone is None and len(rows) == _AT_ONCE:
            timers.put(tx, SILENCES, timer.subject, due_at=tx.now, version=rows[-1].id)
        elif timer.subject == _PAUSED and store.any_live(tx, paused_by=SILENCE):
            _look_again(tx)

    return work


def _to_weigh(tx: ReadTx, timer: Timer, alone: str | None) -> list[RunRow]:
    if alone is None:
        only = SILENCE if timer.subject == _PAUSED else None
        return store.live_after(tx, timer.version, limit=_AT_ONCE, paused_by=only)
    row = store.get(tx, int(alone))
    return [] if row is None else [row]


def _look_again(tx: Tx) -> None:
    """Have what silences pause looked at in a while, unless that is going to be done already."""
    timers.put_if_none(tx, SILENCES, _PAUSED, due_at=tx.now + _LOOK_AGAIN, version=0)


def _weigh_alone(tx: Tx, row: RunRow, alerts: Sequence[hushing.Firing], rota: Rota) -> None:
    """One run that raises stops none of the others."""
    try:
        with tx.aside():
            _weigh(tx, row, alerts, rota)
    except Exception as error:
        if environment_fault(error):
            raise
        log.error("run_failed", run_id=row.id, ticket_id=row.ticket_id, error=f"{type(error).__name__}: {error}")


def _weigh(tx: Tx, row: RunRow, alerts: Sequence[hushing.Firing], rota: Rota) -> None:
    by, paused = hushing.hushed_by(tx, alerts), SILENCE in row.run.paused
    if bool(by) == paused:
        return
    told = f"{' and '.join(by)} covers it" if by else "no silence covers it any more"
    fires = any(alert.fires(tx.now) for alert in alerts)
    what = What.PAUSED if by else What.HEARD if fires else What.RESUMED
    _happened(tx, row, _policy_of(tx, row), Happening(what, SILENCE), rota, told=told)


def _happened(
    tx: Tx, row: RunRow, found: Policy, what: Happening, rota: Rota, *, told: str = "", again: bool = False
) -> RunRow:
    """Let something happen to a run that this transaction holds; take its step if that is due now."""
    after = escalation.happen(found, row.run, what, tx.now)
    if after.run == row.run and not after.take:
        return row
    if after.restarted is not None:
        tx.emit(EscalationRestarted(row.ticket_id, row.id, row.policy, round=after.run.round, why=after.restarted))
    else:
        _tell(tx, row, after.run, told or what.why)
    again = again or after.restarted is not None or row.run.round > 1
    return _go_on(tx, replace(row, run=after.run), found, rota, after.restarted or told, again=again)


def _tell(tx: Tx, row: RunRow, run: Run, why: str) -> None:
    """What people would want to know of a change that calls nobody."""
    told: Event | None = None
    if run.state is State.ENDED:
        told = EscalationEnded(row.ticket_id, row.id, row.policy, why=why)
    elif run.state is State.SPENT and row.run.state is not State.SPENT:
        told = EscalationSpent(row.ticket_id, row.id, row.policy)
    elif run.paused and not row.run.paused:
        told = EscalationPaused(row.ticket_id, row.id, row.policy, why=why)
    elif row.run.paused and not run.paused:
        told = EscalationResumed(row.ticket_id, row.id, row.policy, why=why, next_at=run.next_at)
    elif run.state is State.WAITING and row.run.state in {State.CALLING, State.SPENT}:
        told = EscalationStopped(row.ticket_id, row.id, row.policy, why=why)
    if told is not None:
        tx.emit(told)


def _go_on(tx: Tx, row: RunRow, found: Policy, rota: Rota, why: str, *, again: bool = False) -> RunRow:
    """Take the steps that are due, write the run down, and set the timer of its next step."""
    run = row.run
    while escalation.has_to_call(found, run, tx.now):
        reached = _take(tx, replace(row, run=run), found, rota, why, again=again)
        run = escalation.taken(found, run, tx.now, reached=reached)
    row = store.save(tx, row, run)
    if run.next_at is None:
        timers.drop(tx, STEP, str(row.id))
    else:
        timers.put(tx, STEP, str(row.id), due_at=run.next_at, version=row.version)
    if SILENCE in run.paused:
        _look_again(tx)
    return row


def _take(tx: Tx, row: RunRow, found: Policy, rota: Rota, why: str, *, again: bool) -> bool:
    """Take the next step of a run; whether it reached anybody. Each person and channel is an event of its own."""
    run, step = row.run, found.steps[row.run.step - 1]
    store.add_step(tx, row)
    called = _called(tx, found, run.step, step, rota)
    fallback = None
    if not called.anybody:
        fallback = found.fallback
        wanted = tuple(map(str, step.targets))
        there = None if fallback is None else str(fallback)
        tx.emit(
            NobodyOnCall(
                row.ticket_id, row.id, row.policy, round=run.round, step=run.step, wanted=wanted, fallback=there
            )
        )
        if fallback is not None:
            called = escalation.call(Step((fallback,)), who(tx, [fallback], rota, tx.now))
    nowhere = not called.anybody and run.step == len(found.steps)
    if nowhere:  # nothing comes after it: somebody has to hear of it
        called = escalation.Called({}, tuple(rota.otherwise(tx)))
    taken = EscalationStepTaken(
        row.ticket_id,
        row.id,
        row.policy,
        policy_version=row.policy_version,
        round=run.round,
        step=run.step,
        people=tuple(called.people),
        channels=called.channels,
        fallback=fallback is not None,
        why=why,
    )
    anew = replace(called, people=_not_called_yet(tx, row.ticket_id, called.people))
    tx.emit(taken, *_pages(row, anew, fallback=fallback is not None, again=again, nowhere=nowhere))
    return called.anybody


def _not_called_yet(tx: Tx, ticket_id: int, people: Mapping[str, Target]) -> dict[str, Target]:
    """Without those whom this transaction calls about the ticket already: by several ways they hear it once."""
    called = called_now(tx, ticket_id)
    return {name: target for name, target in people.items() if name not in called}


def called_now(tx: Tx, ticket_id: int) -> set[str]:
    """Everybody whom this transaction is about to call for a ticket."""
    return {page.person for page in tx.waits(PersonPaged, f"ticket:{ticket_id}")}


def _pages(row: RunRow, called: Called, *, fallback: bool, again: bool, nowhere: bool) -> list[Event]:
    run = row.run
    where = f"step {run.step} of escalation policy {row.policy}, round {run.round}"
    shared: dict[str, Any] = {
        "run_id": row.id,
        "policy": row.policy,
        "round": run.round,
        "step": run.step,
        "route": row.route,
        "message": row.message,
        "again": again,
    }
    pages: list[Event] = []
    for name, target in called.people.items():
        why = f"{where}: fallback, nobody was on call" if fallback else f"{where}: {escalation.by(target)}"
        pages.append(PersonPaged(row.ticket_id, name, why=why, **shared))
    why = f"{where}: nobody else is there to be called" if nowhere else where
    pages += [ChannelPaged(row.ticket_id, channel, why=why, **shared) for channel in called.channels]
    return pages


def _called(tx: Tx, found: Policy, number: int, step: Step, rota: Rota) -> Called:
    people_of = who(tx, step.targets, rota, tx.now)
    if not step.round_robin:
        return escalation.call(step, people_of)
    called = escalation.call(step, people_of, store.turn(tx, found.name, number))
    if called.next_turn is not None:
        store.set_turn(tx, found.name, number, called.next_turn)
    return called


def named(tx: ReadTx, target: Target, rota: Rota) -> list[str]:
    """The people behind one target now. Raises NotFound for a user, a schedule or a team that there is not, and
    Conflict when nobody is there."""
    if target.kind is TargetKind.USER and target.name not in rota.people(tx, [target.name]):
        raise NotFound(what="user", id=target.name)
    if target.kind is TargetKind.TEAM:
        rota.members(tx, target.name)
    if target.kind is TargetKind.SCHEDULE:
        rota.on_call(tx, target.name, tx.now)
    people = who(tx, [target], rota, tx.now)[target]
    if not people:
        raise Conflict(detail=f"nobody is there to be called: {'; '.join(absences(tx, [target], rota, tx.now))}")
    return people


def who(tx: ReadTx, targets: Collection[Target], rota: Rota, at: datetime) -> dict[Target, list[str]]:
    """The people behind each target who are there and not away. A schedule or a team that there is not, or that can't
    be worked out, has nobody. A channel that would take nothing is not among them."""
    named = {target: _named(tx, target, rota, at) or () for target in targets if target.kind is not TargetKind.CHANNEL}
    people = rota.people(tx, {name for names in named.values() for name in names})
    there = {name for name, person in people.items() if not person.is_away(at)}
    channels = {target for target in targets if target.kind is TargetKind.CHANNEL}
    usable = rota.channels(tx, {target.name for target in channels}) if channels else ()
    found = {target: [name for name in names if name in there] for target, names in named.items()}
    return found | {target: [] for target in channels if target.name in usable}


def meant(tx: ReadTx, targets: Collection[Target], rota: Rota, at: datetime) -> list[str]:
    """Everybody who stands behind these targets, also who is away."""
    return list(dict.fromkeys(name for target in targets for name in _named(tx, target, rota, at) or ()))


def absences(tx: ReadTx, targets: Collection[Target], rota: Rota, at: datetime) -> list[str]:
    """Of each of these targets that has nobody, why, in words."""
    there = who(tx, targets, rota, at)
    return [
        _absence(tx, target, rota, at)
        for target in targets
        if not there.get(target) and not (target.kind is TargetKind.CHANNEL and target in there)
    ]


def _absence(tx: ReadTx, target: Target, rota: Rota, at: datetime) -> str:
    if target.kind is TargetKind.CHANNEL:
        return f"channel {target.name} is gone, or switched off"
    names = _named(tx, target, rota, at)
    if names is None:
        return f"there is no {target.kind.value} {target.name}"
    known = rota.people(tx, names)
    told = ", ".join(f"{name} is away" if name in known else f"there is no user {name}" for name in names)
    if target.kind is TargetKind.USER:
        return told
    place = f"on call in schedule {target.name}" if target.kind is TargetKind.SCHEDULE else f"in team {target.name}"
    return f"nobody is there who is {place}: {told}" if names else f"nobody is {place}"


def _named(tx: ReadTx, target: Target, rota: Rota, at: datetime) -> Sequence[str] | None:
    """None for a schedule or a team that there is not."""
    if target.kind is TargetKind.CHANNEL:
        return []
    if target.kind is TargetKind.USER:
        return [target.name]
    try:
        if target.kind is TargetKind.TEAM:
            return rota.members(tx, target.name)
        return rota.on_call(tx, target.name, at)
    except NotFound:
        return None
    except Exception as error:
        if environment_fault(error):
            raise
        log.error("target_failed", target=str(target), error=f"{type(error).__name__}: {error}")
        return []


# What happens to tickets (see `pipeline`).


def _all(tx: Tx, rota: Rota, happened: Mapping[int, Happening]) -> list[RunRow]:
    """Let something happen to the runs of each of these tickets."""
    rows = store.hold_live(tx, happened.keys()) if happened else []
    return [_happened(tx, row, _policy_of(tx, row), happened[row.ticket_id], rota) for row in rows]


def moved(tx: Tx, batch: Sequence[Recorded[TicketMoved]], rota: Rota) -> None:
    """An acknowledgement stops calling; a resolution ends the run."""
    happened: dict[int, Happening] = {}
    for one in batch:
        what = What.ACKNOWLEDGED if one.event.after == Status.IN_PROGRESS.value else What.OVER
        happened[one.event.ticket_id] = Happening(what, f"it is {one.event.after}")
    _all(tx, rota, happened)


def merged(tx: Tx, batch: Sequence[Recorded[TicketMerged]], rota: Rota) -> None:
    why = {one.event.ticket_id: f"it was merged into ticket {one.event.into_id}" for one in batch}
    _all(tx, rota, {ticket_id: Happening(What.OVER, text) for ticket_id, text in why.items()})


def handed_back(tx: Tx, batch: Sequence[Recorded[TicketHandedBack]], rota: Rota) -> None:
    """The runs of tickets that were handed back begin anew."""
    why = {one.event.ticket_id: f"it was handed back: {one.event.reason}" for one in batch}
    _all(tx, rota, {ticket_id: Happening(What.HANDED_BACK, text) for ticket_id, text in why.items()})


def prioritised(tx: Tx, batch: Sequence[Recorded[TicketPrioritised]], rota: Rota) -> None:
    """What is more urgent now is called for anew."""
    after = {one.event.ticket_id: int(Priority[one.event.after]) for one in batch}
    _all(tx, rota, {ticket_id: Happening(What.PRIORITISED, priority=p) for ticket_id, p in after.items()})


def held(tx: Tx, batch: Sequence[Recorded[TicketHeld]], rota: Rota) -> None:
    _all(tx, rota, {one.event.ticket_id: Happening(What.PAUSED, escalation.HOLD) for one in batch})


def resumed(tx: Tx, batch: Sequence[Recorded[TicketResumed]], rota: Rota) -> None:
    _all(tx, rota, {one.event.ticket_id: Happening(What.RESUMED, escalation.HOLD) for one in batch})


def commented(tx: Tx, batch: Sequence[Recorded[TicketCommented | TicketAnswered]], rota: Rota) -> None:
    """Who has the ticket does something with it."""
    if tx.actor == SYSTEM:
        return
    active = {one.event.ticket_id for one in batch}
    _all(
        tx,
        rota,
        {ticket_id: Happening(What.ACTIVE, "somebody works on it") for ticket_id in _attended(tx, active, rota)},
    )


def _attended(tx: Tx, ticket_ids: Collection[int], rota: Rota) -> list[int]:
    """Those of these tickets that somebody has."""
    found = [one for one in (tickets.get(tx, ticket_id) for ticket_id in sorted(ticket_ids)) if one is not None]
    had = [one for one in found if one.assignee or one.status is Status.IN_PROGRESS]
    return [one.id for one in had if _nobody_known(tx, one, rota) is None]


def edited(tx: Tx, batch: Sequence[Recorded[TicketEdited]], rota: Rota) -> None:
    """A ticket that becomes somebody's is theirs to hear of; one that is nobody's again is called for anew. A name that
    nobody has is nobody's."""
    for one in batch:
        ticket_id, after = one.event.ticket_id, one.event.after
        if "assignee" not in after:
            attended = [] if tx.actor == SYSTEM else _attended(tx, [ticket_id], rota)
            _all(tx, rota, {number: Happening(What.ACTIVE, "somebody works on it") for number in attended})
            continue
        assignee = after["assignee"]
        if assignee is not None and _is_known(tx, str(assignee), rota):
            _all(tx, rota, {ticket_id: Happening(What.ASSIGNED, f"it was assigned to {assignee}")})
            tell_assignee(tx, ticket_id, str(assignee), rota)
            continue
        ticket = tickets.get(tx, ticket_id)
        if ticket is None or ticket.status is not Status.OPEN:
            continue
        _all(tx, rota, {ticket_id: Happening(What.UNASSIGNED)})
        if assignee is not None and store.live_of(tx, [ticket_id]):
            tx.emit(_goes_on(ticket_id, str(assignee)))


def reopened(tx: Tx, batch: Sequence[Recorded[TicketReopened]], rota: Rota) -> None:
    """A person who is given a reopened ticket hears of it."""
    for one in batch:
        if one.event.alert_id is None and one.event.assignee is not None:
            tell_assignee(tx, one.event.ticket_id, one.event.assignee, rota)


def tell_assignee(tx: Tx, ticket_id: int, assignee: str, rota: Rota) -> None:
    """Call somebody because a ticket is theirs now, unless they took it themselves, or are nobody we know."""
    took_it = assignee == tx.actor.name or store.answers_now(tx, ticket_id, assignee)
    if not took_it and assignee in rota.people(tx, [assignee]):
        by = "" if tx.actor == SYSTEM else f" by {tx.actor.name}"
        tx.emit(PersonPaged(ticket_id, assignee, why=f"it was assigned to them{by}"))


def end(tx: Tx, row: RunRow, rota: Rota, why: str) -> None:
    """End a run that this transaction holds."""
    _happened(tx, row, _policy_of(tx, row), Happening(What.OVER, why), rota)


def silences_changed(tx: Tx, batch: Sequence[Recorded[SilenceStarted | SilenceEnded | SilenceBroken]]) -> None:
    """Have the runs that go on looked at, outside of this transaction."""
    if store.any_live(tx):
        for one in batch:
            timers.put(tx, SILENCES, str(one.event.silence_id), due_at=tx.now, version=0)


def joined(tx: Tx, batch: Sequence[Recorded[AlertJoined]]) -> None:
    """What joins a ticket that is silent may not be covered."""
    due_at_of = {
        f"{_RUN}{row.id}": tx.now
        for row in store.live_of(tx, {one.event.ticket_id for one in batch})
        if SILENCE in row.run.paused
    }
    timers.put_many(tx, SILENCES, due_at_of, version=0)
