"""tocsin tickets comment, tag, link: what they print, and how they end."""

import json


def opened(at_server, title="It is slow"):
    return json.loads(at_server("tickets", "open", title, "--json").out)["id"]


def test_comments_tags_and_links_are_made_and_shown(at_server):
    one, other = opened(at_server), opened(at_server, "Disk full")
    assert at_server("tickets", "comment", one, "They *confirmed* it.").out.endswith(f"on ticket {one}.\n")
    assert f"tocsin tickets tag {one} TAG" in at_server("tickets", "tag", one).out
    assert at_server("tickets", "tag", one, "EU", "slow").out == f"Ticket {one}: eu, slow\n"
    assert at_server("tickets", "tag", one, "-r", "EU").out == f"Ticket {one}: slow\n"
    assert at_server("tickets", "link", one, "caused-by", other).out == f"Ticket {one}: caused by {other}\n"
    shown = at_server("tickets", "show", one).out
    for text in ("They *confirmed* it.", f"caused by {other} (OPEN)", "tags → slow", f"caused by ticket {other}"):
        assert text in shown
    assert f"causes {one} (OPEN)" in at_server("tickets", "show", other).out
    again = at_server("tickets", "link", one, "caused-by", other)
    assert (again.code, "linked already" in again.err) == (4, True)
    assert at_server("tickets", "link", one, "caused-by", other, "--remove").out == f"Ticket {one}: no links\n"


def test_a_ticket_is_resolved_with_a_code_and_a_note(at_server):
    one = opened(at_server)
    at_server("tickets", "resolve", one, "--code", "fixed", "--note", "Restarted it.")
    assert "fixed: Restarted it." in at_server("tickets", "show", one).out


def test_many_tickets_are_changed_and_those_that_are_refused_are_named(at_server):
    one, other = opened(at_server), opened(at_server)
    done = at_server("tickets", "bulk", one, other, "--move", "IN_PROGRESS", "-a", "ana", "--tag", "x", "-c", "Same.")
    assert (done.code, done.out) == (0, "2 done, 0 refused\n")
    at_server("tickets", "resolve", one)
    again = at_server("tickets", "bulk", "-q", f"id:{one} OR id:{other}", "--move", "RESOLVED")
    assert (again.code, again.out, f"ticket {one}: " in again.err) == (4, "1 done, 1 refused\n", True)
    third = opened(at_server)
    assert at_server("tickets", "bulk", third, "--move", "resolved").out == "1 done, 0 refused\n"
    assert json.loads(at_server("tickets", "show", third, "--json").out)["assignee"] == "ana"


def test_a_page_is_answered_and_answering_again_does_no_harm(at_server):
    one = opened(at_server)
    first = at_server("ack", one, "--person", "ana")
    assert (first.code, first.out.startswith(f"Ticket {one} is yours (P")) == (0, True)
    again = at_server("ack", one, "--person", "rui")
    assert (again.code, f"Ticket {one} is taken already, by ana" in again.out) == (0, True)
    assert "answered by cli: acknowledge" in at_server("tickets", "show", one).out
    at_server("tickets", "resolve", one)
    over = at_server("ack", one, "99999", "-p", "ana")
    assert (over.code, f"Ticket {one} is RESOLVED already" in over.out, "ticket 99999: " in over.err) == (4, True, True)
    assert at_server("ack", "99999").code == 4


def test_a_ticket_is_shown_as_it_was(at_server):
    one = opened(at_server)
    assert "as it was" in at_server("tickets", "show", one, "--at", "0s").out
    assert at_server("tickets", "show", one, "--at", "7d").code == 4


def test_tickets_are_merged_and_apart_again(at_server):
    one, other = opened(at_server), opened(at_server)
    assert "(CLOSED, " in at_server("tickets", "merge", other, one).out
    assert f"merged into ticket {one}" in at_server("tickets", "show", other).out
    assert "(OPEN, " in at_server("tickets", "unmerge", other).out


def test_comments_are_edited_and_taken_back_and_links_listed(at_server):
    one, other = opened(at_server), opened(at_server)
    said = json.loads(at_server("tickets", "comment", one, "It is slow.", "--json").out)["id"]
    assert at_server("tickets", "comment", one, "It is down.", "--edit", said).out.endswith(" edited.\n")
    assert at_server("tickets", "comment", one, "--delete", said).out.endswith(" deleted.\n")
    assert at_server("tickets", "comment", one).code == 2
    at_server("tickets", "link", one, "related", other)
    assert at_server("tickets", "link", one).out == f"Ticket {one}: related {other}\n"
    assert at_server("tickets", "link", one, "related").code == 2


def test_the_matrix_is_shown_and_changed_and_fields_of_tickets_follow(at_server):
    assert "nobody has changed it" in at_server("matrix", "show").out
    assert "Version 1." in at_server("matrix", "set", "1,2=P1", "3,3=P5").out
    refused = at_server("matrix", "set", "4,4=P1")
    assert (refused.code, "expected impact,urgency" in refused.err) == (4, True)
    assert at_server("matrix", "set", "P1").code == 2
    one = json.loads(at_server("tickets", "open", "Slow", "--impact", 3, "--urgency", 3, "--tag", "x", "--json").out)
    assert (one["priority"], one["tags"]) == ("P5", ["x"])
    changed = at_server(
        "tickets", "change", one["id"], "--impact", "1", "--urgency", "2", "--team", "shop", "-a", "ana"
    )
    assert "(OPEN, P1, ana)" in changed.out
    cleared = json.loads(at_server("tickets", "change", one["id"], "--team", "none", "--impact", "none", "--json").out)
    assert (cleared["team"], cleared["impact"], cleared["urgency"], cleared["assignee"]) == (None, None, 2, "ana")
    assert [at_server("tickets", "change", one["id"], *bad).code for bad in ((), ("--impact", "9"))] == [2, 2]


def test_a_ticket_is_split_and_looked_back_on_with_what_was_deployed(at_server, tmp_path):
    assert "tocsin changes add" in at_server("changes", "list").out
    at_server("changes", "add", "split-shop", "Deploy", "--ref", "v2", "-a", "rui", "--attr", "region=eu")
    assert "v2" in at_server("changes", "list", "-s", "SPLIT-SHOP").out
    assert at_server("changes", "add", "split-shop", "Deploy", "--link", "ftp://x").code == 4
    for message in ("database connection lost", "disk full"):
        at_server("send", message, "--level", "CRITICAL", "--service", "split-shop")
    found = json.loads(at_server("tickets", "list", "service:split-shop", "--json").out)["items"]
    one, other = sorted(ticket["id"] for ticket in found)
    at_server("tickets", "merge", other, one)
    alerts = json.loads(at_server("tickets", "show", one, "--json").out)["alerts"]
    split = at_server("tickets", "split", one, "--alert", alerts[0]["id"], "--title", "Disk full", "-r", "not the same")
    new = int(split.out.split()[1])
    shown = at_server("tickets", "show", one).out
    assert f"split off to ticket {new}: not the same" in shown
    assert "split-shop: Deploy (v2) by rui" in shown
    assert f"split off ticket {one}" in at_server("tickets", "show", new).out
    file = tmp_path / "postmortem.md"
    assert "the draft, saved as" in at_server("tickets", "postmortem", one, "-o", file).out
    file.write_text(file.read_text().replace("*Who was affected, how, for how long?*", "Nobody."))
    assert at_server("tickets", "postmortem", one, "--edit", file).out.endswith(": version 1\n")
    assert at_server("tickets", "postmortem", one).out == file.read_text()
    assert at_server("tickets", "postmortem", one, "--drop", "--seen", 9).code == 4
    assert at_server("tickets", "postmortem", one, "--drop").out.endswith(": the draft\n")
    assert "Nobody." in at_server("tickets", "postmortem", one, "--version", 1).out
    assert "(CLOSED, " in at_server("tickets", "unsplit", new).out
