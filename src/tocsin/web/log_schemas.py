"""What goes in and out of the routes that read logs."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from tocsin.logs.histogram import BY
from tocsin.web.schemas import InstantIn, LevelIn, LogOut, Out, QueryIn, QueryText, Reckoned, Word, duration_of


def _interval(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    found = duration_of(str(value))
    if found is None or not found:
        raise ValueError("expected a whole number of s, m, h, d or w, such as 30s, 5m, 1h, 1d")
    return found


def _names(value: object) -> list[str]:
    given = value if isinstance(value, list) else [value]
    names = [part.strip() for one in given for part in str(one).split(",") if part.strip()]
    wrong = [name for name in names if name not in BY]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is none of: {', '.join(BY)}")
    return names


class StreamIn(Reckoned):
    """Which records. Everything that is given must be true of a record."""

    q: QueryText | None = None
    level: LevelIn | None = Field(None, description="This level and all above it.", examples=["ERROR"])
    service: Word | None = Field(None, description="The exact name of a service.", examples=["payments"])
    text: Word | None = Field(None, description="Found anywhere in the message, in any case.", examples=["timed out"])


class LogFilterIn(StreamIn):
    """Which of the records that are stored: also by event time."""

    since: InstantIn | None = Field(None, description="Event time, included.", examples=["15m", "2026-11-24T02:00:00Z"])
    until: InstantIn | None = Field(None, description="Event time, excluded.", examples=["5m"])


class LogPageIn(LogFilterIn, QueryIn):
    pass


class HistogramIn(LogFilterIn):
    interval: Annotated[timedelta, BeforeValidator(_interval, json_schema_input_type=str)] | None = Field(
        None, description="Width of a bucket: 30s, 5m, 1h, 1d. No more than 2000 buckets.", examples=["5m"]
    )
    by: Annotated[list[str], BeforeValidator(_names, json_schema_input_type=str)] = Field(
        default_factory=list, description="level, service, or both with a comma.", examples=["level"]
    )


class TopIn(LogFilterIn):
    field: Word = Field(description="A field, or attributes.NAME (also @NAME).", examples=["attributes.region"])
    limit: int = Field(10, ge=1, le=1000, description="How many values.")


class ContextIn(LogFilterIn):
    before: int = Field(10, ge=0, le=500, description="Older records of the same service.")
    after: int = Field(10, ge=0, le=500, description="Newer records of the same service.")


class ExportIn(LogFilterIn):
    format: Literal["ndjson", "csv"] = Field(
        "ndjson",
        description="JSON lines, or CSV with a header. In CSV a text that a spreadsheet would take for a formula has an"
        " apostrophe before it.",
    )
    limit: int | None = Field(None, ge=1, description="No more than so many records.")


class ScannedOut(BaseModel):
    """How much a search looked at."""

    records: int
    parts: int = Field(description="Segments and blocks of hot records that were read.")
    pruned: int = Field(description="Segments that could be ruled out without reading them.")
    damaged: int = Field(
        description="Segments that may hold such records, but can't be read; their records are not in the answer."
    )


class _Searched(Out):
    partial: bool = Field(description="Whether the search ran out of time before it had looked at everything.")
    scanned: ScannedOut


class LogPageOut(_Searched):
    items: list[LogOut]
    next: str | None = Field(description="Cursor of the next page; null at the end.")


class SeriesOut(BaseModel):
    of: dict[str, str] = Field(examples=[{"level": "ERROR"}])
    counts: list[int] = Field(description="A number for each bucket.")


class HistogramOut(_Searched):
    """Counts by event time."""

    interval_s: float
    since: datetime | None
    until: datetime | None
    buckets: list[datetime] = Field(
        description="The starts of the intervals, without gaps: whole multiples of `interval_s` since 1970 in UTC. The"
        " first may lie before `since`, and the last end after `until`; records outside are not counted in them."
    )
    totals: list[int] = Field(description="A number for each bucket.")
    groups: list[SeriesOut] = Field(description="The largest first; beyond 50 groups the rest is `(other)`.")
    total: int
    approximate: bool = Field(
        description="There were too many groups to count them all exactly: a group has at least its counts, and what is"
        " missing there is in `(other)`. `totals` are exact."
    )


class ValueOut(BaseModel):
    value: str
    count: int


class TopOut(_Searched):
    field: str
    values: list[ValueOut] = Field(
        description="The most frequent first; of equally frequent ones, those of newer records are chosen. Fewer than"
        " `limit` when their texts would hold more than 8 MiB."
    )
    total: int = Field(
        description="Values counted, one for each matching record unless the field is a list; `missing` is part of it."
    )
    missing: int = Field(description="Matching records without the field.")
    distinct: int = Field(description="How many values there are; when `approximate`, there are at least so many.")
    approximate: bool = Field(
        description="There were too many values to count them all exactly: a value has at least its count, and one that"
        " is nearly as frequent as the last may be missing. `total` and `missing` are exact."
    )


class FieldOut(BaseModel):
    name: str = Field(examples=["attributes.region"])
    types: list[str] = Field(examples=[["string"]])
    examples: list[str]
    records: int = Field(description="How many of the sampled records have it, with whatever number of values.")


class FieldsOut(_Searched):
    fields: list[FieldOut]
    sampled: int = Field(description="The newest matching records that were looked at.")


class ContextOut(_Searched):
    """All newest first: `after` are newer than the record, `before` older. `partial`: there may be nearer ones."""

    after: list[LogOut]
    record: LogOut
    before: list[LogOut]


class DamagedOut(BaseModel):
    key: str
    records: int
    damage: str
    damaged_at: datetime


class StatsOut(Out):
    """What is stored. Hot records are in the database, the others in segment files."""

    hot_records: int
    hot_chunks: int
    hot_bytes: int
    segments: int
    records: int = Field(description="Records in segments.")
    size_bytes: int = Field(description="Bytes of the segments' files.")
    filter_bytes: int = Field(description="Bytes of their token filters in the database.")
    raw_bytes: int = Field(description="Bytes that the records in segments hold, uncompressed.")
    oldest: datetime | None
    newest: datetime | None
    services: dict[str, int]
    damaged: list[DamagedOut]
