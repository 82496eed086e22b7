"""The regular expression of a template: its messages match, what has other words does not."""

import csv
from pathlib import Path

import polars as pl
import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from tocsin.alerts.mining import Miner
from tocsin.alerts.regexes import matches, regex_for, regex_of

LOGHUB = Path(__file__).parents[3] / "shared" / "data" / "loghub"


@pytest.mark.parametrize(
    ("template", "message", "other"),
    [
        ("connection to <*> lost", "connection  to db-7:5432 lost", "connection to db-7 was lost again"),
        ("user=<*>, took <*>", "user=ana, took 5 ms", "users=ana, took 5 ms"),
        ("can't open '<*>'", "can't open 'a.b'", "cannot open 'a.b'"),
        ("<*> done", "7 done", "7 undone"),
        ("lost <*> of <*>", "lost 3 of 7", "lost 3\nof 7"),
        ("loading .. <*>", "loading.... 7", "loading 7"),
        ("a (b) [c] {d} | e.f* g+", "a (b) [c] {d} | e.f* g+", "a (b) [c] {d} | eXf g"),
        ("", "", "x"),
    ],
)
def test_messages_of_a_template_match_and_others_do_not(template: str, message: str, other: str) -> None:
    regex = regex_of(template)
    assert matches(regex, message)
    assert matches(regex, f"  {message}\nat line 2")
    assert not matches(regex, other)
    assert matches(regex, f"x {message}") == template.startswith("<*>")


@given(st.text(max_size=60))
def test_whatever_the_miner_makes_of_a_message_both_engines_take_its_expression(message: str) -> None:
    miner = Miner()
    regex = regex_for(miner.template(miner.group_of(message)), message)
    assert regex is not None
    re2.compile(regex)
    pl.Series([message]).str.contains(regex)


def test_no_expression_is_better_than_one_that_does_not_match() -> None:
    assert regex_for("something else", "a message") is None


@pytest.mark.skipif(not LOGHUB.is_dir(), reason="needs the labelled logs")
@pytest.mark.parametrize("system", ["BGL", "OpenSSH", "Spark"])
def test_every_line_matches_the_expression_of_its_template(system: str) -> None:
    [file] = (LOGHUB / system).glob("*_structured.csv")
    with file.open(newline="", encoding="utf-8", errors="replace") as opened:
        lines = [row["Content"] for row in csv.DictReader(opened)]
    miner = Miner()
    groups = [miner.group_of(line) for line in lines]
    regexes = {group: re2.compile(regex_of(miner.template(group), strict=False)) for group in set(groups)}
    assert [line for line, group in zip(lines, groups, strict=True) if not regexes[group].search(line)] == []
