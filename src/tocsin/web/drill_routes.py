"""Proof that the pager works: drills, why somebody was called or not, what being paged costs."""

from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response

from tocsin.kit.clock import MICROSECOND
from tocsin.kit.errors import FieldError, Invalid
from tocsin.notify import drill_service as drills
from tocsin.notify.drilling import drill_of
from tocsin.oncall import item_service
from tocsin.oncall.item_service import DRILL
from tocsin.oncall.item_store import Item
from tocsin.proof import called, paging_report
from tocsin.storage.tx import ReadTx, Tx
from tocsin.web.drill_schemas import (
    DrillIn,
    DrillOut,
    DrillPageOut,
    DrillRunIn,
    DrillRunOut,
    DrillRunPageOut,
    EverybodyToldOut,
    PagedExplanationOut,
    PagingReportIn,
    PagingReportOut,
    drill_out,
    everybody_out,
    explanation_out,
    paging_report_out,
    run_of_drill_out,
)
from tocsin.web.paging_routes import MISSING, STALE, AtDesk, ItemName, With, seen_version
from tocsin.web.preconditions import IfMatch, seen_tags
from tocsin.web.schemas import Name, ProblemOut, QueryIn
from tocsin.web.tickets_routes import Id

router = APIRouter(tags=["paging"])
_PERIOD: Final = timedelta(days=30)
_RUNS_ALREADY: Final[dict[int | str, dict[str, Any]]] = {
    409: {"model": ProblemOut, "description": "One of this service runs already"}
}
_NEW: Final[dict[int | str, dict[str, Any]]] = {201: {"model": DrillOut, "description": "It is new"}}


def _answer(tx: ReadTx, item: Item, status: int = 200) -> Response:
    headers = {"etag": f'"{item.version}"'}
    if status == 201:
        headers["location"] = f"/drills/{item.name}"
    out = drill_out(item, drill_of(item.definition).next_at(tx.now))
    return Response(out.model_dump_json(), status, headers, "application/json")


@router.get("/drills", summary="List scheduled drills")
def list_drills(query: Annotated[QueryIn, Query()], with_: With) -> DrillPageOut:
    """All scheduled drills by name."""
    found, cursor = item_service.find(with_.database, DRILL, cursor=query.cursor, limit=query.limit)
    now = with_.clock.now()
    return DrillPageOut(items=[drill_out(item, drill_of(item.definition).next_at(now)) for item in found], next=cursor)


@router.get("/drills/{name}", response_model=DrillOut, summary="One scheduled drill", responses=MISSING)
def get_drill(name: ItemName, with_: With) -> Response:
    """A scheduled drill, and when it is run next."""
    return with_.database.read(lambda tx: _answer(tx, item_service.get(tx, DRILL, name)))


@router.put(
    "/drills/{name}", response_model=DrillOut, summary="Schedule a drill", responses={**_NEW, **MISSING, **STALE}
)
def put_drill(name: ItemName, drill: DrillIn, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Say when a drill is run. One that is not delivered in time opens a ticket, which pages as any other does."""
    seen, said = seen_tags(if_match), drill.model_dump()

    def work(tx: Tx) -> Response:
        item, is_new = drills.save(tx, name, said, seen_version=seen_version(tx, DRILL, name, seen))
        return _answer(tx, item, 201 if is_new else 200)

    return at.write(work)


@router.delete(
    "/drills/{name}", response_model=DrillOut, summary="Remove a drill's schedule", responses={**MISSING, **STALE}
)
def remove_drill(name: ItemName, at: AtDesk, if_match: IfMatch = None) -> Response:
    """Run a drill no longer, and answer with what its schedule was."""
    seen = seen_tags(if_match)
    return at.write(lambda tx: _answer(tx, drills.remove(tx, name, seen_version=seen_version(tx, DRILL, name, seen))))


@router.post(
    "/drill-runs", status_code=201, response_model=DrillRunOut, summary="Run a drill now", responses=_RUNS_ALREADY
)
def run_drill(wanted: DrillRunIn, at: AtDesk) -> Response:
    """Send a marked CRITICAL record of a service, and follow it: to its ticket, to a channel's answer, to an automatic
    acknowledgement and resolution. The ticket has the tag `drill`. People are called by the routes as they stand."""

    def work(tx: Tx) -> Response:
        run = drills.begin(tx, wanted.service, within_s=wanted.within_s)
        headers = {"location": f"/drill-runs/{run.id}"}
        return Response(run_of_drill_out(run).model_dump_json(), 201, headers, "application/json")

    return at.write(work)


@router.get("/drill-runs", summary="List runs of drills")
def list_runs(query: Annotated[QueryIn, Query()], with_: With) -> DrillRunPageOut:
    """Every run of a drill, the newest first."""
    found, cursor = drills.find(with_.database, cursor=query.cursor, limit=query.limit)
    return DrillRunPageOut(items=[run_of_drill_out(run) for run in found], next=cursor)


@router.get("/drill-runs/{id}", summary="One run of a drill", responses=MISSING)
def get_run(id: Id, with_: With) -> DrillRunOut:  # noqa: A002
    """How far a drill came, and when it reached each step."""
    return with_.database.read(lambda tx: run_of_drill_out(drills.get(tx, id)))


@router.get(
    "/tickets/{id}/deliveries/explain", summary="Why somebody was called, or not", responses=MISSING, tags=["tickets"]
)
def explain_deliveries(
    id: Id,  # noqa: A002
    with_: With,
    person: Annotated[Name | None, Query(description="A user; without one, everybody.", examples=["ana"])] = None,
) -> PagedExplanationOut | EverybodyToldOut:
    """Whether a person was called about a ticket: by which route and step, by which of their own rules, and what each
    provider answered, try by try; and if not, why not. Without a person: the same of everybody who was called or is
    named in its escalation policies, and what channels were told."""

    def look(tx: ReadTx) -> PagedExplanationOut | EverybodyToldOut:
        if person is None:
            return everybody_out(called.explain_all(tx, id))
        return explanation_out(called.explain(tx, id, person))

    return with_.database.read(look)


@router.get("/reports/paging", summary="What being paged costs", tags=["reports"])
def report_paging(query: Annotated[PagingReportIn, Query()], with_: With) -> PagingReportOut:
    """Calls, nights and repeats in a time, by person, service, team or rule, and how many of the tickets needed nobody.

    A ticket was closed without action when a person acknowledged it, and it was resolved within 10 minutes of that
    without a comment, an edit, another priority, a hold, a link or a note on its resolution. Drills don't count.
    """
    now = with_.clock.now()
    wanted = query.reckoned(now)
    until = wanted["until"] or now + MICROSECOND  # what happened right now counts
    since = wanted["since"] or until - _PERIOD
    if since >= until:
        raise Invalid("since is not before until", errors=(FieldError("since", "expected a time before until"),))
    return with_.database.read(lambda tx: paging_report_out(paging_report.report(tx, since, until, query.by)))
