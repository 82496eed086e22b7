"""From a body to checked columns: nothing lost, nothing invented, no body that breaks it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tocsin.kit.errors import Malformed
from tocsin.logs.decode import Batch, decode
from tocsin.logs.formats.json_logger import ALIASES, read_fields
from tocsin.logs.levels import SEVERITY_BY_NAME, level_of_severity
from tocsin.logs.record import MAX_RECORD_BYTES, Columns

NOW = datetime(2026, 11, 24, 2, 21, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
OWN = st.fixed_dictionaries(
    {"message": TEXT},
    optional={
        "level": st.sampled_from([name for known in SEVERITY_BY_NAME for name in (known, known.lower())]),
        "service": TEXT.filter(lambda name: name.strip() == name and name),
        "timestamp": st.datetimes(datetime(1960, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)).map(
            lambda instant: instant.isoformat()
        ),
        "attributes": st.dictionaries(TEXT, JSON_VALUES, max_size=3),
        "trace_id": TEXT,
        "span_id": st.none() | TEXT,
        "source": TEXT,
    },
)
UNKNOWN = TEXT.filter(
    lambda key: key not in {name for names in ALIASES.values() for name in names} | {"attributes", "pid", "hostname"}
)


def whole(body: bytes, *, lines: bool) -> tuple[Columns, Batch]:
    """The records of a body, and its batch."""
    batch = decode(body, lines=lines, arrived=NOW)
    return batch.columns, batch


def as_lines(records: list[dict[str, Any]], *, ascii_only: bool = False) -> bytes:
    return "\n".join(json.dumps(record, ensure_ascii=ascii_only) for record in records).encode()


@given(OWN, st.lists(st.tuples(TEXT, JSON_VALUES, st.sampled_from(["info", "WARN", "Error"])), min_size=2, max_size=6))
def test_records_of_a_foreign_shape_are_read_the_same_together_and_one_by_one(
    like: dict[str, Any], values: list[tuple[str, Any, str]]
) -> None:
    records = [
        {
            "ts": 1795486860 + n,
            "lvl": level,
            "msg": message,
            "more": value,
            **{k: v for k, v in like.items() if k == "attributes"},
        }
        for n, (message, value, level) in enumerate(values)
    ]
    together, _ = whole(as_lines(records), lines=True)
    array, _ = whole(json.dumps(records).encode(), lines=False)
    single = [rows(whole(json.dumps(record).encode(), lines=False)[0])[0] for record in records]

    assert rows(together) == rows(array) == single


def rows(columns: Columns) -> list[tuple[Any, ...]]:
    """Everything there is of each row."""
    return [
        (
            columns.timestamps[row], columns.severities[row], columns.levels[row], columns.services[row],
            columns.messages[row], json.loads(columns.attributes[row]), columns.trace_ids.get(row),
            columns.span_ids.get(row), columns.sources.get(row), columns.skewed.get(row),
        )
        for row in range(len(columns))
    ]  # fmt: skip


@given(st.lists(OWN, min_size=1, max_size=6), st.booleans())
def test_the_fast_path_and_the_way_record_by_record_agree(records: list[dict[str, Any]], ascii_only: bool) -> None:
    fast, _ = whole(as_lines(records, ascii_only=ascii_only), lines=True)
    # One record of a foreign shape makes the whole slice take the other way.
    foreign = {"msg": "another logger's", "extra": 1}
    slow, rejected = whole(as_lines([*records, foreign], ascii_only=ascii_only), lines=True)
    array, _ = whole(json.dumps(records, ensure_ascii=ascii_only).encode(), lines=False)

    assert rejected.rejected == 0, rejected.rejections
    assert rows(fast) == rows(slow)[:-1] == rows(array)


@given(st.lists(OWN, min_size=1, max_size=4))
def test_what_is_decoded_is_what_was_sent(records: list[dict[str, Any]]) -> None:
    columns, batch = whole(as_lines(records), lines=True)

    assert (batch.rejected, len(columns)) == (0, len(records))
    for row, sent in enumerate(records):
        assert columns.messages[row] == sent["message"]
        severity = SEVERITY_BY_NAME[sent.get("level", "INFO").upper()]
        assert columns.severities[row] == severity
        assert columns.levels[row] == level_of_severity(severity)
        assert columns.services[row] == sent.get("service", "unknown")
        assert json.loads(columns.attributes[row]) == sent.get("attributes", {})
        assert columns.trace_ids.get(row, "") == sent.get("trace_id", "")
        at = datetime.fromisoformat(sent["timestamp"]) if "timestamp" in sent else NOW
        if datetime(1970, 1, 1, tzinfo=UTC) <= at <= NOW + timedelta(minutes=5):
            assert columns.timestamps[row] == at
            assert row not in columns.skewed
        else:
            assert columns.timestamps[row] == NOW
            assert datetime.fromisoformat(columns.skewed[row]) == at


@given(
    TEXT, st.dictionaries(UNKNOWN, JSON_VALUES, min_size=1, max_size=6), st.dictionaries(TEXT, JSON_VALUES, max_size=3)
)
def test_every_field_that_means_nothing_to_us_is_in_the_attributes(
    message: str, extras: dict[str, Any], attributes: dict[str, Any]
) -> None:
    columns, batch = whole(as_lines([{"message": message, **extras, "attributes": attributes}]), lines=True)

    assert batch.rejected == 0, batch.rejections
    kept = json.loads(columns.attributes[0])
    for name, value in attributes.items():
        assert kept.pop(name) == value
    taken = {*attributes, *extras}
    for name, value in extras.items():
        found = name
        while found in attributes or (found != name and found in taken):
            found += "_"
        taken.add(found)
        assert kept.pop(found) == value
    assert kept == {}


@given(st.dictionaries(st.sampled_from([name for names in ALIASES.values() for name in names]) | TEXT, JSON_VALUES))
def test_a_record_with_well_known_names_in_any_combination_is_kept_or_named_as_wrong(record: dict[str, Any]) -> None:
    columns, batch = whole(as_lines([record]), lines=True)

    assert len(columns) + batch.rejected == 1
    if batch.rejected:
        assert batch.rejections[0].index == 0
        assert batch.rejections[0].detail
        return
    # A scalar that is neither a level nor a time nor a name is still there, in one place or another.
    kept = json.dumps([rows(columns)[0]], default=str, ensure_ascii=False)
    for name, value in record.items():
        if isinstance(value, str) and value.strip() == value and len(value) > 3 and name not in ALIASES["timestamp"]:
            assert json.dumps(value, ensure_ascii=False)[1:-1] in kept.replace('\\"', '"') or value in str(
                rows(columns)
            )


@given(st.binary(max_size=200), st.booleans())
@example(b"\xef\xbb\xbf", True)
@example(b"[", False)
@example(b"{", False)
@example(b"{}" * 3, False)
@example(b'{"message":"a"}\n{', False)
@example(b'[{"message":"a"},]', False)
@example(b'{"message":"\\ud800"}', True)
@example(b'{"message":"a","attributes":{"x":"\\u0000"}}', True)
@example(b'{"message":"a","x":' + b"[" * 90 + b"]" * 90 + b"}", True)
def test_arbitrary_bytes_are_decoded_or_malformed(body: bytes, lines: bool) -> None:
    try:
        columns, _ = whole(body, lines=lines)
    except Malformed:
        return
    for row in range(len(columns)):
        columns.messages[row].encode()
        assert b"\0" not in columns.attributes[row]
        assert isinstance(json.loads(columns.attributes[row]), dict)


@given(
    st.lists(
        OWN.map(json.dumps) | st.sampled_from(["{", "7", '"x"', "[]", '{"level":"INFO"}', '{"message":1}']), max_size=12
    )
)
def test_each_bad_line_is_named_by_its_index_and_the_rest_is_kept(lines: list[str]) -> None:
    body = "\n".join(lines).encode()
    if not body.strip():
        return
    bad = [index for index, line in enumerate(lines) if not _is_own(line)]
    columns, batch = whole(body, lines=True)

    assert [rejection.index for rejection in batch.rejections] == bad
    assert columns.messages == [json.loads(line)["message"] for line in lines if _is_own(line)]


def _is_own(line: str) -> bool:
    try:
        found = json.loads(line)
    except ValueError:
        return False
    return isinstance(found, dict) and isinstance(found.get("message"), str)


def test_indexes_count_on_over_the_slices_of_a_large_body() -> None:
    lines = [json.dumps({"message": "x" * 900, "n": n}) for n in range(5000)]
    for index in (0, 1500, 3333, 4999):
        lines[index] = '{"level": "INFO"}'
    for body, as_json_lines in (("\n".join(lines), True), (f"[{','.join(lines)}]", False)):
        columns, batch = whole(body.encode(), lines=as_json_lines)
        assert [rejection.index for rejection in batch.rejections] == [0, 1500, 3333, 4999]
        assert len(columns) == 4996
        assert [json.loads(text)["n"] for text in columns.attributes] == [
            n for n in range(5000) if n not in {0, 1500, 3333, 4999}
        ]


def test_at_most_a_hundred_rejections_of_a_slice_are_named_and_all_are_counted() -> None:
    _, batch = whole(b"\n".join([b"7"] * 250), lines=True)

    assert (len(batch.rejections), batch.rejected) == (100, 250)


def test_blank_lines_are_no_records() -> None:
    columns, batch = whole(b'\n\n{"message":"a"}\r\n  \n{"message":"b"}\n\n', lines=True)

    assert (columns.messages, batch.rejected) == (["a", "b"], 0)


def test_json_lines_sent_as_application_json_are_understood() -> None:
    columns, batch = whole(b'{"message":"a"}\n{"message":"b"}', lines=False)

    assert (columns.messages, batch.single) == (["a", "b"], False)


def test_only_a_body_that_is_one_object_is_single() -> None:
    assert whole(b'{"message":"a"}', lines=False)[1].single
    assert not whole(b'[{"message":"a"}]', lines=False)[1].single
    assert not whole(b'{"message":"a"}', lines=True)[1].single


@pytest.mark.parametrize("body", [b"", b" \n ", b"\xef\xbb\xbf", b"[", b"[1", b'{"message":', b'[{"message":"a"}'])
def test_a_body_that_can_not_be_read_at_all_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        whole(body, lines=False)


def test_an_empty_array_is_an_empty_batch() -> None:
    columns, batch = whole(b"[]", lines=False)

    assert (len(columns), batch.rejected) == (0, 0)


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({}, "message"),
        ({"level": "INFO"}, "message"),
        ({"message": 7}, "message"),
        ({"message": None}, "message"),
        ({"message": "a", "level": "LOUD"}, "level"),
        ({"message": "a", "level": 99}, "level"),
        ({"message": "a", "level": True}, "level"),
        ({"message": "a", "level": []}, "level"),
        ({"message": "a", "severity_number": 25}, "severity_number"),
        ({"message": "a", "timestamp": "yesterday"}, "timestamp"),
        ({"message": "a", "timestamp": True}, "timestamp"),
        ({"message": "a", "timestamp": 10**21}, "timestamp"),
        ({"message": "a", "service": 7}, "service"),
        ({"message": "a", "service": "x" * 257}, "service"),
        ({"message": "a", "attributes": []}, "attributes"),
        ({"message": "a", "attributes": "x"}, "attributes"),
        ({"message": "x" * (MAX_RECORD_BYTES + 1)}, ""),
        ({"message": "a\0b"}, "message"),
        ({"message": "a", "attributes": {"deep": ["x\0"]}}, "attributes.deep.0"),
    ],
)
def test_a_wrong_field_is_named(record: dict[str, Any], field: str) -> None:
    columns, batch = whole(json.dumps([record, {"message": "kept"}]).encode(), lines=False)

    assert columns.messages == ["kept"]
    assert [(rejection.index, rejection.field) for rejection in batch.rejections] == [(0, field)]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('{"message":"a","n":123456789012345678901234567890}', "123456789012345678901234567890"),
        ('{"message":"a","n":1e400}', "1e400"),
        ('{"message":"a","n":-0.10}', "-0.10"),
        ('{"message":"a","n":[' + "[" * 60 + "]" * 60 + "]}", "[" * 61 + "]" * 61),
    ],
)
def test_values_of_attributes_are_kept_as_they_came(text: str, kept: str) -> None:
    columns, batch = whole(text.encode(), lines=True)

    assert batch.rejected == 0, batch.rejections
    assert columns.attributes == [b'{"n":' + kept.encode() + b"}"]


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "nan", "undefined", "'x'", "01", "+1", ".5"])
@pytest.mark.parametrize("where", ['{"message":"a","n":%s}', '{"message":"a","attributes":{"n":%s}}'])
def test_what_is_not_json_is_refused_wherever_it_stands(where: str, word: str) -> None:
    body = f'{where % word}\n{{"message":"kept"}}'.encode()
    columns, batch = whole(body, lines=True)

    assert columns.messages == ["kept"]
    assert [rejection.index for rejection in batch.rejections] == [0]


@pytest.mark.parametrize(
    "where", [b'{"message":"%s"}', b'{"message":"a","x":"%s"}', b'{"message":"a","attributes":{"x":"%s"}}']
)
@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\\ud800", b"\\udc00x", b"\\u0000", b"\x00"])
def test_bad_utf_8_surrogates_and_nul_are_refused_wherever_they_stand(where: bytes, bad: bytes) -> None:
    columns, batch = whole(where % bad + b'\n{"message":"kept"}', lines=True)

    assert columns.messages == ["kept"]
    assert [rejection.index for rejection in batch.rejections] == [0]


def test_an_escaped_backslash_before_u0000_is_not_a_nul() -> None:
    columns, batch = whole(rb'{"message":"C:\\u0000"}', lines=True)

    assert (columns.messages, batch.rejected) == ([r"C:\u0000"], 0)


def test_a_record_nested_a_hundred_thousand_deep_is_refused_alone() -> None:
    deep = b'{"message":"a","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    columns, batch = whole(deep + b'\n{"message":"kept"}', lines=True)

    assert columns.messages == ["kept"]
    assert [rejection.index for rejection in batch.rejections] == [0]


@pytest.mark.parametrize(
    ("timestamp", "skewed"),
    [
        ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
        ("9999-12-31T23:59:59-14:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z"),
        ("2026-11-24T02:26:00.000001Z", "2026-11-24T02:26:00.000001Z"),
        (-1, "1969-12-31T23:59:59Z"),
    ],
)
def test_a_time_that_can_not_be_is_replaced_by_the_arrival_time_and_kept(timestamp: Any, skewed: str | None) -> None:
    columns, batch = whole(as_lines([{"message": "a", "timestamp": timestamp}]), lines=True)

    assert batch.rejected == 0, batch.rejections
    assert columns.timestamps == [NOW]
    assert columns.skewed[0]
    if skewed is not None:
        assert columns.skewed[0].removesuffix("+00:00").removesuffix("Z") == skewed.removesuffix("Z")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"msg": "a", "level": 50, "time": 1795486860000, "pid": 1, "hostname": "h", "name": "shop"},
         ("CRITICAL", 17, "shop")),
        ({"@timestamp": "2026-11-24T02:21:00Z", "log.level": "fatal", "message": "a", "service.name": "shop"},
         ("CRITICAL", 21, "shop")),
        ({"event": "a", "severity": "ERROR", "logger": "shop.cart"}, ("ERROR", 17, "shop.cart")),
        ({"@t": "2026-11-24T02:21:00Z", "@m": "a", "@l": "Warning", "app": "shop"}, ("WARNING", 13, "shop")),
        ({"message": "a", "levelname": "CRITICAL", "asctime": "2026-11-24 02:21:00,000", "app": "shop"},
         ("CRITICAL", 21, "shop")),
        ({"body": "a", "severity_number": 18, "severity_text": "Critical", "service": {"name": "shop"}},
         ("CRITICAL", 18, "shop")),
        ({"MESSAGE": "a", "PRIORITY": "2", "SYSLOG_IDENTIFIER": "shop"}, ("CRITICAL", 18, "shop")),
    ],
)  # fmt: skip
def test_the_records_of_common_loggers_are_understood(record: dict[str, Any], expected: tuple[str, int, str]) -> None:
    columns, batch = whole(as_lines([record]), lines=True)

    assert batch.rejected == 0, batch.rejections
    level, severity, service = expected
    if record.get("level") == 50:  # pino's 50 is error
        level = "ERROR"
    assert (columns.messages[0], columns.severities[0], columns.services[0]) == ("a", severity, service)
    assert level_of_severity(columns.severities[0]).name == level or level_of_severity(severity).name == level
    assert columns.timestamps == [NOW]


@given(OWN)
def test_one_record_by_itself_is_read_the_same(record: dict[str, Any]) -> None:
    raw = msgspec.json.encode(record)
    fields = read_fields(raw, NOW)
    columns, _ = whole(raw, lines=False)

    assert (columns.messages[0], columns.services[0]) == (fields.message, fields.service)
    assert columns.severities[0] == fields.severity
    assert json.loads(columns.attributes[0]) == json.loads(fields.attributes)
    assert columns.timestamps[0] <= NOW + timedelta(minutes=5)
