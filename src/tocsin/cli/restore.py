"""`tocsin restore`: a data folder from a backup."""

from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal

from tocsin.cli.backup import progress_bar
from tocsin.cli.command import examples, make_app
from tocsin.storage.restore import restore as restore_backup

app = make_app()


@app.command(epilog=examples("tocsin restore monday.tar --data /var/lib/tocsin", "tocsin serve --data /var/lib/tocsin"))
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `tocsin backup` wrote.")],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="The folder to set up; empty or new.")],
) -> None:
    """Set up a data folder from a backup, checked against its checksums; then start a server on it."""
    with progress_bar("Restoring") as progress:
        manifest = restore_backup(file, data, progress=progress)
    typer.echo(
        f"{data}: {decimal(manifest.size_bytes)} as of {manifest.created_at}. Start it: tocsin serve --data {data}"
    )
