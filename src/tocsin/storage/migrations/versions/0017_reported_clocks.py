"""When each clock of a ticket is due and by which calendar it runs stand in its row; closed tickets stand in blocks."""

import sqlalchemy as sa
from alembic import op

from tocsin.storage.columns import Instant

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_REPORTED = (
    "opened_at", "priority", "service", "team", "assignee", "opened_by", "status", "acknowledge_from",
    "acknowledged_at", "resolved_at", "reopen_count", "reassignment_count", "met_at_source", "sla_state", "sla_due_at",
    "acknowledge_due_at", "resolve_due_at", "sla_calendar", "recurrence_of",
)  # fmt: skip


def upgrade() -> None:
    for added in (
        sa.Column("acknowledge_due_at", Instant(), nullable=True),
        sa.Column("resolve_due_at", Instant(), nullable=True),
        sa.Column("sla_calendar", sa.Text(), nullable=True),
    ):
        op.add_column("tickets", added)
    op.drop_index("ix_tickets_reports", "tickets")
    op.create_index("ix_tickets_reports", "tickets", list(_REPORTED), unique=False)
    op.create_table(
        "ticket_blocks",
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("opened_from", Instant(), nullable=False),
        sa.Column("opened_until", Instant(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("block", "name"),
    )
    # The clocks of the tickets that are there are written down anew, by and by, by whoever tells of clocks.
    op.execute(
        "INSERT INTO timers (kind, subject, due_at, version, attempts)"
        " SELECT 'ticket.sla', CAST(id AS TEXT), 0, 1, 0 FROM tickets WHERE sla_state IS NOT NULL"
        " ON CONFLICT (kind, subject) DO UPDATE SET due_at = 0"
    )
