"""Forecasts: the estimate of Kaplan and Meier, what is left of a ticket that is open, and how good it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.tickets.forecast import brier, calibration, curve, forecast

TIMES = st.lists(st.integers(0, 50), min_size=1, max_size=60)


def test_the_estimate_is_that_of_the_textbook():
    known = curve([6, 6, 6, 6, 7, 9, 10, 10, 11, 13], [True, True, True, False, True, False, True, False, False, True])
    assert known.survival(5) == 1
    assert known.survival(6) == pytest.approx(0.7)
    assert known.survival(7) == pytest.approx(0.7 * 5 / 6)
    assert known.survival(10) == pytest.approx(0.7 * 5 / 6 * 3 / 4)
    assert (known.survival(13), known.at_risk(6), known.at_risk(9), known.n, known.resolved) == (0, 6, 4, 10, 6)


@given(TIMES, st.integers(0, 60))
def test_with_all_resolved_it_is_the_share_that_took_longer(times, at):
    known = curve(times, [True] * len(times))
    longer = sum(one > at for one in times)
    assert known.survival(at) == pytest.approx(longer / len(times), abs=1e-12)
    assert known.at_risk(at) == longer


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), min_size=1, max_size=60))
def test_the_share_that_is_left_never_grows_and_censoring_never_lowers_it(found):
    times, resolved = [one for one, _ in found], [ended for _, ended in found]
    known, hasty = curve(times, resolved), curve(times, [True] * len(times))
    shares = [known.survival(at) for at in range(52)]
    assert shares == sorted(shares, reverse=True)
    assert all(share >= hasty.survival(at) - 1e-9 for at, share in enumerate(shares))


def test_the_longer_it_has_been_open_the_likelier_it_is_late():
    known = curve([float(n) for n in range(1, 101)], [True] * 100)
    said = [forecast([("all", known)], open_s=at, due_s=80) for at in (0, 40, 75, 80)]
    assert [round(one.breach, 3) for one in said if one and one.breach is not None] == [0.2, 0.333, 0.8, 1.0]
    assert [one.expected_s for one in said if one] == [50, 70, 88, 90]


def test_a_narrow_kind_counts_by_how_many_it_has():
    quick = curve([1.0] * 50 + [100.0] * 50, [True] * 100)
    slow = curve([100.0] * 1000, [True] * 1000)
    found = forecast([("P1", quick), ("all", slow)], open_s=0, due_s=50)
    assert found is not None
    assert (found.rests_on, found.tickets) == ("P1", 100)
    assert found.breach == pytest.approx((100 * 0.5 + 50 * 1.0) / 150)


def test_too_few_say_nothing_and_a_wider_kind_is_asked():
    few, many = curve([5.0] * 29, [True] * 29), curve([5.0] * 40, [True] * 40)
    assert forecast([("few", few)], open_s=1, due_s=4) is None
    wider = forecast([("few", few), ("many", many)], open_s=1, due_s=4)
    assert wider is not None
    assert (wider.rests_on, wider.tickets, wider.breach) == ("many", 40, 1)
    assert forecast([("many", many)], open_s=6, due_s=9) is None  # none of them took so long
    assert forecast([("none", curve([], []))], open_s=1, due_s=None) is None


def test_without_a_target_there_is_no_breach_and_without_an_end_no_expectation():
    known = curve([10.0] * 40 + [99.0] * 60, [True] * 40 + [False] * 60)
    found = forecast([("all", known)], open_s=0, due_s=None)
    assert found is not None
    assert (found.breach, found.expected_s) == (None, None)


def test_scores_are_those_of_the_definition():
    assert brier([1, 0, 0.5], [True, False, True]) == pytest.approx(0.25 / 3)
    assert calibration([0.1, 0.15, 0.9, 1.0], [False, True, True, True]) == [
        (pytest.approx(0.125), 0.5, 2),
        (pytest.approx(0.95), 1.0, 2),
    ]
