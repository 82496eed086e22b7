"""What tickets add up to: counts, times to acknowledge and to resolve, SLA attainment, by what they have in common.

Pure: columns in, figures out. A median of an even number of times is the mean of the middle two, a p90 lies between its
neighbours in the same way (linear interpolation, as `percentile_cont` in SQL).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

import numpy as np

from tocsin.kit.calendar import Calendar
from tocsin.kit.clock import MICROSECOND
from tocsin.kit.priorities import Priority
from tocsin.tickets.coded import Coded
from tocsin.tickets.working_time import worked

HOUR_OF_WEEK: Final = "hour_of_week"
DAY: Final = "day"
MONTH: Final = "month"
RULE: Final = "rule"
BY_TIME: Final = (HOUR_OF_WEEK, DAY, MONTH)
GROUPS: Final = ("priority", "service", "team", "assignee", RULE, "opened_by", "source", "status", *BY_TIME)
_US: Final = 1_000_000
_SLOT_US: Final = 900 * _US  # offsets of time zones change at quarters of an hour
MISSING: Final = -1 << 62  # of a time that is not there; no other is so short
_PRIORITIES: Final = (None, *(priority.name for priority in Priority))  # by their numbers
COUNTS: Final = 1 << 21  # a packed count is less
_OF_RULE: Final = "rule:"
UNKNOWN: Final = 2  # how an SLA ended, beside 1 for kept and 0 for missed


@dataclass(frozen=True, slots=True)
class Times:
    """How long something took, in seconds; None when there is nothing to go by."""

    n: int
    mean_s: float | None
    median_s: float | None
    p90_s: float | None


@dataclass(frozen=True, slots=True)
class Kept:
    """How often a target was met. `attained` is the share of those with an outcome."""

    met: int
    missed: int

    @property
    def attained(self) -> float | None:
        return _share(self.met, self.met + self.missed)


NO_TIMES: Final = Times(0, None, None, None)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a group of tickets adds up to. `spent_s` is how long they were open, together; those that still are, until
    now. An SLA is kept if none of its clocks was late; `sla_acknowledge` and `sla_resolve` are the clocks apart."""

    key: str | None
    tickets: int = 0
    unresolved: int = 0
    acknowledge: Times = NO_TIMES
    resolve: Times = NO_TIMES
    acknowledge_working: Times = NO_TIMES
    resolve_working: Times = NO_TIMES
    spent_s: float = 0.0
    reopened: int = 0
    reopens: int = 0
    reassigned: int = 0
    reassignments: int = 0
    recurrences: int = 0
    sla_met: int = 0
    sla_missed: int = 0
    sla_acknowledge: Kept = Kept(0, 0)
    sla_resolve: Kept = Kept(0, 0)

    @property
    def sla_attained(self) -> float | None:
        return _share(self.sla_met, self.sla_met + self.sla_missed)

    @property
    def reopen_rate(self) -> float | None:
        return _share(self.reopened, self.tickets)

    @property
    def recurrence_rate(self) -> float | None:
        return _share(self.recurrences, self.tickets)


def _share(some: int, all_of_them: int) -> float | None:
    return some / all_of_them if all_of_them else None


@dataclass(frozen=True, slots=True)
class Rows:
    """Tickets by column, numbers as arrays; `key` is what they have in common, if it was asked for."""

    columns: Mapping[str, Any]
    key: Coded | None = None

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def rows(columns: Mapping[str, Any], by: str | None, zone: tzinfo) -> Rows:
    """Columns as `report_store` reads them, with what is packed into `packed` (see there) apart, and the key that a
    group has: its rule's name, its day, its hour of the week by the clock on the wall (`0 00` is Monday from midnight
    on)."""
    found = {name: values for name, values in columns.items() if name not in {"key", "packed"}}
    if "packed" in columns:
        found |= _unpacked(columns["packed"], columns["spent_us"])
    if by is None:
        return Rows(found)
    if by in BY_TIME:
        return Rows(found, _by_time(columns["opened_at"], by, zone))
    key = columns["key"]
    if by == RULE:
        return Rows(
            found, key.as_(lambda word: word.removeprefix(_OF_RULE) if (word or "").startswith(_OF_RULE) else None)
        )
    return Rows(found, key if isinstance(key, Coded) else Coded(_PRIORITIES, key))


def _unpacked(packed: Any, spent_us: Any) -> dict[str, Any]:
    counts = packed >> 8
    unresolved = packed & 1

    def small(values: Any) -> Any:
        return values.astype(np.uint8)  # of a million tickets each column would take 8 MB otherwise

    return {
        "resolve_us": np.where(unresolved == 0, spent_us, MISSING),
        "open": small(unresolved),
        "recurred": small(packed >> 1 & 1),
        "resolve_met": small(packed >> 2 & 3),
        "acknowledge_met": small(packed >> 4 & 3),
        "met": small(packed >> 6 & 3),
        "reopens": (counts // COUNTS).astype(np.int32),
        "reassignments": (counts % COUNTS).astype(np.int32),
    }


def _by_time(opened_at: Any, by: str, zone: tzinfo) -> Coded:
    if not len(opened_at):
        return Coded((), opened_at)
    slots = opened_at // _SLOT_US
    first = int(slots.min())
    slots -= first
    words: list[str | None] = [None] * (int(slots.max()) + 1)
    for slot in np.flatnonzero(np.bincount(slots)).tolist():
        words[slot] = _NAMES[by](_local((first + slot) * _SLOT_US, zone))
    return Coded.joined([Coded(tuple(words), slots)])


def _local(at_us: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(at_us // _US, zone)


_NAMES: Final[Mapping[str, Callable[[datetime], str]]] = {
    HOUR_OF_WEEK: lambda at: f"{at.weekday()} {at.hour:02d}",
    DAY: lambda at: at.date().isoformat(),
    MONTH: lambda at: at.date().isoformat()[:7],
}


def every_key(by: str | None, since: datetime, until: datetime, zone: tzinfo) -> list[str]:
    """The days or months of a period, also those without tickets: a chart has no holes. Of anything else, none."""
    if by not in {DAY, MONTH}:
        return []
    first, last = since.astimezone(zone).date(), (until - MICROSECOND).astimezone(zone).date()
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return list(dict.fromkeys(day.isoformat() if by == DAY else day.isoformat()[:7] for day in days))


def with_worked(tickets: Rows, calendars: Mapping[str, Calendar], named: Calendar | None) -> Rows:
    """With the working time of each, by the calendar of its SLA policy, or by a named one for all. One without a
    calendar has none."""
    opened = tickets.columns["opened_at"]
    starts = {"acknowledge": opened + tickets.columns["shift_us"], "resolve": opened}
    masks = [(named, None)] if named else [
        (one, tickets.columns["calendar"].is_(key)) for key, one in calendars.items()
    ]  # fmt: skip
    found = {
        f"{name}_worked_us": _worked(tickets.columns[f"{name}_us"], start, masks) for name, start in starts.items()
    }
    return Rows({**tickets.columns, **found}, tickets.key)


def _worked(taken: Any, starts: Any, masks: Sequence[tuple[Calendar, Any]]) -> Any:
    known = taken != MISSING
    found = np.full(len(taken), MISSING, dtype=np.int64)
    for calendar, mine in masks:
        places = np.flatnonzero(known if mine is None else known & mine)
        begun = starts[places]
        found[places] = worked(begun, begun + taken[places], calendar)
    return found


_TIMES: Final = {
    "acknowledge": "acknowledge_us",
    "resolve": "resolve_us",
    "acknowledge_working": "acknowledge_worked_us",
    "resolve_working": "resolve_worked_us",
}


def figures(tickets: Rows) -> tuple[Figures, list[Figures]]:
    """What they add up to, in all and by group, in the order of the keys; those without any at the end."""
    key = tickets.key or Coded.of_one("", len(tickets))
    groups = _figures(tickets, key)
    if not groups:
        return Figures(None), []
    together: dict[str, Any] = {name: sum(getattr(one, name) for one in groups) for name in (*_COUNTS, "tickets")}
    for name in _CLOCKS:
        kept = [getattr(one, name) for one in groups]
        together[name] = Kept(sum(one.met for one in kept), sum(one.missed for one in kept))
    for name, [times] in _all_times(tickets.columns, [len(tickets)]).items():
        together[name] = times
    total = Figures(None, **together, spent_s=round(sum(one.spent_s for one in groups), 6))
    return total, [] if tickets.key is None else in_order(groups)


_COUNTS: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "unresolved": lambda of: of["open"] == 1,
    "reopened": lambda of: of["reopens"] > 0,
    "reopens": lambda of: of["reopens"],
    "reassigned": lambda of: of["reassignments"] > 0,
    "reassignments": lambda of: of["reassignments"],
    "recurrences": lambda of: of["recurred"] == 1,
    "sla_met": lambda of: of["met"] == 1,
    "sla_missed": lambda of: of["met"] == 0,
}
_CLOCKS: Final = {"sla_acknowledge": "acknowledge_met", "sla_resolve": "resolve_met"}


def _figures(tickets: Rows, key: Coded) -> list[Figures]:
    """Of each word that there is."""
    columns, codes = tickets.columns, key.small()
    tickets_of = np.bincount(codes, minlength=len(key.words))
    order = np.argsort(codes, kind="stable")
    sorted_columns = {column: columns[column][order] for column in _TIMES.values() if column in columns}
    times = _all_times(sorted_columns, np.cumsum(tickets_of).tolist())

    def added_up(values: Any) -> list[int]:
        if values.dtype == bool:
            return np.bincount(codes[values], minlength=len(key.words)).tolist()  # type: ignore[no-any-return]
        return np.bincount(codes, values, minlength=len(key.words)).astype(np.int64).tolist()  # type: ignore[no-any-return]

    counts: dict[str, Sequence[Any]] = {name: added_up(of(columns)) for name, of in _COUNTS.items()}
    counts |= {
        name: list(map(Kept, added_up(columns[column] == 1), added_up(columns[column] == 0)))
        for name, column in _CLOCKS.items()
    }
    spent = columns["spent_us"]
    spent_s = np.bincount(codes, np.where(spent == MISSING, 0, spent) / _US, minlength=len(key.words)).tolist()
    return [
        Figures(
            word,
            tickets=n,
            spent_s=round(spent_s[place], 6),
            **{name: values[place] for name, values in (*counts.items(), *times.items())},
        )
        for place, (word, n) in enumerate(zip(key.words, tickets_of.tolist(), strict=True))
        if n
    ]


def _all_times(columns: Mapping[str, Any], ends: list[int]) -> dict[str, list[Times]]:
    return {name: _times(columns[column], ends) for name, column in _TIMES.items() if column in columns}


def _times(taken: Any, ends: list[int]) -> list[Times]:
    """Of each stretch of a column, by where it ends."""
    found, start = list[Times](), 0
    for end in ends:
        some = taken[start:end]
        found.append(_times_of(some[some != MISSING]))
        start = end
    return found


def _times_of(taken: Any) -> Times:
    n = len(taken)
    if not n:
        return NO_TIMES
    at = {place for share in (0.5, 0.9) for place in _around(n, share)}
    parted = np.partition(taken, sorted(at))
    return Times(n, _seconds(taken.mean()), _seconds(_quantile(parted, 0.5)), _seconds(_quantile(parted, 0.9)))


def _around(n: int, share: float) -> tuple[int, int]:
    low = int((n - 1) * share)
    return low, min(low + 1, n - 1)


def _quantile(parted: Any, share: float) -> float:
    """Between its neighbours, of an array that is in order where they are."""
    low, high = (int(parted[place]) for place in _around(len(parted), share))
    rest = (len(parted) - 1) * share - int((len(parted) - 1) * share)
    return low + (high - low) * rest


def _seconds(microseconds: float) -> float:
    return round(float(microseconds) / _US, 6)


def in_order(groups: Iterable[Figures]) -> list[Figures]:
    return sorted(groups, key=lambda one: (one.key is None, one.key))


RANKS: Final[Mapping[str, Callable[[Figures], float]]] = {
    "tickets": lambda one: one.tickets,
    "time": lambda one: one.spent_s,
    "breaches": lambda one: one.sla_missed,
    "reopened": lambda one: one.reopened,
    "recurrences": lambda one: one.recurrences,
}


@dataclass(frozen=True, slots=True)
class Offender:
    """A group that a good part of something comes from: how much, which share of all, and of all together with those
    that are worse."""

    figures: Figures
    amount: float
    share: float
    cumulative_share: float


def worst(groups: Sequence[Figures], rank: str, limit: int) -> list[Offender]:
    """The groups that the most comes from, the worst first. What has no key is nobody's fault, but counts in all."""
    amount = RANKS[rank]
    whole = sum(amount(one) for one in groups)
    named = sorted((one for one in groups if one.key is not None and amount(one) > 0), key=lambda one: one.key or "")
    found, so_far = list[Offender](), 0.0
    for one in sorted(named, key=amount, reverse=True)[:limit]:
        so_far += amount(one)
        found.append(Offender(one, amount(one), amount(one) / whole, so_far / whole))
    return found


AGES: Final = (("1h", 3_600), ("8h", 28_800), ("1d", 86_400), ("3d", 259_200), ("7d", 604_800), ("30d", 2_592_000))


@dataclass(frozen=True, slots=True)
class Backlog:
    """Tickets that are not resolved, by how long they have been open. `by_age` counts those younger than each age and
    not than the one before; the last entry those that are older than all."""

    key: str | None
    tickets: int
    by_age: tuple[int, ...]
    median_age_s: float | None
    oldest_age_s: float | None


def backlog(tickets: Rows, now_us: int) -> list[Backlog]:
    """The backlog of each group of unresolved tickets, or of all, in the order of their keys."""
    key = tickets.key or Coded.of_one("", len(tickets)).as_(lambda _: None)
    ages = (now_us - tickets.columns["opened_at"]) / _US
    bounds = np.array([seconds for _, seconds in AGES], dtype=float)
    found: list[Backlog] = []
    for place, word in enumerate(key.words):
        mine = ages[key.codes == place]
        if len(mine):
            by_age = np.bincount(np.searchsorted(bounds, mine, side="right"), minlength=len(AGES) + 1)
            found.append(Backlog(word, len(mine), tuple(by_age.tolist()), float(np.median(mine)), float(mine.max())))
    return sorted(found, key=lambda one: (one.key is None, one.key))
