"""What all commands are made of: the Typer application each module has, and the options they share."""

from typing import Annotated, Any, Final

import typer

DEFAULT_URL: Final = "http://127.0.0.1:8000"


def make_app(**settings: Any) -> typer.Typer:
    """A Typer application with what all our commands share."""
    return typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
        **settings,
    )


def examples(*lines: str) -> str:
    """An epilog that shows how a command is called."""
    return "\n\n".join(("Examples:" if len(lines) > 1 else "Example:", *(f"`{line}`" for line in lines)))


UrlOption = Annotated[
    str, typer.Option("--url", envvar="TOCSIN_URL", metavar="URL", help="Where the server is.", show_envvar=True)
]
KeyFileOption = Annotated[
    str | None,
    typer.Option(
        "--key-file",
        envvar="TOCSIN_KEY_FILE",
        metavar="FILE",
        help="File with the key to send; without it TOCSIN_KEY is taken.",
        show_envvar=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the API's JSON, unchanged, as one document.")]
UtcOption = Annotated[bool, typer.Option("--utc", help="Show times in UTC instead of this machine's zone.")]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many at most.")]
CursorOption = Annotated[
    str | None, typer.Option("--cursor", metavar="CURSOR", help="Go on where the last page ended.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Also while others name it: they go on without it.")]
FileOption = Annotated[
    str | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help="All of it as JSON, or as YAML in a file named .yaml; - for standard input.",
    ),
]
IdsArgument = Annotated[list[int], typer.Argument(metavar="ID...", min=1, help="One or several ids.")]
IdArgument = Annotated[int, typer.Argument(metavar="ID", min=1)]
