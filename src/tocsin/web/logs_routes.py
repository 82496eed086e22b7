"""Reading logs over HTTP; POST /logs is in `intake`, its description for /docs is here."""

import asyncio
from functools import partial
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from tocsin.logs.service import LogQuery
from tocsin.web.log_schemas import (
    ContextIn,
    ContextOut,
    ExportIn,
    FieldsOut,
    HistogramIn,
    HistogramOut,
    LogFilterIn,
    LogPageIn,
    LogPageOut,
    StatsOut,
    StreamIn,
    TopIn,
    TopOut,
)
from tocsin.web.schemas import LogOut, ProblemOut
from tocsin.web.searching import searched
from tocsin.web.services import Services, services
from tocsin.web.streams import EventStream, TailResponse, exported

router = APIRouter(tags=["logs"])
_ENCODER: Final = msgspec.json.Encoder()
RecordId = Annotated[int, Path(ge=1, le=2**53, description="The record's id.")]
With = Annotated[Services, Depends(services)]
LastEventId = Annotated[str | None, Header(description="The `id` of the last event that was received.")]


@router.get("/logs", response_model=LogPageOut, summary="Find records, newest first")
async def find_logs(request: Request, query: Annotated[LogPageIn, Query()], with_: With) -> Response:
    """Records newest first by event time.

    `q` is in the filter language (`service:payments level:>=ERROR "timed out" -@region:eu-*`). `level` is the least
    level; `since` (included) and `until` (excluded) are event times: RFC 3339, epoch, or how long ago (`15m`); `text`
    is found anywhere in the message, in any case. A search that takes too long answers with what it has found, says
    `partial`, and `next` goes on where it ended.
    """
    budget, wanted = with_.logs.budget(), LogQuery(**query.reckoned(with_.clock.now()))
    return _json(await searched(request, budget, lambda: with_.logs.search(wanted, budget=budget)))


@router.get("/logs/histogram", response_model=HistogramOut, summary="Count records over time")
async def count_logs(request: Request, query: Annotated[HistogramIn, Query()], with_: With) -> Response:
    """How many records match in each interval of event time, in all and by `level`, `service` or both.

    Intervals begin at whole multiples since 1970 in UTC; in the first and the last, too, only records from `since` on
    and before `until` are counted. Without `interval` one is chosen that gives about 60 buckets. An `until` that is not
    after `since` is a time without buckets.
    """
    given = query.reckoned(with_.clock.now())
    del given["interval"]  # a width, not an instant
    by = given.pop("by")
    budget, wanted = with_.logs.budget(), LogQuery(**given)
    look = partial(with_.logs.histogram, wanted, interval=query.interval, by=by, budget=budget)
    return _json(await searched(request, budget, look))


@router.get("/logs/top", response_model=TopOut, summary="The most frequent values of a field")
async def top_values(request: Request, query: Annotated[TopIn, Query()], with_: With) -> Response:
    """The most frequent values of a field among the matching records, with how many have them."""
    given = query.reckoned(with_.clock.now())
    field_name = given.pop("field")
    budget, wanted = with_.logs.budget(), LogQuery(**given)
    found = await searched(request, budget, lambda: with_.logs.top(wanted, field_name=field_name, budget=budget))
    values = [{"value": value, "count": count} for value, count in found.values]
    told = {name: getattr(found, name) for name in TopOut.model_fields if name != "values"}
    return _json({**told, "values": values})


@router.get("/logs/fields", response_model=FieldsOut, summary="Which fields records have")
async def list_fields(request: Request, query: Annotated[LogFilterIn, Query()], with_: With) -> Response:
    """Fields and attributes of the newest matching records, with their types and values they had."""
    budget, wanted = with_.logs.budget(), LogQuery(**query.reckoned(with_.clock.now()))
    return _json(await searched(request, budget, lambda: with_.logs.fields(wanted, budget=budget)))


@router.get("/logs/stats", response_model=StatsOut, summary="How much is stored")
def stats(with_: With) -> Response:
    """Records and bytes, hot and in segments, how well they are packed, and segments that are damaged."""
    found = with_.logs.stats()
    damaged = [
        {"key": s.key, "records": s.records, "damage": s.damage, "damaged_at": s.damaged_at} for s in found.damaged
    ]
    return _json({**{name: getattr(found, name) for name in StatsOut.model_fields}, "damaged": damaged})


@router.get(
    "/logs/context/{id}",
    response_model=ContextOut,
    summary="The records around one",
    responses={404: {"model": ProblemOut}},
)
async def context(
    request: Request,
    id: RecordId,  # noqa: A002
    query: Annotated[ContextIn, Query()],
    with_: With,
) -> Response:
    """A record and its neighbours of the same service by event time, all newest first.

    `scanned.damaged` counts segments that may hold more of them, between the first and the last of those in the answer.
    """
    given = query.reckoned(with_.clock.now())
    before, after = given.pop("before"), given.pop("after")
    budget, wanted = with_.logs.budget(), LogQuery(**given)
    look = partial(with_.logs.context, id, before=before, after=after, query=wanted, budget=budget)
    return _json(await searched(request, budget, look))


@router.get(
    "/logs/export",
    summary="All matching records, as a file",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {}, "text/csv": {}}}},
)
def export(request: Request, query: Annotated[ExportIn, Query()], with_: With) -> StreamingResponse:
    """All matching records of any number, newest first, as JSON lines or CSV.

    The export runs as fast as it is taken, and holds nothing meanwhile. An export that breaks off is cut in the middle
    of the transfer: a complete one ends as HTTP says it does. The header `Tocsin-Damaged-Segments` says how many files
    are known to be damaged when it begins, whose records it lacks.

    JSON lines are exact. In CSV a text that begins with `=`, `+`, `-`, `@`, a tab or the end of a line, and is
    no number, has an apostrophe (`'`) before it: a spreadsheet would run what a sender of logs made up. A text that has
    apostrophes before such a character gets one more, so taking one off gives the text back.
    """
    given = query.reckoned(with_.clock.now())
    form, limit = given.pop("format"), given.pop("limit")
    wanted = LogQuery(**given)
    sought = with_.logs.sought(wanted)  # what is wrong with it is said before anything is sent
    media = "text/csv; charset=utf-8" if form == "csv" else "application/x-ndjson"
    name = f"logs-{with_.clock.now():%Y%m%dT%H%M%SZ}.{form}"
    return StreamingResponse(
        exported(request, with_.logs, wanted, form=form, limit=limit),
        media_type=media,
        headers={
            "content-disposition": f'attachment; filename="{name}"',
            "tocsin-damaged-segments": str(with_.logs.parts.damaged(sought)),
        },
    )


@router.get(
    "/logs/stream",
    summary="Live tail",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def stream(query: Annotated[StreamIn, Query()], with_: With, last_event_id: LastEventId = None) -> TailResponse:
    """Matching records as they are committed, as server-sent events.

    Event `log` has a record as its data. A reader that is too slow (2,000 lines or 4 MiB wait for it) loses the oldest
    of them; nothing else waits for it. Event `missed` says how many lines were left out before those that follow:
    `{"missed": 17, "exact": true}`. Without `exact` they were not held against the filter, so it is at most that many;
    `null` when it is not known.

    Every event's `id` is a place in the order of commits. A client that comes back within 5 minutes with its last one
    as `Last-Event-ID`, as browsers do by themselves, gets what it missed, without doubles; beyond 262,144 records, or
    after a longer time, it is told of the gap by `missed`. Event `error` comes before the end when the filter fails or
    takes too long (`{"detail": "..."}`): the same one will not do better.
    """
    sought = with_.logs.sought(LogQuery(**query.reckoned(with_.clock.now())))
    loop = asyncio.get_running_loop()
    return TailResponse(await run_in_threadpool(EventStream.opened, with_.tail, sought, loop, last_seen=last_event_id))


@router.get("/logs/{id}", response_model=LogOut, summary="One record", responses={404: {"model": ProblemOut}})
def get_log(id: RecordId, with_: With) -> Response:  # noqa: A002
    """A record by its id. When it may be in a segment that is damaged, the problem is `unreadable`, not `not-found`."""
    return _json(with_.logs.get(id))


def _json(found: object) -> Response:
    return Response(_ENCODER.encode(found), media_type="application/json")


_EXAMPLE: Final = {
    "timestamp": "2026-11-24T02:21:00.123Z",
    "level": "CRITICAL",
    "service": "payments",
    "message": "database connection lost after 3 attempts",
    "attributes": {"region": "eu-west-1"},
}
_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemOut"}}}

INTAKE_OPERATION: Final[dict[str, Any]] = {
    "tags": ["logs"],
    "summary": "Take log records in",
    "operationId": "post_logs",
    "description": (
        "One JSON object, an array of them, or JSON lines (`application/x-ndjson`); also with `Content-Encoding: gzip`,"
        " `deflate` or `zstd`. The answer comes after one transaction has stored the records and the alerts and tickets"
        " that follow from them.\n\nOnly `message` is required. `level` takes names in any case and common aliases,"
        " syslog severities and OpenTelemetry numbers; `timestamp` RFC 3339 with any offset or epoch numbers in s, ms,"
        " us or ns. `msg`, `@timestamp`, `severity`, `logger`, `app` and their like are understood as the fields they"
        " mean; every other top-level field becomes an attribute.\n\nInvalid records are named and left out, the rest"
        " is kept; only a body without any valid record is answered 422."
    ),
    "parameters": [
        {
            "name": "backfill",
            "in": "query",
            "schema": {"type": "boolean", "default": False},
            "description": "Keep the records searchable, raise no alerts for them.",
        },
        {
            "name": "Idempotency-Key",
            "in": "header",
            "schema": {"type": "string", "maxLength": 255},
            "description": "A repeat within 24 h with the same key and body gets the first answer; nothing is doubled.",
        },
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]},
                "examples": {
                    "one": {"summary": "One record", "value": _EXAMPLE},
                    "many": {"summary": "Several records", "value": [_EXAMPLE, {"level": "info", "msg": "back again"}]},
                },
            },
            "application/x-ndjson": {
                "schema": {"type": "string"},
                "example": '{"level":"INFO","message":"started"}\n{"level":"ERROR","message":"no route to host"}\n',
            },
        },
    },
    "responses": {
        "200": {
            "description": "Many: what became of them",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/IngestedOut"}}},
        },
        "201": {
            "description": "One: the stored record",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/LogOut"}}},
        },
        "400": {"description": "The body can't be read", "content": _PROBLEM},
        "413": {"description": "The body is over 64 MiB, before or after decompression", "content": _PROBLEM},
        "415": {"description": "Content-Type or Content-Encoding is not understood", "content": _PROBLEM},
        "422": {
            "description": "No record is valid, or the Idempotency-Key belongs to another body",
            "content": _PROBLEM,
        },
        "503": {"description": "Not stored: send it again after `Retry-After` seconds", "content": _PROBLEM},
    },
}
