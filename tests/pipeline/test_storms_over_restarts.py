"""A restart in the middle of a storm, or while alerts flap, changes nothing, whatever comes and whenever it is."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from desk import START, Desk, FakeClock, critical
from tocsin.alerts.model import verdicts
from tocsin.kit.clock import MICROSECOND
from tocsin.proof.ledger import verify
from tocsin.settings import Settings
from tocsin.storage.database import DATABASE_FILE
from tocsin.tickets.storming import StormLimits

SERVICES = ("shop", "payments", "stock")
MESSAGES = ("the disk is full", "no route to the bank", "a worker died", "login refused", "the queue is stuck")
LIMITS = StormLimits(of_service=2, in_all=4)
RECORD = st.tuples(st.sampled_from(SERVICES), st.sampled_from(MESSAGES))
# How many minutes pass, how many tickets a person resolves then, and what comes in.
STEP = st.tuples(st.sampled_from([0, 0, 1, 2, 5, 11, 31]), st.integers(0, 2), st.lists(RECORD, max_size=5))
STORY = st.lists(STEP, min_size=1, max_size=25)
Step = tuple[int, int, list[tuple[str, str]]]


def outcome_of(story: list[Step], settings: Settings, *, restarts: bool) -> dict[str, Any]:
    """What there is to see after a story, with one server or with a new one before each step."""
    clock = FakeClock()
    desks = [Desk(settings, clock, limits=LIMITS)]
    try:
        desks[-1].save_rule("short", 'level:CRITICAL "a worker died"', auto_resolve_after_s=60)
        for minutes, resolved, records in story:
            if restarts:
                desks.pop().close()
                desks.append(Desk(settings, clock, limits=LIMITS))
            desk = desks[-1]
            clock.advance(minutes=minutes)
            desk.run_due_timers()
            if records:
                desk.post(*[critical(message, service) for service, message in records])
            for ticket in [one for one in desk.tickets if one.status == "OPEN"][:resolved]:
                desk.resolve(ticket.id)
        assert verify(desks[-1].database, desks[-1].reader, START, clock.now() + MICROSECOND).balanced
        return _seen(desks[-1])
    finally:
        desks[-1].close()


def _seen(desk: Desk) -> dict[str, Any]:
    columns = (verdicts.c.rule, verdicts.c.fingerprint, verdicts.c.verdict, verdicts.c.suppressed_by, verdicts.c.n)
    found = desk.database.read(lambda tx: [tuple(row) for row in tx.execute(select(*columns).order_by(verdicts.c.id))])
    return {
        "verdicts": found,
        "alerts": [
            (a.title, a.rule, a.count, a.suppressed_by, a.ticket_id, a.opened_at, a.ended_at) for a in desk.alerts
        ],
        "tickets": [
            (t.title, t.status, t.opened_by, t.opened_at, t.resolved_at, t.reopen_count, t.released_from)
            for t in desk.tickets
        ],
        # Records have other numbers after a restart.
        "events": [(one.kind, one.subject, one.at) for one in desk.events() if not one.subject.startswith("logs:")],
    }


@pytest.mark.slow
@hypothesis.settings(max_examples=10)
@given(STORY)
def test_the_outcome_is_the_same(sqlite_template: Path, story: list[Step]) -> None:
    seen = []
    for restarts in (False, True):
        with TemporaryDirectory() as folder:
            shutil.copy(sqlite_template, Path(folder) / DATABASE_FILE)
            seen.append(outcome_of(story, Settings(data_dir=Path(folder)), restarts=restarts))
    assert seen[0] == seen[1]


def test_the_stories_reach_storms_their_ends_and_flapping(sqlite_template: Path) -> None:
    burst = [("shop", message) for message in MESSAGES]
    story: list[Step] = [(0, 0, burst), (8, 0, burst[:1]), (5, 0, [])]
    story += [(2, 0, [("stock", "a worker died")])] * 5
    with TemporaryDirectory() as folder:
        shutil.copy(sqlite_template, Path(folder) / DATABASE_FILE)
        seen = outcome_of(story, Settings(data_dir=Path(folder)), restarts=True)
    kinds = {kind for kind, _, _ in seen["events"]}
    assert {"StormBegan", "StormEnded", "AlertReleased", "AlertFlapping"} <= kinds
