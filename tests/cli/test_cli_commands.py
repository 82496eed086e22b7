"""send, logs, alerts, tickets: what they print, and how they end."""

import io
import itertools
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from running import RunningServer, environment

from tocsin import __version__
from tocsin.cli.output import duration, printable
from tocsin.cli.ticket_page import told

numbers = itertools.count(1)


@pytest.fixture
def service() -> str:
    """A service of this test alone."""
    return f"shop{next(numbers)}"


@pytest.fixture
def ticket(at_server, service) -> int:
    """An OPEN ticket of this test's service."""
    at_server("send", "database connection lost", "--level", "CRITICAL", "--service", service)
    [found] = json.loads(at_server("tickets", "list", f"service:{service} status:OPEN", "--json").out)["items"]
    return int(found["id"])


def test_a_sent_record_is_told_by_its_id_and_a_critical_one_by_its_ticket(at_server, service):
    assert at_server("send", "hello", "--service", service).out.startswith("Stored as record ")
    said = at_server("send", "out of disk", "--level", "fatal", "--service", service, "--attr", "disk=sda").out
    assert f"(OPEN, P2): {service}: out of disk" in said
    again = at_server("send", "out of disk", "--level", "CRITICAL", "--service", service).out
    assert "2 records so far" in again
    assert said.splitlines()[1].split("(")[0] == again.splitlines()[1].split("(")[0]


def test_a_record_of_any_level_is_told_by_the_ticket_that_a_rule_brought_it_to(at_server, service):
    at_server("rules", "save", f"any-{service}", f"service:{service} lukewarm", "-p", "P4")
    said = at_server("send", "lukewarm coffee", "--level", "INFO", "--service", service).out
    assert f"(OPEN, P4): {service}: lukewarm coffee" in said
    both = at_server("send", "lukewarm alarm", "--level", "CRITICAL", "--service", service).out
    assert "(OPEN, P2)" in both
    assert "and 1 more: tocsin explain " in both
    at_server("rules", "remove", f"any-{service}")


def test_send_reads_the_message_from_standard_input(at_server, service, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("from a pipe\n"))
    stored = json.loads(at_server("send", "-", "--service", service, "--json").out)
    assert (stored["message"], stored["service"]) == ("from a pipe", service)


def test_send_refuses_an_attribute_without_a_value_as_wrong_usage(at_server):
    result = at_server("send", "x", "--attr", "novalue")
    assert (result.code, result.err) == (2, "tocsin: --attr 'novalue' is not KEY=VALUE\n")


def test_logs_are_listed_with_the_newest_last(at_server, service):
    for message in ("first", "second", "third"):
        at_server("send", message, "--service", service, "--attr", f"step={message}")
    lines = at_server("logs", "--service", service, "--since", "1h", "--limit", "2").out.splitlines()
    assert ["second" in lines[0], "third" in lines[1], len(lines)] == [True, True, 2]
    assert "step=third" in lines[1]


def test_a_further_page_of_logs_is_reached_by_the_cursor_that_is_named(at_server, service):
    for message in ("first", "second"):
        at_server("send", message, "--service", service)
    said = at_server("logs", "--service", service, "--limit", "1").err
    assert said.startswith("More follow: --cursor ")
    assert "first" in at_server("logs", "--service", service, "--cursor", said.split()[-1]).out


def test_what_a_log_says_cannot_steer_the_terminal(at_server, service):
    at_server("send", "red \x1b[31malarm\x1b]0;title\x07 \u202etxt.exe", "--service", service)
    out = at_server("logs", "--service", service).out
    assert "red \\x1b[31malarm\\x1b]0;title\\x07 \\u202etxt.exe" in out


def test_one_record_is_shown_with_all_its_fields_in_utc_if_asked(at_server, service):
    stored = json.loads(at_server("send", "two\nlines", "--service", service, "--attr", "a=b", "--json").out)
    out = at_server("logs", "show", stored["id"], "--utc").out
    assert f"service  {service}" in out
    assert "message  two\n         lines" in out
    assert "@a       b" in out
    assert stored["timestamp"][11:19] + "." in out
    assert json.loads(at_server("logs", "show", stored["id"], "--json").out) == stored


def test_lists_without_a_match_say_so_in_a_sentence(at_server):
    assert at_server("logs", "--service", "nobody").out == "No record matches.\n"
    assert at_server("alerts", "list", "--service", "nobody").out == "No alert matches.\n"
    assert at_server("tickets", "list", "--service", "nobody").out == "No ticket matches.\n"


def test_alerts_are_listed_and_shown(at_server, service, ticket):
    out = at_server("alerts", "list", "--service", service, "--status", "firing").out
    assert f"{service}: database connection lost" in out
    alert = json.loads(at_server("alerts", "list", "--service", service, "--json").out)["items"][0]
    shown = at_server("alerts", "show", alert["id"]).out
    assert f"ticket       {ticket}" in shown
    assert "records      1" in shown
    assert f"{service}: database" in at_server("alerts", "list", "--ticket", ticket, "--rule", "critical-logs").out
    assert at_server("alerts", "list", "--suppressed-by", "storm:99").out == "No alert matches.\n"


def test_a_ticket_list_shows_id_priority_status_age_assignee_service_and_title(at_server, service, ticket):
    header, _, row = at_server("tickets", "list", "--service", service, "--sort", "priority").out.splitlines()
    assert header.split() == ["ID", "Prio", "Status", "Age", "Assignee", "Service", "Title"]
    assert row.split()[:3] == [str(ticket), "P2", "OPEN"]
    assert row.rstrip().endswith(f"{service}: database connection lost")


def test_json_is_what_the_api_says_unchanged(at_server, server, service, ticket):
    status, _ = server.ask("GET", f"/tickets/{ticket}")
    with_http = server.connect()
    with_http.request("GET", f"/tickets/{ticket}")
    body = with_http.getresponse().read().decode()
    with_http.close()
    assert status == 200
    assert at_server("tickets", "show", ticket, "--json").out == body + "\n"


def test_ack_takes_a_ticket_up_in_the_login_name_or_another(at_server, ticket):
    assert "(IN_PROGRESS, P2, ana)" in at_server("tickets", "ack", ticket).out
    refused = at_server("tickets", "ack", ticket, "--assignee", "rui")
    assert refused.code == 4
    assert "can't move from IN_PROGRESS to IN_PROGRESS; allowed: RESOLVED" in refused.err


def test_resolve_on_an_open_ticket_walks_both_moves(at_server, ticket):
    assert "(RESOLVED, P2, ana)" in at_server("tickets", "resolve", ticket).out
    shown = at_server("tickets", "show", ticket).out
    assert shown.index("OPEN → IN_PROGRESS") < shown.index("IN_PROGRESS → RESOLVED")
    assert "opened at P2 by alert" in shown


def test_resolve_leaves_the_assignee_that_is_there(at_server, ticket):
    at_server("tickets", "ack", ticket, "--assignee", "rui")
    assert "(RESOLVED, P2, rui)" in at_server("tickets", "resolve", ticket).out


def test_a_ticket_is_closed_only_once_it_is_resolved(at_server, ticket):
    assert at_server("tickets", "close", ticket).code == 4
    at_server("tickets", "resolve", ticket)
    assert "(CLOSED" in at_server("tickets", "close", ticket).out
    assert "next moves    none: it is final" in at_server("tickets", "show", ticket).out


def test_a_ticket_is_reopened_with_a_reason(at_server, ticket):
    at_server("tickets", "resolve", ticket)
    assert "(IN_PROGRESS, P2, ana)" in at_server("tickets", "reopen", ticket, "--reason", "It is back.").out
    shown = at_server("tickets", "show", ticket).out
    assert "reopened, RESOLVED → IN_PROGRESS: It is back." in shown
    assert "reopened      once" in shown


def test_a_priority_is_changed_by_number_or_name(at_server, ticket):
    assert "(OPEN, P1)" in at_server("tickets", "priority", ticket, "P1").out
    assert "(OPEN, P4)" in at_server("tickets", "priority", ticket, "low").out
    assert "priority P2 → P1" in at_server("tickets", "show", ticket).out


def test_a_ticket_is_opened_by_hand(at_server, service):
    out = at_server("tickets", "open", "Checkout is blank", "-p", "HIGH", "-s", service, "-a", "rui").out
    assert out.endswith("(OPEN, P2, rui): Checkout is blank\n")


def test_one_ticket_that_is_refused_does_not_stop_the_others(at_server, ticket):
    result = at_server("tickets", "ack", ticket, 999_999)
    assert (result.code, result.err) == (4, "tocsin: ticket 999999: There is no ticket 999999.\n")
    assert f"Ticket {ticket} (IN_PROGRESS" in result.out
    resolved = at_server("tickets", "resolve", 999_999, ticket, "--json")
    assert [entry["id"] for entry in json.loads(resolved.out)] == [ticket]


def test_a_problem_is_one_line_and_each_of_its_errors_another(at_server):
    result = at_server("tickets", "open", " ", "--priority", "P9")
    assert result.code == 4
    assert result.out == ""
    assert "/title" in result.err
    assert "/priority" in result.err
    assert "Traceback" not in result.err


def test_a_server_that_is_not_there_ends_in_exit_code_3(tocsin):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        result = tocsin("tickets", "list", "--url", url)
    assert (result.code, result.err) == (3, f"tocsin: No answer from {url}: Connection refused.\n")


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://localhost", "http://", "http://[::1"])
def test_a_url_that_is_none_is_wrong_usage(tocsin, url):
    result = tocsin("tickets", "list", "--url", url)
    assert result.code == 2
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize("args", [["nope"], ["--nope"], ["tickets"], ["tickets", "ack"], ["tickets", "show", "x"]])
def test_wrong_usage_is_one_line_that_names_the_help(tocsin, args):
    result = tocsin(*args)
    assert result.code == 2
    assert result.err.endswith("--help)\n")
    assert len(result.err.splitlines()) == 1


def test_the_version_is_printed(tocsin):
    assert tocsin("--version").out == f"tocsin {__version__}\n"


@pytest.mark.parametrize(
    "args",
    [
        ["serve"], ["migrate"], ["backup"], ["restore"], ["send"], ["logs"], ["logs", "show"], ["alerts", "list"],
        ["alerts", "show"], ["tickets"], *(["tickets", name] for name in
        ("list", "show", "open", "ack", "resolve", "close", "reopen", "priority")),
        ["rules"], *(["rules", name] for name in ("list", "show", "save", "enable", "disable", "remove", "versions",
        "rehearsals")),
    ],
)  # fmt: skip
def test_every_help_has_an_example(tocsin, args):
    out = tocsin(*args, "--help").out
    assert "Example" in out
    assert f" tocsin {' '.join(args[:1])}" in out


@pytest.mark.parametrize("args", [["--help"], ["tickets", "list"], ["rules", "list"], ["logs"], ["send", "x"]])
def test_light_commands_load_nothing_of_the_server(server: RunningServer, args, tmp_path: Path):
    heavy = "{'fastapi', 'sqlalchemy', 'uvicorn', 'alembic'}"
    code = f"import sys\nfrom tocsin.cli.app import run\nrun({args!r})\nprint(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(TOCSIN_URL=server.url), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_key_comes_from_a_file_and_a_file_that_is_missing_is_named(at_server, tmp_path):
    missing = at_server("tickets", "list", "--key-file", tmp_path / "none")
    assert (missing.code, missing.err) == (1, f"tocsin: {tmp_path / 'none'}: No such file or directory\n")
    (tmp_path / "key").write_text("wrong-key\n")
    refused = at_server("tickets", "list", "--key-file", tmp_path / "key")
    assert refused.code == 4
    assert "No key exists on this server" in refused.err


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-1, "0s"), (0, "0s"), (59.9, "59s"), (60, "1m"), (7500, "2h 5m"), (3600 * 24 * 4 + 60, "4d"), (90_000, "1d 1h")],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds, shown):
    assert duration(seconds) == shown


def test_an_event_of_a_kind_unknown_here_is_named_as_it_is():
    assert told("TicketPolished", {"a": 1}) == "TicketPolished"
    assert told("TicketEdited", {"before": {"assignee": None}, "after": {"assignee": "ana"}}) == "assignee nobody → ana"


def test_newlines_are_kept_only_where_they_are_wanted():
    assert printable("a\nb") == "a\\nb"
    assert printable("a\nb\r", keep_newlines=True) == "a\nb\\r"
