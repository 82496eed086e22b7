"""Tickets are found by the words in them and in their comments; views: queries that are kept under a name."""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from tocsin.query.terms import terms_of, time_terms  # what it gives is what stands in these tables
from tocsin.storage.columns import Instant

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

SLICE = 1_000
DAY_US = 86_400_000_000


def upgrade() -> None:
    for table in ("ticket_terms", "comment_terms"):
        if op.get_bind().dialect.name == "sqlite":
            # Our own terms, with blanks between them: each is one token for FTS5, which has nothing else to say of it.
            op.execute(
                f"CREATE VIRTUAL TABLE {table} USING fts5"
                "(terms, content='', detail=none, columnsize=0, tokenize=\"ascii tokenchars '_='\")"
            )
        else:
            op.create_table(
                table,
                sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
                sa.Column("terms", TSVECTOR(), nullable=False),
                sa.PrimaryKeyConstraint("id"),
            )
            # What is new waits in a list that every search reads: a short one.
            op.execute(
                f"CREATE INDEX ix_{table}_terms ON {table} USING gin (terms) WITH (gin_pending_list_limit = 256)"
            )
    _fill("ticket_terms", "tickets", ("title", "description"), ("opened_by", "source", "external_id"))
    of_ticket = "(SELECT c.id, c.text, t.opened_at FROM ticket_comments c JOIN tickets t ON t.id = c.ticket_id) AS said"
    _fill("comment_terms", of_ticket, ("text",), ())
    deadlines = ["sla_due_at", "sla_at_risk_at"]
    for name, columns, condition in (
        ("resolution_code_opened_at_id", ["resolution_code", "opened_at", "id"], "resolution_code IS NOT NULL"),
        ("running_opened_at", ["opened_at", "id", *deadlines], "sla_due_at IS NOT NULL"),
        ("running_priority", ["priority", "id", *deadlines], "sla_due_at IS NOT NULL"),
    ):
        there = sa.text(condition)
        op.create_index(
            f"ix_tickets_{name}", "tickets", columns, unique=False, sqlite_where=there, postgresql_where=there
        )
    op.create_table(
        "views",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("q", sa.Text(), nullable=False),
        sa.Column("sort", sa.Text(), nullable=False),
        sa.Column("descending", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    counters = sa.table("counters", sa.column("name", sa.Text()), sa.column("value", sa.BigInteger()))
    op.bulk_insert(counters, [{"name": "views", "value": 0}])


def _fill(table: str, of: str, texts: tuple[str, ...], values: tuple[str, ...]) -> None:
    connection, after = op.get_bind(), 0
    names = ", ".join(("id", "opened_at", *texts, *values))
    look = sa.text(f"SELECT {names} FROM {of} WHERE id > :after ORDER BY id LIMIT :most")  # noqa: S608
    while rows := connection.execute(look, {"after": after, "most": SLICE}).all():
        terms = ((row.id, _terms(row._mapping, texts, values)) for row in rows)
        _insert(connection, table, terms)
        after = rows[-1].id


def _terms(row: Mapping[Any, Any], texts: tuple[str, ...], values: tuple[str, ...]) -> set[str]:
    words = terms_of(*(row[name] for name in texts), **{name: row[name] for name in values})
    return words | time_terms(row["opened_at"] // DAY_US)


def _insert(connection: sa.Connection, table: str, terms: Iterable[tuple[int, set[str]]]) -> None:
    if connection.dialect.name == "sqlite":
        statement = f"INSERT INTO {table} (rowid, terms) VALUES (:id, :terms)"  # noqa: S608
    else:
        made = "array_to_tsvector(string_to_array(:terms, ' '))"
        statement = f"INSERT INTO {table} (id, terms) VALUES (:id, {made})"  # noqa: S608
    values = [{"id": row_id, "terms": " ".join(sorted(found))} for row_id, found in terms]
    connection.execute(sa.text(statement), values)
