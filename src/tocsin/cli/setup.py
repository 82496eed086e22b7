"""From options and environment to settings, and faults of the surroundings as one line each."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from sqlalchemy.exc import ArgumentError, DBAPIError

from tocsin.cli.exits import WrongUsage
from tocsin.kit.errors import StartRefused
from tocsin.settings import Settings, read_settings

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Folder of the embedded installation.",
        show_default="TOCSIN_DATA_DIR, else ./tocsin-data",
    ),
]


def settings_from(**options: Any) -> Settings:
    """Settings from the environment, options that are not None on top. Raises WrongUsage without showing any value."""
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return read_settings(**given)
    except ValidationError as error:
        raise WrongUsage(detail="; ".join(_told(item) for item in error.errors(include_input=False))) from error


def _told(item: Any) -> str:
    text = str(item["msg"]).removeprefix("Value error, ")
    names = "_".join(str(part) for part in item["loc"])
    return f"TOCSIN_{names.upper()}: {text}" if names else text


@contextmanager
def database_reached() -> Iterator[None]:
    """Tell a database that can't be reached or opened in one line. Raises StartRefused."""
    try:
        yield
    except ArgumentError as error:
        raise StartRefused(detail="TOCSIN_DATABASE_URL is not a URL such as postgresql://user@host/name.") from error
    except DBAPIError as error:
        told = str(error.orig).strip().splitlines()
        raise StartRefused(detail=f"The database can't be used: {told[0] if told else type(error).__name__}") from error
