"""The outermost layer: a request id, the guard, a bound on bodies, and the short way of log intake."""

import itertools
import os
from collections.abc import Iterable
from typing import Any, Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tocsin.kit.errors import TocsinError, TooLarge
from tocsin.kit.requests import REQUEST_ID
from tocsin.web.problems import MEDIA_TYPE, problem, unforeseen

MAX_SMALL_BODY: Final = 1 << 20
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
_ID_HEADER: Final = b"x-request-id"

log = structlog.get_logger("tocsin.web")


class Front:
    """ASGI. `intake` answers POST /logs without passing through the application's layers."""

    def __init__(self, app: ASGIApp, intake: ASGIApp, *, services: "Any") -> None:
        self._app = app
        self._intake = intake
        self._services = services
        self._prefix = os.urandom(4).hex()
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # nothing but HTTP is guarded, and nothing else is served
            await send({"type": "websocket.close", "code": 1008})
            return
        request_id = self._request_id(scope["headers"])
        token = REQUEST_ID.set(request_id)
        scope.setdefault("state", {})["request_id"] = request_id
        sent = _Sent(send, request_id)
        try:
            if scope["path"] not in OPEN_PATHS:
                client = scope.get("client")
                policy = self._services().policy
                scope["state"]["actor"] = policy.admit(client[0] if client else None, scope["headers"])
            short = scope["path"] == "/logs" and scope["method"] == "POST"
            if not short:
                _check_length(scope["headers"])
            await (self._intake if short else self._app)(scope, receive, sent)
        except TocsinError as error:
            await sent.whole(*problem(error))
        except ClientDisconnect:  # nobody is there to hear; nothing was handed on yet
            log.info("sender_left", method=scope["method"], path=scope["path"])
        except Exception:  # the sender hears 500 with an id, the reason stays in our own log
            log.exception("request_failed", method=scope["method"], path=scope["path"])
            await sent.whole(*unforeseen(request_id))
        finally:
            REQUEST_ID.reset(token)

    def _request_id(self, headers: Iterable[tuple[bytes, bytes]]) -> str:
        for name, value in headers:
            if name == _ID_HEADER and 0 < len(value) <= 128 and value.isascii():
                text = value.decode("ascii")
                if text.isprintable():
                    return text
        return f"{self._prefix}-{next(self._numbers):x}"


def _check_length(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Refuse an announced body that is too large; one that comes in parts is counted by the application."""
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and int(value) > MAX_SMALL_BODY:
            raise TooLarge(limit=MAX_SMALL_BODY, when="")


class _Sent:
    """`send`, with the request id on every response."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._id = request_id.encode("ascii")
        self._started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            message["headers"] = [*message.get("headers", ()), (_ID_HEADER, self._id)]
        await self._send(message)

    async def whole(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """A complete answer, unless one has begun."""
        if self._started:
            return
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        pairs += [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
        await self({"type": "http.response.start", "status": status, "headers": pairs})
        await self._send({"type": "http.response.body", "body": body})
