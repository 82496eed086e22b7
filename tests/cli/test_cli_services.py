"""tocsin services: what it prints, and how it ends."""

import io
import itertools
import json
import sys

import pytest

numbers = itertools.count(1)


@pytest.fixture
def name(at_server):
    """A service of this test alone, removed after it."""
    made = f"service-{next(numbers)}"
    yield made
    at_server("services", "remove", made)


def test_without_services_it_is_said_how_to_declare_one(at_server):
    assert "tocsin services save NAME" in at_server("services", "list").out


def test_a_service_is_saved_shown_and_listed(at_server, name):
    said = at_server("services", "save", name, "--team", "pay", "--tier", "1", "--depends-on", "postgres, ledger").out
    assert said == f"Service {name} depends on ledger, postgres.\n"
    page = at_server("services", "show", name.upper()).out
    for line in ("team          pay", "depends on    ledger, postgres", "open tickets  0"):
        assert line in page
    [row] = [line for line in at_server("services", "list", "--depends-on", "Ledger").out.splitlines() if name in line]
    assert row.split() == [name, "pay", "1", "ledger,", "postgres"]


def test_what_is_shown_can_be_saved_again(at_server, name, monkeypatch):
    at_server("services", "save", name, "-d", "first", "--depends-on", "a")
    shown = at_server("services", "show", name, "--json").out
    monkeypatch.setattr(sys, "stdin", io.StringIO(shown))
    at_server("services", "save", name, "--file", "-", "--tier", "2")
    after = json.loads(at_server("services", "show", name, "--json").out)
    assert (after["description"], after["depends_on"], after["tier"]) == ("first", ["a"], 2)


def test_the_tree_shows_both_directions(at_server, name):
    at_server("services", "save", name, "--depends-on", "db/main")
    at_server("services", "save", "db/main", "--depends-on", "disk", "--tier", "1", "--team", "dba")
    assert at_server("services", "tree", "db/main").out.splitlines() == [
        "db/main depends on:",
        "  disk (not declared)",
        "db/main is needed by:",
        f"  {name}",
    ]
    assert at_server("services", "tree", name).out.splitlines() == [
        f"{name} depends on:",
        "  db/main (tier 1, dba)",
        "    disk (not declared)",
        f"{name} is needed by nothing that is declared.",
    ]
    assert at_server("services", "remove", "db/main").out == "Service db/main is no longer declared.\n"


def test_a_ring_is_refused_in_one_line(at_server, name):
    at_server("services", "save", name, "--depends-on", "x")
    result = at_server("services", "save", "x", "--depends-on", name)
    assert (result.code, f"makes a ring: x → {name} → x" in result.err) == (4, True)


def test_one_service_that_is_not_there_does_not_stop_the_others(at_server, name):
    at_server("services", "save", name)
    result = at_server("services", "remove", "nothing-there", name)
    assert (result.code, "There is no service nothing-there." in result.err) == (4, True)
    assert at_server("services", "show", name).code == 4


def test_a_ticket_shows_who_looks_after_its_service(at_server, name):
    at_server("services", "save", name, "--team", "pay", "--tier", "1", "--runbook", "https://wiki.example.org/pay")
    at_server("send", "x", "--level", "CRITICAL", "--service", name)
    [ticket] = json.loads(at_server("tickets", "list", "--service", name, "--json").out)["items"]
    page = at_server("tickets", "show", str(ticket["id"])).out
    assert f"{name} (tier 1, team pay)" in page
    assert "https://wiki.example.org/pay" in page


def test_a_tickets_page_says_what_was_gathered_in_it_and_what_was_noticed_before(at_server, name):
    at_server("services", "save", name, "--depends-on", f"{name}-db")
    for message, service in (("slow", name), ("gone", f"{name}-db"), ("down", name)):
        at_server("send", message, "--level", "CRITICAL", "--service", service)
    cause, effect = (
        json.loads(at_server("tickets", "list", "--service", service, "--json").out)["items"][0]["id"]
        for service in (f"{name}-db", name)
    )
    page = at_server("tickets", "show", str(cause)).out
    assert f"of {name}-db ({name} → {name}-db)" in page
    assert f"probably the cause of ticket {effect}: {name} depends on it" in page
    page = at_server("tickets", "show", str(effect)).out
    assert f"probably caused by ticket {cause}: {name}-db began to fail shortly after" in page
