"""tocsin verify: a table of hours when the books balance, the record ids and exit code 1 when they don't."""

import contextlib
import json
import sqlite3

from tocsin.cli.remote import Answer, Server
from tocsin.cli.verify import _gone_through


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
    result = at_server("verify", "--utc")
    assert (result.code, result.out.count("\n"), result.out[:19]) == (0, 1, "Nothing arrived fro")
    assert at_server("verify", "--since", "1h", "--until", "2h").code == 4


def test_answers_that_go_only_so_far_are_put_together() -> None:
    def part(since: str, reached: str, hours: list[dict], *, partial: bool) -> dict:
        sums = {name: sum(hour[name] for hour in hours) for name in ("accepted", "stored", "expired")}
        return {"since": since, "until": "2026-11-24T04:00:00Z", "reached": reached, "partial": partial,
                "balanced": True, **sums, "gaps_found": 0, "gaps": [], "hours": hours}  # fmt: skip

    def hour(n: int, accepted: int, *, known: bool = True, sealed: bool = False) -> dict:
        line = {"rule": "r", "version": 1, "matched": accepted, "verdicts": {"opened": 1}}
        source = {"source": "(none)", "accepted": accepted if known else None, "stored": accepted}
        return {"hour": f"2026-11-24T0{n}:00:00Z", "sealed": sealed, "accepted": accepted, "rejected": 0,
                "stored": accepted, "waiting": 0, "expired": 0, "sources": [source], "rules": [line]}  # fmt: skip

    answers = [
        part("2026-11-24T02:20:00Z", "2026-11-24T03:10:00Z", [hour(2, 5, sealed=True), hour(3, 2)], partial=True),
        part("2026-11-24T03:10:00Z", "2026-11-24T03:40:00Z", [hour(3, 4, known=False)], partial=True),
        part("2026-11-24T03:40:00Z", "2026-11-24T04:00:00Z", [hour(3, 1)], partial=False),
    ]
    asked = []

    class Answering(Server):
        def get(self, path: str, **filters: object) -> Answer:
            asked.append(filters["since"])
            return Answer("", answers[len(asked) - 1])

    whole = _gone_through(Answering("http://127.0.0.1:1"), "1d", None)
    assert asked == ["1d", "2026-11-24T03:10:00Z", "2026-11-24T03:40:00Z"]
    assert (whole["since"], whole["partial"], whole["accepted"], whole["stored"]) == (
        answers[0]["since"],
        False,
        12,
        12,
    )
    second, third = whole["hours"]
    assert (second["sealed"], third["sealed"], third["accepted"]) == (True, False, 7)
    assert third["rules"] == [{"rule": "r", "version": 1, "matched": 7, "verdicts": {"opened": 3}}]
    assert third["sources"] == [{"source": "(none)", "accepted": None, "stored": 7}]


def test_sources_are_shown_when_records_name_some(tocsin, start, monkeypatch):
    server = start()
    monkeypatch.setenv("TOCSIN_URL", server.url)
    server.ask("POST", "/logs", [{"message": "a", "source": "journald"}, {"message": "b"}])
    lines = [line.split() for line in tocsin("verify", "--utc").out.splitlines()]
    assert ["journald", "1", "1"] in [line[-3:] for line in lines]
    assert ["(none)", "1", "1"] in [line[-3:] for line in lines]
