"""Is it alive, is it ready, what does it count."""

import time
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from tocsin.kit.errors import Unavailable
from tocsin.kit.priorities import Priority
from tocsin.notify import delivery_store as deliveries
from tocsin.notify.delivery_store import Queue
from tocsin.oncall import problem_service as schedules
from tocsin.storage import parking, schema
from tocsin.storage.database import Database
from tocsin.storage.dialects import Sqlite
from tocsin.tickets import store as tickets
from tocsin.web.services import CHECKED_FOR_S, Services, admitted, services

router = APIRouter(tags=["health"])
With = Annotated[Services, Depends(services)]


@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> dict[str, str]:
    """Answers as long as the process runs its event loop."""
    return {"status": "ok"}


@router.get("/readyz", summary="Can it take logs?", responses={503: {"description": "Not now; says why"}})
def readyz(request: Request, with_: With) -> dict[str, str]:
    """200 when the database takes writes and the intake queue is below its bound; otherwise 503.

    `installation` names the database, so that a client can tell it from another one at the same address; only those
    who may come in are told.
    """
    if not with_.intake.has_room:
        raise Unavailable(detail="The intake queue is full.")
    with_.writable.check()
    told = {"installation": schema.installation(with_.database)} if admitted(request) else {}
    return {"status": "ready", **told}


@router.get("/metrics", summary="Counters for Prometheus", response_class=Response)
def metrics(with_: With) -> Response:
    """Prometheus text format."""
    return Response(generate_latest(with_.metrics.registry), media_type=CONTENT_TYPE_LATEST)


class StateCollector:
    """Gauges that are read off the database when somebody asks, at most twice a second; left out while it is away."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read_at = float("-inf")
        self._found: list[Metric] = []

    def collect(self) -> list[Metric]:
        now = time.monotonic()
        if now - self._read_at > CHECKED_FOR_S:
            try:
                self._found = self._read()
            except Unavailable:
                self._found = []  # the counters of this process are worth most just now
            self._read_at = time.monotonic()
        return self._found

    def _read(self) -> list[Metric]:
        counts: dict[int, int] = self._database.read(tickets.open_by_priority)
        by_priority = GaugeMetricFamily("tocsin_open_tickets", "Tickets not yet resolved.", labels=["priority"])
        for priority in Priority:
            by_priority.add_metric([priority.name], counts.get(priority, 0))
        waiting: Any = self._database.read(parking.count)
        found: list[Metric] = [
            by_priority,
            GaugeMetricFamily("tocsin_parked_now", "Ranges of records whose consequences wait.", value=waiting),
        ]
        found += self._deliveries()
        found += self._schedules()
        if isinstance(self._database.dialect, Sqlite):
            wal = self._database.dialect.wal_bytes()
            found.append(GaugeMetricFamily("tocsin_wal_bytes", "Size of the write-ahead log.", value=wal))
        return found

    def _deliveries(self) -> list[Metric]:
        """What waits and what was given up, by channel."""
        queued = GaugeMetricFamily("tocsin_deliveries_queued", "Messages that wait to be sent.", labels=["channel"])
        oldest = GaugeMetricFamily(
            "tocsin_deliveries_oldest_seconds", "How long the oldest of them waits.", labels=["channel"]
        )
        dead = GaugeMetricFamily("tocsin_deliveries_dead", "Messages that were given up.", labels=["channel"])
        now = self._database.clock.now()
        queues: dict[str, Queue] = self._database.read(deliveries.queues)
        for channel, queue in queues.items():
            queued.add_metric([channel], queue.waiting)
            oldest.add_metric([channel], 0.0 if queue.oldest_at is None else (now - queue.oldest_at).total_seconds())
        given_up: dict[str, int] = self._database.read(deliveries.count_dead)
        for channel, n in given_up.items():
            dead.add_metric([channel], n)
        return [queued, oldest, dead]

    def _schedules(self) -> list[Metric]:
        """By how many schedules nobody is on call, now and soon."""
        now: int = self._database.read(lambda tx: schedules.unattended(tx, timedelta(0)))
        soon: int = self._database.read(lambda tx: schedules.unattended(tx, timedelta(days=1)))
        return [
            GaugeMetricFamily(
                "tocsin_schedules_nobody_on_call",
                "Schedules by which nobody is on call now, and somebody should be.",
                value=now,
            ),
            GaugeMetricFamily(
                "tocsin_schedules_nobody_on_call_soon",
                "Schedules by which nobody is on call at some time in the next 24 hours, and somebody should be.",
                value=soon,
            ),
        ]
