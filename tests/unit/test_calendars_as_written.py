"""Calendars as they are written: read as they were meant, kept even when a name is no longer known."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.kit.calendar import WEEKDAYS, elapsed
from tocsin.kit.errors import Invalid
from tocsin.tickets.calendars import calendar_of, definition_of, kept_calendar

TIMES = st.integers(0, 1439).map(lambda n: f"{n // 60:02}:{n % 60:02}")
SPANS = st.lists(st.lists(TIMES | st.just("24:00"), min_size=2, max_size=2), max_size=3)
DEFINITIONS = st.fixed_dictionaries(
    {
        "time_zone": st.sampled_from(["UTC", "Asia/Kolkata", "Europe/Lisbon", "nowhere"]),
        "hours": st.dictionaries(st.sampled_from(WEEKDAYS), SPANS),
        "holidays": st.none() | st.just({"country": "PT", "subdivision": None}) | st.just({"country": "??"}),
        "days": st.dictionaries(st.dates().map(str) | st.just("2026-02-30"), SPANS, max_size=3),
    }
)


def read(definition):
    try:
        return calendar_of(definition)
    except Invalid as error:
        return error


@given(DEFINITIONS)
def test_what_is_taken_is_written_as_it_is_read(definition):
    calendar = read(definition)
    if isinstance(calendar, Invalid):
        assert calendar.errors
        assert all(one.pointer.startswith("/") for one in calendar.errors)
        return
    written = definition_of(calendar)
    assert calendar_of(written) == calendar
    assert kept_calendar(written) == calendar


@given(DEFINITIONS)
def test_what_was_kept_is_read_whatever_is_known_now(definition):
    start = datetime(2026, 11, 24, tzinfo=UTC)
    assert elapsed(start, start + timedelta(days=7), kept_calendar(definition)) <= timedelta(days=7)


def test_a_name_that_is_no_longer_known_is_refused_when_saved_and_goes_on_where_it_was_kept():
    old = {"time_zone": "Mars/Olympus", "hours": {"mon": [["09:00", "17:00"]]}, "holidays": {"country": "??"}}
    with pytest.raises(Invalid, match="no time zone"):
        calendar_of(old)
    assert kept_calendar(old).time_zone == "UTC"
    assert kept_calendar(old).country is None
