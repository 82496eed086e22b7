"""Reports as they go out over HTTP."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from pydantic import Field

from tocsin.tickets.reporting import AGES, RANKS, Backlog, Figures, Offender
from tocsin.web.schemas import Out


class TimesOut(Out):
    """How long something took. Null when there is nothing to go by."""

    n: int = Field(description="How many tickets it rests on.")
    mean_s: float | None
    median_s: float | None
    p90_s: float | None


class KeptOut(Out):
    """How often the target of one clock was met. Imported tickets have none here: their source said it of all."""

    met: int
    missed: int = Field(description="Ended late, or overdue now.")
    attained: float | None = Field(description="Share of those whose outcome is known.")


class FiguresOut(Out):
    """What tickets add up to. `*_working` is the working time of the same stretches, by the calendar of each ticket's
    SLA policy or by the one that was asked for; tickets without one are left out there."""

    key: str | None = Field(description="What they have in common; null for those without.", examples=["P2"])
    tickets: int
    unresolved: int
    acknowledge: TimesOut = Field(description="From opening, or from the last reopening by an alert.")
    resolve: TimesOut = Field(description="From opening to the last resolution.")
    acknowledge_working: TimesOut
    resolve_working: TimesOut
    spent_s: float = Field(description="How long they were open, together; those that still are, until now.")
    reopened: int = Field(description="Tickets that were reopened at all.")
    reopens: int
    reopen_rate: float | None = Field(description="Share of tickets that were reopened.")
    reassigned: int
    reassignments: int
    recurrences: int = Field(description="Tickets that are a recurrence of an earlier one.")
    recurrence_rate: float | None
    sla_met: int = Field(description="None of their clocks was late.")
    sla_missed: int = Field(description="One of their clocks ended late, or is overdue now.")
    sla_attained: float | None = Field(description="Share of those whose outcome is known.")
    sla_acknowledge: KeptOut
    sla_resolve: KeptOut


class GroupOut(FiguresOut):
    """A group, with the same figures of the period of equal length before. `change` says of each how it changed: of
    counts and times by which share (0.25 is a quarter more), of rates and shares by how much (0.05 is five points);
    null where there is nothing to compare with."""

    previous: FiguresOut | None
    change: dict[str, float | None] | None = Field(examples=[{"tickets": 0.25, "sla_attained": -0.05}])


class TicketReportOut(Out):
    """A period's tickets, ready to be drawn: a row per group; of days and months also those without tickets."""

    since: datetime
    until: datetime
    zone: str
    by: str | None
    calendar: str | None = Field(description="That working times are by; null: that of each ticket.")
    total: GroupOut
    items: list[GroupOut]


class OffenderOut(Out):
    """A group that a good part of something comes from."""

    key: str
    amount: float
    share: float = Field(description="Of all.")
    cumulative_share: float = Field(description="Of all, together with those above it.")
    change: float | None = Field(description="Of the amount, against the period before.")
    figures: FiguresOut


class OffendersReportOut(Out):
    since: datetime
    until: datetime
    by: str
    rank: str
    total: FiguresOut
    items: list[OffenderOut]


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
    if not trend:
        return GroupOut(**dict(out), previous=None, change=None)
    was = FiguresOut.model_validate(before or Figures(one.key))
    return GroupOut(**dict(out), previous=was, change=_changes(out, was))


def _changes(out: FiguresOut, was: FiguresOut) -> dict[str, float | None]:
    now, then = (flat(one.model_dump(exclude={"key"})) for one in (out, was))
    return {name: _change(name, now[name], then[name]) for name in now}


def _change(name: str, now: float | None, was: float | None) -> float | None:
    if now is None or was is None:
        return None
    if name.endswith(("rate", "attained")):
        return round(now - was, 6)
    return round(now / was - 1, 6) if was else None


def offender_out(one: Offender, before: Figures | None, rank: str) -> OffenderOut:
    was = RANKS[rank](before) if before else None
    return OffenderOut(
        key=one.figures.key or "",
        amount=one.amount,
        share=round(one.share, 6),
        cumulative_share=round(one.cumulative_share, 6),
        change=_change(rank, one.amount, was),
        figures=FiguresOut.model_validate(one.figures),
    )


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
