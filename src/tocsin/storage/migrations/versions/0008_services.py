"""Declared services, what depends on what; open alerts are found by their service in any spelling."""

import sqlalchemy as sa
from alembic import op

from tocsin.query.letters import fold
from tocsin.storage.columns import Instant

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "declared_services",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("tier", sa.Integer(), nullable=True),
        sa.Column("runbook_url", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "service_dependencies",
        sa.Column("service_key", sa.Text(), nullable=False),
        sa.Column("upstream_key", sa.Text(), nullable=False),
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("service_key", "upstream_key"),
    )
    op.create_index("ix_service_dependencies_upstream_key", "service_dependencies", ["upstream_key"], unique=False)
    op.add_column("alerts", sa.Column("service_key", sa.Text(), nullable=True))
    _key_open_alerts()
    op.create_index(
        "ix_alerts_open_service_key",
        "alerts",
        ["service_key"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    counters = sa.table("counters", sa.column("name", sa.Text()), sa.column("value", sa.BigInteger()))
    op.bulk_insert(counters, [{"name": "declarations", "value": 0}])


def _key_open_alerts() -> None:
    alerts = sa.table(
        "alerts",
        sa.column("service", sa.Text()),
        sa.column("service_key", sa.Text()),
        sa.column("ended_at", sa.BigInteger()),
    )
    connection = op.get_bind()
    open_ones = alerts.c.ended_at.is_(None)
    for service in connection.execute(sa.select(alerts.c.service).where(open_ones).distinct()).scalars().all():
        same = open_ones & (alerts.c.service == service)
        connection.execute(sa.update(alerts).where(same).values(service_key=fold(service)))
