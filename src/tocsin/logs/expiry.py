"""The part of the loop `compact` that lets go of old records as retention says: segments, or a service's rows."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import polars as pl
import structlog

from tocsin.kit.actors import SYSTEM
from tocsin.kit.errors import Conflict
from tocsin.kit.events import LogsExpired
from tocsin.logs import catalogue
from tocsin.logs.catalogue import Segment
from tocsin.logs.compaction import Compactor, Unbuildable
from tocsin.logs.retention import Retention
from tocsin.logs.segmentfiles import Vanished
from tocsin.storage.database import Database
from tocsin.storage.tx import Tx

EVERY: Final = timedelta(minutes=1)
_AT_ONCE: Final = 200

log = structlog.get_logger("tocsin.expiry")


def expired_services(segment: Segment, retention: Retention, now: datetime) -> set[str]:
    """The services of a segment all of whose records in it are older than retention keeps them."""
    ages = {service: retention.age_of(service) for service in segment.services}
    return {service for service, age in ages.items() if age is not None and segment.max_at < now - age}


def beyond_size(oldest_first: Iterable[Segment], excess_bytes: int) -> list[Segment]:
    """The oldest segments that together free so many bytes."""
    chosen: list[Segment] = []
    for segment in oldest_first:
        if excess_bytes <= 0:
            break
        chosen.append(segment)
        excess_bytes -= segment.size_bytes
    return chosen


@dataclass(slots=True)
class Expiry:
    """Removes what retention does not keep; `run` looks every minute. What it removes is on the event list."""

    database: Database
    compactor: Compactor
    retention: Retention
    _looked_at: datetime | None = None
    _left: set[str] = field(default_factory=set)  # keys of segments that can't be rewritten

    def run(self) -> None:
        now = self.database.clock.now()
        if self._looked_at is not None and now - self._looked_at < EVERY:
            return
        self._by_age(now, self._drop_whole)
        self._by_size()
        self._by_age(now, self._rewrite)  # last: it needs room, the others make some
        self._looked_at = now

    def _by_age(self, now: datetime, let_go: Callable[[Segment, set[str]], bool]) -> None:
        """`let_go` of services of segments; it says whether the segment is gone from the list of old ones."""
        shortest = self.retention.shortest
        if shortest is None:
            return
        seen = 0
        while True:
            old = self.database.read(
                lambda tx, seen=seen: catalogue.ended_before(tx, now - shortest, limit=_AT_ONCE, offset=seen)  # type: ignore[misc]
            )
            for segment in old:
                gone = expired_services(segment, self.retention, now)
                seen += not gone or not let_go(segment, gone)
            if len(old) < _AT_ONCE:
                return

    def _drop_whole(self, segment: Segment, services: set[str]) -> bool:
        return services == set(segment.services) and self._drop([segment], reason="age")

    def _rewrite(self, segment: Segment, services: set[str]) -> bool:
        """Take the rows of some services out of a segment."""
        if segment.damaged_at is not None or segment.key in self._left:
            return False
        try:
            frame = self.compactor.files.whole(segment)
        except Vanished:
            return True
        if frame is None:
            return False
        events = [
            _expired(frame.filter(pl.col("service") == service), segment, service=service)
            for service in sorted(services)
        ]
        staying = frame.filter(~pl.col("service").is_in(sorted(services)))
        try:
            self.compactor.rewrite(segment, staying, lambda tx: _tell(tx, events))
        except Unbuildable as error:
            self._left.add(segment.key)
            log.error("not_rewritten", key=segment.key, services=sorted(services), error=str(error))
            return False
        return True

    def _by_size(self) -> None:
        limit = self.retention.total_bytes
        if limit is None:
            return
        while (excess := self.database.read(catalogue.total_bytes) - limit) > 0:
            oldest = self.database.read(lambda tx: catalogue.oldest(tx, limit=_AT_ONCE))
            if not oldest or not self._drop(beyond_size(oldest, excess), reason="size"):
                return

    def _drop(self, gone: list[Segment], *, reason: str) -> bool:
        def drop(tx: Tx) -> None:
            catalogue.remove(tx, gone)
            tx.emit(
                LogsExpired(
                    records=sum(segment.records for segment in gone),
                    size_bytes=sum(segment.size_bytes for segment in gone),
                    oldest=min(segment.min_at for segment in gone),
                    newest=max(segment.max_at for segment in gone),
                    service=None,
                    reason=reason,
                )
            )

        try:
            self.database.write(drop, actor=SYSTEM)
        except Conflict:
            return False  # another worker was at them
        log.info("logs_expired", segments=len(gone), records=sum(segment.records for segment in gone), reason=reason)
        return True


def _tell(tx: Tx, events: Iterable[LogsExpired]) -> None:
    tx.emit(*events)


def _expired(rows: pl.DataFrame, segment: Segment, *, service: str) -> LogsExpired:
    times = rows.get_column("timestamp")
    return LogsExpired(
        records=len(rows),
        size_bytes=segment.size_bytes * len(rows) // max(segment.records, 1),
        oldest=times.min(),  # type: ignore[arg-type]
        newest=times.max(),  # type: ignore[arg-type]
        service=service,
        reason="age",
    )
