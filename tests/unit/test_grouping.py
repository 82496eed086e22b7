"""Fingerprints: variable parts are masked, everything else tells kinds apart."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tocsin.alerts.grouping import MAX_TEMPLATE_CHARS, fingerprint_of, masked, template_of, title_of

WORDS = st.lists(
    st.sampled_from(["user", "lost", "connection", "to", "the", "database", "after"]), min_size=1, max_size=6
)


@pytest.mark.parametrize(
    ("message", "template"),
    [
        ("lost after 3 attempts", "lost after <*> attempts"),
        ("no route to 10.0.0.7:5432", "no route to <*>:<*>"),
        ("no route to 2001:db8:0:0:0:0:0:1", "no route to <*>"),
        ('unknown user "ana maria"', "unknown user <*>"),
        ("unknown user 'ana maria'", "unknown user <*>"),
        ("can't open it", "can't open it"),
        ("order 7c9e6679-7425-40de-944b-e07fc1f90ae7 failed", "order <*> failed"),
        ("at address 0xdeadbeef00", "at address <*>"),
        ("digest d41d8cd98f00b204e9800998ecf8427e differs", "digest <*> differs"),
        ("can't read /var/lib/data/file.txt", "can't read <*>"),
        ("GET https://example.org/a/b?c=d failed", "GET <*> failed"),
        ("mail to ana@example.org bounced", "mail to <*> bounced"),
        ("took 12.5ms", "took <*>"),
        ("first line\nsecond line 7", "first line"),
        ("  spaces   and\ttabs  ", "spaces and tabs"),
        ("", ""),
    ],
)
def test_variable_parts_are_masked(message: str, template: str) -> None:
    assert template_of(message) == template


@given(WORDS, st.integers(0, 10**9), st.integers(0, 10**9))
def test_messages_that_differ_in_a_number_only_are_one_kind(words: list[str], one: int, other: int) -> None:
    text = " ".join(words)
    assert template_of(f"{text} {one} times") == template_of(f"{text} {other} times")


@given(WORDS, WORDS)
def test_messages_of_other_words_are_other_kinds(one: list[str], other: list[str]) -> None:
    assert (template_of(" ".join(one)) == template_of(" ".join(other))) == (one == other)


@given(
    st.lists(
        st.sampled_from(["user", "lost", "7", "10.0.0.1", "0xff12ab", "id=9", "/var/log", "in", "3ms"]), max_size=8
    )
)
def test_a_template_is_its_own_template(words: list[str]) -> None:
    template = template_of(" ".join(words))
    assert template_of(template) == template


PIECES = st.sampled_from([*"a_-.$#%@/:\"'\\ \né٣7x", "fe", "0x", "0X", "://", "19", "dead"])


@example("8xfe98fe.", ["8", "0"])  # only 0x is a prefix
@example("abcdef1_7", ["1", "8"])  # a digit is left
@given(
    st.lists(PIECES | st.text(max_size=2), max_size=40).map("".join),
    st.lists(st.sampled_from("0123456789"), min_size=1),
)
def test_what_was_masked_before_changes_nothing(message: str, digits: list[str]) -> None:
    drawn = iter(digits * len(message))
    other = "".join(next(drawn) if "0" <= character <= "9" else character for character in message)
    for text in (message, other, message):
        assert template_of(text) == masked(text)


@given(st.text(max_size=3000))
def test_any_message_has_a_short_template_and_title_on_one_line(message: str) -> None:
    assert len(template_of(message)) <= MAX_TEMPLATE_CHARS
    title = title_of("payments", message)
    assert 0 < len(title) <= 200
    assert "\n" not in title


@pytest.mark.parametrize(
    "unit",
    ['"', "'", '\\"', "a@", "a.", "/", "//", "a:", ":", "0-", "f-", "1", "a1", "-", ".", "$#", "http://", "x=", "::",
     "%", "deadbeef", '"\\', "a'", "é", "\t ", "<*>"],
)  # fmt: skip
def test_hostile_text_takes_no_longer_than_its_length(unit: str) -> None:
    message = unit * (4_000 // len(unit))
    started = time.process_time()
    template_of(message)
    template_of(message + "!")
    assert time.process_time() - started < 0.2


def test_a_fingerprint_tells_rule_service_and_template_apart() -> None:
    assert len({
        fingerprint_of("r", "s", "t"), fingerprint_of("rs", "", "t"), fingerprint_of("r", "st", ""),
        fingerprint_of("r", "s", "u"), fingerprint_of("q", "s", "t"),
    }) == 5  # fmt: skip
    assert fingerprint_of("r", "s", "t") == fingerprint_of("r", "s", "t")
