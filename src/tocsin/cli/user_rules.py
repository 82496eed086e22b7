"""`tocsin users rules`: how a person is called, by the ticket's priority."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from tocsin.cli.answers import tell
from tocsin.cli.command import DEFAULT_URL, FileOption, JsonOption, KeyFileOption, UrlOption, examples, make_app
from tocsin.cli.exits import WrongUsage
from tocsin.cli.given import json_object, listed, savable, seconds
from tocsin.cli.output import PRIORITY_STYLES, duration, print_json, print_table, styled
from tocsin.cli.remote import Answer, Server

_HOURS: Final = "working-hours"
_DEFAULT: Final = "default"
_CHOSEN: Final = frozenset({"loudest", "other"})

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]


def _calls_option(priority: str) -> Any:
    return typer.Option(f"--{priority.lower()}", metavar="CALLS", help=f"For {priority}; {_DEFAULT}: by default again.")


app = make_app(
    help="How a person is called, by the ticket's priority.",
    epilog=examples(
        "tocsin users rules list ana",
        "tocsin users rules set ana --p1 voice,other@5m --p4 email@working-hours",
        "tocsin users rules remove ana",
    ),
)


@app.command("list", epilog=examples("tocsin users rules list ana"))
def list_rules(
    name: NameArgument, url: UrlOption = DEFAULT_URL, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """List how a person is called: as they said, and by default where they said nothing."""
    with Server(url, key_file) as server:
        answer = server.get(f"/users/{name}/notification-rules")
        if as_json:
            print_json(answer.text)
            return
        user = server.find(f"/users/{name}")
    methods = [] if user is None else user.data["methods"]
    _show(answer, methods)
    if not any(_works(one) for one in methods):
        typer.echo(f"{name} has no verified way to be reached: tocsin users methods add {name} sms +351912345678")


@app.command(
    "set",
    epilog=examples(
        "tocsin users rules set ana --p1 voice,other@5m,sms@10m",
        "tocsin users rules set ana --p4 email@working-hours --p5 email@working-hours=lisbon-office",
        "tocsin users rules set ana --p1 3,loudest@5m --p2 default",
        "tocsin users rules set ana --file ana.yaml",
        "tocsin users rules list ana --json | tocsin users rules set rui --file -",
    ),
)
def set_rules(
    name: NameArgument,
    p1: Annotated[str | None, _calls_option("P1")] = None,
    p2: Annotated[str | None, _calls_option("P2")] = None,
    p3: Annotated[str | None, _calls_option("P3")] = None,
    p4: Annotated[str | None, _calls_option("P4")] = None,
    p5: Annotated[str | None, _calls_option("P5")] = None,
    file: FileOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how a person is called, by the ticket's priority. What is not said of a priority stays as it is.

    CALLS are one or several with commas, each `METHOD`, `METHOD@AFTER` or `METHOD@AFTER@working-hours`. METHOD is
    `loudest`, `other` than before, a kind (voice, sms, ntfy, telegram, slack, webhook, email), or the number of one of
    their contact methods. AFTER is how long after the page: 90, 5m, 1h. With `@working-hours` a call waits until they
    work, 9 to 17 from Monday to Friday, or by a calendar: `@working-hours=lisbon-office`.
    """
    options = {"P1": p1, "P2": p2, "P3": p3, "P4": p4, "P5": p5}
    said = {priority: text for priority, text in options.items() if text is not None}
    if not said and file is None:
        raise WrongUsage(detail="say for which priority: --p1 voice,other@5m, or --file")
    calls = {priority: _calls(f"--{priority.lower()}", text) for priority, text in said.items()}
    path = f"/users/{name}/notification-rules"
    with Server(url, key_file) as server:
        before = server.get(path).data
        body = {"rules": _own(before)} if file is None else savable(json_object(file), "person", "own")
        kept = {priority: some for priority, some in body.get("rules", {}).items() if priority not in calls}
        body["rules"] = kept | {priority: some for priority, some in calls.items() if some}
        headers = {"if-match": f'"{before["version"]}"'} if before["version"] else {}
        answer = server.ask("PUT", path, json=body, headers=headers)
    if as_json:
        print_json(answer.text)
    else:
        _show(answer, None)


@app.command(epilog=examples("tocsin users rules remove ana"))
def remove(
    name: NameArgument, url: UrlOption = DEFAULT_URL, key_file: KeyFileOption = None, as_json: JsonOption = False
) -> None:
    """Forget what a person said: they are called by default again."""
    with Server(url, key_file) as server:
        answer = server.ask("DELETE", f"/users/{name}/notification-rules")
    tell(answer, f"{name} is called by default again.", as_json=as_json)


def _own(shown: Mapping[str, Any]) -> dict[str, Any]:
    return {priority: shown["rules"][priority] for priority in shown["own"]}


def _calls(option: str, text: str) -> list[dict[str, Any]]:
    """`voice,other@5m,email@1h@working-hours` as rules; none for `default`. Raises WrongUsage."""
    if text.strip() == _DEFAULT:
        return []
    found = [call_of(option, part) for part in listed(text) or ()]
    if not found:
        raise WrongUsage(detail=f"{option} {text!r}: expected calls such as voice,other@5m, or {_DEFAULT}")
    return found


def call_of(option: str, text: str) -> dict[str, Any]:
    """One call, such as `email@1h@working-hours=lisbon-office`, as a rule. Raises WrongUsage."""
    method, *marks = (part.strip() for part in text.split("@"))
    found: dict[str, Any] = {"method": method}
    for mark in marks:
        name, _, calendar = mark.partition("=")
        if name != _HOURS:
            found["after_s"] = seconds(option, mark)
        else:
            found |= {"working_hours": True, "calendar": calendar or None}
    return found


def _show(answer: Answer, methods: Sequence[dict[str, Any]] | None) -> None:
    told = answer.data
    print_table(
        ["Prio", "Call", "By", "When", "Said"],
        (
            [
                styled(priority, PRIORITY_STYLES),
                str(place),
                _by(rule["method"], methods),
                _when(rule),
                "by them" if priority in told["own"] else "by default",
            ]
            for priority, rules in sorted(told["rules"].items())
            for place, rule in enumerate(rules, 1)
        ),
        flexible=["By", "When"],
    )


def _by(method: str, methods: Sequence[dict[str, Any]] | None) -> str:
    """A way, and which one is taken instead where they have none of the kind; that is not known without methods."""
    if method in _CHOSEN or methods is None:
        return method
    mine = [one for one in methods if method in {one["kind"], str(one["id"])}]
    if any(_works(one) for one in mine):
        return ", ".join([method, *(f"{one['kind']} {one['address']}" for one in mine if method == str(one["id"]))])
    return f"{method}: none that is verified, the loudest is taken"


def _works(method: Mapping[str, Any]) -> bool:
    return bool(method["verified_at"]) and not method["disabled_reason"]


def _when(rule: Mapping[str, Any]) -> str:
    after = f"after {duration(rule['after_s'])}" if rule["after_s"] else "at once"
    if not rule["working_hours"]:
        return after
    hours = f"the hours of {rule['calendar']}" if rule["calendar"] else "working hours"
    return f"{after}, in {hours}"
