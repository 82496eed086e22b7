"""Syslog: the RFC 5424 vectors, what the lenient reader takes, and the records made of both."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.logs.formats.syslog import NotSyslog, parse_rfc3164, parse_rfc5424, record_of, unescape

VECTORS = Path(__file__).parents[2].parent / "shared" / "data" / "vectors_ingest" / "syslog_rfc5424.json"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def vectors() -> list[dict[str, Any]]:
    if not VECTORS.exists():
        return []
    return json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]  # type: ignore[no-any-return]


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared RFC 5424 vectors aren't here")
def test_every_vector_is_accepted_or_refused_and_its_fields_are_exact() -> None:
    assert len(vectors()) == 58
    for case in vectors():
        if not case["valid"]:
            with pytest.raises(NotSyslog):
                parse_rfc5424(case["input"])
            continue
        message = parse_rfc5424(case["input"])
        for name, value in case["expected"].items():
            expected = datetime.fromisoformat(value) if name == "timestamp" else value
            assert getattr(message, name) == expected, (name, case["input"])


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("", 0, "<PRI>"),
        ("<192>1 - - - - - -", 0, "0 to 191"),
        ("<007>1 - - - - - -", 0, "leading zeros"),
        ("<1>0 - - - - - -", 3, "VERSION"),
        ("<1>1 2026-11-24t02:21:00Z - - - - -", 5, "TIMESTAMP"),
        ("<1>1 2026-02-30T02:21:00Z - - - - -", 5, "instant that exists"),
        ("<1>1 - ho\u00fct - - - -", 7, "HOSTNAME"),
        ("<1>1 - - - - - [a b=c]", 17, "NAME"),
        ("<1>1 - - - - - [a][a]", 19, "did not occur before"),
        ("<1>1 - - - - - -x", 16, "space before the message"),
    ],
)
def test_a_refusal_says_where_and_what_was_expected(text: str, position: int, expected: str) -> None:
    with pytest.raises(NotSyslog, match="at character") as refused:
        parse_rfc5424(text)
    assert (refused.value.position, expected in refused.value.expected) == (position, True)


def test_a_byte_order_mark_is_no_part_of_the_message() -> None:
    assert parse_rfc5424("<1>1 - - - - - - \ufeffgrüße").message == "grüße"


def test_a_record_takes_its_level_from_the_severity_and_reads_escapes() -> None:
    message = parse_rfc5424(r'<34>1 2026-11-24T03:21:00.5+01:00 db1 su 77 ID4 [a@1 x="\"y\]" x="z"] no')
    assert record_of(message) == {
        "timestamp": "2026-11-24T02:21:00.500000Z",
        "level": "CRITICAL",
        "service": "su",
        "message": "no",
        "attributes": {"facility": "auth", "host": "db1", "pid": 77, "msgid": "ID4", "a@1.x": '"y], z'},
    }
    assert unescape(message.structured_data["a@1"]["x"]) == '"y], z'


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("<34>Oct 11 22:14:15 mymachine su: 'su root' failed", (4, 2, "mymachine", "su", None, "'su root' failed")),
        ("Nov 24 02:21:00 h sshd[42]: hello", (None, None, "h", "sshd", "42", "hello")),
        ("Nov  4 02:21:00 h kernel: [1.2] usb", (None, None, "h", "kernel", None, "[1.2] usb")),
        ("2026-11-24T02:21:00.123+01:00 h app[1]: m", (None, None, "h", "app", "1", "m")),
        ("Nov 24 02:21:00 h syslogd 1.4.1: restart.", (None, None, "h", "syslogd 1.4.1", None, "restart.")),
        ("Nov 24 02:21:00 h Some App[7]: x", (None, None, "h", "Some App", "7", "x")),
        ("Nov 24 02:21:00 h su(pam_unix)[7]: x", (None, None, "h", "su(pam_unix)", "7", "x")),
        ("Nov 24 02:21:00 h --- last message repeated", (None, None, "h", None, None, "--- last message repeated")),
    ],
)
def test_lines_near_to_rfc_3164_are_read(line: str, parts: tuple[object, ...]) -> None:
    m = parse_rfc3164(line, now=NOW)
    assert (m.facility, m.severity, m.hostname, m.tag, m.procid, m.message) == parts


@pytest.mark.parametrize(
    ("date", "instant"),
    [
        ("Nov 24 02:21:00", datetime(2026, 11, 24, 2, 21, tzinfo=UTC)),
        ("Nov 25 11:00:00", datetime(2026, 11, 25, 11, 0, tzinfo=UTC)),
        ("Nov 25 13:00:00", datetime(2025, 11, 25, 13, 0, tzinfo=UTC)),
        ("Dec 31 23:59:59", datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("Feb 29 00:00:00", datetime(2024, 2, 29, tzinfo=UTC)),
        ("2026-11-24T02:21:00.5-08:00", datetime(2026, 11, 24, 10, 21, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_a_date_without_a_year_takes_the_latest_not_more_than_a_day_ahead(date: str, instant: datetime) -> None:
    assert parse_rfc3164(f"{date} h a: b", now=NOW).timestamp == instant


STARTS = ["", "<34>", "<34>1 - - - - - ", "Nov 24 02:21:00 ", '<1>1 - - - - - [a b="']


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.sampled_from(STARTS))
def test_any_text_is_read_or_refused_with_a_position(text: str, start: str) -> None:
    for parse in (parse_rfc5424, lambda line: parse_rfc3164(line, now=NOW)):
        position = 0
        try:
            parse(start + text)
        except NotSyslog as refused:
            position = refused.position
        assert 0 <= position <= len(start + text)
