"""`tocsin send`: one record, and the ticket it led to."""

import sys
from typing import Annotated, Any

import typer

from tocsin.cli.command import DEFAULT_URL, JsonOption, KeyFileOption, UrlOption, examples, make_app
from tocsin.cli.exits import WrongUsage
from tocsin.cli.output import print_json, printable
from tocsin.cli.remote import Server

app = make_app()


@app.command(
    epilog=examples(
        'tocsin send "database connection lost" --level CRITICAL --service payments --attr region=eu-west-1',
        "dmesg | tail -1 | tocsin send - --service kernel",
    )
)
def send(
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="The text; - reads it from standard input.")],
    level: Annotated[
        str,
        typer.Option("--level", "-l", help="TRACE, DEBUG, INFO, WARNING, ERROR or CRITICAL; aliases are understood."),
    ] = "INFO",
    service: Annotated[str, typer.Option("--service", "-s", help="Which service says it.")] = "cli",
    attr: Annotated[
        list[str] | None, typer.Option("--attr", "-a", metavar="KEY=VALUE", help="An attribute; may be repeated.")
    ] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send one log record; prints its id and, when a rule opened or counted an alert for it, the ticket."""
    record: dict[str, object] = {"message": _text(message), "level": level, "service": service}
    if attr:
        record["attributes"] = dict(_pair(text) for text in attr)
    with Server(url, key_file) as server:
        answer = server.post("/logs", record)
        if as_json:
            print_json(answer.text)
            return
        stored = answer.data
        typer.echo(f"Stored as record {stored['id']}.")
        line = _ticket_line(server, stored)
        if line:
            typer.echo(line)


def _text(message: str) -> str:
    text = sys.stdin.read().strip() if message == "-" else message
    if not text:
        raise WrongUsage(detail="There is no message to send.")
    return text


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise WrongUsage(detail=f"--attr {text!r} is not KEY=VALUE")
    return key, value


def _ticket_line(server: Server, stored: dict[str, Any]) -> str | None:
    """The ticket that a rule brought the record to, the most urgent one of several; None when no rule did."""
    rules = server.get(f"/logs/{stored['id']}/explain").data["rules"]
    ids = {rule["ticket"]["id"] for rule in rules if rule["ticket"]}
    if not ids:
        return None
    found = [server.get(f"/tickets/{ticket_id}").data for ticket_id in sorted(ids)]
    ticket = min(found, key=lambda one: str(one["priority"]))
    count = sum(alert["count"] for alert in ticket["alerts"])
    told = f", {count} records so far" if count > 1 else ""
    others = f" (and {len(found) - 1} more: tocsin explain {stored['id']})" if len(found) > 1 else ""
    head = f"Ticket {ticket['id']} ({ticket['status']}, {ticket['priority']}{told})"
    return f"{head}: {printable(ticket['title'])}{others}"
