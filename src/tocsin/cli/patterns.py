"""`tocsin patterns`: which kinds of messages there are, how often; merge and split them, undo that."""

from typing import Annotated, Any

import typer
from rich.text import Text

from tocsin.cli.command import (
    DEFAULT_URL,
    CursorOption,
    IdArgument,
    JsonOption,
    KeyFileOption,
    LimitOption,
    UrlOption,
    UtcOption,
    examples,
    make_app,
)
from tocsin.cli.output import age, more_follows, print_fields, print_json, print_table, printable, when
from tocsin.cli.remote import Server

_LEVELS = "▁▂▃▄▅▆▇█"
_VARIABLE = "<*>"

SinceOption = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Records since: how long ago (15m, 2h) or RFC 3339.")
]
UntilOption = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Records before.")]

app = make_app(
    help="List the patterns of all records, show one, merge and split them.",
    epilog=examples("tocsin patterns list --sort trend", "tocsin patterns show 3", "tocsin patterns merge 3 --into 7"),
)


@app.command(
    "list",
    epilog=examples("tocsin patterns list --sort newest", "tocsin patterns list connection --service payments"),
)
def list_patterns(
    text: Annotated[str | None, typer.Argument(metavar="[TEXT]", help="Found in the template, any case.")] = None,
    service: Annotated[str | None, typer.Option("--service", "-s", help="Only this service.")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    sort: Annotated[str, typer.Option("--sort", help="count, newest or trend (what grew most).")] = "count",
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List patterns with their counts, and how these went over the last 24 hours or the time that is asked for."""
    filters = {"q": text, "service": service, "since": since, "until": until}
    with Server(url, key_file) as server:
        page = server.get("/patterns", **filters, sort=sort, limit=limit, cursor=cursor)
    if as_json:
        print_json(page.text)
        return
    if not page.data["items"]:
        none_yet = "No patterns yet. Records are counted when they are compacted, after ten minutes at most."
        typer.echo("No pattern matches." if any(filters.values()) else none_yet)
        return
    print_table(
        ["ID", "Count", "Trend", "", "Last seen", "Services", "Template"],
        (_row(pattern) for pattern in page.data["items"]),
        flexible=["Services", "Template"],
    )
    more_follows(page.data)


@app.command(epilog=examples("tocsin patterns show 3", "tocsin patterns show 3 --since 24h"))
def show(
    pattern_id: IdArgument,
    since: SinceOption = None,
    until: UntilOption = None,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one pattern with its regular expression, counts, and what was merged and split."""
    with Server(url, key_file) as server:
        answer = server.get(f"/patterns/{pattern_id}", since=since, until=until)
    if as_json:
        print_json(answer.text)
        return
    pattern = answer.data
    example = pattern["example"]
    print_fields(
        [
            ("id", str(pattern["id"])),
            ("template", template(pattern["template"])),
            ("regex", pattern["regex"] or "none that its example matches"),
            ("records", f"{pattern['count']:,}"),
            ("trend", trend(pattern["trend"]["counts"])),
            ("", f"from {when(pattern['trend']['since'], utc=utc)}, {_change(pattern['trend']).plain}"),
            ("first seen", when(pattern["first_seen_at"], utc=utc)),
            ("last seen", when(pattern["last_seen_at"], utc=utc)),
            ("services", ", ".join(f"{name} {n:,}" for name, n in _largest_first(pattern["by_service"]))),
            ("example", f"{example['message']}" if example["log_id"] else None),
            ("sample log", str(example["log_id"]) if example["log_id"] else None),
            ("stands for", "\n".join(f"{one['id']}  {one['template']}" for one in pattern["aliases"])),
            ("by hand", "\n".join(_told(change, utc=utc) for change in pattern["changes"])),
        ]
    )


@app.command(epilog=examples("tocsin patterns merge 3 --into 7"))
def merge(
    pattern_id: IdArgument,
    into: Annotated[int, typer.Option("--into", min=1, metavar="ID", help="What stands for both from then on.")],
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Merge a pattern into another one, with the records that come later too."""
    _do(f"/patterns/{pattern_id}/merge", {"into": into}, url, key_file, as_json=as_json)


@app.command(epilog=examples("tocsin patterns split 3 'connection to db-7 lost after <*> ms'"))
def split(
    pattern_id: IdArgument,
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="More special; <*> for what varies.")],
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let messages that match a template be a pattern of their own from now on."""
    _do(f"/patterns/{pattern_id}/split", {"template": template}, url, key_file, as_json=as_json)


@app.command(epilog=examples("tocsin patterns undo 2"))
def undo(
    change_id: Annotated[int, typer.Argument(metavar="CHANGE", min=1, help="As merge, split and show name it.")],
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Undo a merge or split."""
    _do(f"/patterns/undo/{change_id}", {}, url, key_file, as_json=as_json)


def _do(path: str, body: dict[str, object], url: str, key_file: str | None, *, as_json: bool) -> None:
    with Server(url, key_file) as server:
        answer = server.post(path, body)
    if as_json:
        print_json(answer.text)
    else:
        typer.echo(f"{_what(answer.data)}.")


def _what(change: dict[str, Any]) -> str:
    one, other = change["pattern_id"], change["into_id"]
    done = f"merged {one} into {other}" if change["kind"] == "merge" else f"split {one} from {other}"
    undone = f", undone by {printable(change['undone_by'])}" if change["undone_at"] else ""
    return f"Change {change['id']}: {done}{undone}"


def _told(change: dict[str, Any], *, utc: bool) -> str:
    return f"{when(change['at'], utc=utc)}  {_what(change)} ({printable(change['actor'])})"


def _row(pattern: dict[str, Any]) -> list[Any]:
    return [
        str(pattern["id"]),
        f"{pattern['count']:,}",
        trend(pattern["trend"]["counts"]),
        _change(pattern["trend"]),
        age(pattern["last_seen_at"]) if pattern["count"] else "-",
        ", ".join(pattern["services"]),
        template(pattern["template"]),
    ]


def trend(counts: list[int]) -> Text:
    """A bar for each count, as high as it is beside the largest; what is not nothing is seen."""
    most = max(counts, default=0)
    return Text("".join(_LEVELS[(n * 8 - 1) // most] if n else "·" for n in counts), "cyan")


def _change(found: dict[str, Any]) -> Text:
    more = found["recent"] - found["before"]
    return Text(f"{more:+,}" if more else "", "red" if more > 0 else "green")


def template(text: str) -> Text:
    """A template with its variables set off."""
    shown = Text(printable(text) or "(empty)")
    shown.highlight_words([_VARIABLE], "magenta")
    return shown


def _largest_first(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(((printable(name), n) for name, n in counts.items()), key=lambda item: (-item[1], item[0]))
