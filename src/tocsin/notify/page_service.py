"""Use cases of calling people: each page becomes deliveries by that person's own rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
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
from tocsin.notify import channel_store, delivery_store, paging, reaching
from tocsin.notify.callers import Callers
from tocsin.notify.delivery_store import Delivery, Wish
from tocsin.notify.message import Kind
from tocsin.notify.paging import Calls, Rules
from tocsin.notify.routing import CONSOLE
from tocsin.notify.shielding import shielded, together
from tocsin.notify.wanted import Wanted
from tocsin.oncall import escalation_service, item_service, item_store, people_store, reference_service
from tocsin.oncall.escalation import Target, TargetKind, by
from tocsin.oncall.item_service import NOTIFICATION_RULES
from tocsin.oncall.item_store import Item
from tocsin.oncall.person import Method, Person
from tocsin.oncall.rota import Rota
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import service as ticket_service
from tocsin.tickets import sla_store
from tocsin.tickets import store as tickets
from tocsin.tickets.calendars import kept_calendar
from tocsin.tickets.store import Ticket
from tocsin.tickets.workflow import Status

_TOLD: Final = ("run_id", "policy", "round", "step", "route")
MOST_CALLS: Final = 1000


# Rules.


def save_rules(
    tx: Tx, person: str, definition: Mapping[str, Any], *, seen_version: int | None = None
) -> tuple[Item, bool]:
    """Say how somebody wants to be called, and whether that is new. Raises Invalid, PreconditionFailed."""
    rules = paging.rules_of(definition)
    item_store.lock(tx)
    reference_service.check(tx, paging.references_of(rules))
    return item_service.save(tx, NOTIFICATION_RULES, person, paging.definition_of(rules), seen_version=seen_version)


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
    """Ask for the deliveries of each page: of all together, and one by one where that raises."""
    callers = callers.remembering()
    if together(tx, partial(_call, tx, batch, callers), part="the calls"):
        return
    for one in batch:
        shielded(
            tx,
            callers,
            partial(_call, tx, [one], callers),
            part=f"the call of {one.event.person}",
            about=Kind.PAGE,
            event_id=one.id,
            ticket_id=one.event.ticket_id,
        )


def take_back(
    tx: Tx, batch: Sequence[Recorded[EscalationStopped | EscalationPaused | EscalationEnded]], callers: Callers
) -> None:
    """A run calls nobody any more, or for now: what it asked for and was not sent is not sent. Others go on."""
    for one in batch:
        callers.cancel(tx, one.event.ticket_id, one.event.run_id)


def call_channels(tx: Tx, batch: Sequence[Recorded[ChannelPaged]], callers: Callers) -> None:
    """Ask for the delivery of each call of a channel: of all together, and one by one where that raises."""
    about = tickets.get_many(tx, {one.event.ticket_id for one in batch})
    wanted = [_of_channel(one, about.get(one.event.ticket_id)) for one in batch]
    if together(tx, partial(callers.plan, tx, wanted), part="the calls"):
        return
    for one, call in zip(batch, wanted, strict=True):
        shielded(
            tx,
            callers,
            partial(callers.plan, tx, [call]),
            part=f"channel {one.event.channel}",
            about=Kind.PAGE,
            event_id=one.id,
            ticket_id=one.event.ticket_id,
        )


def _of_channel(one: Recorded[ChannelPaged], ticket: Ticket | None) -> Wanted:
    event = one.event
    return Wanted(
        key=f"page:{one.id}",
        kind=Kind.PAGE,
        event_id=one.id,
        ticket_id=event.ticket_id,
        channel=event.channel,
        unless_acknowledged=ticket is not None and ticket.status is Status.OPEN,
        urgent=True,
        why=_why(event),
        facts=_facts(event),
    )


def _call(tx: Tx, batch: Sequence[Recorded[PersonPaged]], callers: Callers) -> None:
    about = tickets.get_many(tx, {one.event.ticket_id for one in batch})
    people = callers.rota.people(tx, {one.event.person for one in batch})
    ways = _ways_of(tx, list(people), callers.rota)
    wanted: list[Wanted] = []
    for one in batch:
        ticket, person = about.get(one.event.ticket_id), people.get(one.event.person)
        if ticket is None:
            raise NotFound(what="ticket", id=one.event.ticket_id)
        if person is None:
            wanted.append(_unreachable(tx, one, f"{one.event.person} is nobody known here", "the console"))
            continue
        found = ways.calls(person, ticket.priority, tx.now)
        if not found.calls and person.email is not None:
            _add_email(tx, person.name, person.email)
            ways.methods.update(callers.rota.methods(tx, [person.name]))
            found = ways.calls(person, ticket.priority, tx.now)
        if found.warning is not None:
            wanted.append(_unreachable(tx, one, found.warning, "email" if found.calls else "the console"))
        wanted += [_wanted(one, call, place, ticket) for place, call in enumerate(found.calls, 1)]
    callers.plan(tx, wanted)


@dataclass(frozen=True, slots=True)
class _Ways:
    """How people can be called, and want to be, looked up for many at once."""

    methods: dict[str, Sequence[Method]]
    rules: Mapping[str, Rules]
    calendars: Mapping[str, Calendar]

    def calls(self, person: Person, priority: int, at: datetime) -> Calls:
        methods, rules = self.methods.get(person.name, ()), self.rules.get(person.name, {})
        return paging.calls(person, methods, rules, priority=priority, at=at, calendars=self.calendars)


def _ways_of(tx: ReadTx, names: Sequence[str], rota: Rota) -> _Ways:
    items = item_store.some(tx, NOTIFICATION_RULES.name, names)
    rules = {name: paging.rules_of(item.definition) for name, item in items.items()}
    said = [rule for mine in rules.values() for some in mine.values() for rule in some]
    named = {rule.calendar for rule in said if rule.calendar is not None}
    return _Ways(dict(rota.methods(tx, names)), rules, calendars(tx, named))


def calls_of(tx: ReadTx, person: Person, priority: int, rota: Rota, *, at: datetime | None = None) -> Calls:
    """How somebody would be called, now or at an instant, for a ticket of that priority."""
    return _ways_of(tx, [person.name], rota).calls(person, priority, at or tx.now)


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


def _unreachable(tx: Tx, recorded: Recorded[PersonPaged], reason: str, fallback: str) -> Wanted:
    """Say on the ticket that somebody can't be called; what the console is to hear of it."""
    event = recorded.event
    warning = PersonUnreachable(event.ticket_id, event.person, reason=reason, fallback=fallback)
    tx.emit(warning, causes=[recorded.id])
    return Wanted(
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


@dataclass(frozen=True, slots=True)
class Reach:
    """Whom a call by hand has a message on its way to, and what keeps it from others, in words."""

    people: tuple[str, ...]
    channels: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def anybody(self) -> bool:
        return bool(self.people or self.channels)


def page_and_look(tx: Tx, ticket_id: int, target: str, message: str, callers: Callers) -> tuple[list[str], Reach]:
    """Call as `page` does, and tell what came of it once all that follows is settled. Raises as `page` does."""
    mine = Wish(ticket_id=ticket_id, kind=Kind.PAGE)
    before = max((one.id for one in delivery_store.page(tx, mine, before=None, limit=1)), default=0)
    called = page(tx, ticket_id, target, message, callers)
    tx.settle()
    newest = delivery_store.page(tx, mine, before=None, limit=MOST_CALLS)
    return called, _reach_of(tx, target, [one for one in reversed(newest) if one.id > before], callers)


def _reach_of(tx: ReadTx, target: str, asked: Sequence[Delivery], callers: Callers) -> Reach:
    """A channel counts where it was asked for: what is told to the default ones because nobody is there reaches
    nobody."""
    targets = _targets(tx, target)
    named = {one.name for one in targets if one.kind is TargetKind.CHANNEL}
    wanted = {one.channel for one in asked if one.person is None and one.channel is not None} & named
    channels = sorted(channel_store.usable(tx, wanted))
    people, problems = _reached(tx, asked)
    problems += escalation_service.absences(tx, targets, callers.rota, tx.now)
    if not asked:
        problems.insert(0, f"{target} goes on already, and calls whoever is next by itself")
    return Reach(tuple(people), tuple(channels), tuple(dict.fromkeys(problems)))


def _targets(tx: ReadTx, target: str) -> list[Target]:
    kind, _, name = target.partition(":")
    if kind != "policy":
        return [Target(TargetKind(kind), name)]
    policy = escalation_service.policy(tx, name)
    named = [one for step in policy.steps for one in step.targets]
    return list(dict.fromkeys([*named, *([] if policy.fallback is None else [policy.fallback])]))


def not_carried(name: str) -> str:
    """That somebody has ways to be reached, and no channel is of their kinds, in words."""
    return f"no channel carries a way to reach {name}"


def _reached(tx: ReadTx, asked: Sequence[Delivery]) -> tuple[list[str], list[str]]:
    """Whoever has a way that a channel carries, and what is wrong with the ways of others."""
    mine = [one for one in asked if one.method_id is not None]
    ids = {one_id for one in mine for one_id in (one.method_id, *one.otherwise) if one_id is not None}
    carried = reaching.methods(tx, ids).keys()
    people = {str(one.person): False for one in mine}
    for one in mine:
        people[str(one.person)] |= not carried.isdisjoint({one.method_id, *one.otherwise})
    problems = [str(one.why["unreachable"]) for one in asked if "unreachable" in one.why]
    problems += [not_carried(name) for name, there in people.items() if not there]
    return [name for name, there in people.items() if there], problems
