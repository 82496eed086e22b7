"""A ticket as `tocsin tickets show` prints it: fields, alerts, timeline."""

from typing import Any

import typer
from rich.text import Text

from tocsin.cli.output import (
    PRIORITY_STYLES,
    SLA_STYLES,
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


def print_ticket(ticket: dict[str, Any], timeline: dict[str, Any], comments: dict[str, Any], *, utc: bool) -> None:
    """Print a ticket with its newest alerts, and its events and comments, the oldest first."""
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
    for comment in comments["items"]:
        if not comment["deleted_at"]:
            out.print(_comment_head(comment, utc=utc), soft_wrap=True)
            typer.echo("".join(f"  {printable(line)}\n" for line in comment["text"].splitlines()), nl=False)
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
            ("team", ticket["team"]),
            ("tags", ", ".join(ticket["tags"]) or None),
            ("impact", _step(ticket["impact"])),
            ("urgency", _step(ticket["urgency"])),
            ("links", "; ".join(_link(one) for one in ticket["links"]) or None),
            (
                "opened",
                f"{when(ticket['opened_at'], utc=utc)} ({age(ticket['opened_at'])} ago) by {ticket['opened_by']}",
            ),
            ("on hold", _held(ticket, utc=utc)),
            ("SLA policy", _policy(ticket)),
            *((f"to {name}", _clock(ticket, name, utc=utc)) for name in ("acknowledge", "resolve")),
            ("acknowledged", _after(ticket, "acknowledged_at", "time_to_acknowledge_s", utc=utc)),
            ("resolved", _after(ticket, "resolved_at", "time_to_resolve_s", utc=utc)),
            ("resolution", ": ".join(filter(None, (ticket["resolution_code"], ticket["resolution_note"]))) or None),
            ("closed", when(ticket["closed_at"], utc=utc)),
            ("reopened", f"{reopened} times" if reopened > 1 else "once" if reopened else None),
            ("came late by", duration(ticket["late_s"]) if ticket["late_s"] else None),
            ("recurrence of", str(ticket["recurrence_of"]) if ticket["recurrence_of"] else None),
            ("next moves", ", ".join(ticket["allowed"]) or "none: it is final"),
            ("version", str(ticket["version"])),
            ("description", ticket["description"]),
        ]
    )


def print_past(ticket: dict[str, Any], *, utc: bool) -> None:
    """Print a ticket as it was at an instant."""
    links = "; ".join(f"{one['kind'].replace('_', ' ')} {one['ticket_id']}" for one in ticket["links"])
    print_fields(
        [
            ("ticket", str(ticket["id"])),
            ("as it was", when(ticket["at"], utc=utc)),
            ("title", ticket["title"]),
            ("status", styled(ticket["status"], STATUS_STYLES)),
            ("priority", styled(ticket["priority"], PRIORITY_STYLES)),
            ("service", ticket["service"]),
            ("assignee", ticket["assignee"]),
            ("team", ticket["team"]),
            ("tags", ", ".join(ticket["tags"]) or None),
            ("links", links or None),
            ("opened", when(ticket["opened_at"], utc=utc)),
            ("on hold", _held(ticket, utc=utc)),
            ("SLA policy", _policy(ticket)),
            *((f"to {name}", _clock(ticket, name, utc=utc)) for name in ("acknowledge", "resolve")),
            ("acknowledged", when(ticket["acknowledged_at"], utc=utc)),
            ("resolved", when(ticket["resolved_at"], utc=utc)),
            ("closed", when(ticket["closed_at"], utc=utc)),
            ("description", ticket["description"]),
        ]
    )


def _comment_head(comment: dict[str, Any], *, utc: bool) -> Text:
    edited = ", edited" if comment["edited_at"] else ""
    head = f"comment {comment['id']} by {printable(comment['author'])}{edited}"
    return Text.assemble("\n", (when(comment["created_at"], utc=utc), "dim"), f"  {head}")


def sla_of(ticket: dict[str, Any]) -> Text:
    """The state of a ticket's clocks in a word, with the least time that is left."""
    sla = ticket["sla"]
    if not sla or sla["state"] is None:
        return Text("-")
    running = [clock for name in ("acknowledge", "resolve") if (clock := sla[name]) and clock["state"] == sla["state"]]
    left = min((clock["remaining_s"] for clock in running), default=0)
    text = styled(sla["state"], SLA_STYLES)
    if sla["state"] in {"on_track", "at_risk", "breached"}:
        text = Text.assemble(text, f" {'-' if left < 0 else ''}{duration(abs(left))}")
    return text


def _held(ticket: dict[str, Any], *, utc: bool) -> str | None:
    held = ticket["on_hold"]
    if held is None:
        return None
    until = f"until {when(held['until'], utc=utc)}" if held["until"] else "until it is resumed"
    return f"since {when(held['since'], utc=utc)}, {until}: {held['reason']}"


def _policy(ticket: dict[str, Any]) -> str | None:
    sla = ticket["sla"]
    if not sla:
        return None
    by = f", calendar {sla['calendar']} (version {sla['calendar_version']})" if sla["calendar"] else ", day and night"
    return f"{sla['policy']} (version {sla['policy_version']}){by}"


def _clock(ticket: dict[str, Any], name: str, *, utc: bool) -> Text | None:
    clock = ticket["sla"] and ticket["sla"][name]
    if not clock:
        return None
    left = clock["remaining_s"]
    parts = [f"due {when(clock['due_at'], utc=utc)}"] if clock["due_at"] else []
    parts += [f"{duration(clock['elapsed_s'])} counted", f"{duration(abs(left))} {'left' if left >= 0 else 'over'}"]
    parts += [f"{duration(clock['paused_s'])} did not count"] if clock["paused_s"] else []
    return Text.assemble(styled(clock["state"], SLA_STYLES), f" ({', '.join(parts)})")


def _step(number: int | None) -> str | None:
    return None if number is None else f"{number} ({('high', 'medium', 'low')[number - 1]})"


def _link(one: dict[str, Any]) -> str:
    return f"{one['kind'].replace('_', ' ')} {one['ticket_id']} ({one['status']})"


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
        "TicketMoved": lambda: f"{data['before']} → {data['after']}" + _resolution(data),
        "TicketAnswered": lambda: f"answered by {data['way']}: {data['answer']}",
        "TicketCommented": lambda: f"comment {data['comment_id']}",
        "TicketCommentEdited": lambda: f"comment {data['comment_id']} edited",
        "TicketCommentDeleted": lambda: f"comment {data['comment_id']} deleted",
        "TicketMerged": lambda: f"merged into ticket {data['into_id']}",
        "TicketUnmerged": lambda: f"merge into ticket {data['into_id']} undone, {data['after']} again",
        "TicketAbsorbed": lambda: f"ticket {data['other_id']} merged into this one, with {data['alerts']} alerts",
        "TicketParted": lambda: f"merge of ticket {data['other_id']} undone",
        "TicketLinked": lambda: f"{data['link'].replace('_', ' ')} ticket {data['other_id']}",
        "TicketUnlinked": lambda: f"no longer {data['link'].replace('_', ' ')} ticket {data['other_id']}",
        "TicketReopened": lambda: f"reopened, {data['before']} → {data['after']}{_by_alert(data)}: {data['reason']}",
        "TicketEdited": lambda: "; ".join(_edit(name, data) for name in data["after"]),
        "TicketPrioritised": lambda: f"priority {data['before']} → {data['after']}",
        "TicketHeld": lambda: f"on hold until {data['until'] or 'it is resumed'}: {data['reason']}",
        "TicketResumed": lambda: f"on hold no longer{_reason_of(data)}",
        "SlaAssigned": lambda: _assigned(data),
        "SlaAtRisk": lambda: f"the clock to {data['clock']} is at risk, due {data['due_at']}",
        "SlaBreached": lambda: f"the clock to {data['clock']} ran out, due {data['due_at']}",
    }
    try:
        return words[kind]()
    except KeyError:
        return kind


def _resolution(data: dict[str, Any]) -> str:
    said = [data.get("resolution_code"), data.get("resolution_note")]
    return f" ({': '.join(filter(None, said))})" if any(said) else ""


def _reason_of(data: dict[str, Any]) -> str:
    return f": {data['reason']}" if data.get("reason") else ""


def _assigned(data: dict[str, Any]) -> str:
    why = {"priority": " because of its priority", "recalculated": ", reckoned anew"}.get(data["why"], "")
    if data["policy"] is None:
        return f"no SLA policy any more{why}{_reason_of(data)}"
    return f"SLA policy {data['policy']} (version {data['policy_version']}){why}{_reason_of(data)}"


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
    if name == "tags":
        return f"tags → {', '.join(after) or 'none'}"
    return f"{name} {before or 'nobody'} → {after or 'nobody'}" if name == "assignee" else f"{name} → {after}"
