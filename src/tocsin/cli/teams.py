"""`tocsin teams`: list, show, save and remove teams."""

from typing import Annotated

import typer

from tocsin.cli.answers import print_page, tell
from tocsin.cli.command import (
    DEFAULT_URL,
    CursorOption,
    ForceOption,
    JsonOption,
    KeyFileOption,
    LimitOption,
    UrlOption,
    UtcOption,
    examples,
    make_app,
)
from tocsin.cli.given import listed
from tocsin.cli.output import print_fields, print_json, when
from tocsin.cli.remote import Server

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The team's name.")]

app = make_app(
    help="People who answer for the same services.",
    epilog=examples("tocsin teams list", "tocsin teams save shop --members ana,rui"),
)


@app.command("list", epilog=examples("tocsin teams list"))
def list_teams(
    limit: LimitOption = 100,
    cursor: CursorOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List teams by name."""
    with Server(url, key_file) as server:
        page = server.get("/teams", limit=limit, cursor=cursor)
    print_page(
        page,
        ["Name", "Shown as", "Members"],
        ([one["name"], one["display_name"], ", ".join(one["members"]) or "-"] for one in page.data["items"]),
        flexible=["Members"],
        empty="No teams. tocsin teams save NAME --members ana,rui",
        as_json=as_json,
    )


@app.command(epilog=examples("tocsin teams show shop"))
def show(
    name: NameArgument,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one team."""
    with Server(url, key_file) as server:
        answer = server.get(f"/teams/{name}")
    if as_json:
        print_json(answer.text)
        return
    one = answer.data
    print_fields(
        [
            ("name", one["name"]),
            ("shown as", one["display_name"]),
            ("members", ", ".join(one["members"]) or "-"),
            ("version", str(one["version"])),
            ("changed", f"{when(one['updated_at'], utc=utc)} by {one['updated_by']}"),
        ]
    )


@app.command(epilog=examples("tocsin teams save shop --members ana,rui --shown-as 'The shop'"))
def save(
    name: NameArgument,
    members: Annotated[str | None, typer.Option("--members", "-m", help="Users, with commas, in order.")] = None,
    shown_as: Annotated[str | None, typer.Option("--shown-as", help="The name people read.")] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a team, or replace the one of that name. What is not said has its default."""
    body = {"members": listed(members) or [], "display_name": shown_as or ""}
    with Server(url, key_file) as server:
        answer = server.ask("PUT", f"/teams/{name}", json=body)
    one = answer.data
    tell(
        answer,
        f"Team {one['name']} (version {one['version']}): {', '.join(one['members']) or 'nobody'}",
        as_json=as_json,
    )


@app.command(epilog=examples("tocsin teams remove shop", "tocsin teams remove shop --force"))
def remove(
    name: NameArgument,
    force: ForceOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a team that no route or escalation policy calls; its people stay."""
    with Server(url, key_file) as server:
        answer = server.remove(f"/teams/{name}", force=force)
    tell(answer, f"Team {name} is removed.", as_json=as_json)
