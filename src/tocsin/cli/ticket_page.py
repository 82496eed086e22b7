"""A ticket as `tocsin tickets show` prints it: fields, alerts, timeline."""

from typing import Any

import typer
from rich.text import Text

from tocsin.cli.output import (
    PRIORITY_STYLES,
    STATUS_STYLES,
    age,
    console,
    duration,
    print_fields,
    print_table,
    printable,
    styled,
    when,
)


def print_ticket(ticket: dict[str, Any], timeline: dict[str, Any], *, utc: bool) -> None:
    """Print a ticket with its newest alerts and its events, the oldest first."""
    _print_head(ticket, utc=utc)
    if ticket["alerts"]:
        typer.echo("")
        print_table(
            ["Alert", "Status", "Count", "First seen", "Last seen", "Logs", "Title"],
            (_alert_row(alert) for alert in ticket["alerts"]),
            flexible=["Title"],
        )
    typer.echo("")
    out = console()
    for entry in timeline["items"]:
        out.print(_event_line(entry, utc=utc), soft_wrap=True)
    if timeline["next"]:
        typer.echo(f"More of the timeline: GET /tickets/{ticket['id']}/events?cursor={timeline['next']}", err=True)


def _print_head(ticket: dict[str, Any], *, utc: bool) -> None:
    reopened = ticket["reopen_count"]
    print_fields(
        [
            ("ticket", str(ticket["id"])),
            ("title", ticket["title"]),
            ("status", styled(ticket["status"], STATUS_STYLES)),
            ("priority", styled(ticket["priority"], PRIORITY_STYLES)),
            ("service", _service(ticket)),
            ("runbook", (ticket["service_info"] or {}).get("runbook_url")),
            ("assignee", ticket["assignee"]),
            (
                "opened",
                f"{when(ticket['opened_at'], utc=utc)} ({age(ticket['opened_at'])} ago) by {ticket['opened_by']}",
            ),
            ("acknowledged", _after(ticket, "acknowledged_at", "time_to_acknowledge_s", utc=utc)),
            ("resolved", _after(ticket, "resolved_at", "time_to_resolve_s", utc=utc)),
            ("closed", when(ticket["closed_at"], utc=utc)),
            ("reopened", f"{reopened} times" if reopened > 1 else "once" if reopened else None),
            ("came late by", duration(ticket["late_s"]) if ticket["late_s"] else None),
            ("recurrence of", str(ticket["recurrence_of"]) if ticket["recurrence_of"] else None),
            ("next moves", ", ".join(ticket["allowed"]) or "none: it is final"),
            ("version", str(ticket["version"])),
            ("description", ticket["description"]),
        ]
    )


def _service(ticket: dict[str, Any]) -> str | None:
    """The service with what is declared of it: `payments (tier 1, team shop)`."""
    info = ticket["service_info"] or {}
    known = (("tier", info.get("tier")), ("team", info.get("team")))
    told = ", ".join(f"{name} {value}" for name, value in known if value)
    return f"{ticket['service']} ({told})" if told else ticket["service"]


def _after(ticket: dict[str, Any], instant: str, elapsed: str, *, utc: bool) -> str | None:
    if ticket[instant] is None:
        return None
    return f"{when(ticket[instant], utc=utc)} (after {duration(ticket[elapsed]) or '?'})"


def _alert_row(alert: dict[str, Any]) -> list[Any]:
    return [
        str(alert["id"]),
        styled(alert["status"], STATUS_STYLES),
        str(alert["count"]),
        f"{age(alert['first_seen_at'])} ago",
        f"{age(alert['last_seen_at'])} ago",
        " ".join(map(str, alert["sample_log_ids"][:3])),
        alert["title"],
    ]


def _event_line(entry: dict[str, Any], *, utc: bool) -> Text:
    return Text.assemble(
        (when(entry["at"], utc=utc), "dim"),
        "  ",
        (f"{printable(entry['actor']):<12}", "cyan"),
        "  ",
        printable(told(entry["kind"], entry["data"])),
    )


def told(kind: str, data: dict[str, Any]) -> str:
    """An event of a timeline in words; a kind this program does not know is named as it is."""
    words = {
        "TicketOpened": lambda: f"opened at {data['priority']}" + _by_alert(data),
        "AlertJoined": lambda: f"alert {data['alert_id']} joined" + _because(data),
        "TicketCauseSuspected": lambda: (
            f"probably caused by ticket {data['cause_ticket_id']}: {data['cause_service']} began to fail shortly after"
        ),
        "TicketEffectSuspected": lambda: (
            f"probably the cause of ticket {data['effect_ticket_id']}: {data['effect_service']} depends on it"
        ),
        "TicketMoved": lambda: f"{data['before']} → {data['after']}",
        "TicketReopened": lambda: f"reopened, {data['before']} → {data['after']}{_by_alert(data)}: {data['reason']}",
        "TicketEdited": lambda: "; ".join(_edit(name, data) for name in data["after"]),
        "TicketPrioritised": lambda: f"priority {data['before']} → {data['after']}",
    }
    try:
        return words[kind]()
    except KeyError:
        return kind


def _by_alert(data: dict[str, Any]) -> str:
    return f" by alert {data['alert_id']}" if data.get("alert_id") else ""


def _because(data: dict[str, Any]) -> str:
    if not data.get("caused_by_alert_id"):
        return ""
    steps = f" ({' → '.join(data['way'])})" if data["way"] else ""
    return f", caused by alert {data['caused_by_alert_id']} of {data['caused_by_service']}{steps}"


def _edit(name: str, data: dict[str, Any]) -> str:
    if name == "description":
        return "description changed"
    before, after = data["before"][name], data["after"][name]
    return f"{name} {before or 'nobody'} → {after or 'nobody'}" if name == "assignee" else f"{name} → {after}"
