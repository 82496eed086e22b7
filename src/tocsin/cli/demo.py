"""`tocsin demo`: a server on a fresh folder, and the evening a small shop's database runs out of disk."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import httpx2
import typer
from rich.console import Console

from tocsin.cli.command import examples, make_app
from tocsin.cli.shop import SERVICES, records

app = make_app()

STEP_S: Final = 0.25
START_WITHIN_S: Final = 20.0
STOP_WITHIN_S: Final = 12.0
PREFERRED_PORT: Final = 8000


@app.command(epilog=examples("tocsin demo", "tocsin demo --seconds 60 --port 9000"))
def demo(
    data: Annotated[
        Path | None, typer.Option(help="Folder for the demo's data; must be new or empty. By default a fresh one.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 is any free one. By default 8000, if it is free.")] = None,
    seconds: Annotated[float, typer.Option(min=2, max=600, help="How long the story takes, in seconds.")] = 24.0,
    seed: Annotated[int, typer.Option(help="The same seed tells the same story.")] = 7,
    stay: Annotated[bool, typer.Option(help="Leave the server up when the story is over.")] = True,
) -> None:
    """Start a server on a fresh folder, play a shop's outage over HTTP, and tell what Tocsin makes of it.

    Asks nothing. Ends with the server up and the addresses to look at; Ctrl-C stops it.
    """
    console = Console(highlight=False)
    folder = data or Path(tempfile.mkdtemp(prefix="tocsin-demo-"))
    if data is not None and data.exists() and any(data.iterdir()):
        Console(stderr=True).print(f"tocsin demo: {data} is not empty; name a new folder.")
        raise typer.Exit(1)
    try:
        with _server(folder, _free_port(PREFERRED_PORT if port is None else port)) as (server, url):
            console.print(f"[bold]Tocsin[/] is up at {url}, its data in {folder}\n")
            with httpx2.Client(base_url=url, timeout=10) as client:
                _Story(console, client, random.Random(seed), seconds).play()  # noqa: S311  # a story, not a secret
                _farewell(console, url, stay=stay)
            if stay:
                _wait(server)
    except KeyboardInterrupt:
        console.print("\nStopped.")
    finally:
        if data is None:
            shutil.rmtree(folder, ignore_errors=True)


class _Story:
    """Posts what the shop's services log, reads what became of it, and acts as the engineer on call."""

    def __init__(self, console: Console, client: httpx2.Client, rng: random.Random, length_s: float) -> None:
        self._console = console
        self._client = client
        self._rng = rng
        self._length_s = length_s
        self._sent = 0
        self._known: dict[int, dict[str, Any]] = {}
        self._counts: dict[int, int] = {}
        self._plan: list[tuple[float, Callable[[], None]]] = [
            (0.00, lambda: self._say(f"Seven services log their evening: {', '.join(SERVICES)}.")),
            (0.20, lambda: self._say("The disk of orders-db fills up. Warnings only: nobody is woken.")),
            (0.55, self._acknowledge),
            (0.70, lambda: self._say("Ana frees space: the old WAL archive goes, writes work again.")),
            (0.78, self._resolve),
            (0.92, self._tell_of_relapse),
        ]

    def play(self) -> None:
        """The whole story, in real time."""
        began, since = time.monotonic(), 0.0
        while (at := (time.monotonic() - began) / self._length_s) < 1:
            while self._plan and self._plan[0][0] <= at:
                self._plan.pop(0)[1]()
            self._post(records(self._rng, since=since, until=at, step_s=STEP_S))
            since = at
            self._tell_of_tickets()
            time.sleep(STEP_S)
        for _, step in self._plan:
            step()
        self._tell_the_end()

    def _post(self, lines: list[dict[str, Any]]) -> None:
        now = datetime.now(UTC).isoformat()
        answer = self._client.post("/logs", json=[{"timestamp": now, **line} for line in lines])
        answer.raise_for_status()
        self._sent += answer.json()["accepted"]

    def _tickets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._client.get("/tickets", params={"order": "asc"}).json()["items"]
        return found

    def _tell_of_tickets(self) -> None:
        for ticket in self._tickets():
            before = self._known.get(ticket["id"])
            self._known[ticket["id"]] = ticket
            if before is None:
                self._say(f"[bold red]Ticket {ticket['id']}[/] {ticket['priority']} opened: {ticket['title']}")
            elif ticket["reopen_count"] > before["reopen_count"]:
                self._say(
                    f"[bold red]Ticket {ticket['id']} is open again[/]: the same trouble within 30 minutes of its "
                    "resolution, so no new ticket; the acknowledge clock starts anew."
                )

    def _acknowledge(self) -> None:
        for ticket in self._tickets():
            self._move(ticket["id"], {"status": "IN_PROGRESS", "assignee": "ana"})
        self._say("Ana acknowledges. What fires on is [bold]counted, not sent again[/]:")
        self._show_counts()

    def _show_counts(self) -> None:
        for alert in self._client.get("/alerts").json()["items"]:
            self._console.print(
                f"           alert {alert['id']} on ticket {alert['ticket_id']}: {alert['count']} x "
                f"{alert['service']}: {alert['template']}",
                markup=False,
                soft_wrap=True,
            )

    def _resolve(self) -> None:
        for ticket in self._tickets():
            self._move(ticket["id"], {"status": "RESOLVED"})
        times = ", ".join(f"{ticket['id']} after {ticket['time_to_resolve_s']:.1f} s" for ticket in self._tickets())
        self._say(f"It is quiet. Ana resolves the tickets: {times}.")

    def _tell_of_relapse(self) -> None:
        reopened = [ticket for ticket in self._tickets() if ticket["reopen_count"]]
        for ticket in reopened:
            self._move(ticket["id"], {"status": "IN_PROGRESS", "assignee": "ana"})
        if reopened:
            self._say("Ana takes it up again: this time the archive job itself must go.")

    def _move(self, ticket_id: int, change: dict[str, Any]) -> None:
        self._client.patch(f"/tickets/{ticket_id}", json=change).raise_for_status()

    def _tell_the_end(self) -> None:
        self._tell_of_tickets()
        alerts = self._client.get("/alerts").json()["items"]
        counted = sum(alert["count"] for alert in alerts)
        self._say(
            f"[bold]{self._sent:,} records[/] went in, [bold]{counted}[/] of them CRITICAL; they made {len(alerts)} "
            f"alerts and [bold]{len(self._known)} tickets[/], of which {self._reopened()} opened again."
        )

    def _reopened(self) -> int:
        return sum(1 for ticket in self._known.values() if ticket["reopen_count"])

    def _say(self, text: str) -> None:
        self._console.print(f"[dim]{datetime.now(UTC).astimezone():%H:%M:%S}[/]  {text}", soft_wrap=True)


def _farewell(console: Console, url: str, *, stay: bool) -> None:
    if not stay:
        return
    console.print(
        f"\nLook around:\n"
        f"  {url}/tickets               the tickets\n"
        f"  {url}/tickets/1/events      what happened to the first one, and by whom\n"
        f"  {url}/alerts                the alerts with their counts\n"
        f"  {url}/logs?level=ERROR      the records behind them\n"
        f"  {url}/docs                  every endpoint, to try\n\n"
        f"  {Path(sys.argv[0]).parent / 'tocsin'} tickets list --url {url}\n\n"
        "The server stays up; Ctrl-C stops it and removes the demo's folder.",
        soft_wrap=True,
    )


def _wait(server: "subprocess.Popen[bytes]") -> None:
    code = server.wait()
    if code:
        raise typer.Exit(code)


@contextmanager
def _server(folder: Path, port: int) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """A server process of its own, ready for requests; ended, gently, at the end."""
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "tocsin.cli", "serve", "--data", str(folder), "--port", str(port)]
    # Settings of a real installation, its database above all, are none of the demo's business.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _wait_until_ready(server, url)
        yield server, url
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                server.kill()


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _wait_until_ready(server: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise typer.Exit(server.returncode or 1)
        try:
            if httpx2.get(f"{url}/readyz", timeout=2).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.05)
    Console(stderr=True).print(f"tocsin demo: the server did not become ready within {START_WITHIN_S:.0f} s.")
    raise typer.Exit(1)


def _free_port(preferred: int) -> int:
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise typer.Exit(1)
