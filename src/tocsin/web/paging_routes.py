"""Being paged over HTTP: routes, escalation policies, notification rules; hand back, call by hand."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Response

from tocsin.kit.errors import FieldError, Invalid
from tocsin.kit.priorities import Priority
from tocsin.notify import page_service, paging, preview_service, reference_service, route_service, routing
from tocsin.notify.message import Kind
from tocsin.oncall import escalation_store, item_service, item_store
from tocsin.oncall.item_service import ESCALATION_POLICY, NOTIFICATION_RULES, ROUTE, ItemKind
from tocsin.oncall.item_store import Item
from tocsin.storage.tx import ReadTx, Tx
from tocsin.tickets import service as tickets
from tocsin.web.paging_schemas import (
    EscalationPolicyIn,
    EscalationPolicyOut,
    EscalationPolicyPageOut,
    EscalationRunsOut,
    HandBackIn,
    NotificationRulesIn,
    NotificationRulesOut,
    PagedOut,
    PageIn,
    PagingVersionOut,
    PagingVersionPageOut,
    RouteIn,
    RouteListOut,
    RouteOrderIn,
    RouteOut,
    RoutePreviewIn,
    RoutePreviewOut,
    policy_out,
    preview_out,
    route_out,
    run_out,
)
from tocsin.web.preconditions import IN_USE, Force, IfMatch, agreed, seen_tags
from tocsin.web.schemas import ProblemOut, QueryIn, TicketOut
from tocsin.web.services import Desk, Services, desk, services
from tocsin.web.tickets_routes import CHANGES, Id, agreed_version, ticket_answer

router = APIRouter(tags=["paging"])
ItemName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)]
PersonName = Annotated[str, Path(min_length=1, max_length=100)]
AtDesk = Annotated[Desk, Depends(desk)]
With = Annotated[Services, Depends(services)]
MISSING: Final[dict[int | str, dict[str, Any]]] = {404: {"model": ProblemOut}}
STALE: Final[dict[int | str, dict[str, Any]]] = {
    412: {"model": ProblemOut, "description": "If-Match names another version"}
}
_OVER: Final[dict[int | str, dict[str, Any]]] = {
    409: {"model": ProblemOut, "description": "The ticket is over, or nobody is there to be called"}
}
_PATHS: Final = {ESCALATION_POLICY.name: "/escalation-policies", ROUTE.name: "/routes"}


def answer(item: Item, status: int = 200) -> Response:
    """A policy or a route with its ETag."""
    headers = {"etag": f'"{item.version}"'}
    if status == 201:
        headers["location"] = f"{_PATHS[item.kind]}/{item.name}"
    out = policy_out(item) if item.kind == ESCALATION_POLICY.name else route_out(item)
    return Response(out.model_dump_json(by_alias=True), status, headers, "application/json")


def _saved(saved: tuple[Item, bool]) -> Response:
    item, is_new = saved
    return answer(item, 201 if is_new else 200)


def seen_version(tx: ReadTx, kind: ItemKind, name: str, seen: frozenset[str] | None) -> int | None:
    """The version that a change was decided on. Raises NotFound, PreconditionFailed."""
    return None if seen is None else agreed(item_service.get(tx, kind, name).version, seen)


def versions_page(kind: ItemKind, name: str, query: QueryIn, with_: Services) -> PagingVersionPageOut:
    """A page of versions."""
    found, cursor = item_service.versions(with_.database, kind, name, cursor=query.cursor, limit=query.limit)
    return PagingVersionPageOut(items=[PagingVersionOut.model_validate(one) for one in found], next=cursor)


# Escalation policies.


@router.get("/escalation-policies", summary="List escalation policies")
def list_policies(query: Annotated[QueryIn, Query()], with_: With) -> EscalationPolicyPageOut:
    """All escalation policies by name."""
    found, cursor = item_service.find(with_.database, ESCALATION_POLICY, cursor=query.cursor, limit=query.limit)
    return EscalationPolicyPageOut(items=[policy_out(item) for item in found], next=cursor)


@router.get(
    "/escalation-policies/{name}",
    response_model=EscalationPolicyOut,
    summary="One escalation policy",
    responses=MISSING,
)
def get_policy(name: ItemName, with_: With) -> Response:
    """An escalation policy as it is in force."""
    return answer(with_.database.read(lambda tx: item_service.get(tx, ESCALATION_POLICY, name)))


@router.put(
    "/escalation-policies/{name}",
    response_model=EscalationPolicyOut,
    summary="Make or replace an escalation policy",
    responses={201: {"model": EscalationPolicyOut, "description": "It is new"}, **MISSING, **STALE},
)
def put_policy(name: ItemName, policy: EscalationPolicyIn, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Say all of what an escalation policy is. Runs that go on keep the version they began with.

    Steps are taken one after the other, each once a round, until somebody acknowledges, resolves or is given the
    ticket. A step that finds nobody calls the fallback, and the ticket says so; without one the next step is taken.
    """
    seen, said = seen_tags(if_match), policy.model_dump()
    return at.write(
        lambda tx: _saved(
            reference_service.save_policy(tx, name, said, seen_version=seen_version(tx, ESCALATION_POLICY, name, seen))
        )
    )


@router.delete(
    "/escalation-policies/{name}",
    response_model=EscalationPolicyOut,
    summary="Remove an escalation policy",
    responses={**MISSING, **IN_USE, **STALE},
)
def remove_policy(name: ItemName, at: AtDesk, if_match: IfMatch = None, force: Force = False) -> Response:
    """Remove an escalation policy, and answer with what it was. Runs of it go on to their end. One that a route names
    is kept, unless by `force`: the route then says on each ticket that it failed, and the default channels hear."""
    seen = seen_tags(if_match)

    def work(tx: Tx) -> Response:
        version = seen_version(tx, ESCALATION_POLICY, name, seen)
        return answer(reference_service.remove_policy(tx, name, seen_version=version, force=force))

    return at.write(work)


@router.get("/escalation-policies/{name}/versions", summary="An escalation policy's versions", responses=MISSING)
def policy_versions(name: ItemName, query: Annotated[QueryIn, Query()], with_: With) -> PagingVersionPageOut:
    """What a policy said and when, newest first, with who changed it; also of one that was removed."""
    return versions_page(ESCALATION_POLICY, name, query, with_)


# Routes.


@router.get("/routes", response_model=RouteListOut, summary="List routes")
def list_routes(with_: With) -> Response:
    """All routes in the order they are tried. What none is about goes to the console."""
    found = with_.database.read(lambda tx: item_store.in_order(tx, ROUTE.name))
    return _routes_answer(found)


def _routes_answer(found: list[Item]) -> Response:
    out = RouteListOut(items=[route_out(item) for item in found])
    return Response(out.model_dump_json(by_alias=True), media_type="application/json")


@router.post("/routes/order", response_model=RouteListOut, summary="Change the order of routes")
def order_routes(order: RouteOrderIn, at: AtDesk) -> Response:
    """Let routes be tried in this order: each is named once."""
    return at.write(lambda tx: _routes_answer(route_service.reorder(tx, order.names)))


@router.post("/routes/preview", summary="What would happen for a ticket now", responses=MISSING)
def preview_routes(wanted: RoutePreviewIn, with_: With) -> RoutePreviewOut:
    """The routes that would be tried, with why each matches or not, the channels, the steps of escalation policies and
    the people with their own rules and times, if nobody answered. Nothing is written, nobody is called."""
    if (wanted.ticket_id is None) == (wanted.ticket is None):
        detail = "expected ticket_id or ticket, one of the two"
        raise Invalid(detail, errors=(FieldError("/ticket_id", detail),))

    def look(tx: ReadTx) -> RoutePreviewOut:
        if wanted.ticket is not None:
            values = wanted.ticket.model_dump()
            priority = values.pop("priority")
            facts = routing.facts_of({**values, "priority": None if priority is None else Priority(priority).name})
        else:
            facts = route_service.facts_of(tx, tickets.get(tx, wanted.ticket_id or 0))
        return preview_out(preview_service.preview(tx, facts, Kind(wanted.kind), with_.callers))

    return with_.database.read(look)


@router.get("/routes/{name}", response_model=RouteOut, summary="One route", responses=MISSING)
def get_route(name: ItemName, with_: With) -> Response:
    """A route as it is in force."""
    return answer(with_.database.read(lambda tx: item_service.get(tx, ROUTE, name)))


@router.put(
    "/routes/{name}",
    response_model=RouteOut,
    summary="Make or replace a route",
    responses={201: {"model": RouteOut, "description": "It is new"}, **MISSING, **STALE},
)
def put_route(name: ItemName, route: RouteIn, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Say all of what a route is. Routes are tried in their order; the first that matches is the last, unless it says
    `continue`. An event of a ticket that no route is about goes to the console."""
    seen, said = seen_tags(if_match), route.definition()
    return at.write(
        lambda tx: _saved(
            route_service.save(tx, name, said, seen_version=seen_version(tx, ROUTE, name, seen), place=route.place)
        )
    )


@router.delete("/routes/{name}", response_model=RouteOut, summary="Remove a route", responses={**MISSING, **STALE})
def remove_route(name: ItemName, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Remove a route, and answer with what it was. Runs that it began go on."""
    seen = seen_tags(if_match)
    return at.write(
        lambda tx: answer(item_service.remove(tx, ROUTE, name, seen_version=seen_version(tx, ROUTE, name, seen)))
    )


@router.get("/routes/{name}/versions", summary="A route's versions", responses=MISSING)
def route_versions(name: ItemName, query: Annotated[QueryIn, Query()], with_: With) -> PagingVersionPageOut:
    """What a route said and when, newest first, with who changed it; also of one that was removed."""
    return versions_page(ROUTE, name, query, with_)


# Notification rules.


def _rules_answer(tx: ReadTx, person: str) -> Response:
    item = item_store.get(tx, NOTIFICATION_RULES.name, person)
    own = {} if item is None else paging.rules_of(item.definition)
    rules = paging.definition_of({**paging.DEFAULT, **own})
    version = 0 if item is None else item.version
    names = [Priority(priority).name for priority in sorted(own)]
    out = NotificationRulesOut(person=person, version=version, rules=rules, own=names)
    return Response(out.model_dump_json(), 200, {"etag": f'"{version}"'}, "application/json")


@router.get(
    "/users/{name}/notification-rules", response_model=NotificationRulesOut, summary="How somebody is called",
    responses=MISSING,
)  # fmt: skip
def get_rules(name: PersonName, with_: With) -> Response:
    """How somebody is called, by the ticket's priority: as they said, or by default."""

    def look(tx: ReadTx) -> Response:
        page_service.check_known(tx, name, with_.callers.rota)
        return _rules_answer(tx, name)

    return with_.database.read(look)


@router.put(
    "/users/{name}/notification-rules",
    response_model=NotificationRulesOut,
    summary="Say how somebody is called",
    responses={**MISSING, **STALE},
)
def put_rules(name: PersonName, rules: NotificationRulesIn, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Say how somebody wants to be called, by the ticket's priority. An acknowledgement takes back what was not sent.

    Without rules: P1 and P2 at once by the loudest verified way and after 5 minutes by another one; P3 at once by the
    loudest; P4 and P5 by email, in working hours.
    """
    seen, said = seen_tags(if_match), rules.definition()

    def work(tx: Tx) -> Response:
        page_service.check_known(tx, name, at.services.callers.rota)
        version = seen_version(tx, NOTIFICATION_RULES, name, seen)
        page_service.save_rules(tx, name, said, seen_version=version)
        return _rules_answer(tx, name)

    return at.write(work)


@router.delete(
    "/users/{name}/notification-rules",
    response_model=NotificationRulesOut,
    summary="Call somebody by default again",
    responses={**MISSING, **STALE},
)
def remove_rules(name: PersonName, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Forget what somebody said of how they are called, and answer with the default."""
    seen = seen_tags(if_match)

    def work(tx: Tx) -> Response:
        version = seen_version(tx, NOTIFICATION_RULES, name, seen)
        item_service.remove(tx, NOTIFICATION_RULES, name, seen_version=version)
        return _rules_answer(tx, name)

    return at.write(work)


# Tickets.


@router.post(
    "/tickets/{id}/hand-back", response_model=TicketOut, summary="Hand a ticket back", responses=CHANGES,
    tags=["tickets"],
)  # fmt: skip
def hand_back(id: Id, why: HandBackIn, at: AtDesk, if_match: IfMatch = None) -> Response:  # noqa: A002
    """Give an acknowledged ticket up: it is OPEN and nobody's, its time to acknowledge runs anew, and people are
    called for it again from the first step on."""
    seen = seen_tags(if_match)
    return at.write(
        lambda tx: ticket_answer(
            tx, tickets.hand_back(tx, id, reason=why.reason, seen_version=agreed_version(tx, id, seen))
        )
    )


@router.post(
    "/tickets/{id}/page",
    response_model=PagedOut,
    summary="Call somebody about a ticket",
    responses={**MISSING, **_OVER},
    tags=["tickets"],
)
def page_ticket(id: Id, wanted: PageIn, at: AtDesk) -> Response:  # noqa: A002
    """Call a user, whoever is on call in a schedule, a team or a channel now; or begin an escalation policy. Whether
    that reaches anybody is told: not where nobody is there, has a way to be reached, or a channel that carries it."""
    named = {name: value for name, value in wanted.model_dump(exclude={"message"}).items() if value is not None}
    if len(named) != 1:
        detail = "expected one of user, schedule, team, channel and policy"
        raise Invalid(detail, errors=(FieldError("/user", detail),))
    [(kind, name)] = named.items()

    def work(tx: Tx) -> Response:
        target, callers = f"{kind}:{name}", at.services.callers
        called, reach = page_service.page_and_look(tx, id, target, wanted.message, callers)
        out = PagedOut(called=called, reached=reach.anybody, problems=list(reach.problems))
        return Response(out.model_dump_json(), media_type="application/json")

    return at.write(work)


@router.get("/tickets/{id}/escalations", summary="A ticket's escalations", responses=MISSING, tags=["tickets"])
def ticket_escalations(id: Id, with_: With) -> EscalationRunsOut:  # noqa: A002
    """Every run of an escalation policy for a ticket, oldest first."""

    def look(tx: ReadTx) -> EscalationRunsOut:
        tickets.get(tx, id)
        return EscalationRunsOut(items=[run_out(row) for row in escalation_store.of_ticket(tx, id)])

    return with_.database.read(look)
