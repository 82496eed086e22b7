"""What names what: who is named and not there, what could have been meant, and who names somebody."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.kit.errors import InUse
from tocsin.notify import paging, routing
from tocsin.notify.definitions import Definition
from tocsin.oncall import declaring, escalation, references
from tocsin.oncall.references import Namer, Reference, Referred
from tocsin.oncall.schedules import Layer, Schedule

NAMES = st.lists(st.sampled_from("abcdef"), max_size=6)


@settings(max_examples=30)
@given(NAMES, st.sets(st.sampled_from("abcdef")), st.sampled_from(Referred), st.sampled_from(Referred))
def test_what_is_missing_is_just_what_is_named_and_not_there(
    named: list[str], there: set[str], kind: Referred, other: Referred
) -> None:
    refs = [Reference(kind, name, f"/{place}") for place, name in enumerate(named)]
    found = references.missing(refs, {other: there})
    assert [one.name for one in found] == [name for name in named if kind is not other or name not in there]


def test_a_wrong_name_is_told_with_what_could_have_been_meant() -> None:
    def said(name: str, *known: str) -> str:
        [fault] = references.faults([Reference(Referred.CHANNEL, name, "/fallback")], {Referred.CHANNEL: known})
        assert fault.pointer == "/fallback"
        return fault.detail

    assert said("opz", "console", "ops") == "there is no channel opz; did you mean ops?"
    assert said("x") == "there is no channel x; there is none yet"
    assert said("x", *"abc") == "there is no channel x; there are a, b, c"
    assert said("x", *"abcdefg") == "there is no channel x; there are a, b, c, d, e and 2 more"
    assert len(said("x" * 10_000)) < 200


def test_all_that_names_others_says_whom_and_where() -> None:
    route = {"channels": ["a"], "escalation_policy": "b", "schedule": "c", "page_team": "d", "calendar": "e"}
    policy = {"steps": [{"targets": ["user:a", "team:b"]}, {"targets": ["schedule:c"]}], "fallback": "channel:d"}
    rules = paging.rules_of({"P2": [{}, {"working_hours": True, "calendar": "a"}]})
    layers = (Layer("one", (("a",), ("b", "c"))),)
    named = {
        "route": routing.route_of("x", route).references(),
        "policy": escalation.policy_of("x", 1, policy).references(),
        "rules": paging.references_of(rules),
        "schedule": tuple(declaring.references_of(Schedule("UTC", layers))),
        "channel": Definition("x", "console", fallback="a", template="b").references(),
    }
    said = {what: [(one.kind.value, one.name, one.pointer) for one in found] for what, found in named.items()}
    assert said == {
        "route": [
            ("channel", "a", "/channels/0"),
            ("escalation policy", "b", "/escalation_policy"),
            ("schedule", "c", "/schedule"),
            ("team", "d", "/page_team"),
            ("calendar", "e", "/calendar"),
        ],
        "policy": [
            ("user", "a", "/steps/0/targets/0"),
            ("team", "b", "/steps/0/targets/1"),
            ("schedule", "c", "/steps/1/targets/0"),
            ("channel", "d", "/fallback"),
        ],
        "rules": [("calendar", "a", "/rules/P2/1/calendar")],
        "schedule": [
            ("user", "a", "/layers/0/users/0"),
            ("user", "b", "/layers/0/users/1/0"),
            ("user", "c", "/layers/0/users/1/1"),
        ],
        "channel": [("channel", "a", "/fallback"), ("template", "b", "/template")],
    }
    assert routing.route_of("x", {"team": "shop"}).references() == (), "a route looks for tickets of any team"


def test_whoever_names_it_is_found_but_not_the_thing_itself() -> None:
    def namer(kind: str, name: str, *named: str) -> Namer:
        return Namer(kind, name, tuple(Reference(Referred.CHANNEL, one, "") for one in named))

    namers = [namer("channel", "a", "a", "b"), namer("channel", "b", "a"), namer("route", "a", "a", "a")]
    found = references.naming(Referred.CHANNEL, "a", namers)
    assert [(one.kind, one.name) for one in found] == [("channel", "b"), ("route", "a")]
    assert references.naming(Referred.TEAM, "a", namers) == []


def test_who_uses_it_is_told_in_a_sentence() -> None:
    def said(n: int) -> str:
        return str(InUse("channel", "ops", [("route", str(i)) for i in range(n)]))

    end = " Change that first, or remove it by force."
    assert said(1) == f"The channel ops is in use: route 0 names it.{end}"
    assert said(2) == f"The channel ops is in use: route 0 and route 1 name it.{end}"
    assert said(7) == f"The channel ops is in use: route 0, route 1, route 2, route 3, route 4 and 2 more name it.{end}"
