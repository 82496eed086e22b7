"""What was changed in services over HTTP: recorded by whoever deploys, found, shown in the timelines of tickets."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AfterValidator, Field, StringConstraints

from tocsin.tickets import change_service
from tocsin.tickets.change_store import Change, ChangeQuery
from tocsin.tickets.changes import KEPT
from tocsin.web.schemas import In, InstantIn, Line, Moment, Name, Out, ProblemOut, QueryIn, Word, no_nul
from tocsin.web.services import Desk, Services, desk, services

router = APIRouter(tags=["changes"])
AtDesk = Annotated[Desk, Depends(desk)]
With = Annotated[Services, Depends(services)]
_MISSING: Final[dict[int | str, dict[str, Any]]] = {404: {"model": ProblemOut}}
_Url = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2_000), AfterValidator(no_nul)]
_Text = Annotated[str, StringConstraints(max_length=1_000), AfterValidator(no_nul)]
_Number = Annotated[float, Field(allow_inf_nan=False)]
_Whole = Annotated[int, Field(ge=-(2**53), le=2**53)]


class ChangeIn(In):
    """What was changed in a service."""

    service: Word = Field(examples=["payments"])
    summary: Line = Field(examples=["Deploy of payments"])
    ref: Line | None = Field(None, description="What of it: a version, a commit.", examples=["v2.14.0"])
    at: Moment | None = Field(
        None, description=f"When; now, if it is left out. Within the last {KEPT.days} days, 5 minutes ahead at most."
    )
    url: _Url | None = Field(None, description="http or https.", examples=["https://ci.example.org/payments/481"])
    author: Name | None = Field(None, description="Who did it, as you call them.", examples=["ana"])
    attributes: dict[Name, _Text | bool | _Whole | _Number | None] = Field(
        default_factory=dict, description="Up to 50 values, 16 KiB in all.", examples=[{"environment": "production"}]
    )


class ChangeOut(Out):
    """What was changed in a service."""

    id: int
    service: str
    at: datetime
    summary: str
    ref: str | None
    url: str | None
    author: str | None
    attributes: dict[str, Any]
    recorded_at: datetime
    recorded_by: str = Field(examples=["local:admin"])


class ChangePageOut(Out):
    items: list[ChangeOut]
    next: str | None


class ChangeQueryIn(QueryIn):
    service: Word | None = Field(None, description="In any case.", examples=["payments"])
    author: Name | None = Field(None, examples=["ana"])
    ref: Line | None = Field(None, examples=["v2.14.0"])
    since: InstantIn | None = Field(None, description="Included.", examples=["24h"])
    until: InstantIn | None = Field(None, description="Excluded.", examples=["2026-11-24T00:00:00Z"])


def _answer(change: Change, status: int = 200) -> Response:
    headers = {"location": f"/changes/{change.id}"} if status == 201 else {}
    return Response(ChangeOut.model_validate(change).model_dump_json(), status, headers, "application/json")


@router.post("/changes", status_code=201, response_model=ChangeOut, summary="Record a change of a service")
def record_change(change: ChangeIn, at: AtDesk) -> Response:
    """Record a deploy, a switch, a migration. It stands in the timelines of the tickets of its service that opened
    within the 30 minutes after it, or were not resolved then."""
    facts = change.model_dump(exclude={"service"})
    return at.write(lambda tx: _answer(change_service.record(tx, change.service, facts), 201))


@router.get("/changes", summary="Find changes of services")
def find_changes(query: Annotated[ChangeQueryIn, Query()], with_: With) -> ChangePageOut:
    """Changes that match all filters, the newest first. They are kept for 400 days."""
    wanted = query.reckoned(with_.clock.now())
    asked = ChangeQuery(**{name: wanted[name] for name in ("service", "author", "ref", "since", "until")})
    found, cursor = change_service.find(with_.database, asked, cursor=query.cursor, limit=query.limit)
    return ChangePageOut(items=[ChangeOut.model_validate(one) for one in found], next=cursor)


@router.get("/changes/{id}", response_model=ChangeOut, summary="One change", responses=_MISSING)
def get_change(id: Annotated[int, Path(ge=1, le=2**53)], with_: With) -> Response:  # noqa: A002
    """One change of a service."""
    return _answer(with_.database.read(lambda tx: change_service.get(tx, id)))
