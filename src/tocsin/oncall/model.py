"""Tables of people, teams and schedules."""

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from tocsin.storage.columns import BigId, Instant, Json, metadata

# One that was removed stays, without its addresses: what is past names it.
users = Table(
    "users",
    metadata,
    Column("name", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("email", Text),
    Column("time_zone", Text, nullable=False),
    Column("away", Json, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", Text, nullable=False),
    Column("removed_at", Instant),
)

# Of the code that verifies one, a salted hash; whoever sends it finds it in `contact_codes`.
contact_methods = Table(
    "contact_methods",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("user", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("verified_at", Instant),
    Column("disabled_reason", Text),
    Column("code_hash", Text),
    Column("code_asked_at", Instant),
    Column("code_attempts", Integer, nullable=False),
    Index("uq_contact_methods_user_kind_address", "user", "kind", "address", unique=True),
)

# Codes on their way: deleted when they are sent, and when they expire.
contact_codes = Table(
    "contact_codes",
    metadata,
    Column("method_id", BigInteger, primary_key=True, autoincrement=False),
    Column("code", Text, nullable=False),
    Column("expires_at", Instant, nullable=False),
)

teams = Table(
    "teams",
    metadata,
    Column("name", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", Text, nullable=False),
)

team_members = Table(
    "team_members",
    metadata,
    Column("team", Text, primary_key=True),
    Column("user", Text, primary_key=True),
    Column("place", Integer, nullable=False),
    Index("ix_team_members_user", "user"),
)

# Schedules as they are in force. Of the secret in a calendar's address, a hash.
schedules = Table(
    "schedules",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", Text, nullable=False),
    Column("calendar_hash", Text),
)

# Never changed: what is past is worked out of these. One without a definition says that it was removed then.
schedule_versions = Table(
    "schedule_versions",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("definition", Json),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
)

# Overrides and temporary schedules. One that is ended early keeps what of it has passed, and `ended_at`.
schedule_overrides = Table(
    "schedule_overrides",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("schedule", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("start", Instant, nullable=False),
    Column("end", Instant, nullable=False),
    Column("data", Json, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("ended_at", Instant),
    Index("ix_schedule_overrides_schedule_end", "schedule", "end"),
)

# Gaps that were told of, and were still there when the schedule was looked at last.
schedule_gaps = Table(
    "schedule_gaps",
    metadata,
    Column("schedule", Text, primary_key=True),
    Column("start", Instant, primary_key=True, autoincrement=False),
    Column("end", Instant, nullable=False),
)
