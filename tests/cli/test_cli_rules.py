"""tocsin rules: what it prints, and how it ends."""

import io
import itertools
import json
import sys

import pytest

numbers = itertools.count(1)


@pytest.fixture
def name(at_server):
    """A rule of this test alone, removed after it."""
    made = f"rule-{next(numbers)}"
    yield made
    at_server("rules", "remove", made)


def shown(at_server, name):
    return json.loads(at_server("rules", "show", name, "--json").out)


def test_a_rule_is_saved_shown_and_listed(at_server, name):
    said = at_server(
        "rules", "save", name, "service:nowhere level:>=ERROR", "-p", "P1", "--threshold", "20", "--window", "300",
        "--group-by", "service,@host", "--runbook", "https://wiki.example.org/x", "--label", "team=pay", "--dry-run",
    ).out  # fmt: skip
    assert said == f"Rule {name} (version 1, dry run, 20 in 5m, P1): service:nowhere level:>=ERROR\n"
    page = at_server("rules", "show", name).out
    for line in ("one alert per   service, @host", "one ticket per  alert", "labels          team=pay"):
        assert line in page
    [row] = [line for line in at_server("rules", "list").out.splitlines() if line.startswith(f"{name} ")]
    assert row.split() == [name, "dry", "run", "P1", "20", "in", "5m", "service:nowhere", "level:>=ERROR"]


def test_a_rule_about_new_patterns_says_how_long_it_learns(at_server, name):
    said = at_server("rules", "save", name, "service:nowhere", "--new-pattern", "--learn", "3600").out
    assert said == f"Rule {name} (version 1, on, new pattern, P3): service:nowhere\n"
    assert "learns for      1h" in at_server("rules", "show", name).out
    at_server("rules", "save", name, "service:nowhere", "--new-pattern")
    assert "learns for      1d" in at_server("rules", "show", name).out


def test_what_is_shown_can_be_saved_again(at_server, name, monkeypatch):
    at_server("rules", "save", name, "service:nowhere", "-d", "first")
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(shown(at_server, name))))
    assert "(version 2, on, match, P4)" in at_server("rules", "save", name, "--file", "-", "-p", "low").out
    assert shown(at_server, name)["description"] == "first"


def test_rules_are_switched_off_and_on_and_their_versions_are_told(at_server, name):
    at_server("rules", "save", name, "service:nowhere")
    assert "(version 2, off, match, P3)" in at_server("rules", "disable", name).out
    assert "(version 3, dry run, match, P3)" in at_server("rules", "enable", name, "--dry-run").out
    told = [line.split(maxsplit=4)[-1].strip() for line in at_server("rules", "versions", name).out.splitlines()[2:]]
    assert told == ["enabled: true, dry_run: true", "enabled: false", "service:nowhere"]


def test_what_a_dry_run_would_have_opened_is_listed(at_server, name):
    at_server("rules", "save", name, f"service:{name}", "--dry-run")
    assert at_server("rules", "rehearsals", name).out == "It would have opened nothing so far.\n"
    log_id = json.loads(at_server("send", "x", "--service", name, "--json").out)["id"]
    [row] = at_server("rules", "rehearsals", name).out.splitlines()[2:]
    assert row.split()[2:4] == ["1", str(log_id)]


def test_a_share_is_said_and_shown(at_server, name):
    at_server(
        "rules",
        "save",
        name,
        "level:ERROR",
        "--ratio",
        "0.05",
        "--of",
        "service:x",
        "--minimum",
        "50",
        "--window",
        "300",
    )
    page = at_server("rules", "show", name).out
    assert "kind            0.05 in 5m" in page
    assert "share of        service:x, at least 50" in page


def test_rules_that_wait_are_said_and_shown(at_server, name):
    said = at_server("rules", "save", name, "service:nowhere", "--absence", "300").out
    assert said == f"Rule {name} (version 1, on, none in 5m, P3): service:nowhere\n"
    assert (shown(at_server, name)["window_s"], shown(at_server, name)["group_by"]) == (300, [])
    assert "(version 2, on, match for 10m, P3)" in at_server("rules", "save", name, "x", "--for", "600").out
    both = at_server("rules", "save", name, "x", "--absence", "300", "--threshold", "5")
    assert (both.code, "--threshold and --absence are two kinds of rule" in both.err) == (2, True)
    refused = at_server("rules", "save", name, "x", "--absence", "300", "--for", "5")
    assert (refused.code, "for_s: is not for rules of kind absence" in refused.err) == (4, True)


def test_a_wrong_rule_is_refused_with_the_place(at_server):
    result = at_server("rules", "save", "wrong", "servce:x")
    assert result.code == 4
    assert "condition: column 1: there is no field 'servce': did you mean service?" in result.err


def test_one_rule_that_is_not_there_does_not_stop_the_others(at_server, name):
    at_server("rules", "save", name, "service:nowhere")
    result = at_server("rules", "disable", "nothing-there", name)
    assert (result.code, "There is no rule nothing-there." in result.err) == (4, True)
    assert shown(at_server, name)["enabled"] is False


@pytest.mark.parametrize("args", [("--label", "novalue"), ("--file", "-")])
def test_wrong_usage_is_told_in_one_line(at_server, args, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("no JSON"))
    result = at_server("rules", "save", "x", "y", *args)
    assert (result.code, result.err.count("\n")) == (2, 1)
