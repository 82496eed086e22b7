"""`tocsin import`: JSON lines, syslog and plain text logs from files, into a server, once."""

import json
import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from tocsin.cli.batches import Body, json_bodies, text_bodies
from tocsin.cli.command import DEFAULT_URL, JsonOption, KeyFileOption, UrlOption, examples, make_app
from tocsin.cli.exits import CommandFailed, Refused, WrongUsage
from tocsin.cli.progress import Memory, Position
from tocsin.cli.remote import Server
from tocsin.cli.sources import Source, open_source
from tocsin.logs.formats.text import SAMPLE_LINES, detect

IN_FLIGHT: Final = 2
RETRY_FOR_S: Final = 60.0
RETRY_EVERY_S: Final = 0.5
ANSWER_TIMEOUT_S: Final = 120.0
MAX_SHOWN: Final = 10
_COMPRESSED: Final = {".gz", ".zst", ".zstd"}


app = make_app()


@dataclass(slots=True)
class Imported:
    """What became of one input."""

    file: str
    format: str = ""
    records: int = 0
    accepted: int = 0
    rejected: int = 0
    resumed_at: int = 0
    complete_before: bool = False
    levels: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@app.command(
    epilog=examples(
        "tocsin import /var/log/syslog app.jsonl.gz",
        "tocsin import --alert --service payments payments.log",
        "kubectl logs deploy/web | tocsin import --service web -",
    )
)
def import_(
    files: Annotated[list[str], typer.Argument(help="Log files; - reads standard input.", metavar="FILE...")],
    alert: Annotated[bool, typer.Option("--alert", help="Let the rules raise alerts for these records.")] = False,
    service: Annotated[
        str | None, typer.Option(help="Service of records that name none. By default the file's name.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Import from the start, even what was imported before.")
    ] = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import log files: JSON lines, syslog, or plain text whose times and levels are found by looking.

    Files may be compressed (gzip, zstd). The records are kept and searchable but raise no alerts, unless --alert.
    An interrupted import goes on where it stopped when it is run again; nothing is stored twice.
    """
    console = Console(stderr=True, highlight=False)
    with Server(url, key_file, timeout_s=ANSWER_TIMEOUT_S) as remote:
        newest = _newest_ticket(remote)  # first: who may not come in hears it here
        installation = remote.get("/readyz").data["installation"]
        found = [
            _Import(remote, console, str(installation), path, alert=alert, service=service, again=again).run()
            for path in files
        ]
        tickets = _tickets_since(remote, newest) if alert else []
    if as_json:
        print(json.dumps({"files": [one.as_json() for one in found], "tickets": tickets}, ensure_ascii=False))
    else:
        _summarise(Console(highlight=False), found, tickets, alert=alert)
    if any(one.rejected for one in found) and not any(one.accepted for one in found):
        raise typer.Exit(1)


class _Import:
    """One input on its way in: batches in order, a few in flight, the position kept after each acknowledged one."""

    def __init__(
        self,
        remote: Server,
        console: Console,
        installation: str,
        path: str,
        *,
        alert: bool,
        service: str | None,
        again: bool,
    ) -> None:
        self._remote = remote
        self._console = console
        self._path = path
        self._alert = alert
        self._service = service or _service_of(path)
        self._memory = None if path == "-" else Memory(installation, Path(path))
        self._again = again
        self._installation = installation

    def run(self) -> Imported:
        try:
            source = open_source(self._path)
        except OSError as error:
            raise WrongUsage(detail=f"{self._path}: {error.strerror or error}") from error
        imported = Imported(source.name)
        try:
            position = self._position(source, imported)
            source.skip(position.offset)
            self._send_all(source, position, imported)
        except (OSError, EOFError) as error:
            imported.errors.append(f"reading stopped: {error}")
            self._console.print(f"tocsin import: {source.name}: reading stopped: {error}", markup=False)
        finally:
            source.close()
        return imported

    def _position(self, source: Source, imported: Imported) -> Position:
        known = None if self._memory is None or self._again else self._memory.recall()
        if known is not None and known.fits(source.head):
            if known.alert != self._alert:
                how = "without" if self._alert else "with"
                raise Refused(f"{source.name} was imported {how} --alert before; --again stores it a second time.")
            imported.resumed_at = known.offset
            return known
        position = Position.start(source.head, began=datetime.now(UTC).isoformat(), alert=self._alert)
        if self._memory is not None:
            self._memory.keep(position)  # before the first batch, so that even that one is sent under the same key
        return position

    def _send_all(self, source: Source, position: Position, imported: Imported) -> None:
        run_key = f"{self._installation}:{position.head[:16]}:{position.began}"
        waiting: deque[tuple[Body, Future[dict[str, Any]]]] = deque()
        with self._bar(source) as progress, ThreadPoolExecutor(IN_FLIGHT) as pool:
            task = progress.add_task(source.name, total=source.size)
            for body in self._bodies(source, position, imported):
                if len(waiting) >= IN_FLIGHT:
                    self._settle(*waiting.popleft(), position, imported)
                waiting.append((body, pool.submit(self._post, body, f"{run_key}:{body.start}")))
                progress.update(task, completed=source.done)
            while waiting:
                self._settle(*waiting.popleft(), position, imported)
            progress.update(task, completed=source.done)
        imported.complete_before = imported.resumed_at > 0 and imported.records == 0

    def _bodies(self, source: Source, position: Position, imported: Imported) -> Iterator[Body]:
        sample = [line.decode(errors="replace") for line in source.head.splitlines()[:SAMPLE_LINES]]
        line_format = detect(sample, now=datetime.fromisoformat(position.began))
        imported.format = line_format.describe()
        if line_format.name == "jsonl":
            return json_bodies(source.lines(), position.offset)
        label = f"import:{Path(source.name).name}"
        return text_bodies(source.lines(), position.offset, line_format, service=self._service, source=label)

    def _post(self, body: Body, key: str) -> dict[str, Any]:
        """Send a batch until it is answered; its key makes a repeat harmless."""
        deadline = time.monotonic() + RETRY_FOR_S
        headers = {"content-type": "application/x-ndjson", "idempotency-key": key}
        params = {} if self._alert else {"backfill": "true"}
        while True:
            try:
                answer = self._remote.ask("POST", "/logs", content=body.lines, headers=headers, params=params)
            except Refused as error:
                if "rejected" not in error.document:
                    raise
                return dict(error.document)  # no record of the batch is valid
            except CommandFailed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(RETRY_EVERY_S)
            else:
                found: dict[str, Any] = answer.data
                return found

    def _settle(self, body: Body, answer: "Future[dict[str, Any]]", position: Position, imported: Imported) -> None:
        result = answer.result()
        imported.records += body.count
        imported.accepted += result["accepted"]
        imported.rejected += result["rejected"]
        imported.levels.update(body.levels)
        room = MAX_SHOWN - len(imported.errors)
        imported.errors += [_error_text(error) for error in result.get("errors", ())[: max(room, 0)]]
        position.offset = body.end
        position.accepted += result["accepted"]
        position.rejected += result["rejected"]
        if self._memory is not None:
            self._memory.keep(position)

    def _bar(self, source: Source) -> Progress:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        hidden = not self._console.is_terminal or source.size is None
        return Progress(*columns, TimeRemainingColumn(), console=self._console, disable=hidden, transient=True)


def _error_text(error: dict[str, Any]) -> str:
    place = error.get("field") or error.get("pointer") or "record"
    return f"{place}: {error['detail']}"


def _service_of(path: str) -> str:
    if path == "-":
        return "stdin"
    name = Path(path)
    while name.suffix in _COMPRESSED or name.suffix.lstrip(".").isdigit():
        name = name.with_suffix("")
    return name.stem or "import"


def _newest_ticket(remote: Server) -> int:
    items = remote.get("/tickets", limit=1).data["items"]
    return int(items[0]["id"]) if items else 0


def _tickets_since(remote: Server, newest: int) -> list[dict[str, Any]]:
    """The tickets opened after ticket `newest`, with the exact counts of their alerts."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = remote.get("/tickets", limit=1000, cursor=cursor).data
        found += [ticket for ticket in page["items"] if ticket["id"] > newest]
        if page["next"] is None or page["items"][-1]["id"] <= newest:
            break
        cursor = page["next"]
    keep = ("id", "priority", "status", "title")
    return [
        {
            **{name: ticket[name] for name in keep},
            "count": sum(alert["count"] for alert in remote.get(f"/tickets/{ticket['id']}").data["alerts"]),
        }
        for ticket in sorted(found, key=lambda ticket: int(ticket["id"]))
    ]


def _summarise(console: Console, found: list[Imported], tickets: list[dict[str, Any]], *, alert: bool) -> None:
    for one in found:
        console.print(f"{one.file}: {one.format}", markup=False, soft_wrap=True)
        if one.complete_before:
            console.print("  was imported before, nothing new in it (--again imports it once more)")
            continue
        if one.resumed_at:
            console.print(f"  went on at byte {one.resumed_at:,}, where the import before had stopped")
        levels = ", ".join(f"{count:,} {level}" for level, count in one.levels.most_common())
        text = f"  {one.accepted:,} records stored, {one.rejected:,} rejected{': ' + levels if levels else ''}"
        console.print(text, soft_wrap=True)
        for error in one.errors:
            console.print(f"  rejected: {error}", markup=False, soft_wrap=True)
    if not alert:
        text = "No alerts were raised: this was a backfill. --alert lets the rules see the records."
        console.print(text, soft_wrap=True)
        return
    named = "1 new ticket" if len(tickets) == 1 else f"{len(tickets)} new tickets"
    console.print(named + (":" if tickets else ": no rule matched anything new."))
    for ticket in tickets[:MAX_SHOWN]:
        text = f"  {ticket['id']:>5} {ticket['priority']} {ticket['count']:>7,} x {ticket['title']}"
        console.print(text, markup=False, soft_wrap=True)
    if len(tickets) > MAX_SHOWN:
        console.print(f"  and {len(tickets) - MAX_SHOWN} more: tocsin tickets list")
