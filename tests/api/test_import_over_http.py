"""Tickets from elsewhere over HTTP: each once, nobody is paged, and each that is wrong is named."""

from typing import Any

import pytest
from starlette.testclient import TestClient

OLD: dict[str, Any] = {
    "external_id": "INC1",
    "title": "Mail is down",
    "status": "CLOSED",
    "priority": "P1",
    "service": "mail",
    "team": "net",
    "opened_at": "2026-02-29T08:00:00Z".replace("02-29", "02-28"),
    "resolved_at": "2026-02-28T10:00:00Z",
    "closed_at": "2026-03-01T10:00:00Z",
    "met": False,
    "line": 17,
    "history": [{"at": "2026-02-28T08:30:00Z", "status": "IN_PROGRESS", "assignee": "rui"}],
}


def imported(api: TestClient, *tickets: Any, **more: Any) -> Any:
    answer = api.post("/tickets/import", json={"source": "servicenow", "tickets": list(tickets), **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_ticket_keeps_its_own_times_and_history(api: TestClient) -> None:
    api.put("/sla/policies/all", json={"acknowledge_s": 60, "resolve_s": 60})
    ticket_id = imported(api, {**OLD, "assignee": "rui"})["ticket_ids"]["INC1"]
    shown = api.get(f"/tickets/{ticket_id}").json()
    assert (shown["opened_at"], shown["resolved_at"]) == (OLD["opened_at"], OLD["resolved_at"])
    assert (shown["opened_by"], shown["source"], shown["external_id"]) == ("import:servicenow", "servicenow", "INC1")
    assert (shown["team"], shown["acknowledged_at"], shown["sla"]) == ("net", "2026-02-28T08:30:00Z", None)
    timeline = api.get(f"/tickets/{ticket_id}/events").json()["items"]
    assert [(one["kind"], one["at"]) for one in timeline] == [
        ("TicketOpened", "2026-02-28T08:00:00Z"),
        ("TicketEdited", "2026-02-28T08:00:00Z"),
        ("TicketMoved", "2026-02-28T08:30:00Z"),
        ("TicketMoved", "2026-02-28T10:00:00Z"),
        ("TicketMoved", "2026-03-01T10:00:00Z"),
        ("TicketImported", timeline[0]["recorded_at"]),
    ]
    assert {one["actor"] for one in timeline} == {"import:servicenow"}


def test_importing_again_changes_nothing(api: TestClient) -> None:
    first = imported(api, OLD, OLD)
    assert (first["created"], first["known"]) == (1, 1)
    again = imported(api, {**OLD, "title": "Another title"})
    assert (again["created"], again["known"], again["ticket_ids"]) == (0, 1, first["ticket_ids"])
    assert [one["title"] for one in api.get("/tickets").json()["items"]] == ["Mail is down"]
    other = api.post("/tickets/import", json={"source": "elsewhere", "tickets": [OLD]}).json()
    assert other["created"] == 1


def test_a_dry_run_only_says_what_would_be(api: TestClient) -> None:
    assert imported(api, OLD, {**OLD, "external_id": ""}, dry_run=True)["created"] == 1
    assert api.get("/tickets").json()["items"] == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"external_id": None}, "external_id"),
        ({"title": ""}, "title"),
        ({"status": "Sleeping"}, "status"),
        ({"opened_at": "soon"}, "opened_at"),
        ({"opened_at": "2031-01-01T00:00:00Z", "resolved_at": None, "closed_at": None}, "opened_at"),
        ({"history": [{"at": "2026-02-28T08:30:00Z", "state": "x"}]}, "history/0/state"),
        ({"priority": "P9"}, "priority"),
    ],
)
def test_what_is_wrong_with_one_is_named_and_the_others_are_taken(
    api: TestClient, changes: dict[str, Any], field: str
) -> None:
    answer = imported(api, {**OLD, **changes}, {**OLD, "external_id": "INC2"})
    assert answer["created"] == 1
    [wrong] = answer["rejected"]
    assert (wrong["index"], wrong["line"], wrong["field"]) == (0, 17, field)
    assert [one["external_id"] for one in api.get("/tickets").json()["items"]] == ["INC2"]


def test_a_ticket_that_is_still_open_goes_on_here(api: TestClient) -> None:
    live = {**OLD, "status": "IN_PROGRESS", "resolved_at": None, "closed_at": None}
    ticket_id = imported(api, live)["ticket_ids"]["INC1"]
    moved = api.patch(f"/tickets/{ticket_id}", json={"status": "RESOLVED"})
    assert (moved.status_code, moved.json()["status"]) == (200, "RESOLVED")
    assert api.get("/tickets?q=source:servicenow+team:net").json()["items"][0]["id"] == ticket_id


def test_a_ticket_from_elsewhere_is_shown_as_it_was(api: TestClient) -> None:
    ticket_id = imported(api, OLD)["ticket_ids"]["INC1"]

    def status_at(at: str) -> str:
        return api.get(f"/tickets/{ticket_id}", params={"at": at}).json()["status"]

    assert status_at("2026-02-28T08:10:00Z") == "OPEN"
    assert status_at("2026-02-28T09:00:00Z") == "IN_PROGRESS"
    assert status_at("2026-02-28T11:00:00Z") == "RESOLVED"
    assert status_at("2026-03-02T00:00:00Z") == "CLOSED"
