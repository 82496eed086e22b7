"""Patterns of all records: what the miner learned, how many records of which, what was merged and split."""

import sqlalchemy as sa
from alembic import op

from tocsin.storage.columns import BigId, Instant, Json

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "patterns",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False, unique=True),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("first_seen_at", Instant(), nullable=False),
        sa.Column("last_seen_at", Instant(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("example_id", sa.BigInteger(), nullable=True),
        sa.Column("example", sa.Text(), nullable=False),
        sa.Column("services", Json, nullable=False),
        sa.Column("merged_into", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_patterns_merged_into", "patterns", ["merged_into"], unique=False)
    op.create_table(
        "pattern_counts",
        sa.Column("hour", Instant(), nullable=False),
        sa.Column("pattern_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "pattern_id", "service"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_pattern_counts_pattern_id", "pattern_counts", ["pattern_id"], unique=False)
    op.create_table(
        "pattern_changes",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("pattern_id", sa.BigInteger(), nullable=False),
        sa.Column("into_id", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("undone_at", Instant(), nullable=True),
        sa.Column("undone_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_pattern_changes_pattern_id", "pattern_changes", ["pattern_id"], unique=False)
    op.create_index("ix_pattern_changes_into_id", "pattern_changes", ["into_id"], unique=False)
    op.create_index("ix_pattern_changes_kind", "pattern_changes", ["kind"], unique=False)
    state = op.create_table(
        "miner_state",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("dump", sa.LargeBinary(), nullable=False),
        sa.Column("saved_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.bulk_insert(state, [{"name": "patterns", "version": 0, "token": "", "dump": b"", "saved_at": None}])
