"""`tocsin logs`: the newest records, and one record in full."""

import json
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
    console,
    more_follows,
    print_fields,
    print_json,
    printable,
    styled,
    when,
)
from tocsin.cli.remote import Server

app = make_app()


@app.callback(
    invoke_without_command=True,
    epilog=examples(
        "tocsin logs --level ERROR --service payments --since 15m", "tocsin logs --text timeout", "tocsin logs show 17"
    ),
)
def logs(
    ctx: typer.Context,
    level: Annotated[str | None, typer.Option("--level", "-l", help="The least level, such as WARNING.")] = None,
    service: Annotated[str | None, typer.Option("--service", "-s", help="Only this service.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="How long ago (15m, 2h, 7d) or RFC 3339; included.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="As --since; excluded.")] = None,
    text: Annotated[str | None, typer.Option("--text", "-t", help="Found anywhere in the message, any case.")] = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the newest log records that match, the newest last."""
    if ctx.invoked_subcommand is not None:
        return
    filters = {"level": level, "service": service, "since": since, "until": until, "text": text}
    with Server(url, key_file) as server:
        page = server.get("/logs", **filters, limit=limit, cursor=cursor)
    if as_json:
        print_json(page.text)
        return
    if not page.data["items"]:
        typer.echo("No record matches." if any(filters.values()) else "No records yet. Send one: tocsin send hello")
        return
    out = console()
    for record in reversed(page.data["items"]):
        out.print(_line(record, utc=utc), soft_wrap=True)
    more_follows(page.data)


@app.command(epilog=examples("tocsin logs show 17"))
def show(
    record_id: IdArgument,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one record with all its fields."""
    with Server(url, key_file) as server:
        answer = server.get(f"/logs/{record_id}")
    if as_json:
        print_json(answer.text)
        return
    record = answer.data
    print_fields(
        [
            ("id", str(record["id"])),
            ("time", when(record["timestamp"], utc=utc, fraction=True)),
            ("arrived", when(record["observed_at"], utc=utc, fraction=True)),
            ("level", styled(record["level"], LEVEL_STYLES)),
            ("service", record["service"]),
            ("message", record["message"]),
            *((name, record.get(name)) for name in ("trace_id", "span_id", "source")),
            ("time as sent", record.get("skewed")),
            ("backfill", "yes" if record.get("backfill") else None),
            *((f"@{name}", _value(value)) for name, value in record["attributes"].items()),
        ]
    )


def _line(record: dict[str, Any], *, utc: bool) -> Text:
    line = Text.assemble(
        (when(record["timestamp"], utc=utc, fraction=True), "dim"),
        " ",
        styled(f"{record['level']:<8}", {f"{name:<8}": style for name, style in LEVEL_STYLES.items()}),
        " ",
        (printable(record["service"]), "cyan"),
        "  ",
        printable(record["message"]),
    )
    for name, value in record["attributes"].items():
        line.append(f"  {printable(name)}={printable(_value(value))}", "dim")
    line.append(f"  #{record['id']}", "dim")
    return line


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
