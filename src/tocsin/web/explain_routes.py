"""Looking back over HTTP: GET /logs/{id}/explain, GET /alerts/{id}/explain, GET /tickets/{id}/explain, GET /ledger."""

from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from tocsin.kit.errors import Unavailable
from tocsin.logs.segmentfiles import Vanished
from tocsin.proof import explain, ledger, ticket_explain
from tocsin.web.explain_schemas import AlertExplainedOut, LedgerIn, LedgerOut, LogExplainedOut, TicketExplainedOut
from tocsin.web.schemas import ProblemOut
from tocsin.web.searching import searched
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


@router.get(
    "/tickets/{id}/explain",
    response_model=TicketExplainedOut,
    tags=["tickets"],
    summary="Why a ticket opened, and the exact record it began with",
    responses={404: {"model": ProblemOut}},
)
def explain_ticket(id: Id, with_: With) -> Response:  # noqa: A002
    """The alert that opened it, that one's first record, and of a rule that counts within a window also the record that
    began it; how each of its alerts came to it; what happened to it.

    Merges and storms don't change what it began with.
    """
    return _json(ticket_explain.explain_ticket(with_.database, with_.logs, id))


@router.get("/ledger", response_model=LedgerOut, tags=["logs"], summary="Whether the books balance")
async def get_ledger(request: Request, query: Annotated[LedgerIn, Query()], with_: With) -> Response:
    """Matches the stored records of a span again, with the rule versions recorded then, and compares with the verdicts.

    For each commit, accepted = stored, and of each rule version there are as many matches as verdicts; a gap names the
    ids of the records it is about. Records that arrived in [`since`, `until`), as far as there is time to go through
    them (as for a search): when the answer is `partial`, ask again with `reached` as `since`. Hours that were sealed
    before retention removed their logs are told from the sealed books, each as a whole.
    """
    since, until = query.span(with_.clock.now())
    budget = with_.logs.budget()
    try:
        found = await searched(
            request, budget, lambda: ledger.verify(with_.database, with_.logs, since, until, budget=budget)
        )
    except Vanished as error:
        raise Unavailable(detail="The stored logs were reorganised faster than they could be read.") from error
    return _json(found)


def _json(found: object) -> Response:
    return Response(_ENCODER.encode(found), media_type="application/json")
