"""`tocsin changes`: tell the server what was deployed or switched, and list it."""

from typing import Annotated, Any

import typer

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
from tocsin.cli.given import pairs
from tocsin.cli.output import more_follows, print_json, print_table, printable, when
from tocsin.cli.remote import Server

app = make_app(
    help="Tell what was deployed or switched; it stands in the timelines of tickets of its service.",
    epilog=examples('tocsin changes add payments "Deploy" --ref v2.14.0', "tocsin changes list --service payments"),
)


@app.command(
    "add",
    epilog=examples(
        'tocsin changes add payments "Deploy" --ref v2.14.0 --author ana --link https://ci.example.org/481',
        'tocsin changes add payments "Switched the pool off" --at 2026-11-24T02:15:00Z --attr region=eu',
    ),
)
def add_change(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="What was changed.")],
    summary: Annotated[str, typer.Argument(metavar="SUMMARY", help="In one line: how.")],
    ref: Annotated[str | None, typer.Option("--ref", "-r", help="What of it: a version, a commit.")] = None,
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="RFC 3339.", show_default="now")] = None,
    link: Annotated[str | None, typer.Option("--link", metavar="ADDRESS", help="Where to read more: http(s).")] = None,
    author: Annotated[str | None, typer.Option("--author", "-a", help="Who did it.")] = None,
    attributes: Annotated[
        list[str] | None, typer.Option("--attr", metavar="NAME=VALUE", help="More about it; several times.")
    ] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Record a change of a service."""
    said = {"service": service, "summary": summary, "ref": ref, "at": at, "url": link, "author": author,
            "attributes": pairs("--attr", attributes)}  # fmt: skip
    with Server(url, key_file) as server:
        answer = server.post("/changes", {name: value for name, value in said.items() if value is not None})
    if as_json:
        print_json(answer.text)
        return
    one = answer.data
    typer.echo(f"Change {one['id']} of {printable(one['service'])}: {printable(one['summary'])}")


@app.command(
    "list", epilog=examples("tocsin changes list --service payments --since 24h", "tocsin changes list --ref v2.14.0")
)
def list_changes(
    service: Annotated[str | None, typer.Option("--service", "-s", help="Only this service, in any case.")] = None,
    author: Annotated[str | None, typer.Option("--author", "-a", help="Only theirs.")] = None,
    ref: Annotated[str | None, typer.Option("--ref", "-r", help="Only of this version or commit.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="RFC 3339, or how long ago: 24h.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Up to then, excluded.")] = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List changes that match all filters, the newest first."""
    filters = {"service": service, "author": author, "ref": ref, "since": since, "until": until}
    with Server(url, key_file) as server:
        page = server.get("/changes", **filters, limit=limit, cursor=cursor)
    if as_json:
        print_json(page.text)
        return
    if not page.data["items"]:
        none_yet = 'No changes yet. Let whoever deploys tell: tocsin changes add SERVICE "Deploy" --ref VERSION'
        typer.echo("No change matches." if any(filters.values()) else none_yet)
        return
    print_table(
        ["ID", "When", "Service", "Ref", "Author", "Summary"],
        (_row(one, utc=utc) for one in page.data["items"]),
        flexible=["Service", "Ref", "Author", "Summary"],
    )
    more_follows(page.data)


def _row(one: dict[str, Any], *, utc: bool) -> list[str]:
    return [
        str(one["id"]), when(one["at"], utc=utc), one["service"], one["ref"] or "-", one["author"] or "-",
        one["summary"],
    ]  # fmt: skip
