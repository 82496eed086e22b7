"""`tocsin schedules`: on-call schedules: list, show, save, try, override, swap, problems, load, calendar."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from tocsin.cli.answers import print_page, tell
from tocsin.cli.command import (
    DEFAULT_URL,
    CursorOption,
    FileOption,
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
from tocsin.cli.given import instant, json_object, savable
from tocsin.cli.output import duration, print_fields, print_json, print_table, printable, styled, when
from tocsin.cli.remote import Answer, Server

_EVERY: Final = re.compile(r"(\d{0,4})\s*(h|d|w|m|hourly|daily|weekly|monthly)")
_FREQUENCIES: Final = {"h": "hourly", "d": "daily", "w": "weekly", "m": "monthly"}
PROBLEM_STYLES: Final = {"gap": "bold red", "removed": "bold red", "unknown": "bold red", "away": "yellow"}

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.")]
ZoneOption = Annotated[
    str | None, typer.Option("--zone", "-z", metavar="ZONE", help="Of the IANA database.", show_default="UTC")
]
UsersOption = Annotated[
    str | None, typer.Option("--users", "-u", help="Whose turns follow each other: ana,rui+eva (two together).")
]
EveryOption = Annotated[
    str | None, typer.Option("--every", "-e", metavar="TURN", help="hourly, daily, weekly, monthly, 12h, 2d, 2w, 3m.")
]
StartOption = Annotated[
    str | None,
    typer.Option("--start", metavar="TIME", help="A hand-off on the zone's clock.", show_default="today at 09:00"),
]
HoursOption = Annotated[
    list[str] | None,
    typer.Option("--hours", metavar="DAYS=SPAN", help="Only then: mon-fri=09:00-17:00; several times."),
]
SinceOption = Annotated[str | None, typer.Option("--since", metavar="TIME", help="A date or time.", show_default="now")]
UntilOption = Annotated[
    str | None,
    typer.Option("--until", metavar="TIME", help="A date or time, or 30d from now.", show_default="in 14 days"),
]
FromOption = Annotated[str, typer.Option("--from", metavar="TIME", help="A date or time, or 2h from now.")]
EndOption = Annotated[str, typer.Option("--until", metavar="TIME", help="A date or time, or 4h from now.")]
ReasonOption = Annotated[str, typer.Option("--reason", "-r", help="Why, for whoever asks.")]
IdArgument = Annotated[int, typer.Argument(metavar="ID", min=1, help="The override's id.")]

app = make_app(
    help="On-call schedules: whose turn it is, what is wrong, and what to change for a while.",
    epilog=examples(
        "tocsin schedules save payments --users ana,rui --every weekly --zone Europe/Lisbon",
        "tocsin schedules override payments --from 2026-11-28T18:00 --until 2026-11-28T22:00 --remove ana --add rui",
        "tocsin schedules problems payments",
    ),
)


@app.command("list", epilog=examples("tocsin schedules list"))
def list_schedules(
    limit: LimitOption = 100,
    cursor: CursorOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List schedules by name."""
    with Server(url, key_file) as server:
        page = server.get("/schedules", limit=limit, cursor=cursor)
    print_page(
        page,
        ["Name", "Zone", "Layers"],
        ([one["name"], one["time_zone"], "; ".join(map(_layer, one["layers"])) or "-"] for one in page.data["items"]),
        flexible=["Layers"],
        empty="No schedules: nobody is on call. tocsin schedules save NAME --users ana,rui --every weekly",
        as_json=as_json,
    )


def _layer(layer: dict[str, Any]) -> str:
    people = ", ".join(one if isinstance(one, str) else " + ".join(one) for one in layer["users"])
    turning = layer["rotation"]
    if turning is None:
        return f"{layer['name']}: {people}"
    number = turning["interval"]
    how = turning["frequency"] if number == 1 else f"{turning['frequency']} x {number}"
    return f"{layer['name']}: {people}, {how} from {turning['start']}"


@app.command(epilog=examples("tocsin schedules show payments"))
def show(
    name: NameArgument,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one schedule, who is on call by it, and its overrides."""
    with Server(url, key_file) as server:
        answer = server.get(f"/schedules/{name}")
        if as_json:
            print_json(answer.text)
            return
        now = server.get(f"/schedules/{name}/on-call").data
        overrides = server.get(f"/schedules/{name}/overrides").data["items"]
    one = answer.data
    print_fields(
        [
            ("name", one["name"]),
            ("description", one["description"]),
            ("version", str(one["version"])),
            ("time zone", one["time_zone"]),
            ("on call", ", ".join(user["name"] for user in now["users"]) or "nobody"),
            ("until", when(now["until"], utc=utc)),
            ("layers", "\n".join(map(_layer, one["layers"])) or "none: nobody is on call"),
            ("overrides", "\n".join(_override(row, utc=utc) for row in overrides)),
            ("calendar", "has a secret address" if one["has_calendar"] else ""),
            ("changed", f"{when(one['updated_at'], utc=utc)} by {one['updated_by']}"),
        ]
    )


def _override(row: dict[str, Any], *, utc: bool) -> str:
    span = f"{row['id']}: {when(row['start'], utc=utc)} to {when(row['end'], utc=utc)}"
    if row["kind"] == "temporary":
        what = f"temporary schedule of {len(row['shifts'])} shifts"
    elif row["add"] and row["remove"]:
        what = f"{row['add']} in the place of {row['remove']}"
    else:
        what = f"{row['add']} as well" if row["add"] else f"without {row['remove']}"
    return f"{span} {what}" + (f" ({row['reason']})" if row["reason"] else "")


@app.command(
    epilog=examples(
        "tocsin schedules save payments --users ana,rui --every weekly --start 2026-11-30T09:00 --zone Europe/Lisbon",
        "tocsin schedules save office --users ana,rui --every daily --hours mon-fri=09:00-17:00",
        "tocsin schedules show payments --json | tocsin schedules save payments-2 --file -",
    )
)
def save(
    name: NameArgument,
    file: FileOption = None,
    zone: ZoneOption = None,
    users: UsersOption = None,
    every: EveryOption = None,
    start: StartOption = None,
    hours: HoursOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a schedule of one layer, or of a file; or replace the one of that name, from now on."""
    body = _schedule(file, zone, users, every, start, hours)
    with Server(url, key_file) as server:
        answer = server.ask("PUT", f"/schedules/{name}", json=body)
    one = answer.data
    layers = "; ".join(map(_layer, one["layers"])) or "nobody"
    tell(answer, f"Schedule {one['name']} (version {one['version']}, {one['time_zone']}): {layers}", as_json=as_json)


@app.command(
    epilog=examples(
        "tocsin schedules preview --users ana,rui --every weekly --until 60d",
        "tocsin schedules preview --file payments.json --since 2026-12-01 --until 2027-01-01",
    )
)
def preview(
    file: FileOption = None,
    zone: ZoneOption = None,
    users: UsersOption = None,
    every: EveryOption = None,
    start: StartOption = None,
    hours: HoursOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try a schedule: who would be on call, and when nobody would. Nothing is kept."""
    body = {
        "schedule": _schedule(file, zone, users, every, start, hours),
        "since": instant("--since", since or "now"),
        "until": instant("--until", until or "14d"),
    }
    with Server(url, key_file) as server:
        answer = server.post("/schedules/preview", body)
    _print_shifts(answer, utc=utc, as_json=as_json)
    if not as_json and answer.data["unknown_users"]:
        typer.echo(printable(f"There are no users {', '.join(answer.data['unknown_users'])}."))


@app.command(epilog=examples("tocsin schedules shifts payments --until 30d", "tocsin schedules shifts payments -u ana"))
def shifts(
    name: NameArgument,
    since: SinceOption = None,
    until: UntilOption = None,
    user: Annotated[str | None, typer.Option("--user", "-u", help="Of that person alone.")] = None,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the final schedule: what was, and what is to come."""
    window = {"since": instant("--since", since), "until": instant("--until", until)}
    with Server(url, key_file) as server:
        answer = server.get(f"/schedules/{name}/shifts", user=user, **window)
    _print_shifts(answer, utc=utc, as_json=as_json)


def _print_shifts(answer: Answer, *, utc: bool, as_json: bool) -> None:
    if as_json:
        print_json(answer.text)
        return
    rows = [
        (one["start"], one["end"], ", ".join(one["users"]), one["layer"] or f"override {one['override_id'] or '-'}")
        for one in answer.data["shifts"]
    ]
    rows += [(gap["start"], gap["end"], "nobody", "gap") for gap in answer.data["gaps"]]
    if not rows:
        typer.echo("Nobody is on call in that time, and nobody should be.")
        return
    print_table(
        ["From", "Until", "On call", "By"],
        ([when(start, utc=utc), when(end, utc=utc), who, by] for start, end, who, by in sorted(rows)),
        flexible=["On call"],
    )


@app.command(
    epilog=examples(
        "tocsin schedules override payments --from 2h --until 6h --remove ana --add rui --reason dentist",
        "tocsin schedules override payments --from 2026-11-28T09:00 --until 2026-11-28T17:00 --add eva",
    )
)
def override(
    name: NameArgument,
    start: FromOption,
    end: EndOption,
    add: Annotated[
        str | None, typer.Option("--add", help="Who is on call as well, or in the place of --remove.")
    ] = None,
    remove: Annotated[str | None, typer.Option("--remove", help="Who is not on call.")] = None,
    reason: ReasonOption = "",
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add, remove or replace one person for a while."""
    body = {
        "start": instant("--from", start),
        "end": instant("--until", end),
        "add": add,
        "remove": remove,
        "reason": reason,
    }
    with Server(url, key_file) as server:
        answer = server.post(f"/schedules/{name}/overrides", body)
    tell(answer, f"Override {_override(answer.data, utc=utc)}", as_json=as_json)


@app.command(
    epilog=examples(
        "tocsin schedules swap payments --give ana=2026-11-30T09:00/2026-12-07T09:00 "
        "--take rui=2026-12-07T09:00/2026-12-14T09:00"
    )
)
def swap(
    name: NameArgument,
    give: Annotated[str, typer.Option("--give", metavar="USER=FROM/UNTIL", help="What the one gives away.")],
    take: Annotated[str, typer.Option("--take", metavar="USER=FROM/UNTIL", help="What the other gives for it.")],
    reason: ReasonOption = "",
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let two people take each other's place."""
    body = {"give": _part("--give", give), "take": _part("--take", take), "reason": reason}
    with Server(url, key_file) as server:
        answer = server.post(f"/schedules/{name}/swaps", body)
    if as_json:
        print_json(answer.text)
        return
    for row in answer.data["overrides"]:
        typer.echo(printable(f"Override {_override(row, utc=utc)}"))


def _part(option: str, text: str, now: datetime | None = None) -> dict[str, str | None]:
    found = re.fullmatch(r"([^=]+)=([^/]+)/(.+)", text)
    if found is None:
        raise WrongUsage(detail=f"{option} {text!r}: expected such as ana=2026-11-30T09:00/2026-12-07T09:00")
    return {"user": found[1], "start": instant(option, found[2], now), "end": instant(option, found[3], now)}


@app.command(
    epilog=examples(
        "tocsin schedules temporary payments --from 2026-12-24T08:00 --until 2026-12-27T08:00 "
        "--shift ana=2026-12-24T08:00/2026-12-26T08:00 --shift rui=2026-12-26T08:00/2026-12-27T08:00",
    )
)
def temporary(
    name: NameArgument,
    start: FromOption,
    end: EndOption,
    shift: Annotated[
        list[str] | None,
        typer.Option("--shift", metavar="USERS=FROM/UNTIL", help="Who has it, ana or ana+rui; many times."),
    ] = None,
    reason: ReasonOption = "",
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put shifts that are written down in the place of all layers for a while; what they leave empty is empty."""
    now = datetime.now(UTC)
    parts = [_part("--shift", text, now) for text in shift or ()]
    body = {
        "start": instant("--from", start, now),
        "end": instant("--until", end, now),
        "shifts": [
            {"users": str(part["user"]).split("+"), "start": part["start"], "end": part["end"]} for part in parts
        ],
        "reason": reason,
    }
    with Server(url, key_file) as server:
        answer = server.post(f"/schedules/{name}/temporary", body)
    tell(answer, f"Override {_override(answer.data, utc=utc)}", as_json=as_json)


@app.command("end-override", epilog=examples("tocsin schedules end-override payments 3"))
def end_override(
    name: NameArgument,
    override_id: IdArgument,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """End an override or a temporary schedule now; one that has not begun never holds."""
    with Server(url, key_file) as server:
        answer = server.ask("DELETE", f"/schedules/{name}/overrides/{override_id}")
    tell(answer, f"Ended: override {_override(answer.data, utc=utc)}", as_json=as_json)


@app.command(epilog=examples("tocsin schedules problems payments"))
def problems(
    name: NameArgument,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show gaps, people who are away or booked twice, and overrides without effect, in the next 90 days."""
    with Server(url, key_file) as server:
        answer = server.get(f"/schedules/{name}/problems")
    print_page(
        answer,
        ["What", "From", "Until", "Who", "Note"],
        (_problem(one, utc=utc) for one in answer.data["items"]),
        flexible=["Note"],
        empty=printable(f"Nothing is wrong with {name} in the next 90 days."),
        as_json=as_json,
    )


def _problem(one: dict[str, Any], *, utc: bool) -> list[Any]:
    kind = styled(one["kind"].replace("_", " "), PROBLEM_STYLES)
    note = one["note"] or (f"also {one['other']}" if one["other"] else "")
    if one["override_id"] is not None:
        note = f"override {one['override_id']}"
    return [kind, when(one["start"], utc=utc), when(one["end"], utc=utc), one["user"] or "nobody", note]


@app.command(epilog=examples("tocsin schedules load payments --since 2026-10-01 --until 2027-01-01"))
def load(
    name: NameArgument,
    since: SinceOption = None,
    until: UntilOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show who bears how much: hours, nights, weekends."""
    window = {"since": instant("--since", since), "until": instant("--until", until)}
    with Server(url, key_file) as server:
        answer = server.get(f"/schedules/{name}/load", **window)
    print_page(
        answer,
        ["Who", "Shifts", "On call", "Nights", "... time", "Weekends", "... time"],
        (_load(one) for one in answer.data["items"]),
        flexible=["Who"],
        empty="Nobody is on call in that time.",
        as_json=as_json,
    )


def _load(one: dict[str, Any]) -> list[str]:
    night, weekend = duration(one["night_s"]), duration(one["weekend_s"])
    counts = [str(one["nights"]), night, str(one["weekends"]), weekend]
    return [one["user"], str(one["shifts"]), duration(one["on_call_s"]), *counts]


@app.command(epilog=examples("tocsin schedules calendar payments", "tocsin schedules calendar payments --revoke"))
def calendar(
    name: NameArgument,
    revoke: Annotated[bool, typer.Option("--revoke", help="Make the address no longer good.")] = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the secret address for calendar programs; an earlier one is no longer good."""
    with Server(url, key_file) as server:
        answer = server.post(f"/schedules/{name}/calendar/revoke" if revoke else f"/schedules/{name}/calendar", {})
    if as_json:
        print_json(answer.text)
        return
    if revoke:
        typer.echo(printable(f"The calendar of {name} has no address any more."))
        return
    typer.echo(f"{server.url}{answer.data['path']}")
    typer.echo(
        "It is shown this once. Calendar programs look for changes when they like: Google's, once or twice a day."
    )


@app.command(epilog=examples("tocsin schedules remove payments", "tocsin schedules remove payments --force"))
def remove(
    name: NameArgument,
    force: ForceOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a schedule that no route or escalation policy calls: nobody is on call by it from now on. What is past
    stays."""
    with Server(url, key_file) as server:
        answer = server.remove(f"/schedules/{name}", force=force)
    tell(answer, f"Schedule {name} is removed: nobody is on call by it from now on.", as_json=as_json)


def _schedule(
    file: str | None,
    zone: str | None,
    users: str | None,
    every: str | None,
    start: str | None,
    hours: list[str] | None,
) -> dict[str, Any]:
    """A schedule's JSON from what was said: of a file, or of one layer."""
    if (file is None) == (users is None):
        raise WrongUsage(detail="say --users and --every, or --file")
    body: dict[str, Any] = {"time_zone": "UTC"} if file is None else savable(json_object(file), "has_calendar")
    if zone is not None:
        body["time_zone"] = zone
    if users is not None:
        layer: dict[str, Any] = {"name": "main", "users": [_group(part) for part in users.split(",")]}
        if every is not None:
            layer["rotation"] = _rotation(every, start)
        layer["restrictions"] = [_restriction(text) for text in hours or ()]
        body["layers"] = [layer]
    elif every is not None or start is not None or hours:
        raise WrongUsage(detail="--every, --start and --hours go with --users, not with --file")
    return body


def _group(text: str) -> str | list[str]:
    names = [name.strip() for name in text.split("+")]
    return names[0] if len(names) == 1 else names


def _rotation(every: str, start: str | None) -> dict[str, Any]:
    found = _EVERY.fullmatch(every.strip().lower())
    if found is None:
        raise WrongUsage(
            detail=f"--every {every!r}: expected hourly, daily, weekly, monthly, or such as 12h, 2d, 2w, 3m"
        )
    today = f"{datetime.now().astimezone():%Y-%m-%d}T09:00"
    frequency = _FREQUENCIES[found[2][0]]
    return {"frequency": frequency, "interval": int(found[1] or 1), "start": start or today}


def _restriction(text: str) -> dict[str, Any]:
    days, given, span = text.partition("=")
    ends = [end.strip() for end in span.split("-")]
    if not given or len(ends) != 2:
        raise WrongUsage(detail=f"--hours {text!r}: expected such as mon-fri=09:00-17:00")
    return {"weekdays": [day.strip() for day in days.split(",")], "times": [ends]}
