"""A load generator that costs little CPU: one process, epoll, keep-alive connections, requests built beforehand."""

import argparse
import contextlib
import gc
import itertools
import json
import re
import select
import socket
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import bulk
import shapes

_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_DRAIN_S: Final = 30.0
_CLOSED: Final = 599


@dataclass(slots=True)
class Load:
    """What a run brought. Rates leave the warm-up out; `sent` and `acknowledged` count records from the very start."""

    sent: int = 0
    acknowledged: int = 0
    requests: int = 0
    seconds: float = 0.0
    records_per_s: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0
    errors: int = 0
    first_error: str = ""
    client_cpu: float = 0.0  # share of one core that this process used


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket.socket
    started: float = 0.0
    rest: memoryview | None = None
    received: bytes = b""


class _Run:
    """One closed loop: each connection sends its next request when the last was answered."""

    def __init__(self, requests: Sequence[bytes | memoryview], port: int, connections: int) -> None:
        self._next: Iterator[bytes | memoryview] = itertools.cycle(requests)
        self._epoll = select.epoll()
        self._by_fd: dict[int, _Connection] = {}
        self.busy = 0
        for _ in range(connections):
            connected = socket.create_connection(("127.0.0.1", port), timeout=10)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setblocking(False)
            self._by_fd[connected.fileno()] = _Connection(connected)
            self._epoll.register(connected.fileno(), select.EPOLLIN)

    @property
    def connections(self) -> list[_Connection]:
        return list(self._by_fd.values())

    def send_next(self, connection: _Connection) -> None:
        self.busy += 1
        connection.started = time.perf_counter()
        connection.received = b""
        self._push(connection, memoryview(next(self._next)))

    def _push(self, connection: _Connection, data: memoryview) -> None:
        waited = connection.rest is not None
        with contextlib.suppress(BlockingIOError):
            data = data[connection.socket.send(data) :]
        if bool(data) != waited:
            events = select.EPOLLIN | select.EPOLLOUT if data else select.EPOLLIN
            self._epoll.modify(connection.socket.fileno(), events)
        connection.rest = data or None

    def answers(self, timeout_s: float) -> Iterator[tuple[_Connection, int, bytes]]:
        """The answers that are complete: connection, status, body. 599 stands for a closed connection."""
        for fd, events in self._epoll.poll(timeout_s):
            connection = self._by_fd[fd]
            try:
                if events & select.EPOLLIN:
                    data = connection.socket.recv(65536)
                    if not data:
                        raise ConnectionResetError("closed by the server")
                    connection.received = data = connection.received + data
                    head = data.find(b"\r\n\r\n") + 4
                    if head > 3:
                        length = _LENGTH.search(data, 0, head)
                        if length is None or len(data) >= head + int(length[1]):
                            self.busy -= 1
                            yield connection, int(data[9:12]), data[head:]
                elif connection.rest is not None:
                    self._push(connection, connection.rest)
            except (ConnectionError, BrokenPipeError) as error:
                self._drop(connection)
                yield connection, _CLOSED, str(error).encode()

    def is_open(self, connection: _Connection) -> bool:
        return connection.socket.fileno() >= 0

    def _drop(self, connection: _Connection) -> None:
        self.busy -= 1
        self._by_fd.pop(connection.socket.fileno())
        connection.socket.close()

    def close(self) -> None:
        self._epoll.close()
        for connection in self._by_fd.values():
            connection.socket.close()


def drive(
    requests: Sequence[bytes | memoryview],
    *,
    port: int,
    per_request: int,
    connections: int,
    seconds: float | None = None,
    count: int | None = None,
    warm_up_s: float = 0.0,
) -> Load:
    """Send until `seconds` after the warm-up are over, or `count` requests are sent, whichever comes first."""
    run = _Run(requests, port, connections)
    load, times = Load(), array("d")
    left = count if count is not None else 1 << 62
    gc.disable()
    cpu, began = time.process_time(), time.perf_counter()
    timed_from = began + warm_up_s
    until = timed_from + (seconds if seconds is not None else 1e9)
    for connection in run.connections[:left]:
        run.send_next(connection)
        left -= 1
    now = began
    while run.busy and now < until + _DRAIN_S:
        for connection, status, body in run.answers(1.0):
            now = time.perf_counter()
            load.sent += per_request
            if 200 <= status < 300:
                load.acknowledged += per_request
                if timed_from <= now < until or (seconds is None and now >= timed_from):
                    times.append(now - connection.started)
                if load.acknowledged == per_request:
                    _check(body, load)
            else:
                load.errors += 1
                load.first_error = load.first_error or f"{status} {body[:500].decode(errors='replace')}"
            if left > 0 and now < until and run.is_open(connection):
                run.send_next(connection)
                left -= 1
        now = time.perf_counter()
    load.client_cpu = (time.process_time() - cpu) / (time.perf_counter() - began)
    run.close()
    load.errors += run.busy
    load.requests = len(times)
    load.seconds = min(now, until) - timed_from
    _summarise(load, times, per_request)
    return load


def distinct_requests(per_request: int, count: int | None = None) -> int:
    """How many different requests a run takes turns with: 64,000 records, more than any cache of messages holds."""
    distinct = 2048 if per_request == 1 else max(4, min(64, 64_000 // per_request))
    return distinct if count is None else min(distinct, count)


def _check(body: bytes, load: Load) -> None:
    """The first answer may not say that records were rejected: the load would measure something else."""
    rejected = json.loads(body or b"{}").get("rejected", 0)
    if rejected:
        load.errors += 1
        load.first_error = f"{rejected} records of a request were rejected: {body[:500].decode()}"


def _summarise(load: Load, times: array, per_request: int) -> None:
    if not times:
        return
    ordered = sorted(times)
    load.records_per_s = len(ordered) * per_request / load.seconds
    load.p50_ms = ordered[len(ordered) // 2] * 1000
    load.p99_ms = ordered[min(len(ordered) * 99 // 100, len(ordered) - 1)] * 1000
    load.max_ms = ordered[-1] * 1000


def post_records(port: int, count: int, *, shape: str = "own", connections: int = 8) -> Load:
    """Send `count` records, 1,000 a request. Raises RuntimeError unless all were acknowledged."""
    load = in_own_process(port=port, shape=shape, count=max(count // 1000, 1), connections=connections)
    if load.errors:
        raise RuntimeError(f"{load.errors} requests failed, first: {load.first_error}")
    return load


def in_own_process(
    *,
    port: int,
    shape: str = "own",
    path: str = "/logs",
    per_request: int = 1000,
    connections: int = 8,
    seconds: float | None = None,
    count: int | None = None,
    warm_up_s: float = 0.0,
    seed: int = 1,
    distinct: int | None = None,
    file: Path | None = None,
) -> Load:
    """Run this file as a process of its own against 127.0.0.1:`port` and read its figures."""
    command = [sys.executable, str(Path(__file__)), "--json", f"--port={port}", f"--shape={shape}", f"--path={path}"]
    command += [f"--per-request={per_request}", f"--connections={connections}", f"--warm-up={warm_up_s}"]
    command += [f"--seed={seed}"]
    command += [] if seconds is None else [f"--seconds={seconds}"]
    command += [] if count is None else [f"--count={count}"]
    command += [] if distinct is None else [f"--distinct={distinct}"]
    command += [] if file is None else [f"--file={file}"]
    limit_s = 600 if seconds is None else seconds + warm_up_s + _DRAIN_S + 60
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the load generator failed: {done.stderr.strip()[-2000:]}")
    return Load(**json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="Compare `client_cpu` (share of a core) with 1: near 1 the generator itself is the limit. The path "
        "/null of `BARE_DATA_DIR=FOLDER python -m uvicorn --app-dir benchmarks bare:app` shows what client and web "
        "server can do alone.",
    )
    parser.add_argument("--port", type=int, required=True, help="a server on 127.0.0.1")
    parser.add_argument("--path", default="/logs")
    parser.add_argument("--shape", choices=shapes.SHAPES, default="own")
    parser.add_argument("--per-request", type=int, default=1000, help="records a request; 1 sends a JSON object")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, help="how long; 5 without --count")
    parser.add_argument("--count", type=int, help="how many requests at most")
    parser.add_argument("--warm-up", type=float, default=0.0, metavar="SECONDS", help="left out of rate and latency")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--distinct", type=int, help="different requests that are sent in turns; 64, or 2,048 of 1 record"
    )
    parser.add_argument("--file", type=Path, help="requests that `bulk` wrote, instead of a shape")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args()
    seconds = 5.0 if given.seconds is None and given.count is None else given.seconds
    requests: Sequence[bytes | memoryview]
    if given.file is not None:
        requests = bulk.read_requests(given.file)
    else:
        requests = shapes.http_requests(
            given.shape,
            per_request=given.per_request,
            distinct=given.distinct or distinct_requests(given.per_request, given.count),
            path=given.path,
            seed=given.seed,
        )
    load = drive(
        requests,
        port=given.port,
        per_request=given.per_request,
        connections=given.connections,
        seconds=seconds,
        count=given.count,
        warm_up_s=given.warm_up,
    )
    if given.json:
        print(json.dumps(asdict(load)))
        return
    for name, value in asdict(load).items():
        print(f"{name:>14}  {value:,.2f}" if isinstance(value, float) else f"{name:>14}  {value}")


if __name__ == "__main__":
    main()
