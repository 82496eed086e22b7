"""The use cases of reports: what tickets of a period add up to, beside the period before it; the backlog as it is."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Final

import polars as pl

from tocsin.kit.clock import EPOCH, to_us
from tocsin.storage.tx import ReadTx
from tocsin.tickets import report_store as store
from tocsin.tickets import reporting
from tocsin.tickets.report_store import Asked
from tocsin.tickets.reporting import HOUR_OF_WEEK, Backlog, Figures

_MARGIN: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of a period, in all and by group, and of the period of the same length before it."""

    since: datetime
    until: datetime
    by: str | None
    total: Figures
    groups: list[Figures]
    previous: Figures | None
    previous_groups: dict[str | None, Figures]


def tickets(tx: ReadTx, asked: Asked, *, by: str | None, zone: tzinfo, trend: bool) -> Report:
    """What the tickets that were opened in a period add up to; the whole history is looked at from its first ticket."""
    if asked.since == EPOCH:
        found = store.span(tx, asked)
        if found is not None:
            asked = replace(asked, since=found[0], until=min(asked.until, found[1] + _MARGIN))
    now = _columns(tx, asked, by, zone)
    total, groups = reporting.total(now), [] if by is None else reporting.by_key(now)
    earlier = asked.since - (asked.until - asked.since) if asked.until - asked.since < asked.since - EPOCH else EPOCH
    if not trend:
        return Report(asked.since, asked.until, by, total, groups, None, {})
    before = _columns(tx, replace(asked, since=earlier, until=asked.since), by, zone)
    was = {} if by is None else {one.key: one for one in reporting.by_key(before)}
    return Report(asked.since, asked.until, by, total, groups, reporting.total(before), was)


def _columns(tx: ReadTx, asked: Asked, by: str | None, zone: tzinfo) -> pl.DataFrame:
    found = reporting.frame(store.columns(tx, asked, by))
    return reporting.with_hours(found, zone) if by == HOUR_OF_WEEK else found


def backlog(tx: ReadTx, asked: Asked, *, by: str | None, zone: tzinfo) -> list[Backlog]:
    """The tickets that are not resolved now, by how long they have been open."""
    found = reporting.frame(store.unresolved(tx, asked, by))
    if by == HOUR_OF_WEEK:
        found = reporting.with_hours(found, zone)
    elif by is None:
        found = found.with_columns(key=pl.lit(None, dtype=pl.String))
    return reporting.backlog(found, to_us(tx.now))
