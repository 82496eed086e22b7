"""Chunks: what goes in comes out."""

from datetime import UTC, datetime, timedelta

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tocsin.logs.chunks import MAX_CHUNK_RECORDS, MAX_NAMED_SERVICES, pack, record_at, slices, unpack
from tocsin.logs.levels import Level
from tocsin.logs.record import LEVEL_BITS, Columns, bits_at_least

NOW = datetime(2026, 11, 24, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC))
ROW = st.tuples(TIMES, st.sampled_from(Level), TEXT, TEXT, TEXT, TEXT, TEXT, TEXT)


def columns_of(rows: list[tuple[datetime, Level, str, str, str, str, str, str]]) -> Columns:
    columns = Columns()
    columns.severities = bytes(level for _, level, *_ in rows)
    columns.levels = columns.severities
    for row, (at, _, service, message, trace_id, span_id, source, skewed) in enumerate(rows):
        columns.timestamps.append(at)
        columns.services.append(service)
        columns.messages.append(message)
        columns.attributes.append(b"{}")
        for sparse, value in (
            (columns.trace_ids, trace_id),
            (columns.span_ids, span_id),
            (columns.sources, source),
            (columns.skewed, skewed),
        ):
            if value:
                sparse[row] = value
    return columns


@given(st.lists(ROW, min_size=1, max_size=20))
def test_a_chunk_unpacks_to_what_was_packed(rows: list[tuple[datetime, Level, str, str, str, str, str, str]]) -> None:
    columns = columns_of(rows)
    chunk = pack(columns)

    assert unpack(chunk.blob) == columns
    assert chunk.count == len(rows)
    assert chunk.min_at == min(columns.timestamps)
    assert chunk.max_at == max(columns.timestamps)
    assert chunk.levels == sum(LEVEL_BITS[level] for level in {level for _, level, *_ in rows})
    if chunk.services is not None:
        assert set(chunk.services.split("\n")) == set(columns.services)


@given(st.lists(ROW, max_size=8), st.lists(ROW, max_size=8), st.integers(0, 16), st.integers(0, 16))
def test_batches_are_joined_and_cut_without_mixing_rows(
    first: list[tuple[datetime, Level, str, str, str, str, str, str]],
    second: list[tuple[datetime, Level, str, str, str, str, str, str]],
    start: int,
    stop: int,
) -> None:
    joined = Columns.joined([columns_of(first), columns_of(second)])

    assert joined == columns_of(first + second)
    assert joined.slice(start, stop) == columns_of((first + second)[start:stop])


@pytest.mark.parametrize("count", [1, MAX_CHUNK_RECORDS, MAX_CHUNK_RECORDS + 1, 3 * MAX_CHUNK_RECORDS])
def test_a_large_batch_is_cut_into_chunks_in_order(count: int) -> None:
    columns = columns_of([(NOW + timedelta(seconds=n), Level.INFO, "s", f"{n}", "", "", "", "") for n in range(count)])
    parts = list(slices(columns))

    assert max(map(len, parts)) <= MAX_CHUNK_RECORDS
    assert [message for part in parts for message in part.messages] == columns.messages


def test_more_services_than_can_be_named_are_not_named() -> None:
    rows = [(NOW, Level.INFO, f"service-{n}", "m", "", "", "", "") for n in range(MAX_NAMED_SERVICES + 1)]
    assert pack(columns_of(rows)).services is None
    assert pack(columns_of(rows[:-1])).services is not None
    assert pack(columns_of([(NOW, Level.INFO, "two\nlines", "m", "", "", "", "")])).services is None


def test_a_damaged_chunk_is_an_error_and_not_other_records() -> None:
    blob = pack(columns_of([(NOW, Level.INFO, "s", "m", "", "", "", "")])).blob
    with pytest.raises(zstandard.ZstdError):
        unpack(b"x" + blob[1:])


def test_a_row_becomes_a_record_with_its_id() -> None:
    columns = columns_of(
        [
            (NOW, Level.INFO, "a", "x", "", "", "", ""),
            (NOW + timedelta(seconds=5), Level.ERROR, "b", "y", "t", "", "", ""),
        ]
    )
    record = record_at(columns, 1, first_id=100, observed_at=NOW, backfill=True)

    assert (record.id, record.level, record.service, record.message) == (101, "ERROR", "b", "y")
    assert (record.timestamp, record.observed_at) == (NOW + timedelta(seconds=5), NOW)
    assert (record.trace_id, record.span_id, record.backfill) == ("t", None, True)


@pytest.mark.parametrize("level", Level)
def test_the_bits_of_a_level_and_above(level: Level) -> None:
    assert bits_at_least(level) == sum(bit for value, bit in LEVEL_BITS.items() if value >= level)
