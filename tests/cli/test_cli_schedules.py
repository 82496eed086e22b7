"""tocsin users, teams, schedules, oncall: what they print."""

import re


def test_people_and_schedules_are_worked_with_at_a_terminal(at_server):
    assert "tocsin users save NAME" in at_server("users", "list").out
    assert "tocsin schedules save NAME" in at_server("oncall").out
    for name in ("ana", "rui", "eva"):
        said = at_server("users", "save", name, "--zone", "Europe/Lisbon").out
        assert said == f"User {name} (version 1): {name}, Europe/Lisbon\n"
    assert "is away from" in at_server("users", "away", "rui", "--from", "2h", "--until", "4d", "--note", "ill").out
    at_server("users", "save", "rui", "--shown-as", "Rui Reis")
    page = at_server("users", "show", "rui").out
    assert "ill" in page
    assert "none: nobody reaches them" in page
    added = at_server("users", "methods", "add", "ana", "email", "ana@example.org").out
    [number] = re.findall(r"verify ana (\d+) CODE", added)
    assert at_server("users", "methods", "verify", "ana", number, "no").code == 4
    assert "(verified)" in at_server("users", "methods", "verify", "ana", number, "--by-hand").out
    assert at_server("teams", "save", "shop", "-m", "ana,rui").out == "Team shop (version 1): ana, rui\n"

    layer = ("--users", "ana,rui+eva", "--every", "2w", "--start", "2026-11-23T09:00", "--zone", "Europe/Lisbon")
    assert "rui, eva" in at_server("schedules", "preview", *layer, "--until", "40d").out
    saved = at_server("schedules", "save", "payments", *layer).out
    assert saved == (
        "Schedule payments (version 1, Europe/Lisbon): main: ana, rui + eva, weekly x 2 from 2026-11-23T09:00:00\n"
    )
    assert at_server("schedules", "save", "payments", "--users", "zoe").code == 4
    assert at_server("schedules", "save", "payments", "--users", "ana", "--every", "never").code == 2
    assert "payments" in at_server("oncall", "payments", "--at", "2026-11-24T02:00").out

    override = at_server(
        "schedules", "override", "payments", "--from", "1h", "--until", "2h", "--add", "eva", "-r", "help"
    )
    assert "eva as well (help)" in override.out
    assert "1: " in at_server("schedules", "show", "payments").out
    assert "override" in at_server("schedules", "shifts", "payments").out
    assert "ana" in at_server("schedules", "load", "payments", "--until", "30d").out
    assert at_server("schedules", "problems", "payments").code == 0
    feast = at_server("schedules", "temporary", "payments", "--from", "3d", "--until", "4d", "--shift", "ana=3d/4d")
    assert "temporary schedule of 1 shifts" in feast.out
    assert "Ended: override 1" in at_server("schedules", "end-override", "payments", "1").out
    assert "/schedules/payments/calendar.ics?token=" in at_server("schedules", "calendar", "payments").out
    assert at_server("schedules", "swap", "payments", "--give", "ana", "--take", "rui").code == 2
    kept = at_server("users", "remove", "eva")
    assert (kept.code, "schedule payments names it" in kept.err, "--force" in kept.err) == (4, True, True)
    gone = at_server("users", "remove", "eva", "--force").out
    assert "These schedules still name them: payments" in gone
    assert "nobody is on call by it" in at_server("schedules", "remove", "payments").out
    assert at_server("teams", "remove", "shop").code == 0
