"""Similar tickets over HTTP."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from tocsin.kit.priorities import Priority
from tocsin.tickets import similar_service
from tocsin.tickets.similar_service import Similar
from tocsin.web.finding_schemas import SimilarOut, SimilarPageOut, SimilarReasonOut
from tocsin.web.schemas import ProblemOut, Reckoned
from tocsin.web.services import Services, services
from tocsin.web.tickets_routes import Id

router = APIRouter(tags=["tickets"])
With = Annotated[Services, Depends(services)]
_MISSING: Final[dict[int | str, dict[str, Any]]] = {404: {"model": ProblemOut}}


class SimilarIn(Reckoned):
    limit: int = Field(10, ge=1, le=100, description="How many at most.")


@router.get("/tickets/{id}/similar", summary="Similar tickets", responses=_MISSING)
def similar_tickets(id: Id, query: Annotated[SimilarIn, Query()], with_: With) -> SimilarPageOut:  # noqa: A002
    """Tickets like this one and how they were resolved, the most similar first, and before all those that are over.

    What counts: the same trouble (fingerprint, or the same template elsewhere), the same rule, the same service, words
    of the title, the more the rarer they are. `reasons` says which of it is common.
    """
    found = with_.database.read(lambda tx: similar_service.similar(tx, id, limit=query.limit))
    return SimilarPageOut(items=[_out(one) for one in found])


def _out(one: Similar) -> SimilarOut:
    same = {name: getattr(one.ticket, name) for name in SimilarOut.model_fields if hasattr(one.ticket, name)}
    reasons = [SimilarReasonOut(kind=why, detail=said) for why, said in one.likeness.reasons.items()]
    return SimilarOut(
        **{
            **same,
            "ticket_id": one.ticket.id,
            "status": one.ticket.status.value,
            "priority": Priority(one.ticket.priority).name,
            "resolved_by": one.resolved_by,
            "score": one.likeness.score,
            "reasons": reasons,
        }
    )
