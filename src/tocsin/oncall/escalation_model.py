"""Tables of escalation: what people say (policies, and routes, rules and drills too), runs, their steps."""

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, text

from tocsin.storage.columns import BigId, Instant, Json, metadata

# Escalation policies, routes, notification rules and drills as they are in force, by kind and name. `place` orders
# those that are tried one after the other.
oncall_items = Table(
    "oncall_items",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("place", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", Text, nullable=False),
)

# Never changed: runs go by these. One without a definition says that it was removed then.
oncall_versions = Table(
    "oncall_versions",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("definition", Json),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
)

escalation_runs = Table(
    "escalation_runs",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("ticket_id", BigInteger, nullable=False),
    Column("policy", Text, nullable=False),
    Column("policy_version", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("last_round", Integer, nullable=False),
    Column("next_at", Instant),
    Column("paused", Json, nullable=False),
    Column("left_ms", BigInteger),  # what was left of the time to the next step when it was paused
    Column("route", Text),
    Column("message", Text, nullable=False),
    Column("began_at", Instant, nullable=False),
    Column("ended_at", Instant),
    # One run of a policy at a time calls for a ticket.
    Index(
        "uq_escalation_runs_live",
        "ticket_id",
        "policy",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index("ix_escalation_runs_ticket_id_id", "ticket_id", "id"),
)

# Each step of each round is here once: it can't be taken twice.
escalation_steps = Table(
    "escalation_steps",
    metadata,
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
)

# Whose turn it is next where a step calls its targets one after the other.
escalation_turns = Table(
    "escalation_turns",
    metadata,
    Column("policy", Text, primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("turn", Integer, nullable=False),
)
