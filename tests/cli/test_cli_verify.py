"""tocsin verify: a table of hours when the books balance, the record ids and exit code 1 when they don't."""

import contextlib
import json
import sqlite3


def test_the_books_balance_until_a_verdict_is_lost(tocsin, start, monkeypatch):
    server = start()
    monkeypatch.setenv("TOCSIN_URL", server.url)
    records = [{"level": "CRITICAL", "service": "till", "message": "stuck"}, {"level": "INFO", "message": "fine"}]
    first_id = server.ask("POST", "/logs", records)[1]["first_id"]

    good = tocsin("verify", "--utc")
    assert good.code == 0
    assert good.out.splitlines()[2].rstrip().endswith("critical-logs (version 1)   1         1 (1 opened)")
    assert good.out.endswith(" balance.\n")

    with contextlib.closing(sqlite3.connect(server.data / "tocsin.db")) as file, file:
        file.execute("DELETE FROM verdicts")
    bad = tocsin("verify")
    assert bad.code == 1
    named = f"Records {first_id} to {first_id}, rule critical-logs (version 1): records that match have no verdict"
    assert f"{named}: 1 match, 0 verdicts.\n" in bad.out
    assert bad.out.endswith(" do not balance: 1 gap.\n")
    as_json = tocsin("verify", "--since", "2h", "--json")
    assert (as_json.code, json.loads(as_json.out)["balanced"]) == (1, False)


def test_nothing_balances(at_server):
    result = at_server("verify")
    assert (result.code, result.out.count("\n")) == (0, 1)
