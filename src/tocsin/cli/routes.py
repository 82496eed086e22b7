"""`tocsin routes`: who hears of what; what would happen for a ticket now."""

from typing import Annotated, Any

import typer

from tocsin.cli.answers import print_page, tell
from tocsin.cli.command import DEFAULT_URL, JsonOption, KeyFileOption, UrlOption, UtcOption, examples, make_app
from tocsin.cli.exits import WrongUsage
from tocsin.cli.output import print_fields, print_json, printable, when
from tocsin.cli.remote import Server

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A route.")]

app = make_app(
    help="Say who hears of which tickets, and try what would happen.",
    epilog=examples(
        "tocsin routes save payments 'service:payments' --policy payments --channel ops-chat",
        "tocsin routes preview 17",
        "tocsin routes list",
    ),
)


@app.command("list", epilog=examples("tocsin routes list"))
def list_routes(url: UrlOption = DEFAULT_URL, key_file: KeyFileOption = None, as_json: JsonOption = False) -> None:
    """List routes in the order they are tried."""
    with Server(url, key_file) as server:
        answer = server.get("/routes")
    print_page(
        answer,
        ["Place", "Name", "Query", "Kinds", "Leads to", "Then"],
        (
            [
                str(one["place"]),
                one["name"],
                one["query"] or "*",
                ", ".join(one["kinds"]),
                _leads_to(one),
                "next" if one["continue"] else "stop",
            ]
            for one in answer.data["items"]
        ),
        flexible=["Query", "Kinds", "Leads to"],
        empty="No routes: everything goes to the console. tocsin routes save NAME QUERY --channel CHANNEL",
        as_json=as_json,
    )


def _leads_to(route: dict[str, Any]) -> str:
    named = [f"channel {name}" for name in route["channels"]]
    for field, words in (("escalation_policy", "policy"), ("schedule", "schedule"), ("page_team", "team")):
        named += [f"{words} {route[field]}"] if route[field] else []
    return ", ".join(named) or "nobody"


@app.command(
    epilog=examples(
        "tocsin routes save payments 'service:payments priority:<=P2' --policy payments --channel ops-chat",
        "tocsin routes save night '' --channel night-log --calendar office --when outside --continue",
    )
)
def save(
    name: NameArgument,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="Which tickets; '' for all.")] = "",
    channels: Annotated[list[str] | None, typer.Option("--channel", "-c", help="A channel; several times.")] = None,
    policy: Annotated[str | None, typer.Option("--policy", help="An escalation policy that begins.")] = None,
    schedule: Annotated[str | None, typer.Option("--schedule", help="Whoever is on call there is called.")] = None,
    page_team: Annotated[str | None, typer.Option("--page-team", help="All of a team are called.")] = None,
    kinds: Annotated[list[str] | None, typer.Option("--kind", "-k", help="opened, resolved, ...; several.")] = None,
    team: Annotated[str | None, typer.Option("--team", help="Only tickets of this team.")] = None,
    calendar: Annotated[str | None, typer.Option("--calendar", help="With --when.")] = None,
    hours: Annotated[str, typer.Option("--when", help="always, within or outside of the calendar.")] = "always",
    goes_on: Annotated[bool, typer.Option("--continue", help="Try later routes as well.")] = False,
    place: Annotated[int | None, typer.Option("--place", min=1, help="Where it stands; last by default.")] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a route, or say all of it anew."""
    body: dict[str, Any] = {
        "query": query,
        "channels": channels or [],
        "escalation_policy": policy,
        "schedule": schedule,
        "page_team": page_team,
        "team": team,
        "calendar": calendar,
        "when": hours,
        "continue": goes_on,
        "place": place,
    }
    if kinds:
        body["kinds"] = kinds
    with Server(url, key_file) as server:
        answer = server.ask("PUT", f"/routes/{name}", json=body)
    tell(answer, f"Route {name} is tried as number {answer.data['place']}: {_leads_to(answer.data)}.", as_json=as_json)


@app.command(epilog=examples("tocsin routes remove payments"))
def remove(name: NameArgument, url: UrlOption = DEFAULT_URL, key_file: KeyFileOption = None) -> None:
    """Remove a route."""
    with Server(url, key_file) as server:
        server.ask("DELETE", f"/routes/{name}")
    typer.echo(f"Route {printable(name)} is gone.")


@app.command(epilog=examples("tocsin routes preview 17", "tocsin routes preview --service payments --priority P1"))
def preview(
    ticket_id: Annotated[int | None, typer.Argument(metavar="[ID]", min=1, help="A ticket.")] = None,
    service: Annotated[str | None, typer.Option("--service", help="A ticket of that service.")] = None,
    priority: Annotated[str | None, typer.Option("--priority", help="... of that priority.")] = None,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what would happen for a ticket now if nobody answered; nobody is called."""
    if (ticket_id is None) == (service is None):
        raise WrongUsage(detail="Give a ticket's id, or --service.")
    body: dict[str, Any] = {"ticket_id": ticket_id}
    if ticket_id is None:
        body = {"ticket": {"service": service, "priority": priority}}
    with Server(url, key_file) as server:
        answer = server.post("/routes/preview", body)
    if as_json:
        print_json(answer.text)
        return
    found = answer.data
    print_fields([(one["route"], f"{'yes' if one['matched'] else 'no'}: {one['why']}") for one in found["tried"]])
    channels = [f"{one['channel']} ({one['route'] or 'by default'})" for one in found["channels"]]
    print_fields([("channels", ", ".join(channels) or "none")])
    lines = []
    for one in found["people"]:
        calls = "; ".join(f"{call['method']}, {call['rule']}" for call in one["calls"])
        lines.append((one["at"], f"{one['person']}: {one['why']}; {calls}"))
    for one in found["steps"]:
        why = f"step {one['step']} of escalation policy {one['policy']}, round {one['round']}"
        why += ": fallback, nobody is there" if one["fallback"] else ""
        lines += [(one["at"], f"channel {channel}: {why}") for channel in one["channels"]]
    for at, line in sorted(lines, key=lambda pair: str(pair[0])):
        typer.echo(f"{when(at, utc=utc)}  {printable(line)}")
    for problem in found["problems"]:
        typer.echo(f"problem: {printable(problem)}")
