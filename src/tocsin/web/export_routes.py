"""Tickets as they leave: with everything that belongs to them, a page at a time."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from tocsin.kit.priorities import Priority
from tocsin.tickets import export_service
from tocsin.tickets.export_service import Whole
from tocsin.web.collaboration_schemas import CommentOut
from tocsin.web.schemas import EventOut, OnHoldOut, Out, ProblemOut, SlaOut
from tocsin.web.services import Desk, desk
from tocsin.web.sla_schemas import sla_out
from tocsin.web.tickets_routes import TicketFilterIn, query_of, view_of

router = APIRouter(tags=["tickets"])
AtDesk = Annotated[Desk, Depends(desk)]


class ExportedLinkOut(Out):
    kind: str
    ticket_id: int
    linked_at: datetime
    linked_by: str


class ExportedTicketOut(Out):
    """A ticket with everything that is known of it: `tocsin import-tickets --format tocsin` takes it."""

    id: int
    title: str
    description: str
    status: str
    priority: str
    impact: int | None
    urgency: int | None
    service: str | None
    team: str | None
    assignee: str | None
    tags: list[str]
    opened_by: str
    opened_at: datetime
    updated_at: datetime
    acknowledge_from: datetime
    acknowledged_at: datetime | None
    resolved_at: datetime | None
    closed_at: datetime | None
    resolution_code: str | None
    resolution_note: str | None
    reopen_count: int
    reassignment_count: int
    late_s: int | None
    recurrence_of: int | None
    released_from: int | None
    merged_into: int | None
    source: str | None
    external_id: str | None
    version: int
    on_hold: OnHoldOut | None
    met: bool | None = Field(description="Whether it kept its SLA, once that is known.")
    sla: SlaOut | None
    comments: list[CommentOut]
    links: list[ExportedLinkOut]
    events: list[EventOut]


class ExportPageOut(Out):
    items: list[ExportedTicketOut]
    next: str | None


class TicketExportIn(TicketFilterIn):
    limit: int = Field(100, ge=1, le=500)


@router.get(
    "/tickets/export",
    summary="Export tickets with everything that belongs to them",
    responses={404: {"model": ProblemOut, "description": "No such view"}},
)
def export_tickets(query: Annotated[TicketExportIn, Query()], at: AtDesk) -> ExportPageOut:
    """Tickets in the order of their opening, with comments, links, events and SLA, by the filters of the list.

    Each page is of one moment. `tocsin export tickets` asks for page after page and writes JSON lines or CSV.
    """
    view = view_of(query.view, at)
    asked = query_of(query, at.services.clock.now(), sort="opened", descending=False, view=view)
    found, cursor = export_service.page(at.services.database, asked)
    return ExportPageOut(items=[_out(one) for one in found], next=cursor)


def _out(whole: Whole) -> ExportedTicketOut:
    ticket = whole.ticket
    plain: dict[str, Any] = {
        name: getattr(ticket, name) for name in ExportedTicketOut.model_fields if hasattr(ticket, name)
    }
    held = None
    if ticket.held_since is not None:
        held = OnHoldOut(since=ticket.held_since, until=ticket.held_until, reason=ticket.hold_reason or "")
    plain |= {
        "status": ticket.status.value,
        "priority": Priority(ticket.priority).name,
        "tags": list(ticket.tags),
        "on_hold": held,
        "met": whole.met,
        "sla": None if whole.standing is None else sla_out(whole.standing),
        "comments": [CommentOut.model_validate(one) for one in whole.comments],
        "links": [ExportedLinkOut(kind=one.kind.value, ticket_id=one.ticket_id, linked_at=one.linked_at,
                                  linked_by=one.linked_by) for one in whole.links],
        "events": [EventOut.model_validate(one) for one in whole.events],
    }  # fmt: skip
    return ExportedTicketOut(**plain)
