"""What silences hide in a replay: a record is hidden then if it was, had it come in live."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.alerts.silencing import Silence, hidden_by
from tocsin.kit.clock import to_us
from tocsin.proof.hushing import Hiding, Hidings
from tocsin.query.tree import Everything

START = datetime(2026, 11, 24, 2, tzinfo=UTC)
ONCE = Silence(1, 1, "*", "ana", "we know", START, START + timedelta(minutes=40))
EACH_DAY = Silence(
    2,
    1,
    "*",
    "ana",
    "we know",
    START,
    START + timedelta(days=3, minutes=10),
    recurrence="FREQ=DAILY;BYHOUR=2;BYMINUTE=0,30",
    duration_s=900,
)
MINUTES = st.integers(-30, 3 * 1440 + 60)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def hiding(silence: Silence, made_at: datetime, broken_at: Sequence[datetime]) -> Hiding:
    spans = silence.active_within(at(-60), at(4 * 1440), made_at=made_at, broken_at=broken_at)
    return Hiding(silence.name, Everything(), [(to_us(span.start), to_us(span.end)) for span in spans])


@given(st.lists(MINUTES, max_size=30), st.sampled_from([None, 3, 20, 1445]), st.sampled_from([-5, 4, 1500]))
def test_a_silence_hides_then_what_it_hid_when_it_came(minutes: list[int], broke: int | None, made: int) -> None:
    broken_at = [] if broke is None or broke < made else [at(broke)]
    then = Hidings(
        [hiding(one, at(made), broken_at if one.active_at(at(broke or 0)) else []) for one in (ONCE, EACH_DAY)]
    )
    for minute in (*minutes, -1, 0, 2, 3, 14, 15, 20, 29, 30, 39, 40, 1440, 1445, 1450, 1470):
        now = at(minute)
        known = {
            one.id: replace(one, broken_at=broken_at[0])
            if broken_at and broken_at[0] <= now and one.active_at(broken_at[0])
            else one
            for one in (ONCE, EACH_DAY)
        }
        live = hidden_by(known, [1, 2], now) if minute >= made else None
        assert then.by(to_us(now), "0,1") == (None if live is None else known[live].name), minute


def test_only_what_lies_in_the_span_is_heeded() -> None:
    def spans(since: float, until: float) -> list[tuple[datetime, datetime]]:
        found = EACH_DAY.active_within(at(since), at(until), made_at=at(-60), broken_at=())
        return [(span.start, span.end) for span in found]

    assert spans(15, 30) == []
    assert spans(14, 31) == [(at(0), at(15)), (at(30), at(45))]
    assert spans(3 * 1440 - 1, 4 * 1440) == [(at(3 * 1440), at(3 * 1440 + 10))]


@pytest.mark.parametrize(
    ("covers", "name"), [(None, None), ("1", "silence:2"), ("0,1", "silence:1"), ("1,0", "silence:1")]
)
def test_the_first_that_covers_a_record_hides_it(covers: str | None, name: str | None) -> None:
    then = Hidings([hiding(ONCE, at(-9), ()), hiding(EACH_DAY, at(-9), ())])
    assert then.by(to_us(at(1)), covers) == name
    assert then.by(to_us(at(50)), covers) is None
    assert [when for when, _ in then.ends()][:3] == [to_us(at(15)), to_us(at(40)), to_us(at(45))]
