"""Forecasts over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from tocsin.kit.priorities import Priority
from tocsin.tickets import forecast_service
from tocsin.tickets.forecast_service import Outlook
from tocsin.web.schemas import Out, ProblemOut
from tocsin.web.services import Services, services
from tocsin.web.tickets_routes import Id

MOST: Final = 200
router = APIRouter(tags=["tickets"])
With = Annotated[Services, Depends(services)]
_REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": ProblemOut},
    409: {"model": ProblemOut, "description": "The ticket is resolved or closed"},
}


class ForecastOut(Out):
    """What past tickets of its kind say of an open one. Times are by the clock on the wall."""

    open_s: float
    due_at: datetime | None = Field(description="When its resolve target is due; null without one, or on hold.")
    breach_probability: float | None = Field(description="Null without a target, or when nothing can be said.")
    expected_s: float | None = Field(
        description="From opening: by then half of those were resolved that had been open as long. Null if never."
    )
    remaining_s: float | None
    rests_on: str | None = Field(examples=["of P2, service payments"])
    tickets: int = Field(description="How many it rests on; 0 when too few were resolved to say anything.")


@router.get("/tickets/{id}/forecast", summary="How long a ticket may still take", responses=_REFUSED)
def ticket_forecast(id: Id, with_: With) -> ForecastOut:  # noqa: A002
    """The probability that an open ticket misses its resolve target, and the time it may be expected to take.

    From past tickets of the same priority, service and team; of fewer of these where too few are known. Tickets that
    are still open count as what they are: known to take at least so long (Kaplan-Meier).
    """
    return ForecastOut(**_said(with_.database.read(lambda tx: forecast_service.of_ticket(tx, id))))


def _said(outlook: Outlook) -> dict[str, Any]:
    found = outlook.found
    expected = None if found is None else found.expected_s
    return {
        "open_s": outlook.open_s,
        "due_at": outlook.due_at,
        "breach_probability": None if found is None else found.breach,
        "expected_s": expected,
        "remaining_s": None if expected is None else expected - outlook.open_s,
        "rests_on": None if found is None else found.rests_on,
        "tickets": 0 if found is None else found.tickets,
    }


class OpenForecastOut(ForecastOut):
    """The forecast of one open ticket among others."""

    ticket_id: int
    title: str
    priority: str
    service: str | None
    team: str | None
    assignee: str | None


class ForecastReportOut(Out):
    at: datetime
    items: list[OpenForecastOut]


@router.get("/reports/forecast", summary="Which open tickets will probably be late")
def forecast_report(with_: With, limit: Annotated[int, Query(ge=1, le=MOST)] = 20) -> ForecastReportOut:
    """Of the open tickets that are due next (the first 200), those that are the likeliest to miss their resolve target,
    the worst first; each as `GET /tickets/{id}/forecast` tells it."""
    now = with_.clock.now()
    found = with_.database.read(lambda tx: forecast_service.likeliest(tx, looked_at=MOST, limit=limit))
    shared = ("title", "service", "team", "assignee")
    items = [
        OpenForecastOut(
            **_said(outlook),
            **{name: getattr(ticket, name) for name in shared},
            ticket_id=ticket.id,
            priority=Priority(ticket.priority).name,
        )
        for ticket, outlook in found
    ]
    return ForecastReportOut(at=now, items=items)
