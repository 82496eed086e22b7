"""What the server answered: its JSON unchanged, or in words: one line, or a page of a list."""

from collections.abc import Iterable, Sequence

import typer
from rich.text import Text

from tocsin.cli.output import more_follows, print_json, print_table, printable
from tocsin.cli.remote import Answer


def tell(answer: Answer, line: str, *, as_json: bool) -> None:
    """Say in one line what was done."""
    if as_json:
        print_json(answer.text)
    else:
        typer.echo(printable(line))


def print_page(
    page: Answer,
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    *,
    flexible: Sequence[str],
    empty: str,
    as_json: bool,
) -> None:
    """A page as a table and how to get the next one, if there is one; `empty` says what to do where nothing is."""
    if as_json:
        print_json(page.text)
    elif not page.data["items"]:
        typer.echo(empty)
    else:
        print_table(columns, rows, flexible=flexible)
        more_follows(page.data)
