"""The parts of a back-test that are pure: rows become groups as detection makes them; and what a replay bounds."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.alerts.detect import detect, merge
from tocsin.alerts.grouping import template_of
from tocsin.alerts.overflow import OVERFLOW
from tocsin.alerts.rules import Kind, Rule
from tocsin.alerts.ruleset import RuleSet
from tocsin.kit.clock import to_us
from tocsin.kit.events import Matched
from tocsin.logs.decode import decode
from tocsin.logs.frames import SCHEMA
from tocsin.logs.record import Columns
from tocsin.logs.shapes import columns_of, split, type_of
from tocsin.proof.comparing import RealAlert, compare
from tocsin.proof.gathering import Gatherer, wanted
from tocsin.proof.hushing import Hiding, Hidings
from tocsin.proof.masks import Templates, alike
from tocsin.proof.outcome import Face, Heard, Outcome
from tocsin.proof.replay import Bounds, Replay
from tocsin.proof.ticketing import Ways
from tocsin.query.expressions import Layout
from tocsin.query.tree import Everything
from tocsin.tickets.storming import NO_LIMITS

AT = datetime(2026, 11, 24, 2, 21, tzinfo=UTC)
SECOND = 1_000_000
ODD = ("0x1f", "0X9", "é5", "<9>", "'a 1'", '"b"', "x@y.z$5", "/v1/7", "3fa85f64", "::1", "12.5", "\n", "..")
WORDS = st.sampled_from(["took", "10", "a7", *ODD])
LETTERS = st.text(alphabet="0129afxX.-_$#%@:/'\" é\n", max_size=30)
TEXTS = st.one_of(st.lists(WORDS, max_size=8).map(" ".join), LETTERS)


@given(st.lists(TEXTS, min_size=1, max_size=20))
def test_many_templates_at_once_are_those_of_each(messages: list[str]) -> None:
    frame = pl.DataFrame({"message": messages}, schema={"message": pl.String})
    stand_ins = frame.select(alike("message"))["message"]
    templates = Templates()
    for _ in range(2):  # what was met before, too
        assert templates.of(frame["message"], stand_ins).to_list() == [template_of(text) for text in messages]


RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "message": st.sampled_from(["lost 1", "lost 2", "gone", "x@y.z$5", "x@y.z$6"]),
            "level": st.sampled_from(["INFO", "ERROR", "CRITICAL"]),
            "service": st.sampled_from(["shop", "pay"]),
            "attributes": st.sampled_from(
                [{}, {"n": 1}, {"n": 2.5}, {"n": "1"}, {"n": [1, "b"]}, {"n": True}, {"m": 0}]
            ),
            "timestamp": st.integers(0, 40).map(lambda s: (AT - timedelta(seconds=s)).isoformat()),
        }
    ),
    min_size=1,
    max_size=25,
)
RULES = [
    Rule("each", 1, "*"),
    Rule("fields", 1, "*", group_by=("@n", "level"), correlate_by=("rule", "service", "template")),
    Rule("all", 1, "*", group_by=(), service="platform", correlate_by=("service", "@n")),
    Rule("many", 1, "*", Kind.THRESHOLD, group_by=("service",), correlate_by=("message",), threshold=3, window_s=60),
]


def frame_of(columns: Columns, first_id: int) -> pl.DataFrame:
    rows = {
        "id": [first_id + row for row in range(len(columns))],
        "timestamp": columns.timestamps,
        "observed_at": [AT] * len(columns),
        "severity_number": list(columns.severities),
        "service": columns.services,
        "message": columns.messages,
        "backfill": [False] * len(columns),
        "attributes": [document.decode() for document in columns.attributes],
    }
    empty = {name: [None] * len(columns) for name in SCHEMA if name not in rows}
    return pl.DataFrame({**rows, **empty}, schema_overrides=SCHEMA).select(list(SCHEMA))


def told(matched: Matched, rule: Rule) -> tuple[Any, ...]:
    counted = tuple(zip(*matched.records, strict=True)) if rule.kind is Kind.THRESHOLD else ((), ())
    ends = (matched.first_id, matched.last_id, to_us(matched.first_at), to_us(matched.last_at))
    return (matched.fingerprint, matched.template, matched.service, matched.correlation_key, matched.n, *ends, *counted)


def heard(one: Heard) -> tuple[Any, ...]:
    ends = (one.first_id, one.last_id, one.first_at, one.last_at)
    return (
        one.face.fingerprint,
        one.face.template,
        one.service,
        one.key,
        one.n,
        *ends,
        tuple(one.ids),
        tuple(one.times),
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("taken_apart", [True, False])
@given(records=RECORDS, cut=st.integers(0, 25))
def test_rows_in_any_pieces_become_the_groups_that_detection_finds(
    rule: Rule, taken_apart: bool, records: list[dict[str, Any]], cut: int
) -> None:
    columns = decode(b"\n".join(map(msgspec.json.encode, records)), lines=True, arrived=AT).columns
    expected = merge(detect(columns, RuleSet(1, [rule]), first_id=7, backfill=False).matches)
    rows = frame_of(columns, 7)
    rows = split(rows) if taken_apart else rows
    layout = Layout({path: type_of(kind) for path, kind in columns_of(rows).items()}, has_raw=True)
    gatherer = Gatherer(rule, [7])
    for piece in (rows[cut:], rows[:cut]):
        gatherer.add(piece.sort("timestamp").select(wanted(rule, layout)))
    [(at, groups)] = gatherer.commits(None)

    assert at == to_us(AT)
    assert sorted(map(heard, groups)) == sorted(told(one, rule) for one in expected)
    assert gatherer.fingerprints[7] in {one.fingerprint for one in expected if one.first_id == 7}


def replay_of(rule: Rule | None = None, zone: tzinfo = UTC, **fields: Any) -> Replay:
    ways = Ways(reopen_window_s=60, auto_close_s=600, limits=NO_LIMITS)
    return Replay(rule or Rule("draft", 1, "*", auto_resolve_after_s=10), ways, zone, **fields)


def one(name: str, record_id: int, n: int = 1, **fields: Any) -> Heard:
    face = Face(name, name)
    return Heard(face, "shop", name, n, record_id, record_id + n - 1, record_id, record_id, **fields)


def counted(name: str, record_id: int, at: int, n: int) -> Heard:
    lists: dict[str, Any] = {"ids": range(record_id, record_id + n), "times": [at] * n, "hits": [True] * n}
    return one(name, record_id, n, **lists)


def test_groups_beyond_those_that_are_kept_apart_become_one_and_none_goes_uncounted() -> None:
    replay = replay_of(bounds=Bounds(groups=3, named=2))
    for second in range(10):
        replay.commit(second * SECOND, [one(f"g{second}", 10 * second), one(f"h{second}", 10 * second + 5)])
    found = replay.finish(20 * SECOND)
    assert (found.matched, found.overflowed) == (20, 17)
    assert sum(tally.n for tally in found.groups.values()) == 20
    assert [tally.n for tally in found.groups.values() if tally.face.template == OVERFLOW] == [17]
    assert (found.alerts, len(found.episodes), len(found.tickets)) == (4, 2, 2)


def test_windows_beyond_those_that_are_held_become_one_unless_some_are_idle() -> None:
    counting = Rule("draft", 1, "*", Kind.THRESHOLD, threshold=3, window_s=60)
    replay = replay_of(counting, bounds=Bounds(windows=2))
    replay.commit(0, [counted(f"g{n}", 10 * n, 0, 2) for n in range(4)])
    assert replay.outcome.overflowed == 4
    assert replay.outcome.alerts == 1  # the others together are four
    later = 1000 * SECOND
    replay.commit(later, [counted("new", 900, later, 3)])
    assert (replay.outcome.overflowed, replay.outcome.alerts) == (4, 2)


def test_an_alert_ends_when_the_ticket_of_its_like_was_really_resolved_and_comes_back_to_it() -> None:
    replay = replay_of(Rule("draft", 1, "*"), resolved=[(30 * SECOND, "a"), (31 * SECOND, "never there")])
    replay.commit(10 * SECOND, [one("a", 1)])
    replay.commit(40 * SECOND, [one("a", 2)])
    found = replay.finish(99 * SECOND)
    assert [(e.opened_at, e.ended_at, e.ended_by, e.how) for e in found.episodes] == [
        (10 * SECOND, 30 * SECOND, "resolved", "opened"),
        (40 * SECOND, None, None, "reopened"),
    ]
    assert (found.opened, found.reopened, found.pages, found.resolved) == (1, 1, 2, 1)


def test_what_is_hidden_has_no_ticket_until_something_comes_that_is_not() -> None:
    silence = Hiding("silence:1", Everything(), [(0, 10 * SECOND)])
    replay = replay_of(hidings=Hidings([silence]))
    replay.commit(0, [one("a", 1, covers="0")])
    assert (replay.outcome.alerts, replay.outcome.opened, replay.outcome.pages) == (1, 0, 0)
    replay.commit(SECOND, [one("a", 2)])
    found = replay.finish(2 * SECOND)
    assert (found.alerts, found.opened, found.pages, found.hidden["silence:1"]) == (1, 1, 1, 1)


def test_hours_and_days_are_those_of_the_zone() -> None:
    zone = datetime.now().astimezone().tzinfo
    assert zone is not None
    replay = replay_of(zone=zone)
    replay.commit(to_us(AT), [one("a", 1)])
    found: Outcome = replay.finish(to_us(AT))
    assert found.hours[AT.astimezone(zone).hour] == 1
    assert list(found.days) == [AT.astimezone(zone).date()]


def test_an_alert_is_the_same_when_its_first_record_falls_into_the_group_at_that_time() -> None:
    replay = replay_of(Rule("draft", 1, "*"))
    replay.commit(to_us(AT), [one("coarse", 5), one("other", 9)])
    episodes = replay.finish(to_us(AT)).episodes

    def real(number: int, record_id: int, **times: Any) -> RealAlert:
        at = {"opened_at": AT, "ended_at": None, **times}
        return RealAlert(number, "fine", 100 + number, "shop", "shop: a", first_record_id=record_id, **at)

    before = AT - timedelta(hours=1)
    past = real(3, 6, opened_at=before, ended_at=before)
    found = compare([real(1, 5), real(2, 77), past], episodes, {5: "coarse", 6: "coarse"})
    assert [alert.id for alert in found.kept] == [1]
    assert [alert.id for alert in found.gone] == [2, 3]
    assert found.gone_tickets == {102, 103}
    assert [episode.face.fingerprint for episode in found.new] == ["other"]
