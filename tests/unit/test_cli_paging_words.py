"""How people say who is called, when and how, at a terminal: steps, calls, drills, kinds of channels."""

import re

import pytest

from tocsin.cli import channels, drills
from tocsin.cli.escalations import step_of
from tocsin.cli.exits import WrongUsage
from tocsin.cli.user_rules import call_of
from tocsin.notify.channels.kinds import kinds_of
from tocsin.notify.channels.table import CHANNELS
from tocsin.notify.paging import check_way
from tocsin.oncall.addresses import address_of
from tocsin.oncall.people import MethodKind


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("schedule:primary", {"targets": ["schedule:primary"]}),
        ("user:rui, team:shop@10m", {"targets": ["user:rui", "team:shop"], "delay_s": 600}),
        ("user:a,user:b@90@round-robin", {"targets": ["user:a", "user:b"], "delay_s": 90, "round_robin": True}),
        ("user:a,user:b@round-robin", {"targets": ["user:a", "user:b"], "round_robin": True}),
        ("user:ana@example.org", {"targets": ["user:ana@example.org"]}),
        ("user:ana@example.org@5m", {"targets": ["user:ana@example.org"], "delay_s": 300}),
    ],
)
def test_a_step_names_whom_to_call_how_long_to_wait_and_whether_in_turn(text, step):
    assert step_of(text) == step


def test_a_step_with_a_time_that_is_none_is_refused():
    with pytest.raises(WrongUsage, match="--step 'soon': expected seconds"):
        step_of("team:shop@soon")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("voice", {"method": "voice"}),
        ("other@5m", {"method": "other", "after_s": 300}),
        ("email@working-hours", {"method": "email", "working_hours": True, "calendar": None}),
        ("3@1h@working-hours=lx", {"method": "3", "after_s": 3600, "working_hours": True, "calendar": "lx"}),
    ],
)
def test_a_call_names_its_way_when_it_is_made_and_in_whose_hours(text, rule):
    assert call_of("--p1", text) == rule


def test_a_call_after_what_is_no_time_is_refused_by_the_name_of_its_option():
    with pytest.raises(WrongUsage, match="--p1 'later'"):
        call_of("--p1", "voice@later")


def test_a_way_to_call_is_a_kind_that_there_is_or_a_number():
    assert [check_way(way) for way in ("loudest", "other", "ntfy", "12")] == ["loudest", "other", "ntfy", "12"]
    for wrong in ("pigeon", "", "-1", "\u0661"):
        with pytest.raises(ValueError, match=r"expected loudest, other, a kind \(email, "):
            check_way(wrong)


def test_one_way_to_say_when_a_drill_is_run_takes_the_place_of_the_other():
    assert drills.times("7d", None, None, None) == {"every_s": 604_800, "at": None, "weekdays": []}
    assert drills.times(None, "09:30", "mon, thu", "UTC") == {
        "at": "09:30",
        "weekdays": ["mon", "thu"],
        "time_zone": "UTC",
        "every_s": None,
    }
    assert drills.times(None, None, None, None) == {}
    with pytest.raises(WrongUsage, match="--every is one way"):
        drills.times("7d", "09:30", None, None)


def test_the_help_on_channels_teaches_every_kind_with_what_it_needs():
    lines = (channels.save.__doc__ or "").splitlines()
    taught = {name: line for line in lines if line.strip().startswith("- ") for name in re.findall(r"`(\w+)`", line)}
    for kind in kinds_of(CHANNELS):
        assert set(re.findall(r"`(\w+)`", taught[kind.name])) >= kind.needs.keys(), kind.name


def test_what_a_kind_of_channels_needs_is_what_its_own_check_misses():
    known = {kind.name: kind for kind in kinds_of(CHANNELS)}
    assert known["email"].needs == {"from": "is required", "host": "is required"}
    assert known["console"].needs == {}
    assert known["slack"].secrets == ("token", "url")
    for kind in known.values():
        assert kind.needs.keys() <= set(kind.settings)
        assert set(kind.secrets) <= set(kind.settings)
        faults = CHANNELS[kind.name].check(dict.fromkeys(kind.settings))
        assert not [fault for fault in faults if "does not exist" in fault.detail or "is not a setting" in fault.detail]
        assert kind.about


def test_a_topic_of_ntfy_is_a_name_and_no_address():
    assert address_of(MethodKind.NTFY, " ana-pager ") == "ana-pager"
    for wrong in ("https://ntfy.sh/ana-pager", "ana pager", "x" * 65, "ana/pager"):
        with pytest.raises(ValueError, match="the name of a topic alone"):
            address_of(MethodKind.NTFY, wrong)
