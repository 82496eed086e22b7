"""Reports as they go out over HTTP."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from pydantic import Field

from tocsin.tickets.reporting import AGES, Backlog, Figures
from tocsin.web.schemas import Out


class TimesOut(Out):
    """How long something took. Null when there is nothing to go by."""

    n: int = Field(description="How many tickets it rests on.")
    mean_s: float | None
    median_s: float | None
    p90_s: float | None


class FiguresOut(Out):
    """What tickets add up to."""

    key: str | None = Field(description="What they have in common; null for those without.", examples=["P2"])
    tickets: int
    unresolved: int
    acknowledge: TimesOut = Field(description="From opening, or from the last reopening by an alert.")
    resolve: TimesOut = Field(description="From opening to the last resolution.")
    reopened: int = Field(description="Tickets that were reopened at all.")
    reopens: int
    reassigned: int
    reassignments: int
    sla_met: int
    sla_missed: int = Field(description="Ended late, or overdue now.")
    sla_attained: float | None = Field(description="Share of those whose outcome is known.")


class TrendOut(Out):
    """The same of the period of equal length before, and how much changed: 0.25 is a quarter more."""

    tickets: int
    resolve_median_s: float | None
    sla_attained: float | None
    tickets_change: float | None
    resolve_median_change: float | None


class GroupOut(FiguresOut):
    previous: TrendOut | None


class TicketReportOut(Out):
    """A period's tickets, ready to be drawn: a row per group."""

    since: datetime
    until: datetime
    zone: str
    by: str | None
    total: GroupOut
    items: list[GroupOut]


class AgeOut(Out):
    younger_than: str | None = Field(description="Null: older than all.", examples=["8h"])
    tickets: int


class BacklogOut(Out):
    """Tickets that are not resolved, by age."""

    key: str | None
    tickets: int
    median_age_s: float | None
    oldest_age_s: float | None
    ages: list[AgeOut]


class BacklogReportOut(Out):
    at: datetime
    by: str | None
    items: list[BacklogOut]


_LABELS: Final = (*(name for name, _ in AGES), None)


def group_out(one: Figures, before: Figures | None, *, trend: bool) -> GroupOut:
    """A group with its trend; one that was not there before had no tickets."""
    out = FiguresOut.model_validate(one)
    return GroupOut(**dict(out), previous=_trend(one, before) if trend else None)


def _trend(one: Figures, before: Figures | None) -> TrendOut:
    was = before.resolve.median_s if before else None
    return TrendOut(
        tickets=before.tickets if before else 0,
        resolve_median_s=was,
        sla_attained=before.sla_attained if before else None,
        tickets_change=_change(one.tickets, before.tickets if before else None),
        resolve_median_change=_change(one.resolve.median_s, was),
    )


def _change(now: float | None, was: float | None) -> float | None:
    return None if now is None or not was else round(now / was - 1, 6)


def backlog_out(one: Backlog) -> BacklogOut:
    ages = [AgeOut(younger_than=label, tickets=n) for label, n in zip(_LABELS, one.by_age, strict=True)]
    return BacklogOut(
        key=one.key, tickets=one.tickets, median_age_s=one.median_age_s, oldest_age_s=one.oldest_age_s, ages=ages
    )


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A row of a table: `resolve.median_s` is a column."""
    found: dict[str, Any] = {}
    for name, one in value.items():
        if isinstance(one, Mapping):
            found |= flat(one, f"{prefix}{name}.")
        elif isinstance(one, list):
            found |= {f"{prefix}{name}.{age['younger_than'] or 'older'}": age["tickets"] for age in one}
        else:
            found[prefix + name] = one
    return found
