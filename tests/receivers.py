"""Real HTTP receivers on loopback, each with a way of its own to answer, or not to."""

import contextlib
import json
import random
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from desk import wait_until


@dataclass(frozen=True, slots=True)
class Request:
    """What a receiver heard."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def data(self) -> Any:
        return json.loads(self.body)


# A way to answer: gets the connection after a whole request was read, and writes what it likes.
Way = Callable[["Receiver", socket.socket, Request], None]


def answer(status: int = 200, body: bytes = b"ok", **headers: str) -> Way:
    """An ordinary answer."""
    lines = [f"HTTP/1.1 {status} It", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    whole = "\r\n".join([*lines, "", ""]).encode() + body

    def way(_receiver: "Receiver", connection: socket.socket, _request: Request) -> None:
        connection.sendall(whole)

    return way


def in_turn(*ways: Way) -> Way:
    """One after the other; the last one stays."""
    left = list(ways)

    def way(receiver: "Receiver", connection: socket.socket, request: Request) -> None:
        with receiver.guard:
            chosen = left.pop(0) if len(left) > 1 else left[0]
        chosen(receiver, connection, request)

    return way


def answer_after(chance: random.Random, most_s: float) -> Way:
    """An ordinary answer, after a while of random length."""

    def way(receiver: "Receiver", connection: socket.socket, request: Request) -> None:
        receiver.closing.wait(chance.uniform(0, most_s))
        answer()(receiver, connection, request)

    return way


def hang(receiver: "Receiver", _connection: socket.socket, _request: Request) -> None:
    """Say nothing until the receiver closes."""
    receiver.closing.wait()


def hang_up(_receiver: "Receiver", connection: socket.socket, _request: Request) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def flood(receiver: "Receiver", connection: socket.socket, _request: Request) -> None:
    """100 MB; `receiver.sent` counts what could be sent of it."""
    connection.sendall(b"HTTP/1.1 200 It\r\nContent-Length: 104857600\r\n\r\n")
    with contextlib.suppress(OSError):
        while receiver.sent < 104_857_600:
            receiver.sent += connection.send(bytes(65_536))


def drip(receiver: "Receiver", connection: socket.socket, _request: Request) -> None:
    """A byte now and then, for ever."""
    connection.sendall(b"HTTP/1.1 200 It\r\nContent-Length: 1000000\r\n\r\n")
    with contextlib.suppress(OSError):
        while not receiver.closing.wait(0.02):
            connection.sendall(b".")


def garble(_receiver: "Receiver", connection: socket.socket, _request: Request) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


@dataclass
class Receiver:
    """A server on a free port of 127.0.0.1; `way` may be changed meanwhile."""

    way: Way = field(default_factory=answer)
    heard: list[Request] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    guard: threading.Lock = field(default_factory=threading.Lock)
    sent: int = 0

    def __post_init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._socket.getsockname()[1]
        self._connections: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [request.id for request in self.heard]

    def close(self) -> None:
        self.closing.set()
        with contextlib.suppress(OSError), self._socket:
            self._socket.shutdown(socket.SHUT_RDWR)  # closing alone wakes no `accept`
        with self.guard:
            open_ = list(self._connections)
        for connection in open_:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def wait_for(self, n: int) -> None:
        """Until so many requests were heard."""
        wait_until(lambda: len(self.heard) >= n)

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with self.guard:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            for request in _requests(connection):
                with self.guard:
                    self.heard.append(request)
                self.way(self, connection, request)
        with self.guard:
            self._connections.discard(connection)


def _requests(connection: socket.socket) -> Iterator[Request]:
    """Until the sender hangs up, be it in the middle of one."""
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            if not (part := connection.recv(65_536)):
                return
            received += part
        head, _, received = received.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(received) < length:
            if not (part := connection.recv(65_536)):
                return
            received += part
        yield Request(line, headers, received[:length])
        received = received[length:]


def dead_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
