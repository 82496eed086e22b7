"""`tocsin ack`: answer a page from the terminal."""

import getpass
from typing import Annotated

import typer

from tocsin.cli.command import DEFAULT_URL, IdsArgument, JsonOption, KeyFileOption, UrlOption, examples, make_app
from tocsin.cli.exits import REFUSED, CommandFailed
from tocsin.cli.output import print_json, printable
from tocsin.cli.remote import Answer, Server

app = make_app()


@app.command(epilog=examples("tocsin ack 7", "tocsin ack 7 8 9 --person ana"))
def ack(
    ids: IdsArgument,
    person: Annotated[
        str | None, typer.Option("--person", "-p", help="Who answers.", show_default="your login name")
    ] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Acknowledge tickets: you have them, nobody else is called. Doing it again does no harm."""
    who = person or _login_name()
    answers: list[Answer] = []
    refused = 0
    with Server(url, key_file) as server:
        for ticket_id in ids:
            try:
                answers.append(server.post(f"/tickets/{ticket_id}/acknowledge", {"person": who, "way": "cli"}))
            except CommandFailed as error:
                if error.exit_code != REFUSED or len(ids) == 1:
                    raise
                typer.echo(f"tocsin: ticket {ticket_id}: {error}", err=True)
                refused += 1
    if as_json:
        print_json(*(answer.text for answer in answers), many=len(ids) > 1)
    else:
        for answer in answers:
            _tell(answer, who)
    if refused:
        raise typer.Exit(REFUSED)


def _tell(answer: Answer, who: str) -> None:
    ticket = answer.data
    if ticket["status"] != "IN_PROGRESS":
        stands = f"is {ticket['status']} already"
    elif ticket["assignee"] == who:
        stands = "is yours"
    else:
        stands = f"is taken already, by {printable(ticket['assignee'] or 'somebody')}"
    typer.echo(f"Ticket {ticket['id']} {stands} ({ticket['priority']}): {printable(ticket['title'])}")


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise CommandFailed(detail="Your login name is not known here; give --person.") from error
