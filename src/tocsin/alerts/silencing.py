"""Silences: which records they cover, when they are active, when they break. Pure: the same live and looking back.

A silence without a recurrence lasts from `starts_at` to `ends_at`; a maintenance window is active for `duration_s` from
each instant at which its recurrence begins, in its time zone, and never beyond `ends_at`.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import islice, takewhile
from typing import Final, Protocol
from zoneinfo import ZoneInfoNotFoundError

from tocsin.alerts.conditions import condition_of
from tocsin.alerts.recurrence import NotARecurrence, beginnings, parse_recurrence
from tocsin.alerts.rules import Rule
from tocsin.alerts.suppression import SILENCE, by, parts
from tocsin.logs.record import Record
from tocsin.query.letters import fold
from tocsin.query.predicate import Attributes, Predicate, Row
from tocsin.query.tree import And, Everything, Named, Node, Not, Or
from tocsin.query.values import flatten

BASELINE_MINUTES: Final = 60
BREAK_MINUTES: Final = 5
LEAST_BASELINE: Final = 60  # records an hour: what was all but quiet does not break at the first few
STILL_FIRES_WITHIN: Final = timedelta(minutes=10)  # so long after its last record, an alert fires
_COMPILED: Final = 4096
_KIND: Final = frozenset({"level", "severity_number", "service"})


class State(StrEnum):
    """Whether a silence hides anything now: not yet, yes, no longer because too much came, no longer."""

    SCHEDULED = "scheduled"
    ACTIVE = "active"
    BROKEN = "broken"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Span:
    """From an instant on, until just before another one."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Silence:
    """Records that `matcher` is true of open no ticket while it is active.

    `baseline_n`: how many such records there were in the hour before it was made. `broken_at`: when so many more came
    that it hides nothing for the rest of that occurrence. `closed_at`: up to when its occurrences were closed; a
    transaction that began before, and is written after that, must not hide anything in one that nobody will open again.
    `applied_as`: what the file that it came from calls it.
    """

    id: int
    version: int
    matcher: str
    owner: str
    reason: str
    starts_at: datetime
    ends_at: datetime
    recurrence: str | None = None
    duration_s: int | None = None
    time_zone: str = "UTC"
    break_factor: float | None = None
    baseline_n: int | None = None
    broken_at: datetime | None = None
    closed_at: datetime | None = None
    applied_as: str | None = None

    @property
    def name(self) -> str:
        """What verdicts and alerts call it."""
        return by(SILENCE, self.id)

    def occurrence_at(self, now: datetime) -> Span | None:
        """The occurrence that holds an instant, whether it is broken or not."""
        span = next(self._from(now), None)
        return span if span is not None and span.start <= now else None

    def active_at(self, now: datetime) -> bool:
        """Whether it hides what it covers."""
        span = self.occurrence_at(now)
        if span is None or (self.closed_at is not None and span.end <= self.closed_at):
            return False
        return not self._broken_in(span)

    def state_at(self, now: datetime) -> State:
        span = self.occurrence_at(now)
        if span is not None:
            return State.BROKEN if self._broken_in(span) else State.ACTIVE
        return State.EXPIRED if self.next_turn(now) is None else State.SCHEDULED

    def next_turn(self, now: datetime) -> datetime | None:
        """When an occurrence begins or ends next; None when there is none any more."""
        span = next(self._from(now), None)
        if span is None:
            return None
        return span.start if span.start > now else span.end

    def next_occurrences(self, now: datetime, most: int) -> list[Span]:
        """The present occurrence, if there is one, and those that follow."""
        return list(islice(self._from(now), most))

    def active_within(
        self, since: datetime, until: datetime, *, made_at: datetime, broken_at: Collection[datetime]
    ) -> list[Span]:
        """When it hid what it covers, as far as that touches [since, until): not before it was made, and of an
        occurrence that broke only until then. `broken_at` are such moments, as far as they are known."""
        breaks_at = sorted({*broken_at, *([] if self.broken_at is None else [self.broken_at])})
        found: list[Span] = []
        for span in takewhile(lambda span: span.start < until, self._from(since)):
            end = next((at for at in breaks_at if span.start <= at < span.end), span.end)
            active = Span(max(span.start, made_at), end)
            if active.start < min(active.end, until) and active.end > since:
                found.append(active)
        return found

    def _broken_in(self, span: Span) -> bool:
        return self.broken_at is not None and span.start <= self.broken_at

    def _from(self, now: datetime) -> Iterator[Span]:
        """The occurrences that end after an instant, in order."""
        if self.recurrence is None:
            return iter([Span(self.starts_at, self.ends_at)] if now < self.ends_at else [])
        length = timedelta(seconds=self.duration_s or 0)
        try:
            starts = self.beginnings()
        except (NotARecurrence, ZoneInfoNotFoundError):  # stored by another program: not active is the safe side
            starts = ()
        behind = bisect_right(starts, now - length)
        spans = (Span(start, min(start + length, self.ends_at)) for start in islice(starts, behind, None))
        return (span for span in spans if span.end > now)

    def beginnings(self) -> tuple[datetime, ...]:
        """When its occurrences begin. Raises NotARecurrence."""
        if self.recurrence is None:
            return (self.starts_at,)
        rule = parse_recurrence(self.recurrence)
        return beginnings(rule, first=self.starts_at, until=self.ends_at, zone=self.time_zone)


@dataclass(frozen=True, slots=True, eq=False)
class Covering:
    """A silence's matcher made ready. `severities` and `services` rule out cheaply, as those of a rule do. `by_kind`: a
    record's severity and service say all."""

    id: int
    holds: Predicate
    severities: frozenset[int]
    services: frozenset[str] | None
    by_kind: bool

    def may_cover(self, severity: int, service: str) -> bool:
        return severity in self.severities and (self.services is None or fold(service) in self.services)


@lru_cache(maxsize=_COMPILED)
def _compiled(silence_id: int, matcher: str) -> Covering:
    rule = Rule(name="silence", version=0, condition=matcher)
    condition = condition_of(rule)
    return Covering(silence_id, condition.holds, condition.severities, condition.services, _by_kind(rule.node()))


def _by_kind(node: Node) -> bool:
    """Whether a tree asks for nothing but level and service."""
    match node:
        case Everything():
            return True
        case And(parts) | Or(parts):
            return all(_by_kind(part) for part in parts)
        case Not(part):
            return _by_kind(part)
        case _:
            return isinstance(node.target, Named) and node.target.name in _KIND


def coverings_of(silences: Iterable[Silence]) -> tuple[Covering, ...]:
    """Matchers made ready, by id. One that can't be read covers nothing: what is not surely silenced is heard."""
    found = []
    for silence in sorted(silences, key=lambda one: one.id):
        try:
            found.append(_compiled(silence.id, silence.matcher))
        except Exception:  # noqa: BLE001, S112  # it was stored by another program, or by hand
            continue
    return tuple(found)


def covers(covering: Covering, row: Row) -> bool:
    """Whether a silence's matcher is true of a record. One that raises on it does not cover it."""
    try:
        return covering.holds(row)
    except Exception:  # noqa: BLE001  # as above: the record is heard, and the rule that matched it goes on
        return False


class StoredRow:
    """A stored record as matchers see it."""

    __slots__ = ("_attributes", "_record")

    def __init__(self, record: Record) -> None:
        self._record = record
        self._attributes: Attributes | None = None

    def get(self, field: str) -> str | float | bool | None:
        found: str | float | bool | None = getattr(self._record, field)
        return found

    def attributes(self) -> Attributes:
        if self._attributes is None:
            self._attributes = flatten(bytes(self._record.attributes))
        return self._attributes


class Described(Protocol):
    """An alert, or the match that opens one, as far as a matcher can be asked of it without a record."""

    @property
    def service(self) -> str: ...
    @property
    def level(self) -> int: ...
    @property
    def title(self) -> str: ...


class AbsentRow:
    """What is known of records that there are none of, as matchers see it: the alert's service, level and title."""

    __slots__ = ("_match",)

    def __init__(self, match: Described) -> None:
        self._match = match

    def get(self, field: str) -> str | float | bool | None:
        known: dict[str, str | int] = {
            "service": self._match.service,
            "severity_number": self._match.level,
            "message": self._match.title,
        }
        return known.get(field)

    def attributes(self) -> Attributes:
        return {}


def covering_absence(silences: Iterable[Silence], match: Described) -> tuple[int, ...]:
    """Which silences' matchers are true of an alert about there being no records."""
    row = AbsentRow(match)
    return tuple(one.id for one in coverings_of(silences) if covers(one, row))


def covering_ids(silences: Iterable[Silence], record: Record) -> tuple[int, ...]:
    """Which silences' matchers are true of a stored record."""
    row = StoredRow(record)
    return tuple(
        one.id
        for one in coverings_of(silences)
        if one.may_cover(record.severity_number, record.service) and covers(one, row)
    )


def hidden_by(silences: Mapping[int, Silence], ids: Iterable[int], now: datetime) -> int | None:
    """Of silences that cover something, the one that hides it now: the first that was made of those that are active."""
    return next((one for one in sorted(ids) if one in silences and silences[one].active_at(now)), None)


def parted(
    record_ids: Iterable[int],
    covered: Iterable[tuple[int, tuple[int, ...]]],
    silences: Mapping[int, Silence],
    now: datetime,
) -> dict[int | None, list[int]]:
    """The places of records by the silence that hides them; None for those that are heard."""
    active = {silence_id for silence_id, silence in silences.items() if silence.active_at(now)}
    ids_of = dict(covered)
    places: dict[int | None, list[int]] = {}
    for place, record_id in enumerate(record_ids):
        by = next((one for one in ids_of.get(record_id, ()) if one in active), None)
        places.setdefault(by, []).append(place)
    return places


class Fate(StrEnum):
    """What becomes of an open alert when the silence that hid it lets go of it."""

    MOVED = "moved"
    RELEASED = "released"
    ENDED = "ended"


def fate_of(*, heir: int | str | None, ends_by_itself: bool, last_at: datetime | None, now: datetime) -> Fate:
    """Another silence hides it now; or it still fires and is heard; or it is over.

    An alert whose rule ends it when it is quiet fires as long as it is open; another one, when a record came in within
    the last ten minutes, by the server's clock.
    """
    if heir is not None:
        return Fate.MOVED
    fires = ends_by_itself or (last_at is not None and last_at >= now - STILL_FIRES_WITHIN)
    return Fate.RELEASED if fires else Fate.ENDED


def breaks(silence: Silence, hidden_n: int) -> bool:
    """Whether a silence that hid so many records within the last five minutes is to break."""
    if silence.break_factor is None or silence.baseline_n is None:
        return False
    return hidden_n * BASELINE_MINUTES > silence.break_factor * usual_n(silence) * BREAK_MINUTES


def usual_n(silence: Silence) -> int:
    """Records an hour that are nothing unusual."""
    return max(silence.baseline_n or 0, LEAST_BASELINE)


def threshold_n(silence: Silence) -> float:
    """How many hidden records within five minutes are just not too many."""
    return (silence.break_factor or 0) * usual_n(silence) * BREAK_MINUTES / BASELINE_MINUTES


def silence_id_of(suppressed_by: str | None) -> int | None:
    """The silence that a verdict or an alert names; None when something else suppresses it."""
    what, number = parts(suppressed_by)
    return number if what == SILENCE else None


def names_of(ids: Collection[int]) -> list[str]:
    return [by(SILENCE, silence_id) for silence_id in sorted(ids)]
