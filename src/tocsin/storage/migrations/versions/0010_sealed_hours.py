"""Hours are sealed before their logs may go: their books, which commits a segment's records are of, events by kind."""

import sqlalchemy as sa
from alembic import op

from tocsin.storage.columns import Instant, Json

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_events_kind_at_position", "events", ["kind", "at", "position"], unique=False)
    op.create_index("ix_events_kind_position", "events", ["kind", "position"], unique=False)
    op.create_table(
        "sealed_hours",
        sa.Column("hour", Instant(), autoincrement=False, nullable=False),
        sa.Column("commits", sa.BigInteger(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("stored", sa.BigInteger(), nullable=False),
        sa.Column("waiting", sa.BigInteger(), nullable=False),
        sa.Column("expired", sa.BigInteger(), nullable=False),
        sa.Column("sources", Json, nullable=False),
        sa.Column("rules", Json, nullable=False),
        sa.Column("gaps_found", sa.BigInteger(), nullable=False),
        sa.Column("gaps", Json, nullable=False),
        sa.Column("sealed_at", Instant(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("hour"),
    )
    counters = sa.table("counters", sa.column("name", sa.Text()), sa.column("value", sa.BigInteger()))
    op.bulk_insert(counters, [{"name": "sealed_to", "value": 0}])
    # With a default the table need not be made anew, which would forget that no id of it may come back.
    op.add_column("segments", sa.Column("position", sa.BigInteger(), nullable=False, server_default="0"))
    # A segment was made of what was committed before it. Servers' clocks differ by a minute at most.
    op.execute(
        "UPDATE segments SET position = 1 + coalesce((SELECT events.position FROM events"
        " WHERE events.kind = 'LogsStored' AND events.at <= segments.created_at + 60000000"
        " ORDER BY events.at DESC, events.id DESC LIMIT 1), 0)"
    )
