"""Counting values and groups: exact while they are few, bounded and honest about it when they are many."""

from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.logs.histogram import MAX_GROUPS, Counts, buckets_of
from tocsin.logs.top import ValueCounts

Frames = list[list[int | None]]
FEW = st.lists(st.lists(st.none() | st.integers(0, 5), max_size=30), max_size=8)
MANY = st.lists(st.lists(st.none() | st.integers(0, 40), max_size=30), max_size=8)


def counted(frames: Frames, counts: ValueCounts) -> ValueCounts:
    for batch, values in enumerate(frames):
        rows = Counter(values)
        columns = {"hash": list(rows), "n": list(rows.values())}
        counts.add(pl.DataFrame(columns, schema={"hash": pl.UInt64, "n": pl.Int64}), batch=batch)
    return counts


def most_frequent(counts: ValueCounts, limit: int) -> list[tuple[int, int]]:
    return [(value, n) for value, n, _ in counts.most_frequent(limit).rows()]


def everything(frames: Frames) -> "Counter[int | None]":
    return Counter(value for values in frames for value in values)


@given(FEW)
def test_few_values_are_counted_as_python_counts_them(frames: Frames) -> None:
    counts, expected = counted(frames, ValueCounts(most=3)), everything(frames)
    missing = expected.pop(None, 0)

    assert dict(most_frequent(counts, 10)) == dict(expected)
    assert [n for _, n in most_frequent(counts, 10)] == [n for _, n in expected.most_common()]
    assert all(value in frames[batch] for value, _, batch in counts.most_frequent(10).rows())
    assert (counts.missing, counts.total) == (missing, missing + expected.total())
    assert (counts.distinct, counts.approximate) == (len(expected), False)


@given(MANY, st.integers(1, 30))
def test_of_many_values_what_is_said_is_true(frames: Frames, most: int) -> None:
    counts, expected = counted(frames, ValueCounts(most=most)), everything(frames)
    missing = expected.pop(None, 0)
    found = dict(most_frequent(counts, 50))

    assert (counts.missing, counts.total) == (missing, missing + expected.total())
    assert all(n <= expected[value] for value, n in found.items())
    assert len(found) <= 2 * most
    assert counts.distinct <= len(expected)
    assert counts.approximate <= (len(expected) > 2 * most)
    if not counts.approximate:
        assert found == dict(expected)
        assert counts.distinct == len(expected)


def test_a_frequent_value_is_found_among_any_number_of_rare_ones() -> None:
    frames: Frames = [[7] * 5 + [None] + [1000 * batch + n for n in range(100, 200)] for batch in range(50)]
    counts = counted(frames, ValueCounts(most=100))

    assert most_frequent(counts, 1) == [(7, 250)]
    assert (counts.total, counts.missing) == (5300, 50)
    assert counts.approximate
    assert 200 < counts.distinct <= 5001


def test_of_equally_frequent_values_the_newest_come_first() -> None:
    counts = counted([[30, 40, 40], [10, 20, 30, 30]], ValueCounts())
    assert counts.most_frequent(4).rows() == [(30, 3, 0), (40, 2, 0), (10, 1, 1), (20, 1, 1)]


def by_service(cells: "Counter[tuple[int, str]]") -> pl.DataFrame:
    rows = [(bucket, service, n) for (bucket, service), n in cells.items()]
    return pl.DataFrame(rows, schema={"bucket": pl.Int64, "service": pl.String, "n": pl.Int64}, orient="row")


@given(st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 80)), max_size=60), max_size=5), st.booleans())
def test_groups_and_others_make_up_the_totals(batches: list[list[tuple[int, int]]], scarce: bool) -> None:
    counts = Counts(["service"], 4, most=MAX_GROUPS if scarce else 1000)
    expected: Counter[tuple[int, str]] = Counter()
    for batch in batches:
        cells = Counter((bucket, f"s{number:02}") for bucket, number in batch)
        counts.add(by_service(cells))
        expected += cells

    totals = [sum(n for (bucket, _), n in expected.items() if bucket == place) for place in range(4)]
    assert counts.totals == totals
    groups = {series.of["service"]: series.counts for series in counts.largest()}
    assert [sum(column) for column in zip(*groups.values(), strict=True)] == (totals if groups else [])
    others = groups.pop("(other)", None)
    services = {service for _, service in expected}
    assert len(groups) == min(len(services), MAX_GROUPS)
    assert (others is not None) >= (len(services) > MAX_GROUPS)
    for service, found in groups.items():
        exact = [expected[place, service] for place in range(4)]
        assert found == exact or (counts.approximate and all(a <= b for a, b in zip(found, exact, strict=True)))
    assert list(groups) == sorted(groups, key=lambda service: (-sum(groups[service]), service))


def test_the_largest_groups_stay_exact_while_small_ones_come_and_go() -> None:
    counts = Counts(["service"], 10, most=400)
    for batch in range(20):
        cells = Counter({(batch % 10, f"pod-{batch}-{n}"): 1 for n in range(300)})
        counts.add(by_service(cells | Counter({(place, "shop"): 3 for place in range(10)})))

    first, *_, last = counts.largest()
    assert counts.approximate
    assert (first.of["service"], first.counts) == ("shop", [60] * 10)
    assert last.of["service"] == "(other)"
    assert sum(counts.totals) == 20 * 330


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ((0, 30), [0, 1, 2]),
        ((1, 30), [0, 1, 2]),
        ((9, 31), [0, 1, 2, 3]),
        ((-1, 1), [-1, 0]),
        ((10, 11), [1]),
        ((10, 10), []),
        ((15, 15), []),
        ((30, 15), []),
        ((-(10**6), -(10**6) + 5), [-(10**5)]),
    ],
)
def test_buckets_cover_the_time_asked_for_and_no_more(span: tuple[int, int], expected: list[int]) -> None:
    assert list(buckets_of(span, 10)) == expected
