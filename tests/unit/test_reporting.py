"""Figures are those of the definitions; keys are told by the clock on the wall; the worst come first."""

import statistics
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.kit.calendar import ALWAYS, Calendar
from tocsin.kit.clock import to_us
from tocsin.tickets import reporting
from tocsin.tickets.blocks import SPAN, gaps, pack_numbers, pack_words, unpack_numbers, unpack_words, worthwhile
from tocsin.tickets.coded import Coded
from tocsin.tickets.reporting import COUNTS, MISSING, Figures, Kept, every_key, figures, rows, with_worked, worst

HOUR = 3_600_000_000
WORDS = st.one_of(st.none(), st.sampled_from(["pay", "mail", "rule:x", 'ünïcode " ,']))


def column(values):
    return np.array(list(values), dtype=np.int64)


TICKET = st.tuples(
    WORDS, st.none() | st.integers(0, 10**13), st.booleans(), st.integers(0, 3), st.integers(0, 9),
    st.tuples(*[st.sampled_from((0, 1, 2))] * 3), st.booleans(),
)  # fmt: skip


@given(st.lists(TICKET, min_size=1, max_size=60))
def test_groups_are_added_up_as_by_hand(found):
    packed = [
        ((((((reopens * COUNTS + moved) * 4 + met) * 4 + ack) * 4 + res) * 2 + again) * 2) + (spent is None or open_)
        for _, spent, open_, reopens, moved, (met, ack, res), again in found
    ]
    spent = column(MISSING if one[1] is None else one[1] for one in found)
    key = Coded.of([one[0] for one in found])
    columns = {"acknowledge_us": spent, "spent_us": spent, "packed": column(packed), "key": key}
    total, groups = figures(rows(columns, "service", UTC))
    assert sum(one.tickets for one in groups) == total.tickets == len(found)
    for one in [*groups, total]:
        mine = [ticket for ticket in found if one is total or ticket[0] == one.key]
        taken = sorted(ticket[1] for ticket in mine if ticket[1] is not None)
        assert (one.tickets, one.acknowledge.n) == (len(mine), len(taken))
        if taken:
            assert one.acknowledge.median_s == pytest.approx(statistics.median(taken) / 1e6, abs=1e-6)
            assert one.acknowledge.mean_s == pytest.approx(statistics.fmean(taken) / 1e6, abs=1e-6)
            assert one.acknowledge.p90_s == pytest.approx(float(np.percentile(taken, 90)) / 1e6, rel=1e-9, abs=1e-6)
        assert one.resolve.n == sum(ticket[1] is not None and not ticket[2] for ticket in mine)
        assert one.spent_s == pytest.approx(sum(taken) / 1e6, abs=1e-6)
        assert (one.reopened, one.reopens) == (sum(t[3] > 0 for t in mine), sum(t[3] for t in mine))
        assert (one.reassigned, one.reassignments) == (sum(t[4] > 0 for t in mine), sum(t[4] for t in mine))
        assert one.recurrences == sum(t[6] for t in mine)
        assert (one.sla_met, one.sla_missed) == (sum(t[5][0] == 1 for t in mine), sum(t[5][0] == 0 for t in mine))
        assert one.sla_acknowledge == Kept(sum(t[5][1] == 1 for t in mine), sum(t[5][1] == 0 for t in mine))
        assert one.sla_resolve == Kept(sum(t[5][2] == 1 for t in mine), sum(t[5][2] == 0 for t in mine))


def test_nothing_adds_up_to_nothing():
    none = column([])
    total, groups = figures(rows({"acknowledge_us": none, "spent_us": none, "packed": none}, None, UTC))
    assert (total, groups) == (Figures(None), [])


@pytest.mark.parametrize(
    ("at", "hour", "day"),
    [
        ("2026-10-25T00:59:59", "6 01", "2026-10-25"),  # summer time ends at 01:00 UTC: 01:59:59 comes twice
        ("2026-10-25T01:59:59", "6 01", "2026-10-25"),
        ("2026-03-29T01:00:00", "6 02", "2026-03-29"),  # summer time begins: there is no 01:30
        ("2026-06-30T23:30:00", "2 00", "2026-07-01"),
    ],
)
def test_hours_and_days_are_those_of_the_zone(at, hour, day):
    instant = column([to_us(datetime.fromisoformat(at + "+00:00"))])
    zone = ZoneInfo("Europe/Lisbon")
    found = [rows({"opened_at": instant}, by, zone).key for by in ("hour_of_week", "day", "month")]
    assert [one and one.values() for one in found] == [[hour], [day], [day[:7]]]


def test_a_chart_by_day_has_no_holes_also_when_a_day_has_23_hours():
    zone = ZoneInfo("Europe/Lisbon")
    since, until = datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 3, 30, 23, tzinfo=UTC)
    assert every_key("day", since, until, zone) == ["2026-03-28", "2026-03-29", "2026-03-30"]
    assert every_key("month", since, datetime(2026, 5, 1, tzinfo=UTC), zone) == ["2026-03", "2026-04", "2026-05"]
    assert every_key("service", since, until, zone) == []


def test_working_time_is_by_each_tickets_own_calendar_or_by_a_named_one():
    monday = to_us(datetime(2026, 11, 23, 16, tzinfo=UTC))
    office = Calendar("UTC", (((540, 1020),),) * 5 + ((), ()))  # 09:00 to 17:00
    columns = {
        "opened_at": column([monday] * 4), "shift_us": column([0, 0, HOUR // 2, 0]),
        "acknowledge_us": column([HOUR, HOUR, HOUR, MISSING]), "spent_us": column([17 * HOUR + HOUR] * 3 + [MISSING]),
        "packed": column([0, 0, 0, 1]), "calendar": Coded.of(["office@1", "", None, "office@1"]),
    }  # fmt: skip
    own, _ = figures(with_worked(rows(columns, None, UTC), {"office@1": office, "": ALWAYS}, None))
    assert (own.acknowledge_working.n, own.resolve_working.n) == (2, 2)
    assert (own.resolve_working.median_s, own.resolve.median_s) == ((2 + 18) / 2 * 3600, 18 * 3600)
    named, _ = figures(with_worked(rows(columns, None, UTC), {}, office))
    assert (named.acknowledge_working.n, named.acknowledge_working.mean_s) == (3, pytest.approx((1 + 1 + 0.5) * 1200))


def test_the_worst_come_first_with_their_share_of_all():
    groups = [Figures("a", tickets=2), Figures("b", tickets=5, sla_missed=1), Figures(None, tickets=3), Figures("c")]
    found = worst(groups, "tickets", 10)
    assert [(one.figures.key, one.amount, one.share, one.cumulative_share) for one in found] == [
        ("b", 5, 0.5, 0.5), ("a", 2, 0.2, 0.7),
    ]  # fmt: skip
    assert [one.figures.key for one in worst(groups, "breaches", 1)] == ["b"]
    assert worst([], "time", 3) == []
    assert set(reporting.RANKS) == {"tickets", "time", "breaches", "reopened", "recurrences"}


@given(st.lists(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), WORDS), max_size=20), max_size=4))
def test_what_a_block_holds_comes_out_as_it_went_in(blocks):
    numbers = [number for block in blocks for number, _ in block]
    words = [word for block in blocks for _, word in block]
    assert unpack_numbers([pack_numbers(column(n for n, _ in block)) for block in blocks]).tolist() == numbers
    assert unpack_words([pack_words(Coded.of([w for _, w in block])) for block in blocks]).values() == words


@given(st.sets(st.integers(0, 12)), st.integers(0, 13 * SPAN - 1))
def test_every_id_is_in_a_block_or_in_a_gap(blocks, last_id):
    there = gaps(blocks, last_id)
    for ticket_id in (0, last_id // 2, last_id):
        assert (ticket_id // SPAN in blocks) != any(first <= ticket_id < after for first, after in there)
    assert all(first < after for first, after in there)


def test_blocks_are_read_where_that_is_quicker():
    assert not worthwhile([], 0)
    assert worthwhile([(0, 4 * SPAN)], 1)
    assert not worthwhile([(0, 9 * SPAN)], 1)
    assert not worthwhile([(2 * n * SPAN, (2 * n + 1) * SPAN) for n in range(60)], 60)
