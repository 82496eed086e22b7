"""`tocsin escalations`: who is called one after the other; call, hand back, and why somebody was called or not."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from tocsin.cli import called
from tocsin.cli.answers import print_page, tell
from tocsin.cli.command import (
    DEFAULT_URL,
    CursorOption,
    FileOption,
    ForceOption,
    IdArgument,
    JsonOption,
    KeyFileOption,
    LimitOption,
    UrlOption,
    examples,
    make_app,
)
from tocsin.cli.exits import FAILED, WrongUsage
from tocsin.cli.given import pairs, seconds
from tocsin.cli.output import duration, print_fields, print_json, printable
from tocsin.cli.remote import Server
from tocsin.cli.saving import given, put

_IN_TURN: Final = "@round-robin"
_NONE: Final = "none"
_OPTIONAL: Final = {"description": "", "repeats": 0, "fallback": None, "ack_timeout_s": {}}
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
    return " → ".join(f"{_whom(step)} ({duration(step['delay_s'])})" for step in policy["steps"])


def _whom(step: dict[str, Any]) -> str:
    return f"{'one in turn of ' if step['round_robin'] else ''}{', '.join(step['targets'])}"


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
    steps = [
        (f"step {place}", f"{_whom(step)}, then {duration(step['delay_s'])}")
        for place, step in enumerate(policy["steps"], 1)
    ]
    print_fields(
        [
            ("name", policy["name"]),
            ("version", str(policy["version"])),
            ("description", policy["description"]),
            *steps,
            ("repeats", str(policy["repeats"])),
            ("fallback", policy["fallback"]),
            ("calls again after", _timeouts(policy["ack_timeout_s"])),
        ]
    )


def _timeouts(ack_timeout_s: Mapping[str, int]) -> str:
    return ", ".join(f"{priority} {duration(seconds)}" for priority, seconds in ack_timeout_s.items())


@app.command(
    epilog=examples(
        "tocsin escalations save payments --step schedule:primary@5m --step user:rui --repeats 1 --fallback team:shop",
        "tocsin escalations save payments --step user:rui,user:eva@10m@round-robin --ack-timeout P1=30m",
        "tocsin escalations save payments --repeats 3",
        "tocsin escalations save payments --file payments.yaml",
        "tocsin escalations show payments --json | tocsin escalations save search --file -",
    )
)
def save(
    name: NameArgument,
    steps: Annotated[
        list[str] | None,
        typer.Option(
            "--step",
            "-s",
            metavar="STEP",
            help="KIND:NAME, several with commas, @ how long, @round-robin for one of them in turn; several times.",
        ),
    ] = None,
    file: FileOption = None,
    repeats: Annotated[int | None, typer.Option("--repeats", min=0, help="How often all is done once more.")] = None,
    fallback: Annotated[
        str | None, typer.Option("--fallback", metavar="KIND:NAME", help="Called where a step finds nobody; or none.")
    ] = None,
    timeouts: Annotated[
        list[str] | None,
        typer.Option(
            "--ack-timeout",
            metavar="P1=LENGTH",
            help="After so long without activity an acknowledged ticket calls again; several times; or none.",
        ),
    ] = None,
    description: Annotated[str | None, typer.Option("--description", help="What it is for.")] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an escalation policy, or change the one of that name.

    Of one that is there, what is not said stays as it is; --step says all of its steps, --ack-timeout all of its times.
    A file says all of it: what it leaves out has its default, and what goes that way is told.

    A step is whom to call and how long to wait for an answer: `schedule:primary@5m`. KIND is user, schedule (whoever
    is on call then), team (all of it) or channel.
    """
    said = given(
        steps=[step_of(step) for step in steps] if steps else None,
        repeats=repeats,
        ack_timeout_s=_times(timeouts),
        description=description,
    )
    if fallback is not None:
        said["fallback"] = None if fallback == _NONE else fallback
    with Server(url, key_file) as server:
        path = f"/escalation-policies/{name}"
        if file is None and not steps and server.find(path) is None:
            raise WrongUsage(detail=f"there is no policy {name}; a new one needs --step KIND:NAME, or --file")
        before, answer = put(server, path, said, file=file)
    tell(answer, f"Escalation policy {name}: {_steps(answer.data)}", as_json=as_json)
    gone = [] if before is None else _gone(before.data, answer.data)
    if gone:
        typer.echo(printable(f"No longer said of it: {'; '.join(gone)}"), err=True)


def _gone(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What was said of a policy and is not any more."""
    gone = [name for name, default in _OPTIONAL.items() if before[name] != default and after[name] == default]
    shown = {**before, "ack_timeout_s": _timeouts(before["ack_timeout_s"])}
    return [f"{name} {shown[name]}" for name in gone]


def step_of(text: str) -> dict[str, Any]:
    """`schedule:primary@5m`, `user:rui,user:eva@10m@round-robin`. Raises WrongUsage."""
    rest = text.strip()
    in_turn = rest.endswith(_IN_TURN)
    targets, parted, wait = rest.removesuffix(_IN_TURN).rpartition("@")
    delay_s = None
    if parted:
        try:
            delay_s = seconds("--step", wait)
        except WrongUsage:
            if not targets.rpartition(",")[2].strip().startswith("user:"):
                raise
    if delay_s is None:  # a person's name may be an address
        targets = rest.removesuffix(_IN_TURN)
    step: dict[str, Any] = {"targets": [target.strip() for target in targets.split(",")]}
    return {**step, **given(delay_s=delay_s, round_robin=in_turn or None)}


def _times(given_: Sequence[str] | None) -> dict[str, int | None] | None:
    """`P1=30m`, given several times, in seconds; `none` for no times at all. Raises WrongUsage."""
    if given_ and list(given_) == [_NONE]:
        return {}
    found = pairs("--ack-timeout", given_, "a priority and a time, such as P1=30m, or none")
    if found is None:
        return None
    return {priority.strip().upper(): seconds("--ack-timeout", length) for priority, length in found.items()}


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
    """Call somebody about a ticket now. Where that reaches nobody it says why, and ends with 1, or with 4 where nobody
    is there to be called at all."""
    kind, _, name = target.partition(":")
    if kind not in {"user", "schedule", "team", "channel", "policy"} or not name:
        raise WrongUsage(detail="Expected user:NAME, schedule:NAME, team:NAME, channel:NAME or policy:NAME.")
    with Server(url, key_file) as server:
        answer = server.post(f"/tickets/{ticket_id}/page", {kind: name, "message": message})
    found = answer.data
    problems = "; ".join(found["problems"])
    if not found["reached"]:
        told = f"Nobody was reached: {problems}. More of it: tocsin deliveries explain {ticket_id}"
        tell(answer, told, as_json=as_json)
        raise typer.Exit(FAILED)
    tell(answer, f"Called: {', '.join(found['called'])}", as_json=as_json)
    if problems:
        typer.echo(printable(f"tocsin: but {problems}"), err=True)


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


app.command("explain", epilog=examples("tocsin escalations explain 17", "tocsin escalations explain 17 --person ana"))(
    called.explain
)
