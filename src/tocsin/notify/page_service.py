"""Use cases of calling people: each page becomes deliveries by that person's own rules."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from tocsin.kit.calendar import Calendar
from tocsin.kit.errors import NotFound
from tocsin.kit.events import (
    ChannelPaged,
    ContactMethodAdded,
    EscalationEnded,
    EscalationPaused,
    EscalationStopped,
    Event,
    PersonPaged,
    PersonUnreachable,
    Recorded,
)
from tocsin.notify import paging
from tocsin.notify.callers import Callers
from tocsin.notify.message import Kind
from tocsin.notify.paging import Calls, Rules
from tocsin.notify.routing import CONSOLE
from tocsin.notify.shielding import shielded
from tocsin.notify.wanted import Wanted
from tocsin.oncall import escalation_service, item_service, item_store, people_store
from tocsin.oncall.escalation import Target, TargetKind, by
from tocsin.oncall.item_service import NOTIFICATION_RULES
from tocsin.oncall.item_store import Item
from tocsin.oncall.person import Person
from tocsin.oncall.rota import Rota
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import service as ticket_service
from tocsin.tickets import sla_store
from tocsin.tickets.calendars import kept_calendar
from tocsin.tickets.store import Ticket
from tocsin.tickets.workflow import Status

_TOLD: Final = ("run_id", "policy", "round", "step", "route")


# Rules.


def save_rules(
    tx: Tx, person: str, definition: Mapping[str, Any], *, seen_version: int | None = None
) -> tuple[Item, bool]:
    """Say how somebody wants to be called, and whether that is new. Raises Invalid, PreconditionFailed."""
    rules = paging.definition_of(paging.rules_of(definition))
    return item_service.save(tx, NOTIFICATION_RULES, person, rules, seen_version=seen_version)


def rules_of(tx: ReadTx, person: str) -> Rules:
    """Somebody's own rules; what they leave out has its default."""
    item = item_store.get(tx, NOTIFICATION_RULES.name, person)
    return {} if item is None else paging.rules_of(item.definition)


def check_known(tx: ReadTx, person: str, rota: Rota) -> None:
    """Raises NotFound for nobody."""
    if person not in rota.people(tx, [person]):
        raise NotFound(what="user", id=person)


# Pages.


def call_people(tx: Tx, batch: Sequence[Recorded[PersonPaged]], callers: Callers) -> None:
    """Ask for the deliveries of each page."""
    for one in batch:
        shielded(
            tx,
            callers,
            lambda one=one: _call(tx, one, callers),  # type: ignore[misc]
            part=f"the call of {one.event.person}",
            about=Kind.PAGE,
            event_id=one.id,
            ticket_id=one.event.ticket_id,
        )


def take_back(
    tx: Tx, batch: Sequence[Recorded[EscalationStopped | EscalationPaused | EscalationEnded]], callers: Callers
) -> None:
    """Nobody is called any more, or for now: what was not sent is not sent."""
    for one in batch:
        callers.cancel(tx, one.event.ticket_id)


def call_channels(tx: Tx, batch: Sequence[Recorded[ChannelPaged]], callers: Callers) -> None:
    """Ask for the delivery of each call of a channel."""
    for one in batch:
        event = one.event
        wanted = Wanted(
            key=f"page:{one.id}",
            kind=Kind.PAGE,
            event_id=one.id,
            ticket_id=event.ticket_id,
            channel=event.channel,
            urgent=True,
            why=_why(event),
            facts=_facts(event),
        )
        shielded(
            tx,
            callers,
            lambda wanted=wanted: callers.plan(tx, [wanted]),  # type: ignore[misc]
            part=f"channel {event.channel}",
            about=Kind.PAGE,
            event_id=one.id,
            ticket_id=event.ticket_id,
        )


def _call(tx: Tx, recorded: Recorded[PersonPaged], callers: Callers) -> None:
    event = recorded.event
    ticket = ticket_service.get(tx, event.ticket_id)
    person = callers.rota.people(tx, [event.person]).get(event.person)
    if person is None:
        _unreachable(tx, recorded, callers, f"{event.person} is nobody known here", "the console")
        return
    found = calls_of(tx, person, ticket.priority, callers.rota)
    if not found.calls and person.email is not None:
        _add_email(tx, person.name, person.email)
        found = calls_of(tx, person, ticket.priority, callers.rota)
    if found.warning is not None:
        fallback = "email" if found.calls else "the console"
        _unreachable(tx, recorded, callers, found.warning, fallback)
    callers.plan(tx, [_wanted(recorded, call, place, ticket) for place, call in enumerate(found.calls, 1)])


def calls_of(tx: ReadTx, person: Person, priority: int, rota: Rota, *, at: datetime | None = None) -> Calls:
    """How somebody would be called, now or at an instant, for a ticket of that priority."""
    rules = rules_of(tx, person.name)
    named = {rule.calendar for some in rules.values() for rule in some if rule.calendar is not None}
    methods = rota.methods(tx, [person.name]).get(person.name, ())
    return paging.calls(person, methods, rules, priority=priority, at=at or tx.now, calendars=calendars(tx, named))


def calendars(tx: ReadTx, names: set[str]) -> dict[str, Calendar]:
    """The calendars of these names that there are."""
    found = {name: sla_store.get(tx, sla_store.CALENDAR, name) for name in sorted(names)}
    return {name: kept_calendar(item.definition) for name, item in found.items() if item is not None}


def _wanted(recorded: Recorded[PersonPaged], call: paging.Call, place: int, ticket: Ticket) -> Wanted:
    event = recorded.event
    return Wanted(
        key=f"page:{recorded.id}:{place}",
        kind=Kind.PAGE,
        event_id=recorded.id,
        ticket_id=event.ticket_id,
        method_id=call.method_id,
        person=event.person,
        otherwise=call.otherwise,
        due_at=call.due_at,
        unless_acknowledged=ticket.status is Status.OPEN,
        urgent=True,
        why={**_why(event), "rule": call.rule},
        facts=_facts(event),
    )


def _why(event: PersonPaged | ChannelPaged) -> dict[str, object]:
    told = {name: getattr(event, name) for name in _TOLD}
    return {"why": event.why, **{name: value for name, value in told.items() if value is not None}}


def _facts(event: PersonPaged | ChannelPaged) -> dict[str, object]:
    return {"why": event.why, "message": event.message, "again": event.again}


def _add_email(tx: Tx, name: str, email: str) -> None:
    """The address that is known of somebody without any way to be reached becomes one, which is not verified."""
    method_id = people_store.add_method(tx, name, paging.EMAIL, email)
    tx.emit(ContactMethodAdded(name, method_id=method_id, method=paging.EMAIL))


def _unreachable(tx: Tx, recorded: Recorded[PersonPaged], callers: Callers, reason: str, fallback: str) -> None:
    event = recorded.event
    warning = PersonUnreachable(event.ticket_id, event.person, reason=reason, fallback=fallback)
    tx.emit(warning, causes=[recorded.id])
    wanted = Wanted(
        key=f"unreachable:{recorded.id}",
        kind=Kind.PAGE,
        event_id=recorded.id,
        ticket_id=event.ticket_id,
        channel=CONSOLE,
        person=event.person,
        urgent=True,
        why={**_why(event), "unreachable": reason},
        facts=_facts(event),
    )
    callers.plan(tx, [wanted])


def page(tx: Tx, ticket_id: int, target: str, message: str, callers: Callers) -> list[str]:
    """Call somebody, a schedule, a team or a channel about a ticket now, or begin an escalation policy, by hand.

    Who was called, in words. Raises NotFound, and Conflict for a ticket that is over, or when nobody is there.
    """
    ticket = ticket_service.get(tx, ticket_id)
    ticket_service.check_unresolved(ticket)
    kind, _, name = target.partition(":")
    by_hand = f"called by {tx.actor.name}"
    if kind == "policy":
        row = escalation_service.begin(
            tx, ticket_id, name, priority=ticket.priority, rota=callers.rota, why=by_hand, message=message
        )
        return [f"policy {name}" if row is not None else f"policy {name} goes on already"]
    one = Target(TargetKind(kind), name)
    if one.kind is TargetKind.CHANNEL:
        tx.emit(ChannelPaged(ticket_id, name, why=by_hand, message=message))
        return [f"channel {name}"]
    people = escalation_service.named(tx, one, callers.rota)
    why = by_hand if one.kind is TargetKind.USER else f"{by_hand}: {by(one)}"
    told: list[Event] = [PersonPaged(ticket_id, person, why=why, message=message) for person in people]
    tx.emit(*told)
    return list(people)
