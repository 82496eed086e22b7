"""What channels meet in tests: a real HTTP receiver, a real mail server, and a way out that leads to them."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx2
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tocsin.notify.channels.channel import Channel
from tocsin.notify.message import Action, DeliveryFailed, Kind, Message, Receipt

CERTIFICATES = Path(__file__).parent / "certificates"
MAIL_HOST = "mail.example.org"  # what the certificates are for; it leads to loopback here


@dataclass(frozen=True)
class Reply:
    """An answer over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Loopback:
    """A way out that only leads to this machine, whatever a host is called."""

    def __init__(self) -> None:
        self.asked_addresses: list[tuple[str, int]] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout_s: float = 15.0,
    ) -> Reply:
        try:
            async with httpx2.AsyncClient(timeout=timeout_s, trust_env=False) as client:
                answer = await client.request(
                    method, url, headers=headers, content=content, json=json, data=form, auth=auth
                )
        except httpx2.HTTPError as error:
            raise DeliveryFailed(f"{url}: {error}") from error
        return Reply(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.content[:65_536])

    async def address(self, host: str, port: int) -> str:
        self.asked_addresses.append((host, port))
        if host.startswith("169.254."):
            raise DeliveryFailed(f"{host} is an address of this network; it is not asked", permanent=True)
        return "127.0.0.1"


@dataclass
class Heard:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass
class Receiver:
    """A provider's server: what it heard, and what it answers next (the last answer goes on)."""

    url: str
    heard: list[Heard] = field(default_factory=list)
    answers: list[Reply] = field(default_factory=list)

    def answer(self, status: int, body: Any = b"", **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers.append(Reply(status, {k.replace("_", "-"): v for k, v in headers.items()}, raw))

    def next(self) -> Reply:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @property
    def last(self) -> Heard:
        return self.heard[-1]


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """A server on a free port of this machine."""
    receiver = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {k.lower(): v for k, v in self.headers.items()}
            receiver.heard.append(Heard(self.command, self.path, headers, body))
            reply = receiver.next()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_POST = do_PATCH = do_PUT = _any  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Mailbox:
    """What a mail server took; `verdict` is what it answers to a mail, `to_receiver` to the address of one."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.receivers: list[list[str]] = []
        self.verdict = "250 kept"
        self.to_receiver = "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.to_receiver.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.to_receiver

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.verdict.startswith("250"):
            self.raw.append(envelope.content)
            mail = BytesParser(policy=policy.default).parsebytes(envelope.content)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
            self.receivers.append(list(envelope.rcpt_tos))
        return self.verdict


@contextlib.contextmanager
def mail_server(
    mailbox: Mailbox, *, certificate: str | None = "good", implicit: bool = False, password: str | None = None
) -> Iterator[int]:
    """A mail server on this machine; its port. With a password, `ana` and that are its login."""
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CERTIFICATES / f"{certificate}.pem")

    def login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        good = (data.login, data.password) == (b"ana", (password or "").encode())
        return AuthResult(success=good, handled=False)

    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=0,
        ssl_context=context if implicit else None,
        tls_context=None if implicit else context,
        require_starttls=context is not None and not implicit,
        authenticator=login if password else None,
        auth_required=False,
        auth_require_tls=False,
        server_hostname="sink",
    )
    # The controller greets itself at the port it was given, which is 0: it is started without that.
    thread, started = _run(controller)
    try:
        yield started.result(10)
    finally:
        controller.loop.call_soon_threadsafe(controller.loop.stop)
        thread.join(10)
        controller.loop.close()


def _run(controller: Controller) -> tuple[threading.Thread, "Any"]:
    from concurrent.futures import Future

    started: Future[int] = Future()

    async def serve() -> Any:
        loop = asyncio.get_running_loop()
        return await loop.create_server(controller._factory_invoker, "127.0.0.1", 0, ssl=controller.ssl_context)

    def work() -> None:
        loop = controller.loop
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(serve())
        started.set_result(server.sockets[0].getsockname()[1])
        loop.run_forever()
        server.close()
        loop.run_until_complete(server.wait_closed())
        loop.run_until_complete(_settled())
        for task in asyncio.all_tasks(loop):
            task.cancel()
            with contextlib.suppress(BaseException):
                loop.run_until_complete(task)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread, started


def a_message(**fields: Any) -> Message:
    """A page about ticket 7, unless it is said otherwise."""
    known: dict[str, Any] = {
        "id": "delivery-41",
        "kind": Kind.PAGE,
        "title": "P2 payments: database connection lost",
        "text": "database connection lost\n12 records since 02:21 UTC",
        "html": "<p>database connection lost</p>",
        "thread": "ticket-7",
        "first_of_thread": True,
        "ticket_id": 7,
        "priority": "P2",
        "status": "OPEN",
        "service": "payments",
        "url": "https://tocsin.example.org/tickets/7",
        "facts": (("Service", "payments"), ("Records", "12")),
        "actions": (
            Action("acknowledge", "Acknowledge", "https://tocsin.example.org/act/A1", "A1"),
            Action("resolve", "Resolve", "https://tocsin.example.org/act/R1", "R1"),
            Action("open", "Open", "https://tocsin.example.org/tickets/7"),
        ),
    }
    return Message(**{**known, **fields})


def sent(channel: Channel, config: Mapping[str, Any], message: Message, outside: Loopback | None = None) -> Receipt:
    """What came of sending; settings that are wrong fail the test."""
    assert not channel.check(config), channel.check(config)

    async def work() -> Receipt:
        try:
            return await channel.send(config, message, outside or Loopback())
        finally:
            await _settled()  # what a loop that goes on does by itself

    return asyncio.run(work())


async def _settled() -> None:
    """Let the loop end the connections that were given up: TLS says goodbye in both directions."""
    loop: Any = asyncio.get_running_loop()
    deadline = loop.time() + 2
    while len(loop._selector.get_map()) > 1 and loop.time() < deadline:  # one is how the loop is woken
        await asyncio.sleep(0.001)
    await asyncio.sleep(0)


def refused(channel: Channel, config: Mapping[str, Any], message: Message) -> DeliveryFailed:
    """Why it was not taken."""
    try:
        receipt = sent(channel, config, message)
    except DeliveryFailed as failed:
        return failed
    raise AssertionError(f"it was taken: {receipt}")


def slack_signature(secret: str, stamp: str, body: bytes) -> str:
    """What Slack signs a request with."""
    return "v0=" + hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
