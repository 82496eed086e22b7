"""The table of silences and maintenance windows; what they hide is in the verdicts."""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, Table, Text

from tocsin.storage.columns import BigId, Instant, metadata

silences = Table(
    "silences",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("version", Integer, nullable=False),
    Column("matcher", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("recurrence", Text),
    Column("duration_s", Integer),  # of an occurrence
    Column("time_zone", Text, nullable=False),
    Column("break_factor", Float),
    Column("baseline_n", BigInteger),
    # What has been told and done: the occurrence that began, when one was last closed, when it broke.
    Column("started_at", Instant),
    Column("closed_at", Instant),
    Column("broken_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", Text, nullable=False),
    Column("applied_as", Text),  # what the file that it came from calls it; one of a name is not over
    Index("ix_silences_ends_at", "ends_at"),
    Index("ix_silences_applied_as", "applied_as"),
)
