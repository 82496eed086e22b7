"""Tables of what matched messages have in common: their forms by service, and which patterns rules have met."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, Text

from tocsin.storage.columns import Instant, metadata

# Rows are only added. A form's pattern follows the miner; people's merges and splits lead on from there.
forms = Table(
    "forms",
    metadata,
    Column("service", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("template", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("pattern_id", BigInteger, nullable=False),
    Index("ix_forms_pattern_id", "pattern_id"),
)

# How many forms a service has, and the digest of them all. Whoever adds one holds this row.
form_counts = Table(
    "form_counts",
    metadata,
    Column("service", Text, primary_key=True),
    Column("forms", Integer, nullable=False),
    Column("chain", Text, nullable=False),
)

# What rules about new patterns have met, by a form of the pattern (0: what is beyond the bound). `alerted`: its alert
# may still be open; otherwise nothing of this pattern opens an alert any more, nor is counted on one.
known_forms = Table(
    "known_forms",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("service", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("alerted", Boolean, nullable=False),
    Column("at", Instant, nullable=False),
)

# When a rule about new patterns met the first record of a service.
learning = Table(
    "learning",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("service", Text, primary_key=True),
    Column("since", Instant, nullable=False),
)
