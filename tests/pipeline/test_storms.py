"""Stories of too many alerts at once: one ticket gathers them, every alert is kept and counted, none is lost."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from desk import Desk, critical, in_threads
from tocsin.kit.priorities import Priority
from tocsin.proof.explain import explain_record
from tocsin.settings import Settings
from tocsin.tickets.storming import ALL, NO_LIMITS, StormLimits, begins, is_over, scope_of
from tocsin.tickets.workflow import Status

WORDS = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett", "kilo", "lima")


def kind(number: int) -> str:
    """A message unlike all others."""
    return f"{WORDS[number // 144 % 12]} {WORDS[number // 12 % 12]} {WORDS[number % 12]} is broken"


def post_kinds(desk: Desk, *numbers: int, service: str = "payments") -> None:
    desk.post(*(critical(kind(number), service=service) for number in numbers))


def test_more_kinds_than_a_person_can_read_make_one_ticket_that_names_them(desk: Desk) -> None:
    post_kinds(desk, *range(50), *range(50))

    storm = desk.ticket
    assert (storm.opened_by, storm.service, storm.priority) == ("storm", "payments", 2)
    assert storm.title == "Storm in payments: 50 alerts at once"
    assert all(kind(number) in storm.description for number in range(50))
    assert {alert.ticket_id for alert in desk.alerts} == {storm.id}
    assert [alert.count for alert in desk.alerts] == [2] * 50
    assert {alert.suppressed_by for alert in desk.alerts} == {f"storm:{storm.id}"}
    assert desk.verdicts() == {"suppressed": 100}
    told = explain_record(desk.database, desk.reader, desk.logs[0].id).rules[0]
    assert told.why.endswith(f"ticket {storm.id} gathers them (50 of its service within 5 min; the limit is 20).")
    assert told.ticket is not None
    assert told.ticket.how == "storm"
    desk.check_books()


def test_a_storm_that_builds_up_leaves_the_tickets_that_were_open_and_names_them(desk: Desk) -> None:
    for number in range(25):
        post_kinds(desk, number)

    *first, storm = desk.tickets
    assert [ticket.opened_by for ticket in first] == ["rule:critical-logs"] * 20
    assert all(f"- ticket {number + 1}: payments: {kind(number)}\n" in storm.description for number in range(19))
    assert len(desk.alerts_of(storm.id)) == 5
    assert desk.kinds(f"ticket:{storm.id}") == ["TicketOpened", "StormBegan", *["AlertJoined"] * 4]
    [began] = desk.events(kind="StormBegan")
    assert (began.data["tickets"], began.data["limit"], began.data["opened_before"]) == (21, 20, list(range(1, 21)))
    desk.check_books()


def test_tickets_that_open_slowly_are_no_storm(desk: Desk) -> None:
    for number in range(60):
        post_kinds(desk, number)
        desk.clock.advance(seconds=16)

    assert len(desk.tickets) == 60


def test_many_services_at_once_are_one_storm_of_all(desk: Desk) -> None:
    desk.post(*(critical("it is broken", service=f"service-{number}") for number in range(70)))
    desk.post(critical("so is this", service="another"))

    assert desk.ticket.title == "Storm in 70 services: 70 alerts at once"
    assert desk.ticket.service is None
    assert len(desk.alerts) == 71
    desk.check_books()


def test_a_storm_of_one_service_leaves_the_others_alone(desk: Desk) -> None:
    post_kinds(desk, *range(30))
    desk.post(critical("the printer burns", service="office"))

    assert [ticket.opened_by for ticket in desk.tickets] == ["storm", "rule:critical-logs"]


def test_one_service_that_would_open_more_than_all_may_leaves_the_others_alone(desk: Desk) -> None:
    desk.post(
        *(critical(kind(number)) for number in range(70)),
        *(critical("the printer burns", service=f"office-{number}") for number in range(3)),
    )
    post_kinds(desk, 70)

    storm, *others = sorted(desk.tickets, key=lambda ticket: ticket.opened_by != "storm")
    assert (storm.title, len(desk.alerts_of(storm.id))) == ("Storm in payments: 70 alerts at once", 71)
    assert sorted(str(ticket.service) for ticket in others) == ["office-0", "office-1", "office-2"]
    desk.check_books()


def test_storms_of_services_count_as_a_ticket_each(settings: Settings, open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(settings, limits=StormLimits(2, 4))
    for service in ("a", "b"):
        post_kinds(desk, 1, 2, 3, service=service)
    assert [ticket.title for ticket in desk.tickets] == [f"Storm in {name}: 3 alerts at once" for name in "ab"]

    desk.post(*(critical(kind(number), service=name) for name in "cde" for number in range(3)))
    assert [ticket.title for ticket in desk.tickets[2:]] == ["Storm in 3 services: 9 alerts at once"]
    assert "- ticket 1: Storm in a: 3 alerts at once" in desk.tickets[2].description

    post_kinds(desk, 4, service="a")
    post_kinds(desk, 4, service="f")
    assert [len(desk.alerts_of(ticket.id)) for ticket in desk.tickets] == [4, 3, 10], "each has its own storm first"
    desk.check_books()


def test_without_limits_each_kind_has_its_ticket(settings: Settings, open_desk: Callable[..., Desk]) -> None:
    desk = open_desk(settings, limits=NO_LIMITS)
    post_kinds(desk, *range(70))

    assert len(desk.tickets) == 70
    desk.check_books()


def test_when_a_storm_is_over_what_still_fires_gets_its_own_ticket(desk: Desk) -> None:
    post_kinds(desk, *range(30))
    storm = desk.ticket
    desk.clock.advance(minutes=6)
    post_kinds(desk, 3, 7)
    desk.clock.advance(minutes=5)
    desk.run_due_timers()

    released = desk.tickets[1:]
    assert [ticket.released_from for ticket in released] == [storm.id, storm.id]
    assert [ticket.opened_at for ticket in released] == [desk.clock.now()] * 2
    assert {alert.suppressed_by for alert in desk.alerts} == {None}
    assert len(desk.alerts_of(storm.id)) == 28
    [ended] = desk.events(kind="StormEnded")
    assert len(ended.data["released"]) == 2

    post_kinds(desk, 3, 4)
    assert [alert.count for alert in desk.alerts_of(released[0].id)] == [3]
    assert len(desk.tickets) == 3
    desk.check_books()


def test_a_storm_goes_on_while_too_much_fires(desk: Desk) -> None:
    post_kinds(desk, *range(30))
    for _ in range(4):
        desk.clock.advance(minutes=5)
        post_kinds(desk, *range(30))
        desk.run_due_timers()

    assert len(desk.tickets) == 1
    assert not desk.events(kind="StormEnded")


def test_a_storm_all_of_which_was_released_resolves_itself(desk: Desk) -> None:
    desk.save_rule("critical-logs", "level:CRITICAL", auto_resolve_after_s=700)
    post_kinds(desk, *range(30))
    desk.clock.advance(minutes=9)
    post_kinds(desk, 3)
    desk.clock.advance(minutes=3)
    desk.run_due_timers()  # the others have ended by themselves

    assert [ticket.status for ticket in desk.tickets] == [Status.RESOLVED, Status.OPEN]


def test_resolving_the_ticket_of_a_storm_ends_the_storm(desk: Desk) -> None:
    post_kinds(desk, *range(30))
    desk.resolve(desk.ticket.id)
    desk.clock.advance(minutes=31)
    post_kinds(desk, 3)

    assert [ticket.opened_by for ticket in desk.tickets] == ["storm", "rule:critical-logs"]
    assert desk.tickets[1].recurrence_of == desk.tickets[0].id
    assert desk.alerts[-1].suppressed_by is None
    desk.check_books()


def test_a_relapse_after_a_storm_opens_a_ticket_of_its_own(desk: Desk) -> None:
    post_kinds(desk, *range(30))
    desk.resolve(1)
    desk.clock.advance(minutes=1)
    post_kinds(desk, 3)
    post_kinds(desk, 4)

    assert [ticket.status for ticket in desk.tickets] == ["RESOLVED", "OPEN", "OPEN"]
    assert [ticket.recurrence_of for ticket in desk.tickets] == [None, 1, 1]
    desk.check_books()


def test_the_ticket_of_a_storm_is_as_urgent_as_the_most_urgent_of_its_alerts(desk: Desk) -> None:
    desk.save_rule("fire", "level:ERROR fire", priority=Priority.P1)
    post_kinds(desk, *range(30))
    desk.post({"level": "ERROR", "service": "payments", "message": "fire in the cellar"})

    assert desk.ticket.priority == 1
    assert [event.data["after"] for event in desk.events(kind="TicketPrioritised")] == ["P1"]


def test_a_restart_in_a_storm_changes_nothing(settings: Settings, open_desk: Callable[..., Desk]) -> None:
    first = open_desk(settings)
    post_kinds(first, *range(30))
    first.close()
    desk = open_desk(settings)
    post_kinds(desk, 31)
    desk.clock.advance(minutes=11)
    desk.run_due_timers()
    post_kinds(desk, 32)

    assert [ticket.opened_by for ticket in desk.tickets] == ["storm", "rule:critical-logs"]
    desk.check_books()


def test_clients_side_by_side_make_one_storm(settings: Settings, open_desk: Callable[..., Desk]) -> None:
    desks = [open_desk(settings) for _ in range(4 if settings.database_secret else 1)]

    def client(number: int) -> None:
        for start in range(0, 40, 5):
            post_kinds(desks[number % len(desks)], *range(start, start + 5))

    results = in_threads(*(lambda number=number: client(number) for number in range(8)))

    assert results == [None] * 8
    desk = desks[0]
    assert [ticket.opened_by for ticket in desk.tickets].count("storm") == 1
    assert len(desk.tickets) <= 21
    assert [alert.count for alert in desk.alerts] == [8] * 40
    desk.check_books()


@pytest.mark.parametrize("limits", [StormLimits(), StormLimits(0, 60), StormLimits(20, 0), NO_LIMITS])
@given(
    lately=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 30)),
    wanted=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 30), min_size=1),
)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_more_tickets_open_than_the_limits_allow(
    limits: StormLimits, lately: dict[str, int], wanted: dict[str, int]
) -> None:
    scopes = begins(lately, wanted, limits)
    left = {name: n for name, n in wanted.items() if ALL not in scopes and scope_of(name) not in scopes}
    opening = len(scopes) + sum(left.values())

    assert not limits.in_all or opening == 1 or sum(lately.values()) + opening <= limits.in_all
    assert not limits.of_service or all(lately.get(name, 0) + n <= limits.of_service for name, n in left.items())
    assert limits.any or not scopes

    over = {name for name, n in wanted.items() if limits.of_service and lately.get(name, 0) + n > limits.of_service}
    together = len(over) + sum(n for name, n in wanted.items() if name not in over)
    assert ALL not in scopes or sum(lately.values()) + together > limits.in_all, "services' own storms were enough"
    assert ALL in scopes or set(scopes) == {scope_of(name) for name in over}


def test_a_storm_is_over_when_each_alert_may_have_its_ticket() -> None:
    assert is_over(20, 20, 20)
    assert not is_over(21, 0, 20)
    assert not is_over(0, 21, 20)
    assert is_over(1000, 1000, 0)
