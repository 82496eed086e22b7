"""The composition root: settings -> database, committer, loops, web application (`uvicorn tocsin.main:app`)."""

import contextlib
import ctypes
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from fastapi import FastAPI

from tocsin import pipeline
from tocsin.access.policy import AccessPolicy
from tocsin.alerts.counting import PatternCounter
from tocsin.alerts.rule_service import RuleBook
from tocsin.kit.clock import Clock, SystemClock
from tocsin.kit.errors import StartRefused
from tocsin.kit.metrics import Metrics
from tocsin.logs import catalogue
from tocsin.logs.compaction import Compactor
from tocsin.logs.expiry import Expiry
from tocsin.logs.intake import Detection, Intake
from tocsin.logs.live import LiveTail
from tocsin.logs.retention import Retention, parse_retention
from tocsin.logs.segmentfiles import SegmentFiles
from tocsin.logs.service import LogReader
from tocsin.logs.store import WAKE
from tocsin.loops import Runner
from tocsin.notify import delivery_store, reaching
from tocsin.notify.addresses import Allowed
from tocsin.notify.callers import KEPT
from tocsin.notify.channels.channel import Outside
from tocsin.notify.channels.table import CHANNELS
from tocsin.notify.claiming import Claiming, MethodBook
from tocsin.notify.links import public_url
from tocsin.notify.outside import GuardedOutside
from tocsin.notify.rendering import Renderer
from tocsin.notify.sending import MOST_IN_FLIGHT, Courier
from tocsin.notify.template_service import TemplateBook
from tocsin.notify.writing import Writer
from tocsin.oncall import people_store
from tocsin.ownlog import configure_logging
from tocsin.pipeline import LogKeeping
from tocsin.proof.sealing import Sealer
from tocsin.settings import Settings, read_settings
from tocsin.storage import schema
from tocsin.storage.database import Database, open_database
from tocsin.storage.folder import DataFolder
from tocsin.storage.objects import Folder, check_identity
from tocsin.storage.tx import Routes
from tocsin.tickets import sla_service
from tocsin.tickets.storming import StormLimits
from tocsin.web.app import Application
from tocsin.web.health import StateCollector
from tocsin.web.services import Answering, Services, WriteCheck

CLOSE_WITHIN_S: Final = 8.5
_M_ARENA_MAX: Final = -8  # malloc.h
# Whoever comes back from the database waits for its turn among busy threads (rendering, sending) for so long each time.
SWITCH_INTERVAL_S: Final = 0.0005
INTAKE_WITHIN_S: Final = 6.0  # the rest is for the loops, and for messages that are on their way
COURIER_WITHIN_S: Final = 1.5

log = structlog.get_logger("tocsin.main")


class Instance:
    """One running Tocsin: everything that is opened at start and closed at the end, in that order."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        routes: Routes | None = None,
        detection: Detection | None = None,
        outside: Outside | None = None,
    ) -> None:
        url = settings.database_secret
        self.outside = GuardedOutside(_allowed(settings))  # for answers to chats: of the event loop that serves
        answering = _answering(settings, outside or self.outside)
        limits = StormLimits(settings.storm_service, settings.storm_all)
        routes = routes or pipeline.routes(limits)
        self._folder = None if url else DataFolder(settings.data_dir)
        database: Database | None = None
        try:
            database = open_database(url, settings.data_dir, clock=clock or SystemClock(), routes=routes)
            self.database = database
            schema.ensure(self.database, migrate=url is None)
            self.metrics = Metrics()
            self.metrics.registry.register(StateCollector(self.database))
            book = RuleBook(self.database)
            self.database.read(sla_service.look_ahead)
            self.intake = Intake(
                self.database, detection or book, metrics=self.metrics, max_queue_bytes=settings.queue_bytes
            )
            keeping = self._open_segments(settings)
            self.tail = keeping.tail
            wording = TemplateBook(self.metrics)
            self._courier = make_courier(settings, self.database, self.metrics, keeping.reader, wording)
            if self._folder is not None:
                self._courier.take_over()
            self._loops = Runner(
                pipeline.loops(
                    self.database, self.metrics, keeping, book, limits=limits, courier=self._courier, intake=self.intake
                ),
                metrics=self.metrics,
            )
            self.database.on_commit = self._woken
            self._courier.on_answer = lambda: self._loops.wake({delivery_store.WAKE})
        except BaseException:
            if database is not None:
                database.close()
            self._release()
            raise
        self.services = Services(
            database=self.database,
            intake=self.intake,
            logs=keeping.reader,
            tail=self.tail,
            clock=self.database.clock,
            metrics=self.metrics,
            writable=WriteCheck(self.database),
            policy=AccessPolicy(settings.admin_secret, loopback_admin=settings.loopback_admin),
            storms=limits,
            callers=KEPT,
            wording=wording,
            answering=answering,
        )

    def _open_segments(self, settings: Settings) -> LogKeeping:
        objects = Folder(settings.segments_path)
        check_identity(self.database, objects, in_use=self.database.read(catalogue.any_segment))
        files = SegmentFiles(self.database, objects, metrics=self.metrics)
        alone = settings.database_secret is None
        compactor = Compactor(self.database, objects, files, self.metrics, alone=alone)
        if settings.patterns:
            counter = PatternCounter(self.database, self.metrics)
            compactor.count, compactor.count_quickly = counter.count, counter.count_quickly
        reader = LogReader(self.database, files, self.database.clock, search_s=settings.search_seconds)
        sealer = Sealer(self.database, reader, self.metrics)
        expiry = Expiry(self.database, compactor, _retention(settings), seal=sealer.seal)
        return LogKeeping(compactor, expiry, LiveTail(self.database), reader)

    def _woken(self, topics: set[str]) -> None:
        """A commit was made. A thread that wakes for nothing costs every commit time."""
        self._loops.wake(topics if self.tail.has_readers else topics - {WAKE})

    def close(self) -> None:
        """Commit what was accepted, end the loops, let go of the folder; all that within `CLOSE_WITHIN_S`."""
        began = time.monotonic()
        self.tail.close()
        self.intake.close(INTAKE_WITHIN_S)
        late = ["committer"] if time.monotonic() - began >= INTAKE_WITHIN_S else []
        late += self._loops.stop(max(began + CLOSE_WITHIN_S - COURIER_WITHIN_S - time.monotonic(), 0))
        self._courier.close(max(began + CLOSE_WITHIN_S - time.monotonic(), 0) if late else COURIER_WITHIN_S)
        for name in late:
            log.error("thread_did_not_end", thread=name, seconds=round(time.monotonic() - began, 1))
        self.database.close()
        self._release()

    def _release(self) -> None:
        if self._folder is not None:
            self._folder.close()


def make_courier(
    settings: Settings,
    database: Database,
    metrics: Metrics,
    logs: LogReader,
    wording: TemplateBook,
    *,
    render: Renderer | None = None,
    methods: MethodBook = reaching.methods,
    most: int = MOST_IN_FLIGHT,
) -> Courier:
    """Who writes and sends messages, `most` of them at once, with the ways there are to reach people."""
    return Courier(
        database,
        Claiming(database.dialect, CHANNELS, methods, settings.delivery_patience),
        outside=GuardedOutside(_allowed(settings)),
        render=render or Writer(database, logs, wording, _public_url(settings)),
        metrics=metrics,
        most=most,
    )


def _allowed(settings: Settings) -> Allowed:
    try:
        return Allowed.parse(settings.allow_private)
    except ValueError as error:
        raise StartRefused(detail=f"TOCSIN_ALLOW_PRIVATE: {error}") from error


def _public_url(settings: Settings) -> str | None:
    try:
        return public_url(settings.public_url)
    except ValueError as error:
        raise StartRefused(detail=str(error)) from error


def _answering(settings: Settings, outside: Outside) -> Answering:
    return Answering(_public_url(settings), settings.slack_secret, person_of=people_store.person_at, outside=outside)


def _retention(settings: Settings) -> Retention:
    try:
        return parse_retention(settings.retention, settings.retention_bytes, settings.retention_services)
    except ValueError as error:
        raise StartRefused(detail=str(error)) from error


def _allocate_from_few_arenas() -> None:
    """glibc gives each of many threads an arena of its own and keeps what was freed there. Where there is no such
    setting, nothing changes."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def create_app(settings: Settings, **parts: Any) -> Application:
    """The application for these settings; `parts` replace what `Instance` takes. Opens nothing before it is run."""

    _allocate_from_few_arenas()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        instance = Instance(settings, **parts)
        app.state.services = instance.services
        try:
            yield
        finally:
            log.info("stopping")
            instance.close()
            await instance.outside.close()
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
