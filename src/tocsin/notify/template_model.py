"""The table of the templates that people wrote."""

from sqlalchemy import Column, Integer, Table, Text

from tocsin.storage.columns import Instant, Json, metadata

templates = Table(
    "templates",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("title", Text),
    Column("text", Text),
    Column("html", Text),
    Column("payload", Json),
    Column("description", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", Text, nullable=False),
)
