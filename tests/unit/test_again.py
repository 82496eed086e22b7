"""Records matched again by whole columns: the same counts as detection finds, whatever the rules and the layout are."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

import msgspec
import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st
from test_ruleset import CONDITIONS, RECORDS, columns_of

from desk import START
from tocsin.alerts.rules import Kind, Rule
from tocsin.logs.chunks import open_blob, pack
from tocsin.logs.frames import OpenedChunk, frame_of, records_of
from tocsin.logs.record import Record
from tocsin.logs.shapes import columns_of as types_of
from tocsin.logs.shapes import split, type_of, whole
from tocsin.proof.again import Matching, RulesThen, match_again, plan
from tocsin.proof.books import Account
from tocsin.proof.facts import Entry, Verdict
from tocsin.query.expressions import Layout

BROKEN = "level:"
RULES = st.lists(
    st.builds(
        lambda condition, of, enabled: (condition, of, enabled),
        st.sampled_from([*CONDITIONS, BROKEN]),
        st.sampled_from([None, None, "*", "-level:INFO", "@region:eu", "disk"]),
        st.sampled_from([True, True, True, False]),
    ),
    max_size=5,
)


@dataclass
class Frame:
    """Some records, as a part of the stock."""

    frame: pl.DataFrame
    layout: Layout

    def read(self, *wanted: pl.Expr | str) -> pl.DataFrame:
        return self.frame.select(*wanted)

    def records(self, which: pl.Expr) -> list[Record]:
        return records_of(whole(self.frame.filter(which).sort("id")))


def rules_of(made: list[tuple[str, str | None, bool]]) -> list[Rule]:
    return [
        Rule(name=f"r{n}", version=n + 1, condition=condition, enabled=enabled)
        if of is None
        else Rule(f"r{n}", n + 1, condition, enabled=enabled, kind=Kind.RATIO, of=of, ratio=0.5, minimum=1, window_s=60)
        for n, (condition, of, enabled) in enumerate(made)
    ]


def frames_of(records: list[dict[str, Any]]) -> tuple[Frame, Frame]:
    """The records as hot chunks hold them, and as a segment does; ids begin at 10."""
    hot = frame_of([OpenedChunk(10, START, False, open_blob(pack(columns_of(records)).blob))])
    cold = split(hot)
    typed = {path: type_of(kind) for path, kind in types_of(cold).items()}
    has_raw = cold.get_column("attributes").null_count() < len(cold)
    return Frame(hot, Layout({}, has_raw=True)), Frame(
        cold.sample(fraction=1.0, shuffle=True, seed=1).sort("message"), Layout(typed, has_raw)
    )


def accounts_of(ends: list[int]) -> list[Account]:
    """Commits from each of these ids up to the next one."""
    return [
        Account(Entry(n, START + timedelta(seconds=n), first, last - 1, 1, last - first, 0, {}, n))
        for n, (first, last) in enumerate(pairwise(ends))
    ]


def outcome(account: Account) -> Any:
    found = {key: (one.n, one.first_id, one.last_id) for key, one in account.matched.items()}
    return account.stored, account.sources, found, account.raised


@given(RULES, RECORDS, st.lists(st.integers(9, 19), max_size=3), st.sampled_from([0, 1, 24]))
@example([("level:CRITICAL", None, True)], [{"level": "FATAL", "message": ""}], [11], 24)
@example([(BROKEN, None, True), ("*", "disk", True)], [{"level": "INFO", "message": "disk"}], [], 24)
def test_columns_count_what_detection_finds(
    made: list[tuple[str, str | None, bool]], records: list[dict[str, Any]], cuts: list[int], most: int
) -> None:
    rules = rules_of(made)
    ends = sorted({10, *cuts, 10 + len(records)})
    for part in frames_of(records):
        then = RulesThen({1: rules})
        accounts, expected = accounts_of(ends), accounts_of(ends)
        Matching(accounts, then, most_told=most).enter(part)
        for account in expected:
            inside = pl.col("id").is_between(account.entry.first_log_id, account.entry.last_log_id)
            mine = sorted(part.records(inside), key=lambda record: record.id)
            account.stored = len(mine)
            account.sources.update(record.source or "(none)" for record in mine)
            if mine:
                match_again(account, mine, then)
        assert [outcome(one) for one in accounts] == [outcome(one) for one in expected]


def test_what_is_in_doubt_is_matched_by_detection() -> None:
    records = [{"level": "CRITICAL", "message": "disk"}, {"level": "INFO", "message": "disk"}]
    then = RulesThen({1: rules_of([("level:CRITICAL", None, True)])})
    for part in frames_of(records):
        accounts = accounts_of([10, 11, 12])
        matching = Matching(accounts, then)
        matching.enter(part)
        once = [outcome(one) for one in accounts]
        accounts[0].begin_anew()
        matching.enter_again(part, [True, False])
        assert [outcome(one) for one in accounts] == once


def test_most_rules_are_told_by_columns_alone() -> None:
    rules = rules_of([(text, None, True) for text in ("level:CRITICAL", "service:pay disk", "@n:>4", BROKEN)])
    cold = plan(rules, Layout({"n": pl.Int64()}, has_raw=False))
    assert ([key for key, _ in cold.told], cold.others) == ([("r0", 1), ("r1", 2), ("r2", 3)], {"r3"})
    mixed = plan(rules, Layout({"n": pl.Int64()}, has_raw=True))
    assert ([key for key, _ in mixed.told], mixed.others) == ([("r0", 1)], {"r1", "r2", "r3"})


def test_a_commit_with_given_up_records_is_troubled() -> None:
    [account] = accounts_of([10, 11])
    assert not account.troubled
    account.verdicts.append(Verdict(0, "r0", 1, "f", "parked", None, 1, 0, 10, 10, None))
    assert (account.troubled, account.fits) == (True, True)
    assert msgspec.json.encode(account.sources) == b"{}"
