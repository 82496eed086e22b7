"""Timers: each is claimed once, an error puts it back, nothing stops the others."""

import threading
from collections import Counter
from datetime import timedelta

import pytest

from desk import Desk, FakeClock, in_threads
from tocsin.kit.actors import SYSTEM
from tocsin.settings import Settings
from tocsin.storage import timers
from tocsin.storage.database import Database, open_database
from tocsin.storage.timers import Timer
from tocsin.storage.tx import Tx


def put(database: Database, *subjects: str, kind: str = "test", seconds: float = 0, version: int = 0) -> None:
    def work(tx: Tx) -> None:
        for subject in subjects:
            timers.put(tx, kind, subject, due_at=tx.now + timedelta(seconds=seconds), version=version)

    database.write(work, actor=SYSTEM)


def claim(database: Database) -> list[Timer]:
    """What is due and was not somebody else's, taken off the table."""

    def take(timer: Timer) -> bool:
        return database.write(lambda tx: timers.claim(tx, database.dialect, timer), actor=SYSTEM)

    return [timer for timer in database.read(timers.due) if take(timer)]


def test_a_timer_is_claimed_when_it_is_due_and_not_before(database: Database, clock: FakeClock) -> None:
    put(database, "a", seconds=10, version=3)
    clock.advance(seconds=9.999)
    assert claim(database) == []
    clock.advance(seconds=0.001)
    assert claim(database) == [Timer("test", "a", clock.now(), 3, 0)]
    assert claim(database) == []


def test_setting_a_timer_again_moves_it(database: Database, clock: FakeClock) -> None:
    put(database, "a", seconds=10, version=1)
    put(database, "a", seconds=20, version=2)
    clock.advance(seconds=10)
    assert claim(database) == []
    clock.advance(seconds=10)
    assert [timer.version for timer in claim(database)] == [2]


def test_a_timer_that_is_set_anew_for_the_same_moment_is_another_one(database: Database, clock: FakeClock) -> None:
    put(database, "a", version=1)
    [stale] = database.read(timers.due)
    put(database, "a", version=2)
    assert database.write(lambda tx: timers.claim(tx, database.dialect, stale), actor=SYSTEM) is False
    assert [timer.version for timer in claim(database)] == [2]


def test_the_earliest_come_first_and_a_turn_is_bounded(database: Database, clock: FakeClock) -> None:
    for second in range(timers.TURN + 10, 0, -1):
        put(database, f"{second}", seconds=second)
    assert database.read(timers.next_due) is not None
    clock.advance(hours=1)
    assert [timer.subject for timer in claim(database)] == [str(second) for second in range(1, timers.TURN + 1)]
    assert len(claim(database)) == 10
    assert database.read(timers.next_due) is None


def test_a_dropped_timer_is_gone(database: Database) -> None:
    put(database, "a", "b")
    database.write(lambda tx: timers.drop(tx, "test", "a"), actor=SYSTEM)
    assert [timer.subject for timer in claim(database)] == ["b"]


def test_a_claim_that_is_rolled_back_puts_the_timer_back(database: Database) -> None:
    put(database, "a")

    [timer] = database.read(timers.due)

    def fail(tx: Tx) -> None:
        assert timers.claim(tx, database.dialect, timer)
        raise KeyError("the worker died")

    with pytest.raises(KeyError):
        database.write(fail, actor=SYSTEM)
    assert [timer.subject for timer in claim(database)] == ["a"]


def test_a_timer_whose_handler_raises_waits_longer_each_time(database: Database, clock: FakeClock) -> None:
    put(database, "a", version=7)
    waits = []
    for attempt in range(16):
        [timer] = database.read(timers.due)
        assert (timer.attempts, timer.version) == (attempt, 7)
        database.write(lambda tx, timer=timer: timers.set_back(tx, timer), actor=SYSTEM)
        due = database.read(timers.next_due)
        waits.append((due - clock.now()).total_seconds())
        clock.advance(seconds=waits[-1])
    assert waits == [min(2.0**n, 3600) for n in range(16)]


def test_a_timer_that_was_set_anew_is_neither_claimed_nor_set_back_by_who_saw_the_old_one(
    database: Database, clock: FakeClock
) -> None:
    put(database, "a")
    [seen] = database.read(timers.due)
    clock.advance(seconds=1)
    put(database, "a", seconds=5)
    assert not database.write(lambda tx: timers.claim(tx, database.dialect, seen), actor=SYSTEM)
    database.write(lambda tx: timers.set_back(tx, seen), actor=SYSTEM)
    assert database.read(timers.next_due) == clock.now() + timedelta(seconds=5)


def test_a_timer_of_an_unknown_kind_stops_no_other(desk: Desk, clock: FakeClock) -> None:
    database = desk.database
    put(database, "1", kind="unheard.of")
    put(database, "404", kind="ticket.auto_close")
    desk.run_due_timers()

    assert database.read(timers.next_due) is not None
    assert desk.metrics.registry.get_sample_value("tocsin_loop_errors_total", {"loop": "unheard.of"}) == 1
    clock.advance(hours=1)
    assert [timer.kind for timer in claim(database)] == ["unheard.of"]


def test_workers_that_claim_at_once_get_each_timer_once(settings: Settings, clock: FakeClock) -> None:
    count = 1 if settings.database_secret is None else 4
    databases = [
        open_database(settings.database_secret, settings.data_dir, clock=clock, routes={}) for _ in range(count)
    ]
    put(databases[0], *[f"s{n}" for n in range(300)])
    claimed: list[str] = []
    guard = threading.Lock()

    def work(database: Database) -> None:
        while found := claim(database):
            with guard:
                claimed.extend(timer.subject for timer in found)

    outcomes = in_threads(*[lambda database=database: work(database) for database in databases * 2])
    left = claim(databases[0])
    for database in databases:
        database.close()
    assert outcomes == [None] * (2 * count)
    assert Counter(claimed + [timer.subject for timer in left]) == Counter(f"s{n}" for n in range(300))


def test_a_timer_that_one_worker_holds_is_passed_over_by_another(postgres_settings: Settings, clock: FakeClock) -> None:
    database = open_database(postgres_settings.database_secret, postgres_settings.data_dir, clock=clock, routes={})
    put(database, "held", "free")

    def hold(tx: Tx) -> None:
        [held] = tx.execute(
            database.dialect.claim(timers.timers.select().where(timers.timers.c.subject == "held"))
        ).all()
        assert held.subject == "held"
        assert [timer.subject for timer in claim(database)] == ["free"]

    database.write(hold, actor=SYSTEM)
    assert [timer.subject for timer in claim(database)] == ["held"]
    database.close()
