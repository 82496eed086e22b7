"""Heartbeats over HTTP: check in, list, show, keep, remove."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import Field

from tocsin.alerts import heartbeat_service as heartbeats
from tocsin.alerts.heartbeat_service import Watched
from tocsin.alerts.heartbeats import DEFAULT_GRACE_S, DEFAULT_INTERVAL_S, Heartbeat
from tocsin.kit.priorities import Priority
from tocsin.logs.intake import Stored
from tocsin.storage.idempotency import Answer
from tocsin.storage.tx import Tx
from tocsin.web.preconditions import IfMatch, agreed, seen_tags
from tocsin.web.rule_schemas import Address, Seconds
from tocsin.web.schemas import In, Line, Out, PriorityIn, ProblemOut, Prose, QueryIn, Reckoned
from tocsin.web.services import Desk, Services, desk, services

router = APIRouter(tags=["heartbeats"])
Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=80)]
AtDesk = Annotated[Desk, Depends(desk)]
With = Annotated[Services, Depends(services)]
_MISSING: Final[dict[int | str, dict[str, Any]]] = {404: {"model": ProblemOut}}
_STALE: Final[dict[int | str, dict[str, Any]]] = {
    412: {"model": ProblemOut, "description": "If-Match names another version"}
}
_TAKEN: Final[dict[int | str, dict[str, Any]]] = {
    409: {"model": ProblemOut, "description": "A rule that is no heartbeat has its name"}
}


class HeartbeatIn(In):
    """What is expected of a job. A field that is absent has its default."""

    interval_s: Seconds = Field(DEFAULT_INTERVAL_S, description="How often it checks in, 60 or more.")
    grace_s: Seconds = Field(DEFAULT_GRACE_S, description="How late it may be before a ticket opens.")
    priority: PriorityIn = Priority.P3
    description: Prose = ""
    runbook_url: Address | None = Field(None, examples=["https://wiki.example.org/backup"])


class CheckInQuery(Reckoned):
    """What a check-in may say; `interval_s` and `grace_s` make the heartbeat with the first one and change nothing
    later."""

    message: Line = Field("checked in", description="Stands in its log record.")
    interval_s: Seconds = Field(DEFAULT_INTERVAL_S, description="When this is the first check-in.")
    grace_s: Seconds = Field(DEFAULT_GRACE_S, description="When this is the first check-in.")


class CheckedInOut(Out):
    """A check-in that is kept, as the log record `log_id`."""

    name: str
    log_id: int
    at: datetime
    next_due_at: datetime


class HeartbeatOut(Out):
    """A heartbeat as it is now. `version` is also its ETag, and that of its rule."""

    name: str = Field(examples=["nightly-backup"])
    status: str = Field(
        description="`waiting` for the first check-in, `up`, `late` (within its grace), `down` (a ticket was opened),"
        " `paused` (its rule is switched off).",
        examples=["up"],
    )
    interval_s: int
    grace_s: int
    priority: str = Field(examples=["P3"])
    description: str
    runbook_url: str | None
    last_check_in_at: datetime | None
    last_log_id: int | None
    next_due_at: datetime | None
    down_at: datetime | None = Field(description="A ticket opens then, unless it checks in before.")
    alert_id: int | None
    ticket_id: int | None
    rule: str = Field(examples=["heartbeat-nightly-backup"])
    version: int
    created_at: datetime
    updated_at: datetime
    updated_by: str


class HeartbeatPageOut(Out):
    items: list[HeartbeatOut]
    next: str | None


def heartbeat_out(found: Watched) -> HeartbeatOut:
    """A heartbeat as the API shows it."""
    heartbeat, pulse, row = found.heartbeat, found.pulse, found.row
    return HeartbeatOut(
        name=heartbeat.name,
        status=pulse.state.value,
        interval_s=heartbeat.interval_s,
        grace_s=heartbeat.grace_s,
        priority=heartbeat.priority.name,
        description=heartbeat.description,
        runbook_url=heartbeat.runbook_url,
        last_check_in_at=pulse.last_at,
        last_log_id=pulse.last_record_id,
        next_due_at=pulse.due_at,
        down_at=pulse.down_at,
        alert_id=found.alert_id,
        ticket_id=found.ticket_id,
        rule=row.rule.name,
        version=row.rule.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        updated_by=row.updated_by,
    )


def _answer(found: Watched, status: int = 200) -> Response:
    headers = {"etag": f'"{found.row.rule.version}"'}
    if status == 201:
        headers["location"] = f"/heartbeats/{found.heartbeat.name}"
    return Response(heartbeat_out(found).model_dump_json(), status, headers, "application/json")


def _agreed(tx: Tx, name: str, seen: frozenset[str] | None) -> int | None:
    return None if seen is None else agreed(heartbeats.get(tx, name).row.rule.version, seen)


@router.get("/heartbeats", summary="List heartbeats")
def list_heartbeats(query: Annotated[QueryIn, Query()], with_: With) -> HeartbeatPageOut:
    """All heartbeats by name, with how they are doing."""
    found, cursor = heartbeats.find(with_.database, cursor=query.cursor, limit=query.limit)
    return HeartbeatPageOut(items=[heartbeat_out(one) for one in found], next=cursor)


@router.get("/heartbeats/{name}", response_model=HeartbeatOut, summary="One heartbeat", responses=_MISSING)
def get_heartbeat(name: Name, with_: With) -> Response:
    """How a heartbeat is doing: its last check-in, when the next is due, the ticket that is open about it."""
    return _answer(with_.database.read(lambda tx: heartbeats.get(tx, name)))


@router.post("/heartbeats/{name}", status_code=201, response_model=CheckedInOut, summary="Check in", responses=_TAKEN)
def check_in(name: Name, query: Annotated[CheckInQuery, Query()], at: AtDesk) -> Response:
    """A job tells that it is alive. The first check-in makes the heartbeat.

    It is stored as a log record (service `name`, source `heartbeat`), so it is found and explained as any other.
    """
    wanted = Heartbeat(name, interval_s=query.interval_s, grace_s=query.grace_s)
    heartbeat = heartbeats.ensure(at.services.database, wanted, actor=at.actor)
    kept = heartbeats.check_in(
        at.services.database,
        at.services.intake,
        name,
        message=query.message,
        actor=at.actor,
        keyed=at.keyed,
        answer=lambda stored: _checked_in(heartbeat, stored),
    )
    return Response(kept.body, kept.status, kept.headers)


def _checked_in(heartbeat: Heartbeat, stored: Stored) -> Answer:
    due_at = stored.observed_at + timedelta(seconds=heartbeat.interval_s)
    body = CheckedInOut(name=heartbeat.name, log_id=stored.first_id or 0, at=stored.observed_at, next_due_at=due_at)
    headers = {"content-type": "application/json", "location": f"/logs/{body.log_id}"}
    return Answer(201, headers, msgspec.json.encode(body.model_dump(mode="json")))


@router.put(
    "/heartbeats/{name}",
    response_model=HeartbeatOut,
    summary="Make or replace a heartbeat",
    responses={201: {"model": HeartbeatOut, "description": "It is new"}, **_MISSING, **_TAKEN, **_STALE},
)
def put_heartbeat(name: Name, heartbeat: HeartbeatIn, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Say what is expected of a job: what is left out has its default. It is watched from now on.

    It is the rule `heartbeat-NAME`, of kind `absence`: there it can be switched off, or tried in a dry run.
    """
    seen = seen_tags(if_match)
    wanted = Heartbeat(
        name=name,
        interval_s=heartbeat.interval_s,
        grace_s=heartbeat.grace_s,
        priority=heartbeat.priority,
        description=heartbeat.description,
        runbook_url=heartbeat.runbook_url,
    )

    def work(tx: Tx) -> Response:
        found, is_new = heartbeats.save(tx, wanted, seen_version=_agreed(tx, name, seen))
        return _answer(found, 201 if is_new else 200)

    return at.write(work)


@router.delete(
    "/heartbeats/{name}", response_model=HeartbeatOut, summary="Remove a heartbeat", responses={**_MISSING, **_STALE}
)
def remove_heartbeat(name: Name, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Watch a job no longer, and answer with how it was doing. Its check-ins, alerts and tickets stay."""
    seen = seen_tags(if_match)
    return at.write(lambda tx: _answer(heartbeats.remove(tx, name, seen_version=_agreed(tx, name, seen))))
