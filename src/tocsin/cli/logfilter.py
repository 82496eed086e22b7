"""The options that say which records, shared by all commands that look at logs."""

from typing import Annotated, Any

import typer

QueryArgument = Annotated[
    str | None,
    typer.Argument(metavar="[QUERY]", help="In the filter language; quote it for the shell.", show_default=False),
]
LevelOption = Annotated[str | None, typer.Option("--level", "-l", help="The least level, such as WARNING.")]
ServiceOption = Annotated[str | None, typer.Option("--service", "-s", help="Only this service.")]
SinceOption = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="How long ago (15m, 2h, 7d) or RFC 3339; included.")
]
UntilOption = Annotated[str | None, typer.Option("--until", metavar="TIME", help="As --since; excluded.")]
TextOption = Annotated[str | None, typer.Option("--text", "-t", help="Found anywhere in the message, any case.")]


def filters_of(
    query: str | None, level: str | None, service: str | None, since: str | None, until: str | None, text: str | None
) -> dict[str, str | None]:
    """The API's parameters of these options."""
    return {"q": query, "level": level, "service": service, "since": since, "until": until, "text": text}


def tell_if_partial(data: Any) -> None:
    """Say when an answer is not all there is."""
    scanned = data["scanned"]
    if data["partial"]:
        typer.echo(
            f"The search ran out of time after {scanned['records']:,} records; narrow it by --since or a service.",
            err=True,
        )
    if count := scanned["damaged"]:
        segments = "1 damaged segment" if count == 1 else f"{count:,} damaged segments"
        typer.echo(f"{segments} could not be searched (see: tocsin logs stats).", err=True)
