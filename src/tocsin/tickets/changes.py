"""What was changed in services: which of it stands beside a ticket, and where in its timeline. Pure."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeVar

from tocsin.kit.clock import iso
from tocsin.kit.errors import FieldError, Invalid

BEFORE: Final = timedelta(minutes=30)  # what was changed so shortly before a ticket opened may be why
KEPT: Final = timedelta(days=400)  # a year, and the month in which one looks back on it
AHEAD: Final = timedelta(minutes=5)  # of clocks elsewhere
MAX_ATTRIBUTES: Final = 50
MAX_ATTRIBUTES_BYTES: Final = 16_384
_URL: Final = re.compile(r"https?://[^\s<>\"\\]+", re.IGNORECASE)


class Dated(Protocol):
    """Something that has an instant."""

    @property
    def at(self) -> datetime: ...


def check_change(at: datetime, url: str | None, attributes: Mapping[str, Any], now: datetime) -> None:
    """Raises Invalid, with all that is wrong."""
    errors = list[FieldError]()
    if not now - KEPT <= at <= now + AHEAD:
        errors.append(FieldError("/at", f"expected a time of the last {KEPT.days} days, it is {iso(now)} now"))
    if url is not None and not _URL.fullmatch(url):
        errors.append(FieldError("/url", "expected an http(s) address"))
    if len(attributes) > MAX_ATTRIBUTES:
        errors.append(FieldError("/attributes", f"expected {MAX_ATTRIBUTES} at most"))
    elif len(json.dumps(attributes)) > MAX_ATTRIBUTES_BYTES:
        errors.append(FieldError("/attributes", f"expected {MAX_ATTRIBUTES_BYTES:,} bytes of JSON at most"))
    if errors:
        raise Invalid(f"{errors[0].pointer[1:]}: {errors[0].detail}", errors=tuple(errors))


def beside(opened_at: datetime, ended_at: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """From when to when, both included, a change stands beside a ticket that was resolved or closed then, or goes on.

    A ticket that is open shows what is to come within minutes as well.
    """
    return opened_at - BEFORE, now + AHEAD if ended_at is None else ended_at


E = TypeVar("E", bound=Dated)
C = TypeVar("C", bound=Dated)


def woven(events: Sequence[E], changes: Sequence[C]) -> Iterator[E | C]:
    """Events in their order, and each change before the first of them that happened later.

    What comes next depends on the next of either alone: a page may end anywhere.
    """
    waiting = list(reversed(changes))
    for event in events:
        while waiting and waiting[-1].at < event.at:
            yield waiting.pop()
        yield event
    while waiting:
        yield waiting.pop()
