"""Rules about new patterns: a service is learned first, then each pattern that was never met alerts once."""

import itertools
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event
from test_alerts_of_patterns import NAMES, explained

from desk import START, Desk, FakeClock, error, in_threads
from tocsin.alerts.rules import Kind
from tocsin.kit.clock import EPOCH, MICROSECOND, iso
from tocsin.kit.errors import Invalid
from tocsin.proof.ledger import verify
from tocsin.settings import Settings

NEW: dict[str, Any] = {"kind": Kind.NEW_PATTERN}


def check_balance(desk: Desk) -> None:
    found = verify(desk.database, desk.reader, EPOCH, desk.clock.now() + MICROSECOND)
    assert found.balanced, found.gaps


@pytest.fixture
def watching(desk: Desk, clock: FakeClock) -> Desk:
    """A desk that has learned two patterns of a service, a day ago."""
    desk.save_rule(**NEW)
    desk.post(error("request failed"), error("slow answer after 7 ms"))
    clock.advance(days=1)
    return desk


def test_what_comes_up_while_a_service_is_learned_alerts_nobody(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule(**NEW)
    for message in ("request failed", "no route", "request failed"):
        desk.post(error(message))
        clock.advance(hours=11)
    assert (desk.alerts, desk.verdicts()) == ([], {"pending": 3})


def test_a_pattern_that_was_never_met_alerts_once(watching: Desk) -> None:
    watching.post(error("disk full"), error("request failed"))
    watching.post(error("disk full"), error("disk full"))
    assert watching.verdicts() == {"pending": 3, "opened": 1, "counted": 2}
    assert (watching.alert.count, watching.alert.pattern) == (3, "disk full")
    assert watching.ticket.title == "payments: disk full"

    watching.resolve(watching.ticket.id)
    watching.post(error("disk full"))
    watching.post(error("disk full"), error("slow answer after 8 ms"))
    assert watching.verdicts() == {"pending": 6, "opened": 1, "counted": 2}
    assert len(watching.alerts) == 1
    check_balance(watching)


def test_other_words_in_a_place_that_varies_are_nothing_new(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule(**NEW)
    desk.post(*[error(f"login of {name} failed") for name in NAMES[:12]])
    clock.advance(days=2)
    desk.post(error("login of walter failed"))
    desk.post(error("login of greta succeeded"))
    assert [alert.template for alert in desk.alerts] == ["login of greta succeeded"]


def test_forms_of_one_new_pattern_in_one_batch_are_one_alert(watching: Desk) -> None:
    watching.post(*[error(f"login of {name} failed") for name in NAMES[:12]])
    assert (watching.alert.count, len(watching.tickets)) == (12, 1)
    assert watching.verdicts() == {"pending": 2, "opened": 1, "counted": 11}


def test_forms_of_a_pattern_are_counted_on_its_alert_however_few_they_are(watching: Desk) -> None:
    watching.post(*[error(f"login of {name} failed") for name in NAMES[:12]])
    watching.save_rule("each", "level:>=ERROR")
    for name in NAMES[12:18]:
        watching.post(error(f"login of {name} failed"))
    assert [(alert.rule, alert.count) for alert in watching.alerts] == [("errors", 18), *[("each", 1)] * 6]


def test_what_a_silence_hides_is_counted_on_the_alert_and_heard_at_its_end(watching: Desk, clock: FakeClock) -> None:
    watching.silence("service:payments", duration_s=3600)
    clock.advance(minutes=55)
    watching.post(error("disk full"), *[error(f"login of {name} failed") for name in NAMES[:8]])
    watching.post(error("disk full"), error("request failed"), error("login of walter failed"))
    assert watching.tickets == []
    assert [(a.suppressed_by, a.count) for a in watching.alerts] == [("silence:1", 2), ("silence:1", 9)]
    assert watching.verdicts() == {"pending": 3, "suppressed": 11}

    clock.advance(minutes=6)
    watching.run_due_timers()
    assert [(a.status, a.ticket_id, a.count) for a in watching.alerts] == [("firing", 1, 2), ("firing", 2, 9)]
    watching.post(error("disk full"), error("login of greta failed"))
    assert [a.count for a in watching.alerts] == [3, 10]
    check_balance(watching)


def test_a_record_that_no_silence_hides_releases_the_alert_of_a_new_pattern(watching: Desk) -> None:
    watching.silence("@host:db1")
    watching.post(error("disk full", attributes={"host": "db1"}))
    watching.post(error("disk full", attributes={"host": "db1"}), error("disk full", attributes={"host": "db2"}))
    assert (watching.alert.ticket_id, watching.alert.status, watching.alert.count) == (1, "firing", 3)
    check_balance(watching)


def test_what_was_over_before_a_silence_ended_is_new_until_somebody_is_told(watching: Desk, clock: FakeClock) -> None:
    for _ in range(2):
        watching.silence("service:payments", duration_s=3600)
        watching.post(error("disk full"), *[error(f"login of {name} failed") for name in NAMES[:8]])
        clock.advance(minutes=61)
        watching.run_due_timers()
    assert {(alert.status, alert.ticket_id) for alert in watching.alerts} == {("resolved", None)}
    assert watching.tickets == []

    watching.post(error("disk full"), error("login of walter failed"))
    assert [(alert.status, alert.ticket_id) for alert in watching.alerts[-2:]] == [("firing", 1), ("firing", 2)]
    watching.resolve(1)
    watching.post(error("disk full"))
    assert watching.verdicts() == {"pending": 3, "suppressed": 18, "opened": 2}
    check_balance(watching)


def test_many_words_of_a_known_pattern_cost_no_more_queries_than_some(watching: Desk, clock: FakeClock) -> None:
    def posted(words: Sequence[str]) -> int:
        asked: list[str] = []
        engine = watching.database.dialect.writers
        event.listen(engine, "before_cursor_execute", heard := lambda *given: asked.append(given[2]))
        watching.post(*[error(f"login of {word} failed") for word in words])
        event.remove(engine, "before_cursor_execute", heard)
        return len(asked)

    watching.post(*[error(f"login of {name} failed") for name in NAMES])
    watching.resolve(1)
    clock.advance(seconds=1)
    words = ["".join(letters) for letters in itertools.product("bcdfg", "aeiou", "klmnp")]
    for some in (words[:3], words[3:6]):  # its alert is over; it is known from then on
        posted(some)
        clock.advance(seconds=1)
    assert posted(words[6:9]) == posted(words[9:69])
    assert watching.verdicts() == {"pending": 2 + 69, "opened": 1, "counted": len(NAMES) - 1}


def test_each_service_is_learned_by_itself(watching: Desk, clock: FakeClock) -> None:
    watching.post(error("request failed", service="shop"))
    assert watching.alerts == []
    clock.advance(days=1)
    watching.post(error("disk full", service="shop"), error("request failed", service="shop"))
    assert [(alert.service, alert.template) for alert in watching.alerts] == [("shop", "disk full")]


def test_how_long_is_learned_is_up_to_the_rule(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule(**NEW, learn_s=3600)
    desk.save_rule("at-once", "level:>=ERROR", **NEW, learn_s=0)
    desk.post(error("request failed"))
    clock.advance(minutes=61)
    desk.post(error("disk full"))
    assert sorted((alert.rule, alert.template) for alert in desk.alerts) == [
        ("at-once", "disk full"),
        ("at-once", "request failed"),
        ("errors", "disk full"),
    ]


def test_backfill_teaches_and_alerts_nobody(watching: Desk) -> None:
    watching.post(error("disk full"), backfill=True)
    watching.post(error("disk full"))
    assert (watching.alerts, watching.verdicts()) == ([], {"pending": 3, "backfill": 1})


def test_a_record_that_happened_long_ago_alerts_like_any_other(watching: Desk) -> None:
    watching.post(error("disk full", timestamp=iso(START - timedelta(days=300))))
    assert watching.ticket.late_s == 301 * 86_400


def test_a_dry_run_learns_and_says_what_it_would_have_opened(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule(**NEW, dry_run=True)
    desk.post(error("request failed"))
    clock.advance(days=1)
    desk.post(error("disk full"), error("request failed"))
    desk.post(error("disk full"))
    assert (desk.alerts, desk.would("errors")) == ([], {"opened": 1, "pending": 3})
    desk.save_rule(**NEW)
    desk.post(error("disk full"), error("no route"))
    assert [alert.template for alert in desk.alerts] == ["no route"]


def test_a_rule_that_is_removed_forgets_and_one_that_is_changed_does_not(watching: Desk, clock: FakeClock) -> None:
    watching.save_rule(**NEW, runbook_url="https://wiki.example.org/new")
    watching.post(error("request failed"))
    assert watching.alerts == []
    watching.remove_rule("errors")
    watching.save_rule(**NEW, learn_s=0)
    watching.post(error("request failed"))
    assert watching.alert.template == "request failed"


def test_restarts_change_nothing(settings: Settings, open_desk: Callable[..., Desk], clock: FakeClock) -> None:
    open_desk(settings).save_rule(**NEW)
    for message in ("request failed", "no route", "request failed", "disk full", "disk full", "no route"):
        desk = open_desk(settings)
        desk.post(error(message))
        clock.advance(hours=9)
    assert desk.verdicts() == {"pending": 4, "opened": 1, "counted": 1}
    assert desk.alert.template == "disk full"
    check_balance(desk)


def test_eight_workers_that_meet_a_pattern_at_once_open_one_alert(
    postgres_settings: Settings, open_desk: Callable[..., Desk], clock: FakeClock
) -> None:
    desks = [open_desk(postgres_settings) for _ in range(8)]
    desks[0].save_rule(**NEW)
    for desk in desks:
        desk.post(error("request failed"))
    clock.advance(days=1)
    for message in ("disk full", "no route to host", "it broke"):
        outcomes = in_threads(*[partial(desk.post, error(message), error("request failed")) for desk in desks])
        assert not [one for one in outcomes if isinstance(one, Exception)]
    assert [alert.count for alert in desks[0].alerts] == [8, 8, 8]
    assert desks[0].verdicts() == {"pending": 8 + 24, "opened": 3, "counted": 21}
    check_balance(desks[0])


def test_a_known_pattern_is_explained(watching: Desk) -> None:
    watching.post(error("request failed"))
    told = explained(watching, watching.logs[-1].id, "errors")
    assert told.why.startswith("Its pattern is known in this service")
    assert told.window is None


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"kind": Kind.MATCH, "learn_s": 60}, "/learn_s"),
        ({**NEW, "learn_s": -1}, "/learn_s"),
        ({**NEW, "group_by": ("service",)}, "/group_by"),
        ({**NEW, "window_s": 60}, "/window_s"),
        ({**NEW, "threshold": 3}, "/threshold"),
    ],
)
def test_what_is_wrong_with_such_a_rule_is_named(desk: Desk, fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        desk.save_rule(**fields)
    assert [wrong.pointer for wrong in refused.value.errors] == [pointer]
