"""The embedded database's file: what deleted chunks leave free is given back, a little at a time."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from desk import FakeClock, in_threads
from tocsin import upkeep
from tocsin.kit.actors import SYSTEM
from tocsin.settings import Settings
from tocsin.storage import schema
from tocsin.storage.database import DATABASE_FILE, Database, open_database
from tocsin.storage.dialects import FileSpace, Sqlite
from tocsin.storage.tx import Tx

MIB = 1 << 20
BLOB_BYTES = 100_000
PUT = text(
    "INSERT INTO chunks (first_id, last_id, observed_at, min_at, max_at, backfill, event_id, raw_bytes, position, blob)"
    " VALUES (:id, :id, 0, 0, 0, false, 0, 0, 0, randomblob(:size))"
)


@pytest.fixture
def embedded(sqlite_settings: Settings, clock: FakeClock) -> Iterator[Database]:
    database = open_database(None, sqlite_settings.data_dir, clock=clock, routes={})
    yield database
    database.close()


def put_chunks(database: Database, first: int, last: int) -> None:
    def put(tx: Tx) -> None:
        tx.execute(PUT, [{"id": n, "size": BLOB_BYTES} for n in range(first, last + 1)])

    database.write(put, actor=SYSTEM)


def delete_chunks(database: Database, *, below: int) -> None:
    database.write(lambda tx: tx.execute(text("DELETE FROM chunks WHERE first_id < :n"), {"n": below}), actor=SYSTEM)


def space(database: Database) -> FileSpace:
    dialect = database.dialect
    assert isinstance(dialect, Sqlite)
    return database.read(lambda tx: dialect.space(tx.connection))


def file_bytes(database: Database) -> int:
    """What the file takes up on the disk."""
    assert isinstance(database.dialect, Sqlite)
    database.checkpoint()
    return database.dialect.path.stat().st_size


@pytest.mark.parametrize("first", ["writers", "readers"])
def test_a_new_file_is_one_that_can_shrink_whoever_opens_it_first(tmp_path: Path, clock: FakeClock, first: str) -> None:
    database = open_database(None, tmp_path, clock=clock, routes={})
    if first == "readers":
        database.read(lambda tx: None)
    schema.ensure(database, migrate=True)
    database.close()
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_is_mostly_free_shrinks_with_the_next_checkpoint(embedded: Database) -> None:
    put_chunks(embedded, 1, 600)
    delete_chunks(embedded, below=550)
    before = file_bytes(embedded)
    assert space(embedded).free_bytes > 50 * MIB
    upkeep.give_space_back(embedded, turns=100_000)
    assert not upkeep.worth_shrinking(space(embedded))
    assert file_bytes(embedded) == space(embedded).file_bytes < before - 35 * MIB
    assert space(embedded).free_bytes > 10 * MIB, "some of it stays for the rows to come"
    with embedded.dialect.writers.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
        found = connection.exec_driver_sql("SELECT count(*), min(length(blob)) FROM chunks").one()
    assert tuple(found) == (51, BLOB_BYTES)


def test_little_that_is_free_stays_for_the_rows_to_come(embedded: Database) -> None:
    put_chunks(embedded, 1, 150)
    delete_chunks(embedded, below=140)
    before = file_bytes(embedded)
    upkeep.give_space_back(embedded)
    assert file_bytes(embedded) == before


def test_others_write_while_space_is_given_back(embedded: Database) -> None:
    put_chunks(embedded, 1, 600)
    delete_chunks(embedded, below=550)

    def write_on() -> None:
        for n in range(1000, 1100):
            put_chunks(embedded, n, n)

    assert in_threads(lambda: upkeep.give_space_back(embedded), write_on) == [None, None]
    upkeep.give_space_back(embedded, turns=100_000)
    assert not upkeep.worth_shrinking(space(embedded))
    with embedded.dialect.writers.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM chunks").scalar_one() == 151
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"


def test_a_run_ends_after_a_while_and_the_next_goes_on(embedded: Database) -> None:
    put_chunks(embedded, 1, 600)
    delete_chunks(embedded, below=550)
    sizes = [space(embedded).file_bytes]
    for _ in range(3):
        upkeep.give_space_back(embedded, turns=3)
        sizes.append(space(embedded).file_bytes)
    assert sizes == sorted(set(sizes), reverse=True)
    assert upkeep.worth_shrinking(space(embedded))


def test_a_file_of_an_older_program_is_left_as_it_is(tmp_path: Path, clock: FakeClock) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as connection:
        connection.execute("CREATE TABLE filler (x BLOB)")
        connection.execute("INSERT INTO filler VALUES (zeroblob(?))", (40 * MIB,))
        connection.execute("DELETE FROM filler")
        connection.commit()
    database = open_database(None, tmp_path, clock=clock, routes={})
    before = space(database)
    assert (before.shrinks, before.free_bytes > 39 * MIB) == (False, True)
    upkeep.give_space_back(database)
    assert space(database) == before
    database.close()


def test_a_shared_database_looks_after_itself(postgres_settings: Settings, clock: FakeClock) -> None:
    database = open_database(postgres_settings.database_secret, Path(), clock=clock, routes={})
    upkeep.give_space_back(database)
    database.close()


@pytest.mark.parametrize(
    ("file_mib", "free_mib", "shrinks", "worth"),
    [
        (100, 26, True, True),
        (100, 25, True, False),
        (40, 17, True, True),
        (20, 16, True, False),
        (100, 90, False, False),
        (0, 0, True, False),
    ],
)
def test_a_file_is_worth_shrinking_when_much_of_it_is_free(
    file_mib: int, free_mib: int, shrinks: bool, worth: bool
) -> None:
    assert upkeep.worth_shrinking(FileSpace(file_mib * MIB, free_mib * MIB, shrinks)) is worth
