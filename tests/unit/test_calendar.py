"""Business time: the published vectors, a brute force over every minute, clocks that are put forward and back."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.kit.calendar import (
    ALWAYS,
    WEEKDAYS,
    WHOLE_DAY,
    Calendar,
    NoWorkingTime,
    Pause,
    Span,
    due_at,
    due_before,
    elapsed,
    empty_year,
    is_open,
    open_spans,
)

VECTORS = Path(__file__).parents[2] / ".." / "shared" / "data" / "vectors_sla" / "business_time_vectors.json"
CASES: list[dict[str, Any]] = json.loads(VECTORS.read_text())["cases"] if VECTORS.exists() else []
MINUTE = timedelta(minutes=1)
NINE_TO_FIVE: tuple[Span, ...] = ((9 * 60, 17 * 60),)
WORKDAYS = (NINE_TO_FIVE,) * 5 + ((), ())


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def minutes(text: str) -> int:
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)


def spans(pairs: Iterable[Sequence[str]]) -> tuple[Span, ...]:
    return tuple((minutes(low), minutes(high)) for low, high in pairs)


def without(given_: tuple[Span, ...], taken: tuple[Span, ...]) -> tuple[Span, ...]:
    """Spans less the breaks in them."""
    for begun, ended in taken:
        given_ = tuple(
            (low, high) for a, b in given_ for low, high in ((a, min(b, begun)), (max(a, ended), b)) if low < high
        )
    return given_


def calendar_of(vector: dict[str, Any]) -> Calendar:
    """A vector's calendar. Its breaks are no thing of ours: a day with one has hours of its own."""
    hours = tuple(spans(vector["hours"].get(day, ())) for day in WEEKDAYS)
    days = {date.fromisoformat(day): () for day in vector.get("holidays", ())}
    days |= {date.fromisoformat(day): spans(given_) for day, given_ in vector.get("special_days", {}).items()}
    for text, breaks in vector.get("breaks", {}).items():
        day = date.fromisoformat(text)
        days[day] = without(days.get(day, hours[day.weekday()]), spans(breaks))
    return Calendar(vector["time_zone"], hours, days=tuple(sorted(days.items())))


def answer(case: dict[str, Any]) -> Any:
    calendar = calendar_of(case["calendar"])
    pauses = [(at(a), at(b)) for a, b in case.get("paused", ())]
    match case["op"]:
        case "deadline":
            return due_at(at(case["start"]), case["target_minutes"] * MINUTE, calendar, pauses)
        case "add_business_seconds" if case["direction"] == "before":
            return due_before(at(case["start"]), timedelta(seconds=case["seconds"]), calendar)
        case "add_business_seconds":
            return due_at(at(case["start"]), timedelta(seconds=case["seconds"]), calendar)
        case "elapsed_minutes":
            return elapsed(at(case["start"]), at(case["end"]), calendar, pauses) // MINUTE
        case "elapsed_seconds":
            return elapsed(at(case["start"]), at(case["end"]), calendar, pauses).total_seconds()
        case "is_open":
            return is_open(at(case["at"]), calendar)
        case "next_open_periods":
            found = open_spans(at(case["start"]), calendar)
            return [next(found) for _ in case["expected"]]
    raise AssertionError(case["op"])


def wanted(case: dict[str, Any]) -> Any:
    if "expected_minutes" in case:
        return case["expected_minutes"]
    if "expected_seconds" in case:
        return case["expected_seconds"]
    if isinstance(case["expected"], list):
        return [tuple(map(at, pair)) for pair in case["expected"]]
    return at(case["expected"]) if isinstance(case["expected"], str) else case["expected"]


@pytest.mark.skipif(not CASES, reason="the published vectors are not beside this checkout (../shared/data/vectors_sla)")
def test_there_are_sixty_published_vectors() -> None:
    assert len(CASES) == 60


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_published_vector_matches(case: dict[str, Any]) -> None:
    assert answer(case) == wanted(case)


@pytest.mark.parametrize("case", [case for case in CASES if "expected_breached" in case], ids=lambda case: case["id"])
def test_a_published_vector_says_what_remains(case: dict[str, Any]) -> None:
    remaining = case["target_minutes"] - answer(case)
    assert (remaining, remaining < 0) == (case["expected_remaining_minutes"], case["expected_breached"])


# The definition, minute by minute: an instant is working time if the wall clock then shows a time within a span.

ZONES = (
    "UTC", "Europe/Berlin", "Europe/Lisbon", "America/New_York", "America/St_Johns", "Asia/Kolkata", "Asia/Kathmandu",
    "Australia/Lord_Howe", "Australia/Adelaide", "Pacific/Apia", "Africa/Casablanca", "America/Scoresbysund",
    "Asia/Gaza",
)  # fmt: skip
# Days on which some of these put their clocks forward or back, or skipped a day.
TURNS = [date(2026, 3, 8), date(2026, 3, 29), date(2026, 4, 5), date(2026, 10, 4), date(2026, 10, 25),
         date(2026, 11, 1), date(2011, 12, 30), date(2026, 12, 31), date(2028, 2, 29), date(2026, 2, 15)]  # fmt: skip


def works(instant: datetime, calendar: Calendar) -> bool:
    wall = instant.astimezone(ZoneInfo(calendar.time_zone))
    own = dict(calendar.days)
    minute = wall.hour * 60 + wall.minute
    for back in (0, 1):
        day = date.fromordinal(wall.date().toordinal() - back)
        given_ = own.get(day, calendar.hours[day.weekday()])
        if any(low <= minute + back * 1440 < high for low, high in given_):
            return True
    return False


@st.composite
def some_spans(draw: st.DrawFn) -> tuple[Span, ...]:
    """Up to three spans of a day; the last may end on the next one."""
    edges = sorted(draw(st.sets(st.integers(0, 1440), min_size=0, max_size=6)))
    pairs = list(zip(edges[::2], edges[1::2], strict=False))
    if pairs and draw(st.booleans()):
        pairs[-1] = (pairs[-1][0], draw(st.integers(1440, 1440 + min(pairs[0][0], 600))))
    return tuple((low, high) for low, high in pairs if low < high)


@st.composite
def calendars(draw: st.DrawFn, around: date) -> Calendar:
    hours = tuple(draw(st.lists(some_spans(), min_size=7, max_size=7)))
    near = st.integers(-3, 3).map(lambda n: date.fromordinal(around.toordinal() + n))
    days = draw(st.dictionaries(near, some_spans() | st.just(()), max_size=3))
    return Calendar(draw(st.sampled_from(ZONES)), hours, days=tuple(sorted(days.items())))


@st.composite
def situations(draw: st.DrawFn) -> tuple[Calendar, datetime, int, list[Pause]]:
    around = draw(st.sampled_from(TURNS))
    start = datetime(around.year, around.month, around.day, tzinfo=UTC) + draw(st.integers(-2000, 1000)) * MINUTE
    length = draw(st.integers(0, 5000))
    moment = st.integers(-100, length + 100).map(lambda n: start + n * MINUTE)
    pauses: list[Pause] = draw(st.lists(st.tuples(moment, moment), max_size=4))
    if draw(st.booleans()):
        pauses.append((draw(moment), None))
    return draw(calendars(around)), start, length, pauses


def counted(start: datetime, length: int, calendar: Calendar, pauses: Sequence[Pause]) -> list[datetime]:
    """Each minute that counts."""
    instants = (start + number * MINUTE for number in range(length))
    return [
        one
        for one in instants
        if works(one, calendar) and not any(a <= one and (b is None or one < b) for a, b in pauses)
    ]


@settings(max_examples=150)
@given(situations(), st.data())
def test_every_minute_counted_by_itself_gives_the_same(
    situation: tuple[Calendar, datetime, int, list[Pause]], data: st.DataObject
) -> None:
    calendar, start, length, pauses = situation
    brute = counted(start, length, calendar, pauses)
    assert elapsed(start, start + length * MINUTE, calendar, pauses) == len(brute) * MINUTE
    if brute:
        target = data.draw(st.integers(1, len(brute)))
        assert due_at(start, target * MINUTE, calendar, pauses) == brute[target - 1] + MINUTE
        if not pauses:
            assert due_before(start + length * MINUTE, target * MINUTE, calendar) == brute[-target]


@given(situations(), st.integers(1, 10**10))
def test_a_target_is_met_at_its_deadline_and_not_a_microsecond_before(
    situation: tuple[Calendar, datetime, int, list[Pause]], microseconds: int
) -> None:
    calendar, start, _, pauses = situation
    target = timedelta(microseconds=microseconds)
    try:
        due = due_at(start, target, calendar, pauses)
    except NoWorkingTime:
        return
    if due is not None:
        assert elapsed(start, due, calendar, pauses) == target
        assert elapsed(start, due - timedelta(microseconds=1), calendar, pauses) == target - timedelta(microseconds=1)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2150, 1, 1)), st.integers(0, 10**14), st.integers(0, 10**14))
def test_around_the_clock_no_microsecond_is_lost(naive: datetime, first: int, second: int) -> None:
    start = naive.replace(tzinfo=UTC)
    middle = start + timedelta(microseconds=first)
    end = middle + timedelta(microseconds=second)
    wall = Calendar("America/New_York", ((WHOLE_DAY,),) * 7, days=((date(1970, 1, 1), (WHOLE_DAY,)),))
    for calendar in (ALWAYS, wall):  # the second by the general way
        assert elapsed(start, end, calendar) == end - start
        assert elapsed(start, middle, calendar) + elapsed(middle, end, calendar) == end - start
        assert due_at(start, end - start, calendar) == end


def test_a_whole_day_has_25_hours_when_clocks_are_put_back_and_23_when_forward() -> None:
    whole = Calendar("Europe/Berlin", ((WHOLE_DAY,),) * 7, days=((date(2000, 1, 1), ()),))
    for day, hours in (("2026-10-25", 25), ("2026-03-29", 23), ("2026-06-01", 24)):
        start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/Berlin"))
        end = start + timedelta(days=1)  # on the wall
        assert elapsed(start.astimezone(UTC), end.astimezone(UTC), whole) == timedelta(hours=hours)


def test_a_span_in_the_hour_that_is_skipped_has_no_time_that_day() -> None:
    early = Calendar("Europe/Berlin", (((2 * 60, 3 * 60),),) * 7)
    assert elapsed(at("2026-03-29T00:00:00Z"), at("2026-03-29T12:00:00Z"), early) == timedelta(0)
    assert elapsed(at("2026-10-25T00:00:00Z"), at("2026-10-25T12:00:00Z"), early) == timedelta(hours=2)


def test_lord_howe_puts_its_clocks_back_by_half_an_hour() -> None:
    night = Calendar("Australia/Lord_Howe", (((60, 180),),) * 7)
    assert elapsed(at("2026-04-04T12:00:00Z"), at("2026-04-05T00:00:00Z"), night) == timedelta(hours=2, minutes=30)


def test_a_holiday_takes_the_night_shift_that_begins_on_it_and_leaves_the_one_that_ends_on_it() -> None:
    nights = Calendar("UTC", (((22 * 60, 30 * 60),),) * 7, days=((date(2026, 12, 25), ()),))
    assert elapsed(at("2026-12-24T00:00:00Z"), at("2026-12-27T00:00:00Z"), nights) == timedelta(hours=6 + 8 + 2)
    assert is_open(at("2026-12-25T05:00:00Z"), nights)
    assert not is_open(at("2026-12-26T05:00:00Z"), nights)


def test_public_holidays_of_a_subdivision_are_days_off_and_own_days_go_before_them() -> None:
    plain = Calendar("Europe/Berlin", WORKDAYS, country="DE", subdivision="BY")
    epiphany = at("2027-01-06T00:00:00Z"), at("2027-01-07T00:00:00Z")
    assert elapsed(*epiphany, plain) == timedelta(0)
    assert elapsed(*epiphany, Calendar("Europe/Berlin", WORKDAYS, country="DE")) == timedelta(hours=8)
    manned = Calendar("Europe/Berlin", WORKDAYS, "DE", "BY", days=((date(2027, 1, 6), ((600, 720),)),))
    assert elapsed(*epiphany, manned) == timedelta(hours=2)


def test_a_deadline_that_never_comes_is_refused() -> None:
    never = Calendar("UTC", ((),) * 7, days=((date(2027, 1, 4), NINE_TO_FIVE),))
    assert due_at(at("2027-01-01T00:00:00Z"), timedelta(hours=8), never) == at("2027-01-04T17:00:00Z")
    with pytest.raises(NoWorkingTime):
        due_at(at("2027-01-01T00:00:00Z"), timedelta(hours=9), never)
    with pytest.raises(NoWorkingTime):
        due_before(at("2027-01-01T00:00:00Z"), timedelta(hours=9), never)


def test_a_pause_without_an_end_leaves_no_deadline_unless_it_begins_too_late() -> None:
    start = at("2026-11-24T10:00:00Z")
    assert due_at(start, timedelta(hours=2), ALWAYS, [(start + timedelta(hours=1), None)]) is None
    assert due_at(start, timedelta(hours=2), ALWAYS, [(start + timedelta(hours=3), None)]) == start + timedelta(hours=2)


def test_the_first_year_without_working_time_is_found() -> None:
    now = at("2026-11-24T10:00:00Z")
    assert empty_year(Calendar("UTC", WORKDAYS), now, 10) is None
    assert empty_year(ALWAYS, now, 10) is None
    off = tuple((date.fromordinal(date(2028, 1, 1).toordinal() + n), ()) for n in range(800))
    found = empty_year(Calendar("UTC", WORKDAYS, days=off), now, 10)
    assert found is not None
    assert found[0].year == 2028


def test_a_target_of_a_year_at_an_hour_a_week_ends_after_a_century() -> None:
    hourly = Calendar("Europe/Lisbon", (((600, 660),), *(((),) * 6)))
    due = due_at(at("2026-11-24T10:00:00Z"), timedelta(hours=52 * 150), hourly)
    assert due is not None
    assert due.year in {2175, 2176}
