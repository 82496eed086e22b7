"""`tocsin explain`: why a record led to a ticket or to none, and how an alert or a ticket came about."""

from typing import Annotated, Any

import typer

from tocsin.cli.command import DEFAULT_URL, JsonOption, KeyFileOption, UrlOption, UtcOption, examples, make_app
from tocsin.cli.exits import WrongUsage
from tocsin.cli.output import print_fields, print_json, printable, when
from tocsin.cli.remote import Server

app = make_app()


@app.command(epilog=examples("tocsin explain 17", "tocsin explain --alert 4", "tocsin explain --ticket 3"))
def explain(
    record_id: Annotated[int | None, typer.Argument(metavar="[RECORD_ID]", min=1, help="A log record's id.")] = None,
    alert_id: Annotated[int | None, typer.Option("--alert", metavar="ID", min=1, help="Explain this alert.")] = None,
    ticket_id: Annotated[int | None, typer.Option("--ticket", metavar="ID", min=1, help="Explain this ticket.")] = None,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell of each rule what it made of a record, and what followed; of an alert how it began, went on and ended; or
    of a ticket with which record it began, and how its alerts came to it."""
    asked = {"logs": record_id, "alerts": alert_id, "tickets": ticket_id}
    given = [(what, number) for what, number in asked.items() if number is not None]
    if len(given) != 1:
        raise WrongUsage(detail="Give a record's id, or an alert's with --alert ID, or a ticket's with --ticket ID.")
    [(what, number)] = given
    with Server(url, key_file) as server:
        answer = server.get(f"/{what}/{number}/explain")
    show = {"logs": _show_record, "alerts": _show_alert, "tickets": _show_ticket}[what]
    if as_json:
        print_json(answer.text)
    else:
        show(answer.data, utc=utc)


def _show_record(told: dict[str, Any], *, utc: bool) -> None:
    typer.echo(printable(told["summary"]))
    commit = told["commit"]
    print_fields([("record", _record(told["record"], utc=utc)), ("stored", _commit(commit, utc=utc))])
    for rule in told["rules"]:
        typer.echo()
        typer.echo(f"Rule {rule['rule']} (version {rule['version']}): {rule['outcome'].replace('_', ' ')}")
        print_fields([(f"  {name}", value) for name, value in _rule_fields(rule, utc=utc)])


def _rule_fields(rule: dict[str, Any], *, utc: bool) -> list[tuple[str, str | None]]:
    group, window, alert = rule["group"], rule["window"], rule["alert"]
    late = f" {rule['late']}" if rule["late"] else ""
    return [
        ("condition", rule["condition"]),
        ("why", rule["why"] + late),
        ("group", None if group is None else f"{group['service']}: {group['template']} ({group['fingerprint']})"),
        ("pattern", None if group is None else _pattern(group)),
        ("window", None if window is None else _window(window)),
        ("alert", None if alert is None else _alert(alert)),
        ("ticket", _ticket(rule["ticket"])),
        ("events", _events(rule["events"], utc=utc)),
    ]


def _show_alert(told: dict[str, Any], *, utc: bool) -> None:
    typer.echo(printable(told["summary"]))
    first, ticket = told["first_record"], told["ticket"]
    late = f"; {told['late']} late for their window" if told["late"] else ""
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(told["verdicts"].items()))
    print_fields(
        [
            ("alert", _alert(told["alert"])),
            ("rule", f"{told['alert']['rule']} (version {told['rule_version']})"),
            ("condition", None if told["rule"] is None else told["rule"]["condition"]),
            ("group", f"{told['template']} ({told['fingerprint']})"),
            ("pattern", _pattern(told)),
            ("first record", _gone(told["alert"]) if first is None else _record(first, utc=utc)),
            ("window began", _window_began(told)),
            ("records", verdicts + late),
            ("opened", when(told["opened_at"], utc=utc)),
            ("ended", None if told["ended"] is None else when(told["ended"]["at"], utc=utc)),
            ("ticket", _ticket(ticket)),
            ("ticket began", None if ticket is None else _beginning(ticket)),
            ("its alerts", "\n".join(_alert(alert) for alert in told["ticket_alerts"])),
            ("events", _events(told["events"], utc=utc)),
        ]
    )


def _show_ticket(told: dict[str, Any], *, utc: bool) -> None:
    typer.echo(printable(told["summary"]))
    first, more = told["first_record"], told["alert_count"] - len(told["alerts"])
    rest = f"\nand {more} more: tocsin alerts list --ticket {told['id']}" if more else ""
    print_fields(
        [
            ("ticket", f"{told['id']} ({told['status']}): {told['title']}"),
            ("opened", f"{when(told['opened_at'], utc=utc)} by {told['opened_by']}"),
            ("first alert", None if told["first_alert_id"] is None else str(told["first_alert_id"])),
            ("first record", _gone(told) if first is None else _record(first, utc=utc)),
            ("window began", _window_began(told)),
            ("recurrence of", None if told["recurrence_of"] is None else str(told["recurrence_of"])),
            ("alerts", "\n".join(_alert_on(alert) for alert in told["alerts"]) + rest or None),
            ("events", _events(told["events"], utc=utc)),
            ("who was called", f"tocsin deliveries explain {told['id']}"),
        ]
    )


def _alert_on(alert: dict[str, Any]) -> str:
    return f"{_alert(alert)} {alert['why']}"


def _window_began(told: dict[str, Any]) -> str | None:
    return None if told["window_first_log_id"] is None else f"with record {told['window_first_log_id']}"


def _record(record: dict[str, Any], *, utc: bool) -> str:
    at = when(record["timestamp"], utc=utc, fraction=True)
    return f"{record['id']}  {at} {record['level']} {record['service']}: {record['message']}"


def _commit(commit: dict[str, Any] | None, *, utc: bool) -> str | None:
    if commit is None:
        return None
    span = f"records {commit['first_log_id']} to {commit['last_log_id']}, rules in state {commit['ruleset']}"
    return f"{when(commit['at'], utc=utc)} (event {commit['event_id']}: {span})"


def _window(window: dict[str, Any]) -> str:
    needed = f"{window['threshold']}" if window["ratio"] is None else f"{window['ratio']:g} of {window['minimum']}"
    now = "forgotten by now" if window["hits_now"] is None else f"now {window['hits_now']} of {window['total_now']}"
    return f"needs {needed} within {window['window_s']} s; {now}. {window['note']}"


def _alert(alert: dict[str, Any]) -> str:
    first = alert["first_log_id"]
    records = f"record {first}" if alert["count"] == 1 else f"{alert['count']} records, the first is {first}"
    if not alert["count"]:
        records = "no record" if first is None else f"no record since {first}"
    return f"{alert['id']} ({alert['status']}, {records})"


def _gone(alert: dict[str, Any]) -> str:
    return "there is none" if alert["first_log_id"] is None else "no longer kept"


def _beginning(ticket: dict[str, Any]) -> str:
    first = ticket["first_log_id"]
    return "without a record" if first is None else f"with record {first}"


def _pattern(told: dict[str, Any]) -> str | None:
    return None if told["pattern_id"] is None else f"{told['pattern_id']}: {told['pattern']}"


def _ticket(ticket: dict[str, Any] | None) -> str | None:
    return None if ticket is None else f"{ticket['id']} ({ticket['status']}): {ticket['title']}\n{ticket['why']}"


def _events(events: list[dict[str, Any]], *, utc: bool) -> str:
    return "\n".join(f"{when(e['at'], utc=utc)}  {e['kind']} {e['subject']} by {e['actor']}" for e in events)
