"""What a sender can not make decoding do: eat memory or minutes, keep what is too large, lose or double a name."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tocsin.kit.errors import Malformed, TooLarge
from tocsin.logs import decode as decoding
from tocsin.logs.decode import MAX_RECORDS, Batch, decode
from tocsin.logs.formats.json_logger import MAX_KEPT_KEY_CHARS, _shape_of
from tocsin.logs.record import MAX_RECORD_BYTES

NOW = datetime(2026, 11, 24, 2, 21, tzinfo=UTC)


def decoded(body: bytes, *, lines: bool = False) -> Batch:
    return decode(body, lines=lines, arrived=NOW)


@pytest.mark.parametrize("element", [b"1", b"{}", b'{"message":""}'])
def test_more_than_a_million_records_are_too_large_a_body(element: bytes) -> None:
    many = MAX_RECORDS + 1
    started = time.process_time()
    for body, lines in ((b"[" + b" , ".join([element] * many) + b"]", False), ((element + b"\n") * many, True)):
        with pytest.raises(TooLarge, match="more than 1000000 records in a body"):
            decoded(body, lines=lines)
    assert time.process_time() - started < 10


def test_a_huge_array_of_tiny_values_is_refused_before_it_is_unpacked() -> None:
    started = time.process_time()
    with pytest.raises(TooLarge):
        decoded(b"[" + b"1," * (31 << 20) + b"1]")
    assert time.process_time() - started < 5


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(decoding, "MAX_RECORDS", 3)
    return 3


@pytest.mark.parametrize(
    "element",
    [
        b"1",
        b'{"msg":"a,b,c","attributes":{"x":[1,2,[3,{"y":",]}"}]]}}',
        b'[1,"\\"],[",[[2],[3]]]',
        b'"\\\\"',
        b"{ }",
    ],
)
def test_exactly_as_many_records_as_are_allowed_are_taken(few: int, element: bytes) -> None:
    assert decoded(b"[" + b" ,\n".join([element] * few) + b"]").total == few
    assert decoded(b"\n \n" + (element + b"\r\n\n") * few, lines=True).total == few
    for body, lines in ((b"[" + b",".join([element] * (few + 1)) + b"]", False), ((element + b"\n") * (few + 1), True)):
        with pytest.raises(TooLarge):
            decoded(body, lines=lines)


@pytest.mark.parametrize("body", [b'[1,2,3,4"', b"[1,[,,,,,", b"[" * 5000 + b"," * 10, b'["a","b,,,,'])
def test_what_is_no_array_stays_malformed_or_too_large(few: int, body: bytes) -> None:
    with pytest.raises((Malformed, TooLarge)):
        decoded(body)


def test_tiny_values_are_turned_away_quickly_and_all_counted() -> None:
    started = time.process_time()
    batch = decoded(b"7\n" * 900_000 + b' {"message":"kept"}\n', lines=True)
    assert (batch.rejected, batch.columns.messages) == (900_000, ["kept"])
    assert time.process_time() - started < 3


@pytest.mark.parametrize("name", ["trace_id", "span_id", "source"])
@pytest.mark.parametrize("count", [1, 3])
def test_no_field_of_our_own_shape_is_larger_than_a_record_may_be(name: str, count: int) -> None:
    large = json.dumps({"message": "x", name: "t" * MAX_RECORD_BYTES})
    small = json.dumps({"message": "kept", name: "t"})
    single = decoded(large.encode())
    assert (len(single.columns), single.rejected) == (0, 1)

    for body, lines in ((f"[{','.join([large, *[small] * count])}]", False), ("\n".join([large, small]), True)):
        batch = decoded(body.encode(), lines=lines)
        assert batch.rejected == 1
        assert set(batch.columns.messages) == {"kept"}


def test_long_identifiers_within_a_record_are_kept() -> None:
    record = {"message": "x" * 1000, "trace_id": "t" * 100_000, "span_id": "s" * 100_000}
    for body, lines in ((json.dumps(record), False), (json.dumps([record] * 2), False), (json.dumps(record), True)):
        assert decoded(body.encode(), lines=lines).columns.trace_ids[0] == record["trace_id"]


def test_very_long_keys_are_read_and_not_remembered() -> None:
    before = _shape_of.cache_info().currsize
    for n in range(20):
        record = {"msg": "a", str(n) * MAX_KEPT_KEY_CHARS: n}
        assert len(decoded(json.dumps([record] * 2).encode()).columns) == 2
        assert len(decoded(json.dumps([record, {"msg": "b", "x": n}]).encode()).columns) == 2
    assert _shape_of.cache_info().currsize <= before + 1


@pytest.mark.parametrize(("sent", "kept"), [(" pay ", "pay"), ("pay\t", "pay"), ("  ", "unknown"), ("", "unknown")])
def test_blanks_around_a_service_name_are_dropped_on_every_path(sent: str, kept: str) -> None:
    own = {"message": "a", "service": sent}
    other = {"message": "a", "service": "pay"}
    foreign = {"msg": "a", "app": sent}
    for body in (own, [own], [own, other], [other, own], [foreign, other], [foreign, foreign]):
        services = decoded(json.dumps(body).encode()).columns.services
        assert set(services) <= {kept, "pay"}
        assert kept in services


@pytest.mark.parametrize(
    ("record", "kept"),
    [
        ({"attributes": {"a": 1}, "a": 2, "a_": 3}, {"a": 1, "a__": 2, "a_": 3}),
        ({"attributes": {"a": 1}, "a_": 3, "a": 2}, {"a": 1, "a__": 2, "a_": 3}),
        ({"attributes": {"a": 1, "a_": 2}, "a": 3, "a_": 4}, {"a": 1, "a_": 2, "a__": 3, "a___": 4}),
        ({"attributes": {"time": 1}, "time": [], "time_": 3}, {"time": 1, "time__": [], "time_": 3}),
    ],
)
def test_no_two_attributes_ever_get_the_same_name(record: dict[str, Any], kept: dict[str, Any]) -> None:
    batch = decoded(json.dumps({"message": "m", **record}).encode())

    pairs = json.loads(batch.columns.attributes[0], object_pairs_hook=list)
    assert len(pairs) == len(kept)
    assert dict(pairs) == kept


@pytest.mark.parametrize("bad", [r"\ud800", r"\udc00x", r"\uD800\u0041", r"a\ud83dxxxxxxxxxx", r"\\\ud800"])
@pytest.mark.parametrize("form", ['{"message":"%s"}', '[{"message":"%s"}]', '{"message":"a","x":{"y":["%s"]}}'])
def test_an_unpaired_surrogate_is_called_that(form: str, bad: str) -> None:
    try:
        detail = decoded((form % bad).encode()).rejections[0].detail
    except Malformed as error:
        detail = str(error)
    assert "unpaired surrogate" in detail


@pytest.mark.parametrize("body", [rb'{"message":"\ud83d\ude00', rb'{"message":"\\ud800', b'{"message":"a'])
def test_a_body_that_was_cut_is_not_blamed_on_surrogates(body: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        decoded(body)
    assert "surrogate" not in str(refused.value)
