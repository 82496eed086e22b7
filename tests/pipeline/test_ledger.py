"""Verify: the books balance through all that happens to records; what is spoiled is named by record ids."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, text, update

from desk import ANA, START, Desk, FakeClock, critical, error, info
from tocsin.alerts.model import rule_versions, verdicts
from tocsin.alerts.rules import Kind
from tocsin.kit.events import LogsExpired, LogsStored
from tocsin.logs.model import chunks
from tocsin.pipeline import ROUTES
from tocsin.proof.ledger import Ledger, verify
from tocsin.settings import Settings


def ledger(desk: Desk, *, since: timedelta = timedelta(0)) -> Ledger:
    """The books from the start of the story, or so long after it, until now."""
    return verify(desk.database, desk.reader, START + since, desk.clock.now() + timedelta(microseconds=1))


def written(desk: Desk, *statements: Any) -> None:
    """Change what is stored, behind everybody's back."""

    def write(tx: Any) -> None:
        for statement in statements:
            tx.execute(statement)

    desk.database.write(write, actor=ANA)


def told(desk: Desk) -> list[tuple[str | None, int, int, int, int, str]]:
    return [
        (gap.rule, gap.first_log_id, gap.last_log_id, gap.matched, gap.recorded, gap.what) for gap in ledger(desk).gaps
    ]


def test_the_books_balance_through_rule_changes_windows_rehearsals_backfill_and_compaction(
    desk: Desk, clock: FakeClock
) -> None:
    desk.save_rule(kind=Kind.THRESHOLD, threshold=3, window_s=60)
    desk.save_rule("rehearsed", "@host:a*", dry_run=True)
    desk.save_rule("share", kind=Kind.RATIO, ratio=0.5, minimum=2, window_s=60)
    for hour in range(3):
        desk.post(critical(), info(), *[error(attributes={"host": f"a{n}"}) for n in range(4)])
        desk.post(critical(), error(), backfill=True)
        desk.post(critical(timestamp="1999-12-31T00:00:00Z"), info(trace_id="ab" * 16))
        desk.save_rule("rehearsed", "@host:a*", dry_run=True, description=f"after {hour}")
        if hour == 1:
            desk.compact()
        clock.advance(hours=1)

    found = ledger(desk)
    assert (found.balanced, found.gaps, found.accepted, found.stored) == (True, [], 30, 30)
    assert [hour.hour for hour in found.hours] == [START.replace(minute=0) + timedelta(hours=n) for n in range(3)]
    lines = {(line.rule, line.version): line for line in found.hours[0].rules}
    assert lines["errors", 1].matched == 8
    assert lines["errors", 1].verdicts == {"pending": 4, "opened": 2, "backfill": 2}
    assert [line.version for hour in found.hours for line in hour.rules if line.rule == "rehearsed"] == [1, 2, 3]
    assert [hour.accepted for hour in ledger(desk, since=timedelta(hours=2)).hours] == [10]


def test_a_match_without_a_verdict_and_a_verdict_without_a_match_are_named(desk: Desk) -> None:
    first = desk.post(info(), critical(), critical()).first_id
    second = desk.post(critical()).first_id
    assert first is not None
    assert second is not None
    written(desk, delete(verdicts).where(verdicts.c.first_id == first + 1))
    written(desk, update(verdicts).where(verdicts.c.first_id == second).values(n=2))
    assert told(desk) == [
        ("critical-logs", first + 1, first + 2, 2, 0, "records that match have no verdict"),
        ("critical-logs", second, second, 1, 2, "more verdicts than records that match"),
    ]
    assert not ledger(desk).balanced


def test_records_that_are_gone_are_named_unless_retention_took_them(desk: Desk) -> None:
    kept, lost = desk.post(critical()).first_id, desk.post(critical(), info()).first_id
    assert lost is not None
    written(desk, delete(chunks).where(chunks.c.first_id == lost))
    missing = "records were accepted and are not stored, or can't be read"
    assert (kept, told(desk)) == (lost - 1, [(None, lost, lost + 1, 2, 0, missing)])

    removed = LogsExpired(records=2, size_bytes=1, oldest=START, newest=START, service=None, reason="age")
    desk.database.write(lambda tx: tx.emit(removed), actor=ANA)
    found = ledger(desk)
    assert (found.balanced, found.accepted, found.stored, found.expired) == (True, 3, 1, 2)


def test_records_that_a_broken_rule_waits_for_or_gave_up_are_no_gap(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule()
    good = desk.rule().rule.definition()

    def set_to(definition: dict[str, Any]) -> None:
        mine = rule_versions.c.name == "errors"
        written(
            desk,
            update(rule_versions).where(mine).values(definition=definition),
            text("UPDATE counters SET value = value + 1 WHERE name = 'ruleset'"),
        )

    set_to({**good, "condition": "level:"})
    desk.post(error(), critical(), info())
    waiting = ledger(desk)
    assert (waiting.balanced, waiting.hours[0].waiting) == (True, 3)

    set_to(good)
    clock.advance(minutes=1)
    desk.run_due_timers()
    matched = ledger(desk)
    assert (matched.balanced, matched.hours[0].waiting, desk.verdicts("errors")) == (True, 0, {"opened": 2})

    set_to({**good, "condition": "level:"})
    desk.post(error())
    clock.advance(minutes=20)
    desk.run_due_timers()
    desk.post(error())
    assert desk.verdicts("errors") == {"opened": 2, "parked": 2}
    set_to(good)
    assert ledger(desk).balanced


def test_a_rule_that_is_removed_while_records_wait_for_it_leaves_no_gap(desk: Desk, clock: FakeClock) -> None:
    desk.save_rule()
    broken = {**desk.rule().rule.definition(), "condition": "level:"}
    good = desk.rule().rule.definition()
    bump = text("UPDATE counters SET value = value + 1 WHERE name = 'ruleset'")
    mine = (rule_versions.c.name == "errors") & (rule_versions.c.version == 1)
    written(desk, update(rule_versions).where(mine).values(definition=broken), bump)
    desk.post(error(), critical())
    desk.remove_rule("errors")
    clock.advance(minutes=1)
    desk.run_due_timers()
    written(desk, update(rule_versions).where(mine).values(definition=good))
    assert (desk.parked, ledger(desk).balanced) == (0, True)


@pytest.mark.parametrize("retried", [False, True])
def test_a_commit_that_is_parked_as_a_whole_is_no_gap(
    settings: Settings, open_desk: Any, clock: FakeClock, retried: bool
) -> None:
    broken = [True]

    def hasty(tx: Any, stored: Any) -> None:
        if broken:
            broken.pop()
            raise RecursionError("went astray")

    desk = open_desk(settings, routes={**ROUTES, LogsStored: (hasty, *ROUTES[LogsStored])})
    desk.post(critical(), info())
    if retried:
        desk.save_rule("critical-logs", "level:>=INFO")
        clock.advance(minutes=1)
        desk.run_due_timers()
    found = ledger(desk)
    assert (found.balanced, found.hours[0].waiting) == (True, 0 if retried else 2)
    assert sum(desk.verdicts().values()) == (2 if retried else 0)


def test_several_servers_and_a_clock_that_is_set_back_keep_balanced_books(
    settings: Settings, open_desk: Any, clock: FakeClock
) -> None:
    here, there = open_desk(settings), open_desk(settings)
    for hours in (5, -3, -3, 4, -2):
        here.post(critical(), info())
        there.post(critical(), info())
        clock.advance(hours=hours)
    here.compact()
    clock.advance(hours=9)
    found = verify(here.database, there.reader, START - timedelta(days=1), clock.now())
    assert (found.balanced, found.accepted, found.stored) == (True, 20, 20)
    assert len(found.hours) == 5


def test_an_empty_installation_and_a_span_of_nothing_balance(desk: Desk) -> None:
    assert ledger(desk).balanced
    desk.post(info())
    assert verify(desk.database, desk.reader, START + timedelta(hours=1), START).hours == []
