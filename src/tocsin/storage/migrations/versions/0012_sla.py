"""SLA policies and calendars with their versions; tickets on hold, and the clocks of tickets."""

import sqlalchemy as sa
from alembic import op

from tocsin.storage.columns import Instant, Json

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for added in (
        sa.Column("held_since", Instant(), nullable=True),
        sa.Column("held_until", Instant(), nullable=True),
        sa.Column("hold_reason", sa.Text(), nullable=True),
        sa.Column("sla", Json, nullable=True),
        sa.Column("sla_state", sa.Text(), nullable=True),
        sa.Column("sla_due_at", Instant(), nullable=True),
        sa.Column("sla_at_risk_at", Instant(), nullable=True),
    ):
        op.add_column("tickets", added)
    op.create_index("ix_tickets_sla_state_opened_at_id", "tickets", ["sla_state", "opened_at", "id"], unique=False)
    for column in ("sla_due_at", "sla_at_risk_at"):
        there = sa.text(f"{column} IS NOT NULL")
        name = f"ix_tickets_{column}"
        op.create_index(name, "tickets", [column], unique=False, sqlite_where=there, postgresql_where=there)
    op.create_table(
        "sla_items",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name"),
    )
    op.create_table(
        "sla_versions",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("definition", Json, nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", "version"),
    )
    counters = sa.table("counters", sa.column("name", sa.Text()), sa.column("value", sa.BigInteger()))
    op.bulk_insert(counters, [{"name": "sla", "value": 0}])
