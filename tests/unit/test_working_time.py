"""Working time of many stretches is that of each, by any calendar."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tocsin.kit.calendar import ALWAYS, Calendar, elapsed
from tocsin.kit.clock import MICROSECOND, to_us
from tocsin.tickets.working_time import worked

OFFICE = ((540, 1020),) * 5
CALENDARS = (
    ALWAYS,
    Calendar("Europe/Lisbon", (*((span,) for span in OFFICE), (), ())),
    Calendar("America/New_York", (((1320, 1800),),) * 7),  # nights, over both changes of the clocks
    Calendar("Asia/Kolkata", ((), (), ((600, 660), (720, 721)), (), (), (), ()), "IN", None,
             ((date(2026, 3, 9), ((0, 1440),)),)),
)  # fmt: skip
INSTANTS = st.datetimes(datetime(2025, 12, 20), datetime(2027, 2, 1), timezones=st.just(UTC))


@given(st.sampled_from(CALENDARS), st.lists(st.tuples(INSTANTS, INSTANTS), max_size=12))
def test_many_at_once_are_as_each_by_itself(calendar, stretches):
    starts = np.array([to_us(start) for start, _ in stretches], dtype=np.int64)
    ends = np.array([to_us(end) for _, end in stretches], dtype=np.int64)
    each = [elapsed(start, end, calendar) // MICROSECOND for start, end in stretches]
    assert worked(starts, ends, calendar).tolist() == each


def test_before_the_first_hour_and_after_the_last_nothing_is_worked():
    office = CALENDARS[1]
    saturday = to_us(datetime(2026, 11, 28, 1, tzinfo=UTC))
    hour = timedelta(hours=1) // MICROSECOND
    assert worked(np.array([saturday]), np.array([saturday + hour]), office).tolist() == [0]
    assert worked(np.array([], dtype=np.int64), np.array([], dtype=np.int64), office).tolist() == []
