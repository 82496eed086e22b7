"""A stored record as readers see it, and the columns a batch of records is worked on in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

import msgspec

MAX_RECORD_BYTES = 256 * 1024
UNKNOWN_SERVICE = "unknown"
NO_ATTRIBUTES = b"{}"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One log record. `timestamp` is event time, `observed_at` arrival; both UTC, microseconds.

    `attributes` is a JSON object, kept as it came. `skewed` holds the original timestamp when it was replaced
    because it lay too far ahead or before 1970.
    """

    id: int
    timestamp: datetime
    observed_at: datetime
    level: str
    severity_number: int
    service: str
    message: str
    attributes: msgspec.Raw
    trace_id: str | None = None
    span_id: str | None = None
    source: str | None = None
    skewed: str | None = None
    backfill: bool = False


@dataclass(slots=True)
class Columns:
    """A batch of checked records, a list per field, all of one length; row i is record i.

    `timestamps` are aware, `severities` OpenTelemetry numbers, `levels` values of `Level`,
    `attributes` JSON objects. What is a dict is sparse: only rows that have something.
    """

    timestamps: list[datetime] = field(default_factory=list)
    severities: bytes = b""
    levels: bytes = b""
    services: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    attributes: list[bytes] = field(default_factory=list)
    trace_ids: dict[int, str] = field(default_factory=dict)
    span_ids: dict[int, str] = field(default_factory=dict)
    sources: dict[int, str] = field(default_factory=dict)
    skewed: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.messages)

    @classmethod
    def joined(cls, parts: Sequence["Columns"]) -> "Columns":
        """The rows of all parts, one after the other; a single part is returned as it is."""
        if len(parts) == 1:
            return parts[0]
        whole = cls(
            list(chain.from_iterable([part.timestamps for part in parts])),
            b"".join([part.severities for part in parts]),
            b"".join([part.levels for part in parts]),
            list(chain.from_iterable([part.services for part in parts])),
            list(chain.from_iterable([part.messages for part in parts])),
            list(chain.from_iterable([part.attributes for part in parts])),
        )
        start = 0
        for part in parts:
            for mine, theirs in zip(whole._sparse(), part._sparse(), strict=True):
                if theirs:
                    mine.update({start + row: value for row, value in theirs.items()})
            start += len(part.messages)
        return whole

    def slice(self, start: int, stop: int) -> "Columns":
        """Rows `start` (included) to `stop` (excluded)."""
        if start == 0 and stop >= len(self):
            return self
        part = Columns(
            self.timestamps[start:stop],
            self.severities[start:stop],
            self.levels[start:stop],
            self.services[start:stop],
            self.messages[start:stop],
            self.attributes[start:stop],
        )
        for mine, theirs in zip(self._sparse(), part._sparse(), strict=True):
            theirs.update({row - start: value for row, value in mine.items() if start <= row < stop})
        return part

    def _sparse(self) -> tuple[dict[int, str], ...]:
        return self.trace_ids, self.span_ids, self.sources, self.skewed
