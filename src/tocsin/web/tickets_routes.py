"""Tickets over HTTP: find, open by hand, move, edit, prioritise, reopen, read the timeline."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AfterValidator, Field

from tocsin.alerts import declaration_store
from tocsin.alerts import store as alert_store
from tocsin.kit.errors import FieldError, Invalid
from tocsin.kit.priorities import Priority, priority_of
from tocsin.query.letters import fold
from tocsin.query.parse import parse
from tocsin.query.tree import And
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import history_service, link_service, link_store, timeline_service, view_service
from tocsin.tickets import service as tickets
from tocsin.tickets import sla_service as sla
from tocsin.tickets.fields import TICKETS
from tocsin.tickets.service import Resolution
from tocsin.tickets.sla_service import Standing
from tocsin.tickets.store import Ticket, TicketQuery
from tocsin.tickets.view_store import ViewRow
from tocsin.tickets.views import ASCENDING, condition_of
from tocsin.tickets.workflow import Status, allowed
from tocsin.web.alerts_routes import alert_out
from tocsin.web.preconditions import IfMatch, agreed, seen_tags
from tocsin.web.schemas import (
    EventOut,
    EventPageOut,
    InstantIn,
    LinkOut,
    OnHoldOut,
    PastLinkOut,
    PriorityPatchIn,
    ProblemOut,
    QueryIn,
    QueryText,
    Reckoned,
    ReopenIn,
    ServiceInfoOut,
    TicketDetailOut,
    TicketIn,
    TicketOut,
    TicketPageOut,
    TicketPastOut,
    TicketPatchIn,
    Word,
)
from tocsin.web.services import Desk, Services, desk, services
from tocsin.web.sla_schemas import sla_out

router = APIRouter(tags=["tickets"])
Id = Annotated[int, Path(ge=1, le=2**53)]
AtDesk = Annotated[Desk, Depends(desk)]
With = Annotated[Services, Depends(services)]
MAX_ALERTS_SHOWN: Final = 100
_WITH_A_MOVE: Final = {"status", "resolution_code", "resolution_note"}
_MISSING: Final[dict[int | str, dict[str, Any]]] = {404: {"model": ProblemOut}}
CHANGES: Final[dict[int | str, dict[str, Any]]] = {
    **_MISSING,
    409: {"model": ProblemOut, "description": "Not an allowed move (`allowed` names them), or changed meanwhile"},
    412: {"model": ProblemOut, "description": "If-Match names another version"},
}


def _ticket_fields(ticket: Ticket, standing: Standing | None) -> dict[str, Any]:
    fields = {name: getattr(ticket, name) for name in TicketOut.model_fields if hasattr(ticket, name)}
    held = None
    if ticket.held_since is not None:
        held = OnHoldOut(since=ticket.held_since, until=ticket.held_until, reason=ticket.hold_reason or "")
    return {
        **fields,
        "on_hold": held,
        "sla": None if standing is None else sla_out(standing),
        "status": ticket.status.value,
        "priority": Priority(ticket.priority).name,
        "allowed": allowed(ticket.status),
    }


def ticket_out(ticket: Ticket, standing: Standing | None) -> TicketOut:
    """A ticket as the API shows it, with its clocks."""
    return TicketOut(**_ticket_fields(ticket, standing))


def _service_info(tx: ReadTx, service: str | None) -> ServiceInfoOut | None:
    key = fold(service or "")
    declared = declaration_store.names(tx, [key]).get(key)
    return None if declared is None else ServiceInfoOut.model_validate(declared)


def links_out(tx: ReadTx, ticket_id: int) -> list[LinkOut]:
    """All links of a ticket."""
    return [LinkOut.model_validate(one) for one in link_store.of(tx, ticket_id, limit=link_service.MAX_LINKS)]


def _etag(ticket: Ticket) -> str:
    return f'"{ticket.version}"'


def ticket_answer(tx: Tx, changed: Ticket, status: int = 200) -> Response:
    """The ticket as it is once all has followed from its change: its clocks are."""
    tx.settle()
    ticket = tickets.get(tx, changed.id)
    standing = sla.standings(tx, [ticket]).get(ticket.id)
    headers = {"etag": _etag(ticket)}
    if status == 201:
        headers["location"] = f"/tickets/{ticket.id}"
    return Response(ticket_out(ticket, standing).model_dump_json(), status, headers, "application/json")


def agreed_version(tx: Tx, ticket_id: int, seen: frozenset[str] | None) -> int | None:
    return None if seen is None else agreed(tickets.get(tx, ticket_id).version, seen)


def _listed(text: str) -> str:
    for part in text.split(","):
        priority_of(part)
    return text


class TicketFilterIn(QueryIn):
    q: QueryText | None = Field(
        None,
        description="In the filter language; together with the other filters.",
        examples=['status:OPEN priority:<=P2 assignee:none "payment"'],
    )
    status: str | None = Field(None, description="One or several, with commas.", examples=["OPEN,IN_PROGRESS"])
    priority: Annotated[str, AfterValidator(_listed)] | None = Field(
        None, description="One or several, with commas.", examples=["P1,P2"]
    )
    service: Word | None = Field(None, description="The exact name of a service.", examples=["payments"])
    assignee: Word | None = Field(None, description="`none` finds those nobody has.", examples=["ana"])
    team: Word | None = Field(None, description="`none` finds those of no team.", examples=["shop"])
    tag: Word | None = Field(None, description="Has this tag.", examples=["database"])
    opened_since: InstantIn | None = Field(None, description="Included.", examples=["24h", "2026-11-24T00:00:00Z"])
    opened_until: InstantIn | None = Field(None, description="Excluded.", examples=["1h"])
    text: Word | None = Field(
        None, description="Found in title, description or a comment, in any case.", examples=["timed out"]
    )
    view: Word | None = Field(
        None,
        description="What this view asks for (`GET /views`), and in its order unless another is given; together with "
        "the other filters.",
        examples=["night-shift"],
    )


class TicketQueryIn(TicketFilterIn):
    sort: Literal["opened", "updated", "priority"] | None = Field(None, description="`opened` by default.")
    order: Literal["asc", "desc"] | None = None


def status_of(text: str, pointer: str) -> Status:
    """The status that a text names, in any case. Raises Invalid."""
    try:
        return Status(text.strip().upper().replace("-", "_"))
    except ValueError:
        detail = f"{text[:40]!r} is not a status; expected one of {', '.join(Status)}"
        raise Invalid(f"status: {detail}", errors=(FieldError(pointer, detail),)) from None


def query_of(
    query: TicketFilterIn, now: datetime, *, sort: str, descending: bool, view: ViewRow | None = None
) -> TicketQuery:
    """What filters ask for. Raises Invalid."""
    wanted = query.reckoned(now)
    asked = [condition_of(view.q, now, "view")] if view else []
    asked += [parse(query.q, TICKETS, now=now)] if query.q else []
    return TicketQuery(
        statuses=tuple(status_of(part, "status") for part in query.status.split(",")) if query.status else (),
        priorities=tuple(int(priority_of(part)) for part in query.priority.split(",")) if query.priority else (),
        service=query.service,
        assignee=query.assignee,
        team=query.team,
        tag=query.tag,
        opened_since=wanted["opened_since"],
        opened_until=wanted["opened_until"],
        text=query.text,
        condition=And(tuple(asked)) if asked else None,
        sort=sort,
        descending=descending,
        limit=query.limit,
        cursor=query.cursor,
    )


def view_of(name: str | None, at: AtDesk) -> ViewRow | None:
    """The view that a query names, if it does. Raises NotFound."""
    return None if name is None else at.services.database.read(lambda tx: view_service.get(tx, name, at.actor))


@router.get("/tickets", summary="Find tickets", responses={404: {"model": ProblemOut, "description": "No such view"}})
def find_tickets(query: Annotated[TicketQueryIn, Query()], at: AtDesk) -> TicketPageOut:
    """Tickets that match all filters.

    `q` is in the filter language, over `status`, `priority` (P1 is the least: `priority:<=P2`), `sla` (the state of
    the clock that calls the loudest: `sla:at_risk`, `sla:none` without any), `sla_due_at`, `service`, `title`,
    `description`, `comment`, `assignee`, `team`, `tag`, `opened_by`, `impact`, `urgency`, `resolution_code`, the
    instants, `reopen_count`, `recurrence_of`, `merged_into` and `id`; without regular expressions. A bare word is
    looked for in title, description and comments.

    `status` and `priority` take several, comma-separated; `assignee=none` finds those nobody has; `text` is found in
    title, description and comments, in any case, as a phrase of `q` is. `sort` is `opened`, `updated` (newest first)
    or `priority` (P1 first); `order` turns it round.
    """
    database, view = at.services.database, view_of(query.view, at)
    sort = query.sort or (view.sort if view else "opened")
    descending = view.descending if view and query.sort is None else sort not in ASCENDING
    if query.order is not None:
        descending = query.order == "desc"
    asked = query_of(query, at.services.clock.now(), sort=sort, descending=descending, view=view)
    found, cursor = tickets.find(database, asked)
    standings = database.read(lambda tx: sla.standings(tx, found))
    return TicketPageOut(items=[ticket_out(ticket, standings.get(ticket.id)) for ticket in found], next=cursor)


@router.post("/tickets", status_code=201, response_model=TicketOut, summary="Open a ticket by hand")
def open_ticket(ticket: TicketIn, at: AtDesk) -> Response:
    """Open a ticket that no alert asked for. With an `Idempotency-Key` a repeat opens no second one."""
    return at.write(
        lambda tx: ticket_answer(
            tx,
            tickets.open_by_hand(
                tx,
                title=ticket.title,
                description=ticket.description,
                priority=ticket.priority,
                service=ticket.service,
                assignee=ticket.assignee,
                team=ticket.team,
                tags=ticket.tags,
                impact=ticket.impact,
                urgency=ticket.urgency,
            ),
            201,
        )
    )


class AtIn(Reckoned):
    at: InstantIn | None = Field(None, description="As it was then.", examples=["2h", "2026-11-24T02:30:00Z"])


@router.get("/tickets/{id}", response_model=TicketDetailOut | TicketPastOut, summary="One ticket", responses=_MISSING)
def get_ticket(id: Id, query: Annotated[AtIn, Query()], with_: With) -> Response:  # noqa: A002
    """A ticket with its newest 100 alerts and its links, and what is declared of its service.

    With `at`, as it was at an instant, rebuilt from its events, with its clocks as they stood then; 404 before it
    opened.
    """
    if query.at is not None:
        return _past(id, query.reckoned(with_.clock.now())["at"], with_)

    def look(tx: ReadTx) -> tuple[TicketDetailOut, str]:
        ticket = tickets.get(tx, id)
        out = TicketDetailOut(
            **_ticket_fields(ticket, sla.standings(tx, [ticket]).get(id)),
            alert_count=alert_store.count_of_ticket(tx, id),
            alerts=[alert_out(alert) for alert in alert_store.of_tickets(tx, id, limit=MAX_ALERTS_SHOWN)],
            links=links_out(tx, id),
            service_info=_service_info(tx, ticket.service),
        )
        return out, _etag(ticket)

    out, etag = with_.database.read(look)
    return Response(out.model_dump_json(), 200, {"etag": etag}, "application/json")


def _past(ticket_id: int, at: datetime, with_: Services) -> Response:
    if at > with_.clock.now():
        raise Invalid("at: expected a time that is over", errors=(FieldError("at", "expected a time that is over"),))
    past, standing = with_.database.read(lambda tx: history_service.past(tx, ticket_id, at))
    facts, held = past.facts, None
    if facts.held_since is not None:
        held = OnHoldOut(since=facts.held_since, until=facts.held_until, reason=past.hold_reason or "")
    same = {name: getattr(past, name) for name in TicketPastOut.model_fields if hasattr(past, name)}
    links = [PastLinkOut(kind=kind.value, ticket_id=other_id) for kind, other_id in sorted(past.links)]
    instants = {name: getattr(facts, name) for name in ("opened_at", "acknowledged_at", "resolved_at")}
    out = TicketPastOut(
        **{
            **same,
            **instants,
            "id": ticket_id,
            "at": at,
            "status": past.status.value,
            "priority": Priority(past.priority).name,
            "on_hold": held,
            "links": links,
            "sla": None if standing is None else sla_out(standing),
        }
    )
    return Response(out.model_dump_json(), media_type="application/json")


@router.patch("/tickets/{id}", response_model=TicketOut, summary="Move or edit a ticket", responses=CHANGES)
def change_ticket(
    id: Id,  # noqa: A002
    change: TicketPatchIn,
    at: AtDesk,
    if_match: IfMatch = None,
) -> Response:
    """Move a ticket along OPEN → IN_PROGRESS → RESOLVED → CLOSED, or edit it. A field that is absent stays.

    `assignee: null` takes the assignee away. Once `impact` and `urgency` are both known, setting one of them sets the
    priority by the matrix (`GET /sla/matrix`).
    """
    edits = {name: getattr(change, name) for name in change.model_fields_set - _WITH_A_MOVE}
    for name, expected in (("title", "a string"), ("description", "a string"), ("tags", "a list")):
        if name in edits and edits[name] is None:
            raise Invalid(f"{name} can't be null", errors=(FieldError(f"/{name}", f"expected {expected}"),))
    resolution = Resolution(change.resolution_code, change.resolution_note)
    status = None if change.status is None else status_of(change.status, "/status")
    seen = seen_tags(if_match)
    return at.write(
        lambda tx: ticket_answer(
            tx,
            tickets.change(
                tx,
                id,
                status=status,
                edits=edits,
                resolution=resolution,
                seen_version=agreed_version(tx, id, seen),
            ),
        )
    )


@router.patch(
    "/tickets/{id}/priority", response_model=TicketOut, summary="Change a ticket's priority", responses=CHANGES
)
def change_priority(
    id: Id,  # noqa: A002
    change: PriorityPatchIn,
    at: AtDesk,
    if_match: IfMatch = None,
) -> Response:
    """Set the priority, P1..P5."""
    seen = seen_tags(if_match)
    return at.write(
        lambda tx: ticket_answer(
            tx, tickets.prioritise(tx, id, change.priority, seen_version=agreed_version(tx, id, seen))
        )
    )


@router.post("/tickets/{id}/reopen", response_model=TicketOut, summary="Reopen a resolved ticket", responses=CHANGES)
def reopen_ticket(
    id: Id,  # noqa: A002
    reopening: ReopenIn,
    at: AtDesk,
    if_match: IfMatch = None,
) -> Response:
    """Take a RESOLVED ticket up again: it goes to IN_PROGRESS with the caller (or `assignee`) on it."""
    seen = seen_tags(if_match)
    return at.write(
        lambda tx: ticket_answer(
            tx,
            tickets.reopen(
                tx, id, reason=reopening.reason, assignee=reopening.assignee, seen_version=agreed_version(tx, id, seen)
            ),
        )
    )


@router.get("/tickets/{id}/events", summary="A ticket's timeline", responses=_MISSING)
def ticket_events(id: Id, query: Annotated[QueryIn, Query()], with_: With) -> EventPageOut:  # noqa: A002
    """Everything that happened to a ticket, oldest first, with who did it.

    Between the events stand the changes of its services (`POST /changes`) from 30 minutes before it opened until it was
    resolved, as entries of kind `change`; the `id` of one is that of the change.
    """
    found, cursor = timeline_service.page(with_.database, id, cursor=query.cursor, limit=query.limit)
    return EventPageOut(items=[EventOut.model_validate(entry) for entry in found], next=cursor)
