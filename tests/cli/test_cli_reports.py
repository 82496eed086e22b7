"""tocsin reports: tables with bars, CSV, JSON, and what they say when there is nothing."""

import json

import pytest

ROWS = """\
external_id,title,priority,service,team,opened_at,acknowledged_at,resolved_at,met
A-1,Mail is down,P1,mail,net,2026-03-02T10:00:00Z,2026-03-02T10:05:00Z,2026-03-02T12:00:00Z,true
A-2,Mail is slow,P2,mail,net,2026-03-02T11:00:00Z,,2026-03-02T15:00:00Z,false
A-3,Pay is slow,P2,pay,,2026-03-03T11:00:00Z,,,
"""


def test_nothing_yet(at_server):
    assert "No ticket was opened" in at_server("reports", "tickets").out
    assert at_server("reports", "backlog").out == "Nothing is open.\n"


@pytest.fixture
def some(at_server, tmp_path):
    (tmp_path / "some.csv").write_text(ROWS)
    assert at_server("import-tickets", tmp_path / "some.csv", "--format", "csv").code == 0
    return at_server


def test_a_table_of_groups_with_bars(some):
    out = some("reports", "tickets", "--by", "priority").out
    rows = {line.split()[0]: " ".join(line.split()) for line in out.splitlines() if line.startswith(("P", "all"))}
    assert rows["P1"] == "P1 1 ████████████ 5m 2h 2h 2h 0 0 0 100.0%"
    assert rows["P2"].startswith("P2 2 ████████████████████████ 4h 4h 4h 0 0 0 0.0%")
    assert rows["all"].startswith("all 3 5m 3h 3h")
    assert "Mon 10:00" in some("reports", "tickets", "--by", "hour_of_week").out
    assert "(none)" in some("reports", "tickets", "--by", "team").out
    assert some("sla", "calendars", "save", "office", "--hours", "mon-fri=09:00-11:00").code == 0
    out = some("reports", "tickets", "--by", "priority", "--calendar", "office").out
    row = next(line.split() for line in out.splitlines() if line.startswith("P1"))
    assert (row[3:7], "Times in working time" in out) == (["5m", "1h", "1h", "1h"], True)


def test_attainment_and_the_worst(some):
    out = some("reports", "sla", "--by", "service").out
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.startswith(("mail", "all"))}
    assert rows["mail"][:4] == ["mail", "1", "1", "50.0%"]
    worst = some("reports", "offenders", "--by", "service", "--rank", "time", "service:mail").out
    assert worst.splitlines()[2].split()[:5] == ["mail", "6h", "█" * 24, "100.0%", "100.0%"]
    assert some("reports", "offenders").out == "Nothing of that comes from a rule.\n"


def test_json_csv_and_a_query(some):
    found = json.loads(some("reports", "tickets", "service:mail", "--by", "team", "--json").out)
    assert [(one["key"], one["tickets"]) for one in found["items"]] == [("net", 2)]
    lines = some("reports", "tickets", "--by", "service", "--csv").out.splitlines()
    assert [line.split(",")[:2] for line in lines] == [["key", "tickets"], ["mail", "2"], ["pay", "1"]]
    assert some("reports", "tickets", "--csv", "--json").code == 2


def test_the_backlog_and_a_forecast(some):
    row = next(line.split() for line in some("reports", "backlog").out.splitlines() if line.startswith("P2"))
    assert (row[:2], row[3:10]) == (["P2", "1"], ["0", "0", "0", "0", "0", "0", "1"])
    ticket = json.loads(some("tickets", "open", "It is slow", "--json").out)["id"]
    assert "nothing can be said" in some("reports", "forecast", ticket).out
    assert some("reports", "forecast", 9999).code == 4
    assert some("reports", "forecast").out.startswith("No open ticket has a resolve target that runs")
    assert some("sla", "policies", "save", "all", "--resolve", "8h").code == 0
    ticket = json.loads(some("tickets", "open", "Slow again", "--json").out)["id"]
    row = some("reports", "forecast").out.splitlines()[2].split()
    assert (row[:2], row[-4:]) == ([str(ticket), "P3"], ["too", "few", "Slow", "again"])
