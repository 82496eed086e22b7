"""`tocsin send`: one record, and the ticket it led to."""

import sys
from typing import Annotated, Any, Final

import typer

from tocsin.cli.command import DEFAULT_URL, JsonOption, KeyFileOption, UrlOption, examples, make_app
from tocsin.cli.exits import WrongUsage
from tocsin.cli.output import print_json, printable
from tocsin.cli.remote import Server

_ALERTS_LOOKED_AT: Final = 1000

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
    """Send one log record; prints its id and, for a CRITICAL one, the ticket that shows it."""
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
        if stored["level"] == "CRITICAL":
            typer.echo(_ticket_line(server, stored))


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


def _ticket_line(server: Server, stored: dict[str, Any]) -> str:
    alert = _alert_of(server, stored, "firing") or _alert_of(server, stored, "suppressed")
    if alert is None or alert["ticket_id"] is None:
        return f"Its ticket is among: tocsin tickets list --service {printable(stored['service'])}"
    ticket = server.get(f"/tickets/{alert['ticket_id']}").data
    count = f", {alert['count']} records so far" if alert["count"] > 1 else ""
    return f"Ticket {ticket['id']} ({ticket['status']}, {ticket['priority']}{count}): {printable(ticket['title'])}"


def _alert_of(server: Server, stored: dict[str, Any], status: str) -> dict[str, Any] | None:
    page = server.get("/alerts", service=stored["service"], status=status, limit=_ALERTS_LOOKED_AT).data
    return next((alert for alert in page["items"] if stored["id"] in alert["sample_log_ids"]), None)
