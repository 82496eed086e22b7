"""A schedule as somebody wrote it, read from JSON values, and everything that is wrong with it, place by place."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from tocsin.kit.errors import FieldError, Invalid
from tocsin.kit.wallclock import local_of
from tocsin.kit.zones import is_zone
from tocsin.oncall.references import Reference, Referred
from tocsin.oncall.restrictions import DAY_MINUTES, Range, Restriction
from tocsin.oncall.rotations import Frequency, HandOff, Rotation
from tocsin.oncall.schedules import FixedShift, Layer, Override, Schedule, Temporary

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MAX_LAYERS: Final = 30
MAX_GROUPS: Final = 200
MAX_TOGETHER: Final = 20
MAX_RESTRICTIONS: Final = 50
MAX_SPANS: Final = 24
MAX_RANGES: Final = 50
MAX_HANDOFFS: Final = 21
MAX_INTERVAL: Final = 1000
MIN_LENGTH_S: Final = 900
MAX_LENGTH_S: Final = 366 * 86_400
MAX_OVERRIDES: Final = 1000
MAX_SHIFTS: Final = 1000
LONGEST_OVERRIDE: Final = timedelta(days=366)
_TIME: Final = re.compile(r"([01]\d|2[0-4]):([0-5]\d)")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_RANGE: Final = re.compile(r"(-?\w+)\s*:\s*(-?\w+)")
_DAYS: Final = re.compile(r"([a-z]+)\s*[-:]\s*([a-z]+)")
_SHOWN: Final = 40
_YEARS: Final = (1970, 2200)
_FULL_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FULL_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip


def schedule_of(definition: Mapping[str, Any]) -> Schedule:
    """The schedule that JSON values of the right types say. Raises Invalid, with all that is wrong."""
    reader = _Reader()
    found = reader.schedule(definition)
    reader.raise_errors("schedule")
    return found


def kept_schedule(definition: Mapping[str, Any]) -> Schedule:
    """The schedule of a definition that was right when it was kept; a zone that is no longer known is then UTC."""
    return _Reader().schedule(definition)


def overrides_of(
    overrides: Sequence[Mapping[str, Any]], temporary: Sequence[Mapping[str, Any]], *, pointer: str = ""
) -> tuple[tuple[Override, ...], tuple[Temporary, ...]]:
    """Overrides and temporary schedules that are only tried; their ids are their places, from 1, the overrides first.

    Raises Invalid, with all that is wrong.
    """
    reader = _Reader()
    if len(overrides) + len(temporary) > MAX_OVERRIDES:
        reader.wrong(f"{pointer}/overrides", f"expected at most {MAX_OVERRIDES} overrides and temporary schedules")
        overrides, temporary = (), ()
    made = [reader.override(one, number, f"{pointer}/overrides/{number - 1}") for number, one in _numbered(overrides)]
    first = len(made)
    fixed = [
        reader.temporary(one, first + number, f"{pointer}/temporary/{number - 1}")
        for number, one in _numbered(temporary)
    ]
    reader.raise_errors("overrides")
    return tuple(made), tuple(fixed)


def _numbered(items: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    return zip(range(1, len(items) + 1), items, strict=True)


def override_of(said: Mapping[str, Any], override_id: int = 0) -> Override:
    """One override. Raises Invalid."""
    reader = _Reader()
    found = reader.override(said, override_id, "")
    reader.raise_errors("override")
    return found


def temporary_of(said: Mapping[str, Any], override_id: int = 0) -> Temporary:
    """One temporary schedule. Raises Invalid."""
    reader = _Reader()
    found = reader.temporary(said, override_id, "")
    reader.raise_errors("temporary schedule")
    return found


def references_of(schedule: Schedule) -> Iterator[Reference]:
    """Everybody whom the layers name, with where."""
    for number, layer in enumerate(schedule.layers):
        for place, group in enumerate(layer.groups):
            for seat, user in enumerate(group):
                at = f"/{seat}" if len(group) > 1 else ""
                yield Reference(Referred.USER, user, f"/layers/{number}/users/{place}{at}")


class _Reader:
    """Reads what it can, and notes what is wrong with the rest."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []

    def wrong(self, pointer: str, detail: str) -> None:
        self.errors.append(FieldError(pointer, detail))

    def raise_errors(self, what: str) -> None:
        if self.errors:
            first = self.errors[0]
            raise Invalid(f"{first.pointer[1:] or what}: {first.detail}", errors=tuple(self.errors))

    def schedule(self, said: Mapping[str, Any]) -> Schedule:
        zone = self._zone(said["time_zone"], "/time_zone") or "UTC"
        layers = said.get("layers") or []
        if len(layers) > MAX_LAYERS:
            self.wrong("/layers", f"expected at most {MAX_LAYERS} layers")
            layers = []
        found = [self._layer(one, number, zone) for number, one in enumerate(layers)]
        names = [layer.name for layer in found]
        for number, name in enumerate(names):
            if name in names[:number]:
                self.wrong(f"/layers/{number}/name", f"there is a layer {name[:_SHOWN]} already; expected another name")
        coverage = self._restrictions(said.get("coverage") or [], "/coverage")
        return Schedule(zone, tuple(found), coverage=coverage, description=said.get("description") or "")

    def override(self, said: Mapping[str, Any], override_id: int, pointer: str) -> Override:
        add, remove = said.get("add"), said.get("remove")
        if add is None and remove is None:
            self.wrong(f"{pointer}/add", "expected whom to add, whom to remove, or both")
        elif add == remove:
            self.wrong(f"{pointer}/add", "expected somebody else than `remove`")
        self._span(said, pointer)
        return Override(override_id, said["start"], said["end"], add, remove)

    def temporary(self, said: Mapping[str, Any], override_id: int, pointer: str) -> Temporary:
        self._span(said, pointer)
        shifts = said.get("shifts") or []
        if len(shifts) > MAX_SHIFTS:
            self.wrong(f"{pointer}/shifts", f"expected at most {MAX_SHIFTS} shifts")
            shifts = []
        found = []
        for number, one in enumerate(shifts):
            place = f"{pointer}/shifts/{number}"
            self._span(one, place)
            if one["start"] < said["start"] or one["end"] > said["end"]:
                self.wrong(f"{place}/start", "expected a shift within the temporary schedule")
            users = self._together(one["users"], f"{place}/users")
            found.append(FixedShift(one["start"], one["end"], users))
        return Temporary(override_id, said["start"], said["end"], tuple(found))

    def _span(self, said: Mapping[str, Any], pointer: str) -> None:
        if said["end"] <= said["start"]:
            self.wrong(f"{pointer}/end", "expected an end after the start")
        elif said["end"] - said["start"] > LONGEST_OVERRIDE:
            self.wrong(f"{pointer}/end", f"expected at most {LONGEST_OVERRIDE.days} days after the start")

    def _zone(self, name: str | None, pointer: str) -> str | None:
        if name is None or is_zone(name):
            return name
        self.wrong(pointer, f"{name[:_SHOWN]!r} is no time zone; expected one such as Europe/Lisbon")
        return None

    def _layer(self, said: Mapping[str, Any], number: int, zone: str) -> Layer:
        pointer = f"/layers/{number}"
        own = self._zone(said.get("time_zone"), f"{pointer}/time_zone")
        groups = self._groups(said.get("users") or [], f"{pointer}/users")
        turning = said.get("rotation")
        starts_at, ends_at = (self._instant(said.get(name), f"{pointer}/{name}") for name in ("starts_at", "ends_at"))
        if starts_at is not None and ends_at is not None and ends_at <= starts_at:
            self.wrong(f"{pointer}/ends_at", "expected an end after the start")
        return Layer(
            name=said.get("name") or f"layer-{number + 1}",
            groups=groups,
            rotation=None if turning is None else self._rotation(turning, f"{pointer}/rotation", own or zone),
            restrictions=self._restrictions(said.get("restrictions") or [], f"{pointer}/restrictions"),
            priority=said.get("priority") or 0,
            time_zone=own,
            starts_at=starts_at,
            ends_at=ends_at,
        )

    def _instant(self, given: datetime | str | None, pointer: str) -> datetime | None:
        if isinstance(given, str):  # as it is kept
            return datetime.fromisoformat(given).astimezone(UTC)
        if given is not None and given.tzinfo is None:
            self.wrong(pointer, "expected an instant with its offset, such as 2026-11-24T02:00:00Z")
        return given

    def _groups(self, said: Sequence[str | Sequence[str]], pointer: str) -> tuple[tuple[str, ...], ...]:
        if not said:
            self.wrong(pointer, "there is no one in it; expected at least one user")
        if len(said) > MAX_GROUPS:
            self.wrong(pointer, f"expected at most {MAX_GROUPS} users or groups")
            return ()
        found = []
        for place, group in enumerate(said):
            found.append((group,) if isinstance(group, str) else self._together(group, f"{pointer}/{place}"))
        return tuple(found)

    def _together(self, group: Sequence[str], pointer: str) -> tuple[str, ...]:
        if not group:
            self.wrong(pointer, "there is no one in it; expected at least one user")
        if len(group) > MAX_TOGETHER:
            self.wrong(pointer, f"expected at most {MAX_TOGETHER} users at once")
        for seat, user in enumerate(group):
            if user in group[:seat]:
                self.wrong(f"{pointer}/{seat}", f"{user[:_SHOWN]} is in it already")
        return tuple(group)

    def _rotation(self, said: Mapping[str, Any], pointer: str, zone: str) -> Rotation:
        frequency = self._frequency(said["frequency"], f"{pointer}/frequency")
        interval = said.get("interval")
        interval = 1 if interval is None else interval
        if not 1 <= interval <= MAX_INTERVAL:
            self.wrong(f"{pointer}/interval", f"a turn has no such length; expected 1 to {MAX_INTERVAL}")
            interval = 1
        mask = self._weekdays(said.get("weekdays") or [], f"{pointer}/weekdays")
        masked = {Frequency.DAILY, Frequency.WEEKLY, Frequency.MONTHLY}
        if mask and frequency not in masked:
            self.wrong(f"{pointer}/weekdays", f"a {frequency} rotation has no day mask; restrict the layer instead")
        start = self._wall(said["start"], f"{pointer}/start", zone)
        week_start = self._weekdays([said.get("week_start") or "mon"], f"{pointer}/week_start")
        length, handoffs = self._custom(said, frequency, pointer)
        return Rotation(
            frequency=frequency,
            start=start,
            interval=interval,
            elapsed=self._one_of(said.get("hours") or "wall", ("wall", "elapsed"), f"{pointer}/hours") == "elapsed",
            weekdays=mask,
            week_start=min(week_start, default=0),
            whole=self._one_of(said.get("covers") or "first", ("first", "all"), f"{pointer}/covers") == "all",
            length_s=length,
            handoffs=handoffs,
        )

    def _frequency(self, text: str, pointer: str) -> Frequency:
        try:
            return Frequency(text)
        except ValueError:
            self.wrong(pointer, f"expected one of {', '.join(Frequency)}")
            return Frequency.WEEKLY

    def _one_of(self, text: str, expected: tuple[str, ...], pointer: str) -> str:
        if text not in expected:
            self.wrong(pointer, f"expected one of {', '.join(expected)}")
        return text

    def _wall(self, given: str, pointer: str, zone: str) -> datetime:
        text = f"{given}T00:00" if _DATE.fullmatch(given) else given
        try:
            found = datetime.fromisoformat(text)
            if not _YEARS[0] <= found.year <= _YEARS[1]:
                raise ValueError(text)
            return (local_of(found, zone) if found.tzinfo is not None else found).replace(microsecond=0)
        except (ValueError, OverflowError):
            detail = f"{given[:_SHOWN]!r} is no wall time from {_YEARS[0]} to {_YEARS[1]}"
            self.wrong(pointer, f"{detail}; expected one such as 2026-11-23T09:00")
            return datetime(_YEARS[0], 1, 1)  # noqa: DTZ001  # a wall time

    def _custom(
        self, said: Mapping[str, Any], frequency: Frequency, pointer: str
    ) -> tuple[int | None, tuple[HandOff, ...]]:
        length, given = said.get("length_s"), said.get("handoffs") or []
        if frequency is not Frequency.CUSTOM:
            for name, value in (("length_s", length), ("handoffs", given)):
                if value:
                    self.wrong(f"{pointer}/{name}", "is for the frequency custom alone")
            return None, ()
        if (length is None) == (not given):
            self.wrong(f"{pointer}/length_s", "a custom rotation has either length_s or handoffs")
        if length is not None and not MIN_LENGTH_S <= length <= MAX_LENGTH_S:
            self.wrong(f"{pointer}/length_s", f"expected {MIN_LENGTH_S} to {MAX_LENGTH_S} seconds")
            length = MIN_LENGTH_S
        if len(given) > MAX_HANDOFFS:
            self.wrong(f"{pointer}/handoffs", f"expected at most {MAX_HANDOFFS} hand-offs in a week")
            given = []
        found = [self._handoff(text, f"{pointer}/handoffs/{place}") for place, text in enumerate(given)]
        points = sorted({one for one in found if one is not None})
        return length, tuple(points) if points or length is not None else (HandOff(0, time()),)

    def _handoff(self, text: str, pointer: str) -> HandOff | None:
        day, _, clock = text.strip().partition(" ")
        weekday = _place(day, WEEKDAYS, _FULL_WEEKDAYS)
        minutes = self._minutes(clock.strip())
        if weekday is None or minutes is None or minutes == DAY_MINUTES:
            self.wrong(pointer, f"{text[:_SHOWN]!r} is no moment of a week; expected one such as `mon 09:00`")
            return None
        return HandOff(weekday, time(minutes // 60, minutes % 60))

    def _restrictions(self, said: Sequence[Mapping[str, Any]], pointer: str) -> tuple[Restriction, ...]:
        if len(said) > MAX_RESTRICTIONS:
            self.wrong(pointer, f"expected at most {MAX_RESTRICTIONS} restrictions")
            return ()
        return tuple(self._restriction(one, f"{pointer}/{number}") for number, one in enumerate(said))

    def _restriction(self, said: Mapping[str, Any], pointer: str) -> Restriction:
        return Restriction(
            times=self._times(said.get("times") or [], f"{pointer}/times"),
            weekdays=self._weekdays(said.get("weekdays") or [], f"{pointer}/weekdays"),
            days_of_month=self._ranges(said, "days_of_month", pointer, (-31, 31)),
            months=self._ranges(said, "months", pointer, (1, 12)),
            years=self._ranges(said, "years", pointer, _YEARS),
            time_zone=self._zone(said.get("time_zone"), f"{pointer}/time_zone"),
        )

    def _times(self, said: Sequence[Sequence[str]], pointer: str) -> tuple[tuple[int, int], ...]:
        if len(said) > MAX_SPANS:
            self.wrong(pointer, f"expected at most {MAX_SPANS} spans")
            return ()
        found = []
        for place, pair in enumerate(said):
            if len(pair) != 2:
                self.wrong(f"{pointer}/{place}", 'expected from and until, such as ["09:00", "17:00"]')
                continue
            low, high = (self._minutes(text) for text in pair)
            for seat, minutes in enumerate((low, high)):
                if minutes is None:
                    detail = f"{pair[seat][:_SHOWN]!r} is no time of day; expected 00:00 to 24:00"
                    self.wrong(f"{pointer}/{place}/{seat}", detail)
            if low is not None and high is not None:
                if low == DAY_MINUTES:
                    self.wrong(f"{pointer}/{place}/0", "a span begins before 24:00")
                found.append((low, high if high > low else high + DAY_MINUTES))
        return tuple(found)

    def _minutes(self, text: str) -> int | None:
        found = _TIME.fullmatch(text)
        minutes = DAY_MINUTES + 1 if found is None else int(found[1]) * 60 + int(found[2])
        return minutes if minutes <= DAY_MINUTES else None

    def _weekdays(self, said: Sequence[str], pointer: str) -> frozenset[int]:
        found: set[int] = set()
        for place, text in enumerate(said[:MAX_RANGES]):
            pair = _DAYS.fullmatch(text.strip().lower())
            ends = [_place(name, WEEKDAYS, _FULL_WEEKDAYS) for name in (pair.groups() if pair else (text, text))]
            low, high = ends
            if low is None or high is None:
                detail = f"{text[:_SHOWN]!r} is no weekday; expected {', '.join(WEEKDAYS)}, or such as mon-fri"
                self.wrong(f"{pointer}/{place}", detail)
                continue
            found |= {(low + n) % 7 for n in range((high - low) % 7 + 1)}
        return frozenset(found)

    def _ranges(self, said: Mapping[str, Any], name: str, pointer: str, bounds: Range) -> tuple[Range, ...]:
        given = said.get(name) or []
        if len(given) > MAX_RANGES:
            self.wrong(f"{pointer}/{name}", f"expected at most {MAX_RANGES}")
            return ()
        found = []
        for place, one in enumerate(given):
            pair = _range_of(one, months=name == "months")
            if pair is None or any(not bounds[0] <= value <= bounds[1] or value == 0 for value in pair):
                detail = f"expected {bounds[0]} to {bounds[1]}, or such as {bounds[0]}:{bounds[1]}"
                self.wrong(f"{pointer}/{name}/{place}", detail)
            elif pair[0] > pair[1] and (pair[0] > 0) == (pair[1] > 0):
                self.wrong(f"{pointer}/{name}/{place}", "expected a range that does not end before it begins")
            else:
                found.append(pair)
        return tuple(found)


def _place(name: str, short: Sequence[str], full: Sequence[str]) -> int | None:
    """The place of a name in any case: `mon`, `Monday`, `MO`."""
    text = name.strip().lower()
    for place, (three, whole) in enumerate(zip(short, full, strict=True)):
        if text in {three, whole} or (short is WEEKDAYS and text == three[:2]):
            return place
    return None


def _range_of(one: int | str, *, months: bool) -> Range | None:
    if isinstance(one, int):
        return one, one
    found = _RANGE.fullmatch(one.strip())
    ends = [_number_of(text, months=months) for text in (found.groups() if found else (one, one))]
    low, high = ends
    return None if low is None or high is None else (low, high)


def _number_of(text: str, *, months: bool) -> int | None:
    if re.fullmatch(r"-?\d{1,4}", text.strip()):
        return int(text)
    place = _place(text, MONTHS, _FULL_MONTHS) if months else None
    return None if place is None else place + 1
