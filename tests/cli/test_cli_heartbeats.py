"""tocsin heartbeats: what it prints, and how it ends."""

import json


def test_there_is_a_first_step_when_there_are_none(at_server):
    assert at_server("heartbeats", "list").out.startswith("No heartbeats. tocsin heartbeats save nightly-backup ")


def test_a_heartbeat_is_saved_pinged_shown_listed_and_removed(at_server):
    page = at_server("heartbeats", "save", "backup", "--interval", "600", "-p", "P2", "-d", "Nightly.").out
    for line in ("status         waiting", "every          10m", "grace          1h", "last check-in  never"):
        assert line in page
    said = at_server("heartbeats", "ping", "backup", "-m", "12 GB").out
    assert said.startswith("backup checked in (log ")
    page = at_server("heartbeats", "show", "backup").out
    assert "status         up" in page
    assert "rule           heartbeat-backup (version 1)" in page
    [row] = [line for line in at_server("heartbeats", "list").out.splitlines() if line.startswith("backup ")]
    assert row.split()[:4] == ["backup", "up", "10m", "1h"]
    assert json.loads(at_server("heartbeats", "show", "backup", "--json").out)["status"] == "up"
    [row] = [line for line in at_server("rules", "list").out.splitlines() if line.startswith("heartbeat-backup ")]
    assert "none in 1h 10m" in row
    assert (
        "resolves after  at once, when there is something again" in at_server("rules", "show", "heartbeat-backup").out
    )
    assert at_server("heartbeats", "remove", "backup").out == "Heartbeat backup is no longer watched.\n"
    gone = at_server("heartbeats", "show", "backup")
    assert (gone.code, gone.err) == (4, "tocsin: There is no heartbeat backup.\n")
