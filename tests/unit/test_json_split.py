"""Arrays are cut into their elements, whatever these hold."""

import contextlib
import json
import time
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


def test_hostile_arrays_take_linear_time() -> None:
    for piece in (b'"', b'\\"', b"[", b",", b'"a', b"{}"):
        started = time.process_time()
        with contextlib.suppress(NotAnArray):
            split_array(b"[" + piece * (1 << 18))
        assert time.process_time() - started < 3
