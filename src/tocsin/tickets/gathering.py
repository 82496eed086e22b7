"""Inhibition: an alert that follows from one upstream goes to that one's ticket, in place of a ticket of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from tocsin.alerts import declaration_store as declared
from tocsin.alerts import store as alerts
from tocsin.alerts.declaration_store import Part
from tocsin.alerts.dependencies import depths, steps_from, turned, way
from tocsin.alerts.silencing import STILL_FIRES_WITHIN
from tocsin.alerts.suppression import INHIBITION, by
from tocsin.kit.events import AlertJoined, Event, TicketCauseSuspected, TicketEffectSuspected
from tocsin.query.letters import fold
from tocsin.storage.tx import Tx
from tocsin.tickets import inhibition_store, store
from tocsin.tickets.inhibition import LEAST, SHORTLY_BEFORE, Cause, Firing, causes, root_of
from tocsin.tickets.inhibition_store import WithTicket
from tocsin.tickets.wanting import Wanting, most_urgent
from tocsin.tickets.workflow import UNRESOLVED

MAX_EFFECTS: Final = 100  # so many tickets a ticket is said to have caused, at most, when it opens
Groups = Mapping[str, Sequence[Wanting]]  # what wants a ticket, by correlation key


@dataclass(frozen=True, slots=True)
class Gathering:
    """Which correlation keys go where because of what depends on what.

    `cause_of` holds their alerts' causes, `tickets` the keys whose cause has its ticket already, and `followers` those
    that go where another key of this transaction goes.
    """

    above: Part = field(default_factory=Part)
    below: Part = field(default_factory=Part)
    cause_of: dict[str, int] = field(default_factory=dict)
    tickets: dict[str, int] = field(default_factory=dict)
    followers: dict[str, str] = field(default_factory=dict)
    services: dict[int, tuple[str, str]] = field(default_factory=dict)

    @property
    def keys(self) -> set[str]:
        """The keys that need no ticket of their own."""
        return self.tickets.keys() | self.followers.keys()

    def ticket_of(self, new_keys: Mapping[str, int]) -> dict[str, int]:
        """The ticket of each key that needs none of its own, once those that do have theirs."""
        return self.tickets | {key: new_keys[root] for key, root in self.followers.items()}

    def suppressed(self, groups: Groups) -> dict[int, str]:
        """By alert, the alert that it is suppressed by."""
        return {one.alert_id: by(INHIBITION, cause) for key, cause in self.cause_of.items() for one in groups[key]}

    def joining(self, one: Wanting, ticket_id: int) -> AlertJoined:
        """The event that tells how an alert came to a ticket that another one brought."""
        cause = self.cause_of.get(one.correlation_key)
        if cause is None:
            return AlertJoined(ticket_id, one.alert_id)
        key, name = self.services[cause]
        steps = way(self.above.edges, fold(one.service), key) or []
        names = [one.service, *(self.above.names[step] for step in steps[1:])] if steps else []
        return AlertJoined(ticket_id, one.alert_id, cause, name, tuple(names))


def gather(tx: Tx, groups: Groups, joined: Mapping[str, int]) -> Gathering:
    """Decide which keys follow from an alert upstream. `joined` are the keys that have an open ticket, and which.

    The tickets that others are gathered in are held until the transaction ends, so that none is resolved without them.
    """
    if not declared.any_dependency(tx):
        return Gathering()
    services = {fold(one.service) for one in chain.from_iterable(groups.values())}
    above, below = declared.upstream_part(tx, services), declared.downstream_part(tx, services)
    if not above.edges and not below.edges:
        return Gathering()
    declared.hold(tx, dict.fromkeys(above.names, False) | dict.fromkeys(services, True))
    # What joins a ticket explains others from now on.
    alerts.assign_ticket(tx, {one.alert_id: ticket for key, ticket in joined.items() for one in groups[key]})
    found = Gathering(above, below)
    if above.edges:
        _decide(tx, found, {key: group for key, group in groups.items() if key not in joined})
        found.cause_of.update(inhibition_store.gathered(tx, joined))
        found.services.update(inhibition_store.services_of(tx, set(found.cause_of.values())))
    return found


def _decide(tx: Tx, found: Gathering, groups: Groups) -> None:
    depth = depths(found.above.edges)
    firing = _firing(tx, found.above, groups)
    wanting = {one.alert_id: (key, one) for key, group in groups.items() for one in [_standing_for(group, depth)]}
    decided, ticket_of = _held(tx, [_as_firing(groups[key], one) for key, one in wanting.values()], firing, found.above)
    for alert_id, cause in decided.items():
        key = wanting[alert_id][0]
        root = root_of(alert_id, decided)
        found.cause_of[key] = cause.alert_id
        if root in ticket_of:
            found.tickets[key] = ticket_of[root]
        else:
            found.followers[key] = wanting[root][0]


def _firing(tx: Tx, above: Part, groups: Groups) -> list[WithTicket]:
    """What fires upstream. The ticket of a storm that an alert is released from says nothing about others."""
    released_from = {one.released_from for one in chain.from_iterable(groups.values())} - {None}
    found = inhibition_store.firing(tx, above.names, tx.now - STILL_FIRES_WITHIN)
    return [one for one in found if one.ticket_id not in released_from]


def _standing_for(group: Sequence[Wanting], depth: Mapping[str, int]) -> Wanting:
    """The alert of a key that is furthest upstream: what explains it must explain all."""
    return min(group, key=lambda one: (depth.get(fold(one.service), 0), one.alert_id))


def _as_firing(group: Sequence[Wanting], standing: Wanting) -> Firing:
    service = fold(standing.service)
    beside = {fold(one.service) for one in group} - {service}
    return Firing(standing.alert_id, service, int(most_urgent(group)), tuple(sorted(beside)))


def _held(
    tx: Tx, wanting: Sequence[Firing], firing: Sequence[WithTicket], above: Part
) -> tuple[dict[int, Cause], dict[int, int]]:
    """The causes, and the tickets of those that fire already. Those in use are held, and are not resolved meanwhile."""
    held: dict[int, store.Ticket] = {}
    while True:
        over = {ticket.id for ticket in held.values() if ticket.status not in UNRESOLVED}
        ticket_of = {one.alert_id: one.ticket_id for one in firing if one.ticket_id not in over}
        still = [Firing(o.alert_id, o.service_key, o.priority) for o in firing if o.alert_id in ticket_of]
        decided = causes(wanting, still, above.edges)
        roots = {root_of(alert_id, decided) for alert_id in decided}
        used = {ticket_of[root] for root in roots if root in ticket_of} - held.keys()
        if not used:
            return decided, ticket_of
        held |= store.hold_many(tx, used)


def suspect(tx: Tx, found: Gathering, groups: Groups, ticket_of_key: Mapping[str, int]) -> list[tuple[Event, int]]:
    """Name the probable cause of what opened downstream shortly before: on both tickets, which stay two."""
    if not found.below.edges:
        return []
    downstream = turned(found.below.edges)
    firsts: dict[tuple[int, str], Wanting] = {}
    for key in sorted(groups.keys() - found.cause_of.keys()):
        for one in groups[key]:
            if fold(one.service) in downstream:
                firsts.setdefault((ticket_of_key[key], fold(one.service)), one)
    priorities = store.priorities(tx, {ticket_id for ticket_id, _ in firsts})
    told: list[tuple[Event, int]] = []
    for (ticket_id, service), cause in sorted(firsts.items()):
        if priorities[ticket_id] > LEAST:
            continue
        told += _suspect(tx, cause, ticket_id, set(steps_from(downstream, service)))
    return told


def _suspect(tx: Tx, cause: Wanting, ticket_id: int, downstream: set[str]) -> list[tuple[Event, int]]:
    since = tx.now - SHORTLY_BEFORE
    known = inhibition_store.suspected(tx, ticket_id) | {ticket_id}
    told: list[tuple[Event, int]] = []
    for effect in inhibition_store.opened_since(tx, downstream, since, limit=MAX_EFFECTS):
        if effect.ticket_id in known:
            continue
        known.add(effect.ticket_id)
        on_effect = TicketCauseSuspected(effect.ticket_id, ticket_id, cause.alert_id, cause.service)
        on_cause = TicketEffectSuspected(ticket_id, effect.ticket_id, effect.alert_id, effect.service)
        told += [(on_cause, cause.event_id), (on_effect, cause.event_id)]
    return told
