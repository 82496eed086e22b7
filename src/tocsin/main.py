"""The composition root: settings -> database, committer, loops, web application (`uvicorn tocsin.main:app`)."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from fastapi import FastAPI

from tocsin import pipeline
from tocsin.access.policy import AccessPolicy
from tocsin.kit.clock import Clock, SystemClock
from tocsin.kit.metrics import Metrics
from tocsin.logs.intake import Detect, Intake
from tocsin.loops import Runner
from tocsin.ownlog import configure_logging
from tocsin.settings import Settings, read_settings
from tocsin.storage import schema
from tocsin.storage.database import Database, open_database
from tocsin.storage.folder import DataFolder
from tocsin.storage.tx import Routes
from tocsin.web.app import Application
from tocsin.web.health import StateCollector
from tocsin.web.services import Services, WriteCheck

CLOSE_WITHIN_S: Final = 8.5
INTAKE_WITHIN_S: Final = 7.0  # the rest is for the loops

log = structlog.get_logger("tocsin.main")


class Instance:
    """One running Tocsin: everything that is opened at start and closed at the end, in that order."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        routes: Routes = pipeline.ROUTES,
        detect: Detect = pipeline.detect_in,
    ) -> None:
        url = settings.database_secret
        self._folder = None if url else DataFolder(settings.data_dir)
        database: Database | None = None
        try:
            database = open_database(url, settings.data_dir, clock=clock or SystemClock(), routes=routes)
            self.database = database
            schema.ensure(self.database, migrate=url is None)
            self.metrics = Metrics()
            self.metrics.registry.register(StateCollector(self.database))
            self.intake = Intake(self.database, detect, metrics=self.metrics, max_queue_bytes=settings.queue_bytes)
            self._loops = Runner(pipeline.loops(self.database, self.metrics), metrics=self.metrics)
            self.database.on_commit = self._loops.wake
        except BaseException:
            if database is not None:
                database.close()
            self._release()
            raise
        self.services = Services(
            database=self.database,
            intake=self.intake,
            clock=self.database.clock,
            metrics=self.metrics,
            writable=WriteCheck(self.database),
            policy=AccessPolicy(settings.admin_secret, loopback_admin=settings.loopback_admin),
        )

    def close(self) -> None:
        """Commit what was accepted, end the loops, let go of the folder; all that within `CLOSE_WITHIN_S`."""
        began = time.monotonic()
        self.intake.close(INTAKE_WITHIN_S)
        late = ["committer"] if time.monotonic() - began >= INTAKE_WITHIN_S else []
        late += self._loops.stop(max(began + CLOSE_WITHIN_S - time.monotonic(), 0))
        for name in late:
            log.error("thread_did_not_end", thread=name, seconds=round(time.monotonic() - began, 1))
        self.database.close()
        self._release()

    def _release(self) -> None:
        if self._folder is not None:
            self._folder.close()


def create_app(settings: Settings, **parts: Any) -> Application:
    """The application for these settings; `parts` replace what `Instance` takes. Opens nothing before it is run."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        instance = Instance(settings, **parts)
        app.state.services = instance.services
        try:
            yield
        finally:
            log.info("stopping")
            instance.close()
            log.info("stopped")

    return Application(lifespan)


def _app_from_environment() -> Application:
    settings = read_settings()
    configure_logging(settings.log_format, settings.log_level)
    return create_app(settings)


_LAZY: dict[str, Callable[[], Application]] = {"app": _app_from_environment}


def __getattr__(name: str) -> Application:
    """`tocsin.main:app` is made when a server asks for it, not at import."""
    if name not in _LAZY:
        raise AttributeError(name)
    return _LAZY[name]()
