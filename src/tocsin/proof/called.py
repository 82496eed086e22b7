"""Why somebody was called about a ticket, how, and what came of it; or why not. Told from what was written then."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tocsin.kit.errors import NotFound
from tocsin.notify import delivery_store
from tocsin.notify.delivery_store import Attempt, Delivery, Wish
from tocsin.notify.message import Kind
from tocsin.oncall import escalation_service, escalation_store, item_store, people_store
from tocsin.oncall.escalation import State, Target, TargetKind, target_of
from tocsin.oncall.escalation_store import RunRow
from tocsin.oncall.item_service import ESCALATION_POLICY
from tocsin.oncall.rota import KEPT
from tocsin.proof import paging_store as store
from tocsin.storage.tx import ReadTx
from tocsin.tickets import service as tickets

MOST: Final = 1000
_TOLD: Final = ("PersonPaged", "PersonUnreachable", "NobodyOnCall", "RoutingFailed", "TicketRouted")


@dataclass(frozen=True, slots=True)
class Sent:
    """A delivery to somebody, and what the other side answered, try by try."""

    delivery: Delivery
    attempts: list[Attempt]


@dataclass(frozen=True, slots=True)
class Called:
    """One call of a person: when, why, by which route and step, and the deliveries by their own rules."""

    at: datetime
    why: str
    route: str | None
    policy: str | None
    round: int | None
    step: int | None
    sent: list[Sent]


@dataclass(frozen=True, slots=True)
class Told:
    """Whether somebody was called about a ticket, how, and otherwise why not, in sentences."""

    ticket_id: int
    person: str
    calls: list[Called]
    warnings: list[str]
    why_not: list[str]
    routes: list[dict[str, Any]]

    @property
    def paged(self) -> bool:
        return bool(self.calls)

    @property
    def heard(self) -> bool:
        """Whether anything was taken by a way of their own."""
        sent = [one.delivery for call in self.calls for one in call.sent if one.delivery.method_id is not None]
        return any(one.state is delivery_store.State.DELIVERED for one in sent)

    @property
    def summary(self) -> str:
        if not self.calls:
            return f"{self.person} was not called about ticket {self.ticket_id}."
        times = "once" if len(self.calls) == 1 else f"{len(self.calls)} times"
        heard = "and a message was taken" if self.heard else "but no message was taken so far"
        return f"{self.person} was called about ticket {self.ticket_id} {times}, {heard}."


def explain(tx: ReadTx, ticket_id: int, person: str) -> Told:
    """Everything that is known of one person and one ticket. Raises NotFound."""
    tickets.get(tx, ticket_id)
    events = store.happened_to(tx, ticket_id, _TOLD)
    if person not in people_store.users(tx, [person]) and not _is_named(events, person):
        raise NotFound(what="user", id=person)
    deliveries = delivery_store.matching(tx, Wish(ticket_id=ticket_id, person=person, kind=Kind.PAGE), limit=MOST)
    mine = [event for event in events if event.data.get("person") == person]
    calls = [_called(tx, event, deliveries) for event in mine if event.kind == "PersonPaged"]
    warnings = [
        f"{event.data['reason']}; {event.data['fallback']} was tried" for event in mine if "reason" in event.data
    ]
    warnings += [f"{event.data['part']} failed: {event.data['error']}" for event in events if "error" in event.data]
    routes = [dict(event.data) for event in events if event.kind == "TicketRouted"]
    return Told(ticket_id, person, calls, warnings, [] if calls else _why_not(tx, ticket_id, person, routes), routes)


def _is_named(events: Sequence[Any], person: str) -> bool:
    return any(event.data.get("person") == person for event in events)


def _called(tx: ReadTx, event: Any, deliveries: Sequence[Delivery]) -> Called:
    mine = [one for one in deliveries if one.event_id == event.id]
    sent = [Sent(one, delivery_store.attempts_of(tx, one.id)) for one in mine]
    told = {name: event.data.get(name) for name in ("why", "route", "policy", "round", "step")}
    return Called(at=event.at, sent=sent, **told)


def _why_not(tx: ReadTx, ticket_id: int, person: str, routes: Sequence[dict[str, Any]]) -> list[str]:
    """The reasons there are, the first ones first."""
    if not routes:
        return ["No route was about it: it went to the default channels, and nobody was called."]
    runs = escalation_store.of_ticket(tx, ticket_id)
    said = [_of_run(tx, row, person) for row in runs]
    if not runs:
        names = ", ".join(sorted({name for one in routes for name in one["routes"]}))
        said = [f"The routes that were about it ({names}) begin no escalation policy, and name nobody else."]
    user = people_store.users(tx, [person]).get(person)
    if user is not None and any(user.is_away(row.began_at) for row in runs):
        said.append(f"{person} was away then.")
    return said


def _stands_behind(tx: ReadTx, targets: Sequence[str], person: str) -> bool:
    """Whether somebody is meant by any of these targets, as things are now."""
    if str(Target(TargetKind.USER, person)) in targets:
        return True
    found = escalation_service.who(tx, [target_of(text) for text in targets], KEPT, tx.now)
    return any(person in people for people in found.values())


def _of_run(tx: ReadTx, row: RunRow, person: str) -> str:
    definition = item_store.definition(tx, ESCALATION_POLICY.name, row.policy, row.policy_version) or {"steps": []}
    steps = definition["steps"]
    places = [place for place, step in enumerate(steps, 1) if _stands_behind(tx, step["targets"], person)]
    name = f"Escalation policy {row.policy}"
    if not places:
        return f"{name} does not name {person}; none of its schedules and teams had them when their step was taken."
    if row.run.state is State.ENDED or row.run.state is State.WAITING:
        return f"{name} calls {person} in step {places[0]}; it stopped before, at step {row.run.step}."
    if row.run.paused:
        return f"{name} calls {person} in step {places[0]}; it stands still ({', '.join(row.run.paused)})."
    if row.run.state is State.CALLING and row.run.step <= len(steps):
        return f"{name} calls {person} in step {places[0]}; it is at step {row.run.step}, which is due later."
    return f"{name} calls {person} in step {places[0]}, and has taken all its steps: they were not there then."
