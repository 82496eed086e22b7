"""A failing database and what depends on it: one ticket in place of many, and what does not belong to it."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import func, select

from desk import Desk, FakeClock, critical, in_threads
from tocsin.kit.priorities import Priority
from tocsin.settings import Settings
from tocsin.tickets.model import open_keys
from tocsin.tickets.storming import NO_LIMITS


@pytest.fixture
def shop(desk: Desk) -> Iterator[Desk]:
    """`web` needs `api`, which needs `db`; `worker` needs `db` as well; `mail` needs nothing. The books are checked."""
    declare_shop(desk)
    yield desk
    desk.check_books()


def declare_shop(desk: Desk) -> None:
    desk.declare("web", depends_on=["api"])
    desk.declare("api", depends_on=["db"])
    desk.declare("worker", depends_on=["db"])
    desk.declare("mail")


def where(desk: Desk) -> dict[str, tuple[int | None, str | None]]:
    """The ticket of each service's newest alert, and the service of the alert that it follows from."""
    service_of = {f"inhibition:{alert.id}": alert.service for alert in desk.alerts}
    return {alert.service: (alert.ticket_id, service_of.get(alert.suppressed_by or "")) for alert in desk.alerts}


def joined(desk: Desk) -> list[tuple[int, int | None, str | None, list[str]]]:
    """What AlertJoined tells: alert, cause, its service, the way there."""
    told = [event.data for event in desk.events(kind="AlertJoined")]
    return [(d["alert_id"], d["caused_by_alert_id"], d["caused_by_service"], list(d["way"])) for d in told]


def test_a_failing_databases_ticket_gathers_what_depends_on_it(shop: Desk, clock: FakeClock) -> None:
    shop.post(critical(service="DB"))
    clock.advance(minutes=9)
    for service in ("worker", "web", "mail"):
        shop.post(critical(service=service))

    assert [(ticket.id, ticket.service) for ticket in shop.tickets] == [(1, "DB"), (2, "mail")]
    assert where(shop) == {
        "DB": (1, None),
        "worker": (1, "DB"),
        "web": (1, "DB"),
        "mail": (2, None),
    }
    assert joined(shop) == [(2, 1, "DB", ["worker", "db"]), (3, 1, "DB", ["web", "api", "db"])]
    shop.post(critical(service="web"), critical(service="DB"))
    assert shop.verdicts() == {"opened": 2, "counted": 1, "suppressed": 3}


def test_one_batch_that_holds_all_of_it_makes_one_ticket_of_the_database(shop: Desk) -> None:
    shop.post(critical(service="web"), critical(service="worker"), critical(service="api"), critical(service="db"))
    assert shop.ticket.service == "db"
    assert where(shop) == {
        "db": (1, None),
        "api": (1, "db"),
        "worker": (1, "db"),
        "web": (1, "api"),
    }
    assert shop.kinds("ticket:1")[0] == "TicketOpened"


def test_a_failing_dependant_never_gathers_what_it_depends_on(shop: Desk) -> None:
    shop.post(critical(service="web"))
    shop.post(critical(service="db"))
    assert where(shop) == {"web": (1, None), "db": (2, None)}


@pytest.mark.parametrize(
    ("minutes", "gathers"),
    [(10, True), (10.01, False)],
)
def test_an_upstream_alert_explains_others_until_ten_minutes_after_its_last_record(
    shop: Desk, clock: FakeClock, minutes: float, gathers: bool
) -> None:
    shop.post(critical(service="db"))
    clock.advance(minutes=8)
    shop.post(critical(service="db"))
    clock.advance(minutes=minutes)
    shop.post(critical(service="worker"))
    assert (len(shop.tickets) == 1) is gathers


def test_a_ticket_that_is_worked_on_gathers_and_one_that_is_resolved_does_not(shop: Desk, clock: FakeClock) -> None:
    shop.post(critical(service="db"))
    shop.move(1, "IN_PROGRESS")
    shop.post(critical(service="worker"))
    assert where(shop)["worker"] == (1, "db")

    shop.move(1, "RESOLVED")
    assert all(alert.ended_at == clock.now() for alert in shop.alerts)
    assert shop.database.read(lambda tx: tx.execute(select(func.count()).select_from(open_keys)).scalar_one()) == 0
    shop.post(critical(service="worker"))
    assert where(shop)["worker"] == (2, None)
    assert [(ticket.status, ticket.recurrence_of, ticket.reopen_count) for ticket in shop.tickets] == [
        ("RESOLVED", None, 0),
        ("OPEN", None, 0),
    ]


def test_a_relapse_of_the_database_gathers_anew_and_leaves_a_dependants_own_ticket_alone(
    shop: Desk, clock: FakeClock
) -> None:
    shop.post(critical(service="db"), critical(service="worker"), critical(service="web"))
    shop.resolve(1)
    clock.advance(minutes=1)
    shop.post(critical(service="worker"))
    shop.post(critical(service="db"))
    shop.post(critical(service="worker"), critical(service="web"))
    assert [(ticket.id, ticket.service, ticket.status) for ticket in shop.tickets] == [
        (1, "db", "OPEN"),
        (2, "worker", "OPEN"),
    ]
    assert where(shop) == {"db": (1, None), "worker": (2, None), "web": (1, "db")}


def test_a_person_reopens_the_databases_ticket_although_a_dependant_has_its_own_by_now(shop: Desk) -> None:
    shop.post(critical(service="db"), critical(service="worker"))
    shop.resolve(1)
    shop.post(critical(service="worker"))
    assert shop.reopen(1).status == "IN_PROGRESS"


def test_an_alert_of_little_urgency_gathers_nothing(desk: Desk) -> None:
    declare_shop(desk)
    desk.save_rule("slow", "level:WARNING", priority=Priority.P4)
    desk.post({"level": "WARNING", "service": "db", "message": "slow"})
    desk.post(critical(service="worker"))
    assert where(desk) == {"db": (1, None), "worker": (2, None)}


def test_a_more_urgent_dependant_makes_the_ticket_as_urgent(desk: Desk) -> None:
    declare_shop(desk)
    desk.save_rule("web-down", "service:web level:ERROR", priority=Priority.P1)
    desk.post(critical(service="db"))
    desk.post({"level": "ERROR", "service": "web", "message": "down"})
    assert (desk.ticket.service, desk.ticket.priority) == ("db", 1)
    assert desk.kinds("ticket:1") == ["TicketOpened", "AlertJoined", "TicketPrioritised"]


def test_the_nearest_cause_comes_first(shop: Desk) -> None:
    shop.post(critical(service="api"))
    shop.post(critical(service="db"))
    shop.post(critical(service="web"))
    assert where(shop) == {"api": (1, None), "db": (2, None), "web": (1, "api")}


def test_another_alert_of_a_gathered_key_is_gathered_as_well(desk: Desk, clock: FakeClock) -> None:
    declare_shop(desk)
    desk.save_rule("errors", "level:ERROR", correlate_by=("service",))
    desk.post(critical(service="db"))
    desk.post({"level": "ERROR", "service": "web", "message": "one"})
    desk.post({"level": "ERROR", "service": "web", "message": "two"})
    assert [(a.ticket_id, a.suppressed_by) for a in desk.alerts if a.service == "web"] == [(1, "inhibition:1")] * 2
    desk.resolve(1)
    clock.advance(minutes=1)
    desk.post({"level": "ERROR", "service": "web", "message": "two"})
    assert where(desk)["web"] == (2, None)


def test_a_ticket_of_several_services_is_gathered_only_by_what_explains_all_of_them(desk: Desk) -> None:
    declare_shop(desk)
    desk.save_rule("errors", "level:ERROR", correlate_by=("rule",))
    desk.post(critical(service="db"))
    desk.post(*({"level": "ERROR", "service": service, "message": "x"} for service in ("web", "mail")))
    assert where(desk) == {"db": (1, None), "web": (2, None), "mail": (2, None)}


def test_undeclared_upstream_services_gather_too(desk: Desk) -> None:
    desk.declare("web", depends_on=["Legacy/DB"])
    desk.post(critical(service="legacy/db"))
    desk.post(critical(service="WEB"))
    assert where(desk)["WEB"] == (1, "legacy/db")


def test_what_was_noticed_shortly_before_its_cause_is_told_on_both_tickets(shop: Desk, clock: FakeClock) -> None:
    shop.post(critical(service="mail"))
    shop.post(critical(service="web"))
    clock.advance(minutes=4)
    shop.post(critical("timeout", service="worker"))
    clock.advance(seconds=61)
    shop.post(critical(service="db"))
    shop.post(critical("disk", service="db"))

    assert len(shop.tickets) == 5
    assert shop.kinds("ticket:2") == ["TicketOpened"], "it alerted more than five minutes before"
    assert shop.kinds("ticket:3") == ["TicketOpened", "TicketCauseSuspected", "TicketCauseSuspected"]
    [effect] = shop.events("ticket:4", "TicketEffectSuspected")
    assert (effect.data["effect_ticket_id"], effect.data["effect_service"]) == (3, "worker")
    cause = shop.events("ticket:3", "TicketCauseSuspected")[0]
    assert (cause.data["cause_ticket_id"], cause.data["cause_alert_id"], cause.data["cause_service"]) == (4, 4, "db")


def test_each_effect_is_told_once_for_a_ticket(desk: Desk) -> None:
    declare_shop(desk)
    desk.save_rule("errors", "level:ERROR", correlate_by=("service",))
    desk.post(critical(service="web"))
    for message in ("one", "two"):
        desk.post({"level": "ERROR", "service": "db", "message": message})
    assert desk.kinds("ticket:2") == ["TicketOpened", "TicketEffectSuspected", "AlertJoined"]
    assert desk.kinds("ticket:1") == ["TicketOpened", "TicketCauseSuspected"]


def test_a_storm_that_is_over_lets_what_follows_from_the_database_go_with_it(
    settings: Settings, open_desk: Callable[..., Desk], clock: FakeClock
) -> None:
    desk = open_desk(settings)
    declare_shop(desk)
    desk.post(*(critical(f"failure {word}", service="db") for word in WORDS[:25]))
    desk.post(critical(service="web"))
    assert {alert.ticket_id for alert in desk.alerts} == {desk.ticket.id}
    clock.advance(minutes=12)
    desk.post(critical(f"failure {WORDS[0]}", service="db"), critical(service="web"))
    for _ in range(3):
        clock.advance(minutes=1)
        desk.run_due_timers()
    of_db = next(alert for alert in desk.alerts if alert.title.endswith(WORDS[0]))
    of_web = next(alert for alert in desk.alerts if alert.service == "web")
    assert (of_db.ticket_id, of_db.suppressed_by) == (2, None)
    assert (of_web.ticket_id, of_web.suppressed_by) == (2, f"inhibition:{of_db.id}")


WORDS = [a + b for a in "abcdef" for b in "vwxyz"]


@pytest.mark.parametrize("restarts", [False, True], ids=["running through", "with restarts"])
def test_a_restart_in_between_makes_no_difference(
    settings: Settings, open_desk: Callable[..., Desk], clock: FakeClock, restarts: bool
) -> None:
    opened = [open_desk(settings)]

    def desk() -> Desk:
        if restarts:
            opened[-1].close()
            opened.append(open_desk(settings))
        return opened[-1]

    declare_shop(desk())
    desk().post(critical(service="db"), critical(service="web"))
    clock.advance(minutes=3)
    desk().post(critical(service="worker"))
    desk().post(critical(service="worker"), critical("slow", service="api"))
    desk().resolve(1)
    desk().post(critical(service="worker"))
    desk().post(critical("slow", service="db"))
    desk().post(critical(service="web"))
    desk().check_books()
    assert [(t.id, t.status, t.service) for t in desk().tickets] == [
        (1, "RESOLVED", "db"),
        (2, "OPEN", "worker"),
        (3, "OPEN", "db"),
    ]
    assert where(desk()) == {
        "db": (3, None),
        "web": (3, "db"),
        "worker": (2, None),
        "api": (1, "db"),
    }
    assert desk().verdicts() == {"opened": 3, "suppressed": 5}
    assert desk().kinds("ticket:2") == ["TicketOpened", "TicketCauseSuspected"]


@pytest.mark.slow
def test_upstream_and_dependants_that_fail_at_the_same_moment_on_several_servers_know_of_each_other(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desks = [open_desk(settings, limits=NO_LIMITS) for _ in range(1 if settings.database_secret is None else 4)]
    for n in range(12):
        desks[0].declare(f"web-{n}", depends_on=[f"db-{n}"])
        services = [f"db-{n}", f"web-{n}", f"db-{n}", f"web-{n}"]
        works = [
            lambda place=place, service=service: desks[place % len(desks)].post(critical(service=service))
            for place, service in enumerate(services)
        ]
        assert not [one for one in in_threads(*works) if isinstance(one, Exception)]
    desk = desks[0]
    desk.check_books()
    found = where(desk)
    for n in range(12):
        (db_ticket, _), (web_ticket, by) = found[f"db-{n}"], found[f"web-{n}"]
        kinds = desk.kinds(f"ticket:{web_ticket}")
        assert (by is not None) == (web_ticket == db_ticket)
        assert by is not None or "TicketCauseSuspected" in kinds, "neither saw the other"
