"""tocsin routes, escalations, templates, drills, users rules: what they print, also where there is nothing."""

import json

import httpx2 as httpx


def test_nothing_yet(at_server):
    assert at_server("routes", "list").out.startswith("No routes: everything goes to the console.")
    assert at_server("escalations", "list").out.startswith("No escalation policies: nobody is called.")
    assert at_server("reports", "paging").out.startswith("Nobody was called in this time.")
    assert at_server("templates", "list").out.startswith("No templates: ")
    assert at_server("drills", "list").out.startswith("No drills: ")
    assert at_server("drills", "runs").out.startswith("No drill was run.")


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
    assert "policy payments, round 2, step 1: ana" in previewed
    assert "policy payments, round 1, step 2: rui, channel console" in previewed
    assert "problem: ana has no verified way to be reached" in previewed
    assert at_server("routes", "preview").code == 2

    opened = json.loads(at_server("tickets", "open", "It is down", "--service", "payments", "--json").out)
    told = at_server("escalations", "explain", opened["id"], "--person", "ana").out
    assert told.startswith(f"ana was called about ticket {opened['id']} once, but no message was taken so far.\n")
    assert "step 1 of escalation policy payments, round 1: named in it, route payments" in told
    assert "it is at step 2" in at_server("escalations", "explain", opened["id"], "--person", "rui").out
    everybody = at_server("deliveries", "explain", opened["id"]).out
    assert everybody.startswith(f"Called about ticket {opened['id']}: ana. A message was taken by: nobody so far.\n")
    assert f"rui was not called about ticket {opened['id']}.\n  Escalation policy payments calls rui in" in everybody
    assert "by console, opened (route payments): " in everybody
    nobody = at_server("escalations", "page", opened["id"], "user:rui", "-m", "please")
    why = "rui has no verified way to be reached: their email is tried; no channel carries a way to reach rui"
    assert (nobody.code, nobody.out.split(".")[0]) == (1, f"Nobody was reached: {why}")
    going_on = at_server("escalations", "page", opened["id"], "policy:payments")
    assert (going_on.code, "policy:payments goes on already" in going_on.out) == (1, True)
    assert at_server("escalations", "page", opened["id"], "channel:console").out == "Called: channel console\n"
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


def test_what_is_not_said_of_a_policy_stays_and_what_a_file_leaves_out_is_told(at_server, tmp_path):
    steps = ("--step", "channel:console@5m", "--step", "channel:console,channel:console-2@90@round-robin")
    fields = (
        "--repeats",
        "1",
        "--fallback",
        "channel:console",
        "--ack-timeout",
        "p1=30m",
        "--description",
        "All of it.",
    )
    at_server("channels", "save", "console-2", "console")
    made = at_server("escalations", "save", "whole", *steps, *fields)
    assert made.out == (
        "Escalation policy whole: channel:console (5m) → one in turn of channel:console, channel:console-2 (1m 30s)\n"
    )
    before = json.loads(at_server("escalations", "show", "whole", "--json").out)
    assert before["ack_timeout_s"] == {"P1": 1800}
    at_server("escalations", "save", "whole", "--repeats", "3")
    after = json.loads(at_server("escalations", "show", "whole", "--json").out)
    assert {name for name in before if before[name] != after[name]} - {"updated_at"} == {"repeats", "version"}

    file = tmp_path / "whole.yaml"
    file.write_text("steps:\n  - targets: [channel:console]\n    delay_s: 60\nrepeats: 3\n")
    told = at_server("escalations", "save", "whole", "--file", file)
    assert (told.code, told.out) == (0, "Escalation policy whole: channel:console (1m)\n")
    assert told.err == "No longer said of it: description All of it.; fallback channel:console; ack_timeout_s P1 30m\n"
    cleared = at_server("escalations", "save", "whole", "--fallback", "none", "--ack-timeout", "none", "--json")
    assert json.loads(cleared.out)["repeats"] == 3
    assert "a new one needs --step" in at_server("escalations", "save", "new", "--repeats", "1").err
    assert at_server("escalations", "save", "whole", "--ack-timeout", "P1").code == 2
    refused = at_server("escalations", "save", "whole", "--step", "ana")
    assert (refused.code, "'ana' is no target" in refused.err) == (4, True)


def test_a_person_says_how_they_are_called_by_flags_or_a_file(at_server, tmp_path):
    at_server("users", "save", "eva")
    listed = at_server("users", "rules", "list", "eva").out
    assert "by default" in listed
    assert "eva has no verified way to be reached: tocsin users methods add eva" in listed
    said = at_server("users", "rules", "set", "eva", "--p1", "voice,other@5m", "--p4", "email@1h@working-hours").out
    rows = [line.split() for line in said.splitlines()]
    assert ["P1", "2", "other", "after", "5m", "by", "them"] in rows
    assert ["P4", "1", "email", "after", "1h,", "in", "working", "hours", "by", "them"] in rows
    at_server("users", "rules", "set", "eva", "--p1", "default")
    assert json.loads(at_server("users", "rules", "list", "eva", "--json").out)["own"] == ["P4"]
    assert "email: none that is verified, the loudest is taken" in at_server("users", "rules", "list", "eva").out
    file = tmp_path / "eva.yaml"
    file.write_text("rules:\n  P2:\n    - method: sms\n    - {method: other, after_s: 120}\n")
    at_server("users", "rules", "set", "eva", "--file", file)
    assert json.loads(at_server("users", "rules", "list", "eva", "--json").out)["own"] == ["P2"]
    wrong = at_server("users", "rules", "set", "eva", "--p1", "loudest@2d,pigeon")
    assert (wrong.code, "/rules/P1/1/method" in wrong.err, "the number of a contact method" in wrong.err) == (
        4, True, True)  # fmt: skip
    file.write_text("rules:\n  P2: [\n")
    assert (told := at_server("users", "rules", "set", "eva", "--file", file)).code == 2
    assert "eva.yaml:3:1: not YAML" in told.err
    assert at_server("users", "rules", "set", "eva").code == 2
    assert at_server("users", "rules", "remove", "eva").out == "eva is called by default again.\n"
    assert at_server("users", "rules", "list", "nobody").code == 4


def test_a_drill_is_scheduled_changed_listed_and_removed(at_server):
    made = at_server("drill", "Shop Front", "--every", "7d", "--json")
    assert (json.loads(made.out)["name"], json.loads(made.out)["every_s"]) == ("shop-front", 604_800)
    changed = at_server("drills", "save", "shop-front", "--at", "09:30", "--days", "mon", "-z", "Europe/Lisbon")
    assert changed.out.startswith("Drill shop-front of Shop Front: at 09:30 (Europe/Lisbon), mon; next 2")
    assert at_server("drills", "save", "shop-front", "--off").out.endswith("mon; off.\n")
    assert "Shop Front" in at_server("drills", "list").out
    assert "never: it is off" in at_server("drills", "show", "shop-front").out
    assert at_server("drills", "save", "other", "shop").code == 2
    assert at_server("drill", "shop", "--days", "mon").code == 2
    assert "expected 600 seconds to 366 days" in at_server("drill", "shop", "--every", "1m").err
    assert at_server("drills", "remove", "shop-front").out == "Drill shop-front is scheduled no longer.\n"


def test_a_template_is_tried_saved_changed_and_removed(at_server, tmp_path):
    tried = at_server("templates", "preview", "--title", "{{ ticket.priority }} for {{ person }}", "--person", "rui")
    assert (tried.code, tried.out.splitlines()[0].split()[0]) == (0, "title")
    file = tmp_path / "short.yaml"
    file.write_text("title: '[{{ ticket.priority }}] {{ ticket.title }}'\ntext: |\n  {{ record.message }}\n  {{ x }}\n")
    broken = at_server("templates", "preview", "--file", file)
    assert (broken.code, "/text: line 2: 'x' is not known" in broken.err) == (1, True)
    refused = at_server("templates", "save", "short", "--file", file)
    assert (refused.code, "line 2: 'x' is not known" in refused.err) == (4, True)
    file.write_text(file.read_text().replace("{{ x }}", "bye"))
    saved = at_server("templates", "save", "short", "--file", file)
    assert saved.out == "Template short (version 1): title, text. Try it: tocsin templates preview short\n"
    (tmp_path / "payload.json").write_text('{"n": "{{ records }}"}')
    at_server("templates", "save", "short", "--payload-file", tmp_path / "payload.json", "-d", "For the wall")
    shown = json.loads(at_server("templates", "show", "short", "--json").out)
    assert (shown["text"], shown["payload"], shown["version"]) == (
        "{{ record.message }}\nbye\n", {"n": "{{ records }}"}, 2)  # fmt: skip
    assert "For the wall" in at_server("templates", "list").out
    assert '"n": "{{ records }}"' in at_server("templates", "show", "short").out
    previewed = at_server("templates", "preview", "short", "--kind", "resolved").out
    assert "[P2] payments: database connection lost" in previewed
    assert at_server("templates", "remove", "short").out == "Template short is removed.\n"
    assert at_server("templates", "show", "short").code == 4


def test_the_kinds_of_channels_are_listed_with_what_each_needs(at_server):
    rows = {line.split()[0]: line for line in at_server("channels", "kinds").out.splitlines() if line.strip()}
    assert "from; host" in rows["email"]
    assert "auth_token: give auth_token, or api_key and api_secret" in rows["sms"]
    assert "webhook  " in rows["webhook"]
    one = at_server("channels", "kinds", "ntfy").out
    assert ("token" in one, "never shown" in one) == (True, True)
    assert json.loads(at_server("channels", "kinds", "ntfy", "--json").out)["kind"] == "ntfy"
    assert "there is no kind pager" in at_server("channels", "kinds", "pager").err
    refused = at_server("users", "methods", "add", "ana", "ntfy", "https://ntfy.sh/ana")
    assert (refused.code, "the name of a topic alone" in refused.err) == (4, True)
