"""More kinds of rules: how long windows have held enough, absences, and open alerts found by their rule."""

import sqlalchemy as sa
from alembic import op

from tocsin.storage.columns import Instant

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("windows", sa.Column("since_us", sa.BigInteger(), nullable=True))
    op.add_column("windows", sa.Column("latest_us", sa.BigInteger(), nullable=True))
    op.create_table(
        "absences",
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("correlation_key", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.Column("record_id", sa.BigInteger(), nullable=True),
        sa.Column("record_at", Instant(), nullable=True),
        sa.Column("absent", sa.Boolean(), nullable=False),
        sa.Column("back_since", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("rule", "fingerprint"),
    )
    op.create_index("ix_absences_rule_seen_at", "absences", ["rule", "seen_at"], unique=False)
    op.create_index(
        "ix_alerts_open_rule",
        "alerts",
        ["rule"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    counters = sa.table("counters", sa.column("name", sa.Text()), sa.column("value", sa.BigInteger()))
    op.bulk_insert(counters, [{"name": "intake_seen_us", "value": 0}, {"name": "intake_since_us", "value": 0}])
