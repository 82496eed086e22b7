"""When something that recurs begins: exact across changes of clocks; what is not understood is refused by name."""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.alerts.recurrence import DAYS, NotARecurrence, beginnings, parse_recurrence
from tocsin.kit.zones import is_zone


def begins(rule: str, first: datetime, *, days: float, zone: str = "UTC") -> list[str]:
    found = beginnings(parse_recurrence(rule), first=first, until=first + timedelta(days=days), zone=zone)
    return [f"{at:%m-%d %H:%M}" for at in found]


def test_a_local_time_that_clocks_leave_out_is_read_with_the_offset_before() -> None:
    first = datetime(2027, 3, 27, tzinfo=UTC)
    found = begins("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", first, days=3, zone="Europe/Berlin")
    # 02:30 at +01:00, then 02:30 that isn't there (03:30 at +02:00), then 02:30 at +02:00
    assert found == ["03-27 01:30", "03-28 01:30", "03-29 00:30"]
    assert begins("FREQ=DAILY;BYHOUR=2,3;BYMINUTE=30", first, days=2, zone="Europe/Berlin")[2:] == ["03-28 01:30"]


def test_a_local_time_that_comes_twice_means_the_first() -> None:
    first = datetime(2027, 10, 30, tzinfo=UTC)
    found = begins("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", first, days=3, zone="Europe/Berlin")
    assert found == ["10-30 00:30", "10-31 00:30", "11-01 01:30"]


def test_it_begins_with_its_start_and_takes_from_it_what_it_does_not_say() -> None:
    start = datetime(2027, 1, 31, 22, 45, tzinfo=UTC)  # a Sunday; in Tokyo it is Monday the first, 07:45
    assert begins("FREQ=DAILY;COUNT=2", start, days=9) == ["01-31 22:45", "02-01 22:45"]
    assert begins("FREQ=WEEKLY", start, days=9, zone="Asia/Tokyo") == ["01-31 22:45", "02-07 22:45"]
    assert begins("FREQ=MONTHLY", start, days=100) == ["01-31 22:45", "03-31 22:45"]
    assert begins("FREQ=MONTHLY", start, days=60, zone="Asia/Tokyo") == ["01-31 22:45", "02-28 22:45", "03-31 22:45"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("RRULE:FREQ=WEEKLY;BYDAY=SU;BYHOUR=2;BYMINUTE=0", ["01-03 02:00", "01-10 02:00", "01-17 02:00"]),
        ("freq=weekly;byday=mo,we;interval=2;wkst=mo", ["01-11 00:00", "01-13 00:00"]),
        ("FREQ=MONTHLY;BYDAY=2TU,-1FR", ["01-12 00:00", "01-29 00:00", "02-09 00:00"]),
        ("FREQ=MONTHLY;BYMONTHDAY=-1,15", ["01-15 00:00", "01-31 00:00", "02-15 00:00"]),
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", ["08-13 00:00"]),
        ("FREQ=DAILY;INTERVAL=10;UNTIL=20270121", ["01-01 00:00", "01-11 00:00", "01-21 00:00"]),
        ("FREQ=DAILY;BYDAY=SA,SU;UNTIL=20270103T000000Z", ["01-02 00:00", "01-03 00:00"]),
        ("FREQ=DAILY;BYHOUR=1,2;COUNT=3", ["01-01 01:00", "01-01 02:00", "01-02 01:00"]),
    ],
)
def test_rules_mean_what_rfc_5545_says(rule: str, expected: list[str]) -> None:
    assert begins(rule, datetime(2027, 1, 1, tzinfo=UTC), days=365)[: len(expected)] == expected


@given(
    start=st.datetimes(datetime(2027, 1, 1), datetime(2028, 12, 31)),
    interval=st.integers(1, 4),
    days=st.sets(st.sampled_from(range(7)), max_size=3),
    month_days=st.sets(st.sampled_from([1, 13, 28, 29, 31, -1, -30]), max_size=3),
    frequency=st.sampled_from(["DAILY", "MONTHLY"]),
    zone=st.sampled_from(["UTC", "Europe/Lisbon", "America/New_York", "Australia/Lord_Howe"]),
)
def test_every_day_that_fits_is_found_and_no_other(
    start: datetime, interval: int, days: set[int], month_days: set[int], frequency: str, zone: str
) -> None:
    rule = f"FREQ={frequency};INTERVAL={interval};BYHOUR=2;BYMINUTE=30"
    rule += ";BYDAY=" + ",".join(DAYS[day] for day in sorted(days)) if days else ""
    rule += ";BYMONTHDAY=" + ",".join(map(str, sorted(month_days))) if month_days else ""
    first = start.replace(second=0, microsecond=0, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    until = first + timedelta(days=150)
    local = first.astimezone(ZoneInfo(zone)).date()

    def fits(day: date) -> bool:
        length = monthrange(day.year, day.month)[1]
        if frequency == "DAILY" and (day - local).days % interval:
            return False
        if frequency == "MONTHLY" and ((day.year - local.year) * 12 + day.month - local.month) % interval:
            return False
        if days and day.weekday() not in days:
            return False
        if month_days and not {day.day, day.day - length - 1} & month_days:
            return False
        return bool(days or month_days) or frequency == "DAILY" or day.day == local.day

    every = (local + timedelta(days=number) for number in range(155))
    at_of = [datetime(d.year, d.month, d.day, 2, 30, tzinfo=ZoneInfo(zone)).astimezone(UTC) for d in every if fits(d)]
    expected = tuple(at for at in at_of if first <= at < until)
    assert beginnings(parse_recurrence(rule), first=first, until=until, zone=zone) == expected


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("", "'' is not NAME=VALUE"),
        ("FREQ=", "is not NAME=VALUE"),
        ("INTERVAL=2", "FREQ is missing"),
        ("FREQ=HOURLY", "FREQ=HOURLY is not understood here"),
        ("FREQ=DAILY;BYSETPOS=1", "BYSETPOS is not understood here"),
        ("FREQ=DAILY;FREQ=DAILY", "FREQ stands there twice"),
        ("FREQ=DAILY;COUNT=1;UNTIL=20270101", "COUNT and UNTIL exclude each other"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0: expected a number from 1 to 1000"),
        ("FREQ=DAILY;INTERVAL=١", "expected a number"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR=24: expected a number from 0 to 23"),
        ("FREQ=DAILY;BYMINUTE=", "is not NAME=VALUE"),
        ("FREQ=DAILY;BYMINUTE=1,", "BYMINUTE=: expected a number from 0 to 59"),
        ("FREQ=WEEKLY;BYDAY=1MO", "of a month is for FREQ=MONTHLY"),
        ("FREQ=MONTHLY;BYDAY=6MO", "BYDAY=6MO: expected some of MO,TU"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY is not for FREQ=WEEKLY"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY=0: expected 1 to 31"),
        ("FREQ=DAILY;UNTIL=20270230", "UNTIL=20270230: expected such as"),
        ("FREQ=DAILY;UNTIL=soon", "UNTIL=SOON: expected such as"),
        ("FREQ=WEEKLY;WKST=SU", "weeks begin on Monday"),
    ],
)
def test_what_is_not_understood_is_named(rule: str, told: str) -> None:
    with pytest.raises(NotARecurrence) as refused:
        parse_recurrence(rule)
    assert told in str(refused.value)


@given(st.text(max_size=60) | st.lists(st.sampled_from(["FREQ=DAILY", "BYDAY=MO", "COUNT=3", ";", "UNTIL="])).map(str))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        rule = parse_recurrence(text)
    except NotARecurrence:
        return
    beginnings(rule, first=datetime(2027, 1, 1, tzinfo=UTC), until=datetime(2027, 2, 1, tzinfo=UTC), zone="UTC")


def test_more_than_can_be_listed_is_seen_to_be_too_many() -> None:
    first = datetime(2027, 1, 1, tzinfo=UTC)
    rule = parse_recurrence("FREQ=DAILY")
    assert len(beginnings(rule, first=first, until=first + timedelta(days=400), zone="UTC", most=10)) == 11


def test_zones_are_known_by_their_names() -> None:
    assert [is_zone(name) for name in ("Europe/Lisbon", "UTC", "Europe", "../etc/passwd", "")] == [
        True, True, False, False, False,
    ]  # fmt: skip
