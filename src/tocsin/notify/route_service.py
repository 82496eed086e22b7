"""Use cases of routes: make, order; and what follows from events of tickets: who hears, who is called."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from typing import Any, Final

from tocsin.alerts import store as alerts
from tocsin.alerts.suppression import FLAP, parts
from tocsin.kit.calendar import Calendar
from tocsin.kit.clock import to_us
from tocsin.kit.errors import FieldError, Invalid, NotFound
from tocsin.kit.events import (
    AlertReleased,
    Event,
    PersonPaged,
    Recorded,
    RoutesReordered,
    SlaAtRisk,
    SlaBreached,
    TicketAbsorbed,
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
    TicketRouted,
    TicketUnmerged,
)
from tocsin.kit.priorities import Priority
from tocsin.notify import channel_store, page_service, routing
from tocsin.notify.callers import Callers
from tocsin.notify.message import Kind
from tocsin.notify.reference_store import NAMES
from tocsin.notify.routing import CONSOLE, Decision, Facts, Route
from tocsin.notify.shielding import Guard, bare, shielded, tell, together
from tocsin.notify.wanted import Wanted
from tocsin.oncall import escalation_service, escalation_store, item_service, item_store, reference_service
from tocsin.oncall.escalation import Target, TargetKind, by
from tocsin.oncall.item_service import ROUTE
from tocsin.oncall.item_store import Item
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import service as ticket_service
from tocsin.tickets import sla_service
from tocsin.tickets import store as tickets
from tocsin.tickets.fields import TICKETS
from tocsin.tickets.sla_service import Standing
from tocsin.tickets.store import Ticket
from tocsin.tickets.workflow import HANDED_BACK, REOPENED_BY_ALERT, Status

_MOVES: Final = {"IN_PROGRESS": Kind.ACKNOWLEDGED, "RESOLVED": Kind.RESOLVED, "CLOSED": Kind.CLOSED}
_KINDS: Final[Mapping[type[Event], Kind]] = {
    TicketOpened: Kind.OPENED,
    TicketReopened: Kind.REOPENED,
    SlaAtRisk: Kind.SLA,
    SlaBreached: Kind.SLA,
    **dict.fromkeys(
        (
            TicketEdited,
            TicketPrioritised,
            TicketHeld,
            TicketResumed,
            TicketCommented,
            TicketMerged,
            TicketUnmerged,
            TicketAbsorbed,
            TicketHandedBack,
        ),
        Kind.UPDATED,
    ),
}
_ENDS_CALLS: Final = frozenset({Kind.ACKNOWLEDGED, Kind.RESOLVED, Kind.CLOSED})


# Routes.


def save(
    tx: Tx, name: str, definition: Mapping[str, Any], *, seen_version: int | None = None, place: int | None = None
) -> tuple[Item, bool]:
    """Make or replace a route, and whether it is new; a new one is tried last. Raises Invalid, PreconditionFailed."""
    route = routing.route_of(name, definition)
    routing.check(route, tx.now)
    item_store.lock(tx)
    reference_service.check(tx, route.references(), NAMES)
    return item_service.save(tx, ROUTE, name, route.definition(), seen_version=seen_version, place=place)


def reorder(tx: Tx, names: Sequence[str]) -> list[Item]:
    """Let routes be tried in this order. Raises Invalid unless each is named once."""
    item_store.lock(tx)
    here = [item.name for item in item_store.in_order(tx, ROUTE.name)]
    if sorted(names) != sorted(here):
        missing, more = sorted(set(here) - set(names)), sorted(set(names) - set(here))
        detail = "expected each route once"
        detail += f"; missing: {', '.join(missing)}" if missing else ""
        detail += f"; unknown: {', '.join(more)}" if more else ""
        raise Invalid(f"names: {detail}", errors=(FieldError("/names", detail),))
    if list(names) != here:
        item_store.place_in_order(tx, ROUTE.name, names)
        tx.emit(RoutesReordered(tuple(names)))
    return item_store.in_order(tx, ROUTE.name)


def all_of(tx: ReadTx) -> list[Route]:
    """The routes in their order."""
    return [
        routing.route_of(item.name, item.definition, version=item.version, place=item.place)
        for item in item_store.in_order(tx, ROUTE.name)
    ]


@dataclass(frozen=True, slots=True)
class Book:
    """What decides, read once for however many events: the routes, their calendars, and the default channels."""

    routes: Sequence[Route]
    calendars: Mapping[str, Calendar]
    default: Sequence[str]

    @property
    def asks_for_sla(self) -> bool:
        return any("sla" in route.query for route in self.routes)

    def decide(self, facts: Facts, kind: Kind, now: datetime) -> Decision:
        """Which routes match what happened to a ticket, and what they lead to."""
        return routing.decide(self.routes, facts, kind, now, calendars=self.calendars, default=self.default)


def book_of(tx: ReadTx) -> Book:
    """Routes and what they name, as they are now."""
    routes = all_of(tx)
    named = {route.calendar for route in routes if route.calendar is not None}
    return Book(routes, page_service.calendars(tx, named), channel_store.defaults(tx) or (CONSOLE,))


def decide(tx: ReadTx, ticket: Ticket, kind: Kind, book: Book) -> Decision:
    """Which routes match an event of a ticket, and what they lead to, now."""
    return book.decide(_facts_of(tx, [ticket], with_sla=book.asks_for_sla)[ticket.id], kind, tx.now)


def facts_of(tx: ReadTx, ticket: Ticket) -> Facts:
    """What routes look at in a ticket."""
    return _facts_of(tx, [ticket], with_sla=True)[ticket.id]


def _facts_of(tx: ReadTx, about: Collection[Ticket], *, with_sla: bool) -> dict[int, Facts]:
    standings = sla_service.standings(tx, about) if with_sla else {}
    return {ticket.id: _facts(ticket, standings.get(ticket.id)) for ticket in about}


def _facts(ticket: Ticket, standing: Standing | None) -> Facts:
    columns: dict[str, Any] = {}
    for one in TICKETS.fields:
        value = getattr(ticket, one.stored_as, None)
        columns[one.stored_as] = to_us(value) if isinstance(value, datetime) else value
    columns["status"] = ticket.status.value
    return Facts(columns, ticket.tags, None if standing is None or standing.state is None else standing.state.value)


# What happens to tickets (see `pipeline`).


@dataclass(frozen=True, slots=True)
class _News:
    """An event of a ticket that people hear of."""

    recorded: Recorded[Any]
    kind: Kind
    ticket_id: int

    @property
    def event(self) -> Any:
        return self.recorded.event

    @property
    def alert_id(self) -> int | None:
        """The alert that brought it on."""
        return self.event.alert_id if isinstance(self.event, TicketOpened | TicketReopened) else None

    def names(self) -> dict[str, Any]:
        """As `shielding` wants it."""
        return {"about": self.kind, "event_id": self.recorded.id, "ticket_id": self.ticket_id}


def hear(tx: Tx, batch: Sequence[Recorded[Any]], callers: Callers) -> None:
    """Events of tickets: whoever routes name hears of them, and is called where that is asked for.

    A commit may open many tickets, and has the write lock meanwhile: all are looked up and planned together. Where
    that raises they are planned one by one, each part by itself, so that what is broken stops nobody else.
    """
    callers = callers.remembering()
    last = {one.event.ticket_id: one.id for one in batch if isinstance(one.event, TicketMoved)}
    # Of several moves at once only the last one is news.
    told = [one for one in batch if last.get(one.event.ticket_id, one.id) == one.id]
    news = [_News(one, _kind(one.event), one.event.ticket_id) for one in told]
    if together(tx, partial(_hear, tx, callers, news, bare), part="the routes"):
        return
    for one_news in news:
        alone = partial(_hear, tx, callers, [one_news], shielded)
        shielded(tx, callers, alone, part="the routes", **one_news.names())


def _kind(event: Event) -> Kind:
    return _MOVES[event.after] if isinstance(event, TicketMoved) else _KINDS[type(event)]


def _hear(tx: Tx, callers: Callers, news: Sequence[_News], guard: Guard) -> None:
    about = tickets.get_many(tx, {one.ticket_id for one in news})
    for one in news:
        if one.kind in _ENDS_CALLS or isinstance(one.event, TicketMerged):
            callers.cancel(tx, one.ticket_id)
    flapping = _flapping(tx, news)
    found = _decide_all(tx, [one for one in news if one.alert_id not in flapping], about)
    _tell_routed(tx, callers, found)
    flaps = [one for one in news if one.alert_id in flapping]
    wanted = [(one, _wanted(one, CONSOLE, None, why="it flaps: nobody is called for it")) for one in flaps]
    wanted += [(one, _wanted(one, *way)) for one, decision in found for way in decision.channels.items()]
    _plan(tx, callers, wanted, guard)
    for one, decision in found:
        if _calls(one.event):
            _call(tx, callers, one, decision, about[one.ticket_id], guard=guard)


def _decide_all(tx: Tx, news: Sequence[_News], about: Mapping[int, Ticket]) -> list[tuple[_News, Decision]]:
    """What routes say of each. Raises NotFound."""
    book = book_of(tx)
    facts = _facts_of(tx, about.values(), with_sla=book.asks_for_sla)
    for one in news:
        if one.ticket_id not in facts:
            raise NotFound(what="ticket", id=one.ticket_id)
    return [(one, book.decide(facts[one.ticket_id], one.kind, tx.now)) for one in news]


def _tell_routed(tx: Tx, callers: Callers, found: Sequence[tuple[_News, Decision]]) -> None:
    """On each ticket, which routes it went by, and which of them failed."""
    for one, decision in found:
        for failed in decision.failed:
            tell(tx, callers, failed.error or "", part=f"route {failed.route.name}", **one.names())
    matched = [(one, decision) for one, decision in found if decision.matched]
    routed = [
        TicketRouted(
            one.ticket_id,
            about=one.kind.value,
            routes=decision.matched,
            channels=tuple(decision.channels),
            policies=tuple(decision.policies),
        )
        for one, decision in matched
    ]
    tx.emit(*routed, causes=[one.recorded.id for one, _ in matched])


def _wanted(news: _News, channel: str, route: str | None, *, why: str = "") -> Wanted:
    reason: dict[str, object] = {"why": why or f"route {route}", "route": route}
    if route is None:
        reason = {"why": why or "no route is about it", "route": "default"}
    return Wanted(
        key=f"event:{news.recorded.id}:{channel}",
        kind=news.kind,
        event_id=news.recorded.id,
        ticket_id=news.ticket_id,
        channel=channel,
        why=reason,
    )


def _plan(tx: Tx, callers: Callers, wanted: Sequence[tuple[_News, Wanted]], guard: Guard) -> None:
    """A delivery for each channel. By themselves, one that can't be planned is told of, and the others go on."""
    if guard is bare:
        callers.plan(tx, [one for _, one in wanted])
        return
    for news, one in wanted:
        guard(tx, callers, partial(callers.plan, tx, [one]), part=f"channel {one.channel}", **news.names())


def _flapping(tx: ReadTx, news: Sequence[_News]) -> set[int | None]:
    """The alerts that brought these on whose changes tell nobody anything."""
    wanted = {one.alert_id for one in news if one.alert_id is not None}
    if not wanted:
        return set()
    found = {alert.id: alert for alert in alerts.open_alerts_by_id(tx, wanted)}
    found |= {one.id: one for one in (alerts.get(tx, alert_id) for alert_id in wanted - found.keys()) if one}
    return {alert.id for alert in found.values() if parts(alert.suppressed_by)[0] == FLAP}


def _calls(event: Event) -> bool:
    """Whether people are to be called: not for what a person has taken up."""
    if isinstance(event, TicketReopened):
        return event.after == REOPENED_BY_ALERT.value
    return isinstance(event, TicketOpened | SlaAtRisk | SlaBreached)


def _call(
    tx: Tx, callers: Callers, news: _News, found: Decision, ticket: Ticket, *, why: str = "", guard: Guard = shielded
) -> None:
    """Begin the policies of the routes that matched, and call whoever is on call in their schedules and teams."""
    opened, taken = isinstance(news.event, TicketOpened), ticket.status is not Status.OPEN
    # What was split from a ticket that somebody works on is theirs already: they know.
    known = opened and taken and news.event.split_from is not None
    assignee = ticket.assignee if opened and not known else None
    assigned = assignee is not None and _is_somebody(tx, callers, assignee)
    if assignee is not None and assigned:
        escalation_service.tell_assignee(tx, ticket.id, assignee, callers.rota)
    elif assignee is not None and (found.policies or found.schedules or found.teams):
        error = f"it is assigned to {assignee}, who is nobody known here: others are called"
        tell(tx, callers, error, part="the assignee", **news.names())
    for policy, route in found.policies.items():
        begin = partial(
            escalation_service.begin,
            tx,
            ticket.id,
            policy,
            priority=ticket.priority,
            rota=callers.rota,
            why=why or f"route {route}: {news.kind.value}",
            route=route,
            has_assignee=assigned or ticket.status is Status.IN_PROGRESS,
        )
        guard(tx, callers, begin, part=f"escalation policy {policy}", **news.names())
    if not assigned and not (opened and taken):
        _call_once(tx, callers, news, found)


def _is_somebody(tx: ReadTx, callers: Callers, assignee: str) -> bool:
    """Whether an assignee can hear of a ticket; anybody may be named."""
    return assignee in callers.rota.people(tx, [assignee])


def _call_once(tx: Tx, callers: Callers, news: _News, found: Decision) -> None:
    """Call whoever is on call in the schedules and teams that routes name: each once, a policy's call counted."""
    route_of = {Target(TargetKind.SCHEDULE, name): route for name, route in found.schedules.items()}
    route_of |= {Target(TargetKind.TEAM, name): route for name, route in found.teams.items()}
    for target, people in escalation_service.who(tx, route_of, callers.rota, tx.now).items():
        route = route_of[target]
        why = f"route {route}: {by(target)}"
        called = escalation_service.called_now(tx, news.ticket_id)
        anew = sorted(name for name in people if name not in called)
        pages = [PersonPaged(news.ticket_id, name, why=why, route=route) for name in anew]
        tx.emit(*pages, causes=[news.recorded.id] * len(pages))
        if not people:
            tell(tx, callers, f"nobody is {by(target)}", part=f"route {route}", **news.names())


def call_again(tx: Tx, batch: Sequence[Recorded[TicketHandedBack | TicketUnmerged]], callers: Callers) -> None:
    """Tickets that wait for somebody again, and that no run calls for: as if they had been reopened."""
    book = cache(partial(book_of, tx))
    for one in batch:
        if one.event.after == HANDED_BACK.value and not escalation_store.goes_on(tx, one.event.ticket_id):
            _call_as_reopened(tx, callers, one, one.event.ticket_id, book, why="it waits for somebody again")


def call_for_calmed(tx: Tx, batch: Sequence[Recorded[AlertReleased]], callers: Callers) -> None:
    """What flapped, and fires on now that it is calm, is called for, if its ticket waits for somebody."""
    flapped = [one for one in batch if one.event.suppressed_by == FLAP]
    book = cache(partial(book_of, tx))
    for one in flapped:
        for alert in alerts.open_alerts_by_id(tx, [one.event.alert_id]):
            ticket = None if alert.ticket_id is None else tickets.get(tx, alert.ticket_id)
            if ticket is None or ticket.status is not Status.OPEN or escalation_store.goes_on(tx, ticket.id):
                continue
            _call_as_reopened(tx, callers, one, ticket.id, book, why="it fires on, and flaps no more")


def _call_as_reopened(
    tx: Tx, callers: Callers, one: Recorded[Any], ticket_id: int, book: Callable[[], Book], *, why: str
) -> None:
    news = _News(one, Kind.REOPENED, ticket_id)

    def work() -> None:
        ticket = ticket_service.get(tx, ticket_id)
        _call(tx, callers, news, decide(tx, ticket, Kind.REOPENED, book()), ticket, why=why)

    shielded(tx, callers, work, part="the routes", **news.names())


def replan(tx: Tx, batch: Sequence[Recorded[TicketPrioritised | TicketEdited]], callers: Callers) -> None:
    """Another priority, team or tag may mean other routes: runs that none asks for any more end, others begin."""
    book = cache(partial(book_of, tx))
    for one in batch:
        event = one.event
        if isinstance(event, TicketEdited) and not {"team", "tags"} & event.after.keys():
            continue
        news = _News(one, Kind.OPENED, event.ticket_id)
        shielded(tx, callers, partial(_replan, tx, news, callers, book), part="the routes", **news.names())


def _replan(tx: Tx, news: _News, callers: Callers, book: Callable[[], Book]) -> None:
    ticket = ticket_service.get(tx, news.ticket_id)
    if ticket.status is not Status.OPEN:
        return
    found = decide(tx, ticket, Kind.OPENED, book())
    live = escalation_store.hold_live(tx, [ticket.id])
    gone = [row for row in live if row.route is not None and row.policy not in found.policies]
    for row in gone:
        escalation_service.end(tx, row, callers.rota, "no route asks for it any more")
    if gone and len(gone) == len(live):
        callers.cancel(tx, ticket.id)
    if ticket.assignee is not None and _is_somebody(tx, callers, ticket.assignee):
        return
    louder = isinstance(news.event, TicketPrioritised) and Priority[news.event.after] < Priority[news.event.before]
    begun = {row.policy for row in live}
    found = replace(found, policies={name: route for name, route in found.policies.items() if name not in begun})
    if not louder:
        found = replace(found, schedules={}, teams={})  # whoever is called once was called
    why = f"it is {Priority(ticket.priority).name} now" if louder else "routes say otherwise now"
    _call(tx, callers, news, found, ticket, why=why)
