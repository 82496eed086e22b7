"""Logs at speed: the catalogue of segments, chunks that were compacted, objects to remove, leases."""

import sqlalchemy as sa
from alembic import op

from tocsin.storage.columns import BigId, Instant, Json

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "consumed",
        sa.Column("first_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("consumed_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("first_id"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("until", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "retired_objects",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("retired_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "segment_tokens",
        sa.Column("segment_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("filter", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("segment_id"),
    )
    op.create_table(
        "segments",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False, unique=True),
        sa.Column("first_id", sa.BigInteger(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("raw_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("min_at", Instant(), nullable=False),
        sa.Column("max_at", Instant(), nullable=False),
        sa.Column("severities", sa.Integer(), nullable=False),
        sa.Column("services", Json, nullable=False),
        sa.Column("layout", Json, nullable=False),
        sa.Column("raw_rows", sa.Integer(), nullable=False),
        sa.Column("stray", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("damaged_at", Instant(), nullable=True),
        sa.Column("damage", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_segments_max_at_id", "segments", ["max_at", "id"], unique=False)
    op.create_index("ix_segments_min_at_id", "segments", ["min_at", "id"], unique=False)
    op.create_index("ix_segments_first_id", "segments", ["first_id"], unique=False)
    # Pruning is the segments' business now; the hot chunks are few.
    op.drop_index("ix_chunks_max_at_first_id", "chunks")
    op.drop_column("chunks", "levels")
    op.drop_column("chunks", "services")
