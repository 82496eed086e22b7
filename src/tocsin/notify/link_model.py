"""Tables of links that act: the keys that sign them, and those that were used."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table, Text

from tocsin.storage.columns import BigId, Instant, metadata

# The newest signs, all are known: a new row lets nobody's link end early.
link_keys = Table(
    "link_keys",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("key", LargeBinary, nullable=False),
)

used_links = Table(
    "used_links",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("ticket_id", BigInteger, nullable=False),
    Column("verb", Text, nullable=False),
    Column("used_by", Text, nullable=False),
    Column("used_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Index("ix_used_links_expires_at", "expires_at"),
)
