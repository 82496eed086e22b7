"""Event times: RFC 3339 with any offset, epoch numbers told apart by their size."""

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.kit.clock import from_us, iso, to_us
from tocsin.logs.timestamps import NotATime, OutOfRange, us_of_number, us_of_text

OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
INSTANTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=OFFSETS)
SINCE_1971 = st.datetimes(datetime(1973, 3, 4), datetime(2286, 11, 20), timezones=st.just(UTC))


@given(INSTANTS)
def test_any_instant_is_read_back_from_its_rfc_3339_form_in_any_offset(instant: datetime) -> None:
    assert us_of_text(instant.isoformat()) == to_us(instant)
    assert us_of_text(instant.isoformat(" ")) == to_us(instant)
    assert from_us(to_us(instant)) == instant


@given(INSTANTS)
def test_the_form_that_we_write_is_utc_with_z_and_is_read_back(instant: datetime) -> None:
    assert iso(instant).endswith("Z")
    assert us_of_text(iso(instant)) == to_us(instant)


@given(SINCE_1971)
def test_an_epoch_number_means_the_same_in_s_ms_us_and_ns(instant: datetime) -> None:
    us = to_us(instant)
    assert us_of_number(us // 1_000_000) == us // 1_000_000 * 1_000_000
    assert us_of_number(us // 1_000) == us // 1_000 * 1_000
    assert us_of_number(us) == us
    assert us_of_number(us * 1_000 + 999) == us
    assert us_of_text(str(us)) == us


@given(st.integers(10**9, 4 * 10**9), st.integers(0, 999))
def test_a_fraction_of_a_second_is_kept(seconds: int, ms: int) -> None:
    assert us_of_number(seconds + ms / 1000) == seconds * 1_000_000 + ms * 1000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-24T02:21:00Z", "2026-11-24T02:21:00Z"),
        ("2026-11-24t02:21:00z", "2026-11-24T02:21:00Z"),
        ("2026-11-24 02:21:00", "2026-11-24T02:21:00Z"),
        ("2026-11-24T02:21:00,5", "2026-11-24T02:21:00.500000Z"),
        ("2026-11-24T02:21:00.123456789Z", "2026-11-24T02:21:00.123457Z"),
        ("2026-11-24T02:21Z", "2026-11-24T02:21:00Z"),
        ("2026-11-24T03:21:00+01:00", "2026-11-24T02:21:00Z"),
        ("2026-11-24T03:21:00+0100", "2026-11-24T02:21:00Z"),
        ("2026-11-24T03:21:00+01", "2026-11-24T02:21:00Z"),
        ("2026-11-23T20:51:00-05:30", "2026-11-24T02:21:00Z"),
        ("2026-11-24", "2026-11-24T00:00:00Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
        ("2026-11-24T02:21:00 UTC", "2026-11-24T02:21:00Z"),
        ("1795486860", "2026-11-24T02:21:00Z"),
        ("1795486860.5", "2026-11-24T02:21:00.500000Z"),
    ],
)
def test_near_forms_are_read(text: str, expected: str) -> None:
    assert iso(from_us(us_of_text(text))) == expected


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-11-24T24:00:00Z", "2026-11-24T02:61:00Z",
     "2026-11-24T02:21:61Z", "2026-11-24T02:21:00+25:00", "24.11.2026", "nan", "inf", "1e400", "9" * 30, "1_000",
     "١٧٩٥٤٨٦٨٦٠"],
)  # fmt: skip
def test_what_is_no_time_is_said_to_be_none(text: str) -> None:
    with pytest.raises(NotATime):
        us_of_text(text)


def test_year_0_is_out_of_range() -> None:
    with pytest.raises(OutOfRange):
        us_of_text("0000-01-01T00:00:00Z")


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_a_named_error(text: str) -> None:
    with contextlib.suppress(NotATime, OutOfRange):
        assert isinstance(us_of_text(text), int)


@given(st.one_of(st.integers(), st.floats()))
def test_any_number_is_a_time_or_a_named_error(number: float) -> None:
    with contextlib.suppress(NotATime):
        assert isinstance(us_of_number(number), int)
