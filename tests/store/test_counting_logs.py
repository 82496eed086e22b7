"""Counts of stored logs are the same whether records are hot, in segments, or both."""

import itertools
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from desk import START, Desk, info
from tocsin.kit.errors import Invalid
from tocsin.logs import histogram
from tocsin.logs.budget import Budget
from tocsin.logs.levels import Level
from tocsin.logs.record import Record
from tocsin.logs.service import LogQuery

STAGES = ("hot", "compacted", "mixed")
YEAR_1 = datetime(1, 1, 1, tzinfo=UTC)
YEAR_9999 = datetime.max.replace(tzinfo=UTC)


@pytest.fixture(params=STAGES)
def shelf(request: pytest.FixtureRequest, desk: Desk) -> Desk:
    """600 records of half an hour with attributes of every kind: hot, compacted, or some of both."""
    chance = random.Random(11)
    made = [
        info(
            chance.choice(["started", "stopped", f"request {n}"]),
            level=chance.choice(["DEBUG", "INFO", "WARNING", "ERROR"]),
            service=chance.choice(["shop", "mail", "päyments"]),
            timestamp=(START - timedelta(seconds=chance.random() * 1800)).isoformat(),
            attributes=chance.choice(
                [
                    {"region": chance.choice(["eu", "us"]), "ms": chance.randrange(4), "ok": True},
                    {"region": "eu", "tags": ["a", "a", chance.choice("bc")]},
                    {"region": None, "tags": [], "user": {"id": n % 3}},
                    {"tags": "single"},
                    {},
                ]
            ),
        )
        for n in range(600)
    ]
    for start in range(0, 600, 50):
        desk.post(*made[start : start + 50])
        if request.param == "mixed" and start == 250:
            desk.compact(records=100)
    if request.param == "compacted":
        desk.compact(records=150)
    return desk


def attributes(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(record.attributes)
    return found


@pytest.mark.parametrize("width_s", [1, 7, 60, 3600, 86_400 * 365_000])
def test_every_record_is_in_the_bucket_of_its_time(shelf: Desk, width_s: int) -> None:
    found = shelf.reader.histogram(LogQuery(), interval=timedelta(seconds=width_s), by=["service", "level"])

    def bucket(at: datetime) -> datetime:
        return datetime.fromtimestamp(at.timestamp() // width_s * width_s, UTC)

    expected = Counter((r.level, r.service, bucket(r.timestamp)) for r in shelf.logs)
    cells = {
        (series.of["level"], series.of["service"], at): n
        for series in found.groups
        for at, n in zip(found.buckets, series.counts, strict=True)
        if n
    }
    assert cells == dict(expected)
    assert [sum(column) for column in zip(*(g.counts for g in found.groups), strict=True)] == found.totals
    assert found.total == sum(found.totals) == 600
    assert (found.approximate, found.partial) == (False, False)


def test_the_edge_buckets_hold_no_record_from_outside_the_time_asked_for(shelf: Desk) -> None:
    since, until = START - timedelta(minutes=20, seconds=13), START - timedelta(minutes=4, seconds=47)
    found = shelf.reader.histogram(LogQuery(since=since, until=until), interval=timedelta(minutes=5), by=["level"])

    inside = [record for record in shelf.logs if since <= record.timestamp < until]
    assert found.buckets == [START.replace(minute=minute) for minute in (0, 5, 10, 15)]
    assert found.totals == [
        sum(at <= record.timestamp < at + timedelta(minutes=5) for record in inside) for at in found.buckets
    ]
    assert 0 < found.total == len(inside) < 600


def test_the_values_of_a_field_are_counted_as_python_counts_them(shelf: Desk) -> None:
    logs = shelf.logs
    for name, texts in {
        "service": [[record.service] for record in logs],
        "message": [[record.message] for record in logs],
        "level": [[record.level] for record in logs],
        "trace_id": [[] for _ in logs],
        "@region": [[v] if (v := attributes(record).get("region")) else [] for record in logs],
        "@ms": [[str(v)] if (v := attributes(record).get("ms")) is not None else [] for record in logs],
        "@user.id": [[str(v["id"])] if (v := attributes(record).get("user")) else [] for record in logs],
        "@tags": [[v] if isinstance(v := attributes(record).get("tags", []), str) else v for record in logs],
        "@nothing": [[] for _ in logs],
    }.items():
        found = shelf.reader.top(LogQuery(limit=1000), field_name=name)
        expected = Counter(text for some in texts for text in some)
        missing = sum(not some for some in texts)
        assert found.values == sorted(expected.items(), key=lambda item: (-item[1], item[0])), name
        assert (found.missing, found.total) == (missing, missing + expected.total()), name
        assert (found.distinct, found.approximate, found.partial) == (len(expected), False, False), name


def test_a_field_is_counted_once_for_each_record_that_has_it(shelf: Desk) -> None:
    found = {one.name: one for one in shelf.reader.fields(LogQuery()).fields}
    have = {
        path: sum(test(attributes(record)) for record in shelf.logs)
        for path, test in {
            "tags": lambda a: bool(a.get("tags")),
            "region": lambda a: a.get("region") is not None,
            "user.id": lambda a: "user" in a,
            "ms": lambda a: "ms" in a,
        }.items()
    }
    assert {path: found[f"attributes.{path}"].records for path in have} == have
    assert found["attributes.tags"].types == ["string"]
    assert set(found["attributes.tags"].examples) == {"single", "a", "b", "c"}
    assert found["service"].records == 600


def test_counts_are_narrowed_by_a_query(shelf: Desk) -> None:
    query = LogQuery(q="@tags:b", service="shop", level=Level.INFO)
    matching = [
        record
        for record in shelf.logs
        if record.service == "shop" and record.level != "DEBUG" and "b" in attributes(record).get("tags", [])
    ]
    assert shelf.reader.histogram(query, interval=None, by=[]).total == len(matching) > 0
    top = shelf.reader.top(query, field_name="level").values
    assert dict(top) == dict(Counter(record.level for record in matching))
    assert shelf.reader.fields(query).sampled == len(matching)


def test_a_count_that_nobody_waits_for_ends_at_once(shelf: Desk) -> None:
    budget = Budget()
    budget.cancel()
    counts = shelf.reader.histogram(LogQuery(), interval=None, by=["level"], budget=budget)
    values = shelf.reader.top(LogQuery(), field_name="level", budget=budget)
    fields = shelf.reader.fields(LogQuery(), budget=budget)

    for found in (counts, values, fields):
        assert found.partial
        assert found.scanned.parts == 0
    assert (counts.total, counts.groups, values.values, values.total) == (0, [], [], 0)


def test_beyond_fifty_groups_the_rest_is_other(desk: Desk) -> None:
    for start in range(0, 80, 8):
        desk.post(*[info(service=f"s{n:02}") for n in range(start, start + 8) for _ in range(n + 1)])
        desk.compact()
    found = desk.reader.histogram(LogQuery(), interval=timedelta(hours=1), by=["service"])

    sizes = [(series.of["service"], sum(series.counts)) for series in found.groups]
    assert sizes[:50] == [(f"s{n:02}", n + 1) for n in range(79, 29, -1)]
    assert sizes[50:] == [("(other)", sum(range(1, 31)))]


TIMES = (
    (None, None),
    (YEAR_1, None),
    (YEAR_1, YEAR_9999),
    (None, YEAR_9999),
    (YEAR_9999, None),
    (YEAR_9999, YEAR_1),
    (None, YEAR_1),
    (START, START),
    (START, START - timedelta(days=9)),
    (START - timedelta(microseconds=1), START + timedelta(microseconds=1)),
)
WIDTHS = (None, timedelta(milliseconds=1), timedelta(days=1), timedelta(weeks=999_999))


@pytest.mark.parametrize("filled", [False, True])
def test_any_time_and_any_interval_has_an_answer(desk: Desk, filled: bool) -> None:
    if filled:
        desk.post(*[info(timestamp=(START + n * timedelta(microseconds=1)).isoformat()) for n in (-1, 0, 1)])
        desk.post(info(timestamp=(START - timedelta(hours=1)).isoformat()))
    logs = desk.logs
    for (since, until), interval, by in itertools.product(TIMES, WIDTHS, ([], ["service", "level"])):
        inside = [r for r in logs if (not since or r.timestamp >= since) and (not until or r.timestamp < until)]
        try:
            found = desk.reader.histogram(LogQuery(since=since, until=until), interval=interval, by=by)
        except Invalid:
            first, end = since or START - timedelta(hours=1), until or START + timedelta(seconds=1)
            assert interval is not None
            assert end - first > interval * 2000
            continue
        assert found.total == sum(found.totals) == len(inside)
        assert len(found.buckets) == len(found.totals) <= histogram.MAX_BUCKETS + 1
        assert found.buckets == sorted(set(found.buckets))
        assert sum(sum(series.counts) for series in found.groups) == (len(inside) if by else 0)
        if since and until and since >= until:
            assert found.buckets == []
