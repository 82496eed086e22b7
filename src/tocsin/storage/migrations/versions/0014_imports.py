"""Tickets that come from elsewhere keep their own name; what reports count stands in the ticket's row and one index."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_REPORTED = (
    "opened_at", "priority", "service", "team", "assignee", "opened_by", "status", "acknowledge_from",
    "acknowledged_at", "resolved_at", "reopen_count", "reassignment_count", "met_at_source", "sla_state", "sla_due_at",
)  # fmt: skip


def upgrade() -> None:
    for added in (
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("reassignment_count", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("met_at_source", sa.Integer(), nullable=True),
    ):
        op.add_column("tickets", added)
    there = sa.text("external_id IS NOT NULL")
    op.create_index(
        "uq_tickets_source_external_id",
        "tickets",
        ["source", "external_id"],
        unique=True,
        sqlite_where=there,
        postgresql_where=there,
    )
    op.create_index("ix_tickets_reports", "tickets", list(_REPORTED), unique=False)
    counters = sa.table("counters", sa.column("name", sa.Text()), sa.column("value", sa.BigInteger()))
    op.bulk_insert(counters, [{"name": "imports", "value": 0}])
