"""What people give a command, and how it is read."""

import io
import sys

import pytest

from tocsin.cli.exits import WrongUsage
from tocsin.cli.given import counts, json_object, kind_of, listed, pairs, savable, seconds


@pytest.mark.parametrize(
    ("length", "read"),
    [("900", 900), ("45s", 45), ("15m", 900), (" 4h ", 14_400), ("2d", 172_800), ("1w", 604_800), (None, None)],
)
def test_a_length_is_read_in_seconds_or_in_a_larger_unit(length, read):
    assert seconds("--for", length) == read


@pytest.mark.parametrize("length", ["", "soon", "4 h", "-1h", "1.5h", "1y", "9" * 5000])
def test_what_is_no_length_is_refused_by_the_name_of_its_option(length):
    with pytest.raises(WrongUsage, match=r"^--for '.*': expected seconds, or such as 15m, 4h, 2d, 1w$"):
        seconds("--for", length)


def test_a_list_is_read_without_its_blanks_and_gaps():
    assert (listed("a, b,,c "), listed(""), listed(None)) == (["a", "b", "c"], [], None)


def test_a_pair_is_parted_at_its_first_sign():
    assert pairs("--label", ["team=pay", "query=a=b", "none="]) == {"team": "pay", "query": "a=b", "none": ""}
    assert (pairs("--label", []), pairs("--label", None)) == (None, None)
    with pytest.raises(WrongUsage, match=r"^--label 'team': expected NAME=VALUE$"):
        pairs("--label", ["a=b", "team"])


def test_an_object_is_read_from_a_file_or_from_standard_input(tmp_path, monkeypatch):
    file = tmp_path / "rule.json"
    file.write_text('{"priority": "P1"}')
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"priority": "P2"}'))
    assert (json_object(str(file)), json_object("-")) == ({"priority": "P1"}, {"priority": "P2"})


@pytest.mark.parametrize(("text", "told"), [("{", "is not JSON: "), ("[]", "holds no JSON object")])
def test_what_is_no_object_is_refused_by_the_name_of_its_file(text, told, tmp_path):
    file = tmp_path / "rule.json"
    file.write_text(text)
    with pytest.raises(WrongUsage, match=f"rule.json {told}"):
        json_object(str(file))


def test_what_the_server_alone_decides_is_not_saved_again():
    shown = {"name": "db", "version": 3, "updated_by": "ana", "open_tickets": 2, "tier": 1}
    assert savable(shown, "open_tickets") == {"tier": 1}


def test_a_rule_is_of_one_kind_and_more_urgent_by_counts() -> None:
    assert (kind_of(threshold=3, ratio=None), kind_of(new_pattern=True), kind_of(ratio=None)) == (
        "threshold",
        "new_pattern",
        None,
    )
    with pytest.raises(WrongUsage, match="--threshold and --new-pattern are two kinds of rule"):
        kind_of(threshold=1, ratio=None, new_pattern=True)
    assert (counts("--raise", ["p1=1000", "P2=50"]), counts("--raise", [])) == ({"P1": 1000, "P2": 50}, None)
    for wrong in ("P1", "P1=many"):
        with pytest.raises(WrongUsage, match=f"--raise '{wrong}': expected a priority and a count"):
            counts("--raise", [wrong])
