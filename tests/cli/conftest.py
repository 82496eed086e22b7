"""Fixtures of the command line: a real server per module, and commands run against it."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from running import Result, RunningServer

from tocsin.cli.app import run

Tocsin = Callable[..., Result]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server on a fresh data folder, shared by a module's tests."""
    found = RunningServer(tmp_path_factory.mktemp("serve") / "data")
    yield found
    found.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., RunningServer]]:
    """Starts servers that end after the test."""
    started: list[RunningServer] = []

    def make(data: Path | None = None, *options: str, **extra: str) -> RunningServer:
        started.append(RunningServer(data or tmp_path / "data", *options, **extra))
        return started[-1]

    yield make
    for server in started:
        server.close()


@pytest.fixture
def installation(tmp_path: Path, sqlite_template: Path) -> Path:
    """A migrated data folder that no server is using."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "tocsin.db").write_bytes(sqlite_template.read_bytes())
    return data


@pytest.fixture
def _own_log_as_it_was() -> Iterator[None]:
    """What `serve` sets up for its own log in this process doesn't outlive the test."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def tocsin(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, _own_log_as_it_was: None) -> Tocsin:
    """Runs a command line in this process."""
    for name in ("TOCSIN_KEY", "TOCSIN_KEY_FILE", "TOCSIN_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("getpass.getuser", lambda: "ana")

    def call(*args: Any) -> Result:
        capsys.readouterr()
        code = run([str(arg) for arg in args])
        said = capsys.readouterr()
        return Result(code, said.out, said.err)

    return call


@pytest.fixture
def at_server(tocsin: Tocsin, server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> Tocsin:
    """Runs a command line against the module's server."""
    monkeypatch.setenv("TOCSIN_URL", server.url)
    return tocsin
