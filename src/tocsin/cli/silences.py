"""`tocsin silences`: look at what one would hide, make, show, extend and end silences and maintenance windows."""

from typing import Annotated, Any, Final

import typer

from tocsin.cli.answers import print_page, tell
from tocsin.cli.command import (
    DEFAULT_URL,
    CursorOption,
    IdArgument,
    IdsArgument,
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
from tocsin.cli.given import seconds
from tocsin.cli.output import age, duration, print_fields, print_json, styled, when
from tocsin.cli.remote import Answer, Server

STATE_STYLES: Final = {"active": "bold magenta", "scheduled": "yellow", "broken": "bold red", "expired": "dim"}

MatcherArgument = Annotated[str, typer.Argument(metavar="QUERY", help="Which records, in the filter language.")]
ForOption = Annotated[
    str | None,
    typer.Option("--for", metavar="LENGTH", help="How long it lasts, or each occurrence: 30m, 2h, 7d, or seconds."),
]
FromOption = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="When it begins (RFC 3339).", show_default="now")
]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="When it ends, or the recurrence does (RFC 3339).")
]
EveryOption = Annotated[
    str | None,
    typer.Option("--every", metavar="RULE", help="Again and again (RFC 5545), such as FREQ=WEEKLY;BYDAY=SU;BYHOUR=2."),
]
ZoneOption = Annotated[
    str | None, typer.Option("--time-zone", metavar="ZONE", help="... in this time zone.", show_default="UTC")
]

app = make_app(
    help="Look at what a silence would hide; make, show, extend and end silences and maintenance windows.",
    epilog=examples(
        "tocsin silences preview 'service:payments @host:db1'",
        "tocsin silences create 'service:payments @host:db1' --for 2h --reason 'disk replacement, CHG-1042'",
        "tocsin silences end 3",
    ),
)


@app.command("list", epilog=examples("tocsin silences list", "tocsin silences list --state active"))
def list_silences(
    state: Annotated[
        str | None, typer.Option("--state", help="active, scheduled, broken or expired.", show_default="all")
    ] = None,
    utc: UtcOption = False,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List silences, the newest first, with what each has hidden."""
    with Server(url, key_file) as server:
        page = server.get("/silences", state=state, limit=limit, cursor=cursor)
    print_page(
        page,
        ["Id", "State", "When", "Hidden", "Owner", "Matcher", "Reason"],
        (_row(silence, utc=utc) for silence in page.data["items"]),
        flexible=["Matcher", "Reason"],
        empty="No silences: everything is heard. tocsin silences create QUERY --for 2h --reason WHY",
        as_json=as_json,
    )


def _row(silence: dict[str, Any], *, utc: bool) -> list[Any]:
    return [
        str(silence["id"]),
        styled(silence["state"], STATE_STYLES),
        _when(silence, utc=utc),
        str(silence["hidden"]["records"]),
        silence["owner"],
        silence["matcher"],
        silence["reason"],
    ]


def _when(silence: dict[str, Any], *, utc: bool) -> str:
    """What matters of its times: until when it hides, or when it begins."""
    if silence["state"] == "expired" or not silence["next_occurrences"]:
        return f"ended {when(silence['ends_at'], utc=utc)}"
    span = silence["next_occurrences"][0]
    if silence["state"] == "scheduled":
        return f"from {when(span['starts_at'], utc=utc)}"
    return f"until {when(span['ends_at'], utc=utc)}"


@app.command(epilog=examples("tocsin silences show 3"))
def show(
    silence_id: IdArgument,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one silence: what it covers, why, when, and what it has hidden so far."""
    with Server(url, key_file) as server:
        answer = server.get(f"/silences/{silence_id}")
    if as_json:
        print_json(answer.text)
        return
    silence = answer.data
    print_fields(
        [
            ("id", str(silence["id"])),
            ("version", str(silence["version"])),
            ("state", styled(silence["state"], STATE_STYLES)),
            ("in a file", silence["applied_as"]),
            ("matcher", silence["matcher"]),
            ("owner", silence["owner"]),
            ("reason", silence["reason"]),
            ("from", when(silence["starts_at"], utc=utc)),
            ("until", when(silence["ends_at"], utc=utc)),
            ("recurs", _recurs(silence)),
            ("occurrences", _occurrences(silence["next_occurrences"], utc=utc) if silence["recurrence"] else None),
            ("hidden", _hidden(silence["hidden"])),
            ("breaks", _breaks(silence)),
            ("broken", when(silence["broken_at"], utc=utc)),
            ("warning", "\n".join(silence["warnings"])),
            ("made", f"{when(silence['created_at'], utc=utc)} by {silence['created_by']}"),
            ("changed", f"{when(silence['updated_at'], utc=utc)} by {silence['updated_by']}"),
        ]
    )


def _recurs(silence: dict[str, Any]) -> str | None:
    if silence["recurrence"] is None:
        return None
    return f"{silence['recurrence']} in {silence['time_zone']}, {duration(silence['duration_s'])} each"


def _occurrences(spans: list[dict[str, Any]], *, utc: bool) -> str:
    return "\n".join(f"{when(span['starts_at'], utc=utc)} to {when(span['ends_at'], utc=utc)}" for span in spans)


def _hidden(hidden: dict[str, Any]) -> str:
    if not hidden["records"]:
        return "nothing so far"
    p1 = f", {hidden['would_be_p1']} of them would be P1" if hidden["would_be_p1"] else ""
    records = "1 record" if hidden["records"] == 1 else f"{hidden['records']} records"
    alerts = "1 alert" if hidden["alerts"] == 1 else f"{hidden['alerts']} alerts"
    return f"{records} on {alerts}{p1}; the last {age(hidden['last_at'])} ago"


def _breaks(silence: dict[str, Any]) -> str | None:
    if silence["break_factor"] is None:
        return None
    usual = f"{silence['baseline_per_min']:.3g} a minute"
    return f"beyond {silence['break_factor']:g} times the usual within 5 minutes ({usual}, reckoned as at least 1)"


@app.command(
    epilog=examples(
        "tocsin silences create 'service:payments @host:db1' --for 2h --reason 'disk replacement, CHG-1042'",
        "tocsin silences create service:shop --for 1h --reason 'load test' --break-factor 10",
        "tocsin silences create service:db --every 'FREQ=WEEKLY;BYDAY=SU;BYHOUR=2' --for 2h"
        " --time-zone Europe/Lisbon --until 2027-06-30T00:00:00Z --reason 'weekly vacuum'",
    )
)
def create(
    matcher: MatcherArgument,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why nobody is to be paged.")],
    length: ForOption = None,
    until: UntilOption = None,
    starts_at: FromOption = None,
    every: EveryOption = None,
    time_zone: ZoneOption = None,
    owner: Annotated[
        str | None, typer.Option("--owner", "-o", help="Who answers for it.", show_default="whose key it is")
    ] = None,
    break_factor: Annotated[
        float | None,
        typer.Option("--break-factor", metavar="TIMES", help="Break when so many times the usual is hidden in 5 min."),
    ] = None,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a silence; with --every, a maintenance window. It needs an end: --for or --until, or both with --every."""
    body = _when_asked(matcher, length, until, starts_at, every, time_zone)
    body |= _said({"reason": reason, "owner": owner, "break_factor": break_factor})
    with Server(url, key_file) as server:
        answer = server.ask("POST", "/silences", json=body)
    _tell(answer, as_json=as_json, utc=utc)


@app.command(
    epilog=examples(
        "tocsin silences preview 'service:payments @host:db1'",
        "tocsin silences preview service:db --every 'FREQ=MONTHLY;BYDAY=1SU;BYHOUR=2' --for 2h"
        " --time-zone Europe/Lisbon --until 2027-06-30T00:00:00Z",
    )
)
def preview(
    matcher: MatcherArgument,
    length: ForOption = None,
    until: UntilOption = None,
    starts_at: FromOption = None,
    every: EveryOption = None,
    time_zone: ZoneOption = None,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what a silence would have hidden lately, which open alerts it covers, and when it would be active."""
    body = _when_asked(matcher, length, until, starts_at, every, time_zone)
    with Server(url, key_file) as server:
        answer = server.ask("POST", "/silences/preview", json=body)
    if as_json:
        print_json(answer.text)
        return
    told = answer.data
    least = "at least " if told["partial"] else ""
    print_fields(
        [
            ("last hour", f"{least}{told['records_last_hour']} of the records that a rule matches"),
            ("last day", f"{least}{told['records_last_day']}"),
            ("open alerts", "\n".join(_alert(alert) for alert in told["alerts"]) or "none"),
            ("not looked at", f"{told['alerts_unseen']} open alerts" if told["alerts_unseen"] else None),
            ("occurrences", _occurrences(told["next_occurrences"], utc=utc)),
            ("warning", "\n".join(told["warnings"])),
        ]
    )


def _alert(alert: dict[str, Any]) -> str:
    ticket = "no ticket" if alert["ticket_id"] is None else f"ticket {alert['ticket_id']}"
    return f"{alert['id']} ({alert['priority']}, {ticket}): {alert['title']}"


@app.command(epilog=examples("tocsin silences change 3 --until 2026-11-24T06:00:00Z --reason 'the disk takes longer'"))
def change(
    silence_id: IdArgument,
    until: UntilOption = None,
    reason: Annotated[str | None, typer.Option("--reason", "-r", help="Another reason.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", "-o", help="Who answers for it now.")] = None,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Extend or shorten a silence, or say another reason or owner."""
    body = _said({"ends_at": until, "reason": reason, "owner": owner})
    if not body:
        raise WrongUsage(detail="Say what to change: --until, --reason or --owner.")
    with Server(url, key_file) as server:
        answer = server.ask("PATCH", f"/silences/{silence_id}", json=body)
    _tell(answer, as_json=as_json, utc=utc)


@app.command(epilog=examples("tocsin silences end 3"))
def end(
    silence_ids: IdsArgument,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """End silences now. What they hid and still fires is heard."""
    with Server(url, key_file) as server:
        each(
            silence_ids,
            lambda silence_id: server.ask("POST", f"/silences/{silence_id}/end"),
            lambda answer: _tell(answer, as_json=False, utc=utc),
            kind="silence",
            as_json=as_json,
        )


def _when_asked(
    matcher: str, length: str | None, until: str | None, starts_at: str | None, every: str | None, zone: str | None
) -> dict[str, Any]:
    return _said(
        {
            "matcher": matcher,
            "starts_at": starts_at,
            "duration_s": seconds("--for", length),
            "ends_at" if every is None else "until": until,
            "recurrence": every,
            "time_zone": zone,
        }
    )


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _tell(answer: Answer, *, as_json: bool, utc: bool) -> None:
    silence = answer.data
    for warning in () if as_json else silence["warnings"]:
        typer.echo(f"tocsin: {warning}", err=True)
    state = f"version {silence['version']}, {silence['state']}, {_when(silence, utc=utc)}"
    tell(answer, f"Silence {silence['id']} ({state}): {silence['matcher']}", as_json=as_json)
