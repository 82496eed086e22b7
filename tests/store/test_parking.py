"""Parked rows."""

from desk import FakeClock
from tocsin.kit.actors import SYSTEM
from tocsin.storage import parking, timers
from tocsin.storage.database import Database
from tocsin.storage.tx import Tx


def park(database: Database, error: Exception) -> None:
    database.write(lambda tx: parking.park(tx, 1, first_id=10, last_id=20, error=error), actor=SYSTEM)


def test_a_parked_range_says_what_and_why_and_is_due_in_a_second(database: Database, clock: FakeClock) -> None:
    park(database, KeyError("x" * 1000))
    item = database.read(lambda tx: parking.get(tx, 1))

    assert item is not None
    assert (item.event_id, item.first_id, item.last_id, item.attempts) == (1, 10, 20, 0)
    assert item.error.startswith("KeyError: 'xxx")
    assert len(item.error) == parking.MAX_ERROR_CHARS
    due = database.read(timers.next_due)
    assert due is not None
    assert (due - clock.now()).total_seconds() == 1
    assert database.read(parking.count) == 1


def test_a_range_that_fails_again_is_postponed_and_one_that_succeeds_is_gone(database: Database) -> None:
    park(database, KeyError("a"))

    def fail_again(tx: Tx) -> None:
        item = parking.get(tx, 1)
        assert item is not None
        parking.postpone(tx, item, ValueError("b"))

    database.write(fail_again, actor=SYSTEM)
    item = database.read(lambda tx: parking.get(tx, 1))
    assert item is not None
    assert (item.attempts, item.error) == (1, "ValueError: b")

    database.write(lambda tx: parking.done(tx, item), actor=SYSTEM)
    assert database.read(parking.count) == 0
    assert database.read(lambda tx: parking.get(tx, 1)) is None
