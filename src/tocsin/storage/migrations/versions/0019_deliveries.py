"""Channels and deliveries. A new installation has a channel `console`, so that it is quiet but visible."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from tocsin.storage.columns import BigId, Instant, Json

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    channels = op.create_table(
        "channels",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("config", Json, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("per_minute", sa.Integer(), nullable=True),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("timeout_s", sa.Float(), nullable=False),
        sa.Column("bundle_s", sa.Float(), nullable=False),
        sa.Column("kinds", Json, nullable=True),
        sa.Column("fallback", sa.Text(), nullable=True),
        sa.Column("template", sa.Text(), nullable=True),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("disabled_at", Instant(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "channel_states",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("opened_at", Instant(), nullable=True),
        sa.Column("probe_at", Instant(), nullable=True),
        sa.Column("held_until", Instant(), nullable=True),
        sa.Column("tokens", sa.Float(), nullable=False),
        sa.Column("tokens_at", Instant(), nullable=True),
        sa.Column("ok_at", Instant(), nullable=True),
        sa.Column("error_at", Instant(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("channel"),
    )
    _make_deliveries()
    op.bulk_insert(channels, [_console()])
    counters = sa.table("counters", sa.column("name", sa.Text()), sa.column("value", sa.BigInteger()))
    op.bulk_insert(counters, [{"name": "channels", "value": 1}])


def _make_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        sa.Column("ticket_id", sa.BigInteger(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("method_id", sa.BigInteger(), nullable=True),
        sa.Column("otherwise", Json, nullable=False),
        sa.Column("asked", Json, nullable=False),
        sa.Column("ways", Json, nullable=False),
        sa.Column("person", sa.Text(), nullable=True),
        sa.Column("why", Json, nullable=False),
        sa.Column("facts", Json, nullable=False),
        sa.Column("unless_acknowledged", sa.Boolean(), nullable=False),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("bundled", sa.Integer(), nullable=False),
        sa.Column("bundled_into", sa.BigInteger(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("give_up_at", Instant(), nullable=False),
        sa.Column("lease", sa.Text(), nullable=True),
        sa.Column("leased_at", Instant(), nullable=True),
        sa.Column("unwanted_at", Instant(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("tried", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    waiting = sa.text("state = 'waiting'")
    op.create_index("uq_deliveries_key", "deliveries", ["key"], unique=True)
    op.create_index(
        "ix_deliveries_waiting",
        "deliveries",
        ["channel", "rank", "due_at", "id"],
        unique=False,
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    leased = sa.text("lease IS NOT NULL")
    op.create_index(
        "ix_deliveries_leased",
        "deliveries",
        ["channel"],
        unique=False,
        sqlite_where=leased,
        postgresql_where=leased,
    )
    for column in ("ticket_id", "channel", "person", "state"):
        op.create_index(f"ix_deliveries_{column}_id", "deliveries", [column, "id"], unique=False)
    op.create_index("ix_deliveries_ended_at", "deliveries", ["ended_at"], unique=False)
    op.create_table(
        "delivery_attempts",
        sa.Column("delivery_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("method_id", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("delivery_id", "n"),
    )


def _console() -> dict[str, object]:
    now = datetime.now(UTC)
    return {
        "name": "console",
        "kind": "console",
        "config": {},
        "description": "The server's own log.",
        "is_default": True,
        "enabled": True,
        "per_minute": None,
        "concurrency": 8,
        "timeout_s": 15.0,
        "bundle_s": 30.0,
        "kinds": None,
        "fallback": None,
        "template": None,
        "version": 1,
        "created_at": now,
        "updated_at": now,
        "updated_by": "system",
    }
