"""The same for several named things: each outcome is told, and one that is refused does not stop the others."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import typer

from tocsin.cli.exits import REFUSED, Refused
from tocsin.cli.output import print_json, printable
from tocsin.cli.remote import Answer

Thing = TypeVar("Thing", str, int)


def each(
    things: Sequence[Thing],
    ask: Callable[[Thing], Answer],
    tell: Callable[[Answer], None],
    *,
    as_json: bool,
    kind: str = "",
) -> None:
    """Ask for each thing and tell what came of it; as JSON one array of all, or the document of the only one.

    Raises typer.Exit when some of several were refused, Refused when the only one was.
    """
    answers = []
    for thing in things:
        try:
            answer = ask(thing)
        except Refused as error:
            if len(things) == 1:
                raise
            typer.echo(f"tocsin: {f'{kind} ' if kind else ''}{printable(str(thing))}: {error}", err=True)
            continue
        answers.append(answer)
        if not as_json:
            tell(answer)
    if as_json:
        print_json(*(answer.text for answer in answers), many=len(things) > 1)
    if len(answers) < len(things):
        raise typer.Exit(REFUSED)
