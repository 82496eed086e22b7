"""Who is on call: layers, a temporary schedule in their place, overrides over both. Pure, exact in UTC.

1. A layer has somebody on call while its restrictions hold (any of them): the group whose turn it is, all together.
2. Of the layers that have somebody at an instant those with the highest priority count; several of the same, together.
3. A temporary schedule takes the place of all layers in its span; what it leaves empty is empty. Of two that overlap
   the one made later counts.
4. Overrides then add, remove or replace one person, in the order in which they were made. One that replaces somebody
   has an effect only while that person is on call, or would be but for an earlier override.

At every instant there is exactly one answer: `final_shifts` parts the time from `since` to `until` without overlap, and
what lies between two shifts is a gap.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, Generic, NamedTuple, TypeVar

from tocsin.oncall.restrictions import Restriction, clipped, stretches
from tocsin.oncall.rotations import Rotation, Turn, turns

MOST_STRETCHES: Final = 20_000  # in one calculation
AHEAD: Final = (timedelta(days=1), timedelta(days=8), timedelta(days=40), timedelta(days=400))
_INSTANT: Final = timedelta(microseconds=1)


class TooManyShifts(ValueError):
    """There are too many shifts to work them out at once."""


class Source(NamedTuple):
    """What put somebody on call: a layer's turn, an override or a temporary schedule, and when that began."""

    layer: str | None
    override_id: int | None
    begun: datetime


@dataclass(frozen=True, slots=True)
class Shift:
    """A stretch in which the same people are on call for the same reasons. A hand-off ends it, also one to the same
    person. `layer` is None where several count, or none. `sources` goes with `users`."""

    start: datetime
    end: datetime
    users: tuple[str, ...]
    layer: str | None
    override_id: int | None
    sources: tuple[Source, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Layer:
    """Groups that take turns; without a rotation all are on call together. It holds from `starts_at` to `ends_at`."""

    name: str
    groups: tuple[tuple[str, ...], ...]
    rotation: Rotation | None = None
    restrictions: tuple[Restriction, ...] = ()
    priority: int = 0
    time_zone: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Override:
    """From `start` to `end`, `add` is on call, or `remove` is not, or `add` is in the place of `remove`."""

    id: int
    start: datetime
    end: datetime
    add: str | None = None
    remove: str | None = None


@dataclass(frozen=True, slots=True)
class FixedShift:
    """A shift that is written down, not worked out."""

    start: datetime
    end: datetime
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Temporary:
    """A temporary schedule: from `start` to `end` its shifts, and no layer. An id of 0 is that of none."""

    id: int
    start: datetime
    end: datetime
    shifts: tuple[FixedShift, ...]


@dataclass(frozen=True, slots=True)
class Schedule:
    """`coverage`: when somebody should be on call; without any, always."""

    time_zone: str
    layers: tuple[Layer, ...]
    overrides: tuple[Override, ...] = ()
    temporary: tuple[Temporary, ...] = ()
    coverage: tuple[Restriction, ...] = ()
    description: str = ""

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody it names, once."""
        named = [user for layer in self.layers for group in layer.groups for user in group]
        named += [user for one in self.overrides for user in (one.add, one.remove) if user is not None]
        named += [user for one in self.temporary for shift in one.shifts for user in shift.users]
        return tuple(dict.fromkeys(named))


Compute = Callable[[datetime, datetime], list[Shift]]
"""The final shifts within a window."""


class _Place(NamedTuple):
    """Somebody on call, and who was in that place before overrides."""

    user: str | None
    source: Source
    before: tuple[str, ...] = ()


class _Piece(NamedTuple):
    start: datetime
    end: datetime
    rank: int  # of the layer, in their order
    places: tuple[_Place, ...]


def final_shifts(schedule: Schedule, since: datetime, until: datetime) -> list[Shift]:
    """Who is on call from `since` to `until`, in order; gaps are between shifts. Raises TooManyShifts."""
    pieces = _layer_pieces(schedule, since, until)
    fixed = {one.id: _fixed_pieces(one, since, until) for one in schedule.temporary}
    answers = _answers(schedule, pieces, fixed, since, until)
    found: list[Shift] = []
    for (places, start), (_, end) in pairwise(answers):
        shift = _shift(start, end, places)
        if found and found[-1].end == start and _alike(found[-1], shift):
            found[-1] = _shift(found[-1].start, end, places)
        elif shift.users:
            found.append(shift)
    return found


def shifts_of_versions(
    versions: Sequence[tuple[datetime, Schedule | None]], since: datetime, until: datetime
) -> list[Shift]:
    """The final shifts where a schedule changed: each version holds from its instant on, until the next.

    Before the first there is none; None: there was no schedule from then on. What is past stays as it was.
    """
    found: list[Shift] = []
    ends = [begun for begun, _ in versions[1:]]
    for (begun, schedule), end in zip(versions, [*ends, until], strict=False):
        low, high = max(begun, since), min(end, until)
        if schedule is None or low >= high:
            continue
        for shift in final_shifts(schedule, low, high):
            if found and found[-1].end == shift.start and _alike(found[-1], shift):
                found[-1] = _joined(found[-1], shift)
            else:
                found.append(shift)
    return found


def on_call_at(compute: Compute, at: datetime) -> tuple[str, ...]:
    """Who is on call at an instant."""
    return next((shift.users for shift in compute(at, at + _INSTANT)), ())


def next_change(compute: Compute, after: datetime) -> datetime | None:
    """The first instant later on at which other people are on call; None when there is none within 400 days."""
    for ahead in AHEAD:
        present: frozenset[str] | None = None
        at = after
        for shift in compute(after, after + ahead):
            users = frozenset(shift.users)
            if shift.start > at:
                if present:
                    return at
                present = frozenset()
            if present is not None and users != present:
                return shift.start
            present, at = users, shift.end
        if present and at < after + ahead:
            return at
    return None


def _layer_pieces(schedule: Schedule, since: datetime, until: datetime) -> list[_Piece]:
    found: list[_Piece] = []
    for rank, layer in enumerate(schedule.layers):
        low, high = max(since, layer.starts_at or since), min(until, layer.ends_at or until)
        if low >= high or not layer.groups:
            continue
        zone = layer.time_zone or schedule.time_zone
        holding = stretches(layer.restrictions, zone, low, high)
        for start, end, turn in _held(holding, _turns(layer, zone, low, high)):
            source = Source(layer.name, None, turn.start)
            group = _group(layer, turn.number)
            found.append(_Piece(start, end, rank, tuple(_Place(user, source) for user in group)))
            if len(found) > MOST_STRETCHES:
                raise TooManyShifts
    return found


def _turns(layer: Layer, zone: str, since: datetime, until: datetime) -> Iterator[Turn]:
    if layer.rotation is None:
        begun = layer.starts_at or datetime.min.replace(tzinfo=since.tzinfo)
        return iter([Turn(0, begun, until)])
    return turns(layer.rotation, zone, since, until)


def _group(layer: Layer, number: int) -> tuple[str, ...]:
    if layer.rotation is None:
        return tuple(user for group in layer.groups for user in group)
    return layer.groups[number % len(layer.groups)]


def _held(
    holding: Sequence[tuple[datetime, datetime]], found: Iterator[Turn]
) -> Iterator[tuple[datetime, datetime, Turn]]:
    """What of each turn lies within stretches; both are in order."""
    place = 0
    for turn in found:
        while place < len(holding) and holding[place][1] <= turn.start:
            place += 1
        for low, high in holding[place:]:
            if low >= turn.end:
                break
            start, end = max(low, turn.start), min(high, turn.end)
            if start < end:
                yield start, end, turn


def _fixed_pieces(one: Temporary, since: datetime, until: datetime) -> list[_Piece]:
    found = []
    for shift in one.shifts:
        for start, end in clipped([(max(shift.start, one.start), min(shift.end, one.end))], since, until):
            source = Source(None, one.id or None, shift.start)
            found.append(_Piece(start, end, 0, tuple(_Place(user, source) for user in shift.users)))
    return found


def _answers(
    schedule: Schedule,
    pieces: Sequence[_Piece],
    fixed: Mapping[int, Sequence[_Piece]],
    since: datetime,
    until: datetime,
) -> Iterator[tuple[tuple[_Place, ...], datetime]]:
    """Who is on call from each instant at which anything begins or ends; the last one is `until`, and empty."""
    moments = {since}
    all_fixed = [piece for some in fixed.values() for piece in some]
    spans: list[_Piece | Override | Temporary] = [*pieces, *all_fixed, *schedule.overrides, *schedule.temporary]
    for span in spans:
        moments |= {at for at in (span.start, span.end) if since <= at < until}
    begun = _Running([*pieces])
    temporary = _Running(schedule.temporary)
    overrides = _Running(schedule.overrides)
    shifts = {key: _Running(some) for key, some in fixed.items()}
    for at in sorted(moments):
        layers = begun.at(at)
        now = temporary.at(at)
        if now:
            latest = max(now, key=lambda one: one.id)
            places = [place for piece in shifts[latest.id].at(at) for place in piece.places]
        else:
            places = _highest(schedule, layers)
        yield _overridden(places, sorted(overrides.at(at), key=lambda one: one.id)), at
    yield (), until


_Span = TypeVar("_Span", _Piece, Temporary, Override)


class _Running(Generic[_Span]):
    """What is going on at instants that are asked in order."""

    def __init__(self, spans: Sequence[_Span]) -> None:
        self._waiting: list[_Span] = sorted(spans, key=lambda span: span.start, reverse=True)
        self._running: list[_Span] = []

    def at(self, at: datetime) -> list[_Span]:
        self._running = [span for span in self._running if span.end > at]
        while self._waiting and self._waiting[-1].start <= at:
            span = self._waiting.pop()
            if span.end > at:
                self._running.append(span)
        return self._running


def _highest(schedule: Schedule, running: Sequence[_Piece]) -> list[_Place]:
    top = max((schedule.layers[piece.rank].priority for piece in running), default=0)
    chosen = [piece for piece in running if schedule.layers[piece.rank].priority == top]
    return [place for piece in sorted(chosen, key=lambda piece: piece.rank) for place in piece.places]


def _overridden(places: Sequence[_Place], overrides: Sequence[Override]) -> tuple[_Place, ...]:
    """What overrides, in their order, make of who is on call; nobody is there twice."""
    found = _once(places)
    for one in overrides:
        hit = _hit(found, one)
        if one.remove is None and all(place.user != one.add for place in found):
            found.append(_Place(one.add, Source(None, one.id, one.start)))
        elif hit:
            found = _once([_replaced(place, one) if place in hit else place for place in found])
    return tuple(place for place in found if place.user is not None)


def _hit(places: Sequence[_Place], one: Override) -> list[_Place]:
    """The place of whom it removes; of one that has left it already, where another is to be in it."""
    if one.remove is None:
        return []
    hit = [place for place in places if place.user == one.remove]
    if not hit and one.add is not None:
        hit = [place for place in places if one.remove in place.before]
    return hit


def _replaced(place: _Place, one: Override) -> _Place:
    before = place.before if place.user is None else (*place.before, place.user)
    return _Place(one.add, Source(None, one.id, one.start), before)


def _once(places: Sequence[_Place]) -> list[_Place]:
    there: set[str | None] = set()
    found = []
    for place in places:
        if place.user is None or place.user not in there:
            found.append(place)
            there.add(place.user)
    return found


def _shift(start: datetime, end: datetime, places: Sequence[_Place]) -> Shift:
    sources = tuple(place.source for place in places)
    layers = {source.layer for source in sources}
    ids = [source.override_id for source in sources if source.override_id is not None]
    return Shift(
        start=start,
        end=end,
        users=tuple(place.user for place in places if place.user is not None),
        layer=layers.pop() if len(layers) == 1 else None,
        override_id=max(ids, default=None),
        sources=sources,
    )


def _alike(one: Shift, other: Shift) -> bool:
    return bool(one.users) and one.users == other.users and one.sources == other.sources


def _joined(one: Shift, other: Shift) -> Shift:
    return Shift(one.start, other.end, one.users, one.layer, one.override_id, one.sources)
