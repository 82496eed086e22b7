"""Why people were called about a ticket or not, and what each provider answered; for more than one command."""

from typing import Annotated, Any

import typer

from tocsin.cli.command import DEFAULT_URL, IdArgument, JsonOption, KeyFileOption, UrlOption, UtcOption
from tocsin.cli.output import print_json, printable, when
from tocsin.cli.remote import Server


def explain(
    ticket_id: IdArgument,
    person: Annotated[
        str | None, typer.Option("--person", "-p", help="A user.", show_default="everybody concerned")
    ] = None,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell who was called about a ticket, by which route, step and rule of theirs, and what each provider answered.

    Without --person of everybody: who was called, whoever its escalation policies name and why they were not, and
    what channels were told.
    """
    with Server(url, key_file) as server:
        answer = server.get(f"/tickets/{ticket_id}/deliveries/explain", person=person)
    if as_json:
        print_json(answer.text)
    elif person is None:
        _show_everybody(answer.data, utc=utc)
    else:
        _show_person(answer.data, utc=utc)


def _show_everybody(told: dict[str, Any], *, utc: bool) -> None:
    typer.echo(printable(told["summary"]))
    for reason in told["why_nobody"]:
        typer.echo(f"  {printable(reason)}")
    for one in told["people"]:
        typer.echo()
        _show_person(one, utc=utc)
    if told["channels"]:
        typer.echo("\nChannels")
    for sent in told["channels"]:
        _show_delivery(sent, f", {sent['kind']} ({sent['why']})", utc=utc)
    _warn(told)


def _show_person(told: dict[str, Any], *, utc: bool) -> None:
    typer.echo(printable(told["summary"]))
    for reason in told["why_not"]:
        typer.echo(f"  {printable(reason)}")
    for call in told["calls"]:
        route = f", route {call['route']}" if call["route"] else ""
        typer.echo(f"{when(call['at'], utc=utc)}  {printable(call['why'] + route)}")
        for sent in call["deliveries"]:
            _show_delivery(sent, f" ({sent['rule'] or 'no rule'})", utc=utc)
    _warn(told)


def _warn(told: dict[str, Any]) -> None:
    for warning in told["warnings"]:
        typer.echo(f"warning: {printable(warning)}")


def _show_delivery(sent: dict[str, Any], why: str, *, utc: bool) -> None:
    way = sent["channel"] or f"method {sent['method_id']}"
    answer = f": {sent['answer']}" if sent["answer"] else ""
    told = f"delivery {sent['id']} by {way}{why}: {sent['state']}{answer}"
    typer.echo(f"  {printable(told)}")
    for attempt in sent["attempts"]:
        said = f"{attempt['channel']}: {attempt['outcome']}, {attempt['answer']}"
        typer.echo(f"    {when(attempt['at'], utc=utc)}  {printable(said)}")
