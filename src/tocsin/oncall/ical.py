"""The final schedule as iCalendar (RFC 5545): UTC, stable UIDs, lines folded at 75 octets and ended by CRLF."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from tocsin.kit.clock import to_us
from tocsin.oncall.seeing import PersonShift

_PRODID: Final = "-//Tocsin//On-call//EN"
_REFRESH: Final = timedelta(hours=1)


def uid(schedule: str, user: str, start: datetime) -> str:
    """The same for the same shift, whenever it is asked for: of the schedule, the person and when the shift begins."""
    text = "\0".join((schedule, user, str(to_us(start))))
    return f"{hashlib.sha256(text.encode()).hexdigest()[:32]}@tocsin"


def calendar(schedule: str, shifts: Iterable[PersonShift], names: Mapping[str, str], changed_at: datetime) -> bytes:
    """The calendar of a schedule. `names` are those that are shown for users; `changed_at` is when it last changed."""
    from icalendar import Calendar, Event  # noqa: PLC0415  # 0.1 s that each start would pay

    found = Calendar()
    found.add("prodid", _PRODID)
    found.add("version", "2.0")
    found.add("method", "PUBLISH")
    found.add("x-wr-calname", f"On call: {schedule}")
    found.add("refresh-interval", _REFRESH, parameters={"VALUE": "DURATION"})
    found.add("x-published-ttl", "PT1H")
    for shift in shifts:
        event = Event()
        _fill(event, schedule, shift, names.get(shift.user, shift.user), changed_at)
        found.add_component(event)
    written: bytes = found.to_ical()
    return written


def _fill(event: Any, schedule: str, shift: PersonShift, name: str, changed_at: datetime) -> None:
    event.add("uid", uid(schedule, shift.user, shift.start))
    event.add("dtstamp", changed_at)
    event.add("dtstart", shift.start)
    event.add("dtend", shift.end)
    event.add("summary", f"{name} on call: {schedule}")
    event.add("transp", "TRANSPARENT")
