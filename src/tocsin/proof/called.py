"""Why people were called about a ticket, how, and what came of it; or why not. Told from what was written then."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True, slots=True)
class EverybodyTold:
    """The same of everybody whom a ticket concerns, and what channels were told. `why_nobody`: why it is that nobody
    is concerned."""

    ticket_id: int
    people: list[Told]
    channels: list[Sent]
    warnings: list[str]
    why_nobody: list[str]
    routes: list[dict[str, Any]]

    @property
    def summary(self) -> str:
        called = [one.person for one in self.people if one.paged]
        heard = [one.person for one in self.people if one.heard]
        about = f"about ticket {self.ticket_id}"
        if not called:
            return f"Nobody was called {about}."
        return f"Called {about}: {', '.join(called)}. A message was taken by: {', '.join(heard) or 'nobody so far'}."


def explain(tx: ReadTx, ticket_id: int, person: str) -> Told:
    """Everything that is known of one person and one ticket. Raises NotFound."""
    known = _known(tx, ticket_id, Wish(ticket_id=ticket_id, person=person))
    if person not in people_store.users(tx, [person]) and person not in known.people:
        raise NotFound(what="user", id=person)
    told = _told(tx, known, person)
    return replace(told, warnings=[*told.warnings, *known.failures])


def explain_all(tx: ReadTx, ticket_id: int) -> EverybodyTold:
    """Everything that is known of one ticket: whoever was called, whoever its escalation policies name, and what
    channels were told. Raises NotFound."""
    known = _known(tx, ticket_id, Wish(ticket_id=ticket_id))
    people = dict.fromkeys([*known.people, *(name for row in known.runs for name in _meant(tx, row))])
    channels = [known.sent(one) for one in known.deliveries if one.person is None and one.channel is not None]
    why_nobody = [] if people else _why_nobody(known)
    return EverybodyTold(
        ticket_id, [_told(tx, known, one) for one in people], channels, known.failures, why_nobody, known.routes
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """What was written down of a ticket."""

    ticket_id: int
    events: Sequence[Any]
    deliveries: Sequence[Delivery]
    attempts: Mapping[int, list[Attempt]]
    runs: Sequence[RunRow]

    @property
    def people(self) -> list[str]:
        """Whoever was called, or was to be."""
        return list(dict.fromkeys(event.data["person"] for event in self.events if event.data.get("person")))

    @property
    def routes(self) -> list[dict[str, Any]]:
        return [dict(event.data) for event in self.events if event.kind == "TicketRouted"]

    @property
    def failures(self) -> list[str]:
        """What went wrong for more than one: steps that found nobody, parts that failed."""
        return [_in_vain(one.data) for one in self.events if one.kind == "NobodyOnCall"] + [
            f"{one.data['part']} failed: {one.data['error']}" for one in self.events if "error" in one.data
        ]

    def sent(self, one: Delivery) -> Sent:
        return Sent(one, self.attempts.get(one.id, []))


def _known(tx: ReadTx, ticket_id: int, wish: Wish) -> _Known:
    tickets.get(tx, ticket_id)
    deliveries = delivery_store.matching(tx, wish, limit=MOST)
    attempts = delivery_store.attempts_of_all(tx, [one.id for one in deliveries])
    events = store.happened_to(tx, ticket_id, _TOLD)
    return _Known(ticket_id, events, deliveries, attempts, escalation_store.of_ticket(tx, ticket_id))


def _in_vain(data: Mapping[str, Any]) -> str:
    step = f"step {data['step']} of escalation policy {data['policy']}, round {data['round']}"
    instead = f"; {data['fallback']} was to be called instead" if data["fallback"] else ""
    return f"{step}, found nobody behind {', '.join(data['wanted'])}{instead}"


def _told(tx: ReadTx, known: _Known, person: str) -> Told:
    mine = [event for event in known.events if event.data.get("person") == person]
    calls = [_called(known, event) for event in mine if event.kind == "PersonPaged"]
    warnings = [
        f"{event.data['reason']}; {event.data['fallback']} was tried" for event in mine if "reason" in event.data
    ]
    return Told(known.ticket_id, person, calls, warnings, [] if calls else _why_not(tx, known, person), known.routes)


def _called(known: _Known, event: Any) -> Called:
    sent = [known.sent(one) for one in known.deliveries if one.event_id == event.id and one.kind is Kind.PAGE]
    told = {name: event.data.get(name) for name in ("why", "route", "policy", "round", "step")}
    return Called(at=event.at, sent=sent, **told)


def _why_nobody(known: _Known) -> list[str]:
    """Why nobody is called, where no escalation policy is begun."""
    if not known.routes:
        return ["No route was about it: it went to the default channels, and nobody was called."]
    names = ", ".join(sorted({name for one in known.routes for name in one["routes"]}))
    if not known.runs:
        return [f"The routes that were about it ({names}) begin no escalation policy, and name nobody else."]
    return [f"Escalation policy {row.policy} names nobody who is there." for row in known.runs]


def _why_not(tx: ReadTx, known: _Known, person: str) -> list[str]:
    """The reasons there are, the first ones first."""
    runs = known.runs
    if not known.routes or not runs:
        return _why_nobody(known)
    said = [_of_run(tx, row, person) for row in runs]
    user = people_store.users(tx, [person]).get(person)
    if user is None or user.removed:
        said.append(f"There is no user {person}.")
    elif any(user.is_away(row.began_at) for row in runs):
        said.append(f"{person} was away then.")
    return said


def _steps(tx: ReadTx, row: RunRow) -> list[dict[str, Any]]:
    """The steps of the version that a run goes by."""
    definition = item_store.definition(tx, ESCALATION_POLICY.name, row.policy, row.policy_version) or {"steps": []}
    return list(definition["steps"])


def _meant(tx: ReadTx, row: RunRow) -> Iterable[str]:
    """Everybody whom a run's policy names, as things are now."""
    targets = [target_of(text) for step in _steps(tx, row) for text in step["targets"]]
    return escalation_service.meant(tx, targets, KEPT, tx.now)


def _stands_behind(tx: ReadTx, targets: Sequence[str], person: str) -> bool:
    """Whether somebody is meant by any of these targets, as things are now."""
    if str(Target(TargetKind.USER, person)) in targets:
        return True
    found = escalation_service.who(tx, [target_of(text) for text in targets], KEPT, tx.now)
    return any(person in people for people in found.values())


def _of_run(tx: ReadTx, row: RunRow, person: str) -> str:
    steps = _steps(tx, row)
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
