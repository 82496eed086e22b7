"""Reading segments: each is checked against its checksum before it is read, and set aside when it is damaged."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import polars as pl
import structlog

from tocsin.kit.actors import SYSTEM
from tocsin.kit.events import SegmentDamaged, SegmentMended
from tocsin.kit.metrics import Metrics
from tocsin.logs import catalogue
from tocsin.logs.catalogue import NewSegment, Segment
from tocsin.logs.frames import SCHEMA
from tocsin.logs.shapes import whole
from tocsin.storage.database import Database
from tocsin.storage.objects import NoSuchObject, Objects
from tocsin.storage.objects import reading as reading_object
from tocsin.storage.tx import Tx

MISSING: Final = "missing"

log = structlog.get_logger("tocsin.segments")


class Vanished(Exception):
    """What was to be read has been replaced meanwhile: look at the catalogue again."""


@contextmanager
def reading() -> Iterator[None]:
    """Around what reads segments that were sound a moment ago. Raises Vanished."""
    try:
        with reading_object():
            yield
    except NoSuchObject as error:
        raise Vanished from error


class SegmentFiles:
    """The objects of segments. One is checked when it is first read, and whenever it has changed since."""

    def __init__(self, database: Database, objects: Objects, *, metrics: Metrics) -> None:
        self._database = database
        self._objects = objects
        self._metrics = metrics
        self._checked: dict[str, str] = {}

    def trust(self, new: Iterable[NewSegment]) -> None:
        """These were written just now; their checksums are of what was written."""
        for one in new:
            version = self._objects.version(one.key)
            if version is not None:
                self._checked[one.key] = version

    def sound(self, segments: Sequence[Segment]) -> list[Segment]:
        """Those that can be read; the others are set aside. Raises Vanished."""
        return [segment for segment in segments if self._is_sound(segment)]

    def source(self, segment: Segment) -> str:
        """What Polars reads the segment from."""
        return self._objects.source(segment.key)

    def whole(self, segment: Segment) -> pl.DataFrame | None:
        """All its records with their attributes as JSON; None when it is damaged. Raises Vanished."""
        return self.rows(segment, pl.lit(value=True))

    def rows(self, segment: Segment, which: pl.Expr) -> pl.DataFrame | None:
        """Some of its records with their attributes as JSON; None when it is damaged. Raises Vanished."""
        if not self._is_sound(segment):
            return None
        with reading():
            frame = pl.scan_parquet(self.source(segment), glob=False).filter(which).collect()
        return whole(frame).select(list(SCHEMA))

    def take_back(self) -> None:
        """Look at segments that were set aside: someone may have put a good copy in the place of one."""
        for segment in self._database.read(catalogue.damaged):
            if self._objects.verify(segment.key, size_bytes=segment.size_bytes, sha256=segment.sha256) is None:
                self._database.write(lambda tx, segment=segment: _mend(tx, segment), actor=SYSTEM)  # type: ignore[misc]
                log.info("segment_mended", key=segment.key)

    def _is_sound(self, segment: Segment) -> bool:
        version = self._objects.version(segment.key)
        if version is not None and self._checked.get(segment.key) == version:
            return True
        damage = self._objects.verify(segment.key, size_bytes=segment.size_bytes, sha256=segment.sha256)
        if damage is None and version is not None:
            self._checked[segment.key] = version
            return True
        if not self._database.read(lambda tx: catalogue.is_named(tx, segment)):
            raise Vanished
        self._set_aside(segment, damage or MISSING)
        return False

    def _set_aside(self, segment: Segment, damage: str) -> None:
        if not self._database.write(lambda tx: _condemn(tx, segment, damage), actor=SYSTEM):
            return
        self._metrics.damaged.inc()
        log.error("segment_damaged", key=segment.key, records=segment.records, damage=damage)
        self._objects.set_aside(segment.key)


def _condemn(tx: Tx, segment: Segment, damage: str) -> bool:
    if not catalogue.mark_damaged(tx, segment, damage):
        return False
    tx.emit(SegmentDamaged(segment_id=segment.id, key=segment.key, records=segment.records, damage=damage))
    return True


def _mend(tx: Tx, segment: Segment) -> None:
    catalogue.mark_sound(tx, segment)
    tx.emit(SegmentMended(segment_id=segment.id, key=segment.key))
