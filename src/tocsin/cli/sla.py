"""`tocsin sla`: the calendars and policies that tickets' clocks run by, and a calendar that is only tried."""

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
from tocsin.cli.each import each
from tocsin.cli.exits import WrongUsage
from tocsin.cli.given import json_object, listed, pairs, savable, seconds
from tocsin.cli.output import duration, print_fields, print_json, when
from tocsin.cli.remote import Server

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

CalendarArgument = Annotated[str, typer.Argument(metavar="NAME", help="The calendar's name.")]
PolicyArgument = Annotated[str, typer.Argument(metavar="NAME", help="The policy's name.")]
NamesArgument = Annotated[list[str], typer.Argument(metavar="NAME...", min=1, help="One or several.")]
ZoneOption = Annotated[
    str | None, typer.Option("--zone", "-z", metavar="ZONE", help="Of the IANA database: Europe/Lisbon.")
]
HoursOption = Annotated[
    list[str] | None,
    typer.Option("--hours", metavar="DAYS=SPANS", help="mon-fri=09:00-13:00,14:00-18:00; several times."),
]
HolidaysOption = Annotated[
    str | None, typer.Option("--holidays", metavar="COUNTRY", help="Public holidays are days off: PT, or DE-BY.")
]
DayOption = Annotated[
    list[str] | None,
    typer.Option("--day", metavar="DATE=SPANS", help="A day of one's own: 2026-12-24=09:00-13:00, or =off."),
]

app = make_app(
    help="The calendars and policies that tickets' clocks run by.",
    epilog=examples("tocsin sla policies list", "tocsin sla try --hours mon-fri=09:00-17:00 --target 4h"),
)
calendars = make_app(help="When somebody works: hours, holidays, days of one's own.")
policies = make_app(help="Within how long which tickets are to be acknowledged and resolved.")
app.add_typer(calendars, name="calendars")
app.add_typer(policies, name="policies")


@calendars.command("list", epilog=examples("tocsin sla calendars list"))
def list_calendars(
    limit: LimitOption = 100,
    cursor: CursorOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List calendars by name."""
    with Server(url, key_file) as server:
        page = server.get("/sla/calendars", limit=limit, cursor=cursor)
    print_page(
        page,
        ["Name", "Zone", "Holidays", "Hours"],
        ([one["name"], one["time_zone"], _holidays(one) or "-", _hours(one)] for one in page.data["items"]),
        flexible=["Hours"],
        empty="No calendars: clocks run around the clock. tocsin sla calendars save office --hours mon-fri=09-17",
        as_json=as_json,
    )


@calendars.command("show", epilog=examples("tocsin sla calendars show office"))
def show_calendar(
    name: CalendarArgument,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one calendar."""
    with Server(url, key_file) as server:
        answer = server.get(f"/sla/calendars/{name}")
    if as_json:
        print_json(answer.text)
        return
    one = answer.data
    days = [f"{day} {_spans(spans) or 'off'}" for day, spans in one["days"].items()]
    print_fields(
        [
            ("name", one["name"]),
            ("version", str(one["version"])),
            ("time zone", one["time_zone"]),
            *((day, _spans(one["hours"].get(day, [])) or "-") for day in _DAYS),
            ("holidays", _holidays(one)),
            ("own days", "\n".join(days)),
            ("changed", f"{when(one['updated_at'], utc=utc)} by {one['updated_by']}"),
        ]
    )


@calendars.command(
    "save",
    epilog=examples(
        "tocsin sla calendars save office -z Europe/Lisbon --hours mon-fri=09:00-13:00,14:00-18:00 --holidays PT",
        "tocsin sla calendars save night --hours mon-sun=22:00-06:00 --day 2026-12-24=off",
        "tocsin sla calendars show office --json | tocsin sla calendars save office-2 --file -",
    ),
)
def save_calendar(
    name: CalendarArgument,
    file: FileOption = None,
    zone: ZoneOption = None,
    hours: HoursOption = None,
    holidays: HolidaysOption = None,
    day: DayOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a calendar, or replace the one of that name. What is not said has its default."""
    body = _calendar(file, zone, hours, holidays, day)
    with Server(url, key_file) as server:
        answer = server.ask("PUT", f"/sla/calendars/{name}", json=body)
    tell(answer, _calendar_line(answer.data, f"version {answer.data['version']}"), as_json=as_json)


def _calendar_line(one: dict[str, Any], state: str) -> str:
    return f"Calendar {one['name']} ({state}, {one['time_zone']}): {_hours(one)}"


@calendars.command(
    "remove", epilog=examples("tocsin sla calendars remove office", "tocsin sla calendars remove office --force")
)
def remove_calendars(
    names: NamesArgument,
    force: ForceOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove calendars that no policy uses; tickets that run by them go on. By --force also one that a route or
    notification rules name."""
    _remove("calendars", names, url, key_file, as_json=as_json, force=force)


@policies.command("list", epilog=examples("tocsin sla policies list"))
def list_policies(
    limit: LimitOption = 100,
    cursor: CursorOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List SLA policies by name."""
    with Server(url, key_file) as server:
        page = server.get("/sla/policies", limit=limit, cursor=cursor)
    print_page(
        page,
        ["Name", "Acknowledge", "Resolve", "Calendar", "About"],
        (_policy_row(one) for one in page.data["items"]),
        flexible=["About"],
        empty="No SLA policies: tickets have no clocks. tocsin sla policies save urgent -p P1 --ack 15m --resolve 4h",
        as_json=as_json,
    )


def _policy_row(one: dict[str, Any]) -> list[Any]:
    targets = [_target(one, name) for name in ("acknowledge_s", "resolve_s")]
    return [one["name"], *targets, one["calendar"] or "24x7", _about(one)]


@policies.command("show", epilog=examples("tocsin sla policies show urgent"))
def show_policy(
    name: PolicyArgument,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one SLA policy."""
    with Server(url, key_file) as server:
        answer = server.get(f"/sla/policies/{name}")
    if as_json:
        print_json(answer.text)
        return
    one = answer.data
    print_fields(
        [
            ("name", one["name"]),
            ("version", str(one["version"])),
            ("acknowledge within", duration(one["acknowledge_s"])),
            ("resolve within", duration(one["resolve_s"])),
            ("reckoned by", one["calendar"] or "the clock, day and night"),
            ("at risk", _at_risk(one)),
            ("about", _about(one)),
            ("description", one["description"]),
            ("changed", f"{when(one['updated_at'], utc=utc)} by {one['updated_by']}"),
        ]
    )


@policies.command(
    "save",
    epilog=examples(
        "tocsin sla policies save urgent -p P1,P2 --ack 15m --resolve 4h",
        "tocsin sla policies save payments --service payments --resolve 8h --calendar office --at-risk-left 1h",
        "tocsin sla policies show urgent --json | tocsin sla policies save urgent-2 --file - -p P3",
    ),
)
def save_policy(
    name: PolicyArgument,
    file: FileOption = None,
    acknowledge: Annotated[
        str | None, typer.Option("--ack", metavar="TIME", help="To acknowledge within: 900, 15m, 4h, 2d.")
    ] = None,
    resolve: Annotated[str | None, typer.Option("--resolve", metavar="TIME", help="To resolve within.")] = None,
    priority: Annotated[
        str | None, typer.Option("--priority", "-p", help="Of which priorities: P1,P2.", show_default="all")
    ] = None,
    service: Annotated[list[str] | None, typer.Option("--service", "-s", help="About it; several times.")] = None,
    team: Annotated[list[str] | None, typer.Option("--team", help="About its services; several times.")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="Of the rule that opened the ticket.")
    ] = None,
    calendar: Annotated[
        str | None, typer.Option("--calendar", "-c", help="To reckon by.", show_default="day and night")
    ] = None,
    at_risk: Annotated[
        float | None,
        typer.Option("--at-risk", metavar="SHARE", help="At risk from such a share on.", show_default="0.75"),
    ] = None,
    at_risk_left: Annotated[
        str | None, typer.Option("--at-risk-left", metavar="TIME", help="... or when so much is left.")
    ] = None,
    description: Annotated[str | None, typer.Option("--description", "-d", help="What to know about it.")] = None,
    require_resolution: Annotated[
        bool | None,
        typer.Option("--require-resolution/--no-require-resolution", help="Resolving takes a code and a note."),
    ] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an SLA policy, or replace the one of that name. What is not said has its default."""
    body = {} if file is None else savable(json_object(file))
    said = {
        "acknowledge_s": seconds("--ack", acknowledge),
        "resolve_s": seconds("--resolve", resolve),
        "priorities": listed(priority),
        "services": service or None,
        "teams": team or None,
        "labels": pairs("--label", label),
        "calendar": calendar,
        "at_risk_share": at_risk,
        "at_risk_left_s": seconds("--at-risk-left", at_risk_left),
        "description": description,
        "require_resolution": require_resolution,
    }
    body |= {field: value for field, value in said.items() if value is not None}
    with Server(url, key_file) as server:
        answer = server.ask("PUT", f"/sla/policies/{name}", json=body)
    tell(answer, _policy_line(answer.data, f"version {answer.data['version']}"), as_json=as_json)


def _policy_line(one: dict[str, Any], state: str) -> str:
    targets = f"acknowledge {_target(one, 'acknowledge_s')}, resolve {_target(one, 'resolve_s')}"
    return f"SLA policy {one['name']} ({state}): {targets}, about {_about(one)}"


@policies.command("remove", epilog=examples("tocsin sla policies remove urgent"))
def remove_policies(
    names: NamesArgument, url: UrlOption = DEFAULT_URL, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Remove SLA policies; tickets that opened under them keep their clocks."""
    _remove("policies", names, url, key_file, as_json=as_json)


@app.command(
    "try",
    epilog=examples(
        "tocsin sla try --hours mon-fri=09:00-17:00 -z Europe/Lisbon --holidays PT --target 4h",
        "tocsin sla try --calendar office --start 2026-12-23T17:30Z --end 2026-12-28T10:00Z",
        "tocsin sla try --calendar office --target 8h --pause 2026-12-24T10:00Z/2026-12-24T11:00Z",
    ),
)
def try_calendar(
    calendar: Annotated[
        str | None, typer.Option("--calendar", "-c", metavar="NAME", help="One that is kept, with what is said here.")
    ] = None,
    file: FileOption = None,
    zone: ZoneOption = None,
    hours: HoursOption = None,
    holidays: HolidaysOption = None,
    day: DayOption = None,
    start: Annotated[
        str | None, typer.Option("--start", metavar="TIME", help="From when, RFC 3339.", show_default="now")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", "-t", metavar="TIME", help="When is it due? 900, 15m, 4h, 2d.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--end", metavar="TIME", help="How much working time is it until then?")
    ] = None,
    pause: Annotated[
        list[str] | None, typer.Option("--pause", metavar="FROM/UNTIL", help="What does not count; several times.")
    ] = None,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Reckon with a calendar before it is used: when a target is due, or how much working time there was."""
    with Server(url, key_file) as server:
        kept = {} if calendar is None else savable(server.get(f"/sla/calendars/{calendar}").data)
        body: dict[str, Any] = {
            "calendar": kept | _calendar(file, zone, hours, holidays, day, whole=calendar is None),
            "start": start or datetime.now(UTC).isoformat(),
            "pauses": [_pause(text) for text in pause or ()],
        }
        said = {"target_s": seconds("--target", target), "end": end}
        body |= {field: value for field, value in said.items() if value is not None}
        answer = server.post("/sla/calendars/try", body)
    if as_json:
        print_json(answer.text)
        return
    found = answer.data
    if end is not None:
        typer.echo(f"{duration(found['elapsed_s'])} of working time ({found['elapsed_s']:g} s)")
    else:
        due = found["due_at"]
        typer.echo(f"Due {when(due, utc=utc)}" if due else "Never due: a pause without an end comes before.")
    typer.echo("Working time:")
    for span in found["working"]:
        typer.echo(f"  {when(span['start'], utc=utc)} to {when(span['end'], utc=utc)}")


def _calendar(
    file: str | None,
    zone: str | None,
    hours: list[str] | None,
    holidays: str | None,
    day: list[str] | None,
    *,
    whole: bool = True,
) -> dict[str, Any]:
    """A calendar's JSON from what was said; with `whole`, what was not has its default."""
    body: dict[str, Any] = {"time_zone": "UTC", "hours": {}} if whole else {}
    body |= {} if file is None else savable(json_object(file))
    if zone is not None:
        body["time_zone"] = zone
    if hours:
        body["hours"] = {}
        for text in hours:
            days, _, spans = text.partition("=")
            body["hours"] |= dict.fromkeys(_weekdays(days, text), _read_spans("--hours", text, spans))
    if holidays is not None:
        country, _, part = holidays.partition("-")
        body["holidays"] = {"country": country.upper(), "subdivision": part or None}
    own = pairs("--day", day, "2026-12-24=09:00-13:00 or 2026-12-24=off")
    if own:
        body["days"] = {
            date: [] if spans == "off" else _read_spans("--day", f"{date}={spans}", spans)
            for date, spans in own.items()
        }
    return body


def _weekdays(text: str, whole: str) -> list[str]:
    found: list[str] = []
    for part in text.lower().split(","):
        first, _, last = part.strip().partition("-")
        last = last or first
        if first not in _DAYS or last not in _DAYS:
            raise WrongUsage(detail=f"--hours {whole!r}: expected days and spans, such as mon-fri=09:00-17:00")
        begin, end = _DAYS.index(first), _DAYS.index(last)
        found += _DAYS[begin : end + 1] if begin <= end else _DAYS[begin:] + _DAYS[: end + 1]
    return found


def _read_spans(option: str, whole: str, text: str) -> list[list[str]]:
    spans = [[_time(end) for end in part.strip().split("-")] for part in text.split(",")]
    if any(len(span) != 2 for span in spans):
        raise WrongUsage(detail=f"{option} {whole!r}: expected spans, such as 09:00-13:00,14:00-18:00")
    return spans


def _time(text: str) -> str:
    return f"{int(text):02}:00" if text.isdecimal() else text


def _pause(text: str) -> dict[str, str | None]:
    start, _, end = text.partition("/")
    return {"start": start, "end": end or None}


def _remove(what: str, names: list[str], url: str, key_file: str | None, *, as_json: bool, force: bool = False) -> None:
    line = _policy_line if what == "policies" else _calendar_line
    with Server(url, key_file) as server:
        each(
            names,
            lambda name: server.remove(f"/sla/{what}/{name}", force=force),
            lambda answer: tell(answer, line(answer.data, "removed"), as_json=False),
            as_json=as_json,
        )


def _spans(spans: list[list[str]]) -> str:
    return ", ".join("-".join(span) for span in spans)


def _hours(one: dict[str, Any]) -> str:
    """The hours of a week; days in a row that are alike stand together."""
    runs: list[tuple[str, str, str]] = []
    for day in _DAYS:
        spans = _spans(one["hours"].get(day, []))
        if runs and runs[-1][2] == spans and _DAYS.index(runs[-1][1]) + 1 == _DAYS.index(day):
            runs[-1] = runs[-1][0], day, spans
        else:
            runs.append((day, day, spans))
    return "; ".join(f"{a if a == b else f'{a}-{b}'} {spans}" for a, b, spans in runs if spans)


def _holidays(one: dict[str, Any]) -> str:
    holidays = one["holidays"]
    return "" if holidays is None else "-".join(filter(None, (holidays["country"], holidays["subdivision"])))


def _target(one: dict[str, Any], name: str) -> str:
    return duration(one[name]) or "-"


def _at_risk(one: dict[str, Any]) -> str:
    if one["at_risk_left_s"] is not None:
        return f"when {duration(one['at_risk_left_s'])} are left"
    return f"from {one['at_risk_share']:.3g} of a target on"


def _about(one: dict[str, Any]) -> str:
    parts = [", ".join(one["priorities"])]
    parts += [f"service {' or '.join(one['services'])}"] if one["services"] else []
    parts += [f"team {' or '.join(one['teams'])}"] if one["teams"] else []
    parts += [f"{name}={value}" for name, value in one["labels"].items()]
    return "; ".join(part for part in parts if part) or "any ticket"
