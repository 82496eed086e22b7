"""`tocsin reports`: what tickets add up to, as tables with bars, as CSV, or as the API's JSON."""

from typing import Annotated, Any, Final

import typer
from rich.text import Text

from tocsin.cli.command import DEFAULT_URL, JsonOption, KeyFileOption, UrlOption, examples, make_app
from tocsin.cli.exits import WrongUsage
from tocsin.cli.logfilter import QueryArgument
from tocsin.cli.output import PRIORITY_STYLES, duration, print_fields, print_json, print_table, printable, styled, when
from tocsin.cli.remote import Server

BAR_WIDTH: Final = 24
_GROUPS: Final = "priority, service, team, assignee, rule, opened_by, source, status, hour_of_week, day, month"
_CULPRITS: Final = "rule, service, team, assignee, priority, source"
_RANKS: Final = "tickets, time, breaches, reopened, recurrences"
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"

ByOption = Annotated[str | None, typer.Option("--by", "-b", help=f"Groups: {_GROUPS}.")]
SinceOption = Annotated[str | None, typer.Option("--since", help="Opened from then on: 30d, 2026-01-01. Without, all.")]
UntilOption = Annotated[str | None, typer.Option("--until", help="Opened before then; by default now.")]
ZoneOption = Annotated[str | None, typer.Option("--zone", "-z", help="For hours, days and months; by default UTC.")]
CalendarOption = Annotated[
    str | None, typer.Option("--calendar", "-c", help="Working time by this one, not that of each ticket's policy.")
]
WorkingOption = Annotated[bool, typer.Option("--working", "-w", help="Times in working time, not on the wall.")]
SourceOption = Annotated[str | None, typer.Option("--source", help="Only what was imported from there.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print the table as CSV.")]

app = make_app(
    help="What tickets add up to: volume, times, SLA attainment, backlog.",
    epilog=examples(
        "tocsin reports tickets --since 30d --by service",
        "tocsin reports sla --since 30d --by priority",
        "tocsin reports offenders --since 30d --by rule",
        "tocsin reports backlog --by team",
    ),
)


@app.command(
    "tickets",
    epilog=examples(
        "tocsin reports tickets --since 30d --by priority",
        "tocsin reports tickets 'service:payments' --since 2026-01-01 --by hour_of_week --zone Europe/Lisbon",
        "tocsin reports tickets --since 30d --by team --working",
        "tocsin reports tickets --since 7d --by day --csv",
    ),
)
def tickets(
    query: QueryArgument = None,
    by: ByOption = "priority",
    since: SinceOption = None,
    until: UntilOption = None,
    zone: ZoneOption = None,
    source: SourceOption = None,
    calendar: CalendarOption = None,
    working: WorkingOption = False,
    as_csv: CsvOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count the tickets of a period, and how long they took, beside the period before."""
    asked = {"q": query, "by": by, "since": since, "until": until, "zone": zone, "source": source, "calendar": calendar}
    found = _asked("/reports/tickets", asked, url, key_file, as_csv=as_csv, as_json=as_json)
    if found is None or _is_empty(found):
        return
    working = working or calendar is not None
    most = max((one["tickets"] for one in found["items"]), default=0)
    print_table(
        [
            _title(by),
            "Tickets",
            "",
            "Trend",
            "MTTA",
            "MTTR",
            "Median",
            "P90",
            "Reopened",
            "Recurred",
            "Reassigned",
            "SLA",
        ],
        [_row(one, by, most, working) for one in found["items"]]
        + [_row({**found["total"], "key": "all"}, None, 0, working)],
        flexible=[],
    )
    clock = "in working time" if working else "by the clock on the wall"
    typer.echo(f"Opened from {when(found['since'])} until {when(found['until'])}. Times {clock}.")


def _is_empty(found: dict[str, Any]) -> bool:
    """Whether a period has no ticket, which is then said."""
    if found["total"]["tickets"]:
        return False
    typer.echo("No ticket was opened in this period. A longer one: --since 365d")
    return True


def _title(by: str | None) -> str:
    return (by or "").replace("_", " ").capitalize()


def _row(one: dict[str, Any], by: str | None, most: int, working: bool) -> list[str | Text]:
    clock = "_working" if working else ""
    acknowledge, resolve = one[f"acknowledge{clock}"], one[f"resolve{clock}"]
    return [
        _name(one["key"], by),
        f"{one['tickets']:,}",
        bar(one["tickets"], most),
        _trend(one),
        duration(acknowledge["mean_s"]),
        duration(resolve["mean_s"]),
        duration(resolve["median_s"]),
        duration(resolve["p90_s"]),
        f"{one['reopened']:,}",
        f"{one['recurrences']:,}",
        f"{one['reassigned']:,}",
        _percent(one["sla_attained"]),
    ]


def _trend(one: dict[str, Any]) -> str:
    if one["previous"] is None:
        return ""
    return _change(one["change"]["tickets"], one["previous"]["tickets"])


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


@app.command(
    "sla",
    epilog=examples(
        "tocsin reports sla --since 30d --by priority",
        "tocsin reports sla --since 90d --by hour_of_week --zone Europe/Lisbon",
    ),
)
def sla(
    query: QueryArgument = None,
    by: ByOption = "priority",
    since: SinceOption = None,
    until: UntilOption = None,
    zone: ZoneOption = None,
    source: SourceOption = None,
    as_csv: CsvOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell how often targets were met: in all, and of the clocks to acknowledge and to resolve apart."""
    asked = {"q": query, "by": by, "since": since, "until": until, "zone": zone, "source": source}
    found = _asked("/reports/tickets", asked, url, key_file, as_csv=as_csv, as_json=as_json)
    if found is None or _is_empty(found):
        return
    print_table(
        [_title(by), "Kept", "Late", "SLA", "", "Change", "Acknowledged late", "in time", "Resolved late", "in time"],
        [_sla_row(one, by) for one in [*found["items"], {**found["total"], "key": "all"}]],
        flexible=[],
    )
    typer.echo(
        f"Opened from {when(found['since'])} until {when(found['until'])}. Change: in points, to the time before."
    )


def _sla_row(one: dict[str, Any], by: str | None) -> list[str | Text]:
    attained, change = one["sla_attained"], (one["change"] or {}).get("sla_attained")
    acknowledge, resolve = one["sla_acknowledge"], one["sla_resolve"]
    return [
        styled("all", PRIORITY_STYLES) if one["key"] == "all" else _name(one["key"], by),
        f"{one['sla_met']:,}",
        f"{one['sla_missed']:,}",
        _percent(attained),
        bar(attained or 0, 1),
        "" if change is None else f"{change * 100:+.1f}",
        f"{acknowledge['missed']:,}",
        _percent(acknowledge["attained"]),
        f"{resolve['missed']:,}",
        _percent(resolve["attained"]),
    ]


@app.command(
    "offenders",
    epilog=examples(
        "tocsin reports offenders --since 30d",
        "tocsin reports offenders 'priority:<=P2' --since 90d --by service --rank time",
    ),
)
def offenders(
    query: QueryArgument = None,
    by: Annotated[str, typer.Option("--by", "-b", help=f"Whose: {_CULPRITS}.")] = "rule",
    rank: Annotated[str, typer.Option("--rank", "-r", help=f"By the most of: {_RANKS}.")] = "tickets",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")] = 10,
    since: SinceOption = None,
    until: UntilOption = None,
    source: SourceOption = None,
    as_csv: CsvOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name the rules, services, teams or persons that the most comes from, each with its share of all."""
    asked = {"q": query, "by": by, "rank": rank, "limit": limit, "since": since, "until": until, "source": source}
    found = _asked("/reports/offenders", asked, url, key_file, as_csv=as_csv, as_json=as_json)
    if found is None or _is_empty(found):
        return
    if not found["items"]:
        typer.echo(f"Nothing of that comes from a {by}.")
        return
    most = found["items"][0]["amount"]
    print_table(
        [_title(by), rank.capitalize(), "", "Share", "Together", "Trend", "Tickets", "MTTR", "Late", "Reopened"],
        [
            [_name(one["key"], by), duration(one["amount"]) if rank == "time" else f"{one['amount']:,.0f}",
             bar(one["amount"], most), _percent(one["share"]), _percent(one["cumulative_share"]),
             _change(one["change"], 1), f"{one['figures']['tickets']:,}", duration(one["figures"]["resolve"]["mean_s"]),
             f"{one['figures']['sla_missed']:,}", f"{one['figures']['reopened']:,}"]
            for one in found["items"]
        ],
        flexible=[],
    )  # fmt: skip


def _name(key: str | None, by: str | None) -> Text:
    if key is None:
        return Text("(none)", style="dim")
    if by == "hour_of_week":
        day, hour = key.split()
        return Text(f"{_DAYS[int(day)]} {hour}:00")
    return styled(key, PRIORITY_STYLES)


def _change(change: float | None, before: int) -> str:
    if change is None:
        return "new" if not before else ""
    return f"{change:+.0%}"


def bar(n: float, most: float, width: int = BAR_WIDTH) -> Text:
    """A bar as long as `n` is of `most`."""
    eighths = round(n / most * width * 8) if most else 0
    full, rest = divmod(eighths, 8)
    return Text("█" * full + (_EIGHTHS[rest] if rest else ""), style="blue")


@app.command("backlog", epilog=examples("tocsin reports backlog", "tocsin reports backlog 'priority:<=P2' --by team"))
def backlog(
    query: QueryArgument = None,
    by: ByOption = "priority",
    since: SinceOption = None,
    until: UntilOption = None,
    zone: ZoneOption = None,
    source: SourceOption = None,
    as_csv: CsvOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell how long the tickets that are not resolved have been open."""
    asked = {"q": query, "by": by, "since": since, "until": until, "zone": zone, "source": source}
    found = _asked("/reports/backlog", asked, url, key_file, as_csv=as_csv, as_json=as_json)
    if found is None:
        return
    if not found["items"]:
        typer.echo("Nothing is open.")
        return
    ages = [f"< {one['younger_than']}" if one["younger_than"] else "older" for one in found["items"][0]["ages"]]
    most = max(one["tickets"] for one in found["items"])
    print_table(
        [_title(by), "Open", "", *ages, "Median", "Oldest"],
        [
            [_name(one["key"], by), f"{one['tickets']:,}", bar(one["tickets"], most),
             *(f"{age['tickets']:,}" for age in one["ages"]), duration(one["median_age_s"]),
             duration(one["oldest_age_s"])]
            for one in found["items"]
        ],
        flexible=[],
    )  # fmt: skip


@app.command("paging", epilog=examples("tocsin reports paging --since 30d", "tocsin reports paging --by rule"))
def paging(
    by: Annotated[str, typer.Option("--by", "-b", help="Groups: person, service, team, rule.")] = "person",
    since: Annotated[str | None, typer.Option("--since", help="Called from then on; by default 30d.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Called before then; by default now.")] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what being paged costs: calls, nights, repeats, and how much of it needed nobody."""
    found = _asked(
        "/reports/paging", {"by": by, "since": since, "until": until}, url, key_file, as_csv=False, as_json=as_json
    )
    if found is None:
        return
    if not found["total"]["pages"]:
        typer.echo("Nobody was called in this time. A longer one: --since 365d")
        return
    most = found["items"][0]["pages"]
    print_table(
        [by.capitalize(), "Calls", "", "Tickets", "Nights", "Repeats", "Over", "Without action", "By themselves"],
        [_cost(one, most) for one in found["items"]] + [_cost({**found["total"], "key": "all"}, 0)],
        flexible=[],
    )
    typer.echo(f"Called from {when(found['since'])} until {when(found['until'])}. Nights: 22 to 7, where people are.")


def _cost(one: dict[str, Any], most: int) -> list[str | Text]:
    counts = ("tickets", "nights", "repeats", "over", "without_action", "by_themselves")
    return [_name(one["key"], None), f"{one['pages']:,}", bar(one["pages"], most), *(f"{one[n]:,}" for n in counts)]


@app.command("forecast", epilog=examples("tocsin reports forecast", "tocsin reports forecast 17"))
def forecast(
    ticket_id: Annotated[int | None, typer.Argument(metavar="[ID]", min=1, help="A ticket; without, all open.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="How many.")] = 20,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell which open tickets will probably miss their resolve target, or how likely one does, going by past ones."""
    with Server(url, key_file) as server:
        path = f"/tickets/{ticket_id}/forecast" if ticket_id else f"/reports/forecast?limit={limit}"
        answer = server.get(path)
    if as_json:
        print_json(answer.text)
    elif ticket_id:
        _one_forecast(ticket_id, answer.data)
    elif not answer.data["items"]:
        typer.echo("No open ticket has a resolve target that runs: tocsin sla policies list")
    else:
        _forecasts(answer.data["items"])


def _forecasts(items: list[dict[str, Any]]) -> None:
    print_table(
        ["Ticket", "", "Service", "Due", "Will breach", "", "Half take", "Rests on", "Title"],
        [
            [str(one["ticket_id"]), _name(one["priority"], None), printable(one["service"] or ""), when(one["due_at"]),
             "" if one["breach_probability"] is None else f"{one['breach_probability']:.0%}",
             bar(one["breach_probability"] or 0, 1, 12), duration(one["expected_s"]),
             f"{one['tickets']:,} {printable(one['rests_on'])}" if one["tickets"] else "too few",
             printable(one["title"])]
            for one in items
        ],
        flexible=["Title"],
    )  # fmt: skip


def _one_forecast(ticket_id: int, one: dict[str, Any]) -> None:
    chance = one["breach_probability"]
    if one["tickets"] == 0:
        typer.echo(f"Ticket {ticket_id}: nothing can be said, no ticket has been resolved yet.")
        return
    print_fields(
        [
            ("open for", duration(one["open_s"])),
            ("half of its kind take", duration(one["expected_s"]) or "longer than any of them took"),
            ("left by that", duration(one["remaining_s"])),
            ("resolve due", when(one["due_at"])),
            ("will breach", "" if chance is None else f"{chance:.0%}"),
            ("rests on", f"{one['tickets']:,} tickets {printable(one['rests_on'])}"),
        ]
    )


def _asked(
    path: str, asked: dict[str, Any], url: str, key_file: str | None, *, as_csv: bool, as_json: bool
) -> dict[str, Any] | None:
    """A report; None when it is printed already."""
    if as_csv and as_json:
        raise WrongUsage(detail="--csv or --json, not both")
    with Server(url, key_file) as server:
        if as_csv:
            for part in server.download(path, **asked, format="csv").parts:
                typer.echo(part, nl=False)
            return None
        answer = server.get(path, **asked)
    if as_json:
        print_json(answer.text)
        return None
    found: dict[str, Any] = answer.data
    return found
