"""`tocsin alerts`: what fires, and one alert in full."""

from typing import Annotated, Any

import typer
from rich.text import Text

from tocsin.cli.command import (
    DEFAULT_URL,
    CursorOption,
    IdArgument,
    JsonOption,
    KeyFileOption,
    LimitOption,
    UrlOption,
    UtcOption,
    examples,
    make_app,
)
from tocsin.cli.output import (
    LEVEL_STYLES,
    PRIORITY_STYLES,
    STATUS_STYLES,
    age,
    more_follows,
    print_fields,
    print_json,
    print_table,
    styled,
    when,
)
from tocsin.cli.remote import Server

app = make_app(
    help="List alerts, or show one.", epilog=examples("tocsin alerts list --status firing", "tocsin alerts show 3")
)


@app.command(
    "list",
    epilog=examples("tocsin alerts list --status firing --service payments", "tocsin alerts list --ticket 12"),
)
def list_alerts(
    status: Annotated[str | None, typer.Option("--status", help="firing, suppressed or resolved.")] = None,
    service: Annotated[str | None, typer.Option("--service", "-s", help="Only this service.")] = None,
    rule: Annotated[str | None, typer.Option("--rule", help="Only those of this rule.")] = None,
    ticket_id: Annotated[
        int | None, typer.Option("--ticket", metavar="ID", min=1, help="Only those of this ticket, as of a storm's.")
    ] = None,
    suppressed_by: Annotated[
        str | None,
        typer.Option(
            "--suppressed-by",
            metavar="WHAT",
            help="Only those that this keeps from people: silence:3, storm:12, inhibition:7, flap; or a kind alone.",
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Opened since: how long ago (15m, 2h) or RFC 3339.")
    ] = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List alerts, the newest first."""
    filters = {
        "status": status,
        "service": service,
        "rule": rule,
        "ticket_id": ticket_id,
        "suppressed_by": suppressed_by,
        "since": since,
    }
    with Server(url, key_file) as server:
        page = server.get("/alerts", **filters, limit=limit, cursor=cursor)
    if as_json:
        print_json(page.text)
        return
    if not page.data["items"]:
        typer.echo(
            "No alert matches."
            if any(value is not None for value in filters.values())
            else "No alerts: no rule has matched yet. What the rules ask for: tocsin rules list"
        )
        return
    print_table(
        ["ID", "Status", "Prio", "Count", "Last seen", "Ticket", "Service", "Title"],
        (_row(alert) for alert in page.data["items"]),
        flexible=["Service", "Title"],
    )
    more_follows(page.data)


@app.command(epilog=examples("tocsin alerts show 3"))
def show(
    alert_id: IdArgument,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one alert with its count and sample records."""
    with Server(url, key_file) as server:
        answer = server.get(f"/alerts/{alert_id}")
    if as_json:
        print_json(answer.text)
        return
    alert = answer.data
    print_fields(
        [
            ("id", str(alert["id"])),
            ("status", styled(alert["status"], STATUS_STYLES)),
            ("suppressed by", alert["suppressed_by"]),
            ("title", alert["title"]),
            ("service", alert["service"]),
            ("level", styled(alert["level"], LEVEL_STYLES)),
            ("priority", styled(alert["priority"], PRIORITY_STYLES)),
            ("rule", f"{alert['rule']} (version {alert['rule_version']})"),
            ("template", alert["template"]),
            ("pattern", None if alert["pattern_id"] is None else f"{alert['pattern_id']}: {alert['pattern']}"),
            ("records", str(alert["count"])),
            ("first seen", when(alert["first_seen_at"], utc=utc)),
            ("last seen", when(alert["last_seen_at"], utc=utc)),
            ("opened", when(alert["opened_at"], utc=utc)),
            ("ended", when(alert["ended_at"], utc=utc)),
            ("ticket", _number(alert["ticket_id"])),
            ("sample logs", " ".join(map(str, alert["sample_log_ids"]))),
        ]
    )


def _row(alert: dict[str, Any]) -> list[Any]:
    return [
        str(alert["id"]),
        _status(alert),
        styled(alert["priority"], PRIORITY_STYLES),
        str(alert["count"]),
        f"{age(alert['last_seen_at'])} ago",
        _number(alert["ticket_id"]),
        alert["service"],
        alert["title"],
    ]


def _status(alert: dict[str, Any]) -> Text:
    """With what keeps an open one from people."""
    status = styled(alert["status"], STATUS_STYLES)
    return Text.assemble(status, f" ({alert['suppressed_by']})") if alert["status"] == "suppressed" else status


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
