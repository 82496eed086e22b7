"""Attributes as columns: whatever came is given back to the byte."""

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.logs import shapes

SCALARS = (
    st.text(max_size=6)
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.none()
)
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.text(max_size=3), SCALARS, max_size=2)
NAMES = st.sampled_from(["a", "b", "c", "a.b", "é", 'q"', "d e"])
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")])


@st.composite
def documents(draw: st.DrawFn) -> str:
    value = draw(st.dictionaries(NAMES, VALUES, max_size=4))
    return json.dumps(value, separators=draw(SEPARATORS), ensure_ascii=draw(st.booleans()))


def frame(texts: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {"id": range(len(texts)), "attributes": texts}, schema={"id": pl.Int64, "attributes": pl.String}
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(documents().filter(lambda text: "\\ud" not in text.lower()), min_size=1, max_size=12))
def test_what_was_split_comes_back_to_the_byte(texts: list[str]) -> None:
    parted = shapes.split(frame(texts))
    assert shapes.whole(parted).get_column("attributes").to_list() == texts
    assert shapes.whole(parted).columns == ["id", "attributes"]


@settings(max_examples=50, deadline=None)
@given(st.lists(documents(), min_size=1, max_size=8))
def test_a_row_has_its_attributes_in_columns_or_as_json_never_both(texts: list[str]) -> None:
    parted = shapes.split(frame(texts))
    columns = [name for name in parted.columns if name.startswith(shapes.PREFIX)]
    for row in parted.iter_rows(named=True):
        in_columns = row[shapes.SHAPE] is not None
        assert in_columns == (row["attributes"] is None)
        assert in_columns or all(row[name] is None for name in columns)


def test_frequent_attributes_get_columns_of_their_types() -> None:
    texts = [
        json.dumps({"id": f"{n:x}", "ms": n + 0.5, "n": n, "ok": n % 2 == 0, "http": {"code": 200}}) for n in range(50)
    ]
    parted = shapes.split(frame(texts))
    assert shapes.columns_of(parted) == {
        "id": "string", "ms": "number", "n": "integer", "ok": "boolean", "http.code": "integer",
    }  # fmt: skip
    assert parted.get_column("attributes").null_count() == 50
    assert parted.get_column("attributes.http.code").unique().to_list() == [200]
    assert parted.get_column("attributes.ok").sum() == 25


@pytest.mark.parametrize(
    "odd",
    [
        '{"n":1.0e3}', '{"n":0.10}', '{"n":-0}', '{"n":123456789012345678901}', '{"n":[1]}', '{"n":"a\\nb"}',
        '{"n":1,"n":2}', '{"n":"5"}', '{ "n":1}', '{"n":true}', '{"m":{"n":1},"m.n":2}',
    ],
)  # fmt: skip
def test_an_odd_row_among_others_keeps_its_json(odd: str) -> None:
    texts = [f'{{"n":{number}}}' for number in range(60)] + [odd]
    parted = shapes.split(frame(texts))
    assert parted.get_column("attributes").to_list() == [None] * 60 + [odd]
    assert shapes.whole(parted).get_column("attributes").to_list() == texts


def test_a_value_that_looks_like_the_text_between_two_values_is_not_taken_for_it() -> None:
    texts = [
        json.dumps({"a": value, "b": "x"}, separators=(",", ":")) for value in ("1", '","b":"', "2", '\\","b":"y')
    ] * 9
    parted = shapes.split(frame(texts))
    assert shapes.whole(parted).get_column("attributes").to_list() == texts
    assert parted.get_column("attributes").null_count() == 18


def test_objects_without_attributes_take_no_column() -> None:
    parted = shapes.split(frame(["{}"] * 5))
    assert shapes.columns_of(parted) == {}
    assert parted.get_column("attributes").null_count() == 5
    assert shapes.whole(parted).get_column("attributes").to_list() == ["{}"] * 5


def test_rare_shapes_are_left_as_they_are() -> None:
    texts = [f'{{"n":{number}}}' for number in range(1_000)] + [json.dumps({f"rare{n}": n}) for n in range(5)]
    kept: list[Any] = shapes.split(frame(texts)).get_column("attributes").drop_nulls().to_list()
    assert kept == texts[-5:]
