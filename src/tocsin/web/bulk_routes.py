"""The same done to many tickets over HTTP: each outcome is told."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from tocsin.kit.errors import FieldError, Invalid, TocsinError
from tocsin.query.parse import parse
from tocsin.storage.tx import Tx
from tocsin.tickets import bulk_service
from tocsin.tickets import service as tickets
from tocsin.tickets.bulk_service import MAX_TICKETS, Doing
from tocsin.tickets.fields import TICKETS
from tocsin.tickets.service import Resolution
from tocsin.web.problems import problem
from tocsin.web.schemas import In, Name, Out, PriorityIn, ProblemOut, QueryText, Reason, Word
from tocsin.web.services import Desk, desk
from tocsin.web.tickets_routes import status_of

router = APIRouter(tags=["tickets"])
AtDesk = Annotated[Desk, Depends(desk)]
_WHICH: Final = {"ids", "q", "taken_up_by"}
_Id = Annotated[int, Field(ge=1, le=2**53)]


class BulkIn(In):
    """Which tickets, by `ids` or `q`, and what to do to each: one thing or several."""

    ids: list[_Id] | None = Field(None, min_length=1, max_length=MAX_TICKETS, examples=[[3, 4]])
    q: QueryText | None = Field(None, description=f"In the filter language; it may find {MAX_TICKETS} at most.")
    status: str | None = Field(None, description="IN_PROGRESS, RESOLVED or CLOSED.", examples=["IN_PROGRESS"])
    resolution_code: Name | None = None
    resolution_note: Reason | None = None
    assignee: Name | None = Field(None, description="`null` takes the assignee away.")
    team: Name | None = None
    priority: PriorityIn | None = None
    add_tags: list[Word] = Field(default_factory=list, max_length=50)
    remove_tags: list[Word] = Field(default_factory=list, max_length=50)
    comment: Reason | None = None
    taken_up_by: Name | None = Field(
        None,
        description="With RESOLVED: who takes up what is still OPEN and nobody's; without it that is refused (409).",
        examples=["ana"],
    )

    def doing(self) -> Doing:
        """What is to be done. Raises Invalid for nothing, or for neither or both of `ids` and `q`."""
        if (self.ids is None) == (self.q is None):
            detail = "expected ids or q, one of the two"
            raise Invalid(detail, errors=(FieldError("/ids", detail),))
        if not self.model_fields_set - _WHICH:
            detail = "there is nothing to do; expected status, assignee, team, priority, add_tags, remove_tags, comment"
            raise Invalid(detail, errors=(FieldError("", detail),))
        return Doing(
            edits={name: getattr(self, name) for name in {"assignee", "team"} & self.model_fields_set},
            status=None if self.status is None else status_of(self.status, "/status"),
            resolution=Resolution(self.resolution_code, self.resolution_note),
            priority=self.priority,
            add_tags=self.add_tags,
            remove_tags=self.remove_tags,
            comment=self.comment,
            taken_up_by=self.taken_up_by,
        )


class BulkOutcomeOut(Out):
    """What became of one ticket."""

    id: int
    done: bool
    version: int | None = Field(description="Of the ticket, if it was done.")
    problem: ProblemOut | None = Field(description="Why it was refused.")


class BulkOut(Out):
    """What became of each ticket, in the order they were named in."""

    done: int
    refused: int
    items: list[BulkOutcomeOut]


@router.post("/tickets/bulk", response_model=BulkOut, summary="Do the same to many tickets")
def change_many(bulk: BulkIn, at: AtDesk) -> Response:
    """Move, assign, prioritise, tag or comment on up to 1,000 tickets.

    Each ticket is a transaction of its own: all that is to be done to it, or nothing, whatever becomes of the others.
    With an `Idempotency-Key` a repeat does not do again what was done to a ticket, and tries again what was refused.
    """
    doing = bulk.doing()
    database, now = at.services.database, at.services.clock.now()
    if bulk.ids is None:
        ids: Sequence[int] = bulk_service.found_by(database, parse(bulk.q or "", TICKETS, now=now))
    else:
        ids = list(dict.fromkeys(bulk.ids))
    items = [_outcome(at, ticket_id, doing) for ticket_id in ids]
    done = sum(item["done"] for item in items)
    body = {"done": done, "refused": len(items) - done, "items": items}
    return Response(json.dumps(body), media_type="application/json")


def _outcome(at: Desk, ticket_id: int, doing: Doing) -> dict[str, Any]:
    keyed = at.keyed and replace(at.keyed, request_hash=f"{at.keyed.request_hash}:{ticket_id}", key=_key(at, ticket_id))

    def work(tx: Tx) -> Response:
        bulk_service.do(tx, ticket_id, doing)
        tx.settle()
        version = tickets.get(tx, ticket_id).version
        outcome = {"id": ticket_id, "done": True, "version": version, "problem": None}
        return Response(json.dumps(outcome), media_type="application/json")

    try:
        answer = replace(at, keyed=keyed).write(work)
    except TocsinError as error:
        document = json.loads(problem(error)[2])
        return {"id": ticket_id, "done": False, "version": None, "problem": document}
    found: dict[str, Any] = json.loads(bytes(answer.body))
    return found


def _key(at: Desk, ticket_id: int) -> str:
    return "" if at.keyed is None else f"{at.keyed.key}\n{ticket_id}"
