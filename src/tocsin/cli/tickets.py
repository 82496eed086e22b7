"""`tocsin tickets`: find, read, open and move tickets. Which move is allowed the server says, never this file."""

import getpass
from collections.abc import Callable
from typing import Annotated, Any

import typer

from tocsin.cli import postmortem
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
from tocsin.cli.exits import REFUSED, CommandFailed, WrongUsage
from tocsin.cli.logfilter import QueryArgument
from tocsin.cli.output import (
    PRIORITY_STYLES,
    STATUS_STYLES,
    age,
    duration,
    more_follows,
    print_json,
    print_table,
    printable,
    styled,
)
from tocsin.cli.remote import Answer, Server
from tocsin.cli.ticket_page import print_past, print_ticket, sla_of

_ACKNOWLEDGED = "IN_PROGRESS"
_RESOLVED = "RESOLVED"
_CLOSED = "CLOSED"
_NONE = "none"
_TIMELINE_SHOWN = 1000
_BULK_TIMEOUT_S = 300.0  # each of a thousand tickets is a commit

AssigneeOption = Annotated[str | None, typer.Option("--assignee", "-a", help="Who has it.")]
ImpactOption = Annotated[int | None, typer.Option("--impact", min=1, max=3, help="1 (high) to 3 (low).")]
UrgencyOption = Annotated[int | None, typer.Option("--urgency", min=1, max=3, help="1 (high) to 3 (low).")]

app = make_app(
    help="List, show, open and move tickets: OPEN, IN_PROGRESS, RESOLVED, CLOSED.",
    epilog=examples("tocsin tickets list", "tocsin tickets ack 7", "tocsin tickets resolve 7"),
)


@app.command(
    "list",
    epilog=examples(
        "tocsin tickets list --status OPEN,IN_PROGRESS --sort priority",
        "tocsin tickets list 'assignee:none priority:<=P2 payment*'",
        "tocsin tickets list --view night --query 'service:payments'",
    ),
)
def list_tickets(
    query: QueryArgument = None,
    q: Annotated[str | None, typer.Option("--query", "-q", help="The query, as an option.")] = None,
    view: Annotated[str | None, typer.Option("--view", metavar="NAME", help="What this view asks for.")] = None,
    status: Annotated[str | None, typer.Option("--status", help="One or several, comma-separated.")] = None,
    priority: Annotated[str | None, typer.Option("--priority", "-p", help="One or several: P1,P2.")] = None,
    service: Annotated[str | None, typer.Option("--service", "-s", help="Only this service.")] = None,
    assignee: Annotated[str | None, typer.Option("--assignee", "-a", help="Only theirs; none: nobody's.")] = None,
    team: Annotated[str | None, typer.Option("--team", help="Only this team's; none: no team's.")] = None,
    tag: Annotated[str | None, typer.Option("--tag", help="Only with this tag.")] = None,
    text: Annotated[str | None, typer.Option("--text", "-t", help="Found in a title, description or comment.")] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort", help="opened, updated (newest first) or priority.", show_default="opened, or the view's"
        ),
    ] = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List tickets that match all filters."""
    if query is not None and q is not None:
        raise WrongUsage(detail="give one query, as an argument or with --query")
    filters = {
        "q": query or q,
        "view": view,
        "status": status,
        "priority": priority,
        "service": service,
        "assignee": assignee,
    }
    filters |= {"team": team, "tag": tag, "text": text}
    with Server(url, key_file) as server:
        page = server.get("/tickets", **filters, sort=sort, limit=limit, cursor=cursor)
    if as_json:
        print_json(page.text)
        return
    if not page.data["items"]:
        none_yet = "No tickets yet. A record that a rule matches opens one; which rules there are: tocsin rules list"
        typer.echo("No ticket matches." if any(filters.values()) else none_yet)
        return
    with_sla = any(ticket["sla"] for ticket in page.data["items"])
    print_table(
        ["ID", "Prio", "Status", *(["SLA"] if with_sla else []), "Age", "Assignee", "Service", "Title"],
        (_row(ticket, with_sla=with_sla) for ticket in page.data["items"]),
        flexible=["Assignee", "Service", "Title"],
    )
    more_follows(page.data)


def _row(ticket: dict[str, Any], *, with_sla: bool) -> list[Any]:
    return [
        str(ticket["id"]),
        styled(ticket["priority"], PRIORITY_STYLES),
        styled(ticket["status"], STATUS_STYLES),
        *([sla_of(ticket)] if with_sla else []),
        age(ticket["opened_at"]),
        ticket["assignee"] or "-",
        ticket["service"] or "-",
        ticket["title"],
    ]


@app.command(epilog=examples("tocsin tickets similar 7", "tocsin tickets similar 7 --limit 3"))
def similar(
    ticket_id: IdArgument,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="How many at most.")] = 10,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List tickets like this one, how they were resolved, and what they have in common."""
    with Server(url, key_file) as server:
        answer = server.get(f"/tickets/{ticket_id}/similar", limit=limit)
    if as_json:
        print_json(answer.text)
        return
    if not answer.data["items"]:
        typer.echo(f"No ticket is like ticket {ticket_id}. By its words: tocsin tickets list --text WORD")
        return
    print_table(
        ["ID", "Like", "Status", "Took", "By", "Resolution", "Common", "Title"],
        (_similar_row(one) for one in answer.data["items"]),
        flexible=["By", "Resolution", "Common", "Title"],
    )


def _similar_row(one: dict[str, Any]) -> list[Any]:
    said = ": ".join(part for part in (one["resolution_code"], one["resolution_note"]) if part)
    return [
        str(one["ticket_id"]),
        f"{one['score']:.0%}",
        styled(one["status"], STATUS_STYLES),
        duration(one["time_to_resolve_s"]),
        one["resolved_by"] or "-",
        said or "-",
        "; ".join(f"{reason['kind']}: {reason['detail']}" for reason in one["reasons"]),
        one["title"],
    ]


@app.command(epilog=examples("tocsin tickets show 7", "tocsin tickets show 7 --at 2h"))
def show(
    ticket_id: IdArgument,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="As it was then: RFC 3339, or how long ago: 15m, 2h.")
    ] = None,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one ticket with its alerts, comments and timeline (--json: without the last two)."""
    with Server(url, key_file) as server:
        answer = server.get(f"/tickets/{ticket_id}", at=at)
        if as_json:
            print_json(answer.text)
            return
        if at is not None:
            print_past(answer.data, utc=utc)
            return
        timeline = server.get(f"/tickets/{ticket_id}/events", limit=_TIMELINE_SHOWN).data
        comments = server.get(f"/tickets/{ticket_id}/comments", limit=_TIMELINE_SHOWN).data
    print_ticket(answer.data, timeline, comments, utc=utc)


@app.command(
    "open", epilog=examples('tocsin tickets open "Checkout page is blank" --priority P2 --service shop --assignee ana')
)
def open_ticket(
    title: Annotated[str, typer.Argument(metavar="TITLE", help="What is wrong, in one line.")],
    description: Annotated[str, typer.Option("--description", "-d", help="More about it.")] = "",
    priority: Annotated[
        str | None,
        typer.Option(
            "--priority", "-p", help="P1 (wakes people) to P5, or HIGH, LOW, ...", show_default="by the matrix, or P3"
        ),
    ] = None,
    service: Annotated[str | None, typer.Option("--service", "-s", help="Which service it is about.")] = None,
    assignee: AssigneeOption = None,
    team: Annotated[str | None, typer.Option("--team", help="Whose it is.", show_default="its service's")] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="Several times.")] = None,
    impact: ImpactOption = None,
    urgency: UrgencyOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open a ticket by hand."""
    body = {"title": title, "description": description, "priority": priority, "service": service,
            "assignee": assignee, "team": team, "tags": tags or [], "impact": impact, "urgency": urgency}  # fmt: skip
    with Server(url, key_file) as server:
        _tell(server.post("/tickets", body), as_json=as_json)


@app.command(
    epilog=examples(
        "tocsin tickets change 7 --team shop --impact 1 --urgency 2", "tocsin tickets change 7 8 --assignee none"
    )
)
def change(
    ids: IdsArgument,
    title: Annotated[str | None, typer.Option("--title", help="What is wrong, in one line.")] = None,
    description: Annotated[str | None, typer.Option("--description", "-d", help="More about it.")] = None,
    assignee: Annotated[str | None, typer.Option("--assignee", "-a", help="Who has it; none: nobody.")] = None,
    team: Annotated[str | None, typer.Option("--team", help="Whose it is; none: no team's.")] = None,
    impact: Annotated[str | None, typer.Option("--impact", help="1 (high) to 3 (low); none: not known.")] = None,
    urgency: Annotated[str | None, typer.Option("--urgency", help="1 (high) to 3 (low); none: not known.")] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change fields of tickets. Once impact and urgency are known, the priority follows: tocsin matrix show."""
    said = {"title": title, "description": description, "assignee": assignee, "team": team}
    body: dict[str, object] = {name: value for name, value in said.items() if value is not None}
    body |= {name: None for name in ("assignee", "team") if said[name] == _NONE}
    steps = {"impact": impact, "urgency": urgency}
    body |= {name: step_of(f"--{name}", text) for name, text in steps.items() if text is not None}
    if not body:
        raise WrongUsage(detail="there is nothing to change: give one of --title, --description, --assignee, --team, "
                                "--impact, --urgency")  # fmt: skip
    _each(ids, lambda server, id_: server.patch(f"/tickets/{id_}", body), url, key_file, as_json=as_json)


def step_of(option: str, text: str) -> int | None:
    """`1`, `2`, `3`, or None for `none`. Raises WrongUsage."""
    if text == _NONE:
        return None
    if text not in {"1", "2", "3"}:
        raise WrongUsage(detail=f"{option} {text!r}: expected 1 (high), 2 (medium), 3 (low) or none")
    return int(text)


@app.command(epilog=examples("tocsin tickets ack 7", "tocsin tickets ack 7 8 9 --assignee ana"))
def ack(
    ids: IdsArgument,
    assignee: Annotated[
        str | None, typer.Option("--assignee", "-a", help="Who takes it up.", show_default="your login name")
    ] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take tickets up: OPEN to IN_PROGRESS, with an assignee."""
    body = {"status": _ACKNOWLEDGED, "assignee": assignee or _login_name()}
    _each(ids, lambda server, id_: server.patch(f"/tickets/{id_}", body), url, key_file, as_json=as_json)


@app.command(
    epilog=examples("tocsin tickets resolve 7 8", 'tocsin tickets resolve 7 --code fixed --note "Restarted the pool."')
)
def resolve(
    ids: IdsArgument,
    code: Annotated[str | None, typer.Option("--code", help="Of what kind that is: fixed, no-fault, ...")] = None,
    note: Annotated[str | None, typer.Option("--note", help="How it came about.")] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Resolve tickets; one that is still OPEN is taken up first, in your name unless it has an assignee."""
    said = {"resolution_code": code, "resolution_note": note}
    _each(ids, lambda server, id_: _resolve(server, id_, said), url, key_file, as_json=as_json)


def _resolve(server: Server, ticket_id: int, said: dict[str, str | None]) -> Answer:
    ticket = server.get(f"/tickets/{ticket_id}").data
    if _RESOLVED not in ticket["allowed"] and _ACKNOWLEDGED in ticket["allowed"]:
        taken_up = {"status": _ACKNOWLEDGED, "assignee": ticket["assignee"] or _login_name()}
        ticket = server.patch(f"/tickets/{ticket_id}", taken_up, version=ticket["version"]).data
    return server.patch(f"/tickets/{ticket_id}", {"status": _RESOLVED, **said}, version=ticket["version"])


@app.command(epilog=examples("tocsin tickets close 7 8"))
def close(
    ids: IdsArgument,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Close resolved tickets for good."""
    body = {"status": _CLOSED}
    _each(ids, lambda server, id_: server.patch(f"/tickets/{id_}", body), url, key_file, as_json=as_json)


@app.command(epilog=examples('tocsin tickets reopen 7 --reason "It is back after the deploy."'))
def reopen(
    ids: IdsArgument,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why it is not over.")],
    assignee: Annotated[
        str | None, typer.Option("--assignee", "-a", help="Who takes it up.", show_default="your login name")
    ] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take resolved tickets up again: RESOLVED to IN_PROGRESS."""
    body = {"reason": reason, "assignee": assignee or _login_name()}
    _each(ids, lambda server, id_: server.post(f"/tickets/{id_}/reopen", body), url, key_file, as_json=as_json)


@app.command(
    epilog=examples(
        'tocsin tickets hold 7 --reason "The vendor looks into it."', 'tocsin tickets hold 7 8 -r "Frozen" --until 2d'
    )
)
def hold(
    ids: IdsArgument,
    reason: Annotated[str, typer.Option("--reason", "-r", help="What is waited for.")],
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="RFC 3339, or how long: 4h, 2d.", show_default="it is resumed"),
    ] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put tickets on hold: their clocks stand still, their deadlines shift."""
    body = {"reason": reason, "until": until}
    _each(ids, lambda server, id_: server.post(f"/tickets/{id_}/hold", body), url, key_file, as_json=as_json)


@app.command(epilog=examples("tocsin tickets resume 7", 'tocsin tickets resume 7 --reason "They have answered."'))
def resume(
    ids: IdsArgument,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why it goes on.")] = "",
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """End the hold of tickets: their clocks run again."""
    body = {"reason": reason}
    _each(ids, lambda server, id_: server.post(f"/tickets/{id_}/resume", body), url, key_file, as_json=as_json)


@app.command(
    epilog=examples("tocsin tickets recalculate 7", 'tocsin tickets recalculate 7 8 --reason "The new contract"')
)
def recalculate(
    ids: IdsArgument,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why, for the timeline.")] = "",
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the clocks of tickets run by the SLA policy and the calendar that are in force now."""
    body = {"reason": reason}
    _each(ids, lambda server, id_: server.post(f"/tickets/{id_}/sla/recalculate", body), url, key_file, as_json=as_json)


@app.command(epilog=examples("tocsin tickets priority 7 P1"))
def priority(
    ticket_id: IdArgument,
    priority: Annotated[
        str, typer.Argument(metavar="PRIORITY", help="P1 to P5, or CRITICAL, HIGH, MEDIUM, LOW, INFO.")
    ],
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a ticket's priority."""
    with Server(url, key_file) as server:
        _tell(server.patch(f"/tickets/{ticket_id}/priority", {"priority": priority}), as_json=as_json)


@app.command(
    epilog=examples(
        'tocsin tickets comment 7 "The vendor **confirmed** the outage."',
        'tocsin tickets comment 7 --edit 12 "They have fixed it."',
        "tocsin tickets comment 7 --delete 12",
    )
)
def comment(
    ticket_id: IdArgument,
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="Markdown.")] = None,
    edit: Annotated[
        int | None, typer.Option("--edit", metavar="COMMENT", min=1, help="Replace this one of yours.")
    ] = None,
    delete: Annotated[
        int | None, typer.Option("--delete", metavar="COMMENT", min=1, help="Take this one back.")
    ] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Comment on a ticket, also on a closed one; edit or take back what you said."""
    if (delete is None) == (text is None) or (edit and delete):
        raise WrongUsage(detail="expected a TEXT to say, --edit COMMENT with a TEXT, or --delete COMMENT alone")
    path = f"/tickets/{ticket_id}/comments"
    with Server(url, key_file) as server:
        if delete is not None:
            answer = server.ask("DELETE", f"{path}/{delete}")
        elif edit is not None:
            answer = server.patch(f"{path}/{edit}", {"text": text})
        else:
            answer = server.post(path, {"text": text})
    if as_json:
        print_json(answer.text)
        return
    how = " deleted" if delete else " edited" if edit else ""
    typer.echo(f"Comment {answer.data['id']} on ticket {ticket_id}{how}.")


@app.command(
    epilog=examples("tocsin tickets tag 7 database eu", "tocsin tickets tag 7 --remove eu", "tocsin tickets tag 7")
)
def tag(
    ticket_id: IdArgument,
    tags: Annotated[list[str] | None, typer.Argument(metavar="TAG...", help="To add.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", "-r", help="To take away; several times.")] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add tags to a ticket, take some away; without any, list those it has."""
    away = {text.lower() for text in remove or ()}
    with Server(url, key_file) as server:
        answer = server.get(f"/tickets/{ticket_id}")
        if tags or away:
            wanted = [text for text in [*answer.data["tags"], *(tags or ())] if text.lower() not in away]
            answer = server.patch(f"/tickets/{ticket_id}", {"tags": wanted}, version=answer.data["version"])
    if as_json:
        print_json(answer.text)
        return
    listed = ", ".join(answer.data["tags"])
    none_yet = f"Ticket {ticket_id} has no tags. Add some: tocsin tickets tag {ticket_id} TAG"
    typer.echo(f"Ticket {ticket_id}: {printable(listed)}" if listed else none_yet)


@app.command(
    epilog=examples(
        "tocsin tickets link 7 caused-by 3", "tocsin tickets link 7 related 9 --remove", "tocsin tickets link 7"
    ),
)
def link(
    ticket_id: IdArgument,
    kind: Annotated[
        str | None, typer.Argument(metavar="KIND", help="duplicate-of, caused-by, recurrence-of or related.")
    ] = None,
    other_id: Annotated[int | None, typer.Argument(metavar="OTHER", min=1, help="The other ticket.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the link away.")] = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a ticket is to another one; both show it. Without one, list the links there are."""
    if (kind is None) != (other_id is None) or (remove and kind is None):
        raise WrongUsage(detail="expected KIND and OTHER, or neither to list the links")
    with Server(url, key_file) as server:
        if kind is None:
            answer = server.get(f"/tickets/{ticket_id}/links")
        elif remove:
            answer = server.ask("DELETE", f"/tickets/{ticket_id}/links/{kind}/{other_id}")
        else:
            answer = server.post(f"/tickets/{ticket_id}/links", {"kind": kind, "ticket_id": other_id})
    if as_json:
        print_json(answer.text)
        return
    listed = "; ".join(f"{one['kind'].replace('_', ' ')} {one['ticket_id']}" for one in answer.data["items"])
    typer.echo(f"Ticket {ticket_id}: {listed or 'no links'}")


@app.command(epilog=examples("tocsin tickets merge 7 3"))
def merge(
    ticket_id: IdArgument,
    into: Annotated[int, typer.Argument(metavar="INTO", min=1, help="The ticket that goes on.")],
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Close a ticket as the duplicate of another one, which gets its alerts."""
    with Server(url, key_file) as server:
        _tell(server.post(f"/tickets/{ticket_id}/merge", {"into": into}), as_json=as_json)


@app.command(epilog=examples("tocsin tickets unmerge 7"))
def unmerge(
    ticket_id: IdArgument, url: UrlOption = DEFAULT_URL, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Undo a merge, as long as the other ticket is not over."""
    with Server(url, key_file) as server:
        _tell(server.post(f"/tickets/{ticket_id}/unmerge", {}), as_json=as_json)


@app.command(
    epilog=examples('tocsin tickets split 7 --alert 12 --alert 14 --title "Disk full on db-1" -r "Another trouble"')
)
def split(
    ticket_id: IdArgument,
    alerts: Annotated[list[int], typer.Option("--alert", min=1, help="One that is to go; several times.")],
    title: Annotated[str, typer.Option("--title", help="Of the new ticket.")],
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why it is not the same trouble.")],
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give some alerts of a ticket to a new one, which is linked with it; its clocks run since they opened."""
    body = {"alerts": alerts, "title": title, "reason": reason}
    with Server(url, key_file) as server:
        _tell(server.post(f"/tickets/{ticket_id}/split", body), as_json=as_json)


@app.command(epilog=examples("tocsin tickets unsplit 8"))
def unsplit(
    ticket_id: IdArgument, url: UrlOption = DEFAULT_URL, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Merge a ticket that was split off into the one that it came from, as long as neither is over."""
    with Server(url, key_file) as server:
        _tell(server.post(f"/tickets/{ticket_id}/unsplit", {}), as_json=as_json)


app.command("postmortem", epilog=postmortem.EXAMPLES)(postmortem.postmortem)


@app.command(
    epilog=examples(
        "tocsin tickets bulk 7 8 9 --assignee ana --tag outage",
        "tocsin tickets bulk --query 'service:payments status:OPEN' --move IN_PROGRESS --comment 'Same outage.'",
    )
)
def bulk(
    ids: Annotated[list[int] | None, typer.Argument(metavar="ID...", help="Up to 1,000 ids.")] = None,
    query: Annotated[str | None, typer.Option("--query", "-q", help="Or all that this finds, 1,000 at most.")] = None,
    move: Annotated[
        str | None, typer.Option("--move", metavar="STATUS", help="To this status: IN_PROGRESS, RESOLVED or CLOSED.")
    ] = None,
    code: Annotated[str | None, typer.Option("--code", help="Resolution code, with --move RESOLVED.")] = None,
    note: Annotated[str | None, typer.Option("--note", help="Resolution note, with --move RESOLVED.")] = None,
    assignee: AssigneeOption = None,
    team: Annotated[str | None, typer.Option("--team", help="Whose they are.")] = None,
    priority: Annotated[str | None, typer.Option("--priority", "-p", help="P1 to P5, or HIGH, LOW, ...")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="To add; several times.")] = None,
    untag: Annotated[list[str] | None, typer.Option("--untag", help="To take away; several times.")] = None,
    comment: Annotated[str | None, typer.Option("--comment", "-c", help="Markdown.")] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move, assign, prioritise, tag or comment on many tickets; each is done wholly or not at all.

    With --move RESOLVED, what is still OPEN is taken up first, in your name unless it has an assignee: that is what
    `tocsin tickets resolve` does.
    """
    said: dict[str, Any] = {
        "ids": ids, "q": query, "status": move, "resolution_code": code, "resolution_note": note, "assignee": assignee,
        "team": team, "priority": priority, "add_tags": tag, "remove_tags": untag, "comment": comment,
    }  # fmt: skip
    if move is not None and move.upper() == _RESOLVED:
        said["taken_up_by"] = assignee or _login_name()
    with Server(url, key_file, timeout_s=_BULK_TIMEOUT_S) as server:
        answer = server.post("/tickets/bulk", {name: value for name, value in said.items() if value})
    if as_json:
        print_json(answer.text)
    else:
        for one in answer.data["items"]:
            if not one["done"]:
                typer.echo(f"tocsin: ticket {one['id']}: {printable(one['problem']['detail'])}", err=True)
        typer.echo(f"{answer.data['done']} done, {answer.data['refused']} refused")
    if answer.data["refused"]:
        raise typer.Exit(REFUSED)


def _each(
    ids: list[int], act: Callable[[Server, int], Answer], url: str, key_file: str | None, *, as_json: bool
) -> None:
    """Act on each ticket; one that is refused is named and does not stop the others, the exit code tells of it."""
    answers: list[Answer] = []
    with Server(url, key_file) as server:
        if len(ids) == 1:
            _tell(act(server, ids[0]), as_json=as_json)
            return
        for ticket_id in ids:
            try:
                answers.append(act(server, ticket_id))
            except CommandFailed as error:
                if error.exit_code != REFUSED:
                    raise
                typer.echo(f"tocsin: ticket {ticket_id}: {error}", err=True)
                continue
            if not as_json:
                _tell(answers[-1], as_json=False)
    if as_json:
        print_json(*(answer.text for answer in answers), many=True)
    if len(answers) < len(ids):
        raise typer.Exit(REFUSED)


def _tell(answer: Answer, *, as_json: bool) -> None:
    """One line about a ticket as it is now."""
    if as_json:
        print_json(answer.text)
        return
    ticket = answer.data
    whose = f", {printable(ticket['assignee'])}" if ticket["assignee"] else ""
    held = ", on hold" if ticket["on_hold"] else ""
    head = f"Ticket {ticket['id']} ({ticket['status']}, {ticket['priority']}{whose}{held})"
    typer.echo(f"{head}: {printable(ticket['title'])}")


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise CommandFailed(detail="Your login name is not known here; give --assignee.") from error
