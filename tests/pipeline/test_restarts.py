"""A restart between any two posts gives the same outcome as none: what is going on is all in the database."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from desk import START, Desk, FakeClock, error, info
from postgres import PostgresServer
from tocsin.alerts.model import verdicts
from tocsin.alerts.rules import Kind
from tocsin.kit.clock import iso
from tocsin.settings import Settings
from tocsin.storage.database import DATABASE_FILE

Post = tuple[int, int, list[tuple[str, int, bool]]]
RECORD = st.tuples(st.sampled_from(["shop", "pay"]), st.integers(-90, 5), st.booleans())
POST = st.tuples(st.sampled_from([0, 5, 20, 20, 25]), st.integers(0, 3), st.lists(RECORD, max_size=4))
STORY = st.lists(POST, min_size=1, max_size=25)
RULES: dict[str, dict[str, Any]] = {
    "many": {"kind": Kind.THRESHOLD, "threshold": 3, "window_s": 60, "group_by": ("service",)},
    "lasting": {"kind": Kind.THRESHOLD, "threshold": 2, "window_s": 60, "for_s": 40, "group_by": ("service",)},
    "share": {"kind": Kind.RATIO, "ratio": 0.5, "minimum": 3, "window_s": 60, "group_by": ("service",)},
    "going-on": {"for_s": 60, "auto_resolve_after_s": 50},
    "silent": {"kind": Kind.ABSENCE, "window_s": 60, "group_by": ("service",), "auto_resolve_after_s": 30},
    "never": {"kind": Kind.ABSENCE, "window_s": 90, "group_by": (), "auto_resolve_after_s": 0},
}


def outcome_of(story: list[Post], settings: Settings, *, restarts: bool) -> dict[str, Any]:
    """What there is to see after a story, with one server or with a new one before each post."""
    clock = FakeClock()
    desks = [Desk(settings, clock)]
    try:
        for name, fields in RULES.items():
            desks[-1].save_rule(name, **fields)
        for pause_s, resolved, records in story:
            if restarts:
                desks.pop().close()
                desks.append(Desk(settings, clock))
            desk = desks[-1]
            desk.idle(seconds=pause_s)
            if records:
                desk.post(*[_record(clock, *record) for record in records])
            for ticket in desk.tickets[:resolved]:
                if ticket.status == "OPEN":
                    desk.resolve(ticket.id)
        return _seen(desks[-1])
    finally:
        desks[-1].close()


def _record(clock: FakeClock, service: str, offset_s: int, is_error: bool) -> dict[str, Any]:
    make = error if is_error else info
    return make("call failed", service, timestamp=iso(clock.now() + timedelta(seconds=offset_s)))


def _seen(desk: Desk) -> dict[str, Any]:
    columns = (verdicts.c.rule, verdicts.c.fingerprint, verdicts.c.verdict, verdicts.c.n, verdicts.c.late)
    found = desk.database.read(lambda tx: [tuple(row) for row in tx.execute(select(*columns).order_by(verdicts.c.id))])
    return {
        "verdicts": found,
        "alerts": [(a.rule, a.fingerprint, a.count, a.opened_at, a.ended_at) for a in desk.alerts],
        "tickets": [(t.title, t.status, t.opened_at, t.resolved_at, t.reopen_count) for t in desk.tickets],
    }


@contextmanager
def fresh_sqlite(template: Path) -> Iterator[Settings]:
    with TemporaryDirectory() as folder:
        shutil.copy(template, Path(folder) / DATABASE_FILE)
        yield Settings(data_dir=Path(folder))


def check(story: list[Post], fresh: Callable[[], Any]) -> None:
    seen = []
    for restarts in (False, True):
        with fresh() as settings:
            seen.append(outcome_of(story, settings, restarts=restarts))
    assert seen[0] == seen[1]


@pytest.mark.slow
@hypothesis.settings(max_examples=8)
@given(STORY)
def test_on_an_embedded_database(sqlite_template: Path, story: list[Post]) -> None:
    check(story, lambda: fresh_sqlite(sqlite_template))


def test_on_a_shared_database(postgres_server: PostgresServer, tmp_path: Path) -> None:
    story: list[Post] = []
    for turn in range(12):
        records = [("shop", -turn % 7, turn % 3 != 0), ("pay", -turn * 5, turn % 2 == 0)]
        story.append(((0, 20, 25)[turn % 3], int(turn == 8), records if turn % 5 else []))
    story += [(25, 0, [])] * 8

    @contextmanager
    def fresh() -> Iterator[Settings]:
        with postgres_server.clone("template_tocsin") as url:
            yield Settings(data_dir=tmp_path, database_url=url)

    check(story, fresh)


def test_the_stories_reach_what_they_are_about(sqlite_template: Path) -> None:
    story: list[Post] = [(20, 0, [("shop", 0, True), ("pay", 0, True)])] * 6 + [(25, 0, [])] * 8
    with fresh_sqlite(sqlite_template) as settings:
        seen = outcome_of(story, settings, restarts=True)
    assert {alert[0] for alert in seen["alerts"]} == set(RULES)
    assert max(alert[3] for alert in seen["alerts"]) > START
