"""Tables of stage 3: tickets, and the open correlation keys that make one thing one ticket."""

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, text

from tocsin.storage.columns import BigId, Instant, metadata

tickets = Table(
    "tickets",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("status", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("service", Text),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("assignee", Text),
    Column("opened_by", Text, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    # The acknowledge clock starts when the ticket opens, and again when an alert reopens it.
    Column("acknowledge_from", Instant, nullable=False),
    Column("acknowledged_at", Instant),
    Column("resolved_at", Instant),
    Column("closed_at", Instant),
    Column("reopen_count", Integer, nullable=False),
    Column("late_s", Integer),
    Column("recurrence_of", BigInteger),
    Column("released_from", BigInteger),  # the ticket of the storm that its alert was gathered in
    Column("version", BigInteger, nullable=False),
    Index("ix_tickets_opened_at_id", "opened_at", "id"),
    Index("ix_tickets_updated_at_id", "updated_at", "id"),
    Index("ix_tickets_priority_id", "priority", "id"),
    Index("ix_tickets_status_opened_at_id", "status", "opened_at", "id"),
    Index("ix_tickets_status_priority_id", "status", "priority", "id"),
    Index("ix_tickets_service_opened_at_id", "service", "opened_at", "id"),
    Index("ix_tickets_assignee_opened_at_id", "assignee", "opened_at", "id"),
    Index("ix_tickets_assignee_updated_at_id", "assignee", "updated_at", "id"),
)

open_keys = Table(
    "open_keys",
    metadata,
    Column("key", Text, primary_key=True),
    Column("ticket_id", BigInteger, nullable=False),
    Index("ix_open_keys_ticket_id", "ticket_id"),
)

# A storm gathers the alerts of its scope (`all`, or `service:NAME`) in one ticket until it is over.
storms = Table(
    "storms",
    metadata,
    Column("ticket_id", BigInteger, primary_key=True, autoincrement=False),
    Column("scope", Text, nullable=False),
    Column("began_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Index(
        "uq_storms_open_scope",
        "scope",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)
