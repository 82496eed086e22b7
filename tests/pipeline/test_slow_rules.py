"""A rule that takes more time than it may is set apart like one that raises, and does not slow intake down."""

from collections.abc import Callable

import pytest

from desk import START, Desk, FakeClock, critical, error, info
from tocsin.alerts.budget import BASE_NS, PER_BYTE_NS, PER_RECORD_NS, overdrawn
from tocsin.logs.record import Columns
from tocsin.proof.explain import explain_record
from tocsin.proof.ledger import verify
from tocsin.settings import Settings

SECOND_NS = 1_000_000_000


class CpuClock:
    """The CPU time of a thread: each look at it takes as long as it is told."""

    def __init__(self) -> None:
        self.looks = 0
        self.takes_ns: list[int] = []
        self._now = 0

    def __call__(self) -> int:
        self.looks += 1
        if self.looks % 2 == 0 and self.takes_ns:
            self._now += self.takes_ns.pop(0)
        return self._now

    @property
    def evaluations(self) -> int:
        return self.looks // 2


@pytest.fixture
def cpu() -> CpuClock:
    return CpuClock()


@pytest.fixture
def slow_desk(settings: Settings, open_desk: Callable[..., Desk], cpu: CpuClock) -> Desk:
    return open_desk(settings, cpu_ns=cpu)


def test_a_rule_that_took_too_long_is_shown_as_broken_and_the_others_go_on(
    slow_desk: Desk, cpu: CpuClock, clock: FakeClock
) -> None:
    desk = slow_desk
    desk.save_rule("slow", "level:>=ERROR")
    cpu.takes_ns = [2 * SECOND_NS] * 2
    desk.post(error(), error())
    desk.post(critical(), error())

    assert [ticket.opened_by for ticket in desk.tickets] == ["rule:critical-logs"]
    assert (desk.verdicts(), desk.parked) == ({"opened": 1}, 2)
    assert desk.rule("slow").broken_reason == "took 2 s for 2 records; its budget for those is 0.2 s"
    assert desk.rule("critical-logs").broken_at is None
    clock.advance(seconds=1)
    assert verify(desk.database, desk.reader, START, clock.now()).balanced


def test_a_rule_that_was_slow_once_is_looked_at_again_before_it_is_set_apart(slow_desk: Desk, cpu: CpuClock) -> None:
    cpu.takes_ns = [2 * SECOND_NS]
    slow_desk.post(critical())

    assert (slow_desk.parked, slow_desk.verdicts(), cpu.evaluations) == (0, {"opened": 1}, 2)


def test_intake_does_not_ask_it_again_and_a_retry_finds_that_it_is_well(
    slow_desk: Desk, cpu: CpuClock, clock: FakeClock
) -> None:
    desk = slow_desk
    desk.remove_rule()
    desk.save_rule("slow", "level:>=ERROR")
    cpu.takes_ns = [SECOND_NS] * 2
    desk.post(error())
    for _ in range(5):
        desk.post(error(), info())
    assert (cpu.evaluations, desk.parked, desk.verdicts()) == (2, 6, {})

    clock.advance(seconds=10)
    desk.run_due_timers()
    assert (cpu.evaluations, desk.parked) == (2, 6), "it rests for a while, or retries would cost what intake must not"
    cpu.takes_ns = [SECOND_NS] * 2
    clock.advance(seconds=30)
    desk.run_due_timers()
    assert (cpu.evaluations, desk.parked) == (4, 6)
    clock.advance(seconds=60)
    desk.run_due_timers()
    assert (desk.parked, desk.verdicts(), desk.rule("slow").broken_at) == (0, {"opened": 1, "counted": 5}, None)

    asked = cpu.evaluations
    desk.post(error())
    assert (cpu.evaluations, desk.verdicts()) == (asked + 1, {"opened": 1, "counted": 6})
    assert desk.kinds("rule:slow") == ["RuleSaved", "RuleBroken", "RuleMended"]
    clock.advance(seconds=1)
    assert verify(desk.database, desk.reader, START, clock.now()).balanced


def test_it_is_waited_for_ten_minutes_and_asked_again_once_it_is_saved_anew(
    slow_desk: Desk, cpu: CpuClock, clock: FakeClock
) -> None:
    desk = slow_desk
    desk.save_rule("slow", "level:ERROR")
    cpu.takes_ns = [SECOND_NS] * 6
    first = desk.post(error()).first_id
    clock.advance(minutes=10)
    desk.run_due_timers()
    desk.post(error())
    assert (desk.parked, desk.verdicts()) == (0, {"parked": 2})
    assert first is not None
    [told] = [one for one in explain_record(desk.database, desk.reader, first).rules if one.rule == "slow"]
    assert told.why == "The rule raised, or took too long, on this record until it was given up; it opened nothing."

    cpu.takes_ns = []
    desk.save_rule("slow", "level:ERROR service:payments")
    desk.post(error())
    assert desk.verdicts() == {"parked": 2, "opened": 1}


def test_what_one_server_found_well_again_another_asks_too(
    settings: Settings, open_desk: Callable[..., Desk], clock: FakeClock
) -> None:
    here_cpu, there_cpu = CpuClock(), CpuClock()
    here, there = open_desk(settings, cpu_ns=here_cpu), open_desk(settings, cpu_ns=there_cpu)
    here.save_rule("slow", "level:ERROR")
    here_cpu.takes_ns = [SECOND_NS] * 2
    here.post(error())
    here.post(error())
    clock.advance(minutes=1)
    there.run_due_timers()
    assert (there.parked, there.verdicts()) == (0, {"opened": 1, "counted": 1})
    here.post(info())
    here.post(error())
    assert here.verdicts() == {"opened": 1, "counted": 2}


def test_the_budget_grows_with_how_many_and_how_large_the_records_are() -> None:
    columns = Columns(messages=["x" * 1000] * 10, attributes=[b"{}"] * 10)
    rows = range(10)
    allowed = BASE_NS + 10 * (PER_RECORD_NS + 1002 * PER_BYTE_NS)
    assert overdrawn(allowed, columns, rows) is None
    assert overdrawn(allowed + 1, columns, rows) == "took 0.204 s for 10 records; its budget for those is 0.204 s"
