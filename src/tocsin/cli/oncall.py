"""`tocsin oncall`: who is on call, now or at any time."""

from typing import Annotated, Any

import typer

from tocsin.cli.command import DEFAULT_URL, JsonOption, KeyFileOption, UrlOption, UtcOption, examples, make_app
from tocsin.cli.given import instant
from tocsin.cli.output import more_follows, print_json, print_table, when
from tocsin.cli.remote import Server

app = make_app()


@app.command(epilog=examples("tocsin oncall", "tocsin oncall payments", "tocsin oncall payments --at 2026-12-24T20:00"))
def oncall(
    schedule: Annotated[str | None, typer.Argument(metavar="SCHEDULE", help="By this one alone.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="A time, or 2h from now.", show_default="now")
    ] = None,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell who is on call by each schedule, and until when that stays so."""
    path = "/on-call" if schedule is None else f"/schedules/{schedule}/on-call"
    with Server(url, key_file) as server:
        answer = server.get(path, at=instant("--at", at), limit=1000 if schedule is None else None)
    if as_json:
        print_json(answer.text)
        return
    found = answer.data["items"] if schedule is None else [answer.data]
    if not found:
        typer.echo("No schedules: nobody is on call. tocsin schedules save NAME --users ana,rui --every weekly")
        return
    print_table(["Schedule", "On call", "Until"], (_row(one, utc=utc) for one in found), flexible=["On call"])
    if schedule is None:
        more_follows(answer.data)


def _row(one: dict[str, Any], *, utc: bool) -> list[str]:
    people = ", ".join(_person(user) for user in one["users"]) or "nobody"
    return [one["schedule"], people, when(one["until"], utc=utc) or "-"]


def _person(user: dict[str, Any]) -> str:
    shown = user["name"] if user["display_name"] in {"", user["name"]} else f"{user['display_name']} ({user['name']})"
    return f"{shown}, who is away" if user["away"] else shown
