"""`tocsin tickets postmortem`: the document to look back with, drafted or written by people."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tocsin.cli.command import DEFAULT_URL, IdArgument, JsonOption, KeyFileOption, UrlOption, examples
from tocsin.cli.exits import WrongUsage
from tocsin.cli.output import print_json, printable
from tocsin.cli.remote import Answer, Server

EXAMPLES = examples(
    "tocsin tickets postmortem 7 --output postmortem-7.md",
    "tocsin tickets postmortem 7 --edit postmortem-7.md",
    "tocsin tickets postmortem 7 --drop",
)


def postmortem(
    ticket_id: IdArgument,
    edit: Annotated[
        str | None, typer.Option("--edit", "-e", metavar="FILE", help="Write this over it; - for standard input.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Save the Markdown here.")
    ] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Back to the draft; what was written stays a version.")] = False,
    version: Annotated[int | None, typer.Option("--version", min=1, help="What was written in this version.")] = None,
    seen: Annotated[
        int | None, typer.Option("--seen", min=0, help="With --edit or --drop: only if it is still at this version.")
    ] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a ticket's postmortem: what people wrote, or a draft of what is known."""
    if edit is not None and drop:
        raise WrongUsage(detail="--edit and --drop: one of the two")
    path, headers = f"/tickets/{ticket_id}/postmortem", {} if seen is None else {"if-match": f'"{seen}"'}
    with Server(url, key_file) as server:
        if edit is not None:
            answer = server.ask("PUT", path, json={"text": _read(edit)}, headers=headers)
        elif drop:
            answer = server.ask("DELETE", path, headers=headers)
        else:
            answer = server.get(path, version=version)
    if output is not None:
        Path(output).write_text(answer.data["text"], encoding="utf-8")
    if as_json:
        print_json(answer.text)
    elif edit is not None or drop or output is not None:
        _tell(answer, output)
    else:
        text = answer.data["text"]
        typer.echo(printable(text, keep_newlines=True) if sys.stdout.isatty() else text, nl=False)


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise WrongUsage(detail=f"{file} is not UTF-8: {error}") from error


def _tell(answer: Answer, output: str | None) -> None:
    said = "the draft" if answer.data["generated"] else f"version {answer.data['version']}"
    saved = "" if output is None else f", saved as {output}"
    typer.echo(f"Postmortem of ticket {answer.data['ticket_id']}: {said}{saved}")
