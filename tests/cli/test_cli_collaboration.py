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
