"""Servers under measurement: started on a free port of 127.0.0.1, watched through /proc, always ended."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_UVICORN: Final = ("--host=127.0.0.1", "--loop=uvloop", "--http=httptools", "--no-access-log", "--log-level=warning")


class Server:
    """A running server process."""

    def __init__(self, command: Sequence[str], *, port: int, folder: Path, env: Mapping[str, str]) -> None:
        self.port = port
        self.folder = folder
        self._log = folder.with_name(folder.name + ".log")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env={**kept, **env})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until_ready(self, path: str = "/healthz", timeout_s: float = 60) -> None:
        """Return at the first 200. Raises RuntimeError with the server's last words when it ends or stays silent."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass
            time.sleep(0.01)
        raise RuntimeError(f"the server did not start: {self.last_words()}")

    def last_words(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]

    def cpu_s(self) -> float:
        """CPU seconds the process has used so far, all threads, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory_mb(self) -> tuple[float, float]:
        """Resident memory now and at its highest, in MB (10^6 bytes)."""
        status = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        found = {line.split(":")[0]: line.split()[1] for line in status if line.startswith(("VmRSS", "VmHWM"))}
        return int(found["VmRSS"]) * 1024 / 1e6, int(found["VmHWM"]) * 1024 / 1e6

    def stop(self) -> float:
        """SIGTERM, and SIGKILL 15 s later; returns the seconds it took."""
        began = time.monotonic()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        return time.monotonic() - began


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def temp_folder() -> Iterator[Path]:
    """A folder for data, removed at the end."""
    path = Path(tempfile.mkdtemp(prefix="tocsin-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@cache
def tocsin_command() -> str | None:
    """The installed `tocsin` command, or None while it can't serve."""
    command = Path(sys.executable).with_name("tocsin")
    if not command.exists():
        return None
    tried = subprocess.run([str(command), "serve", "--help"], capture_output=True, timeout=60, check=False)
    return str(command) if tried.returncode == 0 else None


def start_tocsin(folder: Path, *, way: str = "uvicorn", settings: Mapping[str, str] | None = None) -> Server:
    """Our server on `folder`, by `uvicorn tocsin.main:app` or (`way="serve"`) by `tocsin serve`; not yet ready.

    `settings` are environment variables.
    """
    port = free_port()
    if way == "serve":
        command = [str(tocsin_command()), "serve", f"--data={folder}", f"--port={port}"]
    else:
        command = [sys.executable, "-m", "uvicorn", "tocsin.main:app", f"--port={port}", *_UVICORN]
    env = {"TOCSIN_DATA_DIR": str(folder), "TOCSIN_LOG_LEVEL": "warning", **(settings or {})}
    return Server(command, port=port, folder=folder, env=env)


def start_bare(folder: Path) -> Server:
    """The bare handler on `folder`, under the same web server with the same options; not yet ready."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(_HERE), "bare:app", f"--port={port}", *_UVICORN]
    return Server(command, port=port, folder=folder, env={"BARE_DATA_DIR": str(folder)})


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """The server once it answers; ended at the end."""
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()
