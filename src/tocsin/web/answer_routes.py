"""Answering a page over the API: acknowledge, whatever happened meanwhile."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from tocsin.notify import answering
from tocsin.notify.links import Verb
from tocsin.storage.tx import Tx
from tocsin.web.schemas import In, Name, ProblemOut, TicketOut
from tocsin.web.services import Desk, desk
from tocsin.web.tickets_routes import Id, ticket_answer

router = APIRouter(tags=["tickets"])
AtDesk = Annotated[Desk, Depends(desk)]
_MISSING: Final[dict[int | str, dict[str, Any]]] = {404: {"model": ProblemOut}}


class AcknowledgeIn(In):
    """Who answers, and which way."""

    person: Name | None = Field(None, description="Who takes it up; without it, whoever asks.", examples=["ana"])
    way: Literal["api", "cli"] = "api"


@router.post("/tickets/{id}/acknowledge", response_model=TicketOut, summary="Acknowledge a ticket", responses=_MISSING)
def acknowledge(id: Id, answer: AcknowledgeIn, at: AtDesk) -> Response:  # noqa: A002
    """Take an OPEN ticket up: it goes to IN_PROGRESS with that person on it, and its timeline says who answered and
    which way. One that somebody has, or that is over, stays as it is and is shown: asking again does no harm."""

    def work(tx: Tx) -> Response:
        who = answer.person or tx.actor.name
        ticket, _ = answering.answer(tx, id, Verb.ACKNOWLEDGE, person=who, way=answer.way)
        return ticket_answer(tx, ticket)

    return at.write(work)
