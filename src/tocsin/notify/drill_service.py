"""Use cases of drills: a marked record goes all the way, from a log to a channel's answer; one that does not, pages.

The ticket of a drill has the tag `drill`. Once a message was taken it is acknowledged and resolved by the system, so
that no time to acknowledge is counted.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

from tocsin.kit.actors import SYSTEM
from tocsin.kit.cursors import decode_cursor, encode_cursor
from tocsin.kit.errors import Conflict, Invalid, NotFound
from tocsin.kit.events import DrillBegan, DrillMissed, DrillPassed, Recorded, TicketOpened, TicketReopened
from tocsin.kit.priorities import Priority
from tocsin.logs.decode import decode
from tocsin.logs.intake import Intake, Submission
from tocsin.notify import delivery_store, drilling
from tocsin.notify import drill_store as store
from tocsin.notify.delivery_store import Delivery, Wish
from tocsin.notify.drill_store import DrillRun
from tocsin.notify.drilling import DRILL_TAG, MARK, Step
from tocsin.notify.message import Kind
from tocsin.notify.routing import CONSOLE
from tocsin.notify.shielding import attempted
from tocsin.oncall import item_service, item_store, people_store
from tocsin.oncall.item_service import DRILL
from tocsin.oncall.item_store import Item
from tocsin.storage import timers
from tocsin.storage.database import Database
from tocsin.storage.timers import Timer
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import service as tickets
from tocsin.tickets.workflow import Status

TURN: Final = "drill.turn"
SEND: Final = "drill.send"
LOOK: Final = "drill.look"
_LOOKS_EVERY: Final = timedelta(seconds=1)
_CALLS: Final = (Kind.OPENED, Kind.REOPENED, Kind.PAGE)
_CURSOR: Final = "drill_runs"


# Schedules.


def save(tx: Tx, name: str, definition: Mapping[str, Any], *, seen_version: int | None = None) -> tuple[Item, bool]:
    """Schedule a drill, or say its schedule anew, and whether it is new. Raises Invalid, PreconditionFailed."""
    drill = drilling.drill_of(definition)
    saved = item_service.save(tx, DRILL, name, drill.definition(), seen_version=seen_version)
    _set_turn(tx, name, drill)
    return saved


def remove(tx: Tx, name: str, *, seen_version: int | None = None) -> Item:
    """Schedule a drill no longer. Raises NotFound, PreconditionFailed."""
    found = item_service.remove(tx, DRILL, name, seen_version=seen_version)
    timers.drop(tx, TURN, name)
    return found


def _set_turn(tx: Tx, name: str, drill: drilling.Drill) -> None:
    due_at = drill.next_at(tx.now)
    if due_at is None:
        timers.drop(tx, TURN, name)
    else:
        timers.put(tx, TURN, name, due_at=due_at, version=0)


def take_turn(tx: Tx, timer: Timer) -> None:
    """A scheduled drill is due."""
    item = item_store.get(tx, DRILL.name, timer.subject)
    if item is None:
        return
    drill = drilling.drill_of(item.definition)
    if drill.enabled and not _runs(tx, drill.service):  # one that somebody began says as much
        begin(tx, drill.service, within_s=drill.within_s, name=item.name)
    _set_turn(tx, item.name, drill)


# Runs.


def begin(tx: Tx, service: str, *, within_s: int, name: str | None = None) -> DrillRun:
    """Run a drill now. Raises Invalid, and Conflict while one of that service runs."""
    errors = drilling.within_errors(within_s)
    if errors:
        raise Invalid(f"within_s: {errors[0].detail}", errors=tuple(errors))
    if _runs(tx, service):
        raise Conflict(detail=f"a drill of {service} runs already: its record would be taken for that of another one")
    drill_id = store.add(tx, name=name, service=service, within_s=within_s)
    tx.emit(DrillBegan(drill_id, service, name, within_s=within_s))
    timers.put(tx, SEND, str(drill_id), due_at=tx.now, version=0)
    timers.put(tx, LOOK, str(drill_id), due_at=tx.now + _LOOKS_EVERY, version=0)
    return get(tx, drill_id)


def _runs(tx: Tx, service: str) -> bool:
    """Whether a drill of a service runs. Nobody else can begin one, or change who is called, until this transaction
    ends. (The lock of drills' definitions is taken before their timers, and a turn has its timer already.)"""
    people_store.lock(tx)
    return any(run.service == service for run in store.running(tx))


def get(tx: ReadTx, drill_id: int) -> DrillRun:
    """One run. Raises NotFound."""
    found = store.get(tx, drill_id)
    if found is None:
        raise NotFound(what="run of a drill", id=drill_id)
    return found


def find(database: Database, *, cursor: str | None, limit: int) -> tuple[list[DrillRun], str | None]:
    """A page of runs, the newest first, and the cursor of the next."""
    before = None if cursor is None else int(decode_cursor(cursor, _CURSOR, int)[0])
    found = database.read(lambda tx: store.page(tx, before=before, limit=limit + 1))
    items = found[:limit]
    return items, encode_cursor(_CURSOR, items[-1].id) if len(found) > limit else None


def send(database: Database, timer: Timer, *, intake: Intake) -> Callable[[Tx], None]:
    """Hand the record of a drill to the intake, as a sender would. Sent twice it is one more record of one alert."""
    run = database.read(lambda tx: store.get(tx, int(timer.subject)))
    if run is not None and run.ended_at is None:
        body = drilling.record_of(run.id, run.service)
        batch = decode(body, lines=True, arrived=database.clock.now())
        intake.submit(
            Submission(
                columns=batch.columns,
                rejected=batch.rejected,
                backfill=False,
                size_bytes=len(body),
                actor=SYSTEM,
                resolve=lambda _: None,
            )
        )

    def work(tx: Tx) -> None:
        held = store.hold(tx, int(timer.subject))
        if held is not None:
            store.save(tx, held, steps={Step.SENT: tx.now})

    return work


def notice(tx: Tx, batch: Sequence[Recorded[TicketOpened | TicketReopened]]) -> None:
    """Tickets of drills are marked before anybody hears of them."""
    running = {run.service: run for run in store.running(tx)}
    if not running:
        return
    for one in batch:
        attempted(tx, partial(_mark, tx, one.event.ticket_id, running), part="a drill")


def _mark(tx: Tx, ticket_id: int, running: Mapping[str, DrillRun]) -> None:
    ticket = tickets.get(tx, ticket_id)
    run = running.get(ticket.service or "")
    if run is None or MARK not in ticket.title:
        return
    if DRILL_TAG not in ticket.tags:
        tickets.change(tx, ticket.id, status=None, edits={"tags": [*ticket.tags, DRILL_TAG]})
    held = store.hold(tx, run.id)
    if held is not None:
        store.save(tx, held, steps={Step.TICKET: tx.now}, ticket_id=ticket.id)


def look(tx: Tx, timer: Timer) -> None:
    """Whether a drill was delivered, or is missed."""
    run = store.hold(tx, int(timer.subject))
    if run is None or run.ended_at is not None:
        return
    taken = None if run.ticket_id is None else _taken(tx, run, run.ticket_id)
    if taken is not None and run.ticket_id is not None:
        _pass(tx, run, run.ticket_id, taken)
    elif tx.now >= run.due_at:
        _miss(tx, run)
    else:
        timers.put(tx, LOOK, timer.subject, due_at=tx.now + _LOOKS_EVERY, version=0)


def _taken(tx: ReadTx, run: DrillRun, ticket_id: int) -> Delivery | None:
    """The first message of this drill that the other side took: a page, where somebody was to be called; our own log
    counts only where nothing else was asked for."""
    found = delivery_store.matching(tx, Wish(ticket_id=ticket_id, since=run.began_at), limit=1000)
    calls = [one for one in found if one.kind in _CALLS]
    outside = [one for one in calls if one.channel != CONSOLE]
    if store.asked_to_call(tx, ticket_id, since=run.began_at):
        counting = [one for one in outside if one.kind is Kind.PAGE]
    else:
        counting = outside or calls
    taken = [one for one in counting if one.state is delivery_store.State.DELIVERED]
    return min(taken, key=lambda one: (one.ended_at or tx.now, one.id), default=None)


def _pass(tx: Tx, run: DrillRun, ticket_id: int, taken: Delivery) -> None:
    _close(tx, ticket_id, f"drill {run.id}: a message was taken")
    at = taken.ended_at or tx.now
    steps = {Step.DELIVERED: at, Step.ACKNOWLEDGED: tx.now, Step.RESOLVED: tx.now}
    store.save(tx, run, steps=steps, state=store.PASSED, ended_at=tx.now, via=taken.channel)
    tx.emit(DrillPassed(run.id, run.service, run.name, ticket_id=ticket_id, took_s=(at - run.began_at).total_seconds()))


def _miss(tx: Tx, run: DrillRun) -> None:
    """It pages, as what it found out would: by a ticket of its own."""
    if run.ticket_id is not None:
        _close(tx, run.ticket_id, f"drill {run.id}: no message was taken in time")
    store.save(tx, run, state=store.MISSED, ended_at=tx.now)
    tx.emit(DrillMissed(run.id, run.service, run.name, ticket_id=run.ticket_id, step=run.last_step))
    tickets.open_by_hand(
        tx,
        title=f"A page for {run.service} may not arrive: a drill was missed",
        description=f"Drill {run.id} was to be delivered within {run.within_s} s; it came as far as: {run.last_step}.",
        priority=Priority.P2,
        service=run.service,
        assignee=None,
    )


def _close(tx: Tx, ticket_id: int, note: str) -> None:
    ticket = tickets.get(tx, ticket_id)
    if ticket.status is Status.OPEN:
        ticket = tickets.change(tx, ticket_id, status=Status.IN_PROGRESS, edits={})
    if ticket.status is Status.IN_PROGRESS:
        resolution = tickets.Resolution(code="drill", note=note)
        tickets.change(tx, ticket_id, status=Status.RESOLVED, edits={}, resolution=resolution)
