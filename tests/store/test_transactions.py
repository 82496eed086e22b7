"""Transactions: events and their causes, savepoints, the order in which handlers run."""

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from sqlalchemy import event, select, text

from desk import ANA, FakeClock, in_threads
from tocsin.kit.actors import SYSTEM
from tocsin.kit.errors import Unavailable
from tocsin.kit.events import Event, Recorded
from tocsin.storage import timers
from tocsin.storage.database import Database, open_database
from tocsin.storage.dialects import Postgres, environment_fault
from tocsin.storage.model import counters, events
from tocsin.storage.tx import ReadTx, Routes, Tx


@dataclass(frozen=True, slots=True)
class Rang(Event):
    """A made-up event."""

    SUBJECT: ClassVar[str] = "bell:{self.bell}"
    UNWRITTEN: ClassVar[frozenset[str]] = frozenset({"note"})

    bell: int
    note: object = None


@dataclass(frozen=True, slots=True)
class Heard(Event):
    """What follows from it."""

    SUBJECT: ClassVar[str] = "ear:{self.ear}"

    ear: int


@pytest.fixture
def with_routes(database: Database) -> Callable[[Routes], Database]:
    """The database with other routes."""

    def set_routes(routes: Routes) -> Database:
        database.routes = routes
        return database

    return set_routes


def rows(database: Database) -> list[Any]:
    return database.read(lambda tx: list(tx.execute(select(events).order_by(events.c.id))))


def test_an_event_is_a_row_with_its_actor_instant_and_facts(database: Database, clock: FakeClock) -> None:
    [recorded] = database.write(lambda tx: tx.emit(Rang(bell=7, note=object())), actor=ANA)

    [row] = rows(database)
    assert (row.id, row.kind, row.subject, row.actor) == (recorded.id, "Rang", "bell:7", "local:ana")
    assert (row.at, row.recorded_at, row.cause_id, row.data) == (clock.now(), clock.now(), None, {"bell": 7})
    assert row.position > 0


def test_a_handler_runs_in_the_same_transaction_and_what_it_emits_names_its_cause(
    with_routes: Callable[[Routes], Database],
) -> None:
    def hear(tx: Tx, batch: Sequence[Recorded[Rang]]) -> None:
        tx.emit(*(Heard(ear=recorded.event.bell) for recorded in batch))

    database = with_routes({Rang: (hear,)})
    database.write(lambda tx: tx.emit(Rang(bell=1), Rang(bell=2)), actor=ANA)

    first, second, *heard = rows(database)
    assert [row.subject for row in heard] == ["ear:1", "ear:2"]
    assert {row.cause_id for row in heard} == {first.id}
    assert {row.actor for row in heard} == {"system"}
    assert (first.actor, second.actor) == ("local:ana", "local:ana")
    assert len({row.position for row in rows(database)}) == (
        1 if not database.dialect.one_writer else len(rows(database))
    )


def test_alike_events_are_handed_on_together_in_the_order_they_were_emitted(
    with_routes: Callable[[Routes], Database],
) -> None:
    seen: list[list[str]] = []

    def see(tx: Tx, batch: Sequence[Recorded[Any]]) -> None:
        seen.append([recorded.event.subject for recorded in batch])
        if len(seen) == 1:
            tx.emit(Rang(bell=9))

    database = with_routes({Rang: (see,), Heard: (see,)})
    database.write(lambda tx: tx.emit(Rang(bell=1), Rang(bell=2), Heard(ear=3), Rang(bell=4)), actor=ANA)

    assert seen == [["bell:1", "bell:2"], ["ear:3"], ["bell:4"], ["bell:9"]]


def test_ids_are_told_in_the_order_of_the_events_also_for_many(database: Database) -> None:
    recorded = database.write(lambda tx: tx.emit(*(Rang(bell=n) for n in range(2500))), actor=ANA)

    assert [r.event.bell for r in recorded] == list(range(2500))
    assert [row.subject for row in rows(database)] == [f"bell:{n}" for n in range(2500)]
    assert [r.id for r in recorded] == [row.id for row in rows(database)]


def test_an_attempt_that_raises_leaves_nothing_and_what_came_before_stands(
    with_routes: Callable[[Routes], Database],
) -> None:
    def fail(tx: Tx, batch: Sequence[Recorded[Any]]) -> None:
        raise KeyError("a bug")

    database = with_routes({Heard: (fail,)})
    woken: list[set[str]] = []
    database.on_commit = woken.append

    def attempt(tx: Tx) -> None:
        with tx.attempt():
            tx.emit(Rang(bell=2))
            timers.put(tx, "k", "s", due_at=tx.now, version=0)
            tx.emit(Heard(ear=3))

    def work(tx: Tx) -> None:
        tx.emit(Rang(bell=1))
        with pytest.raises(KeyError):
            attempt(tx)
        assert tx.wakes == set()
        tx.emit(Rang(bell=4))

    database.write(work, actor=ANA)

    assert [row.subject for row in rows(database)] == ["bell:1", "bell:4"]
    assert database.read(timers.next_due) is None
    assert woken == []


def test_an_attempt_that_breaks_a_constraint_leaves_the_transaction_usable(database: Database) -> None:
    def work(tx: Tx) -> None:
        for _ in range(2):
            with pytest.raises(Exception, match=r"(?i)unique"):
                with tx.attempt():
                    tx.execute(counters.insert().values(name="record_ids", value=1))
        tx.emit(Rang(bell=1))

    database.write(work, actor=ANA)
    assert len(rows(database)) == 1


def test_a_handler_that_raises_outside_an_attempt_undoes_the_whole_transaction(
    with_routes: Callable[[Routes], Database],
) -> None:
    def fail(tx: Tx, batch: Sequence[Recorded[Any]]) -> None:
        raise KeyError("a bug")

    database = with_routes({Rang: (fail,)})
    with pytest.raises(KeyError):
        database.write(lambda tx: tx.emit(Rang(bell=1)), actor=ANA)
    assert rows(database) == []


def test_loops_are_woken_after_the_commit_and_only_then(database: Database) -> None:
    woken: list[set[str]] = []
    database.on_commit = woken.append

    def work(tx: Tx) -> None:
        timers.put(tx, "k", "s", due_at=tx.now, version=0)
        assert woken == []

    database.write(work, actor=SYSTEM)
    assert woken == [{timers.WAKE}]


def test_a_reader_never_writes_an_embedded_database(database: Database) -> None:
    if database.dialect.name != "sqlite":
        pytest.skip("PostgreSQL shares one pool")
    with pytest.raises(Unavailable) as raised:
        database.read(lambda tx: tx.execute(text("UPDATE counters SET value = 0")))
    assert "readonly" in str(raised.value.__cause__)


def test_a_reader_does_not_wait_for_a_writer_and_does_not_see_what_is_not_committed(database: Database) -> None:
    def work(tx: Tx) -> int:
        tx.emit(Rang(bell=1))
        return len(rows(database))

    assert database.write(work, actor=ANA) == 0
    assert len(rows(database)) == 1


def test_many_threads_that_read_and_then_write_lose_no_update(database: Database) -> None:
    def add(tx: Tx) -> None:
        statement = select(counters.c.value).where(counters.c.name == "record_ids").with_for_update()
        value = tx.execute(statement).scalar_one()
        tx.execute(counters.update().where(counters.c.name == "record_ids").values(value=value + 1))

    def work() -> None:
        for _ in range(10):
            database.write(add, actor=ANA)

    assert in_threads(*[work] * 12) == [None] * 12
    assert (
        database.read(
            lambda tx: tx.execute(select(counters.c.value).where(counters.c.name == "record_ids")).scalar_one()
        )
        == 120
    )


def test_deadlocks_are_retried_and_reach_nobody(postgres_settings: Any, clock: FakeClock) -> None:
    database = open_database(postgres_settings.database_secret, postgres_settings.data_dir, clock=clock, routes={})
    database.write(lambda tx: tx.execute(counters.insert(), [{"name": n, "value": 0} for n in "abcd"]), actor=SYSTEM)

    def work(names: str) -> None:
        for _ in range(15):
            database.write(
                lambda tx: [
                    tx.execute(counters.update().where(counters.c.name == n).values(value=counters.c.value + 1))
                    for n in names
                ],
                actor=SYSTEM,
            )

    outcomes = in_threads(*[lambda names=names: work(names) for names in ("abcd", "dcba")])
    total = database.read(lambda tx: dict(tx.execute(select(counters.c.name, counters.c.value)).all()))
    database.close()
    assert outcomes == [None, None]
    assert [total[n] for n in "abcd"] == [30] * 4


def test_faulty_statements_are_not_taken_for_faults_of_the_surroundings(database: Database) -> None:
    with pytest.raises(Exception, match="no_such_table") as raised:
        database.read(lambda tx: tx.execute(text("SELECT * FROM no_such_table")))
    assert not isinstance(raised.value, Unavailable)
    assert not environment_fault(raised.value)
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS):
        assert environment_fault(OSError(number, "disk"))
    for error in (OSError("I/O"), TimeoutError("slow"), ConnectionRefusedError(errno.ECONNREFUSED, "refused")):
        assert not environment_fault(error)
    assert not environment_fault(KeyError("a bug"))


@pytest.mark.parametrize("side", ["readers", "writers"])
def test_a_statement_that_fails_does_not_tell_its_parameters(database: Database, side: str) -> None:
    with getattr(database.dialect, side).connect() as connection, pytest.raises(Exception, match="no_such") as raised:
        connection.execute(text("SELECT * FROM no_such_table WHERE a = :a"), {"a": "hunter2"})
    assert "hunter2" not in str(raised.value)


def test_a_look_stays_the_same_while_others_write(database: Database) -> None:
    def value(tx: ReadTx) -> int:
        found: int = tx.execute(select(counters.c.value).where(counters.c.name == "record_ids")).scalar_one()
        return found

    def look(tx: ReadTx) -> tuple[int, int]:
        before = value(tx)
        database.write(lambda tx: tx.execute(counters.update().values(value=counters.c.value + 1)), actor=ANA)
        return before, value(tx)

    before, after = database.read(look)
    assert before == after
    assert database.read(value) == before + 1


def test_a_shared_database_that_falls_silent_is_noticed() -> None:
    def given(url: str) -> dict[str, Any]:
        engine = Postgres(url).writers
        arguments: dict[str, Any] = {}

        @event.listens_for(engine, "do_connect")
        def connect(_dialect: object, _record: object, _args: object, found: dict[str, Any]) -> None:
            arguments.update(found)
            raise InterruptedError

        with pytest.raises(InterruptedError):
            engine.connect()
        return arguments

    arguments = given("postgresql://u@192.0.2.1/d")
    assert (arguments["connect_timeout"], arguments["keepalives"]) == (10, 1)
    assert arguments["keepalives_idle"] + arguments["keepalives_interval"] * arguments["keepalives_count"] <= 60
    assert given("postgresql://u@192.0.2.1/d?connect_timeout=3")["connect_timeout"] == "3"
