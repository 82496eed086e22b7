"""`tocsin rules test`: what a rule would have led to, before it is saved."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from tocsin.cli.command import DEFAULT_URL, JsonOption, KeyFileOption, UrlOption, UtcOption
from tocsin.cli.exits import Refused, WrongUsage
from tocsin.cli.given import counts, json_object, kind_of, listed
from tocsin.cli.output import print_fields, print_json, print_table, printable, when
from tocsin.cli.remote import Server

BAR: Final = 40
PATIENCE_S: Final = 60.0
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")
_SLACK_S: Final = 30.0


def try_rule(
    rule: Annotated[str, typer.Argument(metavar="NAME|QUERY", help="A rule, or a condition in the filter language.")],
    condition: Annotated[
        str | None, typer.Option("--condition", metavar="QUERY", help="... the rule with this condition.")
    ] = None,
    file: Annotated[
        str | None,
        typer.Option("--file", "-f", metavar="FILE", help="What is different, as JSON; - for standard input."),
    ] = None,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="Arrived since: how long ago (2h, -7d) or RFC 3339.")
    ] = "7d",
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Arrived before that; now by default.")
    ] = None,
    threshold: Annotated[int | None, typer.Option("--threshold", min=1, help="Only so many records.")] = None,
    ratio: Annotated[float | None, typer.Option("--ratio", metavar="SHARE", help="Only as such a share.")] = None,
    of: Annotated[str | None, typer.Option("--of", metavar="QUERY", help="... of these.")] = None,
    minimum: Annotated[
        int | None, typer.Option("--minimum", min=1, help="... once there are so many of those.")
    ] = None,
    window_s: Annotated[int | None, typer.Option("--window", metavar="SECONDS", help="... within so long.")] = None,
    for_s: Annotated[
        int | None, typer.Option("--for", metavar="SECONDS", min=1, help="Only when it lasts so long.")
    ] = None,
    absence_s: Annotated[
        int | None, typer.Option("--absence", metavar="SECONDS", help="Only when there is none for so long.")
    ] = None,
    new_pattern: Annotated[
        bool, typer.Option("--new-pattern", help="Only the first record of each pattern of a service.")
    ] = False,
    learn_s: Annotated[
        int | None, typer.Option("--learn", metavar="SECONDS", min=0, help="... once a service is known so long.")
    ] = None,
    raise_at: Annotated[
        list[str] | None,
        typer.Option("--raise", metavar="P1=COUNT", help="More urgent from so many records on; several times."),
    ] = None,
    group_by: Annotated[str | None, typer.Option("--group-by", metavar="FIELDS", help="One alert per these.")] = None,
    correlate_by: Annotated[
        str | None, typer.Option("--correlate-by", metavar="FIELDS", help="One ticket per these, for all its alerts.")
    ] = None,
    reopen_window_s: Annotated[
        int | None, typer.Option("--reopen-window", metavar="SECONDS", help="A relapse within it reopens the ticket.")
    ] = None,
    auto_resolve_after_s: Annotated[
        int | None, typer.Option("--auto-resolve", metavar="SECONDS", help="Resolve by itself when quiet for so long.")
    ] = None,
    silences: Annotated[
        bool, typer.Option("--silences/--no-silences", help="Whether silences that there were hide what they hid.")
    ] = True,
    examples: Annotated[int, typer.Option("--examples", "-n", min=0, max=100, help="Groups and alerts to show.")] = 5,
    zone: Annotated[
        str | None, typer.Option("--zone", metavar="ZONE", help="Whose hours and days.", show_default="this machine's")
    ] = None,
    within_s: Annotated[
        float, typer.Option("--within", metavar="SECONDS", min=1, max=600, help="Show what is known after so long.")
    ] = PATIENCE_S,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replay a rule, as it is or with changes, over what came in: its alerts, tickets and pages, and what would differ.

    Nothing is saved. With a rule's name, what is not said is as that rule has it.
    """
    said = {
        "since": since,
        "until": until,
        "examples": examples,
        "time_zone": "UTC" if utc and zone is None else zone or local_zone(),
        "within_s": within_s,
        "condition": condition,
        "threshold": threshold,
        "window_s": window_s if absence_s is None else absence_s,
        "for_s": for_s,
        "silences": silences,
        "ratio": ratio,
        "of": of,
        "minimum": minimum,
        "kind": kind_of(threshold=threshold, ratio=ratio, absence=absence_s, new_pattern=new_pattern or None),
        "learn_s": learn_s,
        "raise_at": counts("--raise", raise_at),
        "group_by": listed(group_by),
        "correlate_by": listed(correlate_by),
        "reopen_window_s": reopen_window_s,
        "auto_resolve_after_s": auto_resolve_after_s,
    }
    with Server(url, key_file, timeout_s=within_s + _SLACK_S) as server:
        body = {**({} if file is None else json_object(file)), **_subject(server, rule, condition)}
        body |= {field: value for field, value in said.items() if value is not None}
        with _working():
            answer = server.post("/rules/backtest", body)
    if as_json:
        print_json(answer.text)
    else:
        _show(answer.data, utc=utc)


def _subject(server: Server, rule: str, condition: str | None) -> dict[str, str]:
    """What looks like a name is one: of a rule that is there, or with a condition of one that is not. Anything else is
    a condition. Raises WrongUsage for a name that no rule has."""
    if not _NAME.fullmatch(rule):
        return {"condition": rule}
    if condition is None:
        try:
            server.get(f"/rules/{rule}")
        except Refused as refused:
            raise WrongUsage(detail=f"There is no rule {rule!r}{_meant(server, rule)}") from refused
    return {"name": rule}


def _meant(server: Server, rule: str) -> str:
    """Which rule may have been meant, and how a search for the word would be written."""
    names = [one["name"] for one in server.get("/rules", limit=1000).data["items"]]
    alike = get_close_matches(rule, names, n=1)
    maybe = f"; did you mean {alike[0]!r}?" if alike else "."
    return f"""{maybe} Records with that word are '"{rule}"', with the double quotes."""


def local_zone() -> str:
    """The name of this machine's time zone; UTC where it has none."""
    named = os.environ.get("TZ", "").removeprefix(":")
    if named and not named.startswith("/"):
        return named
    _, found, name = str(Path("/etc/localtime").resolve()).partition("zoneinfo/")
    return name if found else "UTC"


@contextmanager
def _working() -> Iterator[None]:
    """Says to a person who waits that something goes on."""
    if not sys.stderr.isatty():
        yield
        return
    with Console(stderr=True).status("Replaying what came in ..."):
        yield


def _show(told: dict[str, Any], *, utc: bool) -> None:
    print_fields(_summary(told, utc=utc))
    if told["pages"]:
        typer.echo(f"\nPages by hour of the day ({printable(told['time_zone'])})")
        typer.echo("\n".join(bars(told["pages_by_hour"])))
    if len(told["days"]) > 1:
        typer.echo()
        days = ([day["day"], str(day["alerts"]), str(day["pages"])] for day in told["days"])
        print_table(["Day", "Alerts", "Pages"], days, flexible=[])
    if told["noisiest"]:
        typer.echo()
        print_table(
            ["Noisiest", "Service", "Records", "Alerts", "Pages"],
            (
                [one["template"], one["service"], str(one["records"]), str(one["alerts"]), str(one["pages"])]
                for one in told["noisiest"]
            ),
            flexible=["Noisiest"],
        )
    _show_alerts("First alerts of these", told["examples"], utc=utc)
    _show_pending(told)
    _show_silences(told)
    _show_difference(told["really"], utc=utc)
    for note in told["notes"]:
        typer.echo(f"\nNote: {printable(note)}")


def _summary(told: dict[str, Any], *, utc: bool) -> list[tuple[str, str | None]]:
    records, alerts, tickets, really = told["records"], told["alerts"], told["tickets"], told["really"]
    span = f"{when(told['since'], utc=utc)} to {when(told['reached'], utc=utc)}"
    cut = f" (only up to there: {told['partial']} was over)" if told["partial"] else ""
    rest = {name: count for name, count in records.items() if count and name not in {"matched", "in_alerts"}}
    ends = {name.replace("_", " "): count for name, count in alerts.items() if count and name != "opened"}
    moves = {name: count for name, count in tickets.items() if count and name not in {"opened", "by_priority"}}
    return [
        ("rule", told["rule"] + _which(told)),
        ("condition", told["definition"]["condition"]),
        ("arrived", span + cut),
        ("records", f"{records['matched']} match" + _listing(rest)),
        ("alerts", f"{alerts['opened']}" + _listing(ends)),
        ("tickets", f"{tickets['opened']}" + _listing(moves)),
        ("priority", ", ".join(f"{n} {name}" for name, n in tickets["by_priority"].items()) or None),
        ("pages", str(told["pages"]) + _without_silences(told)),
        ("really", f"{really['alerts']} alerts, {really['tickets_opened']} tickets, {really['pages']} pages"),
        ("too many groups", f"{told['overflowed']} records counted as one group" if told["overflowed"] else None),
        ("not readable", f"{told['scanned']['damaged']} segments" if told["scanned"]["damaged"] else None),
    ]


def _which(told: dict[str, Any]) -> str:
    if not told["version"]:
        return " (not saved)"
    changes = f" with another {', '.join(told['changed'])}" if told["changed"] else ", as it is"
    return f" (version {told['version']}{changes})"


def _without_silences(told: dict[str, Any]) -> str:
    other = told["unsilenced"]
    return f" ({other['pages']} without silences)" if told["silences"] and other["pages"] != told["pages"] else ""


def _listing(numbers: dict[str, int]) -> str:
    return "".join(f", {count} {name}" for name, count in numbers.items())


def bars(hours: list[int]) -> list[str]:
    """A line for each hour, the longest bar for the highest."""
    most = max(hours, default=0)
    lines = []
    for hour, count in enumerate(hours):
        filled = -(-count * BAR // most) if most else 0
        lines.append(f"  {hour:02d}  {'█' * filled} {count}" if count else f"  {hour:02d}")
    return lines


def _show_alerts(title: str, found: list[dict[str, Any]], *, utc: bool) -> None:
    if not found:
        return
    typer.echo()
    print_table(
        [title, "Ticket", "Log", "Records", "Message"],
        (
            [when(one["opened_at"], utc=utc), f"{one['ticket'] or ''} {one['how']}", str(one["first_log_id"]),
             str(one["records"]), one["template"] if one["record"] is None else one["record"]["message"]]
            for one in found
        ),
        flexible=["Message"],
    )  # fmt: skip


def _show_pending(told: dict[str, Any]) -> None:
    if not told["pending"]:
        return
    typer.echo()
    print_table(
        [f"Pending at the end ({told['pending_groups']})", "Service", "Records", "Of"],
        ([one["template"], one["service"], str(one["hits"]), str(one["total"])] for one in told["pending"]),
        flexible=[f"Pending at the end ({told['pending_groups']})"],
    )


def _show_silences(told: dict[str, Any]) -> None:
    if not told["silences"]:
        return
    typer.echo()
    print_table(
        ["Hidden by", "Records", "Alerts", "Tickets", "Pages", "What"],
        (
            [one["silence"], *(str(one[name]) for name in ("records", "alerts", "tickets", "pages")), one["what"]]
            for one in told["silences"]
        ),
        flexible=["What"],
    )


def _show_difference(really: dict[str, Any], *, utc: bool) -> None:
    if really["gone_alerts"]:
        typer.echo()
        print_table(
            [f"Gone ({really['gone']})", "Alert", "Ticket", "What"],
            (
                [when(one["opened_at"], utc=utc), str(one["id"]), str(one["ticket_id"] or ""), one["title"]]
                for one in really["gone_alerts"]
            ),
            flexible=["What"],
        )
    if really["alerts"] or really["kept"] or really["gone"]:
        _show_alerts(f"New ({really['new']})", really["new_alerts"], utc=utc)
    if not really["complete"]:
        typer.echo("There were more alerts than can be compared; of those nothing is told.")
