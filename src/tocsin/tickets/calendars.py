"""A calendar as it is written: to and from JSON values, and everything that is wrong with it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from itertools import pairwise
from typing import Any, Final

from tocsin.kit.calendar import DAY_MINUTES, WEEKDAYS, Calendar, Span, empty_year
from tocsin.kit.errors import FieldError, Invalid
from tocsin.kit.public_holidays import subdivisions
from tocsin.kit.zones import is_zone

MAX_SPANS: Final = 24
MAX_DAYS: Final = 2000
MUST_WORK_YEARS: Final = 10
_TIME: Final = re.compile(r"([01]\d|2[0-4]):([0-5]\d)")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_SHOWN_CHARS: Final = 40


def definition_of(calendar: Calendar) -> dict[str, Any]:
    """The JSON values of a calendar."""
    holidays = None
    if calendar.country is not None:
        holidays = {"country": calendar.country, "subdivision": calendar.subdivision}
    return {
        "time_zone": calendar.time_zone,
        "hours": {day: _written(spans) for day, spans in zip(WEEKDAYS, calendar.hours, strict=True) if spans},
        "holidays": holidays,
        "days": {day.isoformat(): _written(spans) for day, spans in calendar.days},
    }


def _written(spans: tuple[Span, ...]) -> list[list[str]]:
    return [[_clock(low), _clock(high if high <= DAY_MINUTES else high - DAY_MINUTES)] for low, high in spans]


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def calendar_of(definition: Mapping[str, Any]) -> Calendar:
    """The calendar that JSON values of the right types say. Raises Invalid, with all that is wrong."""
    reader = _Reader()
    found = reader.calendar(definition)
    if reader.errors:
        first = reader.errors[0]
        raise Invalid(f"{first.pointer[1:] or 'calendar'}: {first.detail}", errors=tuple(reader.errors))
    return found


def kept_calendar(definition: Mapping[str, Any]) -> Calendar:
    """The calendar of a definition that was right when it was kept.

    A later time zone database, or a later list of holidays, may not know a name any more. Tickets run by it all the
    same: an unknown zone is then UTC, unknown holidays are none.
    """
    reader = _Reader()
    found = reader.calendar(definition)
    return replace(found, time_zone="UTC") if not is_zone(found.time_zone) else found


def check_lasting(calendar: Calendar, now: datetime) -> None:
    """Raises Invalid for a calendar by which a deadline might never come."""
    if not any(calendar.hours):
        detail = "there are no working hours on any day of the week, so a deadline would never come"
        raise Invalid(detail, errors=(FieldError("/hours", detail),))
    empty = empty_year(calendar, now, MUST_WORK_YEARS)
    if empty is not None:
        detail = (
            f"there is no working time from {empty[0]:%Y-%m-%d} to {empty[1]:%Y-%m-%d}, so a deadline might never come;"
            f" expected some in each of the next {MUST_WORK_YEARS} years"
        )
        raise Invalid(detail, errors=(FieldError("/hours", detail),))


class _Reader:
    """Reads what it can, and notes what is wrong with the rest."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []

    def calendar(self, definition: Mapping[str, Any]) -> Calendar:
        zone = definition["time_zone"]
        if not is_zone(zone):
            self._wrong("/time_zone", f"{zone[:_SHOWN_CHARS]!r} is no time zone; expected one such as Europe/Lisbon")
        hours = self._week(definition["hours"])
        country, subdivision = self._holidays(definition.get("holidays"))
        days = self._days(definition.get("days") or {})
        return Calendar(zone, hours, country, subdivision, days)

    def _week(self, given: Mapping[str, Any]) -> tuple[tuple[Span, ...], ...]:
        for name in given.keys() - set(WEEKDAYS):
            self._wrong(f"/hours/{name[:_SHOWN_CHARS]}", f"expected one of {', '.join(WEEKDAYS)}")
        hours = tuple(self._spans(given.get(day) or [], f"/hours/{day}") for day in WEEKDAYS)
        for (day, today), (after, tomorrow) in pairwise([*zip(WEEKDAYS, hours, strict=True), (WEEKDAYS[0], hours[0])]):
            if today and tomorrow and today[-1][1] - DAY_MINUTES > tomorrow[0][0]:
                [last] = _written(today[-1:])
                self._wrong(f"/hours/{after}/0", f"overlaps {last[0]}-{last[1]} of {day}")
        return hours

    def _spans(self, given: list[list[str]], pointer: str) -> tuple[Span, ...]:
        if len(given) > MAX_SPANS:
            self._wrong(pointer, f"expected at most {MAX_SPANS} spans")
            return ()
        found: list[tuple[Span, int]] = []
        for place, pair in enumerate(given):
            span = self._span(pair, f"{pointer}/{place}")
            if span is not None:
                found.append((span, place))
        found.sort()
        for (before, _), (span, place) in pairwise(found):
            if before[1] > span[0]:
                [other] = _written((before,))
                self._wrong(f"{pointer}/{place}", f"overlaps {other[0]}-{other[1]}")
        return tuple(span for span, _ in found)

    def _span(self, pair: list[str], pointer: str) -> Span | None:
        if len(pair) != 2:
            self._wrong(pointer, 'expected from and until, such as ["09:00", "17:00"]')
            return None
        low, high = (self._time(text, f"{pointer}/{place}") for place, text in enumerate(pair))
        if low is None or high is None:
            return None
        if low in {DAY_MINUTES, high}:
            self._wrong(pointer, "has no length; around the clock is 00:00-24:00")
            return None
        return low, high if high > low else high + DAY_MINUTES

    def _time(self, text: str, pointer: str) -> int | None:
        found = _TIME.fullmatch(text)
        minutes = DAY_MINUTES + 1 if found is None else int(found[1]) * 60 + int(found[2])
        if minutes > DAY_MINUTES:
            self._wrong(pointer, f"{text[:_SHOWN_CHARS]!r} is no time of day; expected 00:00 to 24:00")
            return None
        return minutes

    def _holidays(self, given: Mapping[str, Any] | None) -> tuple[str | None, str | None]:
        if given is None:
            return None, None
        country, part = given["country"], given.get("subdivision")
        known = subdivisions().get(country)
        if known is None:
            detail = (
                f"the holidays of {country[:_SHOWN_CHARS]!r} are not known; expected a code of ISO 3166, such as PT"
            )
            self._wrong("/holidays/country", detail)
            return None, None
        if part is not None and part not in known:
            of = f"expected one of {', '.join(known)}" if known else f"{country} has none"
            self._wrong("/holidays/subdivision", f"{part[:_SHOWN_CHARS]!r} is no subdivision of {country}; {of}")
            return country, None
        return country, part

    def _days(self, given: Mapping[str, Any]) -> tuple[tuple[date, tuple[Span, ...]], ...]:
        if len(given) > MAX_DAYS:
            self._wrong("/days", f"expected at most {MAX_DAYS} days")
            return ()
        found: list[tuple[date, tuple[Span, ...]]] = []
        for text, spans in given.items():
            pointer = f"/days/{text[:_SHOWN_CHARS]}"
            try:
                if not _DATE.fullmatch(text):
                    raise ValueError(text)
                day = date.fromisoformat(text)
            except ValueError:
                self._wrong(pointer, f"{text[:_SHOWN_CHARS]!r} is no date; expected one such as 2026-12-24")
                continue
            found.append((day, self._spans(spans, pointer)))
        return tuple(sorted(found))

    def _wrong(self, pointer: str, detail: str) -> None:
        self.errors.append(FieldError(pointer, detail))
