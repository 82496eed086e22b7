"""The outermost layer: a request id, the guard, a bound on bodies, and the short way of log intake."""

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import parse_qsl

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tocsin.access.policy import AccessPolicy
from tocsin.kit.errors import FieldError, Invalid, TocsinError, TooLarge, UnsupportedMedia
from tocsin.kit.requests import REQUEST_ID
from tocsin.web import docs_page
from tocsin.web.problems import MEDIA_TYPE, problem, unforeseen

MAX_SMALL_BODY: Final = 1 << 20
MAX_FILE_BODY: Final = 10 << 20
FILE_PATH: Final = "/apply"
_SECRET_PATH: Final = re.compile(r"/schedules/[^/]+/calendar\.ics")  # whoever has the secret in its query may come
LINKS: Final = "/act/"  # the token behind it is the credential
SLACK: Final = "/slack/actions"  # signed by Slack
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz", SLACK})
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
        path, shown = scope["path"], _shown(scope["path"])
        try:
            policy = self._services().policy
            if not _is_open(path, policy):
                client = scope.get("client")
                scope["state"]["actor"] = policy.admit(client[0] if client else None, scope["headers"])
            short = path == "/logs" and scope["method"] == "POST"
            if not short:
                _check_query(scope["query_string"])
                most = MAX_FILE_BODY if path == FILE_PATH else MAX_SMALL_BODY
                _check_body(scope["method"], scope["headers"], most, form=path == SLACK or path.startswith(LINKS))
            await (self._intake if short else self._app)(scope, receive, sent)
        except TocsinError as error:
            await sent.whole(*problem(error))
        except ClientDisconnect:  # nobody is there to hear; nothing was handed on yet
            log.info("sender_left", method=scope["method"], path=shown)
        except Exception:  # the sender hears 500 with an id, the reason stays in our own log
            log.exception("request_failed", method=scope["method"], path=shown)
            await sent.whole(*unforeseen(request_id))
        finally:
            if sent.status >= 400:
                tell = log.info if sent.status < 500 else log.error
                tell("request_refused", method=scope["method"], path=shown, status=sent.status)
            REQUEST_ID.reset(token)

    def _request_id(self, headers: Iterable[tuple[bytes, bytes]]) -> str:
        for name, value in headers:
            if name == _ID_HEADER and 0 < len(value) <= 128 and value.isascii():
                text = value.decode("ascii")
                if text.isprintable():
                    return text
        return f"{self._prefix}-{next(self._numbers):x}"


def _shown(path: str) -> str:
    """A path as our own log has it: without the secret that a link is."""
    return f"{LINKS}..." if path.startswith(LINKS) else path


def _is_open(path: str, policy: AccessPolicy) -> bool:
    """Health for whoever watches; with a key, the API's page too: without it a browser could not send the key."""
    if path in OPEN_PATHS or path.startswith(LINKS) or _SECRET_PATH.fullmatch(path):
        return True
    return policy.admin_key is not None and (path in docs_page.OPEN_PATHS or path.startswith(docs_page.STATIC + "/"))


def _check_query(query: bytes) -> None:
    """A parameter that is given twice would count once, without a word."""
    if b"&" not in query:
        return
    names = Counter(name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        detail = "is given twice; give it once, several values with commas where they are taken"
        raise Invalid(f"{twice[0]} {detail}", errors=tuple(FieldError(name, detail) for name in twice))


def _check_body(method: str, headers: Iterable[tuple[bytes, bytes]], most: int, *, form: bool) -> None:
    """Refuse a body that isn't announced as JSON (or as a form, where one is taken), or is too large; one that comes in
    parts is counted later on."""
    media, length = b"", 0
    for name, value in headers:
        if name == b"content-type":
            media = value.partition(b";")[0].strip().lower()
        elif name == b"content-length" and value.isdigit():
            length = int(value)
    if length > most:
        raise TooLarge(limit=most, when="")
    wanted = b"application/x-www-form-urlencoded" if form else b"application/json"
    if method in {"POST", "PATCH", "PUT"} and length and media != wanted:
        given = media.decode("latin-1") or "none"
        if form:
            raise UnsupportedMedia(detail=f"Content-Type is {given}; send a form: {wanted.decode()}.")
        raise UnsupportedMedia(detail=f"Content-Type is {given}; send JSON with Content-Type: application/json.")


class _Sent:
    """`send`, with the request id on every response."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._id = request_id.encode("ascii")
        self._started = False
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            self.status = message["status"]
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
