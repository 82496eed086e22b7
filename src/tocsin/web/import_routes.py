"""Tickets from elsewhere over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import ValidationError

from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import import_service
from tocsin.tickets.import_service import Imported
from tocsin.tickets.importing import Foreign
from tocsin.web.import_schemas import ImportedTicketIn, ImportIn, ImportOut, RejectedTicketOut
from tocsin.web.services import Desk, desk

router = APIRouter(tags=["tickets"])
AtDesk = Annotated[Desk, Depends(desk)]


@router.post("/tickets/import", response_model=ImportOut, summary="Import tickets with their history")
def import_tickets(given: ImportIn, at: AtDesk) -> Response:
    """Take in tickets that were opened elsewhere, at most 100 at once, with their own times and history.

    Each is taken in once: what names the same `source` and `external_id` later is `known` and changes nothing. One that
    can't be taken in is `rejected`, with its line; the others are. Nobody is paged for them, and no SLA clock starts.
    """
    read, rejected = _read(given.tickets)

    def work(tx: Tx) -> Response:
        outcome = import_service.take_in(tx, given.source, list(read.values()))
        return _answer(outcome, read, rejected)

    def look(tx: ReadTx) -> Response:
        outcome, plans = import_service.planned(tx, given.source, list(read.values()))
        outcome.created = dict.fromkeys(plans, 0)
        return _answer(outcome, read, rejected)

    return at.services.database.read(look) if given.dry_run else at.write(work)


def _read(tickets: list[dict[str, Any]]) -> tuple[dict[int, Foreign], list[RejectedTicketOut]]:
    read: dict[int, Foreign] = {}
    rejected: list[RejectedTicketOut] = []
    for index, one in enumerate(tickets):
        try:
            read[index] = ImportedTicketIn.model_validate(one).foreign()
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = "/".join(str(part) for part in first["loc"])
            rejected.append(_rejected(index, one, place, str(first["msg"]).removeprefix("Value error, ")))
    return read, rejected


def _rejected(index: int, one: dict[str, Any], field: str, detail: str) -> RejectedTicketOut:
    name, line = one.get("external_id"), one.get("line")
    return RejectedTicketOut(
        index=index,
        external_id=name[:256] if isinstance(name, str) else None,
        line=line if isinstance(line, int) else None,
        field=field,
        detail=detail,
    )


def _answer(outcome: Imported, read: dict[int, Foreign], rejected: list[RejectedTicketOut]) -> Response:
    places = list(read)
    for place, error in outcome.rejected.items():
        [wrong] = error.errors
        foreign = read[places[place]]
        named = {"external_id": foreign.external_id, "line": foreign.line}
        rejected.append(_rejected(places[place], named, wrong.pointer, wrong.detail))
    here = outcome.created | outcome.known
    out = ImportOut(
        created=len(outcome.created),
        known=len(outcome.known),
        rejected=sorted(rejected, key=lambda one: one.index),
        ticket_ids={read[places[place]].external_id: ticket_id for place, ticket_id in here.items() if ticket_id},
    )
    return Response(out.model_dump_json(), 200, media_type="application/json")
