"""Rules that count within a window: they fire at exactly n, whoever counts, and never twice for the same records."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from desk import START, Desk, FakeClock, error, in_threads, info
from tocsin.alerts import thresholds, window_store
from tocsin.alerts.rules import Kind
from tocsin.kit.clock import iso
from tocsin.kit.errors import Invalid
from tocsin.settings import Settings
from tocsin.tickets.storming import NO_LIMITS

COUNTING: dict[str, Any] = {"kind": Kind.THRESHOLD, "threshold": 5, "window_s": 600}


def at(seconds: float, message: str = "request failed", **fields: Any) -> dict[str, Any]:
    return error(message, timestamp=iso(START + timedelta(seconds=seconds)), **fields)


def test_it_fires_at_exactly_n_and_counts_from_there(desk: Desk) -> None:
    desk.save_rule(**COUNTING)
    for number in range(4):
        desk.post(at(number))
        assert (desk.alerts, desk.verdicts()) == ([], {"pending": number + 1})
    desk.post(at(4), at(5))

    assert desk.verdicts() == {"pending": 4, "opened": 2}
    assert (desk.alert.count, desk.ticket.priority) == (2, 3)
    assert desk.alert.first_record_id == desk.logs[4].id
    assert desk.ticket.description.startswith("Rule errors matched 5 times within 600 s in payments:")
    desk.post(at(6))
    assert desk.verdicts() == {"pending": 4, "opened": 2, "counted": 1}


def test_each_group_has_a_window_of_its_own(desk: Desk) -> None:
    desk.save_rule(**COUNTING, group_by=("service",))
    desk.post(*[at(n, f"{n}", service=s) for n in range(4) for s in ("payments", "shop")])
    assert desk.tickets == []
    desk.post(at(4, "other", service="shop"))
    assert [ticket.service for ticket in desk.tickets] == ["shop"]


def test_records_further_apart_than_the_window_do_not_add_up(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule(**COUNTING)
    for _ in range(20):
        desk.post(error())
        clock.advance(seconds=150)
    assert (desk.tickets, desk.verdicts()) == ([], {"pending": 20})


def test_a_restart_in_the_middle_of_a_window_changes_nothing(
    settings: Settings, open_desk: Callable[..., Desk], clock: FakeClock
) -> None:
    open_desk(settings).save_rule(**COUNTING)
    for number in range(6):
        open_desk(settings).post(error())
        clock.advance(seconds=60)
        expected = {"pending": min(number + 1, 4)} | ({"opened": 1} if number > 3 else {})
        assert open_desk(settings).verdicts() == expected | ({"counted": 1} if number > 4 else {})


def test_late_records_amend_their_bucket_and_are_marked_and_never_page_twice(desk: Desk, clock: FakeClock) -> None:
    clock.advance(minutes=30)
    desk.save_rule(**COUNTING)
    desk.post(*[at(1500)] * 4)
    desk.post(at(1300))
    assert (len(desk.tickets), desk.late) == (1, 1)
    desk.post(at(1310))
    assert (desk.alert.count, desk.late) == (2, 2)

    desk.resolve(1)
    desk.post(*[at(1310)] * 20)
    assert (len(desk.alerts), desk.ticket.status, desk.late) == (1, "RESOLVED", 22)
    desk.post(*[at(1510)] * 5)
    assert (len(desk.alerts), desk.ticket.status) == (2, "OPEN")


def test_a_host_whose_clock_is_ahead_hides_nothing(desk: Desk) -> None:
    desk.save_rule(kind=Kind.THRESHOLD, threshold=5, window_s=60, group_by=("service",))
    desk.post(at(290))
    desk.post(*[at(0)] * 4)
    assert len(desk.tickets) == 1


def test_backfilled_records_count_towards_nothing(desk: Desk) -> None:
    desk.save_rule(**COUNTING)
    desk.post(*[error()] * 10, backfill=True)
    desk.post(*[error()] * 4)
    assert (desk.tickets, desk.verdicts()) == ([], {"backfill": 10, "pending": 4})


def test_it_resolves_by_itself_after_two_windows_in_which_there_was_not_enough(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule(**COUNTING)
    desk.post(*[error()] * 5)
    for _ in range(3):
        clock.advance(seconds=610)
        desk.run_due_timers()
        desk.post(error())
    assert desk.ticket.status == "RESOLVED"
    assert desk.alert.ended_at == clock.now() - timedelta(seconds=610)
    assert desk.kinds("alert:1") == ["AlertOpened", "AlertQuieted"]
    assert desk.verdicts() == {"pending": 6, "opened": 1, "counted": 1}


def test_while_there_is_enough_it_stays_open_whatever_the_clock_says(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule(**COUNTING)
    for _ in range(30):
        desk.post(error(), error())
        clock.advance(seconds=120)
        desk.run_due_timers()
    assert (len(desk.alerts), desk.ticket.status) == (1, "OPEN")


def test_a_dry_run_counts_and_opens_nothing(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule(**COUNTING, dry_run=True)
    desk.post(*[error()] * 6)
    desk.post(error())
    assert (desk.alerts, desk.verdicts()) == ([], {"dry_run": 7})
    assert desk.would("errors") == {"pending": 4, "opened": 2, "counted": 1}

    clock.advance(hours=1)
    desk.post(*[error()] * 5)
    assert desk.would("errors") == {"pending": 8, "opened": 3, "counted": 1}


def test_another_window_begins_anew(desk: Desk) -> None:
    desk.save_rule(**COUNTING)
    desk.post(*[error()] * 4)
    desk.save_rule(**{**COUNTING, "window_s": 1200})
    desk.post(*[error()] * 4)
    assert desk.tickets == []
    desk.save_rule(**{**COUNTING, "window_s": 1200, "threshold": 4})
    desk.post(error())
    assert len(desk.tickets) == 1


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"window_s": 600}, "/threshold"),
        ({"threshold": 5}, "/window_s"),
        ({"threshold": 5, "window_s": 5}, "/window_s"),
    ],
)
def test_a_threshold_needs_a_number_and_a_window(desk: Desk, fields: dict[str, int], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        desk.save_rule(kind=Kind.THRESHOLD, **fields)
    assert [found.pointer for found in refused.value.errors] == [pointer]


def test_with_the_n_records_spread_over_eight_connections_it_fires_at_exactly_n(
    postgres_settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desks = [open_desk(postgres_settings) for _ in range(8)]
    for number in range(20):
        name = f"rule-{number}"
        desks[0].save_rule(name, f"round{number}", kind=Kind.THRESHOLD, threshold=17, window_s=600)
        posts = [
            partial(desk.post, *[error(f"round{number}")] * (2 if place else 3)) for place, desk in enumerate(desks)
        ]
        assert not [found for found in in_threads(*posts) if isinstance(found, Exception)]
        assert desks[0].verdicts(name) == {"pending": 16, "opened": 1}, "17 records, and the last one opens"
        short = [partial(desk.post, *[error(f"round{number} x", service="shop")] * 2) for desk in desks]
        assert not [found for found in in_threads(*short) if isinstance(found, Exception)]
        assert desks[0].verdicts(name) == {"pending": 32, "opened": 1}, "16 of another group open nothing"
    assert len(desks[0].tickets) == 20


def test_many_groups_at_once_from_many_connections_lose_nothing(
    postgres_settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desks = [open_desk(postgres_settings, limits=NO_LIMITS) for _ in range(4)]
    desks[0].save_rule(**{**COUNTING, "threshold": 8}, group_by=("@host",))

    def work(desk: Desk, turn: int) -> None:
        hosts = list(range(40))
        for _ in range(4):
            desk.post(*[error(attributes={"host": f"h{host}"}) for host in (hosts if turn % 2 else reversed(hosts))])

    works = [partial(work, desk, turn) for turn, desk in enumerate(desks)]
    assert in_threads(*works) == [None] * 4
    verdicts = desks[0].verdicts()
    assert verdicts["pending"] == 40 * 7
    assert sum(verdicts.values()) == 40 * 16
    assert len(desks[0].tickets) == len(desks[0].alerts) == 40
    assert desks[0].parked == 0


SHARE: dict[str, Any] = {"kind": Kind.RATIO, "ratio": 0.1, "minimum": 20, "window_s": 600, "group_by": ("service",)}


def test_a_ratio_fires_when_enough_of_all_records_are_such(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule(condition="@status:>=500", of="_exists_:@status", **SHARE)
    served = [info(attributes={"status": 200})]
    failed = [error(attributes={"status": 503})]
    desk.post(*failed * 2, *served * 16, info("no status"))
    assert (desk.tickets, desk.verdicts()) == ([], {"pending": 2})
    desk.post(*served * 4)
    assert desk.tickets == []
    desk.post(*failed)
    assert desk.verdicts() == {"pending": 2, "opened": 1}
    assert desk.ticket.description.startswith("Rule errors matched 10 % of the records within 600 s in payments")
    assert desk.alert.title == "payments: request failed"

    for _ in range(4):
        clock.advance(seconds=400)
        desk.post(*served * 30, *failed)
        desk.run_due_timers()
    assert desk.ticket.status == "RESOLVED"


def test_a_ratio_is_the_same_when_each_record_comes_through_another_server(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desks = [open_desk(settings) for _ in range(3)]
    desks[0].save_rule(condition="level:ERROR", **SHARE)
    for number in range(30):
        desks[number % 3].post(error() if number % 9 == 0 else info())
    assert desks[0].verdicts() == {"pending": 3, "opened": 1}
    assert [record.id for record in desks[0].logs if record.level == "ERROR"][3] == desks[0].alert.first_record_id


def test_records_of_a_share_that_are_backfilled_count_neither_way(desk: Desk) -> None:
    desk.save_rule(condition="level:ERROR", **SHARE)
    desk.post(*[info()] * 50, error(), backfill=True)
    desk.post(*[info()] * 17, *[error()] * 3)
    assert desk.verdicts() == {"backfill": 1, "pending": 2, "opened": 1}


def test_more_groups_than_a_rule_may_have_are_counted_together_in_one_that_is_named_so(
    desk: Desk, clock: FakeClock
) -> None:
    desk.save_rule(**COUNTING, group_by=("@host",))
    desk.post(*[error(attributes={"host": f"h{n}"}) for n in range(thresholds.MAX_GROUPS)])
    assert (desk.tickets, desk.verdicts()) == ([], {"pending": thresholds.MAX_GROUPS})

    desk.post(*[error(attributes={"host": f"more{n}"}) for n in range(7)])
    assert desk.alert.title == "errors: more groups than are counted one by one"
    assert desk.verdicts() == {"pending": thresholds.MAX_GROUPS + 4, "opened": 3}

    clock.advance(hours=1)
    desk.post(*[error(attributes={"host": "fresh"})] * 5)
    assert len(desk.tickets) == 2, "idle groups have made room"
    assert desk.database.read(lambda tx: window_store.count(tx, "errors")) == 1
