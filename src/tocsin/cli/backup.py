"""`tocsin backup`: a consistent copy of an embedded installation in one file."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from tocsin.cli.command import examples, make_app
from tocsin.cli.exits import WrongUsage
from tocsin.cli.setup import DataOption, settings_from
from tocsin.kit.clock import SystemClock
from tocsin.storage.backup import back_up

app = make_app()


@app.command(epilog=examples("tocsin backup monday.tar", "tocsin backup --data /var/lib/tocsin /mnt/safe/monday.tar"))
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The tar file to write, readable by you only.")],
    data: DataOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
) -> None:
    """Copy an embedded installation into one file while its server runs.

    All that was acknowledged before the command began is in it: the database, and the log segments from where
    TOCSIN_SEGMENTS_DIR says. Until it is done, room for the database twice and for the segments once is needed beside
    FILE. It may lie anywhere; `tocsin restore` makes a data folder of it again.
    """
    settings = settings_from(data_dir=data)
    if settings.database_secret and data is None:
        raise WrongUsage(
            detail=f"TOCSIN_DATABASE_URL is set: back PostgreSQL up with pg_dump, and right after it copy the folder "
            f"{settings.segments_path}; or name a folder by --data."
        )
    with progress_bar("Copying") as progress:
        manifest = back_up(
            settings.data_dir,
            file,
            now=SystemClock().now(),
            segments_dir=settings.segments_path,
            overwrite=force,
            progress=progress,
        )
    typer.echo(f"{file}: {decimal(manifest.size_bytes)} as of {manifest.created_at}.")


@contextmanager
def progress_bar(doing: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error for bytes done and bytes in all; it goes away at the end, and is not for pipes."""
    columns = (TextColumn(doing), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
