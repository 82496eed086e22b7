"""A `tocsin serve` in a process of its own, on a free port of 127.0.0.1, and what a test asks of it."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

KEY = "0123456789abcdef-admin"


def command(*args: object) -> list[str]:
    return [sys.executable, "-m", "tocsin.cli", *map(str, args)]


def environment(**extra: str) -> dict[str, str]:
    """This process's, without settings of ours, and these on top."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    return {**kept, **extra}


@dataclass(frozen=True, slots=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


class RunningServer:
    """A server process that is ready."""

    def __init__(self, data: Path, *options: str, **extra: str) -> None:
        self.data = data
        self.key = extra.get("TOCSIN_ADMIN_KEY")
        self._process = subprocess.Popen(
            command("serve", "--data", data, "--port", "0", *options),
            env=environment(**extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.announced = [self._process.stdout.readline() for _ in range(4)]
        if not self.announced[-1]:
            raise AssertionError(self._process.communicate()[1])
        self.url = self.announced[0].split()[-1]
        self.port = int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        return self._process.pid

    def signal(self, which: signal.Signals) -> None:
        self._process.send_signal(which)

    def wait(self, timeout_s: float) -> int:
        """The exit code. Raises TimeoutExpired."""
        return self._process.wait(timeout_s)

    def close(self) -> str:
        """End it if it still runs; returns what it wrote to standard error."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.communicate(timeout=12)[1]
        finally:
            if self._process.poll() is None:
                self._process.kill()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def ask(self, method: str, path: str, body: object = None, *, key: str | None = None) -> tuple[int, Any]:
        """One request on a connection of its own."""
        with contextlib.closing(self.connect()) as connection:
            return exchange(connection, method, path, body, key=key)

    def takes_connections(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


def stored_ids(api: TestClient) -> set[int]:
    """The ids of all records."""
    found: set[int] = set()
    cursor = ""
    while True:
        page = api.get(f"/logs?limit=1000{cursor}").json()
        found.update(record["id"] for record in page["items"])
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


def exchange(
    connection: http.client.HTTPConnection, method: str, path: str, body: object = None, *, key: str | None = None
) -> tuple[int, Any]:
    headers = {"content-type": "application/json"} if body is not None else {}
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read() or b"null")


class Load:
    """Threads that post single records, every tenth CRITICAL in a service of its own thread, until told to stop."""

    def __init__(self, server: RunningServer, *, threads: int = 4) -> None:
        self._server = server
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self.acknowledged: dict[int, str] = {}
        self.refused: list[int] = []
        self._threads = [threading.Thread(target=self._post, args=(n,)) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, count: int) -> None:
        """Until so many records in all are acknowledged."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.acknowledged) >= count, 15)

    def snapshot(self) -> dict[int, str]:
        """Id -> service of what is acknowledged by now; CRITICAL ones only have a service that starts with `bad`."""
        with self._changed:
            return dict(self.acknowledged)

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(15)

    def _post(self, thread: int) -> None:
        number = 0
        with contextlib.closing(self._server.connect()) as connection:
            while not self._stopping.is_set():
                number += 1
                bad = number % 10 == 1
                service = f"bad-{thread}-{number // 200}" if bad else f"good-{thread}"
                record = {"message": f"line {number}", "level": "CRITICAL" if bad else "INFO", "service": service}
                try:
                    status, stored = exchange(connection, "POST", "/logs", record)
                except (OSError, http.client.HTTPException):
                    return
                with self._changed:
                    if status == 201:
                        self.acknowledged[stored["id"]] = service
                    else:
                        self.refused.append(status)
                    self._changed.notify_all()
