"""tocsin routes, escalations, drill, reports paging: what they print, and what they say when there is nothing."""

import json

import httpx2 as httpx


def test_nothing_yet(at_server):
    assert at_server("routes", "list").out.startswith("No routes: everything goes to the console.")
    assert at_server("escalations", "list").out.startswith("No escalation policies: nobody is called.")
    assert at_server("reports", "paging").out.startswith("Nobody was called in this time.")


def test_from_a_policy_to_a_call_to_its_explanation(at_server, server):
    for name in ("ana", "rui"):
        httpx.put(f"{server.url}/users/{name}", json={"email": f"{name}@example.org"}).raise_for_status()
    saved = at_server(
        "escalations",
        "save",
        "payments",
        "--step",
        "user:ana@5m",
        "--step",
        "user:rui,channel:console",
        "--repeats",
        "1",
    )
    assert saved.out == "Escalation policy payments: user:ana (5m) → user:rui, channel:console (5m)\n"
    assert at_server("escalations", "save", "x", "--step", "ana").code == 4
    saved = at_server("routes", "save", "payments", "service:payments", "--policy", "payments", "-c", "console")
    assert saved.out == "Route payments is tried as number 1: channel console, policy payments.\n"
    assert "service:payments" in at_server("routes", "list").out
    previewed = at_server("routes", "preview", "--service", "payments", "--priority", "P1").out
    assert "payments  yes: about opened, meets service:payments" in previewed
    assert "channel console: step 2 of escalation policy payments, round 1" in previewed
    assert "problem: ana has no verified way to be reached" in previewed
    assert at_server("routes", "preview").code == 2

    opened = json.loads(at_server("tickets", "open", "It is down", "--service", "payments", "--json").out)
    told = at_server("escalations", "explain", opened["id"], "--person", "ana").out
    assert told.startswith(f"ana was called about ticket {opened['id']} once, but no message was taken so far.\n")
    assert "step 1 of escalation policy payments, round 1: named in it, route payments" in told
    assert "it is at step 2" in at_server("escalations", "explain", opened["id"], "--person", "rui").out
    assert at_server("escalations", "page", opened["id"], "user:rui", "-m", "please").out == "Called: rui\n"
    assert at_server("escalations", "page", opened["id"], "rui").code == 2
    assert at_server("escalations", "hand-back", opened["id"], "--reason", "not mine").code == 4
    assert "user:ana, then 5m" in at_server("escalations", "show", "payments").out
    rows = [line.split() for line in at_server("reports", "paging", "--by", "service").out.splitlines()]
    assert [row[:2] for row in rows if row[:1] in (["payments"], ["all"])] == [["payments", "2"], ["all", "2"]]
    assert at_server("routes", "remove", "payments").code == 0
    assert at_server("escalations", "remove", "payments").code == 0


def test_a_drill_shows_each_step_with_its_time(at_server):
    out = at_server("drill", "search", "--within", "60").out
    steps = [line.split(" s  ")[1] for line in out.splitlines()]
    assert [step.split(" ")[-1] for step in steps] == [
        "sent",
        steps[1].split()[-1],
        "message",
        "acknowledged",
        "resolved",
    ]
