"""Rules as data: rules and their versions, windows, more on verdicts, records that are parked for one rule."""

import time

import sqlalchemy as sa
from alembic import op

from tocsin.kit.clock import from_us
from tocsin.storage.columns import Instant, Json

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# As it stood in the program until then. It is a rule like any other from here on, so no later migration touches it.
_SEED = {
    "condition": "level:CRITICAL",
    "kind": "match",
    "enabled": True,
    "dry_run": False,
    "priority": "P2",
    "description": "",
    "runbook_url": None,
    "labels": {},
    "service": None,
    "group_by": ["service", "template"],
    "correlate_by": [],
    "reopen_window_s": 1800,
    "auto_resolve_after_s": None,
    "threshold": None,
    "window_s": None,
    "ratio": None,
    "of": "*",
    "minimum": None,
}


def upgrade() -> None:
    rules = op.create_table(
        "rules",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.Column("broken_reason", sa.Text(), nullable=True),
        sa.Column("broken_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    versions = op.create_table(
        "rule_versions",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("definition", Json, nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("ruleset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "version"),
    )
    op.create_table(
        "windows",
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("width_us", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.BigInteger(), nullable=True),
        sa.Column("floor", sa.BigInteger(), nullable=True),
        sa.Column("counts", Json, nullable=False),
        sa.Column("totals", Json, nullable=False),
        sa.Column("fired", sa.Boolean(), nullable=False),
        sa.Column("full_at", Instant(), nullable=True),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("rule", "fingerprint"),
    )
    op.add_column("parked", sa.Column("rule", sa.Text(), nullable=True))
    op.add_column("verdicts", sa.Column("late", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("verdicts", sa.Column("would", sa.Text(), nullable=True))
    op.create_index(
        "ix_verdicts_would_open",
        "verdicts",
        ["rule", "fingerprint"],
        unique=False,
        sqlite_where=sa.text("would = 'opened'"),
        postgresql_where=sa.text("would = 'opened'"),
    )
    now = from_us(time.time_ns() // 1000)
    name = "critical-logs"
    op.bulk_insert(
        rules,
        [{"name": name, "version": 1, "enabled": True, "created_at": now, "updated_at": now, "updated_by": "system"}],
    )
    version = {"name": name, "version": 1, "definition": _SEED, "at": now, "actor": "system", "ruleset": 1}
    op.bulk_insert(versions, [version])
    counters = sa.table("counters", sa.column("name", sa.Text()), sa.column("value", sa.BigInteger()))
    op.bulk_insert(counters, [{"name": "ruleset", "value": 1}])
