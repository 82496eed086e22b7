"""`tocsin logs`: find records, follow them as they come, count them, take them out as a file."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from tocsin.cli import logcounts
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
from tocsin.cli.exits import FAILED, CommandFailed, WrongUsage
from tocsin.cli.logfilter import (
    LevelOption,
    QueryArgument,
    ServiceOption,
    SinceOption,
    TextOption,
    UntilOption,
    filters_of,
    tell_if_partial,
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


class SearchUnlessNamed(TyperGroup):
    """What is not the name of a command is for `search`: `tocsin logs --level ERROR`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # Typer's own type for it is private
        named = bool(args) and (args[0] in self.commands or args[0] in {"-h", "--help"})
        return super().parse_args(ctx, args if named else ["search", *args])


app = make_app(cls=SearchUnlessNamed)
for _command in (logcounts.top, logcounts.histogram, logcounts.fields, logcounts.stats):
    app.command(epilog=logcounts.EXAMPLES[_command.__name__])(_command)


@app.callback(
    epilog=examples(
        "tocsin logs",
        "tocsin logs search 'service:payments level:>=ERROR \"timed out\"' --since 15m",
        "tocsin logs tail",
    )
)
def logs() -> None:
    """Find log records, follow them as they come, count them, take them out.

    Without a command, or with options only: `search`. Queries are in the filter language, such as
    `service:payments level:>=ERROR "timed out" -@region:eu-*`; put them in single quotes for the shell.
    """


@app.command(
    epilog=examples(
        "tocsin logs search 'service:payments level:>=ERROR' --since 15m",
        "tocsin logs search '\"timed out\" -@region:eu-*' --since 2h --until 1h",
        "tocsin logs search '@duration_ms:>500' --json",
    )
)
def search(
    query: QueryArgument = None,
    level: LevelOption = None,
    service: ServiceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    text: TextOption = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the newest records that match, the newest last."""
    filters = filters_of(query, level, service, since, until, text)
    with Server(url, key_file) as server:
        page = server.get("/logs", **filters, limit=limit, cursor=cursor)
    if as_json:
        print_json(page.text)
        return
    if not page.data["items"] and not page.data["partial"]:
        typer.echo("No record matches." if any(filters.values()) else "No records yet. Send one: tocsin send hello")
        tell_if_partial(page.data)
        return
    out = console()
    for record in reversed(page.data["items"]):
        out.print(_line(record, utc=utc), soft_wrap=True)
    tell_if_partial(page.data)
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


@app.command(epilog=examples("tocsin logs context 17", "tocsin logs context 17 --before 50 --after 0"))
def context(
    record_id: IdArgument,
    before: Annotated[int, typer.Option("--before", "-B", min=0, max=500, help="Older records.")] = 10,
    after: Annotated[int, typer.Option("--after", "-A", min=0, max=500, help="Newer records.")] = 10,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the records of the same service around one, which is marked."""
    with Server(url, key_file) as server:
        answer = server.get(f"/logs/context/{record_id}", before=before, after=after)
    if as_json:
        print_json(answer.text)
        return
    out = console()
    for record in reversed([*answer.data["after"], answer.data["record"], *answer.data["before"]]):
        mark = "> " if record["id"] == record_id else "  "
        out.print(Text.assemble((mark, "bold"), _line(record, utc=utc)), soft_wrap=True)
    tell_if_partial(answer.data)


@app.command(epilog=examples("tocsin logs tail", "tocsin logs tail 'level:>=WARNING' --service payments"))
def tail(
    query: QueryArgument = None,
    level: LevelOption = None,
    service: ServiceOption = None,
    text: TextOption = None,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's JSON, a record a line.")] = False,
) -> None:
    """Follow records as they are stored, until Ctrl-C.

    When this terminal is too slow, lines are left out, and how many is said on standard error.
    """
    filters = filters_of(query, level, service, None, None, text)
    out = console()
    with Server(url, key_file) as server:
        for kind, data in server.events("/logs/stream", **filters):
            if kind == "missed":
                typer.echo(f"... {_left_out(**json.loads(data))}", err=True)
            elif kind == "error":
                raise CommandFailed(detail=json.loads(data)["detail"])
            elif as_json:
                typer.echo(data)
            else:
                out.print(_line(json.loads(data), utc=utc), soft_wrap=True)


@app.command(
    epilog=examples(
        "tocsin logs export 'service:payments' --since 24h > payments.ndjson",
        "tocsin logs export 'level:>=ERROR' --format csv --output errors.csv",
    )
)
def export(
    query: QueryArgument = None,
    level: LevelOption = None,
    service: ServiceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    text: TextOption = None,
    form: Annotated[str, typer.Option("--format", "-f", help="ndjson or csv.")] = "ndjson",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there instead of standard output.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="No more than so many.")] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
) -> None:
    """Write all records that match, newest first, however many there are.

    Exit code 1 when damaged segments may hold some that are missing in it; what could be read is written all the same.
    """
    if form not in {"ndjson", "csv"}:
        raise WrongUsage(detail=f"--format {form}: expected ndjson or csv")
    filters = filters_of(query, level, service, since, until, text)
    with Server(url, key_file) as server:
        found = server.download("/logs/export", **filters, format=form, limit=limit)
        if output is None:
            for part in found.parts:
                sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()
        else:
            _write(output, found.parts)
    damaged = int(found.headers.get("tocsin-damaged-segments", 0))
    if damaged:
        segments = "1 damaged segment" if damaged == 1 else f"{damaged:,} damaged segments"
        typer.echo(f"Not complete: {segments} could not be read (see: tocsin logs stats).", err=True)
        raise typer.Exit(FAILED)


def _left_out(missed: int | None, exact: bool, **_: object) -> str:
    if missed is None:
        return "lines left out, nobody knows how many"
    return f"{'' if exact else 'up to '}{missed:,} lines left out: too fast for this terminal"


def _write(output: Path, parts: Iterator[bytes]) -> None:
    """A file that is there is a complete one: until then it has another name."""
    unfinished = output.with_name(output.name + ".part")
    size = 0
    with unfinished.open("wb") as file:
        for part in parts:
            size += file.write(part)
    unfinished.replace(output)
    typer.echo(f"{output}: {size:,} bytes", err=True)


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
