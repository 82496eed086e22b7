"""A restart in the middle of a silence changes nothing, whatever comes and whenever it is."""

import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desk import START, Desk, FakeClock, critical, error
from tocsin.alerts.rules import Kind
from tocsin.alerts.silencing import State
from tocsin.kit.errors import Conflict
from tocsin.settings import Settings
from tocsin.storage.database import DATABASE_FILE

MATCHERS = ("service:payments", "level:CRITICAL", "@host:db1", "*", "-service:shop")


@dataclass(frozen=True)
class Post:
    critical: bool
    service: str
    host: str
    n: int

    def do(self, desk: Desk) -> None:
        made = critical if self.critical else error
        desk.post(*[made("boom", self.service, attributes={"host": self.host})] * self.n)


@dataclass(frozen=True)
class Pass:
    minutes: int

    def do(self, desk: Desk) -> None:
        desk.clock.advance(minutes=self.minutes)
        desk.run_due_timers()
        desk.watch_silences()
        desk.run_due_timers()


@dataclass(frozen=True)
class Hush:
    matcher: str
    minutes: int
    ahead: int
    recurs: bool
    factor: float | None

    def do(self, desk: Desk) -> None:
        starts_at = desk.clock.now() + timedelta(minutes=self.ahead)
        times: dict[str, Any] = {"starts_at": starts_at, "duration_s": 60 * self.minutes}
        if self.recurs:
            hours = ",".join(str(hour) for hour in range(24))
            times |= {"recurrence": f"FREQ=DAILY;BYHOUR={hours}", "until": starts_at + timedelta(hours=6)}
        desk.silence(self.matcher, **times, break_factor=self.factor, baseline_n=None if self.factor is None else 1)


@dataclass(frozen=True)
class End:
    which: int

    def do(self, desk: Desk) -> None:
        try:
            desk.end_silence(1 + self.which % 3)
        except Exception as error:
            if not isinstance(error, Conflict) and "There is no silence" not in str(error):
                raise
        desk.run_due_timers()


Step = Post | Pass | Hush | End
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        st.builds(Post, st.booleans(), st.sampled_from(["payments", "shop"]), st.sampled_from(["db1", "db2"]),
                  st.sampled_from([1, 2, 60])),
        st.builds(Pass, st.sampled_from([1, 4, 9, 11, 25, 50])),
        st.builds(Hush, st.sampled_from(MATCHERS), st.sampled_from([5, 20, 59]), st.sampled_from([0, 0, 10]),
                  st.booleans(), st.sampled_from([None, 1.0])),
        st.builds(End, st.integers(0, 2)),
    ),
    min_size=3,
    max_size=14,
)  # fmt: skip


def told(desk: Desk) -> dict[str, Any]:
    """All that came of it, but for the ids of records: those are given in blocks, and a restart begins a new one."""
    alerts = [
        (a.fingerprint, a.status, a.count, a.opened_at, a.ended_at, a.suppressed_by, a.ticket_id) for a in desk.alerts
    ]
    tickets = [(t.id, t.title, t.status, t.opened_at, t.priority) for t in desk.tickets]
    kinds = [(event.kind, event.at) for event in desk.events() if event.kind != "LogsStored"]
    return {
        "alerts": alerts,
        "tickets": tickets,
        "verdicts": desk.verdicts(),
        "suppressed_by": desk.suppressed_by(),
        "hidden": [(one.records, one.alerts, one.would_be_p1, one.last_at) for one in map(desk.hidden, (1, 2, 3))],
        "events": kinds,
    }


def played(folder: Path, template: Path, steps: list[Step], restarts: frozenset[int]) -> dict[str, Any]:
    folder.mkdir()
    shutil.copy(template, folder / DATABASE_FILE)
    clock = FakeClock(START)
    desk = Desk(Settings(data_dir=folder), clock)
    try:
        desk.save_rule("counting", "level:ERROR", kind=Kind.THRESHOLD, threshold=2, window_s=600)
        for number, step in enumerate(steps):
            if number in restarts:
                desk.close()
                desk = Desk(Settings(data_dir=folder), clock)
            step.do(desk)
        found = told(desk)
        desk.roll_up()
        assert told(desk) == found, "rolling counts up changes nothing that is told"
        assert_balanced(desk)
    finally:
        desk.close()
        shutil.rmtree(folder)
    return found


def assert_balanced(desk: Desk) -> None:
    """What is open and hidden is so by a silence that is active, once all that is due is done."""
    desk.run_due_timers()
    silences = {f"silence:{one.silence.id}": one.silence for one, _ in desk.silences()}
    for alert in desk.alerts:
        if alert.ended_at is None and alert.suppressed_by in silences:
            assert silences[alert.suppressed_by].state_at(desk.clock.now()) is State.ACTIVE, alert
            assert alert.ticket_id is None
    desk.check_ledger()


@pytest.mark.slow
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS, restarts=st.frozensets(st.integers(0, 13), min_size=1, max_size=4))
def test_a_restart_changes_nothing(
    tmp_path: Path, sqlite_template: Path, steps: list[Step], restarts: frozenset[int]
) -> None:
    through = played(tmp_path / "through", sqlite_template, steps, frozenset())
    interrupted = played(tmp_path / "interrupted", sqlite_template, steps, restarts)
    assert interrupted == through
