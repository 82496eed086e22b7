"""`tocsin drill`: does a page arrive? A marked log goes all the way, with the time of each step."""

import re
import time
from typing import Annotated, Any, Final

import typer

from tocsin.cli.command import DEFAULT_URL, JsonOption, KeyFileOption, UrlOption, examples, make_app
from tocsin.cli.drills import AtOption, DaysOption, EveryOption, ZoneOption, schedule, tell_schedule, times
from tocsin.cli.exits import FAILED, WrongUsage
from tocsin.cli.output import print_json, printable
from tocsin.cli.remote import Server

_LOOKS_EVERY_S: Final = 0.2
_NO_NAME: Final = re.compile(r"[^a-z0-9._-]+")
_WORDS: Final = {
    "sent": "the log was sent",
    "ticket": "it has ticket {ticket_id}",
    "delivered": "{via} has taken the message",
    "acknowledged": "it was acknowledged",
    "resolved": "it was resolved",
}

app = make_app()


@app.command(
    epilog=examples(
        "tocsin drill payments",
        "tocsin drill payments --within 30",
        "tocsin drill payments --every 7d",
        "tocsin drill payments --at 09:30 --days mon --zone Europe/Lisbon --name payments-weekly",
    )
)
def drill(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="Whose page is tried.")],
    within_s: Annotated[
        int, typer.Option("--within", metavar="SECONDS", min=5, max=3600, help="Missed unless it is taken so soon.")
    ] = 120,
    every: EveryOption = None,
    at: AtOption = None,
    days: DaysOption = None,
    zone: ZoneOption = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Of the schedule.", show_default="the service's")
    ] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a marked CRITICAL log of a service and follow it until a channel has taken the page, which calls people as
    any other would; then it is acknowledged and resolved. A drill that is missed opens a ticket, and ends with 1.

    With --every or --at it is not run now but scheduled: `tocsin drills` lists, changes and removes schedules."""
    when = times(every, at, days, zone)
    if when or name is not None:
        if every is None and at is None:
            raise WrongUsage(detail="a schedule needs --every or --at; without either, the drill is run now")
        with Server(url, key_file) as server:
            said = {"service": service, "within_s": within_s, **when}
            answer = schedule(server, name or _name_of(service), said)
        tell_schedule(answer, utc=False, as_json=as_json)
        return
    with Server(url, key_file) as server:
        answer = server.post("/drill-runs", {"service": service, "within_s": within_s})
        shown: set[str] = set()
        while True:
            answer = server.get(f"/drill-runs/{answer.data['id']}")
            if not as_json:
                _show_new(answer.data, shown)
            if answer.data["state"] != "running":
                break
            time.sleep(_LOOKS_EVERY_S)
    if as_json:
        print_json(answer.text)
    elif answer.data["state"] == "missed":
        typer.echo(f"Missed: no page of {printable(service)} was taken within {within_s} s. A ticket was opened.")
    if answer.data["state"] == "missed":
        raise typer.Exit(FAILED)


def _name_of(service: str) -> str:
    """A name for the schedule of a service's drill, which may have other letters."""
    return _NO_NAME.sub("-", service.lower()).strip("-._") or "drill"


def _show_new(run: dict[str, Any], shown: set[str]) -> None:
    for one in run["steps"]:
        if one["step"] not in shown:
            shown.add(one["step"])
            words = _WORDS[one["step"]].format(ticket_id=run["ticket_id"], via=run["via"] or "a channel")
            typer.echo(f"{one['after_s']:8.2f} s  {printable(words)}")
