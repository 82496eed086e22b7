"""YAML with places: what is read is what JSON would say, nothing stands twice, and nothing grows out of bounds."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.cli.exits import WrongUsage
from tocsin.cli.yamlfile import MAX_BYTES, Place, place_of, read_yaml, write_yaml


def read(text: str) -> Any:
    return read_yaml(text.encode(), "f.yaml")[0]


scalars = (
    st.none() | st.booleans() | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
    | st.sampled_from(["no", "1e3", "1.5e10", "0o10", "010", "0x1F", "12:30", "2026-11-24", "~", "<<", "=", ".inf",
                       "1_000", "null", "y", "- a", "a: b", "#x", "+1", "-0", "1.", ".5", "a\nb", "a\n", "\n", " a"])
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5), inner,
                      max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.lists(st.dictionaries(st.sampled_from(["name", "a", "b c"]), values, max_size=3), max_size=3))
def test_what_is_written_is_read_again(entries: list[dict[str, Any]]) -> None:
    written = write_yaml({"rules": entries, "silences": []})
    assert read(written) == {"rules": entries, "silences": []}


printable = st.text(st.characters(codec="utf-8").filter(str.isprintable))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | printable,
    lambda inner: st.lists(inner) | st.dictionaries(printable, inner),
    max_leaves=8,
)


@given(json_values)
def test_json_is_read_as_what_it_is(value: Any) -> None:
    assert read(json.dumps({"x": value}, ensure_ascii=False)) == {"x": value}


def test_what_other_readers_take_for_something_else_is_the_text_that_stands_there() -> None:
    said = read("[no, on, 2026-11-24T02:00:00Z, 12:30, 010, 1_000, .inf, 0x10, 1.5, -3, true, ~, '1']")
    assert said == ["no", "on", "2026-11-24T02:00:00Z", "12:30", "010", "1_000", ".inf", "0x10", 1.5, -3, True, None,
                    "1"]  # fmt: skip


def test_everything_has_its_place() -> None:
    _, places = read_yaml(b"# head\nrules:\n  - name: a\n    labels: {team: pay}\n  - name: b\n", "f.yaml")
    assert places["/rules/0/labels/team"] == Place("f.yaml", 4, 14)
    assert str(place_of(places, "/rules/1/condition")) == "f.yaml:5:5"
    assert str(place_of(places, "/rules/1/name")) == "f.yaml:5:5"


def test_an_anchor_is_written_once_and_meant_often() -> None:
    said = read("a: &x {p: 1, q: 2}\nb: *x\nc:\n  <<: *x\n  q: 3\nd:\n  <<: [{q: 9}, *x]\n")
    assert said == {"a": {"p": 1, "q": 2}, "b": {"p": 1, "q": 2}, "c": {"p": 1, "q": 3}, "d": {"q": 9, "p": 1}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2", "f.yaml:2:1: 'a' stands there twice"),
        ("rules:\n - {name: a, name: b}", "f.yaml:2:14: 'name' stands there twice"),
        ("a: [1, 2\nb: }", "f.yaml:2:2: not YAML"),
        ("a: !!python/object:os.system x", "f.yaml:1:4: the tag tag:yaml.org,2002:python/object:os.system means"),
        ("a: !!set {x}", "means nothing here"),
        ("a: *nowhere", "not YAML|no complete anchor"),
        ("a: &x [*x]", "no complete anchor &x"),
        ("? [1, 2]\n: 3", "f.yaml:1:3: expected a name before the colon"),
        ("<<: 5", "f.yaml:1:1: << expected names"),
        ("--- a\n--- b", "f.yaml:2:1: a second document"),
        ("", "says nothing"),
        ("# only a comment\n", "says nothing"),
        ("a: \x01", "not YAML"),
        ("[" * 100_000, "f.yaml:1:52: nested more than 50 deep"),
        ("a: " * 3, "not YAML"),
    ],
)
def test_what_is_no_file_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(WrongUsage) as refused:
        read(text)
    assert any(part in str(refused.value) for part in said.split("|")), str(refused.value)


def test_aliases_that_would_grow_out_of_bounds_are_refused() -> None:
    lines = ["a0: &a0 [" + "x, " * 100 + "]"]
    lines += [f"a{n}: &a{n} [" + f"*a{n - 1}, " * 10 + "]" for n in range(1, 12)]
    with pytest.raises(WrongUsage, match=r"f.yaml:\d+:\d+: with its aliases written out"):
        read("\n".join(lines))


def test_a_file_that_is_too_large_or_not_text_is_refused() -> None:
    with pytest.raises(WrongUsage, match="expected at most"):
        read_yaml(b" " * (MAX_BYTES + 1), "f.yaml")
    with pytest.raises(WrongUsage, match="not UTF-8 text"):
        read_yaml(b"a: \xff", "f.yaml")
    assert read_yaml("\ufeffa: é".encode(), "f.yaml")[0] == {"a": "é"}
