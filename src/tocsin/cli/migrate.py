"""`tocsin migrate`: bring a database's schema to what this program needs."""

import typer

from tocsin.cli.command import examples, make_app
from tocsin.cli.setup import DataOption, database_reached, settings_from
from tocsin.kit.clock import SystemClock
from tocsin.storage import schema
from tocsin.storage.database import open_database
from tocsin.storage.folder import DataFolder

app = make_app()


@app.command(
    epilog=examples("TOCSIN_DATABASE_URL_FILE=/run/secrets/url tocsin migrate", "tocsin migrate --data /var/lib/tocsin")
)
def migrate(data: DataOption = None) -> None:
    """Bring a database's schema up to date.

    That is the shared database of TOCSIN_DATABASE_URL, which `tocsin serve` never migrates by itself; without it, or
    with --data, an embedded installation that no server is using.
    """
    settings = settings_from(data_dir=data)
    url = settings.database_secret if data is None else None
    folder = None if url else DataFolder(settings.data_dir)
    try:
        with database_reached():
            database = open_database(url, settings.data_dir, clock=SystemClock(), routes={})
            try:
                before = schema.revision_of(database.dialect.writers)
                changed = schema.ensure(database, migrate=True)
                after = schema.revision_of(database.dialect.writers)
            finally:
                database.close()
    finally:
        if folder is not None:
            folder.close()
    typer.echo(f"Migrated from {before or 'empty'} to {after}." if changed else f"Nothing to do: it is at {after}.")
