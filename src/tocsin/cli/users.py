"""`tocsin users`: people, when they are away, the ways to reach them, and how they want to be called."""

from typing import Annotated, Any

import typer

from tocsin.cli import user_rules
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
from tocsin.cli.exits import WrongUsage
from tocsin.cli.given import instant
from tocsin.cli.output import print_fields, print_json, printable, when
from tocsin.cli.remote import Server

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]
MethodArgument = Annotated[int, typer.Argument(metavar="METHOD", min=1, help="The contact method's id.")]

app = make_app(
    help="People, when they are away, the ways to reach them, and how they want to be called.",
    epilog=examples(
        "tocsin users save ana --shown-as 'Ana Sousa' --zone Europe/Lisbon",
        "tocsin users methods add ana sms +351912345678",
        "tocsin users rules set ana --p1 voice,other@5m --p4 email@working-hours",
        "tocsin users away ana --from 2026-12-21 --until 2027-01-04",
    ),
)
methods = make_app(help="The ways to reach a person; one is used once it is verified.")
app.add_typer(methods, name="methods")
app.add_typer(user_rules.app, name="rules")


@app.command("list", epilog=examples("tocsin users list"))
def list_users(
    limit: LimitOption = 100,
    cursor: CursorOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List users by name."""
    with Server(url, key_file) as server:
        page = server.get("/users", limit=limit, cursor=cursor)
    print_page(
        page,
        ["Name", "Shown as", "Zone", "Email"],
        ([one["name"], one["display_name"], one["time_zone"], one["email"] or "-"] for one in page.data["items"]),
        flexible=["Shown as"],
        empty="No users: nobody can be on call. tocsin users save NAME --zone Europe/Lisbon",
        as_json=as_json,
    )


@app.command(epilog=examples("tocsin users show ana"))
def show(
    name: NameArgument,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one user with contact methods, away dates, teams and schedules."""
    with Server(url, key_file) as server:
        answer = server.get(f"/users/{name}")
    if as_json:
        print_json(answer.text)
        return
    one = answer.data
    away = [
        f"{when(span['start'], utc=utc)} to {when(span['end'], utc=utc)} {span['note']}".rstrip()
        for span in one["away"]
    ]
    print_fields(
        [
            ("name", one["name"]),
            ("shown as", one["display_name"]),
            ("email", one["email"]),
            ("time zone", one["time_zone"]),
            ("methods", "\n".join(_method(method) for method in one["methods"]) or "none: nobody reaches them"),
            ("away", "\n".join(away)),
            ("teams", ", ".join(one["teams"])),
            ("schedules", ", ".join(one["schedules"])),
            ("policies", ", ".join(one["escalation_policies"])),
            ("version", str(one["version"])),
            ("changed", f"{when(one['updated_at'], utc=utc)} by {one['updated_by']}"),
        ]
    )


def _method(one: dict[str, Any]) -> str:
    state = "verified" if one["verified_at"] else "not verified"
    if one["disabled_reason"]:
        state = f"disabled: {one['disabled_reason']}"
    return f"{one['id']} {one['kind']} {one['address']} ({state})"


@app.command(epilog=examples("tocsin users save ana --shown-as 'Ana Sousa' --zone Europe/Lisbon"))
def save(
    name: NameArgument,
    shown_as: Annotated[str | None, typer.Option("--shown-as", help="The name people read.")] = None,
    email: Annotated[str | None, typer.Option("--email", help="To know them by; pages go to contact methods.")] = None,
    zone: Annotated[str, typer.Option("--zone", "-z", metavar="ZONE", help="Where they live: Europe/Lisbon.")] = "UTC",
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a user, or replace the one of that name. Contact methods and away dates stay."""
    body: dict[str, Any] = {"display_name": shown_as or "", "email": email, "time_zone": zone}
    with Server(url, key_file) as server:
        body["away"] = _away(server, name)
        answer = server.ask("PUT", f"/users/{name}", json=body)
    one = answer.data
    tell(
        answer,
        f"User {one['name']} (version {one['version']}): {one['display_name']}, {one['time_zone']}",
        as_json=as_json,
    )


def _away(server: Server, name: str) -> list[dict[str, Any]]:
    """The away dates that are noted of a user; none of one who is new."""
    found = server.find(f"/users/{name}")
    return [] if found is None else list(found.data["away"])


@app.command(epilog=examples("tocsin users remove ana", "tocsin users remove ana --force"))
def remove(
    name: NameArgument,
    force: ForceOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a user with all contact methods; by --force also one whom schedules or escalation policies name, who have
    nobody in their place then."""
    with Server(url, key_file) as server:
        one = server.get(f"/users/{name}").data
        answer = server.remove(f"/users/{name}", force=force)
    if as_json:
        print_json(answer.text)
        return
    typer.echo(printable(f"User {name} is removed."))
    for said, named in (
        ("They left these teams", one["teams"]),
        ("These schedules still name them", one["schedules"]),
        ("These escalation policies still name them", one["escalation_policies"]),
    ):
        if named:
            typer.echo(printable(f"{said}: {', '.join(named)}"))


@app.command(
    epilog=examples(
        "tocsin users away ana --from 2026-12-21 --until 2027-01-04 --note vacation",
        "tocsin users away ana --from 2026-12-21 --back",
    )
)
def away(
    name: NameArgument,
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="A date or time, or 2d from now.")],
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="When they are back.")] = None,
    note: Annotated[str, typer.Option("--note", help="Why, for who looks for another.")] = "",
    back: Annotated[bool, typer.Option("--back", help="They are not away then after all.")] = False,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Note that a user is away. They stay on call where a schedule says so; its problems show it."""
    if back == (until is not None):
        raise WrongUsage(detail="say --until when, or --back")
    with Server(url, key_file) as server:
        if back:
            answer = server.ask("DELETE", f"/users/{name}/away", params={"start": instant("--from", start)})
        else:
            body = {"start": instant("--from", start), "end": instant("--until", until), "note": note}
            answer = server.post(f"/users/{name}/away", body)
    if as_json:
        print_json(answer.text)
        return
    for span in answer.data["away"]:
        said = f"{name} is away from {when(span['start'], utc=utc)} to {when(span['end'], utc=utc)}"
        typer.echo(printable(f"{said} {span['note']}".rstrip()))
    if not answer.data["away"]:
        typer.echo(printable(f"{name} is not away."))


@methods.command("add", epilog=examples("tocsin users methods add ana sms +351912345678"))
def add_method(
    name: NameArgument,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="email, sms, voice, slack, telegram, ntfy or webhook.")],
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Where.")],
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a way to reach a user, and have the code sent that verifies it."""
    with Server(url, key_file) as server:
        answer = server.post(f"/users/{name}/methods", {"kind": kind, "address": address})
        server.post(f"/users/{name}/methods/{answer.data['id']}/code", {})
    if as_json:
        print_json(answer.text)
        return
    one = answer.data
    typer.echo(
        printable(f"Contact method {one['id']} of {name}: {one['kind']} {one['address']}. A code is on its way:")
    )
    typer.echo(printable(f"tocsin users methods verify {name} {one['id']} CODE"))


@methods.command("code", epilog=examples("tocsin users methods code ana 3"))
def ask_code(
    name: NameArgument,
    method: MethodArgument,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have another code sent."""
    with Server(url, key_file) as server:
        answer = server.post(f"/users/{name}/methods/{method}/code", {})
    tell(answer, f"A code is on its way; it is good until {when(answer.data['expires_at'], utc=utc)}.", as_json=as_json)


@methods.command(
    "verify", epilog=examples("tocsin users methods verify ana 3 012345", "tocsin users methods verify ana 3 --by-hand")
)
def verify_method(
    name: NameArgument,
    method: MethodArgument,
    code: Annotated[str | None, typer.Argument(metavar="CODE", help="The code that came.")] = None,
    by_hand: Annotated[bool, typer.Option("--by-hand", help="Without a code: it is known to be right.")] = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a contact method by the code that came."""
    body: dict[str, object] = {"by_hand": by_hand} if code is None else {"code": code, "by_hand": by_hand}
    with Server(url, key_file) as server:
        answer = server.post(f"/users/{name}/methods/{method}/verify", body)
    tell(answer, f"Contact method {_method(answer.data)} of {name}", as_json=as_json)


@methods.command("enable", epilog=examples("tocsin users methods enable ana 3"))
def enable_method(
    name: NameArgument,
    method: MethodArgument,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Use a contact method again that was disabled."""
    with Server(url, key_file) as server:
        answer = server.post(f"/users/{name}/methods/{method}/enable", {})
    tell(answer, f"Contact method {_method(answer.data)} of {name}", as_json=as_json)


@methods.command("remove", epilog=examples("tocsin users methods remove ana 3"))
def remove_method(
    name: NameArgument,
    method: MethodArgument,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a contact method."""
    with Server(url, key_file) as server:
        answer = server.ask("DELETE", f"/users/{name}/methods/{method}")
    tell(answer, f"Contact method {method} of {name} is removed.", as_json=as_json)
