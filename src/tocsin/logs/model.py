"""Tables of stage 1: hot chunks. Cold segments get a catalogue of their own beside it."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table, Text

from tocsin.storage.columns import Instant, metadata

chunks = Table(
    "chunks",
    metadata,
    Column("first_id", BigInteger, primary_key=True, autoincrement=False),
    Column("last_id", BigInteger, nullable=False),
    Column("observed_at", Instant, nullable=False),
    Column("min_at", Instant, nullable=False),
    Column("max_at", Instant, nullable=False),
    Column("levels", Integer, nullable=False),  # bit n set: a record of the n-th Level is inside
    Column("services", Text),  # newline-separated; NULL: too many to name
    Column("backfill", Boolean, nullable=False),
    Column("event_id", BigInteger, nullable=False),
    Column("raw_bytes", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    Index("ix_chunks_max_at_first_id", "max_at", "first_id"),
)
