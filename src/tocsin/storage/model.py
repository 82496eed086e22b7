"""Tables that belong to no stage: the event list, timers, parked consequences, idempotency keys, leases, counters."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from tocsin.storage.columns import BigId, Instant, Json, metadata

events = Table(
    "events",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("cause_id", BigInteger),
    Column("data", Json, nullable=False),
    Column("position", BigInteger, nullable=False),
    Index("ix_events_subject_id", "subject", "id"),
    Index("ix_events_kind_at_position", "kind", "at", "position"),
    Index("ix_events_kind_position", "kind", "position"),
)

timers = Table(
    "timers",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("due_at", Instant, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Index("ix_timers_due_at", "due_at"),
)

parked = Table(
    "parked",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("event_id", BigInteger, nullable=False),
    Column("first_id", BigInteger, nullable=False),
    Column("last_id", BigInteger, nullable=False),
    Column("parked_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("rule", Text),  # the one rule that raised; without it nothing was worked out
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("credential", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", Json, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("ix_idempotency_keys_created_at", "created_at"),
)

# Work that one process at a time does; a holder that dies loses it when its lease ends.
leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", Instant, nullable=False),
)

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
