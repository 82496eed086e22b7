"""What keeps alerts from people: suppression on alerts and verdicts, storms and the tickets released from them."""

import sqlalchemy as sa
from alembic import op

from tocsin.storage.columns import Instant

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("alerts", sa.Column("suppressed_by", sa.Text(), nullable=True))
    op.create_index("ix_alerts_fingerprint_opened_at", "alerts", ["fingerprint", "opened_at"], unique=False)
    op.create_index(
        "ix_alerts_suppressed_by",
        "alerts",
        ["suppressed_by"],
        unique=False,
        sqlite_where=sa.text("suppressed_by IS NOT NULL"),
        postgresql_where=sa.text("suppressed_by IS NOT NULL"),
    )
    op.add_column("verdicts", sa.Column("suppressed_by", sa.Text(), nullable=True))
    op.add_column("tickets", sa.Column("released_from", sa.BigInteger(), nullable=True))
    op.create_table(
        "storms",
        sa.Column("ticket_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("began_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("ticket_id"),
    )
    op.create_index(
        "uq_storms_open_scope",
        "storms",
        ["scope"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    counters = sa.table("counters", sa.column("name", sa.Text()), sa.column("value", sa.BigInteger()))
    op.bulk_insert(counters, [{"name": "storms", "value": 0}])
