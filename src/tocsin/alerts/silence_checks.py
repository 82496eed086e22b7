"""Whether what somebody wrote is a silence, and what they should know of it: pure."""

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from tocsin.alerts.recurrence import MAX_OCCURRENCES, NotARecurrence
from tocsin.alerts.rules import CONDITIONS, condition_errors
from tocsin.alerts.silencing import Silence
from tocsin.kit.clock import EPOCH, iso
from tocsin.kit.errors import FieldError, Invalid
from tocsin.kit.zones import is_zone
from tocsin.query.parse import parse
from tocsin.query.tree import Everything

MAX_SILENCE_S: Final = 366 * 86_400
MAX_WINDOWS_S: Final = 5 * 366 * 86_400
MAX_AHEAD: Final = timedelta(days=5 * 366)
MAX_BREAK_FACTOR: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Draft:
    """A silence as it was asked for. `ends_at` or `duration_s` say when it ends; with a `recurrence` both do: `until`
    when the last occurrence is over, `duration_s` how long each is."""

    matcher: str
    owner: str
    reason: str
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    duration_s: int | None = None
    recurrence: str | None = None
    time_zone: str = "UTC"
    until: datetime | None = None
    break_factor: float | None = None


def silence_of(draft: Draft, now: datetime) -> Silence:
    """The silence that is meant, not numbered yet. Raises Invalid, which names each field that is wrong and why."""
    found = [*_matcher(draft), *_who_and_why(draft.owner, draft.reason), *_break(draft), *_zone(draft)]
    if draft.recurrence is None:
        starts_at, ends_at = draft.starts_at or now, draft.ends_at
        found += _once(draft, now)
        if ends_at is None and draft.duration_s is not None and not found:
            ends_at = starts_at + timedelta(seconds=draft.duration_s)
    else:
        found += _window(draft, now)
        starts_at, ends_at = draft.starts_at or now, draft.until
    _refuse(found)
    assert ends_at is not None
    silence = Silence(
        id=0,
        version=0,
        matcher=draft.matcher,
        owner=draft.owner.strip(),
        reason=draft.reason.strip(),
        starts_at=starts_at,
        ends_at=ends_at,
        recurrence=draft.recurrence,
        duration_s=None if draft.recurrence is None else draft.duration_s,
        time_zone=draft.time_zone,
        break_factor=draft.break_factor,
    )
    if draft.recurrence is not None and draft.starts_at is None:
        silence = _from_midnight(silence)
    check_times(silence, now)
    return silence


def _from_midnight(silence: Silence) -> Silence:
    """A window without a beginning counts from the day it is made on: BYHOUR=2 then means two o'clock sharp."""
    local = silence.starts_at.astimezone(ZoneInfo(silence.time_zone))
    return replace(silence, starts_at=local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC))


def check_times(silence: Silence, now: datetime) -> None:
    """Raises Invalid, which names what is wrong about when a silence is active."""
    end = "/ends_at" if silence.recurrence is None else "/until"
    most = MAX_SILENCE_S if silence.recurrence is None else MAX_WINDOWS_S
    length = silence.ends_at - silence.starts_at
    if length <= timedelta(0):
        _refuse([FieldError(end, f"is not after its start, {iso(silence.starts_at)}")])
    if silence.ends_at <= now:
        _refuse([FieldError(end, f"is over already: it is {iso(now)}")])
    if length > timedelta(seconds=most):
        _refuse([FieldError(end, f"is {length.days} days after its start; expected at most {most // 86_400}")])
    if silence.recurrence is not None:
        _refuse(_occurrences(silence, now))


def _occurrences(silence: Silence, now: datetime) -> list[FieldError]:
    try:
        starts = silence.beginnings()
    except NotARecurrence as error:
        return [FieldError("/recurrence", str(error))]
    if not starts:
        return [FieldError("/recurrence", f"never occurs from {iso(silence.starts_at)} to {iso(silence.ends_at)}")]
    if len(starts) > MAX_OCCURRENCES:
        detail = f"occurs more than {MAX_OCCURRENCES} times until {iso(silence.ends_at)}; expected an earlier `until`"
        return [FieldError("/recurrence", detail)]
    for one, next_one in pairwise(starts):
        apart = int((next_one - one).total_seconds())
        if apart < (silence.duration_s or 0):
            detail = f"is longer than the {apart} s from {iso(one)} to the next occurrence: they would overlap"
            return [FieldError("/duration_s", detail)]
    if silence.next_turn(now) is None:
        return [FieldError("/recurrence", "its last occurrence is over already")]
    return []


def warnings_of(matcher: str) -> list[str]:
    """What whoever makes it should know, although it is allowed."""
    everything = isinstance(parse(matcher, CONDITIONS, now=EPOCH), Everything)
    return ["This hides everything: no record opens a ticket while it is active."] if everything else []


def check_matcher(matcher: str) -> None:
    """Raises Invalid, with the column."""
    _refuse([FieldError("/matcher", detail) for detail in condition_errors(matcher)])


def check_changes(*, owner: str, reason: str) -> None:
    """Raises Invalid for what must not be empty."""
    _refuse(_who_and_why(owner, reason))


def _matcher(draft: Draft) -> list[FieldError]:
    return [FieldError("/matcher", detail) for detail in condition_errors(draft.matcher)]


def _who_and_why(owner: str, reason: str) -> list[FieldError]:
    found = [] if owner.strip() else [FieldError("/owner", "is empty; expected who answers for it")]
    return found + ([] if reason.strip() else [FieldError("/reason", "is empty; expected why nobody is to be paged")])


def _break(draft: Draft) -> list[FieldError]:
    factor = draft.break_factor
    if factor is None or (math.isfinite(factor) and 1 <= factor <= MAX_BREAK_FACTOR):
        return []
    return [
        FieldError("/break_factor", f"expected how many times the usual volume is too much, 1 to {MAX_BREAK_FACTOR}")
    ]


def _once(draft: Draft, now: datetime) -> list[FieldError]:
    found = _start(draft, now)
    found += [] if draft.until is None else [FieldError("/until", "is the end of a recurrence; expected ends_at")]
    if (draft.ends_at is None) == (draft.duration_s is None):
        found.append(FieldError("/ends_at", "expected either ends_at or duration_s: a silence has an end"))
    if draft.duration_s is not None:
        found += _seconds(draft.duration_s, MAX_SILENCE_S)
    return found


def _window(draft: Draft, now: datetime) -> list[FieldError]:
    found = _start(draft, now)
    found += [] if draft.ends_at is None else [FieldError("/ends_at", "is for what does not recur; expected until")]
    if draft.until is None:
        found.append(FieldError("/until", "is missing; expected when the last occurrence is over"))
    if draft.duration_s is None:
        found.append(FieldError("/duration_s", "is missing; expected how many seconds an occurrence lasts"))
    else:
        found += _seconds(draft.duration_s, MAX_SILENCE_S)
    return found


def _zone(draft: Draft) -> list[FieldError]:
    if is_zone(draft.time_zone):
        return []
    detail = f"there is no time zone {draft.time_zone[:60]!r}; expected one such as Europe/Lisbon"
    return [FieldError("/time_zone", detail)]


def _start(draft: Draft, now: datetime) -> list[FieldError]:
    if draft.starts_at is None or draft.starts_at <= now + MAX_AHEAD:
        return []
    return [FieldError("/starts_at", f"expected at most {MAX_AHEAD.days} days ahead")]


def _seconds(value: int, most: int) -> list[FieldError]:
    return [] if 1 <= value <= most else [FieldError("/duration_s", f"expected 1 to {most} seconds")]


def _refuse(found: list[FieldError]) -> None:
    if found:
        raise Invalid("; ".join(f"{error.pointer[1:]}: {error.detail}" for error in found), errors=tuple(found))
