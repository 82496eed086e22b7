"""Rules that fire only when it goes on for a while: by event time, whoever counts, and across restarts."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from desk import START, Desk, FakeClock, error, in_threads, info
from tocsin.alerts.rules import Kind
from tocsin.kit.clock import iso
from tocsin.proof.explain import explain_record
from tocsin.proof.ledger import verify
from tocsin.settings import Settings

BUSY: dict[str, Any] = {"kind": Kind.THRESHOLD, "threshold": 3, "window_s": 120, "for_s": 300}


def at(seconds: float, message: str = "queue is full", **fields: Any) -> dict[str, Any]:
    return error(message, timestamp=iso(START + timedelta(seconds=seconds)), **fields)


def test_a_threshold_that_is_reached_for_a_moment_opens_nothing(desk: Desk, clock: FakeClock) -> None:
    clock.advance(hours=1)
    desk.save_rule(**BUSY)
    desk.post(*[at(n) for n in range(50)])
    desk.post(*[at(1000 + n) for n in range(50)])
    assert (desk.tickets, desk.verdicts()) == ([], {"pending": 100})


def test_a_threshold_that_is_exceeded_without_a_break_opens_at_exactly_its_time(desk: Desk, clock: FakeClock) -> None:
    clock.advance(hours=1)
    desk.save_rule(**BUSY)
    for second in range(0, 320, 20):  # the third makes it enough, at 40
        desk.post(at(second))
    assert desk.tickets == []
    desk.post(at(339))
    assert desk.tickets == []
    desk.post(at(340), at(341))
    assert desk.verdicts() == {"pending": 17, "opened": 2}
    assert desk.ticket.description.startswith("Rule errors matched 3 times within 120 s for 300 s in payments:")


def test_a_share_must_last_too(desk: Desk, clock: FakeClock) -> None:
    clock.advance(hours=1)
    desk.save_rule(kind=Kind.RATIO, ratio=0.5, minimum=2, window_s=60, for_s=120, group_by=("service",))
    ok = partial(info, timestamp=iso(START + timedelta(seconds=60)))
    desk.post(at(0), at(10), at(60), ok(), ok(), ok(), ok(), at(70), at(80), at(90), at(100), at(110), at(120))
    assert desk.tickets == []
    desk.post(*[at(120 + n) for n in range(10, 120, 10)])
    assert len(desk.tickets) == 1


def test_records_that_go_on_open_an_alert_and_single_ones_do_not(desk: Desk, clock: FakeClock) -> None:
    clock.advance(hours=2)
    desk.save_rule(for_s=600)
    desk.post(*[at(0)] * 100)
    desk.post(at(301), at(602))
    desk.post(at(300, "another kind"))
    assert (desk.tickets, desk.verdicts()) == ([], {"pending": 103})
    last = desk.post(at(902))
    assert desk.tickets == []
    desk.post(at(1202), at(1203))
    assert desk.verdicts() == {"pending": 104, "opened": 2}
    assert desk.ticket.description.startswith("Rule errors matched for 600 s on end in payments: queue is full")
    assert last.first_id is not None
    [told] = [one for one in explain_record(desk.database, desk.reader, last.first_id).rules if one.rule == "errors"]
    assert told.why == (
        "Records of its kind had not gone on for long enough yet: the rule needs records that go on for 600 s."
    )

    desk.resolve(1)
    desk.post(at(1203), at(1202), at(1500), at(1700))
    assert (len(desk.alerts), desk.late) == (1, 2)
    desk.post(at(1900), at(2100))
    assert len(desk.alerts) == 2
    assert verify(desk.database, desk.reader, START, clock.now() + timedelta(seconds=1)).balanced


def test_a_dry_run_of_it_opens_once(desk: Desk, clock: FakeClock) -> None:
    clock.advance(hours=2)
    desk.save_rule(for_s=600, dry_run=True)
    for second in range(0, 1200, 200):
        desk.post(at(second))
    assert desk.would("errors") == {"pending": 3, "opened": 1, "counted": 2}


def test_it_lasts_through_any_number_of_servers_at_once(
    postgres_settings: Settings, open_desk: Callable[..., Desk], clock: FakeClock
) -> None:
    clock.advance(hours=1)
    desks = [open_desk(postgres_settings) for _ in range(4)]
    desks[0].save_rule(for_s=100)
    for second in range(0, 100, 20):
        assert not [x for x in in_threads(*[partial(d.post, at(second)) for d in desks]) if isinstance(x, Exception)]
    assert desks[0].tickets == []
    assert not [x for x in in_threads(*[partial(d.post, at(100)) for d in desks]) if isinstance(x, Exception)]
    assert desks[0].verdicts() == {"pending": 20, "opened": 1, "counted": 3}
