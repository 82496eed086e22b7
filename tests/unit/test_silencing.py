"""Silences as values: when they are active, what they cover, when they break, what becomes of an alert they let go."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk import START, critical, decode_records, error
from tocsin.alerts.detect import detect, merge, picked
from tocsin.alerts.rules import SEED_RULE, Kind, Rule
from tocsin.alerts.ruleset import RuleSet
from tocsin.alerts.silencing import (
    Fate,
    Silence,
    Span,
    State,
    breaks,
    covering_ids,
    fate_of,
    hidden_by,
    parted,
    silence_id_of,
)
from tocsin.logs.record import Record

HOUR = timedelta(hours=1)


def silence(number: int = 1, matcher: str = "*", **fields: Any) -> Silence:
    end = {"starts_at": START, "ends_at": START + HOUR} | fields
    return Silence(id=number, version=1, matcher=matcher, owner="ana", reason="known", **end)


def window(**fields: Any) -> Silence:
    """An hour each Sunday at 02:30 in Berlin, from the Tuesday before."""
    shown: dict[str, Any] = {
        "recurrence": "FREQ=WEEKLY;BYDAY=SU;BYHOUR=2;BYMINUTE=30",
        "duration_s": 3600,
        "time_zone": "Europe/Berlin",
        "starts_at": datetime(2027, 3, 23, tzinfo=UTC),
        "ends_at": datetime(2027, 4, 30, tzinfo=UTC),
    }
    return silence(**{**shown, **fields})


def test_it_is_active_from_its_start_until_just_before_its_end() -> None:
    one = silence()
    moments = [START - HOUR, START, START + HOUR - timedelta(microseconds=1), START + HOUR]
    assert [one.state_at(at) for at in moments] == [State.SCHEDULED, State.ACTIVE, State.ACTIVE, State.EXPIRED]
    assert [one.next_turn(at) for at in moments] == [START, START + HOUR, START + HOUR, None]


def test_a_window_in_the_hour_that_clocks_leave_out_lasts_its_hour_all_the_same() -> None:
    gap = window().next_occurrences(datetime(2027, 3, 27, tzinfo=UTC), 2)
    assert gap[0] == Span(datetime(2027, 3, 28, 1, 30, tzinfo=UTC), datetime(2027, 3, 28, 2, 30, tzinfo=UTC))
    assert gap[1].start == datetime(2027, 4, 4, 0, 30, tzinfo=UTC)
    assert window().state_at(datetime(2027, 3, 28, 2, 29, tzinfo=UTC)) is State.ACTIVE
    assert window().state_at(datetime(2027, 3, 28, 2, 30, tzinfo=UTC)) is State.SCHEDULED


def test_an_occurrence_is_cut_off_where_the_whole_ends() -> None:
    end = datetime(2027, 3, 28, 2, tzinfo=UTC)
    [span] = window(ends_at=end).next_occurrences(START, 5)
    assert (span.end, window(ends_at=end).state_at(end)) == (end, State.EXPIRED)


@given(st.integers(0, 60 * 24 * 45))
def test_what_is_active_follows_from_its_occurrences(minutes: int) -> None:
    one, at = window(), datetime(2027, 3, 20, tzinfo=UTC) + timedelta(minutes=minutes)
    spans = one.next_occurrences(datetime(2027, 3, 1, tzinfo=UTC), 100)
    assert one.active_at(at) == any(span.start <= at < span.end for span in spans)
    turns = sorted(turn for span in spans for turn in (span.start, span.end) if turn > at)
    assert one.next_turn(at) == (turns[0] if turns else None)


def test_broken_it_hides_nothing_for_the_rest_of_that_occurrence() -> None:
    broken = silence(broken_at=START + HOUR / 2)
    assert (broken.active_at(START + HOUR / 2), broken.state_at(START + HOUR / 2)) == (False, State.BROKEN)
    [first, second] = window().next_occurrences(START + timedelta(days=120), 2)
    one = window(broken_at=first.start)
    assert [one.state_at(first.start), one.state_at(second.start)] == [State.BROKEN, State.ACTIVE]


def test_one_that_was_closed_is_not_active_for_a_transaction_whose_clock_is_behind() -> None:
    assert not silence(closed_at=START + HOUR).active_at(START + HOUR / 2)
    [first, second] = window().next_occurrences(START + timedelta(days=120), 2)
    assert window(closed_at=first.end).active_at(second.start)


def test_one_that_can_not_be_read_is_never_active_and_covers_nothing() -> None:
    assert window(recurrence="FREQ=NEVER").state_at(START) is State.EXPIRED
    assert window(time_zone="Mars/Olympus").state_at(START) is State.EXPIRED
    assert covering_ids([silence(1, "levl:("), silence(2)], record()) == (2,)


def record(**fields: Any) -> Record:
    found = {"service": "payments", "message": "boom", "level": "CRITICAL", "severity_number": 21} | fields
    return Record(id=1, timestamp=START, observed_at=START, **{"attributes": msgspec.Raw(b"{}"), **found})


@pytest.mark.parametrize(
    ("matcher", "is_covered"),
    [
        ("*", True),
        ("service:payments", True),
        ("service:PAYMENTS level:>=ERROR", True),
        ("service:shop OR boom", True),
        ("-service:payments", False),
        ("level:<ERROR", False),
        ("@host:db1", True),
        ("_exists_:trace_id", False),
    ],
)
def test_a_stored_record_is_covered_as_it_was_when_it_came_in(matcher: str, is_covered: bool) -> None:
    assert covering_ids([silence(7, matcher)], record(attributes=msgspec.Raw(b'{"host":"db1"}'))) == (
        (7,) if is_covered else ()
    )
    columns = decode_records([critical("boom", attributes={"host": "db1"})], arrived=START).columns
    [match] = detect(columns, RuleSet(1, [SEED_RULE], [silence(7, matcher)]), first_id=1, backfill=False).matches
    assert match.covered == (((1, (7,)),) if is_covered else ())


def test_detection_says_of_each_record_what_covers_it_and_holds_every_record() -> None:
    columns = decode_records([critical("a"), critical("a", "shop"), critical("a"), error("a")], arrived=START).columns
    ruleset = RuleSet(1, [SEED_RULE], [silence(3, "service:payments"), silence(2, "message:a")])
    found = detect(columns, ruleset, first_id=10, backfill=False).matches
    assert [(match.covered, [one for one, _ in match.records]) for match in found] == [
        (((10, (2, 3)), (12, (2, 3))), [10, 12]),
        (((11, (2,)),), [11]),
    ]
    [backfilled, _] = detect(columns, ruleset, first_id=10, backfill=True).matches
    assert (backfilled.covered, backfilled.records) == ((), ())
    assert ruleset.only(SEED_RULE.name).coverings == ruleset.coverings


def test_without_silences_matches_are_as_light_as_ever() -> None:
    columns = decode_records([critical("a")], arrived=START).columns
    [match] = detect(columns, RuleSet(1, [SEED_RULE]), first_id=1, backfill=False).matches
    assert (match.records, match.covered) == ((), ())


def test_the_hits_of_a_ratio_are_covered_not_the_others() -> None:
    rule = Rule("share", 1, "level:CRITICAL", Kind.RATIO, ratio=0.5, minimum=1, window_s=60, group_by=("service",))
    columns = decode_records([critical("a"), error("a")], arrived=START).columns
    [match] = detect(columns, RuleSet(1, [rule], [silence()]), first_id=1, backfill=False).matches
    assert (match.covered, len(match.others)) == (((1, (1,)),), 1)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["payments", "shop"])), min_size=1, max_size=20), st.data())
def test_chunks_that_are_joined_and_parted_again_lose_no_record(
    sent: list[tuple[bool, str]], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(sent)))
    silences = {1: silence(1, "@known:true"), 2: silence(2, "service:shop", starts_at=START + HOUR)}
    ruleset = RuleSet(1, [replace(SEED_RULE, group_by=())], silences.values())
    matches = []
    for first, part in ((0, sent[:cut]), (cut, sent[cut:])):
        if not part:
            continue
        records = [critical("a", service, attributes={"known": known}) for known, service in part]
        columns = decode_records(records, arrived=START).columns
        matches += list(detect(columns, ruleset, first_id=first + 1, backfill=False).matches)
    [match] = merge(matches)
    places = parted((record_id for record_id, _ in match.records), match.covered, silences, START)
    assert sorted(place for some in places.values() for place in some) == list(range(len(sent)))
    hidden = {number for number, (known, _) in enumerate(sent) if known}
    assert set(places.get(1, [])) == hidden
    assert 2 not in places, "it is not active yet"
    parts = [picked(match, some) for some in places.values()]
    assert sum(part.n for part in parts) == match.n
    assert sorted(one for part in parts for one in part.covered) == sorted(match.covered)


def test_of_those_that_cover_the_first_active_one_hides() -> None:
    silences = {2: silence(2, starts_at=START + HOUR), 3: silence(3), 4: silence(4)}
    assert [hidden_by(silences, ids, START) for ids in ((4, 3, 2), (2,), (9,), ())] == [3, None, None, None]


@pytest.mark.parametrize(
    ("factor", "baseline_n", "hidden_n", "broken"),
    [
        (10, 60, 50, False),
        (10, 60, 51, True),
        (10, 0, 50, False),
        (10, 0, 51, True),
        (10, 1200, 1000, False),
        (10, 1200, 1001, True),
        (1.5, 120, 16, True),
        (None, 60, 10**9, False),
        (10, None, 10**9, False),
    ],
)
def test_it_breaks_when_more_than_so_many_times_the_usual_is_hidden(
    factor: float | None, baseline_n: int | None, hidden_n: int, broken: bool
) -> None:
    assert breaks(silence(break_factor=factor, baseline_n=baseline_n), hidden_n) is broken


def test_what_it_lets_go_goes_to_another_one_or_to_people_or_is_over() -> None:
    def fate(heir: int | None = None, *, ends: bool = False, minutes: float | None = None) -> Fate:
        last_at = None if minutes is None else START - timedelta(minutes=minutes)
        return fate_of(heir=heir, ends_by_itself=ends, last_at=last_at, now=START)

    assert [fate(3, minutes=1), fate(3, minutes=99)] == [Fate.MOVED, Fate.MOVED]
    assert [fate(minutes=10), fate(ends=True, minutes=99)] == [Fate.RELEASED, Fate.RELEASED]
    assert [fate(minutes=10.1), fate()] == [Fate.ENDED, Fate.ENDED]


def test_what_suppresses_is_a_silence_or_something_else() -> None:
    assert [silence_id_of(by) for by in ("silence:12", "flap", "storm:3", None)] == [12, None, None, None]
