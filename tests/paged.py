"""People, schedules and policies for stories about paging, and who was called in them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from desk import ANA, Desk
from tocsin.notify import channel_service, channel_store, page_service, route_service
from tocsin.notify.callers import KEPT, Callers
from tocsin.notify.channels.table import CHANNELS
from tocsin.notify.definitions import Definition
from tocsin.notify.delivery_store import Delivery
from tocsin.notify.wanted import Wanted
from tocsin.oncall import escalation_service, people_service, schedule_service
from tocsin.oncall.people import Away, MethodKind
from tocsin.oncall.people_service import Profile
from tocsin.oncall.schedules import Layer, Schedule
from tocsin.storage.tx import Tx


def hire(desk: Desk, *names: str) -> None:
    """People with a verified email and a verified phone each."""

    def work(tx: Tx, name: str) -> None:
        people_service.save(tx, name, Profile(email=f"{name}@example.org"))
        for kind, address in ((MethodKind.EMAIL, f"{name}@example.org"), (MethodKind.SMS, "+351912345678")):
            method = people_service.add_method(tx, name, kind, address)
            people_service.verify_by_hand(tx, name, method.id)

    for name in names:
        desk.database.write(lambda tx, name=name: work(tx, name), actor=ANA)


def send_away(desk: Desk, name: str) -> None:
    """Somebody is not there for a month."""
    now = desk.clock.now()
    desk.database.write(lambda tx: people_service.add_away(tx, name, Away(now, now.replace(month=12))), actor=ANA)


def put_on_call(desk: Desk, schedule: str, *names: str) -> None:
    """These people, all at once, around the clock; or nobody."""
    layers = (Layer("all", (names,)),) if names else ()
    desk.database.write(lambda tx: schedule_service.save(tx, schedule, Schedule("UTC", layers)), actor=ANA)


def make_team(desk: Desk, team: str, *names: str) -> None:
    desk.database.write(lambda tx: people_service.save_team(tx, team, team, list(names)), actor=ANA)


def save_policy(desk: Desk, name: str = "pay", *steps: Any, **fields: Any) -> None:
    """A policy; a step is its targets and how long it waits."""
    said = [{"targets": list(targets), "delay_s": delay_s} for *targets, delay_s in steps]
    definition = {"steps": said, **fields}
    desk.database.write(lambda tx: escalation_service.save_policy(tx, name, definition), actor=ANA)


def save_route(desk: Desk, name: str = "pay", *, place: int | None = None, **fields: Any) -> None:
    """A route; channels that it names are made if they are not there."""
    for channel in fields.get("channels", ()):
        if desk.database.read(lambda tx, channel=channel: channel_store.get(tx, channel)) is None:
            desk.save_channel(channel, "console", is_default=False)
    desk.database.write(lambda tx: route_service.save(tx, name, fields, place=place), actor=ANA)


def save_channel(desk: Desk, name: str, kind: str, config: Mapping[str, Any]) -> None:
    definition = Definition(name, kind, config)
    desk.database.write(lambda tx: channel_service.save(tx, definition, CHANNELS), actor=ANA)


def save_rules(desk: Desk, person: str, **rules: Any) -> None:
    desk.database.write(lambda tx: page_service.save_rules(tx, person, rules), actor=ANA)


def paged(desk: Desk, ticket_id: int | None = None) -> list[str]:
    """Everybody who was called, in order."""
    subject = None if ticket_id is None else f"ticket:{ticket_id}"
    return [event.data["person"] for event in desk.events(subject, "PersonPaged")]


def asked_for(desk: Desk, kind: str | None = None) -> list[Delivery]:
    """The deliveries that were asked for, oldest first."""
    found = sorted(desk.deliveries(), key=lambda one: one.id)
    return [one for one in found if kind is None or one.kind == kind]


def _with_a_bug(tx: Tx, wanted: Sequence[Wanted]) -> object:
    if any(one.channel == "cursed" for one in wanted):
        raise RuntimeError("a bug in planning")
    return KEPT.plan(tx, wanted)


def _astray(*_: Any) -> Any:
    raise RuntimeError("a bug in rotations")


CURSED = Callers(replace(KEPT.rota, on_call=_astray), _with_a_bug, KEPT.cancel)  # planning and schedules with bugs
