"""`tocsin import-tickets`: incidents of other tools, with their history, into a server, once."""

import gzip
import json
import sys
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import zstandard
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tocsin.cli.command import DEFAULT_URL, JsonOption, KeyFileOption, UrlOption, examples, make_app
from tocsin.cli.exits import CommandFailed, WrongUsage
from tocsin.cli.output import printable
from tocsin.cli.remote import Server
from tocsin.cli.sources import GZIP, ZSTD
from tocsin.kit.clock import iso
from tocsin.kit.priorities import Priority
from tocsin.tickets.importing import Foreign
from tocsin.tickets.sources.formats import FORMATS
from tocsin.tickets.sources.generic import FIELDS
from tocsin.tickets.sources.rows import Mapped, Read, Unreadable
from tocsin.tickets.workflow import Status

AT_ONCE: Final = 50  # tickets in one request, and so in one turn of the write lock
AT_ONCE_BYTES: Final = 512 << 10
ANSWER_TIMEOUT_S: Final = 120.0
MAX_SHOWN: Final = 10
_MAP_KEYS: Final = {"columns", "states", "priorities", "dates", "zone", "encoding"}

app = make_app()


@dataclass(slots=True)
class Summary:
    """What became of a file. `doubled`, `bad` and `noted` are lines with what was the matter with them."""

    file: str
    source: str
    dry_run: bool
    rows: int = 0
    tickets: int = 0
    created: int = 0
    known: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    doubled: list[dict[str, Any]] = field(default_factory=list)
    bad: list[dict[str, Any]] = field(default_factory=list)
    noted: list[dict[str, Any]] = field(default_factory=list)


@app.command(
    epilog=examples(
        "tocsin import-tickets incidents.csv.gz --format servicenow --dry-run",
        "tocsin import-tickets incidents.jsonl --format status --source status.example.com",
        "tocsin import-tickets export.csv --format csv --map map.json --zone Europe/Lisbon",
    )
)
def import_tickets(
    file: Annotated[str, typer.Argument(metavar="FILE", help="What was exported there; - reads standard input.")],
    form: Annotated[str, typer.Option("--format", "-f", help=f"{', '.join(FORMATS)}.")],
    map_file: Annotated[
        str | None, typer.Option("--map", metavar="FILE", help="JSON: columns, states, priorities, dates, zone.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="What to call where they are from; by default the format.")
    ] = None,
    zone: Annotated[str | None, typer.Option("--zone", "-z", help="Of times that name none. By default UTC.")] = None,
    encoding: Annotated[str | None, typer.Option("--encoding", help="Of a file that is not UTF-8.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be imported.")] = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take in tickets that were opened elsewhere, with their own times and their history.

    The whole file is read before anything is sent: one that was cut, or is in another encoding, changes nothing. Each
    row that can't be taken is named with its line. Running it again imports what is not here yet. Nobody is paged, no
    SLA clock starts. In a map, `columns` says which column is which of our fields, `states` and `priorities` what
    words mean, `dates` how times are written (as strptime has it).
    """
    if form not in FORMATS:
        raise WrongUsage(detail=f"--format {form}: expected one of {', '.join(FORMATS)}")
    mapped = _mapped(map_file, zone=zone, encoding=encoding)
    try:
        read = FORMATS[form](_bytes_of(file), mapped)
    except Unreadable as error:
        raise CommandFailed(detail=f"{file}: {error}") from error
    found = Summary(file, source or form, dry_run, rows=read.rows, tickets=len(read.tickets))
    found.statuses.update(one.status.value for one in read.tickets)
    with Server(url, key_file, timeout_s=ANSWER_TIMEOUT_S) as server:
        _send(server, read, found)
    found.bad += [{"line": line, "detail": detail} for line, detail in read.bad]
    found.bad.sort(key=lambda one: one["line"] or 0)
    found.noted = [{"line": line, "detail": detail} for line, detail in read.noted]
    if as_json:
        print(json.dumps({one.name: getattr(found, one.name) for one in fields(found)}, ensure_ascii=False))
    else:
        _summarise(found)
    if found.bad and not found.created and not found.known:
        raise typer.Exit(1)


def _mapped(path: str | None, *, zone: str | None, encoding: str | None) -> Mapped:
    if path is None:
        return Mapped(zone=zone or "UTC", encoding=encoding)
    try:
        said = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise WrongUsage(detail=f"{path}: {error}") from error
    if not isinstance(said, dict) or not said.keys() <= _MAP_KEYS:
        raise WrongUsage(detail=f"{path}: expected an object with {', '.join(sorted(_MAP_KEYS))}")
    columns, states, priorities = (said.get(name) or {} for name in ("columns", "states", "priorities"))
    for name, table in (("columns", columns), ("states", states), ("priorities", priorities)):
        if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
            raise WrongUsage(detail=f"{path}: {name}: expected an object of texts")
    unknown = sorted(columns.keys() - {*FIELDS, "updated_at", "by", "comments"})
    if unknown:
        raise WrongUsage(detail=f"{path}: columns: {unknown[0]!r} is no field of a ticket; fields: {', '.join(FIELDS)}")
    wrong = sorted(set(states.values()) - set(Status))
    if wrong:
        raise WrongUsage(detail=f"{path}: states: {wrong[0]!r} is no status; expected {', '.join(Status)}")
    dates = said.get("dates") or ()
    dates = (dates,) if isinstance(dates, str) else tuple(str(one) for one in dates)
    return Mapped(
        columns, states, priorities, dates, zone or said.get("zone") or "UTC", encoding or said.get("encoding")
    )


def _bytes_of(path: str) -> bytes:
    """All of a file, also a compressed one."""
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise WrongUsage(detail=f"{path}: {error.strerror or error}") from error
    try:
        if data.startswith(GZIP):
            return gzip.decompress(data)
        if data.startswith(ZSTD):
            with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as stream:
                return bytes(stream.read())
    except (EOFError, OSError, zlib.error, zstandard.ZstdError) as error:
        raise CommandFailed(detail=f"{path}: it was cut or is damaged ({error}); nothing was imported") from error
    return data


def _send(server: Server, read: Read, found: Summary) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True, highlight=False)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(found.file, total=len(read.tickets))
        waiting: Sequence[Foreign] = read.tickets
        while waiting:
            firsts, repeats = _each_once(waiting)
            refused = set[str]()
            for batch in _batches(list(firsts.values())):
                refused |= _take_in(server, batch, found)
                progress.advance(task, len(batch))
            # What names a ticket once more is taken where the first one was not.
            waiting = [one for one in repeats if one.external_id in refused]
            found.doubled += [
                {"line": one.line, "detail": f"{one.external_id} stands in line {firsts[one.external_id].line} already"}
                for one in repeats
                if one.external_id not in refused
            ]


def _take_in(server: Server, batch: list[Any], found: Summary) -> set[str]:
    """Send some tickets; the names of those that were not taken."""
    body = {"source": found.source, "tickets": batch, "dry_run": found.dry_run}
    answer = server.post("/tickets/import", body).data
    found.created += answer["created"]
    found.known += answer["known"]
    found.bad += [
        {"line": one["line"], "detail": f"{one['external_id']}: {one['field']}: {one['detail']}"}
        for one in answer["rejected"]
    ]
    return {one["external_id"] for one in answer["rejected"]}


def _each_once(tickets: Sequence[Foreign]) -> tuple[dict[str, Foreign], list[Foreign]]:
    """The first ticket of each name, and those that name one once more."""
    firsts: dict[str, Foreign] = {}
    repeats = [one for one in tickets if firsts.setdefault(one.external_id, one) is not one]
    return firsts, repeats


def _batches(tickets: Sequence[Foreign]) -> Iterator[list[Any]]:
    batch, size = list[Any](), 0
    for one in tickets:
        value = _plain(one)
        weight = len(json.dumps(value))
        if batch and (len(batch) >= AT_ONCE or size + weight > AT_ONCE_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(value)
        size += weight
    if batch:
        yield batch


def _plain(value: Any) -> Any:
    """A value of ours as JSON; what is None is left out."""
    match value:
        case datetime():
            return iso(value)
        case Enum():
            return value.name if isinstance(value, Priority) else value.value
        case Mapping():
            return {name: _plain(one) for name, one in value.items() if one is not None}
        case tuple() | list():
            return [_plain(one) for one in value]
        case _ if hasattr(value, "__dataclass_fields__"):
            return {one.name: _plain(said) for one in fields(value) if _says(said := getattr(value, one.name))}
        case _:
            return value


def _says(value: Any) -> bool:
    return value is not None and value not in ({}, ())


def _summarise(found: Summary) -> None:
    statuses = ", ".join(f"{count:,} {status}" for status, count in found.statuses.most_common())
    name = printable(found.file)
    typer.echo(f"{name}: {found.rows:,} rows, {found.tickets:,} tickets{': ' + statuses if statuses else ''}")
    verb = "would be imported" if found.dry_run else "imported"
    doubled = f", {len(found.doubled):,} doubled in the file" if found.doubled else ""
    typer.echo(f"  {found.created:,} {verb}, {found.known:,} were here before{doubled}, {len(found.bad):,} not taken")
    for title, lines in (("doubled", found.doubled), ("not taken", found.bad), ("taken, but", found.noted)):
        for one in lines[:MAX_SHOWN]:
            typer.echo(f"  {title}: line {one['line']}: {printable(one['detail'])}")
        if len(lines) > MAX_SHOWN:
            typer.echo(f"  and {len(lines) - MAX_SHOWN:,} more: --json names them all")
    if found.created and not found.dry_run:
        typer.echo(f"What they tell: tocsin reports tickets --source {found.source}")
