"""Reports over HTTP: what tickets of a period add up to, and what is still to be done."""

import csv
import io
from datetime import datetime, tzinfo
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from tocsin.kit.clock import EPOCH
from tocsin.kit.errors import FieldError, Invalid
from tocsin.kit.zones import zone_of
from tocsin.query.parse import parse
from tocsin.tickets import report_service as reports
from tocsin.tickets.fields import TICKETS
from tocsin.tickets.report_store import Asked
from tocsin.web.report_schemas import (
    BacklogReportOut,
    FiguresOut,
    OffendersReportOut,
    TicketReportOut,
    backlog_out,
    flat,
    group_out,
    offender_out,
)
from tocsin.web.schemas import InstantIn, QueryText, Reckoned, Word
from tocsin.web.services import Services, services

router = APIRouter(tags=["reports"], prefix="/reports")
With = Annotated[Services, Depends(services)]
By = Literal[
    "priority", "service", "team", "assignee", "rule", "opened_by", "source", "status", "hour_of_week", "day", "month"
]  # fmt: skip
Culprit = Literal["rule", "service", "team", "assignee", "priority", "source"]
Rank = Literal["tickets", "time", "breaches", "reopened", "recurrences"]
_CSV: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/csv": {}}}}
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")


class PeriodIn(Reckoned):
    since: InstantIn | None = Field(None, description="Opened from then on; without it, all.", examples=["30d"])
    until: InstantIn | None = Field(None, description="Opened before; without it, now.")
    zone: str = Field("UTC", max_length=100, description="For hours, days and months.", examples=["Europe/Lisbon"])
    q: QueryText | None = Field(None, description="Only tickets that meet this, in the filter language.")
    source: Word | None = Field(None, description="Only those imported from there.", examples=["servicenow"])
    format: Literal["json", "csv"] = "json"

    def asked(self, now: datetime) -> Asked:
        """Raises Invalid."""
        wanted = self.reckoned(now)
        since, until = wanted["since"] or EPOCH, wanted["until"] or now
        if since >= until:
            raise Invalid("since is not before until", errors=(FieldError("since", "expected a time before until"),))
        return Asked(since, until, parse(self.q, TICKETS, now=now) if self.q else None, self.source)

    def time_zone(self) -> tzinfo:
        """Raises Invalid."""
        found = zone_of(self.zone)
        if found is None:
            detail = f"{self.zone[:60]!r} is no time zone known here; expected a name such as Europe/Berlin"
            raise Invalid(f"zone: {detail}", errors=(FieldError("zone", detail),))
        return found


class ReportQueryIn(PeriodIn):
    by: By | None = Field(None, description="What groups have in common.", examples=["priority"])


class TicketReportIn(ReportQueryIn):
    trend: bool = Field(True, description="Beside the period of the same length before.")
    calendar: Word | None = Field(
        None, description="Working times by this one; without it, by that of each ticket's SLA policy."
    )


class OffendersIn(PeriodIn):
    by: Culprit = "rule"
    rank: Rank = Field("tickets", description="By what the worst are found; `time` is how long they were open.")
    limit: int = Field(10, ge=1, le=1000)


@router.get("/tickets", response_model=TicketReportOut, responses=_CSV, summary="What tickets add up to")
def ticket_report(query: Annotated[TicketReportIn, Query()], with_: With) -> Response:
    """Volume, times to acknowledge and to resolve (mean, median, p90; on the wall and in working time), reopens,
    reassignments, recurrences and SLA attainment of the tickets that were opened in a period, in all and by `by`;
    beside the period before.

    `hour_of_week` is `0 00` for Monday from midnight on in `zone`, `day` is `2026-11-24`, `month` is `2026-11`.
    """
    asked, zone = query.asked(with_.clock.now()), query.time_zone()
    trend = query.trend and query.since is not None
    found = with_.database.read(
        lambda tx: reports.tickets(tx, asked, by=query.by, zone=zone, trend=trend, calendar=query.calendar)
    )
    out = TicketReportOut(
        since=found.since,
        until=found.until,
        zone=query.zone,
        by=query.by,
        calendar=query.calendar,
        total=group_out(found.total, found.previous, trend=trend),
        items=[group_out(one, found.previous_groups.get(one.key), trend=trend) for one in found.groups],
    )
    return _answer(out, [*out.items, out.total] if query.by is None else out.items, query.format)


@router.get("/offenders", response_model=OffendersReportOut, responses=_CSV, summary="Where the most comes from")
def offenders_report(query: Annotated[OffendersIn, Query()], with_: With) -> Response:
    """The rules, services, teams or persons with the most tickets, the longest time, the most breaches, the most
    reopened or recurring ones: each with its share of all, the worst first."""
    asked, zone = query.asked(with_.clock.now()), query.time_zone()
    report, found = with_.database.read(
        lambda tx: reports.offenders(tx, asked, by=query.by, rank=query.rank, limit=query.limit, zone=zone)
    )
    out = OffendersReportOut(
        since=report.since,
        until=report.until,
        by=query.by,
        rank=query.rank,
        total=FiguresOut.model_validate(report.total),
        items=[offender_out(one, report.previous_groups.get(one.figures.key), query.rank) for one in found],
    )
    return _answer(out, out.items, query.format)


@router.get("/backlog", response_model=BacklogReportOut, responses=_CSV, summary="What is not resolved, by age")
def backlog_report(query: Annotated[ReportQueryIn, Query()], with_: With) -> Response:
    """Tickets that are neither RESOLVED nor CLOSED now, by how long they have been open."""
    now = with_.clock.now()
    asked, zone = query.asked(now), query.time_zone()
    found = with_.database.read(lambda tx: reports.backlog(tx, asked, by=query.by, zone=zone))
    out = BacklogReportOut(at=now, by=query.by, items=[backlog_out(one) for one in found])
    return _answer(out, out.items, query.format)


def _answer(out: TicketReportOut | OffendersReportOut | BacklogReportOut, rows: Any, form: str) -> Response:
    if form == "json":
        return Response(out.model_dump_json(), media_type="application/json")
    text = io.StringIO()
    table = [flat(one.model_dump()) for one in rows]
    writer = csv.DictWriter(text, sorted({name for row in table for name in row}, key=_place(table)))
    writer.writeheader()
    writer.writerows({name: _safe(value) for name, value in row.items()} for row in table)
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8")


def _place(table: list[dict[str, Any]]) -> Any:
    order = {name: place for row in reversed(table) for place, name in enumerate(row)}
    return order.__getitem__


def _safe(value: Any) -> Any:
    """What a spreadsheet would take for a formula is shown, not obeyed."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULAS) else value
