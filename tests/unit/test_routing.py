"""Which routes are about an event of a ticket, in which order, at which hours; and how each person is called."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from tocsin.kit.calendar import Calendar
from tocsin.kit.errors import Invalid
from tocsin.notify import paging
from tocsin.notify.drilling import Drill, drill_of
from tocsin.notify.message import Kind
from tocsin.notify.paging import Rule, calls, rules_of
from tocsin.notify.routing import Route, check, decide, facts_of, route_of
from tocsin.proof.paging_costs import Happened, end_of, night_of

NOW = datetime(2026, 11, 24, 2, 21, tzinfo=UTC)
OFFICE = Calendar("UTC", (((540, 1020),),) * 5 + ((),) * 2)
TICKET = facts_of(
    {"service": "payments", "priority": "P2", "title": "database is down", "team": "shop", "tags": ["db", "eu-west"]}
)


def matched(*routes: Route, kind: Kind = Kind.OPENED, now: datetime = NOW) -> tuple[str, ...]:
    return decide(routes, TICKET, kind, now, calendars={"office": OFFICE}).matched


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", True),
        ("service:payments priority:<=P2", True),
        ("priority:P1", False),
        ("tag:db -tag:us-*", True),
        ("tag:eu-*", True),
        ("NOT tag:db", False),
        ("_exists_:tag database", True),
        ("team:SHOP status:OPEN assignee:none", True),
        ("sla:breached OR opened_at:>2020-01-01", False),
    ],
)
def test_a_route_is_about_what_meets_its_query(query: str, expected: bool) -> None:
    assert bool(matched(Route("one", query=query))) is expected


def test_the_first_that_matches_is_the_last_unless_it_goes_on() -> None:
    first = Route("first", place=1, goes_on=True, channels=("ops",))
    second = Route("second", place=2, channels=("ops", "chat"), escalation_policy="pay")
    third = Route("third", place=3, channels=("third",))
    found = decide([third, second, first], TICKET, Kind.OPENED, NOW, calendars={})
    assert found.matched == ("first", "second")
    assert found.channels == {"ops": "first", "chat": "second"}
    assert found.policies == {"pay": "second"}
    assert decide([second], TICKET, Kind.RESOLVED, NOW, calendars={}).policies == {}


def test_what_no_route_is_about_and_what_is_broken_goes_to_the_default_channels() -> None:
    found = decide([Route("closed", kinds=(Kind.CLOSED,))], TICKET, Kind.OPENED, NOW, calendars={})
    assert found.channels == {"console": None}
    assert [one.why for one in found.tried] == ["it is not about opened"]
    broken = [Route("bad", query="title:/a(/", goes_on=True), Route("good", place=1, channels=("ops",))]
    found = decide(broken, TICKET, Kind.OPENED, NOW, calendars={}, default=("a", "b"))
    assert found.channels == {"ops": "good", "a": None, "b": None}
    assert [one.route.name for one in found.failed] == ["bad"]


def test_a_route_may_hold_within_or_outside_of_hours_and_for_a_team_only() -> None:
    day = Route("day", calendar="office", when="within")
    night = Route("night", calendar="office", when="outside")
    assert matched(day, night) == ("night",)
    assert matched(day, night, now=NOW.replace(hour=10)) == ("day",)
    assert matched(Route("theirs", team="search")) == ()
    gone = decide([Route("gone", calendar="gone", when="within")], TICKET, Kind.OPENED, NOW, calendars={})
    assert gone.failed
    assert matched(Route("off", enabled=False)) == ()


def test_all_that_is_wrong_with_a_route_is_named() -> None:
    wrong = Route(
        "x", query="title:/a/", kinds=(Kind.PAGE, Kind.CLOSED), when="within", escalation_policy="pay", goes_on=True
    )
    with pytest.raises(Invalid) as refused:
        check(wrong, NOW)
    assert [one.pointer for one in refused.value.errors] == ["/query", "/calendar", "/kinds/0", "/escalation_policy"]
    route = Route("y", channels=("ops",), team="shop")
    check(route, NOW)
    assert route_of("y", route.definition()) == route


@dataclass
class Ana:
    name: str = "ana"
    email: str | None = None
    time_zone: str = "Europe/Lisbon"

    def is_away(self, at: datetime) -> bool:
        return False


@dataclass
class Way:
    id: int
    kind: str
    verified_at: datetime | None = NOW
    disabled_reason: str | None = None


MAIL, TEXT, CALL = Way(1, "email"), Way(2, "sms"), Way(3, "voice")


def planned(
    priority: int, *ways: Way, rules: paging.Rules | None = None
) -> tuple[list[tuple[str, tuple[int, ...], datetime | None]], str | None]:
    found = calls(Ana(), ways, rules or {}, priority=priority, at=NOW, calendars={})
    return [(one.method, one.otherwise, one.due_at) for one in found.calls], found.warning


def test_by_default_the_urgent_calls_twice_by_two_ways_and_the_rest_waits_for_working_hours() -> None:
    later = NOW + timedelta(seconds=300)
    assert planned(1, MAIL, TEXT, CALL)[0] == [("voice", (2, 1), None), ("sms", (3, 1), later)]
    assert planned(3, MAIL, TEXT)[0] == [("sms", (1,), None)]
    nine = datetime(2026, 11, 24, 9, tzinfo=UTC)
    assert planned(4, MAIL, TEXT)[0] == [("email", (2,), nine)]
    assert planned(1, MAIL)[0] == [("email", (), None), ("email", (), later)]


def test_whoever_has_no_verified_way_is_tried_by_mail_and_that_is_said() -> None:
    unverified = Way(4, "email", verified_at=None)
    assert planned(1, unverified, Way(5, "sms", None)) == (
        [("email", (), None)],
        "ana has no verified way to be reached: their email is tried",
    )
    assert planned(1, Way(5, "sms", None)) == ([], "ana has no way to be reached")
    assert planned(1, Way(5, "sms", disabled_reason="gone"))[1] is not None


def test_own_rules_go_before_the_default_of_their_priority_only() -> None:
    rules = rules_of({"P1": [{"method": "1"}, {"after_s": 60, "method": "voice"}, {"after_s": 90, "method": "fax"}]})
    assert [one[0] for one in planned(1, MAIL, TEXT, CALL, rules=rules)[0]] == ["email", "voice", "voice"]
    assert [one[0] for one in planned(2, MAIL, TEXT, CALL, rules=rules)[0]] == ["voice", "sms"]
    assert rules_of(paging.definition_of(rules)) == rules
    with pytest.raises(Invalid) as refused:
        rules_of({"P9": [], "P1": [], "P2": [{"after_s": -1, "method": " ", "calendar": "office"}]})
    assert {one.pointer for one in refused.value.errors} == {
        "/rules/P9", "/rules/P1", "/rules/P2/0/after_s", "/rules/P2/0/method", "/rules/P2/0/calendar",
    }  # fmt: skip
    assert Rule().said()["method"] == "loudest"


def test_a_drill_is_due_every_so_often_or_at_a_time_of_day() -> None:
    assert Drill("pay", every_s=600).next_at(NOW) == NOW + timedelta(seconds=600)
    assert Drill("pay", at="02:20").next_at(NOW) == datetime(2026, 11, 25, 2, 20, tzinfo=UTC)
    friday = Drill("pay", at="09:30", time_zone="Europe/Berlin", weekdays=("fri",))
    assert friday.next_at(NOW) == datetime(2026, 11, 27, 8, 30, tzinfo=UTC)
    assert Drill("pay", every_s=600, enabled=False).next_at(NOW) is None
    assert drill_of(friday.definition()) == friday
    with pytest.raises(Invalid) as refused:
        drill_of({"service": "x", "at": "25:00", "time_zone": "No/Where", "weekdays": ["day"], "within_s": 1})
    assert [one.pointer for one in refused.value.errors] == ["/at", "/time_zone", "/weekdays/0", "/within_s"]


def moved(after: str, minutes: float, actor: str = "local:ana", **data: str) -> Happened:
    return Happened(NOW + timedelta(minutes=minutes), "TicketMoved", actor, {"after": after, **data})


def test_a_ticket_was_closed_without_action_when_nothing_was_done_within_ten_minutes() -> None:
    taken, done = moved("IN_PROGRESS", 0), moved("RESOLVED", 9)
    comment = Happened(NOW, "TicketCommented", "local:ana", {})
    assert end_of([taken]) is None
    assert end_of([taken, done]) == "without_action"
    assert end_of([taken, comment, done]) == "over"
    assert end_of([taken, moved("RESOLVED", 11)]) == "over"
    assert end_of([taken, moved("RESOLVED", 1, resolution_note="restarted")]) == "over"
    assert end_of([moved("IN_PROGRESS", 0, "system"), moved("RESOLVED", 0, "system")]) == "by_itself"
    assert end_of([taken, done, Happened(NOW, "TicketReopened", "system", {})]) is None


def test_a_night_is_from_ten_to_seven_and_belongs_to_the_day_it_began_on() -> None:
    assert night_of(NOW, UTC) == NOW.date() - timedelta(days=1)
    assert night_of(NOW.replace(hour=22), UTC) == NOW.date()
    assert night_of(NOW.replace(hour=7), UTC) is None
