"""tocsin views, tickets list --query and --view, tickets similar: what they print, and how they end."""

import json


def opened(at_server, title):
    return json.loads(at_server("tickets", "open", title, "--service", "shop", "--json").out)["id"]


def test_tickets_are_found_by_queries_views_and_what_they_have_in_common(at_server):
    assert "tocsin views save mine" in at_server("views", "list").out
    one, other = opened(at_server, "Checkout is blank"), opened(at_server, "Checkout is blank again")
    at_server("tickets", "comment", other, "The *zebra* escaped")
    found = at_server("tickets", "list", "-q", "zebra").out
    assert ("blank again" in found, f"{one} " in found) == (True, False)
    assert at_server("tickets", "list", "blank", "--query", "zebra").code == 2
    saved = at_server("views", "save", "ours", "checkout status:OPEN", "--sort", "priority", "--shared")
    assert saved.out == "View ours (version 1, shared): checkout status:OPEN\n"
    refused = at_server("views", "save", "ours", "checkout (")
    assert (refused.code, "column" in refused.err) == (4, True)
    assert "priority asc" in at_server("views", "list").out
    assert "checkout status:OPEN" in at_server("views", "show", "ours").out
    assert "blank again" in at_server("tickets", "list", "--view", "ours", "-q", "zebra").out
    at_server("tickets", "resolve", one, "--code", "fixed", "--note", "Rolled back.")
    similar = at_server("tickets", "similar", other).out
    assert all(text in similar for text in ("RESOLVED", "fixed: Rolled back.", "service: shop"))
    assert "No ticket is like" in at_server("tickets", "similar", opened(at_server, "Printer jam")).out
    assert at_server("views", "remove", "ours").out == "View ours is removed.\n"
    assert at_server("tickets", "list", "--view", "ours").code == 4
