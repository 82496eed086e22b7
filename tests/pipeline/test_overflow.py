"""More kinds of trouble than a person could ever look at: none is lost, and their number is bounded."""

from collections.abc import Callable
from functools import partial

import pytest

from desk import START, Desk, FakeClock, critical, error
from tocsin.alerts import service as alerts
from tocsin.alerts import store
from tocsin.alerts.overflow import OVERFLOW, overflow_of
from tocsin.alerts.rules import Kind
from tocsin.kit.events import LogsStored
from tocsin.pipeline import ROUTES
from tocsin.proof.explain import explain_record
from tocsin.proof.ledger import verify
from tocsin.settings import Settings

ROOM = 40


@pytest.fixture
def desk(settings: Settings, open_desk: Callable[..., Desk]) -> Desk:
    """One that keeps fewer groups apart, so that there are soon too many."""
    return open_desk(settings, routes={**ROUTES, LogsStored: (partial(alerts.apply, max_groups=ROOM),)})


def test_a_window_that_is_added_to_is_not_forgotten_to_make_room(desk: Desk, clock: FakeClock) -> None:
    counting = {"kind": Kind.THRESHOLD, "threshold": 2, "window_s": 12, "group_by": ("@host",)}
    desk.save_rule(**counting)
    desk.post(*[error(attributes={"host": f"h{n}"}) for n in range(ROOM)])
    clock.advance(minutes=10)
    desk.post(error(attributes={"host": "h0"}), error(attributes={"host": "new"}))
    assert desk.tickets == []
    desk.post(error(attributes={"host": "h0"}))
    assert desk.alert.count == 1
    assert desk.verdicts("errors") == {"pending": ROOM + 2, "opened": 1}


def test_a_rule_has_so_many_alerts_open_and_gathers_what_is_more_in_one(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule(group_by=("@host",), correlate_by=("rule",))
    desk.post(*[error(attributes={"host": f"h{n}"}) for n in range(ROOM - 2)])
    late = desk.post(*[error(attributes={"host": f"more{n}"}) for n in range(5)]).last_id
    desk.post(
        error(attributes={"host": "more9"}), error(attributes={"host": "more8"}), error(attributes={"host": "h1"})
    )
    desk.post(critical(attributes={"host": "h2"}))

    def open_ones() -> int:
        return desk.database.read(lambda tx: store.count_open(tx, "errors"))

    assert open_ones() == ROOM + 1, "and the one that gathers"
    assert desk.verdicts("errors") == {"opened": ROOM, "overflow": 5, "counted": 2}
    assert desk.verdicts("critical-logs") == {"opened": 1}, "each rule has room of its own"
    assert len(desk.tickets) == 3
    [gathering] = [ticket for ticket in desk.tickets if "more groups" in ticket.title]
    [alert] = desk.alerts_of(gathering.id)
    assert (alert.fingerprint, alert.template, alert.count) == (overflow_of("errors"), OVERFLOW, 5)

    assert late is not None
    [told] = [one for one in explain_record(desk.database, desk.reader, late).rules if one.rule == "errors"]
    assert told.why == (
        f"The rule had too many alerts open: it was counted on alert {alert.id}, which gathers other groups."
    )
    assert told.verdict is not None
    assert (told.verdict.verdict, told.verdict.n, told.ticket and told.ticket.id) == ("overflow", 3, gathering.id)
    clock.advance(seconds=1)
    assert verify(desk.database, desk.reader, START, clock.now()).balanced

    desk.resolve(1)
    desk.post(error(attributes={"host": "more9"}))
    assert open_ones() == 2, "now there is room again"


def test_words_in_a_place_that_varies_take_no_room(desk: Desk) -> None:
    desk.save_rule(kind=Kind.NEW_PATTERN, learn_s=0)
    names = [f"{a}{b}{c}" for a in "bcdfg" for b in "aeiou" for c in "klmn"]
    for some in (names[:60], names[60:]):
        desk.post(*[error(f"login of {name} failed") for name in some], error(f"{some[0]} is lost"))
    assert desk.verdicts("errors") == {"opened": 3, "counted": 99}
    assert sorted(alert.count for alert in desk.alerts) == [1, 1, 100]
