"""Silences over HTTP: look at what one would hide, make, extend, end, find."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import Field

from tocsin.alerts import silence_looking
from tocsin.alerts import silence_service as silences
from tocsin.alerts.silence_checks import warnings_of
from tocsin.alerts.silence_store import Hidden, SilenceRow
from tocsin.alerts.silencing import Span, State
from tocsin.kit.clock import Clock
from tocsin.kit.errors import FieldError, Invalid
from tocsin.storage.tx import ReadTx, Tx
from tocsin.web.alerts_routes import alert_out
from tocsin.web.preconditions import IfMatch, agreed, seen_tags
from tocsin.web.schemas import ProblemOut, QueryIn
from tocsin.web.services import Desk, Services, desk, services
from tocsin.web.silence_schemas import (
    HiddenOut,
    OccurrenceOut,
    SilenceIn,
    SilenceOut,
    SilencePageOut,
    SilencePatchIn,
    SilencePreviewIn,
    SilencePreviewOut,
)

router = APIRouter(tags=["silences"])
Id = Annotated[int, Path(ge=1, le=2**53)]
AtDesk = Annotated[Desk, Depends(desk)]
With = Annotated[Services, Depends(services)]
SHOWN_OCCURRENCES: Final = 5
_MISSING: Final[dict[int | str, dict[str, Any]]] = {404: {"model": ProblemOut}}
_CHANGED: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": ProblemOut},
    409: {"model": ProblemOut, "description": "It is over"},
    412: {"model": ProblemOut, "description": "If-Match names another version"},
}


class SilenceQueryIn(QueryIn):
    state: State | None = Field(None, description="All by default.")


def silence_out(row: SilenceRow, hidden: Hidden, clock: Clock) -> SilenceOut:
    """A silence as the API shows it."""
    silence, now = row.silence, clock.now()
    return SilenceOut(
        id=silence.id,
        version=silence.version,
        applied_as=silence.applied_as,
        state=silence.state_at(now).value,
        matcher=silence.matcher,
        owner=silence.owner,
        reason=silence.reason,
        starts_at=silence.starts_at,
        ends_at=silence.ends_at,
        recurrence=silence.recurrence,
        duration_s=silence.duration_s,
        time_zone=silence.time_zone,
        next_occurrences=[_occurrence_out(one) for one in silence.next_occurrences(now, SHOWN_OCCURRENCES)],
        break_factor=silence.break_factor,
        baseline_per_min=None if silence.baseline_n is None else silence.baseline_n / 60,
        broken_at=silence.broken_at,
        hidden=HiddenOut.model_validate(hidden),
        warnings=warnings_of(silence.matcher),
        created_at=row.created_at,
        created_by=row.created_by,
        updated_at=row.updated_at,
        updated_by=row.updated_by,
    )


def _occurrence_out(span: Span) -> OccurrenceOut:
    return OccurrenceOut(starts_at=span.start, ends_at=span.end)


def _answer(tx: ReadTx, row: SilenceRow, clock: Clock, status: int = 200) -> Response:
    headers = {"etag": f'"{row.silence.version}"'}
    if status == 201:
        headers["location"] = f"/silences/{row.silence.id}"
    shown = silence_out(row, silences.hidden(tx, row.silence.id), clock)
    return Response(shown.model_dump_json(), status, headers, "application/json")


def _agreed(tx: Tx, silence_id: int, seen: frozenset[str] | None) -> int | None:
    return None if seen is None else agreed(silences.get(tx, silence_id).silence.version, seen)


@router.get("/silences", summary="List silences")
def list_silences(query: Annotated[SilenceQueryIn, Query()], with_: With) -> SilencePageOut:
    """Silences and maintenance windows, newest first, with what each has hidden so far."""
    found, cursor = silences.find(with_.database, state=query.state, cursor=query.cursor, limit=query.limit)
    return SilencePageOut(items=[silence_out(row, hidden, with_.clock) for row, hidden in found], next=cursor)


@router.post("/silences", status_code=201, response_model=SilenceOut, summary="Make a silence")
def make_silence(silence: SilenceIn, at: AtDesk) -> Response:
    """Make a silence: while it is active, records it covers open no ticket. It has an owner, a reason and an end.

    With a `recurrence` it is a maintenance window: active for `duration_s` from each occurrence, in its `time_zone`,
    and over at `until`. What is wrong is named field by field. With an `Idempotency-Key` a repeat gets the first
    answer.
    """
    draft, with_ = silence.draft(str(at.actor)), at.services
    baseline_n = None
    if draft.break_factor is not None:
        baseline_n = silence_looking.usual(with_.database, with_.logs, draft.matcher).records
    return at.write(lambda tx: _answer(tx, silences.create(tx, draft, baseline_n=baseline_n), with_.clock, 201))


@router.post("/silences/preview", summary="What a silence would hide")
def preview_silence(silence: SilencePreviewIn, with_: With) -> SilencePreviewOut:
    """What a silence would have hidden in the last hour and day, which open alerts it covers, and when it would be
    active. Nothing is made."""
    found = silence_looking.outlook(with_.database, with_.logs, silence.draft())
    return SilencePreviewOut(
        records_last_hour=found.last_hour.records,
        records_last_day=found.last_day.records,
        partial=found.last_hour.partial or found.last_day.partial,
        alerts=[alert_out(alert) for alert in found.alerts],
        alerts_unseen=found.alerts_unseen,
        next_occurrences=[_occurrence_out(one) for one in found.occurrences],
        warnings=list(found.warnings),
    )


@router.get("/silences/{id}", response_model=SilenceOut, summary="One silence", responses=_MISSING)
def get_silence(id: Id, with_: With) -> Response:  # noqa: A002
    """A silence with what it has hidden so far: records, alerts, alerts that would have been P1."""
    return with_.database.read(lambda tx: _answer(tx, silences.get(tx, id), with_.clock))


@router.patch("/silences/{id}", response_model=SilenceOut, summary="Change a silence", responses=_CHANGED)
def change_silence(id: Id, change: SilencePatchIn, at: AtDesk, if_match: IfMatch = None) -> Response:  # noqa: A002
    """Extend or shorten a silence, or say another reason or owner. What it covers can't be changed: make another."""
    changes = {field: getattr(change, field) for field in sorted(change.model_fields_set)}
    for field, value in changes.items():
        if value is None:
            raise Invalid(f"{field} can't be null", errors=(FieldError(f"/{field}", "can't be null"),))
    seen = seen_tags(if_match)

    def work(tx: Tx) -> Response:
        row = silences.change(tx, id, changes, seen_version=_agreed(tx, id, seen))
        return _answer(tx, row, at.services.clock)

    return at.write(work)


@router.post("/silences/{id}/end", response_model=SilenceOut, summary="End a silence", responses=_CHANGED)
def end_silence(id: Id, at: AtDesk, if_match: IfMatch = None) -> Response:  # noqa: A002
    """End a silence now, also one that has not begun. What it hid and still fires is heard."""
    seen = seen_tags(if_match)

    def work(tx: Tx) -> Response:
        return _answer(tx, silences.end(tx, id, seen_version=_agreed(tx, id, seen)), at.services.clock)

    return at.write(work)
