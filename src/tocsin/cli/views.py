"""`tocsin views`: queries for tickets that are kept under a name."""

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
from tocsin.cli.output import print_fields, print_json, when
from tocsin.cli.remote import Server

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The view's name.")]

app = make_app(
    help="Queries for tickets that are kept under a name, for oneself or for all.",
    epilog=examples(
        "tocsin views save night 'status:OPEN priority:<=P2' --sort priority --shared",
        "tocsin tickets list --view night",
    ),
)


@app.command("list", epilog=examples("tocsin views list"))
def list_views(
    limit: LimitOption = 100,
    cursor: CursorOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the views that are shared, and your own."""
    with Server(url, key_file) as server:
        page = server.get("/views", limit=limit, cursor=cursor)
    print_page(
        page,
        ["Name", "Order", "Whose", "Query"],
        ([one["name"], _order(one), _whose(one), one["q"] or "(all)"] for one in page.data["items"]),
        flexible=["Query"],
        empty="No views yet. Keep a query: tocsin views save mine 'status:OPEN assignee:none'",
        as_json=as_json,
    )


def _order(one: dict[str, Any]) -> str:
    return f"{one['sort']} {one['order']}"


def _whose(one: dict[str, Any]) -> str:
    return "shared" if one["shared"] else one["owner"]


@app.command(epilog=examples("tocsin views show night"))
def show(
    name: NameArgument,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one view."""
    with Server(url, key_file) as server:
        answer = server.get(f"/views/{name}")
    if as_json:
        print_json(answer.text)
        return
    one = answer.data
    print_fields(
        [
            ("name", one["name"]),
            ("version", str(one["version"])),
            ("query", one["q"]),
            ("order", _order(one)),
            ("shared", "yes" if one["shared"] else "no"),
            ("made", f"{when(one['created_at'], utc=utc)} by {one['owner']}"),
            ("changed", f"{when(one['updated_at'], utc=utc)} by {one['updated_by']}"),
        ]
    )


@app.command(
    epilog=examples(
        "tocsin views save mine 'status:OPEN assignee:ana'",
        "tocsin views save night 'status:OPEN sla:at_risk' --sort priority --shared",
    )
)
def save(
    name: NameArgument,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="In the filter language; quote it for the shell.")],
    sort: Annotated[str, typer.Option("--sort", help="opened, updated (newest first) or priority.")] = "opened",
    order: Annotated[str | None, typer.Option("--order", help="asc or desc, where it is to be the other one.")] = None,
    shared: Annotated[bool, typer.Option("--shared", help="For everybody; else it is yours alone.")] = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep a query for tickets under a name, or replace the one of that name."""
    body = {"q": query, "sort": sort, "order": order, "shared": shared}
    with Server(url, key_file) as server:
        answer = server.ask("PUT", f"/views/{name}", json=body)
    one = answer.data
    tell(
        answer, f"View {one['name']} (version {one['version']}, {_whose(one)}): {one['q'] or '(all)'}", as_json=as_json
    )


@app.command(epilog=examples("tocsin views remove night"))
def remove(
    name: NameArgument, url: UrlOption = DEFAULT_URL, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Remove a view."""
    with Server(url, key_file) as server:
        answer = server.ask("DELETE", f"/views/{name}")
    tell(answer, f"View {answer.data['name']} is removed.", as_json=as_json)
