"""Timestamps as log lines carry them: a table of shapes, each a bounded regular expression, and their reader."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

# Minutes east of UTC. Abbreviations that several countries share have the meaning of RFC 822 5.1, else the commonest.
_ZONES: Final = {
    "Z": 0, "UTC": 0, "GMT": 0, "WET": 0, "CET": 60, "MET": 60, "BST": 60, "WEST": 60, "CEST": 120, "MEST": 120,
    "EET": 120, "EEST": 180, "MSK": 180, "IST": 330, "JST": 540, "KST": 540, "AEST": 600, "AEDT": 660,
    "EST": -300, "EDT": -240, "CST": -360, "CDT": -300, "MST": -420, "MDT": -360, "PST": -480, "PDT": -420,
}  # fmt: skip

_ZONE: Final = r"(?P<z>[+-]\d\d(?::?\d\d)?| [+-]\d\d:?\d\d| ?(?:" + "|".join(sorted(_ZONES, reverse=True)) + r")(?!\w))"
_FRACTION: Final = r"(?:[.,](?P<f>\d{1,9})|:(?P<q>\d{1,3}))?"
_TIME: Final = (
    r"(?P<H>[01]?\d|2[0-3]):(?P<M>[0-5]?\d):(?P<S>[0-5]?\d|60)"
    + _FRACTION
    + r"(?: ?(?P<p>[AaPp][Mm])\b)?"
    + _ZONE
    + "?"
)
_FOUR: Final = r"(?P<Y>(?:19|20)\d\d)"
_TWO: Final = r"(?P<y>\d\d)"
_MONTH: Final = r"(?P<m>1[0-2]|0?[1-9])"
_DAY: Final = r"(?P<d>3[01]|[12]\d|0?[1-9])"
_MM: Final = r"(?P<m>1[0-2]|0[1-9])"
_DD: Final = r"(?P<d>3[01]|[12]\d|0[1-9])"
_NAME: Final = r"(?P<b>(?i:" + "|".join(MONTHS) + "))"
_DAY_NAME: Final = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},? {1,2})?"
_GAP: Final = r"(?:[T_:-]|,? {1,2}| -- )"


@dataclass(frozen=True, slots=True)
class Shape:
    """One way of writing an instant. `pattern` names its parts: Y y b m d (date), H M S f q p z (time), e (epoch).

    `q` is a fraction after a colon, a count of milliseconds; `L` a level's letter that belongs to the timestamp.
    """

    name: str
    pattern: str
    epoch: bool = False
    dated: bool = True

    @property
    def unnamed(self) -> str:
        """The pattern without its groups, for a second timestamp in the same line."""
        return re.sub(r"\(\?P<\w>", "(?:", self.pattern)


# Where two entries match the same text (17/06/09), the sample decides; if it can't, the earlier entry wins.
SHAPES: Final = (
    Shape("year-month-day time", rf"{_DAY_NAME}{_FOUR}[-/.]{_MONTH}[-/.]{_DAY}{_GAP}{_TIME}"),
    Shape("year-month-day-h.m.s", rf"{_FOUR}-{_MM}-{_DD}[- T](?P<H>[01]\d|2[0-3])\.(?P<M>[0-5]\d)\.(?P<S>[0-5]\d)"
          r"(?:\.(?P<f>\d{1,9}))?"),
    Shape("yyyymmdd time", rf"{_FOUR}{_MM}{_DD}(?:[T_-]| {{1,2}})?{_TIME}"),
    Shape("yyyymmddhhmmss", rf"{_FOUR}{_MM}{_DD}[T_ -]?(?P<H>[01]\d|2[0-3])(?P<M>[0-5]\d)(?P<S>[0-5]\d)"
          rf"(?:[.,](?P<f>\d{{1,9}}))?{_ZONE}?"),
    Shape("yy/month/day time", rf"{_TWO}[-/.]{_MONTH}[-/.]{_DAY}{_GAP}{_TIME}"),
    Shape("month/day/yy time", rf"{_MONTH}[-/.]{_DAY}[-/.]{_TWO}{_GAP}{_TIME}"),
    Shape("day/month/yy time", rf"{_DAY}[-/.]{_MONTH}[-/.]{_TWO}{_GAP}{_TIME}"),
    Shape("yymmdd hhmmss", rf"{_TWO}{_MM}{_DD} {{1,2}}(?P<H>[01]\d|2[0-3])(?P<M>[0-5]\d)(?P<S>[0-5]\d)"),
    Shape("yymmdd time", rf"{_TWO}{_MM}{_DD} {{1,2}}{_TIME}"),
    Shape("month/day/year time", rf"{_MONTH}[-/.]{_DAY}[-/.]{_FOUR}{_GAP}{_TIME}"),
    Shape("day/month/year time", rf"{_DAY}[-/.]{_MONTH}[-/.]{_FOUR}{_GAP}{_TIME}"),
    Shape("day month-name year time", rf"{_DAY_NAME}{_DAY}[-/. ]{_NAME}[-/. ](?:{_FOUR}|{_TWO}){_GAP}{_TIME}"),
    Shape("day month-name time", rf"{_DAY_NAME}{_DAY}[-/. ]{_NAME} {_TIME}"),
    Shape("month-name day time year", rf"{_DAY_NAME}{_NAME} {{1,2}}{_DAY} {_TIME} {_FOUR}"),
    Shape("month-name day year time", rf"{_DAY_NAME}{_NAME} {{1,2}}{_DAY},? {_FOUR},? {_TIME}"),
    Shape("month-name day time", rf"{_DAY_NAME}{_NAME} {{1,2}}{_DAY} {_TIME}"),
    Shape("month-day time", rf"{_MM}[-/.]{_DD}[T_ -]{_TIME}"),
    Shape("day-month time", rf"{_DD}[-/.]{_MM}[T_ -]{_TIME}"),
    Shape("level letter, mmdd time", rf"(?P<L>[IWEFD])(?:{_FOUR})?{_MM}{_DD} {{1,2}}{_TIME}"),
    Shape("epoch seconds", r"(?P<e>1\d{9})(?:\.(?P<f>\d{1,9}))?", epoch=True),
    Shape("epoch milliseconds", r"(?P<e>1\d{9})(?P<f>\d{3})", epoch=True),
    Shape("epoch microseconds", r"(?P<e>1\d{9})(?P<f>\d{6})", epoch=True),
    Shape("epoch nanoseconds", r"(?P<e>1\d{9})(?P<f>\d{9})", epoch=True),
    Shape("time of day", _TIME, dated=False),
)  # fmt: skip

AFTER: Final = r"(?!\w)"  # a timestamp ends where its word ends
MINUTES_KEPT: Final = 4096

_PARTS: Final = ("Y", "y", "b", "m", "d", "H", "M", "p", "z")


class StampReader:
    """Reads the timestamps of one shape out of matches of `pattern`, which contains that shape's named groups.

    A date without a year takes the latest year in which it does not lie more than a day after `now`; a time without
    a zone is UTC. Everything down to the minute is worked out once per distinct text.
    """

    def __init__(self, shape: Shape, pattern: re.Pattern[str], *, now: datetime) -> None:
        self.shape = shape
        self._latest = now.astimezone(UTC) + timedelta(days=1)
        index = pattern.groupindex
        self._names = tuple(name for name in _PARTS if name in index)
        self._key = tuple(index[name] for name in self._names) or (0,)
        self._groups = tuple(name for name in "YybmdHMSfqpzeL" if name in index)
        self._second = index.get("S", 0)
        self._fraction = index.get("f", 0)
        self._millis = index.get("q", 0)
        self._epoch = index.get("e", 0)
        self._minutes: dict[object, str | None] = {}

    def read(self, match: re.Match[str]) -> str | None:
        """The instant as RFC 3339 in UTC with microseconds; None for a day that does not exist or has no date."""
        if self._epoch:
            return self._read_epoch(match)
        key = match.group(*self._key)
        minute = self._minutes.get(key, "")
        if not minute:
            if minute is None:
                return None
            minute = self._remember(key, match)
            if minute is None:
                return None
        second = match[self._second]
        if len(second) == 1:
            second = "0" + second
        elif second == "60":  # a leap second is read as the second before it
            second = "59"
        fraction = match[self._fraction] if self._fraction else None
        if fraction is None:
            fraction = (match[self._millis] or "0").rjust(3, "0") if self._millis else "000000"
        return f"{minute}{second}.{fraction[:6]:0<6}Z"

    def text(self, match: re.Match[str]) -> str:
        """The timestamp as it stands in the line."""
        spans = [match.span(name) for name in self._groups if match[name] is not None]
        return match.string[min(start for start, _ in spans) : max(end for _, end in spans)]

    def _remember(self, key: object, match: re.Match[str]) -> str | None:
        minute = self._minute({name: match[name] or "" for name in self._names})
        if len(self._minutes) >= MINUTES_KEPT:
            self._minutes.clear()
        self._minutes[key] = minute
        return minute

    def _read_epoch(self, match: re.Match[str]) -> str:
        seconds = int(match[self._epoch])
        minute = self._minutes.get(seconds // 60)
        if minute is None:
            if len(self._minutes) >= MINUTES_KEPT:
                self._minutes.clear()
            minute = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:")
            self._minutes[seconds // 60] = minute
        fraction = (match[self._fraction] or "") if self._fraction else ""
        return f"{minute}{seconds % 60:02}.{fraction[:6]:0<6}Z"

    def _minute(self, parts: dict[str, str]) -> str | None:
        if not self.shape.dated:
            return None
        month = int(parts["m"]) if parts.get("m") else MONTHS.index(parts["b"].lower()) + 1
        year = int(parts.get("Y") or 0) or _century(parts.get("y", ""))
        try:
            zone = timezone(timedelta(minutes=_zone_minutes(parts.get("z", ""))))
            if year:
                found = datetime(year, month, int(parts["d"]), _hour(parts), int(parts["M"]), tzinfo=zone)
            else:
                found = self._in_latest_year(month, int(parts["d"]), _hour(parts), int(parts["M"]), zone)
            return found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:")
        except (ValueError, OverflowError):
            return None

    def _in_latest_year(self, month: int, day: int, hour: int, minute: int, zone: timezone) -> datetime:
        for year in range(self._latest.year, self._latest.year - 9, -1):  # 29 February may be eight years back
            try:
                found = datetime(year, month, day, hour, minute, tzinfo=zone)
            except ValueError:
                continue
            if found <= self._latest:
                return found
        raise ValueError("no such day")


def _zone_minutes(zone: str) -> int:
    text = zone.strip()
    if not text:
        return 0
    if text[0] not in "+-":
        return _ZONES[text]
    digits = text[1:].replace(":", "").ljust(4, "0")
    if int(digits[2:]) > 59:
        raise ValueError("an offset has at most 59 minutes")
    return (int(digits[:2]) * 60 + int(digits[2:])) * (-1 if text[0] == "-" else 1)


def _century(year: str) -> int:
    """Two digits as POSIX strptime reads them: 69..99 are 1969..1999."""
    return 0 if not year else int(year) + (1900 if int(year) > 68 else 2000)


def _hour(parts: dict[str, str]) -> int:
    hour, half = int(parts["H"]), parts.get("p", "").lower()
    if not half:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError("a 12-hour clock counts from 1 to 12")
    return hour % 12 + (12 if half == "pm" else 0)
