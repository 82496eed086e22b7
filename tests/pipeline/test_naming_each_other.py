"""Stories of what names what: nothing is saved that leads to nothing, nothing goes that somebody counts on."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from desk import ANA, Desk, critical, in_threads
from paged import asked_for, hire, make_team, paged, put_on_call, save_route, save_rules
from tocsin.kit.errors import Conflict, InUse, Invalid, NotFound
from tocsin.notify import reference_service as references
from tocsin.notify import route_service, template_service
from tocsin.notify.message import Kind
from tocsin.notify.wording import Template
from tocsin.oncall import item_store, override_service, people_service, schedule_service
from tocsin.oncall.people_service import Profile
from tocsin.oncall.schedules import Layer, Override, Schedule
from tocsin.settings import Settings
from tocsin.tickets import sla_service
from tocsin.tickets.policies import Policy

HOURS = {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
STEPS = [
    {"targets": ["schedule:primary", "channel:ops"], "delay_s": 300},
    {"targets": ["team:shop", "user:ana"], "delay_s": 300},
]


@pytest.fixture
def desk(settings: Settings, open_desk: Callable[..., Desk]) -> Desk:
    """A policy that calls one of each, a route that begins it, and what these lean on."""
    found = open_desk(settings)
    hire(found, "ana", "rui", "eva")
    put_on_call(found, "primary", "rui")
    make_team(found, "shop", "eva", "rui")
    do(found, template_service.save, Template("mine"))
    do(found, sla_service.save_calendar, "office", {"time_zone": "UTC", "hours": HOURS})
    found.save_channel("ops", "console", is_default=False, template="mine", fallback="console")
    do(found, references.save_policy, "pay", {"steps": STEPS, "fallback": "user:eva"})
    save_route(found, escalation_policy="pay", channels=["ops"], calendar="office", when="within")
    return found


def do(desk: Desk, what: Callable[..., Any], *given: Any, **how: Any) -> Any:
    return desk.database.write(lambda tx: what(tx, *given, **how), actor=ANA)


def refused(what: Callable[[], Any]) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        what()
    return {error.pointer: error.detail.partition(";")[0] for error in caught.value.errors}


def test_nothing_is_saved_that_names_what_there_is_not(desk: Desk) -> None:
    route = {"channels": ["ops", "opz"], "escalation_policy": "pai", "schedule": "first", "page_team": "shops"}
    saved = desk.database.read(lambda tx: item_store.in_order(tx, "route"))
    named = {**route, "calendar": "none", "when": "within"}
    assert refused(lambda: do(desk, route_service.save, "new", named)) == {
        "/channels/1": "there is no channel opz",
        "/escalation_policy": "there is no escalation policy pai",
        "/schedule": "there is no schedule first",
        "/page_team": "there is no team shops",
        "/calendar": "there is no calendar none",
    }
    steps = [{"targets": ["user:kim", "user:ana"]}, {"targets": ["channel:x", "schedule:primary"]}]
    assert refused(lambda: do(desk, references.save_policy, "new", {"steps": steps, "fallback": "team:x"})) == {
        "/steps/0/targets/0": "there is no user kim",
        "/steps/1/targets/0": "there is no channel x",
        "/fallback": "there is no team x",
    }
    rules = {"P4": [{"method": "email", "working_hours": True, "calendar": "none"}]}
    assert refused(lambda: save_rules(desk, "ana", **rules)) == {"/rules/P4/0/calendar": "there is no calendar none"}
    assert refused(lambda: desk.save_channel("new", "console", fallback="x", template="y")) == {
        "/fallback": "there is no channel x",
        "/template": "there is no template y",
    }
    layers = (Layer("one", (("ana",), ("rui", "kim"))),)
    assert refused(lambda: do(desk, schedule_service.save, "new", Schedule("UTC", layers))) == {
        "/layers/0/users/1/1": "there is no user kim"
    }
    assert refused(lambda: do(desk, people_service.save_team, "new", "", ["ana", "kim"])) == {
        "/members/1": "there is no user kim"
    }
    assert desk.database.read(lambda tx: item_store.in_order(tx, "route")) == saved
    desk.save_channel("ops", "console", enabled=False, is_default=False, template="mine")
    save_route(desk, "off", channels=["ops"])  # what is switched off is there


def test_what_is_named_stays_unless_by_force(desk: Desk) -> None:
    put_on_call(desk, "second", "eva")
    now = desk.clock.now()
    do(desk, override_service.add_override, "second", Override(0, now, now.replace(month=12), "rui"), "")
    save_rules(desk, "ana", P4=[{"method": "email", "working_hours": True, "calendar": "office"}])
    removals: dict[Callable[..., Any], tuple[str, list[tuple[str, str]]]] = {
        references.remove_channel: ("ops", [("route", "pay"), ("escalation policy", "pay")]),
        references.remove_schedule: ("primary", [("escalation policy", "pay")]),
        references.remove_policy: ("pay", [("route", "pay")]),
        references.remove_team: ("shop", [("escalation policy", "pay")]),
        references.remove_calendar: ("office", [("route", "pay"), ("notification rules of", "ana")]),
        references.remove_template: ("mine", [("channel", "ops")]),
        references.remove_user: ("rui", [("schedule", "primary"), ("schedule", "second")]),
    }
    for remove, (name, users) in removals.items():
        with pytest.raises(InUse) as caught:
            do(desk, remove, name)
        assert list(caught.value.used_by) == users, name
    with pytest.raises(InUse, match="channel ops names it"):
        do(desk, references.remove_channel, "console")
    for remove, (name, _) in removals.items():
        do(desk, remove, name, force=True)
        with pytest.raises(NotFound):
            do(desk, remove, name)
    [event] = desk.events(kind="UserRemoved")
    assert (event.data["schedules"], event.data["escalation_policies"]) == (["second"], [])


def test_somebody_who_is_on_call_goes_by_force_and_the_fallback_is_called(desk: Desk) -> None:
    save_route(desk, escalation_policy="pay", channels=["ops"])
    do(desk, references.remove_channel, "ops", force=True)
    do(desk, references.remove_user, "rui", force=True)
    [event] = desk.events(kind="UserRemoved")
    assert (event.data["schedules"], event.data["teams"]) == (["primary"], ["shop"])
    desk.post(critical())
    assert paged(desk) == ["eva"], "nobody is on call: the fallback"
    desk.deliver()
    [opened] = asked_for(desk, Kind.OPENED)
    assert (opened.asked["channel"], opened.channel, opened.state) == ("ops", "console", "delivered")


def test_a_calendar_that_an_sla_policy_goes_by_stays_also_by_force(desk: Desk) -> None:
    do(desk, sla_service.save_policy, Policy("all", 0, resolve_s=3600, calendar="office"))
    with pytest.raises(Conflict, match="is used by the policy all"):
        do(desk, references.remove_calendar, "office", force=True)


def test_what_is_named_and_removed_at_the_same_moment_is_one_or_the_other(desk: Desk) -> None:
    def steps(channel: str) -> dict[str, Any]:
        return {"steps": [{"targets": [f"channel:{channel}"]}]}

    def turns(user: str) -> Schedule:
        return Schedule("UTC", (Layer("one", ((user,),)),))

    for n in range(3):
        one = f"x{n}"
        desk.save_channel(one, "console", is_default=False)
        desk.save_channel(f"helped-{n}", "console", is_default=False)
        do(desk, people_service.save, one, Profile())
        pairs: list[tuple[Callable[[], Any], Callable[[], Any]]] = [
            (
                partial(do, desk, references.save_policy, one, steps(one)),
                partial(do, desk, references.remove_channel, one),
            ),
            (
                partial(do, desk, schedule_service.save, one, turns(one)),
                partial(do, desk, references.remove_user, one),
            ),
            (
                partial(desk.save_channel, "helper", "console", is_default=False, fallback=f"helped-{n}"),
                partial(do, desk, references.remove_channel, f"helped-{n}"),
            ),
        ]
        for save, remove in pairs:
            saved, removed = in_threads(save, remove)
            assert isinstance(saved, Invalid) != isinstance(removed, InUse), (saved, removed)
