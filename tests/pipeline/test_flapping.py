"""Stories of alerts that open and end again and again: people hear of it once."""

from collections.abc import Callable
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from desk import START, Desk, critical, error
from tocsin.alerts.flapping import changes
from tocsin.proof.explain import explain_alert
from tocsin.settings import Settings
from tocsin.tickets.workflow import Status


def relapse(desk: Desk, times: int) -> None:
    """A rule that ends its alerts after a quiet minute says something every five minutes."""
    for _ in range(times):
        desk.post(error())
        desk.clock.advance(minutes=5)
        desk.run_due_timers()


def test_an_alert_that_opens_and_ends_again_and_again_stays_open_until_it_is_calm(desk: Desk) -> None:
    desk.save_rule(auto_resolve_after_s=60)
    relapse(desk, 8)

    assert [alert.count for alert in desk.alerts] == [1, 7]  # the second would have ended with the fourth change
    assert desk.alerts[1].suppressed_by == "flap"
    assert desk.ticket.status is Status.OPEN
    [told] = desk.events(kind="AlertFlapping")
    assert told.data == {"alert_id": 2, "changes": 4, "within_s": 1800}
    assert desk.verdicts("errors") == {"opened": 2, "suppressed": 6}

    desk.clock.advance(minutes=26)
    desk.run_due_timers()
    assert desk.ticket.status is Status.RESOLVED
    assert desk.ticket.reopen_count == 1


def test_an_alert_that_comes_back_as_often_as_people_resolve_it_flaps(desk: Desk) -> None:
    for _ in range(3):
        desk.post(critical())
        desk.resolve(desk.ticket.id)
    desk.post(critical())

    alert = desk.alerts[-1]
    assert (alert.status, alert.suppressed_by, alert.ticket_id) == ("suppressed", "flap", desk.ticket.id)
    assert desk.ticket.status is Status.OPEN
    assert desk.events(kind="TicketReopened")[-1].data["reason"] == "the alert fired again, and flaps"
    told = explain_alert(desk.database, desk.reader, alert.id).summary
    assert (
        "the alert flaps, its changes page nobody until it has been calm for 30 minutes (change 7 within 30 min" in told
    )

    desk.clock.advance(minutes=30)
    desk.run_due_timers()
    assert desk.alerts[-1].status == "firing"
    assert len(desk.tickets) == 1
    desk.check_books()


def test_a_restart_while_an_alert_flaps_changes_nothing(settings: Settings, open_desk: Callable[..., Desk]) -> None:
    first = open_desk(settings)
    first.save_rule(auto_resolve_after_s=60)
    relapse(first, 3)
    first.close()
    desk = open_desk(settings)
    relapse(desk, 3)

    assert [(alert.count, alert.suppressed_by) for alert in desk.alerts] == [(1, None), (5, "flap")]


_MINUTE = timedelta(minutes=1)
MINUTES = st.integers(0, 90)


@given(st.lists(st.tuples(MINUTES, st.none() | MINUTES)))
def test_changes_are_the_openings_and_ends_since_then(episodes: list[tuple[int, int | None]]) -> None:
    moments = [at for episode in episodes for at in episode if at is not None]
    instants = [tuple(None if at is None else START.replace(minute=0) + at * _MINUTE for at in one) for one in episodes]

    assert changes(instants, START.replace(minute=0) + 30 * _MINUTE) == sum(at >= 30 for at in moments)  # type: ignore[arg-type]
