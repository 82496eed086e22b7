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
_GROUPS: Final = "priority, service, team, assignee, opened_by, source, status, hour_of_week"
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"

ByOption = Annotated[str | None, typer.Option("--by", "-b", help=f"Groups: {_GROUPS}.")]
SinceOption = Annotated[str | None, typer.Option("--since", help="Opened from then on: 30d, 2026-01-01. Without, all.")]
UntilOption = Annotated[str | None, typer.Option("--until", help="Opened before then; by default now.")]
ZoneOption = Annotated[str | None, typer.Option("--zone", "-z", help="For the hour of the week; by default UTC.")]
SourceOption = Annotated[str | None, typer.Option("--source", help="Only what was imported from there.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print the table as CSV.")]

app = make_app(
    help="What tickets add up to: volume, times, SLA attainment, backlog.",
    epilog=examples("tocsin reports tickets --since 30d --by service", "tocsin reports backlog --by team"),
)


@app.command(
    "tickets",
    epilog=examples(
        "tocsin reports tickets --since 30d --by priority",
        "tocsin reports tickets 'service:payments' --since 2026-01-01 --by hour_of_week --zone Europe/Lisbon",
        "tocsin reports tickets --since 7d --by team --csv",
    ),
)
def tickets(
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
    """Count the tickets of a period, and how long they took, beside the period before."""
    asked = {"q": query, "by": by, "since": since, "until": until, "zone": zone, "source": source}
    found = _asked("/reports/tickets", asked, url, key_file, as_csv=as_csv, as_json=as_json)
    if found is None:
        return
    total = found["total"]
    if not total["tickets"]:
        typer.echo("No ticket was opened in this period. A longer one: --since 365d")
        return
    most = max(one["tickets"] for one in found["items"]) if found["items"] else 0
    print_table(
        [(by or "").replace("_", " ").capitalize(), "Tickets", "", "Trend", "MTTA", "MTTR", "Median", "P90", "Reopened",
         "Reassigned", "SLA"],
        [_row(one, by, most) for one in found["items"]] + [_row({**total, "key": "all"}, None, 0)],
        flexible=[],
    )  # fmt: skip
    typer.echo(f"Opened from {when(found['since'])} until {when(found['until'])}. Times by the clock on the wall.")


def _row(one: dict[str, Any], by: str | None, most: int) -> list[str | Text]:
    resolve, previous = one["resolve"], one["previous"]
    return [
        _name(one["key"], by),
        f"{one['tickets']:,}",
        bar(one["tickets"], most),
        "" if previous is None else _change(previous["tickets_change"], previous["tickets"]),
        duration(one["acknowledge"]["mean_s"]),
        duration(resolve["mean_s"]),
        duration(resolve["median_s"]),
        duration(resolve["p90_s"]),
        f"{one['reopened']:,}",
        f"{one['reassigned']:,}",
        "" if one["sla_attained"] is None else f"{one['sla_attained']:.1%}",
    ]


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


def bar(n: int, most: int, width: int = BAR_WIDTH) -> Text:
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
        [(by or "").replace("_", " ").capitalize(), "Open", "", *ages, "Median", "Oldest"],
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


@app.command("forecast", epilog=examples("tocsin reports forecast 17"))
def forecast(
    ticket_id: Annotated[int, typer.Argument(metavar="ID", min=1, help="A ticket.")],
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell how likely a ticket is to miss its resolve target, going by past ones of its kind."""
    with Server(url, key_file) as server:
        answer = server.get(f"/tickets/{ticket_id}/forecast")
    if as_json:
        print_json(answer.text)
        return
    one = answer.data
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
