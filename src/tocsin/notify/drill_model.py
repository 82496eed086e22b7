"""The table of drills: each time that one was run, how far it came, and when."""

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, text

from tocsin.storage.columns import BigId, Instant, Json, metadata

drill_runs = Table(
    "drill_runs",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("name", Text),  # of the schedule that asked for it; by hand without
    Column("service", Text, nullable=False),
    Column("within_s", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("began_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("ticket_id", BigInteger),
    Column("steps", Json, nullable=False),  # by name, when it was reached
    Column("via", Text),  # the channel that answered
    Column("ended_at", Instant),
    Index("ix_drill_runs_running", "service", sqlite_where=text("ended_at IS NULL"),
          postgresql_where=text("ended_at IS NULL")),
)  # fmt: skip
