"""Tables of what is kept when logs are let go of: the books of hours."""

from sqlalchemy import BigInteger, Boolean, Column, Table

from tocsin.storage.columns import Instant, Json, metadata

# The commits of an hour, by arrival, whose positions are before the counter `sealed_to`: an hour is sealed in parts,
# and `closed` when it is over. `expired` records are missing because they were let go of unsealed.
sealed_hours = Table(
    "sealed_hours",
    metadata,
    Column("hour", Instant, primary_key=True, autoincrement=False),
    Column("commits", BigInteger, nullable=False),
    Column("accepted", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("stored", BigInteger, nullable=False),
    Column("waiting", BigInteger, nullable=False),
    Column("expired", BigInteger, nullable=False),
    Column("sources", Json, nullable=False),
    Column("rules", Json, nullable=False),
    Column("gaps_found", BigInteger, nullable=False),
    Column("gaps", Json, nullable=False),
    Column("sealed_at", Instant, nullable=False),
    Column("closed", Boolean, nullable=False),
)
