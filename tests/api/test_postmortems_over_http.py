"""Postmortems: drafted from a ticket, written over, kept in versions, taken back."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from desk import FakeClock, critical
from tocsin.web.postmortem_routes import prefers_markdown

HOSTILE = "| lost **all** <script>alert(1)</script> [x](javascript:1)\n```\n# not a heading"


def sections(text: str) -> list[str]:
    return [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]


def story(api: TestClient, clock: FakeClock) -> None:
    """An outage: a deploy, alerts, an acknowledgement, a hold, a resolution; a relapse a day later."""
    target = {"name": "all", "acknowledge_s": 900, "resolve_s": 3600}
    assert api.post("/sla/policies", json=target).status_code == 201
    change = {"service": "payments", "summary": "Deploy | now", "ref": "v2", "author": "rui"}
    api.post("/changes", json=change)
    clock.advance(minutes=5)
    api.post("/logs", json=critical(HOSTILE))
    clock.advance(minutes=10)
    api.patch("/tickets/1", json={"status": "IN_PROGRESS", "assignee": "ana"})
    api.post("/tickets/1/comments", json={"text": "The vendor **confirmed** it."})
    api.post("/tickets/1/hold", json={"reason": "waiting for <them>"})
    clock.advance(minutes=30)
    api.post("/tickets/1/resume", json={})
    clock.advance(hours=2)
    api.patch("/tickets/1", json={"status": "RESOLVED", "resolution_code": "fixed", "resolution_note": "Restarted."})
    api.patch("/tickets/1", json={"status": "CLOSED"})
    clock.advance(days=1)
    api.post("/logs", json=critical(HOSTILE))


def test_the_draft_tells_what_is_known_and_nothing_of_a_log_acts_in_it(api: TestClient, clock: FakeClock) -> None:
    story(api, clock)
    answer = api.get("/tickets/1/postmortem").json()
    assert (answer["version"], answer["generated"], answer["written_by"]) == (0, True, None)
    text = answer["text"]
    assert sections(text) == [
        "Summary", "Durations", "Impact", "Root cause", "Timeline", "Alerts", "Log extracts", "Contributing changes",
        "Other tickets", "What went well", "What went badly", "Action items",
    ]  # fmt: skip
    for said in (
        "| to acknowledge | 10 min | - |",
        "| to resolve | 2 h 40 min | - |",
        "| on hold | 30 min | - |",
        "| SLA all, to resolve | 2 h 10 min | met late, 1 h 10 min over |",
        "| SLA all, to acknowledge | 10 min | met, 5 min left |",
        "on hold until it is resumed\\: waiting for &lt;them&gt;",
        "“The vendor \\*\\*confirmed\\*\\* it.”",
        "payments\\: Deploy \\| now \\(v2\\) by rui",
        "| 2026-11-24T02:21:00Z | payments | Deploy \\| now | v2 | rui | - |",
        "| 2 | same kind of trouble | OPEN |",
        "| Resolution | fixed\\: Restarted. |",
        "CRITICAL payments | lost **all** <script>alert(1)</script> [x](javascript:1)",
    ):
        assert said in text, said
    opening = text.index("````text")  # the only place where a log line stands as it is
    assert text.index("<script>") > opening
    assert "\n````\n" in text[opening:]
    recurrence = api.get("/tickets/2/postmortem").json()["text"]
    assert "| 1 | recurrence of | CLOSED |" in recurrence
    assert "| Acknowledged | - |" in recurrence
    plain = api.get("/tickets/1/postmortem", headers={"Accept": "text/markdown"})
    assert (plain.headers["content-type"], plain.text) == ("text/markdown; charset=utf-8", text)
    assert api.get("/tickets/1/postmortem", params={"format": "markdown"}).text == text
    assert api.get("/tickets/9/postmortem").status_code == 404


def test_the_first_records_of_an_alert_are_shown_however_they_came_in(api: TestClient, clock: FakeClock) -> None:
    for number in range(1, 6):
        api.post("/logs", json=critical(f"lost connection {number}"))
        clock.advance(seconds=30)
    text = api.get("/tickets/1/postmortem").json()["text"]
    assert [line for line in text.splitlines() if "CRITICAL" in line] == [
        "2026-11-24T02:21:00Z CRITICAL payments lost connection 1",
        "2026-11-24T02:21:30Z CRITICAL payments lost connection 2",
        "2026-11-24T02:22:00Z CRITICAL payments lost connection 3",
    ]


def test_what_is_written_holds_in_versions_until_it_is_taken_back(api: TestClient, clock: FakeClock) -> None:
    api.post("/tickets", json={"title": "it is down"})
    for status in ("IN_PROGRESS", "RESOLVED", "CLOSED"):
        api.patch("/tickets/1", json={"status": status})
    path = "/tickets/1/postmortem"

    def write(text: Any, tag: str | None = None) -> Any:
        return api.put(path, json={"text": text}, headers={} if tag is None else {"If-Match": tag})

    first = write("# One", api.get(path).headers["etag"])
    assert (first.status_code, first.headers["etag"], first.json()["generated"]) == (200, '"1"', False)
    assert write("# Two", '"0"').status_code == 412
    clock.advance(minutes=1)
    assert write("# Two", '"1"').json()["version"] == write("# Two").json()["version"] == 2
    assert api.get(path).json()["text"] == "# Two"
    assert api.get(path, params={"version": 1}).json()["text"] == "# One"
    assert api.get(path, params={"version": 9}).status_code == 404
    assert api.delete(path, headers={"If-Match": '"1"'}).status_code == 412
    assert [api.delete(path).json()["generated"] for _ in range(2)] == [True, True]
    back = api.get(path).json()
    assert (back["generated"], back["version"], back["text"].startswith("# Postmortem of ticket 1")) == (True, 3, True)
    assert write("# Three").json()["version"] == 4
    page = api.get(f"{path}/versions", params={"limit": 3}).json()
    rest = api.get(f"{path}/versions", params={"cursor": page["next"]}).json()
    said = [one["text"] for one in [*page["items"], *rest["items"]]]
    assert said == ["# Three", None, "# Two", "# One"]
    kinds = [one["kind"] for one in api.get("/tickets/1/events").json()["items"]][-4:]
    assert kinds == ["TicketPostmortemSaved"] * 2 + ["TicketPostmortemDropped", "TicketPostmortemSaved"]
    for bad in ("", "x" * 200_001, "a\0b", 7):
        assert write(bad).status_code == 422
    assert api.put("/tickets/9/postmortem", json={"text": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, False),
        ("*/*", False),
        ("text/markdown", True),
        ("Text/Markdown; charset=utf-8", True),
        ("application/json, text/markdown;q=0.5", False),
        ("text/markdown;q=0.9, application/json;q=0.1", True),
        ("text/markdown;q=0", False),
        (",,;q=", False),
    ],
)
def test_markdown_is_answered_where_it_is_preferred(accept: str | None, wanted: bool) -> None:
    assert prefers_markdown(accept) is wanted
