"""When nothing has come for too long: from the later of two moments, never too early, in words that are exact."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk import START
from tocsin.alerts.absence import (
    Group,
    Presence,
    due_at,
    in_words,
    is_fresh,
    only_group,
    silence_of,
    slack_of,
    still_up,
    subject_of,
)
from tocsin.alerts.rules import Kind, Rule

RULE = Rule(name="silent", version=3, condition="service:pay level:INFO", kind=Kind.ABSENCE, window_s=300, group_by=())
SECONDS = st.integers(0, 10_000)


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def seen(seconds: float, *, absent: bool = False) -> Group:
    return Group("silent", "f", "f", "pay", "", 9, START + after(seconds), 7, START, absent=absent)


@given(st.lists(SECONDS, min_size=1).map(sorted), st.integers(60, 5000))
def test_nothing_is_told_of_too_early_and_at_most_five_seconds_too_late(lives: list[int], window_s: int) -> None:
    group = seen(lives[0])
    for at in lives[1:]:
        if not is_fresh(group, START + after(at), window_s):
            group = seen(at)
    late = due_at(group.seen_at, START, window_s) - (START + after(lives[-1] + window_s))
    assert timedelta(0) <= late <= slack_of(window_s) <= after(5)


def test_it_counts_from_the_later_of_last_seen_and_since_when_intake_is_up() -> None:
    assert due_at(START, START + after(50), 300) == START + after(355)
    assert due_at(START + after(50), START, 300) == START + after(355)


@pytest.mark.parametrize(("pause_s", "since_s"), [(5, 0), (30, 0), (31, 131), (-3600, -3500)])
def test_a_pause_of_more_than_thirty_seconds_is_an_outage(pause_s: int, since_s: int) -> None:
    now = START + after(100 + pause_s)
    before = Presence(seen_at=START + after(100), since=START)
    assert still_up(before, now) == Presence(now, START + after(since_s))


def test_a_group_that_was_absent_is_never_fresh() -> None:
    assert is_fresh(seen(0), START + after(5), 300)
    assert not is_fresh(seen(0), START + after(5.1), 300)
    assert not is_fresh(seen(0), START + after(2), 60)
    assert not is_fresh(seen(0, absent=True), START, 300)


@pytest.mark.parametrize(
    ("condition", "fields", "subject"),
    [
        ("service:pay level:INFO", {}, "pay"),
        ("service:Pay", {}, "Pay"),
        ("service:pay OR service:shop", {}, "silent"),
        ("level:INFO", {}, "silent"),
        ("level:INFO", {"service": "batch"}, "batch"),
    ],
)
def test_a_rule_is_about_the_service_that_it_names(condition: str, fields: dict[str, str], subject: str) -> None:
    assert subject_of(Rule(name="silent", version=1, condition=condition, **fields)) == subject


def test_an_alert_without_any_record_says_so_by_the_id_of_none() -> None:
    match = silence_of(RULE, only_group(RULE, START))
    assert (match.n, match.first_id, match.sample_ids, match.first_at) == (0, 0, (), START)
    assert (match.title, match.rule_version, match.absent_s) == ("Nothing from pay for 5 min", 3, 300)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(60, "1 min"), (300, "5 min"), (90, "90 s"), (5400, "90 min"), (90_000, "25 h"), (90_061, "1 d 1 h 1 min 1 s")],
)
def test_how_long_it_is_is_said_exactly(seconds: int, words: str) -> None:
    assert in_words(seconds) == words
