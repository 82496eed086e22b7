"""Which revision a database is at, and how it gets to the one this program needs."""

from pathlib import Path
from typing import Final

from sqlalchemy import Engine, inspect, select, text

from tocsin.kit.errors import StartRefused
from tocsin.storage.database import Database
from tocsin.storage.model import counters

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def known_revisions() -> list[str]:
    """The revisions this program knows, oldest first; a migration file's name starts with its revision."""
    return sorted(path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def revision_of(engine: Engine) -> str | None:
    """The revision a database is at; None for an empty one."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return found


def ensure(database: Database, *, migrate: bool) -> bool:
    """Check the schema; bring it up to date when `migrate`. Returns whether it was changed.

    Raises StartRefused for a database that a newer program has migrated, or an old one when `migrate` is False.
    """
    revisions = known_revisions()
    current = revision_of(database.dialect.writers)
    if current == revisions[-1]:
        return False
    if current is not None and current not in revisions:
        raise StartRefused(
            detail=f"The database is at revision {current}, which is newer than this program's {revisions[-1]}: "
            "run the program version that migrated it, or restore a backup made before."
        )
    if not migrate:
        state = "empty" if current is None else f"at revision {current}"
        raise StartRefused(detail=f"The database is {state}, this program needs {revisions[-1]}: run `tocsin migrate`.")
    upgrade(database.dialect.writers)
    return True


def installation(database: Database) -> str:
    """A name that tells this database from every other one, also from an earlier one at the same address."""
    same = counters.c.name == "installation"
    value = database.read(lambda tx: int(tx.execute(select(counters.c.value).where(same)).scalar_one()))
    return f"{value:014x}"


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Run all migrations that are missing, up to a revision, in one transaction; two at once wait for each other."""
    from alembic import command  # noqa: PLC0415  # 0.3 s that a start without migrations should not pay
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(8022016)"))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
