"""The part of the loop `compact` that lets go of old records as retention says: segments, or a service's rows."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

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
SEAL_S: Final = 1.0  # in one run: compaction waits meanwhile
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


class Seal(Protocol):
    """Whatever closes the books of records before they go."""

    def __call__(self, position: int, *, hurry: bool, deadline: float) -> int:
        """Close those of what was committed before a position; returns up to where all are closed, which may be less
        when the `deadline` (of `time.monotonic`) has come, or something is to be waited for and there is no `hurry`."""
        ...


@dataclass(slots=True)
class Expiry:
    """Removes what retention does not keep; `run` looks every minute. What it removes is on the event list.

    What `seal` has not got to stays: it is gone on with at the next `run`. When `seal` fails, what is too old waits,
    and what is too much goes: a full disk must not have to wait.
    """

    database: Database
    compactor: Compactor
    retention: Retention
    seal: Seal | None = None
    _looked_at: datetime | None = None
    _left: set[str] = field(default_factory=set)  # keys of segments that can't be rewritten
    _sealed_to: int = 0
    _deadline: float = 0.0
    _waiting: bool = False
    _failed: bool = False

    def run(self) -> None:
        now = self.database.clock.now()
        if self._looked_at is not None and now - self._looked_at < EVERY:
            return
        self._deadline, self._waiting, self._failed = time.monotonic() + SEAL_S, False, False
        self._by_age(now, self._drop_whole)
        self._by_size()
        self._by_age(now, self._rewrite)  # last: it needs room, the others make some
        self._looked_at = None if self._waiting else now

    def _is_sealed(self, segment: Segment, *, hurry: bool = False) -> bool:
        """Whether the books of all its records are closed, after an attempt to close them."""
        if self.seal is None or segment.position <= self._sealed_to:
            return True
        if not self._failed and (hurry or not self._waiting):
            try:
                self._sealed_to = self.seal(segment.position, hurry=hurry, deadline=self._deadline)
            except Exception as error:  # noqa: BLE001  # whatever is wrong with the books, logs must not pile up
                self._failed = True
                log.error("not_sealed", error=f"{type(error).__name__}: {error}")
        sealed = segment.position <= self._sealed_to
        self._waiting |= not sealed and not self._failed
        return sealed

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
        whole = services == set(segment.services)
        return whole and self._is_sealed(segment) and self._drop([segment], reason="age")

    def _rewrite(self, segment: Segment, services: set[str]) -> bool:
        """Take the rows of some services out of a segment."""
        if segment.damaged_at is not None or segment.key in self._left or not self._is_sealed(segment):
            return False
        try:
            frame = self.compactor.files.whole(segment)
        except Vanished:
            return True
        if frame is None:
            return False
        sealed = self.seal is not None
        events = [
            _expired(frame.filter(pl.col("service") == service), segment, service=service, sealed=sealed)
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
            wanted = beyond_size(oldest, excess)
            gone = [segment for segment in wanted if self._is_sealed(segment, hurry=True)]
            if self._failed:
                gone = wanted
            if not gone or not self._drop(gone, reason="size"):
                return

    def _drop(self, gone: list[Segment], *, reason: str) -> bool:
        sealed = self.seal is not None and all(segment.position <= self._sealed_to for segment in gone)

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
                    sealed=sealed,
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


def _expired(rows: pl.DataFrame, segment: Segment, *, service: str, sealed: bool) -> LogsExpired:
    times = rows.get_column("timestamp")
    return LogsExpired(
        records=len(rows),
        size_bytes=segment.size_bytes * len(rows) // max(segment.records, 1),
        oldest=times.min(),  # type: ignore[arg-type]
        newest=times.max(),  # type: ignore[arg-type]
        service=service,
        reason="age",
        sealed=sealed,
    )
