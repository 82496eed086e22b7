"""Tables of stage 1: hot chunks, and the catalogue of the segments they are compacted into."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table, Text

from tocsin.storage.columns import BigId, Instant, Json, metadata

chunks = Table(
    "chunks",
    metadata,
    Column("first_id", BigInteger, primary_key=True, autoincrement=False),
    Column("last_id", BigInteger, nullable=False),
    Column("observed_at", Instant, nullable=False),
    Column("min_at", Instant, nullable=False),
    Column("max_at", Instant, nullable=False),
    Column("backfill", Boolean, nullable=False),
    Column("event_id", BigInteger, nullable=False),
    Column("raw_bytes", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("blob", LargeBinary, nullable=False),
)

# Chunks whose records are in a segment already: nobody reads them any more. A row here is cheap, deleting many large
# blobs in one turn of the write lock is not; the loop `compact` deletes them in slices.
consumed = Table(
    "consumed",
    metadata,
    Column("first_id", BigInteger, primary_key=True, autoincrement=False),
    Column("consumed_at", Instant, nullable=False),
)

segments = Table(
    "segments",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, unique=True),  # of the object that holds its records
    Column("first_id", BigInteger, nullable=False),
    Column("last_id", BigInteger, nullable=False),
    Column("records", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("raw_bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("min_at", Instant, nullable=False),
    Column("max_at", Instant, nullable=False),
    Column("severities", Integer, nullable=False),  # bit n set: a record of severity number n is inside
    Column("services", Json, nullable=False),  # name -> records
    Column("layout", Json, nullable=False),  # attribute path -> type, of those with a column of their own
    Column("raw_rows", Integer, nullable=False),  # whose attributes are kept as JSON
    Column("stray", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("damaged_at", Instant),
    Column("damage", Text),
    Column("position", BigInteger, nullable=False, server_default="0"),  # its records' commits are before that
    Index("ix_segments_max_at_id", "max_at", "id"),
    Index("ix_segments_min_at_id", "min_at", "id"),
    Index("ix_segments_first_id", "first_id"),
    sqlite_autoincrement=True,  # an id that came back would be taken for the segment that had it before
)

segment_tokens = Table(
    "segment_tokens",
    metadata,
    Column("segment_id", BigInteger, primary_key=True, autoincrement=False),
    Column("filter", LargeBinary, nullable=False),
)

# Objects no segment names any more; a search that began before may still read them for a while.
retired_objects = Table(
    "retired_objects",
    metadata,
    Column("key", Text, primary_key=True),
    Column("retired_at", Instant, nullable=False),
)
