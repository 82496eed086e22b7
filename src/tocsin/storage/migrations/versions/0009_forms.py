"""Matched records grouped by the miner: the forms of their messages, and what rules about new patterns have met."""

import sqlalchemy as sa
from alembic import op

from tocsin.storage.columns import Instant

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "forms",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("pattern_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("service", "number"),
    )
    op.create_index("ix_forms_pattern_id", "forms", ["pattern_id"])
    op.create_table(
        "form_counts",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("forms", sa.Integer(), nullable=False),
        sa.Column("chain", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("service"),
    )
    op.create_table(
        "known_forms",
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("alerted", sa.Boolean(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("rule", "service", "number"),
    )
    op.create_table(
        "learning",
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("rule", "service"),
    )
    with op.batch_alter_table("alerts") as table:
        table.add_column(sa.Column("pattern_id", sa.BigInteger(), nullable=True))
