"""Silences that came from an applied file have a name there; files are applied one after the other."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("silences", sa.Column("applied_as", sa.Text(), nullable=True))
    op.create_index("ix_silences_applied_as", "silences", ["applied_as"], unique=False)
    counters = sa.table("counters", sa.column("name", sa.Text()), sa.column("value", sa.BigInteger()))
    op.bulk_insert(counters, [{"name": "applied_files", "value": 0}])
