"""tocsin rules test: a rule is tried before it is saved, and the page says what it would have led to."""

import json

from tocsin.cli.backtest import bars


def posted(at_server, service, *messages):
    for message in messages:
        at_server("send", message, "--level", "ERROR", "--service", service)


def test_a_condition_is_tried(at_server):
    posted(at_server, "tried-1", "request 1 failed", "request 2 failed", "disk is full")
    page = at_server("rules", "test", "service:tried-1 level:ERROR", "--utc").out
    for line in (
        "rule       draft (not saved)",
        "condition  service:tried-1 level:ERROR",
        "records    3 match",
        "alerts     2, 2 going on",
        "pages      2",
        "Pages by hour of the day (UTC)",
    ):
        assert line in page
    [row] = [line for line in page.splitlines() if line.startswith("request <*> failed")]
    assert row.split() == ["request", "<*>", "failed", "tried-1", "2", "1", "1"]


def test_a_saved_rule_is_tried_with_changes(at_server):
    at_server("rules", "save", "tried-2", "service:tried-2 level:ERROR")
    try:
        posted(at_server, "tried-2", "request 1 failed", "disk is full")
        same = json.loads(at_server("rules", "test", "tried-2", "--json").out)
        assert (same["version"], same["really"]["kept"], same["really"]["gone"]) == (1, 2, 0)
        page = at_server("rules", "test", "tried-2", "--threshold", "2", "--window", "60").out
        assert "rule       tried-2 (version 1 with another kind, threshold, window_s)" in page
        assert "records    2 match, 2 pending" in page
        assert "Pending at the end (2)" in page
        assert "Gone (2)" in page
        assert "really     2 alerts, 2 tickets, 2 pages" in page
    finally:
        at_server("rules", "remove", "tried-2")


def test_what_silences_hid_is_shown_and_may_be_heard(at_server):
    at_server("silences", "create", "service:tried-3", "--for", "1h", "--reason", "we know")
    posted(at_server, "tried-3", "disk is full")
    page = at_server("rules", "test", "service:tried-3 level:ERROR").out
    assert "pages      0 (1 without silences)" in page
    assert "Hidden by" in page
    assert "Note: Records are grouped by their masked messages" in " ".join(page.split())
    heard = at_server("rules", "test", "service:tried-3 level:ERROR", "--no-silences").out
    assert "pages      1\n" in heard


def test_a_name_that_no_rule_has_is_not_taken_for_a_search(at_server):
    refused = at_server("rules", "test", "critical-log")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "There is no rule 'critical-log'; did you mean 'critical-logs'?" in refused.err
    told = json.loads(at_server("rules", "test", '"flibbertigibbet"', "--json").out)
    assert (told["definition"]["condition"], told["records"]["matched"]) == ('"flibbertigibbet"', 0)


def test_all_that_a_rule_may_say_can_be_tried(at_server):
    said = [("--absence", "300"), ("--new-pattern", "--learn", "0"), ("--raise", "P1=9", "--raise", "p2=5")]
    definitions = [
        json.loads(at_server("rules", "test", "service:tried-4", *some, "--json").out)["definition"] for some in said
    ]
    assert (definitions[0]["kind"], definitions[0]["window_s"]) == ("absence", 300)
    assert (definitions[1]["kind"], definitions[1]["learn_s"]) == ("new_pattern", 0)
    assert definitions[2]["raise_at"] == {"P1": 9, "P2": 5}


def test_what_is_wrong_is_told(tocsin, server):
    refused = tocsin("rules", "test", "level:", "--url", server.url)
    assert refused.code == 4
    assert "condition" in refused.err


def test_bars_are_as_long_as_their_share_of_the_highest():
    shown = bars([0] * 22 + [1, 80])
    assert shown[0] == "  00"
    assert shown[22] == "  22  █ 1"
    assert shown[23] == f"  23  {'█' * 40} 80"
