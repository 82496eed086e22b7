"""GET /logs/{id}/explain and GET /alerts/{id}/explain."""

from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Path, Response

from tocsin.proof import explain
from tocsin.web.explain_schemas import AlertExplainedOut, LogExplainedOut
from tocsin.web.schemas import ProblemOut
from tocsin.web.services import Services, services

router = APIRouter()
Id = Annotated[int, Path(ge=1, le=2**53)]
With = Annotated[Services, Depends(services)]
_ENCODER: Final = msgspec.json.Encoder()


@router.get(
    "/logs/{id}/explain",
    response_model=LogExplainedOut,
    tags=["logs"],
    summary="Why a record led to a ticket, or to none",
    responses={404: {"model": ProblemOut}},
)
def explain_log(id: Id, with_: With) -> Response:  # noqa: A002
    """Every rule there was when the record came in, in the version it had then: whether it matched, or which part of
    its condition did not hold; for those that matched the verdict, the alert and the ticket as they are now.

    The record is matched again by the same code that matched it when it came in; verdicts and events are those recorded
    then. What isn't recorded is said to be unknown.
    """
    return _json(explain.explain_record(with_.database, with_.logs, id))


@router.get(
    "/alerts/{id}/explain",
    response_model=AlertExplainedOut,
    tags=["alerts"],
    summary="How an alert began, where it went and how it ended",
    responses={404: {"model": ProblemOut}},
)
def explain_alert(id: Id, with_: With) -> Response:  # noqa: A002
    """The rule as it was, the first record, what was counted, the ticket and why it was this one, how it ended.

    From a ticket back to its exact first record: each of its alerts has its `first_log_id`, `ticket` that of the first.
    """
    return _json(explain.explain_alert(with_.database, with_.logs, id))


def _json(found: object) -> Response:
    return Response(_ENCODER.encode(found), media_type="application/json")
