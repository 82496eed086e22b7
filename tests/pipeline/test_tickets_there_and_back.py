"""Tickets that leave one installation and come into another are the same there; coming again changes nothing."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from desk import FakeClock, critical
from tocsin.cli.import_tickets import _batches
from tocsin.settings import Settings
from tocsin.tickets.sources.formats import FORMATS
from tocsin.tickets.sources.rows import Mapped

# What an import carries. `opened_by`, `version`, `updated_at` are those of the import; clocks are not started.
CARRIED = (
    "title", "description", "status", "priority", "impact", "urgency", "service", "team", "assignee", "tags",
    "opened_at", "acknowledge_from", "acknowledged_at", "resolved_at", "closed_at", "resolution_code",
    "resolution_note", "reopen_count", "reassignment_count", "met",
)  # fmt: skip
STEPS = ("TicketMoved", "TicketReopened", "TicketPrioritised", "TicketHeld", "TicketResumed", "TicketCommented")


@pytest.fixture
def lived(api: TestClient, clock: FakeClock) -> TestClient:
    """Tickets that went through everything."""

    def do(method: str, path: str, **body: Any) -> Any:
        answer = api.request(method, path, json=body)
        assert answer.is_success, answer.text
        clock.advance(minutes=7)
        return answer.json()

    api.put("/sla/policies/all", json={"acknowledge_s": 600, "resolve_s": 3600})
    do("POST", "/tickets", title="Mail is down\n", description="All of it.", priority="P2", service="mail", impact=1,
       urgency=2, tags=["database", "emea"], team="net")  # fmt: skip
    do("PATCH", "/tickets/1", status="IN_PROGRESS", assignee="ana")
    do("PATCH", "/tickets/1/priority", priority="P1")
    do("POST", "/tickets/1/hold", reason="We wait for *them*.")
    do("POST", "/tickets/1/comments", text="Seen **twice** <script>")
    do("POST", "/tickets/1/resume")
    do("PATCH", "/tickets/1", status="RESOLVED", resolution_code="fixed", resolution_note="A new disk.")
    do("POST", "/tickets/1/reopen", reason="It is not.")
    do("PATCH", "/tickets/1", status="RESOLVED", resolution_code="fixed", resolution_note="Two new disks.")
    do("POST", "/tickets", title="Mail is slow", service="mail")
    do("POST", "/tickets/2/links", kind="caused_by", ticket_id=1)
    do("POST", "/tickets/2/hold", reason="later")
    do("POST", "/logs", **critical())
    do("PATCH", "/tickets/3", status="IN_PROGRESS")
    do("PATCH", "/tickets/3", status="RESOLVED")
    do("POST", "/logs", **critical())  # it is back: OPEN, nobody's again
    do("POST", "/tickets", title="The same once more")
    do("POST", "/tickets/4/merge", into=2)
    do("POST", "/tickets", title="Not the same")
    do("POST", "/tickets/5/merge", into=2)
    do("POST", "/tickets/5/unmerge")
    do("POST", "/tickets", title="Closed")
    for status in ("IN_PROGRESS", "RESOLVED", "CLOSED"):
        do("PATCH", "/tickets/6", status=status)
    return api


def exported(api: TestClient, **asked: Any) -> list[Any]:
    found, cursor = [], None
    while True:
        asked |= {"cursor": cursor} if cursor else {}
        page = api.get("/tickets/export", params={"limit": 4, **asked})
        assert page.status_code == 200, page.text
        found += page.json()["items"]
        cursor = page.json()["next"]
        if cursor is None:
            return found


def taken_in(api: TestClient, tickets: list[Any]) -> Any:
    data = "".join(json.dumps(one) + "\n" for one in tickets).encode()
    read = FORMATS["tocsin"](data, Mapped())
    assert (read.bad, read.noted) == ([], [])
    [batch] = _batches(read.tickets)
    answer = api.post("/tickets/import", json={"source": "other", "tickets": batch})
    assert answer.status_code == 200, answer.text
    assert answer.json()["rejected"] == []
    return answer.json()


def told(ticket: Any) -> list[tuple[str, str]]:
    return sorted((one["at"], one["kind"]) for one in ticket["events"] if one["kind"] in STEPS)


@pytest.mark.parametrize("at_once", [6, 1])
def test_what_is_exported_and_imported_elsewhere_is_the_same_there(
    lived: TestClient, open_api: Callable[..., TestClient], tmp_path: Any, clock: FakeClock, at_once: int
) -> None:
    before = exported(lived)
    assert len(before) == 6
    assert [one["status"] for one in before] == ["RESOLVED", "OPEN", "OPEN", "CLOSED", "OPEN", "CLOSED"]
    other = open_api(Settings(data_dir=tmp_path / "other"), clock=clock)
    for start in range(0, 6, at_once):
        taken_in(other, before[start : start + at_once])
    after = exported(other)
    assert [one["external_id"] for one in after] == [str(one["id"]) for one in before]
    theirs = {one["id"]: one["external_id"] for one in after}
    for one, there in zip(before, after, strict=True):
        assert {name: there[name] for name in CARRIED} == {name: one[name] for name in CARRIED}
        assert (there["on_hold"] or {}).get("reason") == (one["on_hold"] or {}).get("reason")
        said = [(c["text"], f"import:other:{c['author']}", c["created_at"]) for c in one["comments"]]
        assert [(c["text"], c["author"], c["created_at"]) for c in there["comments"]] == said
        links = {(link["kind"], str(link["ticket_id"]), link["linked_at"]) for link in one["links"]}
        assert {(link["kind"], theirs[link["ticket_id"]], link["linked_at"]) for link in there["links"]} == links
        merged = {"TicketMerged", "TicketUnmerged"} & {event["kind"] for event in one["events"]}
        assert merged or told(there) == told(one)
        past = other.get(f"/tickets/{there['id']}", params={"at": there["events"][-1]["recorded_at"]}).json()
        assert {name: past[name] for name in ("status", "tags", "resolution_note", "priority", "acknowledged_at")} == {
            name: there[name] for name in ("status", "tags", "resolution_note", "priority", "acknowledged_at")
        }
    for q in ("comment:twice", "twice mail", "script"):  # what came along is found as what was said here
        assert [one["external_id"] for one in other.get("/tickets", params={"q": q}).json()["items"]] == ["1"], q
    again = taken_in(other, before)
    assert (again["created"], again["known"]) == (0, 6)
    assert exported(other) == after
    reports = [api.get("/reports/tickets").json()["total"] for api in (lived, other)]
    for name in ("tickets", "resolve", "acknowledge", "reopens", "sla_met"):
        assert reports[0][name] == reports[1][name], name


def test_an_export_is_filtered_and_says_everything(lived: TestClient) -> None:
    [one] = exported(lived, q="tag:emea")
    assert (one["sla"]["policy"], one["met"], len(one["events"]) > 8) == ("all", True, True)
    assert [comment["text"] for comment in one["comments"]] == ["Seen **twice** <script>"]
    assert [one["id"] for one in exported(lived, status="CLOSED")] == [4, 6]
    assert exported(lived, opened_until="1d") == []
    assert lived.get("/tickets/export", params={"status": "sleeping"}).status_code == 422
    assert lived.get("/tickets/export", params={"sort": "priority"}).status_code == 422


def test_lines_that_are_no_tickets_are_named() -> None:
    read = FORMATS["tocsin"](b'{"id": 1}\n[]\n', Mapped())
    assert sorted(line for line, _ in read.bad) == [1, 2]
    assert "events" in dict(read.bad)[1]
