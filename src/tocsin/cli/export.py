"""`tocsin export`: write what there is into a file."""

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tocsin.cli.apply import SECTIONS
from tocsin.cli.command import DEFAULT_URL, JsonOption, KeyFileOption, UrlOption, examples, make_app
from tocsin.cli.exits import WrongUsage
from tocsin.cli.logfilter import QueryArgument
from tocsin.cli.output import print_json
from tocsin.cli.remote import Server
from tocsin.cli.yamlfile import write_yaml

HEAD: Final = (
    "# What this Tocsin has. Change it, see what that comes to (tocsin apply -f FILE --dry-run), and apply it.\n"
    "# What is left out of an entry has its default; a section that is left out is left alone.\n"
)

app = make_app(
    help="Write a file with the rules, silences and services there are; or with tickets.",
    epilog=examples(
        "tocsin export -o tocsin.yaml",
        "tocsin export --section rules --section services",
        "tocsin export tickets -o tickets.jsonl",
    ),
)


# A group, of which this is what it does by itself: other things can be exported as `tocsin export NAME`.
@app.callback(invoke_without_command=True)
def export(
    ctx: typer.Context,
    section: Annotated[
        list[str] | None,
        typer.Option("--section", metavar="NAME", help="Only rules, silences or services; several times."),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Where to.", show_default="standard output")
    ] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a file with the rules, the silences that are not over, and the services there are, as `tocsin apply`
    takes it."""
    if ctx.invoked_subcommand is not None:
        return
    unknown = sorted(set(section or ()) - SECTIONS.keys())
    if unknown:
        raise WrongUsage(detail=f"--section {unknown[0]}: expected one of {', '.join(SECTIONS)}")
    with Server(url, key_file) as server:
        answer = server.get("/export", sections=",".join(section or SECTIONS))
    if as_json and output is None:
        print_json(answer.text)
        return
    text = answer.text + "\n" if as_json else HEAD + "\n" + write_yaml(answer.data)
    if output is None:
        sys.stdout.write(text)
        return
    Path(output).write_text(text)
    typer.echo(f"{output}: {_told(answer.data)}.")


def _told(sections: dict[str, Any]) -> str:
    return ", ".join(
        f"{len(entries)} {SECTIONS[name] if len(entries) == 1 else name}" for name, entries in sections.items()
    )


# Columns of the CSV: what is flat of a ticket. Comments, links and events are in the JSON lines only.
FLAT: Final = (
    "id", "title", "status", "priority", "impact", "urgency", "service", "team", "assignee", "tags", "opened_by",
    "opened_at", "updated_at", "acknowledged_at", "resolved_at", "closed_at", "resolution_code", "resolution_note",
    "reopen_count", "reassignment_count", "late_s", "recurrence_of", "merged_into", "source", "external_id", "met",
    "description",
)  # fmt: skip
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")


@app.command(
    "tickets",
    epilog=examples(
        "tocsin export tickets -o tickets.jsonl",
        "tocsin export tickets 'service:payments priority:<=P2' --opened-since 90d --csv -o payments.csv",
        "tocsin export tickets -o tickets.jsonl && tocsin import-tickets tickets.jsonl --format tocsin --url http://other",
    ),
)
def tickets(
    query: QueryArgument = None,
    status: Annotated[str | None, typer.Option("--status", help="One or several, with commas.")] = None,
    priority: Annotated[str | None, typer.Option("--priority", "-p", help="One or several, with commas.")] = None,
    service: Annotated[str | None, typer.Option("--service", "-s", help="Of this service.")] = None,
    team: Annotated[str | None, typer.Option("--team", help="Of this team; none for those of no team.")] = None,
    assignee: Annotated[str | None, typer.Option("--assignee", help="Theirs; none for those nobody has.")] = None,
    opened_since: Annotated[str | None, typer.Option("--opened-since", help="From then on: 90d, 2026-01-01.")] = None,
    opened_until: Annotated[str | None, typer.Option("--opened-until", help="Before then.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Only the flat fields, as CSV.")] = False,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Where to.", show_default="standard output")
    ] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
) -> None:
    """Write tickets as JSON lines, each with everything that is known of it: comments, links, events, SLA.

    `tocsin import-tickets --format tocsin` takes the file. With --output a file that is there is replaced when all is
    written; an export that breaks off leaves it as it was.
    """
    asked = {"q": query, "status": status, "priority": priority, "service": service, "team": team,
             "assignee": assignee, "opened_since": opened_since, "opened_until": opened_until}  # fmt: skip
    with Server(url, key_file) as server:
        found = _pages(server, asked)
        if output is None:
            for text in _csv(found) if as_csv else _lines(found):
                sys.stdout.write(text)
            return
        count, new = 0, Path(output + ".new")
        try:
            with new.open("w", encoding="utf-8", newline="") as file:
                for text in _csv(found) if as_csv else _lines(found):
                    file.write(text)
                    count += 1
            new.replace(output)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
    count -= as_csv
    typer.echo(f"{output}: {count:,} ticket{'' if count == 1 else 's'}.")


def _pages(server: Server, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        page = server.get("/tickets/export", **asked, cursor=cursor).data
        yield from page["items"]
        cursor = page["next"]
        if cursor is None:
            return


def _lines(tickets: Iterable[dict[str, Any]]) -> Iterator[str]:
    for one in tickets:
        yield json.dumps(one, ensure_ascii=False) + "\n"


def _csv(tickets: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The head, then a row for each."""
    for row in chain([FLAT], ([_cell(one[name]) for name in FLAT] for one in tickets)):
        text = io.StringIO()
        csv.writer(text).writerow(row)
        yield text.getvalue()


def _cell(value: Any) -> Any:
    """What a spreadsheet would take for a formula is shown, not obeyed."""
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULAS) else value
