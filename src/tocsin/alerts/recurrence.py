"""When something that recurs begins: a recurrence rule (RFC 5545 3.3.10) in a time zone, as a pure function.

Understood are FREQ=DAILY, WEEKLY and MONTHLY with INTERVAL, BYDAY, BYMONTHDAY, BYHOUR, BYMINUTE, COUNT, UNTIL, WKST=MO;
every other part is refused by its name. What a rule does not say is taken from its start, as there. Local times that a
change of clocks leaves out are read with the offset before it, those that come twice mean the first (3.3.5).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import product
from typing import Final
from zoneinfo import ZoneInfo

DAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
FREQUENCIES: Final = ("DAILY", "WEEKLY", "MONTHLY")
PARTS: Final = ("FREQ", "INTERVAL", "BYDAY", "BYMONTHDAY", "BYHOUR", "BYMINUTE", "COUNT", "UNTIL", "WKST")
MAX_INTERVAL: Final = 1000
MAX_OCCURRENCES: Final = 10_000
_DAY: Final = re.compile(r"([+-]?[1-5])?(MO|TU|WE|TH|FR|SA|SU)")
_UNTIL: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?")
_EXPECTED: Final = "expected a rule such as FREQ=WEEKLY;BYDAY=SU;BYHOUR=2"


class NotARecurrence(ValueError):
    """The text isn't a recurrence rule, or one that is not understood here; says which part and what was expected."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A rule. `by_day` are weekdays (0 is Monday) with which of a month they are, 0 for each; `until` is local, or UTC
    if it is aware."""

    frequency: str
    interval: int = 1
    by_day: tuple[tuple[int, int], ...] = ()
    by_month_day: tuple[int, ...] = ()
    by_hour: tuple[int, ...] = ()
    by_minute: tuple[int, ...] = ()
    count: int | None = None
    until: datetime | None = None


def parse_recurrence(text: str) -> Recurrence:
    """The rule that a text means, with or without `RRULE:` before it. Raises NotARecurrence."""
    said: dict[str, str] = {}
    for part in text.strip().upper().removeprefix("RRULE:").split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise NotARecurrence(f"{part[:40]!r} is not NAME=VALUE; {_EXPECTED}")
        if name not in PARTS:
            raise NotARecurrence(f"{name[:40]} is not understood here; expected some of {', '.join(PARTS)}")
        if name in said:
            raise NotARecurrence(f"{name} stands there twice")
        said[name] = value
    return _checked(said)


def _checked(said: dict[str, str]) -> Recurrence:
    frequency = said.get("FREQ")
    if frequency not in FREQUENCIES:
        found = "FREQ is missing" if frequency is None else f"FREQ={frequency[:40]} is not understood here"
        raise NotARecurrence(f"{found}; expected FREQ=DAILY, WEEKLY or MONTHLY")
    if said.get("WKST", "MO") != "MO":
        raise NotARecurrence("WKST is understood as MO only: weeks begin on Monday")
    if "COUNT" in said and "UNTIL" in said:
        raise NotARecurrence("COUNT and UNTIL exclude each other")
    by_day = tuple(_day(part) for part in said["BYDAY"].split(",")) if "BYDAY" in said else ()
    if frequency != "MONTHLY" and any(which for _, which in by_day):
        raise NotARecurrence("BYDAY: the first, second, ... of a month is for FREQ=MONTHLY")
    if frequency == "WEEKLY" and "BYMONTHDAY" in said:
        raise NotARecurrence("BYMONTHDAY is not for FREQ=WEEKLY")
    return Recurrence(
        frequency,
        interval=_number(said.get("INTERVAL", "1"), "INTERVAL", 1, MAX_INTERVAL),
        by_day=by_day,
        by_month_day=_month_days(said),
        by_hour=_numbers(said, "BYHOUR", 0, 23),
        by_minute=_numbers(said, "BYMINUTE", 0, 59),
        count=_number(said["COUNT"], "COUNT", 1, MAX_OCCURRENCES) if "COUNT" in said else None,
        until=_until(said["UNTIL"]) if "UNTIL" in said else None,
    )


def _number(text: str, name: str, least: int, most: int) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise NotARecurrence(f"{name}={text[:40]}: expected a number from {least} to {most}")
    return int(text)


def _numbers(said: dict[str, str], name: str, least: int, most: int) -> tuple[int, ...]:
    if name not in said:
        return ()
    return tuple(sorted({_number(part, name, least, most) for part in said[name].split(",")}))


def _month_days(said: dict[str, str]) -> tuple[int, ...]:
    found = _numbers(said, "BYMONTHDAY", -31, 31)
    if 0 in found:
        raise NotARecurrence("BYMONTHDAY=0: expected 1 to 31, or -1 to -31 from the month's end")
    return found


def _day(text: str) -> tuple[int, int]:
    found = _DAY.fullmatch(text)
    if found is None:
        raise NotARecurrence(f"BYDAY={text[:40]}: expected some of {','.join(DAYS)}, with a number for one of a month")
    return DAYS.index(found[2]), int(found[1] or 0)


def _until(text: str) -> datetime:
    found = _UNTIL.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        day = date(int(found[1]), int(found[2]), int(found[3]))
        if found[4] is None:
            return datetime.combine(day, time.max)  # a day is meant with all its hours
        at = datetime.combine(day, time(int(found[4]), int(found[5]), int(found[6])))
    except ValueError:
        raise NotARecurrence(f"UNTIL={text[:40]}: expected such as 20271231 or 20271231T220000Z") from None
    return at.replace(tzinfo=UTC) if found[7] else at


@lru_cache(maxsize=1024)
def beginnings(
    rule: Recurrence, *, first: datetime, until: datetime, zone: str, most: int = MAX_OCCURRENCES
) -> tuple[datetime, ...]:
    """The instants in [first, until) at which it begins, in UTC, ascending; `most` and one more when there are more."""
    found: list[datetime] = []
    for at in _in_order(rule, first, until, ZoneInfo(zone)):
        if len(found) > most or len(found) == rule.count:
            break
        found.append(at)
    return tuple(found)


def _in_order(rule: Recurrence, first: datetime, until: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    start = first.astimezone(zone).replace(tzinfo=None)
    times = [
        time(hour, minute, start.second, start.microsecond)
        for hour, minute in product(rule.by_hour or (start.hour,), rule.by_minute or (start.minute,))
    ]
    last: datetime | None = None
    for day in _days(rule, start.date(), until.astimezone(zone).date()):
        local = (datetime.combine(day, at) for at in times)
        for at in sorted(one.replace(tzinfo=zone).astimezone(UTC) for one in local if not _is_past(rule, one, zone)):
            if first <= at < until and at != last:  # a time that clocks leave out may fall on another one
                last = at
                yield at


def _is_past(rule: Recurrence, local: datetime, zone: ZoneInfo) -> bool:
    if rule.until is None:
        return False
    if rule.until.tzinfo is None:
        return local > rule.until
    return local.replace(tzinfo=zone) > rule.until


def _days(rule: Recurrence, first: date, last: date) -> Iterator[date]:
    """The days of a rule from one to another, in order."""
    if rule.frequency == "MONTHLY":
        yield from (day for day in _days_of_months(rule, first, last) if first <= day <= last)
        return
    fits = _fits(rule, first)
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        if fits(day):
            yield day


def _fits(rule: Recurrence, first: date) -> Callable[[date], bool]:
    weekdays = {weekday for weekday, _ in rule.by_day}
    if rule.frequency == "WEEKLY":
        wanted = weekdays or {first.weekday()}
        monday = first - timedelta(days=first.weekday())
        return lambda day: day.weekday() in wanted and (day - monday).days // 7 % rule.interval == 0
    return lambda day: (
        (day - first).days % rule.interval == 0
        and (not weekdays or day.weekday() in weekdays)
        and (not rule.by_month_day or bool({day.day, day.day - _length(day) - 1} & set(rule.by_month_day)))
    )


def _days_of_months(rule: Recurrence, first: date, last: date) -> Iterator[date]:
    months = (last.year - first.year) * 12 + last.month - first.month
    for number in range(0, months + 1, rule.interval):
        year, month = divmod(first.year * 12 + first.month - 1 + number, 12)
        begin = date(year, month + 1, 1)
        length = _length(begin)
        for day in range(1, length + 1):
            if _is_of_month(rule, begin.replace(day=day), length, first):
                yield begin.replace(day=day)


def _is_of_month(rule: Recurrence, day: date, length: int, first: date) -> bool:
    if rule.by_month_day and not {day.day, day.day - length - 1} & set(rule.by_month_day):
        return False
    if rule.by_day:
        forward, backward = (day.day - 1) // 7 + 1, -((length - day.day) // 7 + 1)
        return any(weekday == day.weekday() and which in {0, forward, backward} for weekday, which in rule.by_day)
    return bool(rule.by_month_day) or day.day == first.day


def _length(day: date) -> int:
    """How many days its month has."""
    return ((day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)).day
