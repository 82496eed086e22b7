"""Units of work: `write` runs a function in one transaction and commits before it returns; `read` only looks."""

import contextlib
import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog
from sqlalchemy import update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.sql.elements import ColumnElement

from tocsin.kit.actors import Actor
from tocsin.kit.clock import Clock
from tocsin.kit.errors import StartRefused, Unavailable
from tocsin.storage.dialects import Dialect, Postgres, Sqlite, environment_fault
from tocsin.storage.model import counters
from tocsin.storage.turns import FairLock
from tocsin.storage.tx import ReadTx, Routes, Tx

T = TypeVar("T")
TRIES: Final = 4  # the first and three retries of a transaction that lost a deadlock
DATABASE_FILE: Final = "tocsin.db"

log = structlog.get_logger("tocsin.storage")


class Database:
    """One database, embedded or shared. `routes` says which handlers follow an event (see `pipeline`)."""

    def __init__(self, dialect: Dialect, *, clock: Clock, routes: Routes) -> None:
        self.dialect = dialect
        self.clock = clock
        self.routes = routes
        self.on_commit: Callable[[set[str]], None] = lambda _: None
        self._turn = FairLock() if dialect.one_writer else contextlib.nullcontext()

    @property
    def horizon(self) -> ColumnElement[int]:
        """See `Dialect`."""
        return self.dialect.horizon

    def write(self, work: Callable[[Tx], T], *, actor: Actor) -> T:
        """Run `work` in one transaction, settle its events, commit, then return what it returned.

        Runs it again, up to three times, when the database chose it as a deadlock's victim.
        Raises Unavailable when the database can't be reached or written (disk full, locked, connection lost).
        """
        attempt = 1
        while True:
            try:
                with _translated():
                    result, wakes = self._write_once(work, actor)
            except Unavailable as error:
                lost = isinstance(error.__cause__, DBAPIError) and self.dialect.retryable(error.__cause__)
                if not lost or attempt == TRIES:
                    _tell(error)
                    raise
                # A while of random length: two that met once, and wait equally long, meet again.
                time.sleep(random.uniform(0.005, 0.05) * attempt)  # noqa: S311
                attempt += 1
            else:
                if wakes:
                    self.on_commit(wakes)
                return result

    def _write_once(self, work: Callable[[Tx], T], actor: Actor) -> tuple[T, set[str]]:
        with self._turn, self.dialect.writers.connect() as connection, connection.begin():
            tx = Tx(
                connection,
                now=self.clock.now(),
                actor=actor,
                routes=self.routes,
                position=self.dialect.position,
            )
            result = work(tx)
            tx.settle()
            return result, tx.wakes

    def read(self, work: Callable[[ReadTx], T]) -> T:
        """Run `work` on a connection of its own that never waits for writers. Raises Unavailable as `write` does."""
        with _told(), _translated(), self.dialect.readers.connect() as connection, connection.begin():
            return work(ReadTx(connection, now=self.clock.now()))

    def check_writable(self) -> None:
        """Write something, to the disk: a full one takes the write turn as readily as ever. Raises Unavailable."""
        with _told(), _translated(), self._turn, self.dialect.writers.connect() as connection, connection.begin():
            connection.execute(update(counters).values(value=counters.c.value).where(counters.c.name == "installation"))

    def checkpoint(self) -> None:
        """Move the embedded database's write-ahead log into its file and cut it short, between two writers."""
        with self._turn:
            connection = self.dialect.writers.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                connection.close()

    def close(self) -> None:
        self.dialect.writers.dispose()
        self.dialect.readers.dispose()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Faults of the surroundings become Unavailable; every other error stays as it is.

    The driver's words may name hosts, users and files: whoever asks is not told them (see `_tell`).
    """
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        if isinstance(error, DBAPIError) and not environment_fault(error):
            raise
        raise Unavailable(detail="The database can't do this now.") from error


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except Unavailable as error:
        _tell(error)
        raise


def _tell(error: Unavailable) -> None:
    """Put the driver's reason into our own log."""
    cause = error.__cause__
    if isinstance(cause, DBAPIError | PoolTimeout):
        lines = str(cause.orig if isinstance(cause, DBAPIError) else cause).strip().splitlines()
        log.error("database_fault", reason=lines[0] if lines else type(cause).__name__)


def open_database(url: str | None, data_dir: Path, *, clock: Clock, routes: Routes) -> Database:
    """The shared database at `url`, or the embedded one in `data_dir`."""
    scheme = re.match(r"([a-z]{2,12})(?:\+[a-z0-9]+)?://", url or "")
    if scheme is not None and not scheme[1].startswith("postgres"):
        raise StartRefused(detail=f"TOCSIN_DATABASE_URL is a {scheme[1]}:// address; only postgresql:// is served.")
    dialect: Any = Postgres(url) if url else Sqlite(data_dir / DATABASE_FILE)
    return Database(dialect, clock=clock, routes=routes)
