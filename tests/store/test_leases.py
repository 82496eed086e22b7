"""Leases: one holder at a time, until it gives the lease back or its time is up."""

import pytest

from desk import FakeClock, in_threads
from tocsin import pipeline
from tocsin.kit.actors import SYSTEM
from tocsin.settings import Settings
from tocsin.storage import leases
from tocsin.storage.database import Database, open_database

WORKERS = 8


def take(database: Database, holder: str, *, name: str = "compact", for_s: float = 30) -> bool:
    return database.write(lambda tx: leases.take(tx, name, holder, for_s=for_s), actor=SYSTEM)


def release(database: Database, holder: str) -> None:
    database.write(lambda tx: leases.release(tx, "compact", holder), actor=SYSTEM)


def race(settings: Settings, clock: FakeClock) -> list[str]:
    """Workers with a connection each ask at once; who got it."""
    databases = [
        open_database(settings.database_secret, settings.data_dir, clock=clock, routes=pipeline.ROUTES)
        for _ in range(WORKERS)
    ]
    outcomes = in_threads(*[lambda d=d, n=n: take(d, f"worker-{n}") for n, d in enumerate(databases)])
    for database in databases:
        database.close()
    assert all(isinstance(outcome, bool) for outcome in outcomes), outcomes
    return [f"worker-{n}" for n, got in enumerate(outcomes) if got]


def test_one_has_it_until_its_time_is_up(database: Database, clock: FakeClock) -> None:
    assert take(database, "ana")
    assert not take(database, "rui")
    clock.advance(seconds=29.999)
    assert not take(database, "rui")
    clock.advance(seconds=0.001)
    assert take(database, "rui")
    assert not take(database, "ana")


def test_the_holder_keeps_it_by_taking_it_again(database: Database, clock: FakeClock) -> None:
    for _ in range(5):
        assert take(database, "ana")
        clock.advance(seconds=20)
    assert not take(database, "rui")
    clock.advance(seconds=10)
    assert take(database, "rui")


def test_a_late_holder_keeps_it_when_nobody_else_came(database: Database, clock: FakeClock) -> None:
    assert take(database, "ana")
    clock.advance(hours=1)
    assert take(database, "ana")
    assert not take(database, "rui")


def test_it_can_be_given_back_by_its_holder_only(database: Database) -> None:
    assert take(database, "ana")
    release(database, "rui")
    assert not take(database, "rui")
    release(database, "ana")
    assert take(database, "rui")


def test_leases_of_other_names_are_others(database: Database) -> None:
    assert take(database, "ana", name="compact")
    assert take(database, "rui", name="backup")
    assert not take(database, "ana", name="backup")


@pytest.mark.parametrize("before", ["nobody had it", "its holder died", "it was given back"])
def test_of_many_that_ask_at_once_one_gets_it(
    settings: Settings, database: Database, clock: FakeClock, before: str
) -> None:
    for _ in range(5):
        if before != "nobody had it":
            assert take(database, "ana")
        if before == "it was given back":
            release(database, "ana")
        clock.advance(seconds=30)
        [winner] = race(settings, clock)
        assert not take(database, "rui")
        database.write(lambda tx, winner=winner: leases.release(tx, "compact", winner), actor=SYSTEM)
