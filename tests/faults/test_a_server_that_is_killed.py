"""kill -9 in the middle of a load: after the restart everything acknowledged is there once, with what follows from it.

`TOCSIN_FAULT_ROUNDS` says how often each server is killed; `make faults` kills it more often.
"""

import contextlib
import http.client
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tocsin.settings import Settings

ROUNDS = int(os.environ.get("TOCSIN_FAULT_ROUNDS", "5"))
START_S = 60
STOP_S = 10
SENDERS = 6
KINDS = ("disk broke", "pool exhausted", "certificate expired", "queue stuck")


class Server:
    """`uvicorn tocsin.main:app` as a process of its own."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._log = folder / f"server-{self.port}.log"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TOCSIN_")}
        environment["TOCSIN_DATA_DIR"] = str(settings.data_dir)
        if settings.database_secret is not None:
            environment["TOCSIN_DATABASE_URL"] = settings.database_secret
        for name in ("allow_private", "storm_service", "storm_all", "delivery_patience"):
            if (value := getattr(settings, name)) is not None:
                environment[f"TOCSIN_{name.upper()}"] = str(value)
        command = [sys.executable, "-m", "uvicorn", "tocsin.main:app", "--host=127.0.0.1", f"--port={self.port}"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self._wait_until_ready()

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
        """One request on a connection of its own: status and decoded body. Raises OSError or HTTPException."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_S)) as connection:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, json.loads(content) if content[:1] in (b"{", b"[") else content

    def everything(self, path: str, **filters: str) -> list[Any]:
        """All items of a list, page by page."""
        items: list[Any] = []
        cursor: str | None = ""
        asked = "".join(f"&{name}={value}" for name, value in filters.items())
        while cursor is not None:
            status, page = self.request("GET", f"{path}?limit=1000{asked}" + (f"&cursor={cursor}" if cursor else ""))
            assert status == 200, page
            items += page["items"]
            cursor = page["next"]
        return items

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(STOP_S)

    def terminate(self) -> float:
        """SIGTERM; returns how many seconds it took to end."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(START_S)
        return time.monotonic() - started

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.request("GET", "/readyz")[0] == 200:
                    return
            time.sleep(0.02)
        raise AssertionError(f"the server did not start: {self.log[-3000:]}")


class Load:
    """Threads that send batches until the server is gone. Which were acknowledged is known; of the rest nothing is."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, list[dict[str, Any]]] = {}
        self.unanswered: dict[str, bytes] = {}
        self.refused: list[int] = []
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()

    def batch(self, chance: random.Random) -> tuple[str, list[dict[str, Any]], bytes]:
        name = f"batch-{next(self._numbers)}"
        records = [
            {
                "level": chance.choice(["CRITICAL", "CRITICAL", "INFO"]),
                "service": "shop",
                "message": chance.choice(KINDS),
                "attributes": {"seq": f"{name}/{n}"},
            }
            for n in range(chance.choice([1, 1, 3, 40]))
        ]
        return name, records, b"\n".join(json.dumps(record).encode() for record in records)

    def send(self, server: Server, name: str, records: list[dict[str, Any]], body: bytes) -> bool:
        """Whether the server is still there."""
        try:
            status, _ = server.request("POST", "/logs", body, Content_Type="application/x-ndjson", Idempotency_Key=name)
        except (OSError, http.client.HTTPException):
            self.unanswered[name] = body
            return False
        if status in (200, 201):
            with self._changed:
                self.acknowledged[name] = records
                self._changed.notify_all()
        else:
            self.refused.append(status)
        return True

    @contextlib.contextmanager
    def on(self, server: Server, seed: int) -> Iterator[None]:
        """The load runs inside; it ends when the server does."""

        def run(chance: random.Random) -> None:
            while self.send(server, *self.batch(chance)):
                pass

        threads = [threading.Thread(target=run, args=(random.Random(seed * 100 + n),)) for n in range(SENDERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            if server.process.poll() is None:
                server.kill()
            for thread in threads:
                thread.join(START_S)

    def wait_for(self, more: int) -> None:
        """Until so many more batches are acknowledged."""
        with self._changed:
            wanted = len(self.acknowledged) + more
            assert self._changed.wait_for(lambda: len(self.acknowledged) >= wanted, START_S)


def check(server: Server, load: Load) -> None:
    """Nothing acknowledged is missing, nothing is there twice, and counts, alerts and tickets fit what is there."""
    records = server.everything("/logs")
    seen = Counter(record["attributes"]["seq"] for record in records)
    assert not [seq for seq, times in seen.items() if times > 1], "kept twice"
    expected = {record["attributes"]["seq"] for batch in load.acknowledged.values() for record in batch}
    missing = expected - seen.keys()
    assert not missing, f"{len(missing)} acknowledged records are lost, such as {sorted(missing)[:3]}"
    parts = Counter(seq.split("/")[0] for seq in seen)
    for name, body in load.unanswered.items():
        assert parts[name] in {0, body.count(b"\n") + 1}, f"{name} is half there"

    critical = Counter(record["message"] for record in records if record["level"] == "CRITICAL")
    alerts = server.everything("/alerts")
    assert {alert["template"]: alert["count"] for alert in alerts} == critical
    assert len(alerts) == len(critical), "several alerts of one kind"
    tickets = server.everything("/tickets")
    assert sorted(ticket["id"] for ticket in tickets) == sorted(alert["ticket_id"] for alert in alerts)
    metrics = server.request("GET", "/metrics")[1].decode()
    assert "tocsin_parked_now 0.0" in metrics


@pytest.mark.slow
def test_everything_acknowledged_survives_kill_9_exactly_once(settings: Settings, tmp_path: Path) -> None:
    load = Load()
    chance = random.Random(settings.database_secret is None)
    server = Server(settings, tmp_path)
    try:
        for number in range(ROUNDS):
            with load.on(server, seed=number):
                load.wait_for(chance.randrange(20, 120))
                server.kill()
            server = Server(settings, tmp_path)
            check(server, load)
            # The senders try again what they heard nothing of: each such batch is then there exactly once.
            for name, body in list(load.unanswered.items()):
                records = [json.loads(line) for line in body.splitlines()]
                assert load.send(server, name, records, body)
                del load.unanswered[name]
            check(server, load)
            assert load.refused == []
        assert len(load.acknowledged) >= 20 * ROUNDS
    finally:
        server.kill()


@pytest.mark.slow
def test_on_sigterm_what_was_accepted_is_finished_and_the_server_ends_in_time(
    settings: Settings, tmp_path: Path
) -> None:
    load = Load()
    server = Server(settings, tmp_path)
    with load.on(server, seed=1):
        load.wait_for(30)
        took_s = server.terminate()
    assert took_s < STOP_S
    assert server.process.returncode in {0, -signal.SIGTERM}
    assert "Traceback" not in server.log, server.log[-3000:]
    assert set(load.refused) <= {503}

    server = Server(settings, tmp_path)
    try:
        check(server, load)
    finally:
        server.kill()


def test_a_second_server_on_the_same_folder_ends_with_a_clear_error(sqlite_settings: Settings, tmp_path: Path) -> None:
    server = Server(sqlite_settings, tmp_path)
    try:
        with pytest.raises(AssertionError, match="in use by another Tocsin server"):
            Server(sqlite_settings, tmp_path)
        assert server.request("GET", "/readyz")[0] == 200
    finally:
        server.kill()
