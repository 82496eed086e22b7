"""What holds for every line of any format: nothing raises, nothing is lost, no line takes long; and joined lines."""

import json
import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.logs.formats.levelwords import level_of_word
from tocsin.logs.formats.syslog import NotSyslog, parse_rfc3164, parse_rfc5424
from tocsin.logs.formats.text import JOINED_CHARACTERS, Joiner, LineFormat, detect, records

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

# Headers without a message, and the words in them that the timestamp and the level stand for.
HEADS = {
    "syslog": ("Nov 24 02:21:00 h app[7]: ", "Nov 24 02 21 00"),
    "pri": ("<34>Nov 24 02:21:00 h app[7]: ", "34 Nov 24 02 21 00"),
    "log4j": ("2026-11-24 02:21:00,123 WARN [main] a.b.C: ", "2026 11 24 02 21 00 123 WARN"),
    "letters": ("11-24 02:21:00.123  170  239 D Window: ", "11 24 02 21 00 123 D"),
    "brackets": ("[Tue Nov 24 02:21:00 2026] [core:error] [pid 1:tid 2] ", "Tue Nov 24 02 21 00 2026 error pid tid"),
    "columns": ("- 1795486860 2026.11.24 n-1 2026-11-24-02.21.00.123456 n-1 RAS KERNEL FATAL ", "1795486860 FATAL"),
    "access": ('10.0.0.1 - bob [24/Nov/2026:02:21:00 +0100] "GET /x HTTP/1.1" 200 5 ', "24 Nov 2026 02 21 00 0100"),
    "python": ("2026-11-24 02:21:00,123 - a.b - INFO - ", "2026 11 24 02 21 00 123 INFO"),
    "glog": ("E1124 02:21:00.123456       9 file.go:12] ", "E1124 02 21 00 123456"),
    "bars": ("20261124-02:21:00:123|Step_A|30002|", "20261124 02 21 00 123"),
    "optional column": ("2026-11-24 02:21:00.123 UTC [77] LOG:  ", "2026 11 24 02 21 00 123 UTC LOG"),
    "rails": ("I, [2026-11-24T02:21:00.123456 #77]  INFO -- : ", "I 2026 11 24T02 21 00 123456 INFO"),
    "logfmt": ("time=2026-11-24T02:21:00Z level=warn k=v msg=", "time 2026 11 24T02 21 00Z level warn k msg"),
    "levels only": ("ERROR: ", "ERROR"),
    "plain": ("", ""),
}
TAILS = ("one thing happened", "another [thing] failed: 12 of 40", "then key=value (all well)")


def format_of(name: str) -> LineFormat:
    head = HEADS[name][0]
    return detect([head + (tail.split()[0] if name == "logfmt" else tail) for tail in TAILS], now=NOW)


FORMATS = {name: format_of(name) for name in HEADS}


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text)


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(sorted(HEADS)), st.text(max_size=40), st.integers(0, 80))
def test_no_word_of_a_line_is_lost_and_nothing_raises(name: str, tail: str, cut: int) -> None:
    head, read = HEADS[name]
    for line in (head + tail, head[: head.rfind(" ", 0, cut) + 1] + tail):
        record = FORMATS[name].parse(line)
        if record is None:
            continue
        if "timestamp" in record:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", str(record["timestamp"]))
        kept = json.dumps([record["message"], record.get("service"), record["attributes"]], ensure_ascii=False)
        seen = line[: len(line) - len(tail)] if name == "logfmt" else line  # its values may hold escapes
        for word in words(seen):
            said = word in words(read) or level_of_word(word) == record.get("level", "")  # a level in other words
            assert word in kept or said, (word, record)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=8))
def test_any_sample_has_a_format_that_reads_it(sample: list[str]) -> None:
    found = detect(sample, now=NOW)
    assert found.name in {"jsonl", "syslog", "text", "logfmt"}
    assert found.describe()
    joined = "\n".join(str(record["message"]) for record in records(sample, found))
    if found.describe().startswith("plain lines"):
        assert [word for line in sample for word in words(line)] == words(joined)


GARBAGE = ("a", "[", "<", '"', "=", " ", "|", ":", "1", "a ", "a=", 'a="', "[a]", "a:", "a.", "[[]", "a(", "$a.", "-")


@pytest.mark.parametrize("name", HEADS)
def test_a_long_line_of_garbage_takes_no_longer_than_a_long_line(name: str) -> None:
    head = HEADS[name][0]
    for unit in GARBAGE:
        garbage = (unit * 65_536)[:65_536]
        for line in (head + garbage, head[: len(head) // 2] + garbage):
            begun = time.perf_counter()
            FORMATS[name].parse(line)
            assert time.perf_counter() - begun < 0.2, (unit, line[:80])


def test_garbage_takes_no_time_to_look_at_either() -> None:
    for unit in GARBAGE:
        begun = time.perf_counter()
        detect([(unit * 65_536)[:65_536]] * 20, now=NOW)
        for start in ("<34>1 - - - - - [a ", "<34>1 - - - - - ", "Nov 24 02:21:00 "):
            for parse in (parse_rfc5424, lambda line: parse_rfc3164(line, now=NOW)):
                try:
                    parse(start + unit * 65_536)
                except NotSyslog:
                    continue
        assert time.perf_counter() - begun < 0.5, unit


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("2026-11-24 02:21:00 INFO [Cache Keeper] a.b.Cache: x", "thread", "Cache Keeper"),
        ("2026-11-24 02:21:00 INFO [OrderService] taken", "logger", "OrderService"),
        ("2026-11-24 02:21:00 INFO [eu west] taken", "context", "eu west"),
        ("2026-11-24 02:21:00 INFO a.b.C [req-12ab x - -] taken", "request_id", "req-12ab"),
        ("2026-11-24 02:21:00 INFO [5] taken", "pid", 5),
    ],
)
def test_a_bracket_is_named_by_what_it_holds_and_what_follows(line: str, name: str, value: object) -> None:
    record = detect([line, line], now=NOW).parse(line)
    assert record is not None
    attributes = record["attributes"]
    assert isinstance(attributes, dict)
    assert attributes[name] == value


# Levels come from the header


@pytest.mark.parametrize(
    "lines",
    [
        ["2026-11-24 02:21:00 started ERROR handler", "2026-11-24 02:21:01 x", "2026-11-24 02:21:02 FATAL y z"],
        ["Nov 24 02:21:00 h app[1]: ERROR x", "Nov 24 02:21:00 h app[1]: FATAL y"],
        ["something ERROR happened", "all is well", "a WARNING came"],
        ["2026-11-24T02:21:00Z stdout F one", "2026-11-24T02:21:01Z stdout F two"],
    ],
)
def test_a_word_of_the_message_is_no_level(lines: list[str]) -> None:
    found = detect(lines, now=NOW)
    assert [record["level"] for record in records(lines, found)] == ["INFO"] * len(lines)


def test_a_line_with_another_word_in_the_place_of_the_level_keeps_it() -> None:
    lines = ["2026-11-24 02:21:00 INFO a b", "2026-11-24 02:21:01 ERROR c d", "2026-11-24 02:21:02 WARN e f"]
    record = detect(lines, now=NOW).parse("2026-11-24 02:21:03 HINT: look there")
    assert record == {
        "timestamp": "2026-11-24T02:21:03.000000Z",
        "level": "INFO",
        "message": "HINT: look there",
        "attributes": {},
    }


@pytest.mark.parametrize(
    ("stamps", "instant"),
    [
        (["03/04/2026 10:00:00", "03/05/2026 10:00:00"], "2026-03-04T10:00:00.000000Z"),
        (["30/04/2026 10:00:00", "01/05/2026 10:00:00"], "2026-04-30T10:00:00.000000Z"),
        (["10/11/2026 10:00:00", "11/11/2026 10:00:00"], "2026-11-10T10:00:00.000000Z"),
        (["17/06/09 20:10:40", "17/06/09 20:10:41"], "2017-06-09T20:10:40.000000Z"),
        (["23/11/26 20:10:40", "24/11/26 00:10:41"], "2026-11-23T20:10:40.000000Z"),
        (["Nov 24 02:21:00", "Nov 24 02:21:01"], "2026-11-24T02:21:00.000000Z"),
        (["Dec 24 02:21:00", "Dec 24 02:21:01"], "2025-12-24T02:21:00.000000Z"),
        (["2026-11-24T02:21:60Z", "2026-11-24T02:22:00Z"], "2026-11-24T02:21:59.000000Z"),
        (["2026-11-24 02:21:00.5 -0330", "2026-11-24 02:22:00.5 -0330"], "2026-11-24T05:51:00.500000Z"),
    ],
)
def test_the_sample_decides_what_a_date_means(stamps: list[str], instant: str) -> None:
    lines = [f"{stamp} INFO message {number}" for number, stamp in enumerate(stamps)]
    record = detect(lines, now=NOW).parse(lines[0])
    assert record is not None
    assert record["timestamp"] == instant


# Lines that belong to the one before


def test_a_stack_trace_belongs_to_its_record_and_blank_lines_within_it_stay() -> None:
    lines = ["2026-11-24 02:21:00 ERROR boom", "\tat a.b.C", "", "Caused by: d", "2026-11-24 02:21:01 INFO on", ""]
    made = list(records(lines, detect(lines, now=NOW)))
    assert [record["message"] for record in made] == ["boom\n\tat a.b.C\n\nCaused by: d", "on"]


def test_joining_ends_at_its_bounds_and_goes_on_with_the_same_time_and_level() -> None:
    head = "2026-11-24 02:21:00 ERROR boom"
    found = detect([head, "2026-11-24 02:21:00 INFO x"], now=NOW)
    by_lines = list(records([head, *["  at x"] * 450], found))
    assert [str(record["message"]).count("\n") + 1 for record in by_lines] == [200, 200, 51]
    by_size = list(records([head, *["y" * 30_000] * 5], found))
    assert all(len(str(record["message"])) <= JOINED_CHARACTERS for record in by_size)
    assert {(record["timestamp"], record["level"]) for record in by_lines + by_size} == {
        ("2026-11-24T02:21:00.000000Z", "ERROR")
    }


def test_lines_before_the_first_header_are_a_record_without_a_timestamp() -> None:
    lines = ["  at y", "2026-11-24 02:21:00 INFO x", "2026-11-24 02:21:01 WARN z"]
    joiner = Joiner(detect(lines, now=NOW))
    made = [record for line in lines if (record := joiner.add(line + "\r\n"))]
    assert made[0] == {"level": "INFO", "message": "  at y", "attributes": {}}
    assert joiner.finish() is not None
    assert joiner.finish() is None
