"""The commands of `tocsin logs` that count: over time, by value, by field, and what is stored."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer
from rich.filesize import decimal
from rich.text import Text

from tocsin.cli.command import DEFAULT_URL, JsonOption, KeyFileOption, UrlOption, UtcOption, examples
from tocsin.cli.logfilter import (
    LevelOption,
    QueryArgument,
    ServiceOption,
    SinceOption,
    TextOption,
    UntilOption,
    filters_of,
    tell_if_partial,
)
from tocsin.cli.output import LEVEL_STYLES, console, print_fields, print_json, print_table, printable, when
from tocsin.cli.remote import Server

BAR_WIDTH: Final = 50
EXAMPLE_CHARS: Final = 40
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_WORST_FIRST: Final = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "TRACE")
_COLOURS: Final = ("cyan", "magenta", "yellow", "green", "blue", "red", "white")

EXAMPLES: Final = {
    "top": examples("tocsin logs top service --since 1h", "tocsin logs top @region 'level:>=ERROR' -n 5"),
    "histogram": examples(
        "tocsin logs histogram --since 1h",
        "tocsin logs histogram 'level:>=ERROR' --by service --interval 5m --since 6h",
    ),
    "fields": examples("tocsin logs fields", "tocsin logs fields 'service:payments' --since 1h"),
    "stats": examples("tocsin logs stats"),
}


def top(
    field: Annotated[str, typer.Argument(metavar="FIELD", help="service, level, message, ..., or @NAME.")],
    query: QueryArgument = None,
    level: LevelOption = None,
    service: ServiceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    text: TextOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many values.")] = 10,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the most frequent values of a field."""
    filters = filters_of(query, level, service, since, until, text)
    with Server(url, key_file) as server:
        answer = server.get("/logs/top", **filters, field=field, limit=limit)
    if as_json:
        print_json(answer.text)
        return
    found = answer.data
    if not found["values"]:
        typer.echo(f"No matching record has {found['field']}." if found["total"] else "No record matches.")
        tell_if_partial(found)
        return
    most = found["values"][0]["count"]
    rows = [
        (
            f"{one['count']:,}",
            f"{one['count'] / found['total']:.1%}",
            _bar(one["count"], most, 20),
            printable(one["value"]),
        )
        for one in found["values"]
    ]
    print_table(("count", "share", "", found["field"]), rows, flexible=(found["field"],))
    rest = [f"{'at least ' if found['approximate'] else ''}{_counted(found['distinct'], 'value')}"]
    rest += [f"{found['missing']:,} records without it"] if found["missing"] else []
    rest += ["counts are approximate"] if found["approximate"] else []
    typer.echo(", ".join(rest) + ".")
    tell_if_partial(found)


def histogram(
    query: QueryArgument = None,
    level: LevelOption = None,
    service: ServiceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    text: TextOption = None,
    interval: Annotated[
        str | None, typer.Option("--interval", "-i", help="Width of a bar: 30s, 5m, 1h, 1d; chosen if not given.")
    ] = None,
    by: Annotated[str, typer.Option("--by", help="Colours: level or service.")] = "level",
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw how many records there are over time, the newest last."""
    filters = filters_of(query, level, service, since, until, text)
    with Server(url, key_file) as server:
        answer = server.get("/logs/histogram", **filters, interval=interval, by=by)
    if as_json:
        print_json(answer.text)
        return
    found = answer.data
    if not found["total"]:
        typer.echo("No record matches.")
        tell_if_partial(found)
        return
    groups = _coloured(found["groups"], by)
    most = max(found["totals"])
    out = console()
    for place, (at, total) in enumerate(zip(found["buckets"], found["totals"], strict=True)):
        line = Text.assemble((when(at, utc=utc), "dim"), f" {total:>9,} ")
        for counts, style in groups:
            line.append(_bar(counts[place], most, BAR_WIDTH), style)
        out.print(line, soft_wrap=True)
    legend = Text("  ").join([Text(f"█ {name}", style) for name, style in _legend(found["groups"], by)])
    out.print(legend, soft_wrap=True)
    typer.echo(f"{found['total']:,} records, a bar every {found['interval_s']:g} s.")
    if found["approximate"]:
        typer.echo("There are too many groups to count each exactly; the bars' lengths are exact.")
    tell_if_partial(found)


def fields(
    query: QueryArgument = None,
    level: LevelOption = None,
    service: ServiceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    text: TextOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the fields that the newest matching records have, with their types and values."""
    filters = filters_of(query, level, service, since, until, text)
    with Server(url, key_file) as server:
        answer = server.get("/logs/fields", **filters)
    if as_json:
        print_json(answer.text)
        return
    found = answer.data
    if not found["fields"]:
        typer.echo("No record matches.")
        return
    rows = [
        (
            printable(one["name"].replace("attributes.", "@", 1)),
            ", ".join(one["types"]),
            f"{one['records'] / max(found['sampled'], 1):.0%}",
            "  ".join(_short(printable(value)) for value in one["examples"]),
        )
        for one in found["fields"]
    ]
    print_table(("field", "type", "in", "values"), rows, flexible=("values",))
    typer.echo(f"Among the newest {found['sampled']:,} records that match.")
    tell_if_partial(found)


def stats(
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how much is stored, how well it is packed, and what is damaged."""
    with Server(url, key_file) as server:
        answer = server.get("/logs/stats")
    if as_json:
        print_json(answer.text)
        return
    found = answer.data
    records, size = found["records"], found["size_bytes"] + found["filter_bytes"]
    hot = f"{_counted(found['hot_records'], 'record')} in {_counted(found['hot_chunks'], 'chunk')}"
    print_fields(
        [
            ("records", f"{records + found['hot_records']:,}"),
            ("from", when(found["oldest"], utc=utc)),
            ("to", when(found["newest"], utc=utc)),
            ("segments", f"{found['segments']:,} with {records:,} records, {decimal(found['size_bytes'])}"),
            ("word filters", f"{decimal(found['filter_bytes'])} in the database"),
            ("bytes a record", f"{size / records:.1f}, filters included" if records else None),
            ("packed", f"to {size / found['raw_bytes']:.1%} of {decimal(found['raw_bytes'])}" if records else None),
            ("hot", f"{hot}, {decimal(found['hot_bytes'])}"),
        ]
    )
    services = sorted(found["services"].items(), key=lambda item: -item[1])
    if services:
        typer.echo()
        print_table(
            ("service", "records", "share"),
            [(printable(name), f"{count:,}", f"{count / records:.1%}") for name, count in services[:20]],
            flexible=("service",),
        )
    for one in found["damaged"]:
        typer.echo(f"Damaged: {one['key']} with {one['records']:,} records: {one['damage']}", err=True)


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _short(text: str) -> str:
    return text if len(text) <= EXAMPLE_CHARS else text[: EXAMPLE_CHARS - 1] + "…"


def _bar(count: int, most: int, width: int) -> str:
    """A bar in eighths of a character; what is not nothing is seen."""
    eighths = max(round(count / most * width * 8), 1) if count and most else 0
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def _coloured(groups: Sequence[dict[str, Any]], by: str) -> list[tuple[list[int], str]]:
    styles = dict(_legend(groups, by))
    ordered = sorted(groups, key=lambda group: _place(_name(group, by)))
    return [(group["counts"], styles[_name(group, by)]) for group in ordered]


def _legend(groups: Sequence[dict[str, Any]], by: str) -> list[tuple[str, str]]:
    names = sorted({_name(group, by) for group in groups}, key=_place)
    if by == "level":
        return [(name, LEVEL_STYLES.get(name, "") or "white") for name in names]
    return [(printable(name), _COLOURS[place % len(_COLOURS)]) for place, name in enumerate(names)]


def _name(group: dict[str, Any], by: str) -> str:
    return " ".join(str(group["of"].get(part.strip(), "")) for part in by.split(","))


def _place(name: str) -> tuple[int, str]:
    return (_WORST_FIRST.index(name), "") if name in _WORST_FIRST else (len(_WORST_FIRST), name)
