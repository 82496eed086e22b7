"""tocsin sla, tocsin tickets hold and resume: what they print, and how they end."""

import io
import json
import sys

import pytest

from desk import wait_until


@pytest.fixture
def office(at_server):
    """A calendar and a policy of this test alone."""
    at_server("sla", "calendars", "save", "office", "-z", "Europe/Lisbon", "--hours", "mon-fri=09-13,14:00-18:00",
              "--holidays", "PT", "--day", "2026-12-24=09:00-13:00", "--day", "2026-12-31=off")  # fmt: skip
    at_server("sla", "policies", "save", "gold", "-s", "gold", "--ack", "15m", "--resolve", "8h")
    yield
    at_server("sla", "policies", "remove", "gold")
    at_server("sla", "calendars", "remove", "office")


def words_of(result):
    return " ".join(result.out.split())


def test_empty_lists_say_what_to_do_next(at_server):
    assert "tocsin sla calendars save" in at_server("sla", "calendars", "list").out
    assert "tocsin sla policies save" in at_server("sla", "policies", "list").out


def test_a_calendar_is_saved_shown_and_listed(at_server, office):
    page = words_of(at_server("sla", "calendars", "show", "office"))
    for line in ("mon 09:00-13:00, 14:00-18:00", "sun -", "holidays PT", "2026-12-31 off"):
        assert line in page
    row = at_server("sla", "calendars", "list").out.splitlines()[-1]
    assert row.split()[:4] == ["office", "Europe/Lisbon", "PT", "mon-fri"]


def test_what_is_shown_can_be_saved_again(at_server, office, monkeypatch):
    for what, name in (("calendars", "office"), ("policies", "gold")):
        shown = at_server("sla", what, "show", name, "--json").out
        monkeypatch.setattr(sys, "stdin", io.StringIO(shown))
        again = at_server("sla", what, "save", name, "--file", "-", "--json").out
        assert json.loads(again)["version"] == json.loads(shown)["version"]


def test_a_policy_is_saved_shown_and_listed(at_server, office):
    said = at_server("sla", "policies", "save", "gold", "-s", "gold", "-p", "P1,P2", "--resolve", "2h", "-c", "office")
    assert said.out.endswith("acknowledge -, resolve 2h, about P1, P2; service gold\n")
    page = words_of(at_server("sla", "policies", "show", "gold"))
    assert "reckoned by office" in page
    assert "at risk from 0.75 of a target on" in page
    assert "gold" in at_server("sla", "policies", "list").out
    in_use = at_server("sla", "calendars", "remove", "office")
    assert (in_use.code, "the policy gold" in in_use.err) == (4, True)


def test_a_calendar_is_tried_before_it_is_used(at_server, office):
    due = at_server("sla", "try", "-c", "office", "--start", "2026-12-23T17:30Z", "--target", "2h", "--utc")
    assert due.out.splitlines()[0] == "Due 2026-12-24 10:30:00Z"
    paused = at_server("sla", "try", "-c", "office", "--start", "2026-12-23T17:30Z", "--target", "2h", "--utc",
                       "--pause", "2026-12-24T09:00Z/2026-12-24T10:00Z")  # fmt: skip
    assert paused.out.splitlines()[0] == "Due 2026-12-24 11:30:00Z"
    span = at_server("sla", "try", "--hours", "fri-mon=00:00-24:00", "--start", "2026-11-27T00:00Z", "--end",
                     "2026-12-04T00:00Z")  # fmt: skip
    assert span.out.splitlines()[0] == "4d of working time (345600 s)"
    assert at_server("sla", "try", "--hours", "mon=09:00-17:00", "--target", "1h", "--json").code == 0


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--hours", "monday=09:00-17:00", "--target", "1h"], 2, "mon-fri=09:00-17:00"),
        (["--hours", "mon=09:00", "--target", "1h"], 2, "expected spans"),
        (["--hours", "mon=09:00-17:00", "--target", "soon"], 2, "15m, 4h"),
        (["--hours", "mon=09:00-17:00", "--day", "2026-12-24", "--target", "1h"], 2, "2026-12-24=off"),
        (["--hours", "mon=09:00-25:00", "--target", "1h"], 4, "no time of day"),
        (["--hours", "mon=09:00-17:00"], 4, "target_s or end"),
    ],
)
def test_what_is_wrong_with_a_trial_is_said(at_server, options, code, words):
    tried = at_server("sla", "try", *options)
    assert tried.code == code
    assert words in tried.err


def test_a_running_server_tells_of_a_breach_by_itself(at_server, office):
    at_server("sla", "policies", "save", "quick", "-s", "quick", "--ack", "1")
    ticket = json.loads(at_server("tickets", "open", "It is slow", "-s", "quick", "--json").out)["id"]
    wait_until(lambda: "the clock to acknowledge ran out" in at_server("tickets", "show", ticket).out)
    assert "breached" in at_server("tickets", "list", "sla:breached").out
    at_server("sla", "policies", "remove", "quick")


def test_tickets_show_their_clocks_and_are_held_and_resumed(at_server, office):
    ticket = json.loads(at_server("tickets", "open", "It is slow", "-s", "gold", "--json").out)["id"]
    listed = at_server("tickets", "list", "-s", "gold").out
    assert "on_track 14m" in listed
    held = at_server("tickets", "hold", ticket, "-r", "the vendor", "--until", "2d").out
    assert held.startswith(f"Ticket {ticket} (OPEN, P3, on hold): ")
    page = words_of(at_server("tickets", "show", ticket))
    for words in ("SLA policy gold (version ", "to resolve paused (due ", ": the vendor", "SLA policy gold"):
        assert words in page
    assert "on hold" not in at_server("tickets", "resume", ticket).out
    again = at_server("tickets", "resume", ticket)
    assert (again.code, "not on hold" in again.err) == (4, True)
    assert at_server("tickets", "recalculate", ticket, "-r", "to see").code == 0
    assert "reckoned anew: to see" in at_server("tickets", "show", ticket).out
    past = at_server("tickets", "hold", ticket, "-r", "x", "--until", "2020-01-01T00:00:00Z")
    assert (past.code, "a time to come" in past.err) == (4, True)
