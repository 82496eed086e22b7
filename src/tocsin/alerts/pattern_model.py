"""Tables of the patterns of all records: counts, what was merged or split, what the miner learned."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from tocsin.storage.columns import BigId, Instant, Json, metadata

# A template is a value: its row is for ever. The digest is its key, because no index takes texts of any length.
patterns = Table(
    "patterns",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("template", Text, nullable=False),
    Column("first_seen_at", Instant, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
    Column("records", BigInteger, nullable=False),
    Column("example_id", BigInteger),
    Column("example", Text, nullable=False),
    Column("services", Json, nullable=False),
    Column("merged_into", BigInteger),  # the one that stands for it now: follows from the changes, see `merging`
    Index("ix_patterns_merged_into", "merged_into"),
)

# By event time: hours; what is older than some days is counted by days. Kept in the order in which times are read.
pattern_counts = Table(
    "pattern_counts",
    metadata,
    Column("hour", Instant, primary_key=True),
    Column("pattern_id", BigInteger, primary_key=True, autoincrement=False),
    Column("service", Text, primary_key=True),
    Column("n", BigInteger, nullable=False),
    Index("ix_pattern_counts_pattern_id", "pattern_id"),
    sqlite_with_rowid=False,
)

# What leads from one pattern to another: `alias` (the miner's), `merge` and `split` (people's).
pattern_changes = Table(
    "pattern_changes",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("pattern_id", BigInteger, nullable=False),
    Column("into_id", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("undone_at", Instant),
    Column("undone_by", Text),
    Index("ix_pattern_changes_pattern_id", "pattern_id"),
    Index("ix_pattern_changes_into_id", "into_id"),
    Index("ix_pattern_changes_kind", "kind"),
)

# One row. The token changes with the content: who learned from another one starts over. It is also what writers hold.
miner_state = Table(
    "miner_state",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("token", Text, nullable=False),
    Column("dump", LargeBinary, nullable=False),
    Column("saved_at", Instant),
)
