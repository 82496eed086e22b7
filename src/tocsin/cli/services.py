"""`tocsin services`: say which services there are, who looks after them, and what depends on what."""

from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import quote

import typer

from tocsin.cli.answers import print_page, tell
from tocsin.cli.command import (
    DEFAULT_URL,
    CursorOption,
    FileOption,
    JsonOption,
    KeyFileOption,
    LimitOption,
    UrlOption,
    UtcOption,
    examples,
    make_app,
)
from tocsin.cli.each import each
from tocsin.cli.given import json_object, listed, savable
from tocsin.cli.output import print_fields, print_json, printable, when
from tocsin.cli.remote import Server

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The service's name, in any case.")]

app = make_app(
    help="Say which services there are, who looks after them, and what depends on what.",
    epilog=examples(
        "tocsin services save payments --team payments --tier 1 --depends-on postgres,ledger",
        "tocsin services tree payments",
    ),
)


@app.command("list", epilog=examples("tocsin services list", "tocsin services list --depends-on postgres"))
def list_services(
    team: Annotated[str | None, typer.Option("--team", help="Only this team's.")] = None,
    tier: Annotated[int | None, typer.Option("--tier", min=1, max=5, help="Only of this tier.")] = None,
    depends_on: Annotated[
        str | None, typer.Option("--depends-on", metavar="NAME", help="Only what depends directly on this service.")
    ] = None,
    limit: LimitOption = 100,
    cursor: CursorOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List declared services by name."""
    with Server(url, key_file) as server:
        page = server.get("/services", team=team, tier=tier, depends_on=depends_on, limit=limit, cursor=cursor)
    filtered = (team, tier, depends_on) != (None, None, None)
    none_yet = "No services are declared: tocsin services save NAME --depends-on A,B"
    print_page(
        page,
        ["Name", "Team", "Tier", "Depends on"],
        (
            [one["name"], one["team"] or "-", str(one["tier"] or "-"), ", ".join(one["depends_on"])]
            for one in page.data["items"]
        ),
        flexible=["Depends on"],
        empty="No such service." if filtered else none_yet,
        as_json=as_json,
    )


@app.command(epilog=examples("tocsin services show payments"))
def show(
    name: NameArgument,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one service."""
    with Server(url, key_file) as server:
        answer = server.get(_path(name))
    if as_json:
        print_json(answer.text)
        return
    one = answer.data
    print_fields(
        [
            ("name", one["name"]),
            ("team", one["team"]),
            ("tier", str(one["tier"]) if one["tier"] else None),
            ("depends on", ", ".join(one["depends_on"])),
            ("is needed by", ", ".join(one["dependants"])),
            ("open tickets", str(one["open_tickets"])),
            ("runbook", one["runbook_url"]),
            ("description", one["description"]),
            ("changed", f"{when(one['updated_at'], utc=utc)} by {one['updated_by']}"),
        ]
    )


@app.command(
    epilog=examples(
        "tocsin services save payments --team payments --tier 1 --depends-on postgres,ledger",
        "tocsin services show payments --json | tocsin services save payments-eu --file -",
    )
)
def save(
    name: NameArgument,
    file: FileOption = None,
    team: Annotated[str | None, typer.Option("--team", help="Who looks after it.")] = None,
    tier: Annotated[int | None, typer.Option("--tier", help="1 for what matters most, to 5.")] = None,
    depends_on: Annotated[
        str | None, typer.Option("--depends-on", metavar="NAMES", help="Without which it can't work, with commas.")
    ] = None,
    runbook_url: Annotated[str | None, typer.Option("--runbook", metavar="URL", help="What to do about it.")] = None,
    description: Annotated[str | None, typer.Option("--description", "-d", help="What to know about it.")] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Declare a service, or replace what is declared of it. What is not said has its default."""
    body = {} if file is None else savable(json_object(file), "dependants", "open_tickets")
    said = {
        "team": team,
        "tier": tier,
        "depends_on": listed(depends_on),
        "runbook_url": runbook_url,
        "description": description,
    }
    body |= {field: value for field, value in said.items() if value is not None}
    with Server(url, key_file) as server:
        answer = server.ask("PUT", _path(name), json=body)
    needs = ", ".join(answer.data["depends_on"]) or "nothing"
    tell(answer, f"Service {answer.data['name']} depends on {needs}.", as_json=as_json)


def _path(name: str) -> str:
    return f"/services/{quote(name, safe='/')}"


@app.command(epilog=examples("tocsin services remove payments"))
def remove(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", min=1, help="One or several services.")],
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget what is declared of services. Those that depend on them still say so."""
    with Server(url, key_file) as server:
        each(
            names,
            lambda name: server.ask("DELETE", _path(name)),
            lambda answer: typer.echo(f"Service {printable(answer.data['name'])} is no longer declared."),
            kind="service",
            as_json=as_json,
        )


@app.command(epilog=examples("tocsin services tree payments"))
def tree(
    name: NameArgument,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show all that a service depends on and all that depends on it. Each stands once, where the way is shortest."""
    with Server(url, key_file) as server:
        answer = server.get(_path(name) + "/dependencies")
    if as_json:
        print_json(answer.text)
        return
    found = answer.data
    for title, relatives in (("depends on", found["depends_on"]), ("is needed by", found["dependants"])):
        typer.echo(f"{printable(found['name'])} {title}{':' if relatives else ' nothing that is declared.'}")
        for line in _branches(relatives, [found["name"]], "  "):
            typer.echo(line)


def _branches(relatives: list[dict[str, Any]], way: list[str], indent: str) -> Iterator[str]:
    """A line for each service that the way leads to next, each followed by its own."""
    for one in relatives:
        if one["way"][:-1] == way:
            yield f"{indent}{printable(one['name'])}{_aside(one)}"
            yield from _branches(relatives, one["way"], indent + "  ")


def _aside(one: dict[str, Any]) -> str:
    if not one["declared"]:
        return " (not declared)"
    known = [f"tier {one['tier']}" if one["tier"] else "", printable(one["team"] or "")]
    told = ", ".join(part for part in known if part)
    return f" ({told})" if told else ""
