"""`tocsin drills`: drills that are run again and again, and what came of each run."""

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
from tocsin.cli.exits import WrongUsage
from tocsin.cli.given import listed, seconds
from tocsin.cli.output import duration, print_fields, print_json, styled, when
from tocsin.cli.remote import Answer, Server
from tocsin.cli.saving import given, put

STATE_STYLES = {"passed": "green", "running": "yellow", "missed": "bold red", "on": "green", "off": "dim"}

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The scheduled drill's name.")]
EveryOption = Annotated[
    str | None, typer.Option("--every", metavar="LENGTH", help="Again and again: 7d, 12h; 10 minutes at least.")
]
AtOption = Annotated[str | None, typer.Option("--at", metavar="HH:MM", help="Or at a time of day.")]
DaysOption = Annotated[str | None, typer.Option("--days", metavar="DAYS", help="... on these days: mon,thu.")]
ZoneOption = Annotated[
    str | None, typer.Option("--zone", "-z", metavar="ZONE", help="... by the clock there.", show_default="UTC")
]

app = make_app(
    help="Drills that are run again and again: does a page arrive? `tocsin drill` runs one now.",
    epilog=examples(
        "tocsin drills save payments-weekly payments --at 09:30 --days mon --zone Europe/Lisbon",
        "tocsin drills list",
        "tocsin drills runs",
    ),
)


@app.command("list", epilog=examples("tocsin drills list"))
def list_drills(
    utc: UtcOption = False,
    limit: LimitOption = 100,
    cursor: CursorOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List scheduled drills by name."""
    with Server(url, key_file) as server:
        page = server.get("/drills", limit=limit, cursor=cursor)
    print_page(
        page,
        ["Name", "Service", "State", "When", "Within", "Next"],
        (
            [
                one["name"],
                one["service"],
                styled("on" if one["enabled"] else "off", STATE_STYLES),
                _times(one),
                duration(one["within_s"]),
                when(one["next_at"], utc=utc),
            ]
            for one in page.data["items"]
        ),
        flexible=["When"],
        empty="No drills: nothing tries whether a page arrives. tocsin drills save NAME SERVICE --every 7d",
        as_json=as_json,
    )


def _times(drill: dict[str, Any]) -> str:
    if drill["every_s"] is not None:
        return f"every {duration(drill['every_s'])}"
    days = ", ".join(drill["weekdays"]) or "every day"
    return f"at {drill['at']} ({drill['time_zone']}), {days}"


@app.command(epilog=examples("tocsin drills show payments-weekly"))
def show(
    name: NameArgument,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one scheduled drill."""
    with Server(url, key_file) as server:
        answer = server.get(f"/drills/{name}")
    if as_json:
        print_json(answer.text)
        return
    drill = answer.data
    print_fields(
        [
            ("name", drill["name"]),
            ("service", drill["service"]),
            ("when", _times(drill)),
            ("next", when(drill["next_at"], utc=utc) or "never: it is off"),
            ("missed after", duration(drill["within_s"])),
            ("changed", f"{when(drill['updated_at'], utc=utc)} by {drill['updated_by']}"),
            ("version", str(drill["version"])),
        ]
    )


@app.command(
    epilog=examples(
        "tocsin drills save payments-weekly payments --at 09:30 --days mon --zone Europe/Lisbon",
        "tocsin drills save search search --every 7d --within 60",
        "tocsin drills save search --off",
    )
)
def save(
    name: NameArgument,
    service: Annotated[str | None, typer.Argument(metavar="SERVICE", help="Whose page is tried.")] = None,
    every: EveryOption = None,
    at: AtOption = None,
    days: DaysOption = None,
    zone: ZoneOption = None,
    within_s: Annotated[
        int | None,
        typer.Option("--within", metavar="SECONDS", help="Missed unless it is delivered so soon.", show_default="120"),
    ] = None,
    on: Annotated[bool | None, typer.Option("--on/--off", help="Run it, or keep it without.")] = None,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Schedule a drill, or change the one of that name: what is not said stays as it is.

    One that is missed opens a ticket, which pages as any other does. Real people are called: say so before.
    """
    said = given(service=service, within_s=within_s, enabled=on) | times(every, at, days, zone)
    with Server(url, key_file) as server:
        if server.find(f"/drills/{name}") is None and (service is None or (every is None and at is None)):
            raise WrongUsage(detail=f"there is no drill {name}; a new one needs a SERVICE, and --every or --at")
        answer = schedule(server, name, said)
    tell_schedule(answer, utc=utc, as_json=as_json)


def times(every: str | None, at: str | None, days: str | None, zone: str | None) -> dict[str, Any]:
    """When a drill is run, as far as that is said. Raises WrongUsage."""
    if every is not None and (at is not None or days is not None):
        raise WrongUsage(detail="--every is one way to say when, --at with --days another; give one of them")
    said = given(every_s=seconds("--every", every), at=at, weekdays=listed(days), time_zone=zone)
    if every is not None:
        return said | {"at": None, "weekdays": []}
    return said if at is None else said | {"every_s": None}


def schedule(server: Server, name: str, said: dict[str, Any]) -> Answer:
    """Save a drill's schedule."""
    _, answer = put(server, f"/drills/{name}", said, shown_only=("next_at",))
    return answer


def tell_schedule(answer: Answer, *, utc: bool, as_json: bool) -> None:
    drill = answer.data
    following = f"next {when(drill['next_at'], utc=utc)}" if drill["next_at"] else "off"
    tell(answer, f"Drill {drill['name']} of {drill['service']}: {_times(drill)}; {following}.", as_json=as_json)


@app.command(epilog=examples("tocsin drills remove payments-weekly"))
def remove(
    name: NameArgument, url: UrlOption = DEFAULT_URL, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Run a drill no longer. What its runs came to stays."""
    with Server(url, key_file) as server:
        answer = server.ask("DELETE", f"/drills/{name}")
    tell(answer, f"Drill {name} is scheduled no longer.", as_json=as_json)


@app.command(epilog=examples("tocsin drills runs"))
def runs(
    utc: UtcOption = False,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what came of each run of a drill, the newest first."""
    with Server(url, key_file) as server:
        page = server.get("/drill-runs", limit=limit, cursor=cursor)
    print_page(
        page,
        ["Id", "Began", "Drill", "Service", "State", "Ticket", "Over", "Took"],
        (
            [
                str(one["id"]),
                when(one["began_at"], utc=utc),
                one["name"] or "by hand",
                one["service"],
                styled(one["state"], STATE_STYLES),
                str(one["ticket_id"] or ""),
                one["via"] or "",
                next((f"{step['after_s']:.2f} s" for step in one["steps"] if step["step"] == "delivered"), ""),
            ]
            for one in page.data["items"]
        ),
        flexible=["Service"],
        empty="No drill was run. tocsin drill SERVICE",
        as_json=as_json,
    )
