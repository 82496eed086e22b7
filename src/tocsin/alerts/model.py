"""Tables of stage 2: rules, alerts (episodes of a fingerprint), verdicts (what became of matched records), windows,
absences; declared services."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, Text, text

from tocsin.storage.columns import BigId, Instant, Json, metadata

alerts = Table(
    "alerts",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("fingerprint", Text, nullable=False),
    Column("correlation_key", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("rule_version", Integer, nullable=False),
    Column("service", Text, nullable=False),
    Column("service_key", Text),  # the same for all spellings; null on alerts that had ended before there was one
    Column("template", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("level", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("ticket_id", BigInteger),
    Column("opened_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("first_seen_at", Instant, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
    Column("first_record_id", BigInteger, nullable=False),
    Column("last_record_id", BigInteger, nullable=False),
    Column("samples", Json, nullable=False),
    Column("pattern_id", BigInteger),
    # The count is `counted` plus the verdicts at positions from `rolled_up_to` on: nothing hot is updated.
    Column("counted", BigInteger, nullable=False),
    Column("rolled_up_to", BigInteger, nullable=False),
    # What keeps an open alert from people, in the words of `suppression`.
    Column("suppressed_by", Text),
    Index(
        "uq_alerts_open_fingerprint",
        "fingerprint",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index("ix_alerts_ticket_id", "ticket_id"),
    Index("ix_alerts_fingerprint_opened_at", "fingerprint", "opened_at"),
    Index(
        "ix_alerts_suppressed_by",
        "suppressed_by",
        sqlite_where=text("suppressed_by IS NOT NULL"),
        postgresql_where=text("suppressed_by IS NOT NULL"),
    ),
    Index("ix_alerts_correlation_key_id", "correlation_key", "id"),
    Index("ix_alerts_opened_at_id", "opened_at", "id"),
    Index("ix_alerts_service_opened_at_id", "service", "opened_at", "id"),
    Index(
        "ix_alerts_open_rule", "rule", sqlite_where=text("ended_at IS NULL"), postgresql_where=text("ended_at IS NULL")
    ),
    Index(
        "ix_alerts_open_service_key",
        "service_key",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("event_id", BigInteger, nullable=False),
    Column("rule", Text, nullable=False),
    Column("rule_version", Integer, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("alert_id", BigInteger),
    Column("n", BigInteger, nullable=False),
    Column("first_id", BigInteger, nullable=False),
    Column("last_id", BigInteger, nullable=False),
    Column("first_at", Instant, nullable=False),
    Column("last_at", Instant, nullable=False),
    Column("position", BigInteger, nullable=False),
    # How many of the records were late for their window; what a rule that only rehearses would have done.
    Column("late", BigInteger, nullable=False, server_default="0"),
    Column("would", Text),
    Column("suppressed_by", Text),  # as in `alerts`
    Index("ix_verdicts_alert_id_position", "alert_id", "position"),
    Index("ix_verdicts_position", "position"),
    Index("ix_verdicts_first_id", "first_id"),
    Index(
        "ix_verdicts_suppressed_by_event_id",
        "suppressed_by",
        "event_id",
        sqlite_where=text("suppressed_by IS NOT NULL"),
        postgresql_where=text("suppressed_by IS NOT NULL"),
    ),
    Index(
        "ix_verdicts_would_open",
        "rule",
        "fingerprint",
        sqlite_where=text("would = 'opened'"),
        postgresql_where=text("would = 'opened'"),
    ),
)

rules = Table(
    "rules",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", Text, nullable=False),
    Column("broken_reason", Text),
    Column("broken_at", Instant),
)

# Never changed. `ruleset` is the state of all rules from which on this version is in force; one without a definition
# says that the rule was removed then.
rule_versions = Table(
    "rule_versions",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("definition", Json),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("ruleset", BigInteger, nullable=False),
)

# One row per rule and group: it is locked before its sum is read, or two workers would both miss the threshold.
windows = Table(
    "windows",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("width_us", BigInteger, nullable=False),
    Column("head", BigInteger),
    Column("floor", BigInteger),
    Column("counts", Json, nullable=False),
    Column("totals", Json, nullable=False),
    Column("fired", Boolean, nullable=False),
    Column("full_at", Instant),
    Column("seen_at", Instant, nullable=False),
    # Event times: from when on the window has held enough without a break, and of the newest record.
    Column("since_us", BigInteger),
    Column("latest_us", BigInteger),
)

# One row per group of an absence rule. Instants are the server's, but for that of the record.
absences = Table(
    "absences",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("correlation_key", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("level", Integer, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("record_id", BigInteger),
    Column("record_at", Instant),
    Column("absent", Boolean, nullable=False),
    Column("back_since", Instant),
    Index("ix_absences_rule_seen_at", "rule", "seen_at"),
)

declared_services = Table(
    "declared_services",
    metadata,
    Column("key", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("team", Text),
    Column("tier", Integer),
    Column("runbook_url", Text),
    Column("description", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", Text, nullable=False),
)

# What a declared service depends on need not be declared itself: `upstream` is its name as it was written.
service_dependencies = Table(
    "service_dependencies",
    metadata,
    Column("service_key", Text, primary_key=True),
    Column("upstream_key", Text, primary_key=True),
    Column("upstream", Text, nullable=False),
    Index("ix_service_dependencies_upstream_key", "upstream_key"),
)
