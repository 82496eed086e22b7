"""Tables of stage 3: tickets and what people say of them, open keys, storms, SLA policies, views, changes."""

from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table, Text, text

from tocsin.storage.columns import BigId, Instant, Json, metadata


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


# What reports count.
REPORTED: Final = (
    "opened_at", "priority", "service", "team", "assignee", "opened_by", "status", "acknowledge_from",
    "acknowledged_at", "resolved_at", "reopen_count", "reassignment_count", "met_at_source", "sla_state", "sla_due_at",
    "acknowledge_due_at", "resolve_due_at", "sla_calendar", "recurrence_of",
)  # fmt: skip

DEADLINES: Final = ("sla_due_at", "sla_at_risk_at")

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
    # On hold: its clocks stand still, until a time or until it is resumed.
    Column("held_since", Instant),
    Column("held_until", Instant),
    Column("hold_reason", Text),
    # What its events say of its clocks (`sla.Facts`), if a policy is about it; the state of the one that calls the
    # loudest when that was written, and when the first that runs is due and at risk: the state now follows from these.
    Column("sla", Json),
    Column("sla_state", Text),
    Column("sla_due_at", Instant),
    Column("sla_at_risk_at", Instant),
    Column("team", Text),
    Column("tags", Json),  # in order; `ticket_tags` is where they are looked for
    Column("impact", Integer),
    Column("urgency", Integer),
    Column("resolution_code", Text),
    Column("resolution_note", Text),
    # One that comes from elsewhere has a name there, and may say how its SLA ended there (1: in time, 0: not).
    Column("source", Text),
    Column("external_id", Text),
    Column("reassignment_count", Integer, nullable=False, default=0, server_default="0"),
    Column("met_at_source", Integer),
    Column("merged_into", BigInteger),
    Column("split_from", BigInteger),  # the ticket that its alerts were in before
    # When each clock is due, or was: null without it, where it was cancelled, and during a hold without an end. The
    # calendar that they run by is `NAME@VERSION`, empty for around the clock, null without a policy.
    Column("acknowledge_due_at", Instant),
    Column("resolve_due_at", Instant),
    Column("sla_calendar", Text),
    Index("ix_tickets_team_opened_at_id", "team", "opened_at", "id"),
    Index("uq_tickets_source_external_id", "source", "external_id", unique=True, **_where("external_id IS NOT NULL")),
    # Reports read it alone, never the rows.
    Index("ix_tickets_reports", *REPORTED),
    Index("ix_tickets_sla_state_opened_at_id", "sla_state", "opened_at", "id"),
    Index("ix_tickets_sla_due_at", "sla_due_at", **_where("sla_due_at IS NOT NULL")),
    # Those whose clocks run are few, and the order they are listed in is not that of their deadlines.
    Index("ix_tickets_running_opened_at", "opened_at", "id", *DEADLINES, **_where("sla_due_at IS NOT NULL")),
    Index("ix_tickets_running_priority", "priority", "id", *DEADLINES, **_where("sla_due_at IS NOT NULL")),
    Index("ix_tickets_sla_at_risk_at", "sla_at_risk_at", **_where("sla_at_risk_at IS NOT NULL")),
    Index("ix_tickets_opened_at_id", "opened_at", "id"),
    Index("ix_tickets_updated_at_id", "updated_at", "id"),
    Index("ix_tickets_priority_id", "priority", "id"),
    Index("ix_tickets_status_opened_at_id", "status", "opened_at", "id"),
    Index("ix_tickets_status_priority_id", "status", "priority", "id"),
    Index("ix_tickets_service_opened_at_id", "service", "opened_at", "id"),
    Index("ix_tickets_assignee_opened_at_id", "assignee", "opened_at", "id"),
    Index("ix_tickets_assignee_updated_at_id", "assignee", "updated_at", "id"),
    Index(
        "ix_tickets_resolution_code_opened_at_id",
        "resolution_code",
        "opened_at",
        "id",
        **_where("resolution_code IS NOT NULL"),
    ),
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

# SLA policies and calendars as they are in force, by kind and name.
sla_items = Table(
    "sla_items",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", Text, nullable=False),
)

# Never changed: tickets run by these. One without a definition says that it was removed then.
sla_versions = Table(
    "sla_versions",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("definition", Json),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
)

ticket_tags = Table(
    "ticket_tags",
    metadata,
    Column("ticket_id", BigInteger, primary_key=True, autoincrement=False),
    Column("tag", Text, primary_key=True),
    Index("ix_ticket_tags_tag_ticket_id", "tag", "ticket_id"),
)

# One that was deleted keeps its place, not its text.
ticket_comments = Table(
    "ticket_comments",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("ticket_id", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("edited_at", Instant),
    Column("deleted_at", Instant),
    Column("version", Integer, nullable=False),
    Index("ix_ticket_comments_ticket_id_id", "ticket_id", "id"),
)

# Each link is there twice: as it is seen from either ticket.
ticket_links = Table(
    "ticket_links",
    metadata,
    Column("ticket_id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("other_id", BigInteger, primary_key=True, autoincrement=False),
    Column("linked_at", Instant, nullable=False),
    Column("linked_by", Text, nullable=False),
)

# Queries for tickets that are kept under a name, each its owner's or shared by all.
views = Table(
    "views",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("q", Text, nullable=False),
    Column("sort", Text, nullable=False),
    Column("descending", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", Text, nullable=False),
)

# What somebody changed in a service, and when: a deploy, a switch, a migration.
changes = Table(
    "changes",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("service", Text, nullable=False),
    Column("service_key", Text, nullable=False),  # the same for all spellings
    Column("at", Instant, nullable=False),
    Column("summary", Text, nullable=False),
    Column("ref", Text),
    Column("url", Text),
    Column("author", Text),
    Column("attributes", Json, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("recorded_by", Text, nullable=False),
    Index("ix_changes_at_id", "at", "id"),
    Index("ix_changes_service_key_at_id", "service_key", "at", "id"),
)

# Never changed. One without a text says that the draft holds again from then on.
ticket_postmortems = Table(
    "ticket_postmortems",
    metadata,
    Column("ticket_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("text", Text),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
)

# What reports count of CLOSED tickets, packed: a column of some thousand of them in a row (`report_blocks`).
ticket_blocks = Table(
    "ticket_blocks",
    metadata,
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Column("opened_from", Instant, nullable=False),
    Column("opened_until", Instant, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
