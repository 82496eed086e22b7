"""`tocsin heartbeats`: jobs that check in; who is late, who is down."""

from typing import Annotated, Any

import typer

from tocsin.cli.answers import print_page, tell
from tocsin.cli.command import (
    DEFAULT_URL,
    CursorOption,
    JsonOption,
    KeyFileOption,
    LimitOption,
    UrlOption,
    UtcOption,
    examples,
    make_app,
)
from tocsin.cli.output import PRIORITY_STYLES, age, duration, print_fields, print_json, styled, when
from tocsin.cli.remote import Server

STATUS_STYLES = {"up": "green", "late": "yellow", "down": "bold red", "waiting": "dim", "paused": "dim"}
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The heartbeat's name.")]

app = make_app(
    help="List, show, save, ping and remove heartbeats: jobs that check in.",
    epilog=examples(
        "tocsin heartbeats save nightly-backup --interval 86400 --grace 3600", "tocsin heartbeats ping nightly-backup"
    ),
)


@app.command("list", epilog=examples("tocsin heartbeats list"))
def list_heartbeats(
    limit: LimitOption = 100,
    cursor: CursorOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List heartbeats by name."""
    with Server(url, key_file) as server:
        page = server.get("/heartbeats", limit=limit, cursor=cursor)
    print_page(
        page,
        ["Name", "Status", "Every", "Grace", "Last check-in", "Ticket"],
        (_row(heartbeat) for heartbeat in page.data["items"]),
        flexible=["Name"],
        empty="No heartbeats. tocsin heartbeats save nightly-backup --interval 86400 --grace 3600",
        as_json=as_json,
    )


def _row(heartbeat: dict[str, Any]) -> list[Any]:
    last = heartbeat["last_check_in_at"]
    return [
        heartbeat["name"],
        styled(heartbeat["status"], STATUS_STYLES),
        duration(heartbeat["interval_s"]),
        duration(heartbeat["grace_s"]),
        "never" if last is None else f"{age(last)} ago",
        _number(heartbeat["ticket_id"]),
    ]


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


@app.command(epilog=examples("tocsin heartbeats show nightly-backup"))
def show(
    name: NameArgument,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how a heartbeat is doing."""
    with Server(url, key_file) as server:
        answer = server.get(f"/heartbeats/{name}")
    _tell(answer.text, answer.data, as_json=as_json, utc=utc)


@app.command(
    epilog=examples(
        "tocsin heartbeats save nightly-backup --interval 86400 --grace 3600 --priority P2",
        "tocsin heartbeats save queue-worker --interval 60 --grace 120 --runbook https://wiki.example.org/queue",
    )
)
def save(
    name: NameArgument,
    interval_s: Annotated[
        int | None, typer.Option("--interval", metavar="SECONDS", help="How often it checks in.", show_default="86400")
    ] = None,
    grace_s: Annotated[
        int | None, typer.Option("--grace", metavar="SECONDS", help="How late it may be.", show_default="3600")
    ] = None,
    priority: Annotated[str | None, typer.Option("--priority", "-p", help="Of its tickets.", show_default="P3")] = None,
    description: Annotated[str | None, typer.Option("--description", "-d", help="What to know about it.")] = None,
    runbook_url: Annotated[str | None, typer.Option("--runbook", metavar="URL", help="What to do about it.")] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a heartbeat, or replace the one of that name. What is not said has its default."""
    said = {
        "interval_s": interval_s,
        "grace_s": grace_s,
        "priority": priority,
        "description": description,
        "runbook_url": runbook_url,
    }
    body = {field: value for field, value in said.items() if value is not None}
    with Server(url, key_file) as server:
        answer = server.ask("PUT", f"/heartbeats/{name}", json=body)
    _tell(answer.text, answer.data, as_json=as_json)


@app.command(epilog=examples("tocsin heartbeats ping nightly-backup", "tocsin heartbeats ping etl -m '120 rows'"))
def ping(
    name: NameArgument,
    message: Annotated[str | None, typer.Option("--message", "-m", help="Stands in its log record.")] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check in: the job is alive. The first check-in makes the heartbeat."""
    said = {} if message is None else {"message": message}
    with Server(url, key_file) as server:
        answer = server.ask("POST", f"/heartbeats/{name}", params=said)
    kept = answer.data
    tell(
        answer,
        f"{kept['name']} checked in (log {kept['log_id']}); the next is due by {when(kept['next_due_at'])}.",
        as_json=as_json,
    )


@app.command(epilog=examples("tocsin heartbeats remove nightly-backup"))
def remove(
    name: NameArgument,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Watch a job no longer. Its check-ins, alerts and tickets stay."""
    with Server(url, key_file) as server:
        answer = server.ask("DELETE", f"/heartbeats/{name}")
    tell(answer, f"Heartbeat {answer.data['name']} is no longer watched.", as_json=as_json)


def _tell(text: str, heartbeat: dict[str, Any], *, as_json: bool, utc: bool = False) -> None:
    if as_json:
        print_json(text)
        return
    print_fields(
        [
            ("name", heartbeat["name"]),
            ("status", styled(heartbeat["status"], STATUS_STYLES)),
            ("every", duration(heartbeat["interval_s"])),
            ("grace", duration(heartbeat["grace_s"])),
            ("priority", styled(heartbeat["priority"], PRIORITY_STYLES)),
            ("description", heartbeat["description"]),
            ("runbook", heartbeat["runbook_url"]),
            ("last check-in", when(heartbeat["last_check_in_at"], utc=utc) or "never"),
            ("last log", _number(heartbeat["last_log_id"])),
            ("next is due", when(heartbeat["next_due_at"], utc=utc)),
            ("down from", when(heartbeat["down_at"], utc=utc)),
            ("ticket", _number(heartbeat["ticket_id"])),
            ("rule", f"{heartbeat['rule']} (version {heartbeat['version']})"),
            ("changed", f"{when(heartbeat['updated_at'], utc=utc)} by {heartbeat['updated_by']}"),
        ]
    )
