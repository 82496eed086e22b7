"""`tocsin deliveries`: messages on their way, every try of each; send again what was given up."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from tocsin.cli import called
from tocsin.cli.command import (
    DEFAULT_URL,
    CursorOption,
    JsonOption,
    KeyFileOption,
    LimitOption,
    UrlOption,
    UtcOption,
    examples,
    make_app,
)
from tocsin.cli.exits import WrongUsage
from tocsin.cli.output import more_follows, print_fields, print_json, print_table, styled, when
from tocsin.cli.remote import Server

STATE_STYLES = {"delivered": "green", "waiting": "yellow", "sending": "yellow", "dead": "bold red", "cancelled": "dim"}
TicketOption = Annotated[int | None, typer.Option("--ticket", "-t", min=1, help="About this ticket.")]
ChannelOption = Annotated[str | None, typer.Option("--channel", "-c", help="Over this channel.")]
PersonOption = Annotated[str | None, typer.Option("--person", "-p", help="To this person.")]
KindOption = Annotated[str | None, typer.Option("--kind", "-k", help="opened, page, resolved, ...")]
SinceOption = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="An instant, or how long ago: 15m, 2h, 7d.")
]

app = make_app(
    help="Find messages, show every try, tell why people were called, send again what was given up.",
    epilog=examples(
        "tocsin deliveries list --state dead",
        "tocsin deliveries explain 7",
        "tocsin deliveries replay --channel ops --since 2h",
    ),
)


@app.command("list", epilog=examples("tocsin deliveries list --ticket 7", "tocsin deliveries list --state dead"))
def list_deliveries(
    ticket: TicketOption = None,
    channel: ChannelOption = None,
    person: PersonOption = None,
    kind: KindOption = None,
    state: Annotated[
        str | None, typer.Option("--state", "-s", help="waiting, delivered, dead, cancelled, bundled, left_out.")
    ] = None,
    since: SinceOption = None,
    utc: UtcOption = False,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List messages, the newest first."""
    wanted = {"ticket": ticket, "channel": channel, "person": person, "kind": kind, "state": state, "since": since}
    with Server(url, key_file) as server:
        page = server.get("/deliveries", **wanted, limit=limit, cursor=cursor)
    if as_json:
        print_json(page.text)
        return
    if not page.data["items"]:
        typer.echo("No such messages. tocsin channels list shows who hears of tickets.")
        return
    print_table(
        ["Id", "At", "State", "Kind", "Ticket", "To", "Tries", "Answer"],
        (_row(delivery, utc=utc) for delivery in page.data["items"]),
        flexible=["Answer"],
    )
    more_follows(page.data)


def _row(delivery: dict[str, Any], *, utc: bool) -> list[Any]:
    return [
        str(delivery["id"]),
        when(delivery["created_at"], utc=utc),
        styled(_state(delivery), STATE_STYLES),
        delivery["kind"],
        str(delivery["ticket_id"] or ""),
        _to(delivery),
        str(delivery["attempts"]),
        delivery["answer"] or "",
    ]


def _state(delivery: dict[str, Any]) -> str:
    return "sending" if delivery["sending"] else str(delivery["state"])


def _to(delivery: dict[str, Any]) -> str:
    person, channel = delivery["person"], delivery["channel"] or ""
    return f"{person} ({channel})" if person else channel


@app.command(epilog=examples("tocsin deliveries show 12"))
def show(
    delivery_id: Annotated[int, typer.Argument(metavar="ID", min=1)],
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one message with every try."""
    with Server(url, key_file) as server:
        answer = server.get(f"/deliveries/{delivery_id}")
    if as_json:
        print_json(answer.text)
        return
    found = answer.data
    print_fields(
        [
            ("id", str(found["id"])),
            ("message id", found["message_id"]),
            ("state", styled(_state(found), STATE_STYLES)),
            ("kind", found["kind"]),
            ("ticket", str(found["ticket_id"] or "")),
            ("to", _to(found)),
            ("why", ", ".join(f"{name}: {value}" for name, value in found["why"].items())),
            ("stands for", f"{found['updates']} messages" if found["updates"] > 1 else None),
            ("is part of", str(found["bundled_into"] or "")),
            ("asked for", when(found["created_at"], utc=utc)),
            ("next try", when(found["next_try_at"], utc=utc)),
            ("over since", when(found["ended_at"], utc=utc)),
            ("answer", found["answer"]),
            ("ways given up", ", ".join(found["ways"])),
        ]
    )
    print_tries(found["tries"], utc=utc)


def print_tries(tries: Sequence[dict[str, Any]], *, utc: bool) -> None:
    """Every try of a message, oldest first."""
    if not tries:
        return
    print_table(
        ["Try", "At", "Over", "Took", "Outcome", "Answer"],
        (
            [
                str(one["n"]),
                when(one["at"], utc=utc, fraction=True),
                one["channel"],
                "" if one["took_ms"] is None else f"{one['took_ms']} ms",
                one["outcome"],
                one["answer"],
            ]
            for one in tries
        ),
        flexible=["Answer"],
    )


@app.command(epilog=examples("tocsin deliveries replay 12 13", "tocsin deliveries replay --channel ops --since 2h"))
def replay(
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID...]", help="These; or what the options say.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All that was given up.")] = False,
    ticket: TicketOption = None,
    channel: ChannelOption = None,
    person: PersonOption = None,
    kind: KindOption = None,
    since: SinceOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send messages again that were given up, with the same ids, as they were asked for."""
    given = {"ticket": ticket, "channel": channel, "person": person, "kind": kind, "since": since}
    wanted = {name: value for name, value in given.items() if value is not None}
    if bool(ids) + bool(wanted) + all_ != 1:
        raise WrongUsage(detail="say which: ids, or options such as --channel ops, or --all")
    with Server(url, key_file) as server:
        if ids:
            answers = [server.post(f"/deliveries/{one}/replay", {}) for one in ids]
            if as_json:
                print_json(*(answer.text for answer in answers), many=len(ids) > 1)
            else:
                typer.echo(f"{len(ids)} to be sent again.")
            return
        n, more = 0, True
        while more:
            answer = server.post("/deliveries/replay", wanted)
            n, more = n + answer.data["replayed"], answer.data["more"]
    if as_json:
        print_json(answer.text)
    else:
        typer.echo(f"{n} to be sent again.")


app.command("explain", epilog=examples("tocsin deliveries explain 7", "tocsin deliveries explain 7 --person ana"))(
    called.explain
)
