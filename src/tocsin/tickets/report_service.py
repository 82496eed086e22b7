"""The use cases of reports: what tickets of a period add up to, beside the period before it; where the most of
something comes from; the backlog as it is."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from typing import Final

from tocsin.kit.calendar import ALWAYS, Calendar
from tocsin.kit.clock import EPOCH, to_us
from tocsin.kit.errors import FieldError, Invalid
from tocsin.storage.tx import ReadTx
from tocsin.tickets import report_store as store
from tocsin.tickets import reporting, sla_store
from tocsin.tickets.calendars import kept_calendar
from tocsin.tickets.report_store import Asked
from tocsin.tickets.reporting import Backlog, Figures, Offender

_MARGIN: Final = timedelta(microseconds=1)
_CALENDAR: Final = "calendar"


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of a period, in all and by group, and of the period of the same length before it."""

    since: datetime
    until: datetime
    by: str | None
    total: Figures
    groups: list[Figures]
    previous: Figures | None = None
    previous_groups: dict[str | None, Figures] = field(default_factory=dict)


def tickets(
    tx: ReadTx, asked: Asked, *, by: str | None, zone: tzinfo, trend: bool, calendar: str | None = None
) -> Report:
    """What the tickets that were opened in a period add up to; the whole history is looked at from its first ticket.

    Working times are by the calendar of each ticket's SLA policy, or by the named one for all. Raises Invalid when
    there is none of that name.
    """
    if asked.since == EPOCH:
        found = store.span(tx, asked)
        if found is not None:
            asked = replace(asked, since=found[0], until=min(asked.until, found[1] + _MARGIN))
    named = None if calendar is None else _named(tx, calendar)
    total, groups = _figures(tx, asked, by, zone, named)
    if not trend:
        return Report(asked.since, asked.until, by, total, groups)
    earlier = asked.since - (asked.until - asked.since) if asked.until - asked.since < asked.since - EPOCH else EPOCH
    before, was = _figures(tx, replace(asked, since=earlier, until=asked.since), by, zone, named)
    return Report(asked.since, asked.until, by, total, groups, before, {one.key: one for one in was})


def _figures(
    tx: ReadTx, asked: Asked, by: str | None, zone: tzinfo, named: Calendar | None
) -> tuple[Figures, list[Figures]]:
    """Of all together, and by group."""
    calendars = {} if named else _calendars(tx)
    read = store.columns(tx, asked, by, calendars=bool(calendars), working=bool(calendars or named))
    found = reporting.rows(read, by, zone)
    if calendars or named:
        found = reporting.with_worked(found, calendars, named)
    linked = reporting.rows(store.linked(tx, asked, by), by, zone)
    total, groups = reporting.figures(found)
    total = replace(total, recurrences=total.recurrences + len(linked))
    if by is None:
        return total, []
    more = Counter(linked.key.values() if linked.key else [])
    groups = [replace(one, recurrences=one.recurrences + more[one.key]) for one in groups]
    every = [] if asked.since == EPOCH else reporting.every_key(by, asked.since, asked.until, zone)
    empty = set(every) - {one.key for one in groups}
    return total, reporting.in_order([*groups, *map(Figures, empty)])


def _named(tx: ReadTx, name: str) -> Calendar:
    found = sla_store.get(tx, sla_store.CALENDAR, name)
    if found is None:
        detail = f"there is no calendar {name[:60]!r}; GET /sla/calendars names them"
        raise Invalid(f"calendar: {detail}", errors=(FieldError(_CALENDAR, detail),))
    return kept_calendar(found.definition)


def _calendars(tx: ReadTx) -> Mapping[str, Calendar]:
    """What tickets may run by, as their rows name it; nothing where there never was a policy or a calendar."""
    dated = sla_store.all_versions(tx, sla_store.CALENDAR)
    found = {f"{name}@{version}": kept_calendar(definition) for name, version, definition in dated}
    return {"": ALWAYS, **found} if found or sla_store.all_of(tx, sla_store.POLICY) else {}


def offenders(
    tx: ReadTx, asked: Asked, *, by: str, rank: str, limit: int, zone: tzinfo
) -> tuple[Report, list[Offender]]:
    """Where the most comes from: tickets, time, breaches, reopened ones; the worst groups first, with their share."""
    report = tickets(tx, asked, by=by, zone=zone, trend=asked.since != EPOCH)
    return report, reporting.worst(report.groups, rank, limit)


def backlog(tx: ReadTx, asked: Asked, *, by: str | None, zone: tzinfo) -> list[Backlog]:
    """The tickets that are not resolved now, by how long they have been open."""
    return reporting.backlog(reporting.rows(store.unresolved(tx, asked, by), by, zone), to_us(tx.now))
