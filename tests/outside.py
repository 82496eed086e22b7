"""Faults of the surroundings, made in the real database: commits that fail, a full disk, locks, lost connections."""

import contextlib
import sqlite3
from collections.abc import Iterator

from sqlalchemy import Connection, create_engine, text

from tocsin.storage.database import Database
from tocsin.storage.dialects import Sqlite

_SQLITE_BREAK = (
    "CREATE TABLE absent (id INTEGER PRIMARY KEY)",
    "CREATE TABLE broken (id INTEGER REFERENCES absent (id) DEFERRABLE INITIALLY DEFERRED)",
    "CREATE TRIGGER break_commit AFTER INSERT ON {table} BEGIN INSERT INTO broken VALUES (1); END",
)
_POSTGRES_BREAK = (
    """
    CREATE FUNCTION break_commit() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END $$
    """,
    """
    CREATE CONSTRAINT TRIGGER break_commit AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION break_commit()
    """,
)


@contextlib.contextmanager
def _apart(database: Database) -> Iterator[Connection]:
    """A connection that is not of the program's pools."""
    engine = create_engine(database.dialect.writers.url)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@contextlib.contextmanager
def commits_fail(database: Database, *, table: str = "chunks") -> Iterator[None]:
    """Every statement succeeds, but the COMMIT of a transaction that inserted into `table` fails."""
    statements = _SQLITE_BREAK if database.dialect.one_writer else _POSTGRES_BREAK
    with _apart(database) as connection:
        for statement in statements:
            connection.execute(text(statement.format(table=table)))
        connection.commit()
        yield
        where = "" if database.dialect.one_writer else f" ON {table}"
        connection.execute(text(f"DROP TRIGGER break_commit{where}"))
        connection.commit()


def _writer_pragma(database: Database, pragma: str) -> None:
    connection = database.dialect.writers.raw_connection()
    try:
        connection.cursor().execute(f"PRAGMA {pragma}")
    finally:
        connection.close()


@contextlib.contextmanager
def disk_full(database: Database, *, after_pages: int = 0) -> Iterator[None]:
    """SQLite: the database file may grow by `after_pages` pages and no more."""
    with _apart(database) as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
    _writer_pragma(database, f"max_page_count={pages + after_pages}")
    yield
    _writer_pragma(database, "max_page_count=1073741823")


@contextlib.contextmanager
def database_gone(database: Database) -> Iterator[None]:
    """SQLite: another process holds the write lock for longer than we wait. PostgreSQL: it takes no connections."""
    if isinstance(database.dialect, Sqlite):
        _writer_pragma(database, "busy_timeout=50")
        other = sqlite3.connect(database.dialect.path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")
        other.close()
        return
    name = database.dialect.writers.url.database
    url = database.dialect.writers.url.set(database="postgres")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :n"), {"n": name}
        )
        yield
        connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
    engine.dispose()
