"""Event times as senders write them: RFC 3339 with any offset, or epoch numbers told apart by their size."""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from tocsin.kit.clock import to_us

MAX_AHEAD: Final = timedelta(minutes=5)

# A number is seconds below 10^11 (year 5138), milliseconds below 10^14, microseconds below 10^17, else nanoseconds.
_SCALES: Final = ((10**11, 1_000_000, 1), (10**14, 1_000, 1), (10**17, 1, 1), (10**20, 1, 1_000))

_TEXT: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt _](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,12}))?)?)?"
    r" ?([Zz]|UTC|[+-]\d\d:?\d\d|[+-]\d\d)?",
    re.ASCII,
)


class NotATime(ValueError):
    """The value names no instant; the text says what was expected."""


class OutOfRange(ValueError):
    """A well-formed time that lies before year 1 or after year 9999."""


def us_of_number(number: float) -> int:
    """Microseconds since 1970 of an epoch number in s, ms, us or ns. Raises NotATime."""
    if not math.isfinite(number) or abs(number) >= _SCALES[-1][0]:
        raise NotATime("expected an epoch number in s, ms, us or ns; this one is out of range")
    size = abs(number)
    multiply, divide = next((m, d) for bound, m, d in _SCALES if size < bound)
    return number * multiply // divide if isinstance(number, int) else round(number * multiply / divide)


def us_of_text(text: str) -> int:
    """Microseconds since 1970 of an RFC 3339 time (or near to it: `,` fractions, no seconds) or an epoch number.

    A time without an offset is UTC; second 60 is read as the second before it; a finer fraction is rounded. Raises
    NotATime or OutOfRange.
    """
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        return _us_of_digits(text)
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    if year == "0000":
        raise OutOfRange("year 0")
    try:
        whole = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), min(int(second or 0), 59), tzinfo=UTC
        )
        if int(second or 0) > 60:
            raise ValueError("second must be in 0..60")
    except ValueError as error:
        raise NotATime(f"expected an RFC 3339 time; {error}") from error
    picoseconds = int((fraction or "").ljust(12, "0"))
    return to_us(whole) + (picoseconds + 500_000) // 1_000_000 - _offset_us(zone)


def _us_of_digits(text: str) -> int:
    try:
        if not text.isascii() or "_" in text:
            raise ValueError("Python would read it, senders don't mean it")
        return us_of_number(int(text) if text.strip().lstrip("-").isdigit() and len(text) < 25 else float(text))
    except NotATime:
        raise
    except ValueError:
        raise NotATime(
            "expected an RFC 3339 time such as 2026-11-24T02:21:00.123Z, or an epoch number in s, ms, us or ns"
        ) from None


def _offset_us(zone: str | None) -> int:
    if zone is None or zone in "Zz" or zone == "UTC":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 23 or minutes > 59:
        raise NotATime("expected an offset between -23:59 and +23:59")
    return (hours * 60 + minutes) * 60_000_000 * (-1 if zone[0] == "-" else 1)
