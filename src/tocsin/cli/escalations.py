"""`tocsin escalations`: who is called one after the other; call, hand back, and why somebody was called or not."""

from typing import Annotated, Any

import typer

from tocsin.cli.answers import print_page, tell
from tocsin.cli.command import (
    DEFAULT_URL,
    CursorOption,
    ForceOption,
    IdArgument,
    JsonOption,
    KeyFileOption,
    LimitOption,
    UrlOption,
    UtcOption,
    examples,
    make_app,
)
from tocsin.cli.exits import WrongUsage
from tocsin.cli.given import seconds
from tocsin.cli.output import duration, print_fields, print_json, printable, when
from tocsin.cli.remote import Server

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="An escalation policy.")]

app = make_app(
    help="Say who is called one after the other, call somebody, hand a ticket back, ask why somebody was called.",
    epilog=examples(
        "tocsin escalations save payments --step schedule:primary --step user:rui,team:shop@10m --repeats 2",
        "tocsin escalations page 17 schedule:primary --message 'please look at the database'",
        "tocsin escalations explain 17 --person ana",
    ),
)


@app.command("list", epilog=examples("tocsin escalations list"))
def list_policies(
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List escalation policies."""
    with Server(url, key_file) as server:
        page = server.get("/escalation-policies", limit=limit, cursor=cursor)
    print_page(
        page,
        ["Name", "Steps", "Repeats", "Fallback", "Description"],
        (
            [one["name"], _steps(one), str(one["repeats"]), one["fallback"] or "", one["description"]]
            for one in page.data["items"]
        ),
        flexible=["Steps", "Description"],
        empty="No escalation policies: nobody is called. tocsin escalations save NAME --step schedule:NAME",
        as_json=as_json,
    )


def _steps(policy: dict[str, Any]) -> str:
    return " → ".join(f"{', '.join(step['targets'])} ({duration(step['delay_s'])})" for step in policy["steps"])


@app.command(epilog=examples("tocsin escalations show payments"))
def show(
    name: NameArgument, url: UrlOption = DEFAULT_URL, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Show one escalation policy."""
    with Server(url, key_file) as server:
        answer = server.get(f"/escalation-policies/{name}")
    if as_json:
        print_json(answer.text)
        return
    policy = answer.data
    steps = [(f"step {place}", _step_words(step)) for place, step in enumerate(policy["steps"], 1)]
    timeouts = ", ".join(f"{name} {duration(seconds)}" for name, seconds in policy["ack_timeout_s"].items())
    print_fields(
        [
            ("name", policy["name"]),
            ("version", str(policy["version"])),
            ("description", policy["description"]),
            *steps,
            ("repeats", str(policy["repeats"])),
            ("fallback", policy["fallback"]),
            ("calls again after", timeouts),
        ]
    )


def _step_words(step: dict[str, Any]) -> str:
    how = "one in turn of " if step["round_robin"] else ""
    return f"{how}{', '.join(step['targets'])}, then {duration(step['delay_s'])}"


@app.command(
    epilog=examples(
        "tocsin escalations save payments --step schedule:primary@5m --step user:rui --repeats 1 --fallback team:shop"
    )
)
def save(
    name: NameArgument,
    steps: Annotated[
        list[str], typer.Option("--step", "-s", help="KIND:NAME, several with commas, @ how long: team:shop@10m.")
    ],
    repeats: Annotated[int, typer.Option("--repeats", min=0, help="How often all is done once more.")] = 0,
    fallback: Annotated[str | None, typer.Option("--fallback", help="Called where a step finds nobody.")] = None,
    description: Annotated[str, typer.Option("--description", help="What it is for.")] = "",
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an escalation policy, or say all of it anew."""
    body = {
        "steps": [_step_of(step) for step in steps],
        "repeats": repeats,
        "fallback": fallback,
        "description": description,
    }
    with Server(url, key_file) as server:
        answer = server.ask("PUT", f"/escalation-policies/{name}", json=body)
    tell(answer, f"Escalation policy {name}: {_steps(answer.data)}", as_json=as_json)


def _step_of(text: str) -> dict[str, Any]:
    targets, _, wait = text.partition("@")
    step: dict[str, Any] = {"targets": [target.strip() for target in targets.split(",")]}
    return {**step, "delay_s": seconds("--step", wait)} if wait else step


@app.command(epilog=examples("tocsin escalations remove payments", "tocsin escalations remove payments --force"))
def remove(
    name: NameArgument, force: ForceOption = False, url: UrlOption = DEFAULT_URL, key_file: KeyFileOption = None
) -> None:
    """Remove an escalation policy that no route names."""
    with Server(url, key_file) as server:
        server.remove(f"/escalation-policies/{name}", force=force)
    typer.echo(f"Escalation policy {printable(name)} is gone.")


@app.command(
    epilog=examples("tocsin escalations page 17 user:ana -m 'please look'", "tocsin escalations page 17 policy:all")
)
def page(
    ticket_id: IdArgument,
    target: Annotated[str, typer.Argument(metavar="KIND:NAME", help="user, schedule, team, channel or policy.")],
    message: Annotated[str, typer.Option("--message", "-m", help="What they should know.")] = "",
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Call somebody about a ticket now."""
    kind, _, name = target.partition(":")
    if kind not in {"user", "schedule", "team", "channel", "policy"} or not name:
        raise WrongUsage(detail="Expected user:NAME, schedule:NAME, team:NAME, channel:NAME or policy:NAME.")
    with Server(url, key_file) as server:
        answer = server.post(f"/tickets/{ticket_id}/page", {kind: name, "message": message})
    tell(answer, f"Called: {', '.join(answer.data['called'])}", as_json=as_json)


@app.command("hand-back", epilog=examples("tocsin escalations hand-back 17 --reason 'my shift is over'"))
def hand_back(
    ticket_id: IdArgument,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why.")],
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a ticket up: it is nobody's again, and people are called for it from the first step on."""
    with Server(url, key_file) as server:
        answer = server.post(f"/tickets/{ticket_id}/hand-back", {"reason": reason})
    tell(answer, f"Ticket {ticket_id} is {answer.data['status']} and nobody's.", as_json=as_json)


@app.command(epilog=examples("tocsin escalations explain 17 --person ana"))
def explain(
    ticket_id: IdArgument,
    person: Annotated[str, typer.Option("--person", "-p", help="A user.")],
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell whether somebody was called about a ticket, by which route and rule, and what each provider answered."""
    with Server(url, key_file) as server:
        answer = server.get(f"/tickets/{ticket_id}/deliveries/explain", person=person)
    if as_json:
        print_json(answer.text)
        return
    told = answer.data
    typer.echo(printable(told["summary"]))
    for reason in told["why_not"]:
        typer.echo(f"  {printable(reason)}")
    for call in told["calls"]:
        route = f", route {call['route']}" if call["route"] else ""
        typer.echo(f"{when(call['at'], utc=utc)}  {printable(call['why'] + route)}")
        for sent in call["deliveries"]:
            typer.echo(f"  {printable(_delivery(sent))}")
            for attempt in sent["attempts"]:
                said = f"{attempt['channel']}: {attempt['outcome']}, {attempt['answer']}"
                typer.echo(f"    {when(attempt['at'], utc=utc)}  {printable(said)}")
    for warning in told["warnings"]:
        typer.echo(f"warning: {printable(warning)}")


def _delivery(sent: dict[str, Any]) -> str:
    way = sent["channel"] or f"method {sent['method_id']}"
    answer = f": {sent['answer']}" if sent["answer"] else ""
    return f"delivery {sent['id']} by {way} ({sent['rule'] or 'no rule'}): {sent['state']}{answer}"
