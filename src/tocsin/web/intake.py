"""POST /logs, as plain ASGI: read, decode, wait for the commit, answer."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Receive, Scope, Send

from tocsin.kit.actors import Actor
from tocsin.kit.errors import FieldError, Invalid, UnsupportedMedia
from tocsin.logs.chunks import record_at
from tocsin.logs.decode import SLICE_BYTES, Batch, decode
from tocsin.logs.intake import Outcome, Stored, Submission
from tocsin.storage.idempotency import Answer, KeyedRequest, keyed_request
from tocsin.web.bodies import decompressed, read_body
from tocsin.web.problems import MEDIA_TYPE, problem
from tocsin.web.services import Services

LINES: Final = frozenset({
    b"application/x-ndjson", b"application/ndjson", b"application/jsonl", b"application/x-jsonlines",
    b"application/json-lines", b"application/json-seq", b"application/stream+json",
})  # fmt: skip
JSON: Final = frozenset({b"application/json", b""})
_ENCODER: Final = msgspec.json.Encoder()
_JSON_HEADERS: Final = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class _Request:
    """What the headers and the query say."""

    lines: bool
    encoding: bytes
    content_length: int | None
    idempotency_key: str | None
    backfill: bool


class IntakeEndpoint:
    """ASGI application for POST /logs. `services` is asked at each request: it exists once the server has started."""

    def __init__(self, services: Callable[[], Services]) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._answer(scope, receive)
        headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        services = self._services()
        actor: Actor = scope["state"]["actor"]
        request = _read_head(scope)
        sent = await read_body(receive, content_length=request.content_length)
        body = sent if not request.encoding else await decompressed(sent, request.encoding)
        arrived = services.clock.now()
        batch = await _decoded(body, lines=request.lines, arrived=arrived)
        if batch.rejected and not len(batch.columns):
            services.metrics.rejected.inc(batch.rejected)
            return _all_invalid(batch)
        keyed = None
        if request.idempotency_key is not None:
            query = scope["query_string"]
            keyed = keyed_request(actor.credential, request.idempotency_key, b"POST", b"/logs", query, sent)
        return await _stored(services, batch, actor, keyed, backfill=request.backfill, size=len(body))


def _read_head(scope: Scope) -> _Request:
    media = encoding = b""
    length: int | None = None
    key: str | None = None
    for name, value in scope["headers"]:
        if name == b"content-type":
            media = value.partition(b";")[0].strip().lower()
        elif name == b"content-encoding":
            encoding = value
        elif name == b"content-length" and value.isdigit():
            length = int(value)
        elif name == b"idempotency-key":
            key = value.decode("latin-1")
    if media not in LINES and media not in JSON:
        raise UnsupportedMedia(
            detail=f"Content-Type {media.decode('latin-1')!r} is not understood here; send application/json (an object "
            "or an array) or application/x-ndjson (JSON lines)."
        )
    query = scope["query_string"]
    return _Request(media in LINES, encoding, length, key, _backfill(query) if query else False)


def _backfill(query: bytes) -> bool:
    values = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    backfill = False
    for name, value in values:
        if name != "backfill" or value.lower() not in {"true", "false", "1", "0"}:
            detail = "expected true or false" if name == "backfill" else "is not a parameter of POST /logs"
            raise Invalid(f"{name}: {detail}", errors=(FieldError(name, detail),))
        backfill = value.lower() in {"true", "1"}
    return backfill


async def _decoded(body: bytes, *, lines: bool, arrived: datetime) -> Batch:
    """The records of a body; a large one is decoded off the event loop."""
    if len(body) <= SLICE_BYTES:
        return decode(body, lines=lines, arrived=arrived)
    return await asyncio.to_thread(decode, body, lines=lines, arrived=arrived)


def _all_invalid(batch: Batch) -> Answer:
    """Nothing of the body could be kept: a problem document that names what was wrong."""
    first = batch.rejections[0]
    text = f"{first.field}: {first.detail}" if first.field else first.detail
    errors = tuple(
        FieldError(("" if batch.single else f"/{r.index}") + _pointer(r.path), r.detail) for r in batch.rejections
    )
    what = text if batch.single else f"none of the {batch.rejected} records is; the first: {text}"
    status, headers, body = problem(Invalid(what, errors=errors))
    if not batch.single:
        content = msgspec.json.decode(body)
        content |= {"accepted": 0, "rejected": batch.rejected}
        body = _ENCODER.encode(content)
    return Answer(status, {**headers, "content-type": MEDIA_TYPE}, body)


def _pointer(path: tuple[str, ...]) -> str:
    """The path as a JSON pointer (RFC 6901 3)."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in path)


async def _stored(
    services: Services, batch: Batch, actor: Actor, keyed: KeyedRequest | None, *, backfill: bool, size: int
) -> Answer:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Outcome] = loop.create_future()

    def set_outcome(outcome: Outcome) -> None:
        if not done.done():
            done.set_result(outcome)

    def tell(stored: Stored) -> Answer:
        return _report(batch, stored, backfill=backfill)

    services.intake.submit(
        Submission(
            columns=batch.columns,
            rejected=batch.rejected,
            backfill=backfill,
            size_bytes=size,
            actor=actor,
            resolve=set_outcome,
            via=loop.call_soon_threadsafe,
            keyed=keyed,
            answer=tell,
        )
    )
    outcome = await done
    if isinstance(outcome, Exception):
        raise outcome
    if isinstance(outcome, Answer):
        return Answer(outcome.status, {**outcome.headers, "idempotency-replayed": "true"}, outcome.body)
    return tell(outcome)


def _report(batch: Batch, stored: Stored, *, backfill: bool) -> Answer:
    if batch.single and stored.first_id is not None:
        record = record_at(
            batch.columns, 0, first_id=stored.first_id, observed_at=stored.observed_at, backfill=backfill
        )
        return Answer(201, {**_JSON_HEADERS, "location": f"/logs/{record.id}"}, _ENCODER.encode(record))
    content: dict[str, Any] = {
        "accepted": len(batch.columns),
        "rejected": batch.rejected,
        "errors": [{"index": r.index, "field": r.field, "detail": r.detail} for r in batch.rejections],
        "first_id": stored.first_id,
        "last_id": stored.last_id,
    }
    return Answer(200, _JSON_HEADERS, _ENCODER.encode(content))
