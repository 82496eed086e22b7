"""What truly differs between the databases: how connections are set up and how a commit's place is told."""

import errno
import sqlite3
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

import re2
from sqlalchemy import Connection, Engine, Select, create_engine, event, literal_column, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql.elements import ColumnElement

from tocsin.kit.errors import StartRefused

WAL_AUTOCHECKPOINT_PAGES = 4000  # 16 MiB of WAL between checkpoints: fewer fsyncs of the main file under load
BUSY_TIMEOUT_MS = 5_000
POOL_READERS = 12
# A server that is silent (a cut cable, a standby that took over) is given up after a minute, not after two hours.
_KEEPALIVE: Final = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
_DISK_FAULTS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})


class Dialect(Protocol):
    """One database. A commit's *position* orders feeds; every commit below the *horizon* is visible for good.

    Ids have holes in time on PostgreSQL: a slow transaction may commit a lower id after a reader has passed it.
    """

    name: str
    writers: Engine
    readers: Engine
    one_writer: bool
    position: ColumnElement[int]
    horizon: ColumnElement[int]

    def claim(self, statement: Select[Any]) -> Select[Any]:
        """The statement, made to lock the rows it finds and to pass over those another worker holds."""
        ...

    def retryable(self, error: DBAPIError) -> bool:
        """Whether the transaction lost against another one and may simply be run again."""
        ...


@dataclass(frozen=True, slots=True)
class FileSpace:
    """How large an embedded database's file is, and how much of that is free for new rows. `shrinks`: it can be given
    back (a file made by a program before revision 0002 keeps it)."""

    file_bytes: int
    free_bytes: int
    shrinks: bool


class Sqlite:
    """An embedded database file: WAL, an fsync at every commit, one writer that starts with BEGIN IMMEDIATE."""

    name = "sqlite"
    one_writer = True
    # With one writer, events are numbered in commit order; nothing is written below a horizon once it was read.
    position: ColumnElement[int] = literal_column("(SELECT coalesce(max(id), 0) + 1 FROM events)")
    horizon: ColumnElement[int] = literal_column("(SELECT coalesce(max(id), 0) + 1 FROM events)")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writers = self._engine("BEGIN IMMEDIATE", pool_size=1)
        self.readers = self._engine("BEGIN", pool_size=POOL_READERS, query_only=True)

    def _engine(self, begin: str, *, pool_size: int, query_only: bool = False) -> Engine:
        engine = create_engine(
            f"sqlite:///{self.path}",
            poolclass=QueuePool,
            pool_size=pool_size,
            max_overflow=0,
            hide_parameters=True,  # they would end up in our own log and in events
            connect_args={"check_same_thread": False, "isolation_level": None, "timeout": BUSY_TIMEOUT_MS / 1000},
        )

        @event.listens_for(engine, "connect")
        def _set_up(connection: sqlite3.Connection, _record: object) -> None:
            # It must come before WAL, which writes the file's first page; on a file that is there it would write.
            if connection.execute("PRAGMA page_count").fetchone() == (0,):
                connection.execute("PRAGMA auto_vacuum=INCREMENTAL").close()
            for pragma in (
                "journal_mode=WAL",
                "synchronous=FULL",
                "foreign_keys=ON",
                f"wal_autocheckpoint={WAL_AUTOCHECKPOINT_PAGES}",
                "cache_size=-16384",
                f"query_only={'ON' if query_only else 'OFF'}",
            ):
                connection.execute(f"PRAGMA {pragma}").close()
            # In place of SQLAlchemy's, which would run a backtracking engine.
            connection.create_function("regexp", 2, _regexp, deterministic=True)

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

        return engine

    def claim(self, statement: Select[Any]) -> Select[Any]:
        return statement

    def retryable(self, error: DBAPIError) -> bool:
        return False

    def space(self, connection: Connection) -> FileSpace:
        """What the file takes up, once the write-ahead log is in it."""
        names = ("page_size", "page_count", "freelist_count", "auto_vacuum")
        size, pages, free, mode = (connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names)
        return FileSpace(pages * size, free * size, mode == 2)

    def release_pages(self, connection: Connection, *, most: int, within_s: float) -> None:
        """Take free pages off the end of the file, in the open transaction: up to so many, and only a moment long.

        One that is free costs next to nothing; when another one stands at the end, it is moved.
        """
        cursor = connection.connection.cursor()
        deadline = time.monotonic() + within_s
        try:
            for _ in range(most):
                # sqlite3 ends this statement after its first page, whatever its number: it has no columns to fetch.
                cursor.execute("PRAGMA incremental_vacuum(1)")
                if time.monotonic() > deadline:
                    break
        finally:
            cursor.close()

    def wal_bytes(self) -> int:
        """The size of the write-ahead log on disk."""
        wal = self.path.with_name(self.path.name + "-wal")
        return wal.stat().st_size if wal.exists() else 0


def _regexp(pattern: str, value: str | None) -> bool | None:
    return None if value is None else _compiled(pattern).search(value) is not None


@lru_cache(maxsize=128)
def _compiled(pattern: str) -> Any:
    """RE2 would look for it in a cache of its own at every row, three times as long as the search itself."""
    return re2.compile(pattern)


class Postgres:
    """A shared database; needs the extra `postgres`."""

    name = "postgresql"
    one_writer = False
    position: ColumnElement[int] = literal_column("pg_current_xact_id()::text::bigint")
    horizon: ColumnElement[int] = literal_column("pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
    _LOST = frozenset({"40001", "40P01"})  # serialization_failure, deadlock_detected

    def __init__(self, url: str) -> None:
        try:
            self.writers = create_engine(
                url,
                pool_size=POOL_READERS,
                max_overflow=8,
                pool_pre_ping=True,
                hide_parameters=True,
                connect_args={name: value for name, value in _KEEPALIVE.items() if name not in make_url(url).query},
            )
        except ModuleNotFoundError as missing:
            raise StartRefused(detail="PostgreSQL needs the extra: pip install 'tocsin[postgres]'") from missing
        # One snapshot for all statements of a look, as SQLite has it; from the same pool.
        self.readers = self.writers.execution_options(isolation_level="REPEATABLE READ")

    def claim(self, statement: Select[Any]) -> Select[Any]:
        return statement.with_for_update(skip_locked=True)

    def retryable(self, error: DBAPIError) -> bool:
        return getattr(error.orig, "sqlstate", None) in self._LOST


def environment_fault(error: BaseException) -> bool:
    """Whether an error comes from the surroundings (disk full, I/O, locked, connection lost), not from our code.

    A fault may end the whole transaction, so that undoing to a savepoint fails as well: what an error was raised
    from counts too. Of other OSErrors only those of the disk count: a stage that can't reach something else, or
    finds no file, must not refuse logs.
    """
    looked_at: set[int] = set()  # an error may be its own context's context
    seen: BaseException | None = error
    while seen is not None and id(seen) not in looked_at:
        if isinstance(seen, DBAPIError) and _from_outside(seen):
            return True
        if isinstance(seen, OSError) and seen.errno in _DISK_FAULTS:
            return True
        looked_at.add(id(seen))
        seen = seen.__cause__ or seen.__context__
    return False


def _from_outside(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    # sqlite3 raises OperationalError for faulty statements as well; their code is SQLITE_ERROR.
    faulty = getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
    return isinstance(error, OperationalError | InterfaceError) and not faulty
