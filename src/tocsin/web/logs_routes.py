"""GET /logs and GET /logs/{id}; POST /logs is in `intake`, its description for /docs is here."""

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import Field

from tocsin.logs import service as logs
from tocsin.logs.service import LogQuery
from tocsin.web.schemas import InstantIn, LevelIn, LogOut, LogPageOut, ProblemOut, QueryIn, Word
from tocsin.web.services import Services, services

router = APIRouter(tags=["logs"])
_ENCODER: Final = msgspec.json.Encoder()
RecordId = Annotated[int, Path(ge=1, le=2**53, description="The record's id.")]


class LogQueryIn(QueryIn):
    level: LevelIn | None = Field(None, description="This level and all above it.", examples=["ERROR"])
    service: Word | None = Field(None, description="The exact name of a service.", examples=["payments"])
    since: InstantIn | None = Field(None, description="Event time, included.", examples=["15m", "2026-11-24T02:00:00Z"])
    until: InstantIn | None = Field(None, description="Event time, excluded.", examples=["5m"])
    text: Word | None = Field(None, description="Found anywhere in the message, in any case.", examples=["timed out"])


@router.get("/logs", response_model=LogPageOut, summary="Find records, newest first")
def find_logs(query: Annotated[LogQueryIn, Query()], with_: Annotated[Services, Depends(services)]) -> Response:
    """Records newest first by event time.

    `level` is the least level; `since` (included) and `until` (excluded) are event times: RFC 3339, epoch, or how
    long ago (`15m`); `text` is found anywhere in the message, in any case.
    """
    page = logs.search(with_.database, LogQuery(**query.reckoned(with_.clock.now())))
    return Response(_ENCODER.encode({"items": page.items, "next": page.next}), media_type="application/json")


@router.get("/logs/{id}", response_model=LogOut, summary="One record", responses={404: {"model": ProblemOut}})
def get_log(id: RecordId, with_: Annotated[Services, Depends(services)]) -> Response:  # noqa: A002
    """A record by its id."""
    return Response(_ENCODER.encode(logs.get(with_.database, id)), media_type="application/json")


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
