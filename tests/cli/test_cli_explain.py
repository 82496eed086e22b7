"""tocsin explain: from a record and from an alert."""

import json

import pytest


@pytest.fixture(scope="module")
def sent(server):
    """The ids of two records: one that opens a ticket, one that doesn't."""
    bad = {"level": "CRITICAL", "service": "till", "message": "drawer \x1b[2Jstuck 7 times"}
    return [server.ask("POST", "/logs", record)[1]["id"] for record in (bad, {**bad, "level": "INFO"})]


def test_a_record_is_explained_rule_by_rule(at_server, sent):
    page = at_server("explain", sent[0], "--utc").out
    assert page.startswith("critical-logs: opened alert 1, ticket 1 (OPEN) (1 rule was in force when it came in).\n")
    lines = [" ".join(line.split()) for line in page.splitlines()]
    assert "Rule critical-logs (version 1): matched" in lines
    assert "why It opened alert 1." in lines
    assert f"alert 1 (firing, record {sent[0]})" in lines
    assert "\x1b" not in page


def test_a_record_that_no_rule_reached_says_what_was_missing(at_server, sent):
    page = at_server("explain", sent[1]).out
    assert page.startswith("No rule reached this record: 1 rule was in force when it came in, and none matched.\n")
    assert "It needs level:CRITICAL, but level is INFO." in page


def test_an_alert_is_explained_back_to_its_first_record(at_server, sent):
    page = at_server("explain", "--alert", "1").out
    assert page.startswith(f"Record {sent[0]} opened it by rule critical-logs (version 1); 1 record in all; ticket 1 ")
    assert f"with record {sent[0]}" in page


def test_a_ticket_is_explained_back_to_its_first_record(at_server, sent):
    page = at_server("explain", "--ticket", "1").out
    assert page.startswith(
        f"Record {sent[0]} opened it by rule critical-logs (version 1); 1 alert is on it; it is OPEN."
    )
    assert "No ticket had its correlation key, so a new one opened." in page


def test_json_is_that_of_the_api(at_server, server, sent):
    assert json.loads(at_server("explain", sent[0], "--json").out) == server.ask("GET", f"/logs/{sent[0]}/explain")[1]


@pytest.mark.parametrize(("args", "code"), [((), 2), (("1", "--alert", "1"), 2), (("999",), 4)])
def test_wrong_usage_and_what_is_not_there_are_told_in_one_line(at_server, args, code):
    result = at_server("explain", *args)
    assert (result.code, result.err.count("\n")) == (code, 1)
