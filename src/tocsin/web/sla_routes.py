"""SLA over HTTP: policies, calendars, a calendar that is only tried, tickets on hold and their clocks anew."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Response

from tocsin.kit.calendar import Pause
from tocsin.kit.errors import FieldError, Invalid
from tocsin.notify import reference_service as removing
from tocsin.storage.tx import Tx
from tocsin.tickets import service as tickets
from tocsin.tickets import sla_service as sla
from tocsin.tickets.sla_store import CALENDAR, POLICY, Item
from tocsin.tickets.store import Ticket
from tocsin.web.preconditions import Force, IfMatch, agreed, seen_tags
from tocsin.web.schemas import Out, ProblemOut, QueryIn, TicketOut
from tocsin.web.services import Desk, Services, desk, services
from tocsin.web.sla_schemas import (
    CalendarDefinitionIn,
    CalendarIn,
    CalendarOut,
    CalendarPageOut,
    HoldIn,
    PolicyDefinitionIn,
    PolicyIn,
    PolicyOut,
    PolicyPageOut,
    SlaVersionOut,
    SlaVersionPageOut,
    SpanOut,
    TrialIn,
    TrialOut,
    WhyIn,
)
from tocsin.web.tickets_routes import CHANGES, Id, agreed_version, ticket_answer

router = APIRouter(tags=["sla"])
NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9._-]*$"
MAX_NAME_CHARS: Final = 100
Name = Annotated[str, Path(pattern=NAME_PATTERN, max_length=MAX_NAME_CHARS)]
AtDesk = Annotated[Desk, Depends(desk)]
With = Annotated[Services, Depends(services)]
_MISSING: Final[dict[int | str, dict[str, Any]]] = {404: {"model": ProblemOut}}
_STALE: Final[dict[int | str, dict[str, Any]]] = {
    412: {"model": ProblemOut, "description": "If-Match names another version"}
}
_TAKEN: Final[dict[int | str, dict[str, Any]]] = {
    409: {"model": ProblemOut, "description": "There is one of that name"}
}
_IN_USE: Final[dict[int | str, dict[str, Any]]] = {409: {"model": ProblemOut, "description": "A policy uses it"}}
_OUT: Final[dict[str, type[Out]]] = {POLICY: PolicyOut, CALENDAR: CalendarOut}
_PATH: Final = {POLICY: "/sla/policies", CALENDAR: "/sla/calendars"}


def _out(item: Item) -> Any:
    kept = {name: getattr(item, name) for name in ("name", "version", "created_at", "updated_at", "updated_by")}
    return _OUT[item.kind](**kept, **item.definition)


def _answer(item: Item, status: int = 200) -> Response:
    headers = {"etag": f'"{item.version}"'}
    if status == 201:
        headers["location"] = f"{_PATH[item.kind]}/{item.name}"
    return Response(_out(item).model_dump_json(), status, headers, "application/json")


def _agreed(tx: Tx, kind: str, name: str, seen: frozenset[str] | None) -> int | None:
    return None if seen is None else agreed(sla.get(tx, kind, name).version, seen)


def _check_name(name: str) -> None:
    if len(name) > MAX_NAME_CHARS or re.fullmatch(NAME_PATTERN, name) is None:
        detail = "expected a-z, 0-9, `.`, `_` and `-`, at most 100, the first a letter or digit"
        raise Invalid(f"name: {detail}", errors=(FieldError("/name", detail),))


@router.get("/sla/policies", summary="List SLA policies")
def list_policies(query: Annotated[QueryIn, Query()], with_: With) -> PolicyPageOut:
    """All SLA policies by name."""
    found, cursor = sla.find(with_.database, POLICY, cursor=query.cursor, limit=query.limit)
    return PolicyPageOut(items=[_out(item) for item in found], next=cursor)


@router.post("/sla/policies", status_code=201, response_model=PolicyOut, summary="Make an SLA policy", responses=_TAKEN)
def make_policy(policy: PolicyIn, at: AtDesk) -> Response:
    """Make an SLA policy. It is about tickets that open from then on.

    Of several that are about a ticket the most specific counts: one that names services before all that don't, then one
    that names teams, then the one with more labels, then one that names priorities. Two between which that does not
    decide are refused, and the other one is named.
    """
    _check_name(policy.name)
    return at.write(lambda tx: _answer(sla.save_policy(tx, policy.policy(policy.name), only_new=True)[0], 201))


@router.get("/sla/policies/{name}", response_model=PolicyOut, summary="One SLA policy", responses=_MISSING)
def get_policy(name: Name, with_: With) -> Response:
    """An SLA policy as it is in force."""
    return _answer(with_.database.read(lambda tx: sla.get(tx, POLICY, name)))


@router.put(
    "/sla/policies/{name}",
    response_model=PolicyOut,
    summary="Make or replace an SLA policy",
    responses={201: {"model": PolicyOut, "description": "It is new"}, **_MISSING, **_STALE},
)
def put_policy(name: Name, policy: PolicyDefinitionIn, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Say all of what a policy is: what is left out has its default. The same again makes no new version.

    Tickets keep the version they opened under (see `POST /tickets/{id}/sla/recalculate`). With `If-Match` only a
    policy that is there, and at that version, is replaced.
    """
    seen = seen_tags(if_match)
    return at.write(
        lambda tx: _saved(sla.save_policy(tx, policy.policy(name), seen_version=_agreed(tx, POLICY, name, seen)))
    )


def _saved(saved: tuple[Item, bool]) -> Response:
    item, is_new = saved
    return _answer(item, 201 if is_new else 200)


@router.delete(
    "/sla/policies/{name}", response_model=PolicyOut, summary="Remove an SLA policy", responses={**_MISSING, **_STALE}
)
def remove_policy(name: Name, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Remove an SLA policy, and answer with what it was. Tickets that opened under it keep their clocks."""
    seen = seen_tags(if_match)
    return at.write(lambda tx: _answer(sla.remove(tx, POLICY, name, seen_version=_agreed(tx, POLICY, name, seen))))


@router.get("/sla/policies/{name}/versions", summary="An SLA policy's versions", responses=_MISSING)
def policy_versions(name: Name, query: Annotated[QueryIn, Query()], with_: With) -> SlaVersionPageOut:
    """What a policy said and when, newest first, with who changed it; also of one that was removed."""
    return _versions(POLICY, name, query, with_)


@router.get("/sla/calendars", summary="List calendars")
def list_calendars(query: Annotated[QueryIn, Query()], with_: With) -> CalendarPageOut:
    """All calendars by name."""
    found, cursor = sla.find(with_.database, CALENDAR, cursor=query.cursor, limit=query.limit)
    return CalendarPageOut(items=[_out(item) for item in found], next=cursor)


@router.post("/sla/calendars", status_code=201, response_model=CalendarOut, summary="Make a calendar", responses=_TAKEN)
def make_calendar(calendar: CalendarIn, at: AtDesk) -> Response:
    """Make a calendar, which policies can name then.

    An instant is working time if the clock on the wall of its time zone then shows a time within a span. A span belongs
    to the day it begins on, also past midnight. What is wrong is named place by place: spans that overlap, a zone that
    does not exist, a year without working time.
    """
    _check_name(calendar.name)
    definition = calendar.definition()
    sla.check_calendar(definition, at.services.clock.now())
    return at.write(lambda tx: _answer(sla.save_calendar(tx, calendar.name, definition, only_new=True)[0], 201))


@router.post("/sla/calendars/try", summary="Try a calendar")
def try_calendar(trial: TrialIn, with_: With) -> TrialOut:
    """Reckon with a calendar that is not kept: `target_s` gives `due_at`, `end` gives `elapsed_s`."""
    if (trial.target_s is None) == (trial.end is None):
        detail = "expected target_s or end, one of the two"
        raise Invalid(detail, errors=(FieldError("/target_s", detail),))
    target = None if trial.target_s is None else timedelta(seconds=trial.target_s)
    pauses = _pauses(trial)
    try:
        found = sla.try_calendar(
            trial.calendar.definition(),
            with_.clock.now(),
            start=trial.start,
            target=target,
            end=trial.end,
            pauses=pauses,
        )
    except Invalid as error:
        raise _under("/calendar", error) from error
    elapsed = None if found.elapsed is None else found.elapsed.total_seconds()
    working = [SpanOut(start=a, end=b) for a, b in found.working]
    return TrialOut(due_at=found.due_at, elapsed_s=elapsed, working=working)


def _pauses(trial: TrialIn) -> list[Pause]:
    """Raises Invalid for one that ends before it begins."""
    detail = "expected a time after the beginning of the pause"
    errors = tuple(
        FieldError(f"/pauses/{place}/end", detail)
        for place, pause in enumerate(trial.pauses)
        if pause.end is not None and pause.end < pause.start
    )
    if errors:
        raise Invalid(f"{errors[0].pointer[1:]}: {detail}", errors=errors)
    return [(pause.start, pause.end) for pause in trial.pauses]


def _under(prefix: str, error: Invalid) -> Invalid:
    errors = tuple(FieldError(prefix + one.pointer.removeprefix(prefix), one.detail) for one in error.errors)
    return Invalid(str(error.facts["detail"]), errors=errors)


@router.get("/sla/calendars/{name}", response_model=CalendarOut, summary="One calendar", responses=_MISSING)
def get_calendar(name: Name, with_: With) -> Response:
    """A calendar as it is in force."""
    return _answer(with_.database.read(lambda tx: sla.get(tx, CALENDAR, name)))


@router.put(
    "/sla/calendars/{name}",
    response_model=CalendarOut,
    summary="Make or replace a calendar",
    responses={201: {"model": CalendarOut, "description": "It is new"}, **_MISSING, **_STALE},
)
def put_calendar(name: Name, calendar: CalendarDefinitionIn, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Say all of what a calendar is. The same again makes no new version; tickets keep the one they opened under."""
    seen = seen_tags(if_match)
    definition = calendar.definition()
    sla.check_calendar(definition, at.services.clock.now())
    return at.write(
        lambda tx: _saved(sla.save_calendar(tx, name, definition, seen_version=_agreed(tx, CALENDAR, name, seen)))
    )


@router.delete(
    "/sla/calendars/{name}",
    response_model=CalendarOut,
    summary="Remove a calendar",
    responses={**_MISSING, **_IN_USE, **_STALE},
)
def remove_calendar(name: Name, at: AtDesk, if_match: IfMatch = None, force: Force = False) -> Response:
    """Remove a calendar that no policy uses, and answer with what it was. Tickets that run by it go on. One that a
    route or notification rules name is kept, unless by `force`: the route fails then, and calls are made at once."""
    seen = seen_tags(if_match)

    def work(tx: Tx) -> Response:
        version = _agreed(tx, CALENDAR, name, seen)
        return _answer(removing.remove_calendar(tx, name, seen_version=version, force=force))

    return at.write(work)


@router.get("/sla/calendars/{name}/versions", summary="A calendar's versions", responses=_MISSING)
def calendar_versions(name: Name, query: Annotated[QueryIn, Query()], with_: With) -> SlaVersionPageOut:
    """What a calendar said and when, newest first, with who changed it; also of one that was removed."""
    return _versions(CALENDAR, name, query, with_)


def _versions(kind: str, name: str, query: QueryIn, with_: Services) -> SlaVersionPageOut:
    found, cursor = sla.versions(with_.database, kind, name, cursor=query.cursor, limit=query.limit)
    return SlaVersionPageOut(items=[SlaVersionOut.model_validate(version) for version in found], next=cursor)


@router.post(
    "/tickets/{id}/hold", response_model=TicketOut, summary="Put a ticket on hold", responses=CHANGES, tags=["tickets"]
)
def hold_ticket(id: Id, holding: HoldIn, at: AtDesk, if_match: IfMatch = None) -> Response:  # noqa: A002
    """Let a ticket's clocks stand still, until a time or until it is resumed; its deadlines shift.

    Once more changes the reason and the end. Resolving ends it too.
    """

    def work(tx: Tx, seen: int | None) -> Ticket:
        until = _to_come(holding.until, tx.now)
        return tickets.hold(tx, id, reason=holding.reason, until=until, seen_version=seen)

    return _changed(id, at, if_match, work)


def _to_come(until: datetime | timedelta | None, now: datetime) -> datetime | None:
    try:
        return now + until if isinstance(until, timedelta) else until
    except OverflowError:
        detail = "expected a time before the year 10000"
        raise Invalid(f"until: {detail}", errors=(FieldError("/until", detail),)) from None


@router.post(
    "/tickets/{id}/resume", response_model=TicketOut, summary="End a hold", responses=CHANGES, tags=["tickets"]
)
def resume_ticket(id: Id, at: AtDesk, why: WhyIn | None = None, if_match: IfMatch = None) -> Response:  # noqa: A002
    """Let the clocks of a ticket that is on hold run again."""
    reason = why.reason if why else ""
    return _changed(id, at, if_match, lambda tx, seen: tickets.resume(tx, id, reason=reason, seen_version=seen))


@router.post(
    "/tickets/{id}/sla/recalculate",
    response_model=TicketOut,
    summary="Reckon a ticket's clocks anew",
    responses=CHANGES,
    tags=["tickets"],
)
def recalculate_ticket(id: Id, at: AtDesk, why: WhyIn | None = None, if_match: IfMatch = None) -> Response:  # noqa: A002
    """Let a ticket's clocks run by the policy and the calendar that are in force now, from its opening on."""
    reason = why.reason if why else ""
    return _changed(id, at, if_match, lambda tx, seen: tickets.recalculate(tx, id, reason=reason, seen_version=seen))


def _changed(ticket_id: int, at: Desk, if_match: str | None, work: Callable[[Tx, int | None], Ticket]) -> Response:
    seen = seen_tags(if_match)
    return at.write(lambda tx: ticket_answer(tx, work(tx, agreed_version(tx, ticket_id, seen))))
