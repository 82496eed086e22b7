"""Chunks: what goes in comes out."""

from datetime import UTC, datetime, timedelta

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tocsin.logs.chunks import MAX_CHUNK_RECORDS, open_blob, pack, record_at, slices, unpack
from tocsin.logs.frames import SCHEMA, OpenedChunk, frame_of, records_of
from tocsin.logs.levels import Level
from tocsin.logs.record import Columns

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
        columns.attributes.append(b'{"length":%d}' % len(message) if message else b"{}")
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


@given(st.lists(st.lists(ROW, min_size=1, max_size=6), min_size=1, max_size=4))
def test_the_rows_of_a_frame_are_the_records_of_its_chunks(
    batches: list[list[tuple[datetime, Level, str, str, str, str, str, str]]],
) -> None:
    opened, expected, first_id = [], [], 1
    for place, rows in enumerate(batches):
        columns, backfill = columns_of(rows), place % 2 == 1
        opened.append(OpenedChunk(first_id, NOW, backfill, open_blob(pack(columns).blob)))
        expected += [
            record_at(columns, row, first_id=first_id, observed_at=NOW, backfill=backfill) for row in range(len(rows))
        ]
        first_id += 10

    frame = frame_of(opened)
    assert dict(frame.schema) == SCHEMA
    assert records_of(frame) == expected


def test_a_frame_of_nothing_has_all_columns() -> None:
    assert dict(frame_of([]).schema) == SCHEMA


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
