"""People, schedules and an outbox for stories about paging: what stands beside the desk."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from desk import ANA, Desk
from tocsin.kit.errors import NotFound
from tocsin.notify import page_service, route_service
from tocsin.notify.callers import Callers
from tocsin.notify.wanted import Wanted
from tocsin.oncall import escalation_service
from tocsin.oncall.rota import Rota
from tocsin.storage.tx import ReadTx, Tx


@dataclass
class Somebody:
    name: str
    time_zone: str = "UTC"
    email: str | None = None
    away: bool = False

    def is_away(self, at: datetime) -> bool:
        return self.away


@dataclass
class Way:
    id: int
    kind: str
    verified_at: datetime | None = datetime(2026, 1, 1, tzinfo=UTC)
    disabled_reason: str | None = None


@dataclass
class Office:
    """Who there is, and what was asked to be delivered."""

    people: dict[str, Somebody] = field(default_factory=dict)
    ways: dict[str, list[Way]] = field(default_factory=dict)
    schedules: dict[str, list[str]] = field(default_factory=dict)
    teams: dict[str, list[str]] = field(default_factory=dict)
    wanted: list[Wanted] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)

    def hire(self, *names: str) -> None:
        for number, name in enumerate(names, len(self.people)):
            self.people[name] = Somebody(name)
            self.ways[name] = [Way(10 * number + 1, "email"), Way(10 * number + 2, "sms")]

    def on_call(self, tx: ReadTx, schedule: str, at: datetime) -> Sequence[str]:
        if schedule == "cursed":
            raise RuntimeError("a bug in rotations")
        if schedule not in self.schedules:
            raise NotFound(what="schedule", id=schedule)
        return self.schedules[schedule]

    def members(self, tx: ReadTx, team: str) -> Sequence[str]:
        if team not in self.teams:
            raise NotFound(what="team", id=team)
        return self.teams[team]

    def some(self, tx: ReadTx, names: Collection[str]) -> Mapping[str, Somebody]:
        return {name: self.people[name] for name in names if name in self.people}

    def methods(self, tx: ReadTx, names: Collection[str]) -> Mapping[str, Sequence[Way]]:
        return {name: self.ways.get(name, []) for name in names}

    def plan(self, tx: Tx, wanted: Sequence[Wanted]) -> object:
        if any(one.channel == "cursed" for one in wanted):
            raise RuntimeError("a bug in planning")
        self.wanted += wanted
        return None

    def cancel(self, tx: Tx, ticket_id: int) -> object:
        self.cancelled.append(ticket_id)
        return None

    @property
    def callers(self) -> Callers:
        return Callers(Rota(self.on_call, self.members, self.some, self.methods), self.plan, self.cancel)


def save_policy(desk: Desk, name: str = "pay", *steps: Any, **fields: Any) -> None:
    """A policy; a step is its targets and how long it waits."""
    said = [{"targets": list(targets), "delay_s": delay_s} for *targets, delay_s in steps]
    definition = {"steps": said, **fields}
    desk.database.write(lambda tx: escalation_service.save_policy(tx, name, definition), actor=ANA)


def save_route(desk: Desk, name: str = "pay", **fields: Any) -> None:
    desk.database.write(lambda tx: route_service.save(tx, name, fields), actor=ANA)


def save_rules(desk: Desk, person: str, **rules: Any) -> None:
    desk.database.write(lambda tx: page_service.save_rules(tx, person, rules), actor=ANA)


def paged(desk: Desk, ticket_id: int | None = None) -> list[str]:
    """Everybody who was called, in order."""
    subject = None if ticket_id is None else f"ticket:{ticket_id}"
    return [event.data["person"] for event in desk.events(subject, "PersonPaged")]
