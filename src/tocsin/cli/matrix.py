"""`tocsin matrix`: which priority follows from impact and urgency."""

from typing import Annotated, Final

import typer

from tocsin.cli.command import DEFAULT_URL, JsonOption, KeyFileOption, UrlOption, examples, make_app
from tocsin.cli.given import pairs
from tocsin.cli.output import PRIORITY_STYLES, print_json, print_table, styled
from tocsin.cli.remote import Answer, Server

_STEPS: Final = ((1, "high"), (2, "medium"), (3, "low"))

app = make_app(
    help="Which priority a ticket gets once its impact and its urgency are known.",
    epilog=examples("tocsin matrix show", "tocsin matrix set 1,2=P1 3,3=P5"),
)


@app.command(epilog=examples("tocsin matrix show"))
def show(url: UrlOption = DEFAULT_URL, key_file: KeyFileOption = None, as_json: JsonOption = False) -> None:
    """Show the matrix."""
    with Server(url, key_file) as server:
        _print(server.get("/sla/matrix"), as_json=as_json)


@app.command("set", epilog=examples("tocsin matrix set 1,2=P1", "tocsin matrix set 3,2=P5 3,3=P5"))
def set_places(
    places: Annotated[
        list[str], typer.Argument(metavar="IMPACT,URGENCY=PRIORITY...", help="Each step from 1 (high) to 3 (low).")
    ],
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change some of its nine places. Tickets keep their priority until their impact or urgency is set again."""
    wanted = pairs("the place", places, "IMPACT,URGENCY=PRIORITY, such as 1,2=P1") or {}
    with Server(url, key_file) as server:
        now = server.get("/sla/matrix").data
        body = {"priorities": {**now["priorities"], **{place.strip(): name for place, name in wanted.items()}}}
        headers = {"if-match": f'"{now["version"]}"'}
        _print(server.ask("PUT", "/sla/matrix", json=body, headers=headers), as_json=as_json)


def _print(answer: Answer, *, as_json: bool) -> None:
    if as_json:
        print_json(answer.text)
        return
    found = answer.data["priorities"]
    print_table(
        ["Impact", *(f"Urgency {step} ({name})" for step, name in _STEPS)],
        (
            [f"{impact} ({name})", *(styled(found[f"{impact},{urgency}"], PRIORITY_STYLES) for urgency, _ in _STEPS)]
            for impact, name in _STEPS
        ),
        flexible=[],
    )
    version = answer.data["version"]
    typer.echo(f"Version {version}." if version else "As it comes: nobody has changed it.")
