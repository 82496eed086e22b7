"""Tables of stage 5: channels and how they are doing; deliveries and every try of each."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, Table, Text, text

from tocsin.storage.columns import BigId, Instant, Json, metadata

_WAITING: Any = {"sqlite_where": text("state = 'waiting'"), "postgresql_where": text("state = 'waiting'")}
_LEASED: Any = {"sqlite_where": text("lease IS NOT NULL"), "postgresql_where": text("lease IS NOT NULL")}

channels = Table(
    "channels",
    metadata,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("config", Json, nullable=False),
    Column("description", Text, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("per_minute", Integer),
    Column("concurrency", Integer, nullable=False),
    Column("timeout_s", Float, nullable=False),
    Column("bundle_s", Float, nullable=False),
    Column("kinds", Json),  # null: all
    Column("fallback", Text),
    Column("template", Text),
    Column("disabled_reason", Text),
    Column("disabled_at", Instant),
    Column("version", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", Text, nullable=False),
)

# Whoever claims messages of a channel, or writes down what came of them, holds its row: breaker, pace and the bound of
# what is on its way at once are then the same for all workers.
channel_states = Table(
    "channel_states",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("opened_at", Instant),
    Column("probe_at", Instant),
    Column("held_until", Instant),  # the other side asked for so long (Retry-After)
    Column("tokens", Float, nullable=False),
    Column("tokens_at", Instant),
    Column("ok_at", Instant),
    Column("error_at", Instant),
    Column("error", Text),
)

# `channel` and `method_id` are the way it takes now, `asked` is the one that was asked for, `ways` those it has left.
# A claim moves `due_at` to the end of its lease: a worker that is killed gives its rows back by doing nothing.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("event_id", BigInteger),
    Column("ticket_id", BigInteger),
    Column("channel", Text),  # null: a person's method that no channel was found for yet
    Column("method_id", BigInteger),
    Column("otherwise", Json, nullable=False),
    Column("asked", Json, nullable=False),
    Column("ways", Json, nullable=False),
    Column("person", Text),
    Column("why", Json, nullable=False),
    Column("facts", Json, nullable=False),
    Column("unless_acknowledged", Boolean, nullable=False),
    Column("urgent", Boolean, nullable=False),
    Column("bundled", Integer, nullable=False),
    Column("bundled_into", BigInteger),
    Column("created_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("give_up_at", Instant, nullable=False),
    Column("lease", Text),
    Column("leased_at", Instant),
    Column("unwanted_at", Instant),  # called off while it was on its way: this try is the last one
    Column("attempts", Integer, nullable=False),
    Column("tried", Integer, nullable=False),  # attempts on the present way
    Column("answer", Text),
    Column("reference", Text),
    Column("ended_at", Instant),
    Index("uq_deliveries_key", "key", unique=True),
    Index("ix_deliveries_waiting", "channel", "rank", "due_at", "id", **_WAITING),
    Index("ix_deliveries_leased", "channel", **_LEASED),
    Index("ix_deliveries_ticket_id_id", "ticket_id", "id"),
    Index("ix_deliveries_channel_id", "channel", "id"),
    Index("ix_deliveries_person_id", "person", "id"),
    Index("ix_deliveries_state_id", "state", "id"),
    Index("ix_deliveries_ended_at", "ended_at"),
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("delivery_id", BigInteger, primary_key=True, autoincrement=False),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("channel", Text, nullable=False),
    Column("method_id", BigInteger),
    Column("outcome", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("took_ms", Integer),  # null: nobody was there to measure
)
