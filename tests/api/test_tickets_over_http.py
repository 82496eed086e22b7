"""Tickets over HTTP: shapes, moves, edits, versions, lists, the timeline."""

from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from desk import START, FakeClock, critical

FIELDS = {
    "id", "status", "priority", "title", "description", "service", "assignee", "opened_by", "opened_at",
    "acknowledged_at", "resolved_at", "closed_at", "updated_at", "time_to_acknowledge_s", "time_to_resolve_s",
    "reopen_count", "late_s", "recurrence_of", "reassignment_count", "team", "source", "external_id", "tags", "impact",
    "urgency", "resolution_code", "resolution_note",
    "released_from", "merged_into", "split_from", "on_hold", "sla", "allowed", "version",
}  # fmt: skip


def walk(api: TestClient, ticket_id: int, *statuses: str) -> dict[str, Any]:
    for status in statuses:
        answer = api.patch(f"/tickets/{ticket_id}", json={"status": status})
        assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_ticket_opened_by_an_alert_shows_all_its_fields(api: TestClient) -> None:
    api.post("/logs", json=critical())
    answer = api.get("/tickets/1")
    ticket = answer.json()

    assert set(ticket) == FIELDS | {"alert_count", "alerts", "links", "service_info"}
    assert (ticket["status"], ticket["priority"], ticket["opened_by"]) == ("OPEN", "P2", "rule:critical-logs")
    assert (ticket["opened_at"], ticket["allowed"], ticket["version"]) == ("2026-11-24T02:21:00Z", ["IN_PROGRESS"], 1)
    assert answer.headers["etag"] == '"1"'
    [alert] = ticket["alerts"]
    assert ticket["alert_count"] == 1
    assert alert == api.get(f"/alerts/{alert['id']}").json()
    assert api.get("/tickets").json()["items"] == [{k: v for k, v in ticket.items() if k in FIELDS}]


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("status:open priority:<=P2", ["Payments are slow", "Disk full"]),
        ("pay* -assignee:none", ["Payments are slow"]),
        ("description:disk", []),
        ("service:(shop OR STORE) assignee:none", ["Disk full", "Blank page"]),
        ("opened_at:>-5m", ["Blank page", "Payments are slow", "Disk full"]),
        ("resolved_at:>-5m", []),
        ("100%", ["Disk full"]),
    ],
)
def test_tickets_are_found_in_the_filter_language(api: TestClient, query: str, titles: list[str]) -> None:
    for ticket in (
        {"title": "Payments are slow", "priority": "P1", "service": "shop", "assignee": "ana"},
        {"title": "Disk full", "priority": "P2", "service": "store", "description": "100% used"},
        {"title": "Blank page", "priority": "P3", "service": "shop"},
    ):
        assert api.post("/tickets", json=ticket).status_code == 201
    found = api.get("/tickets", params={"q": query, "sort": "priority"}).json()["items"]
    assert {ticket["title"] for ticket in found} == set(titles)


def test_a_query_for_tickets_that_can_t_be_read_is_answered_with_its_place(api: TestClient) -> None:
    answer = api.get("/tickets", params={"q": "stauts:OPEN"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"detail": answer.json()["errors"][0]["detail"], "pointer": "q"}]
    assert "did you mean status?" in answer.json()["detail"]


def test_a_ticket_is_opened_by_hand(api: TestClient) -> None:
    answer = api.post(
        "/tickets", json={"title": " Checkout is blank ", "priority": "high", "service": "shop", "assignee": "ana"}
    )
    ticket = answer.json()

    assert (answer.status_code, answer.headers["location"], answer.headers["etag"]) == (201, "/tickets/1", '"1"')
    assert set(ticket) == FIELDS
    assert (ticket["title"], ticket["priority"], ticket["opened_by"]) == ("Checkout is blank", "P2", "local:admin")
    assert api.post("/tickets", json={"title": "x"}).json()["priority"] == "P3"
    [opened] = api.get("/tickets/1/events").json()["items"]
    assert (opened["kind"], opened["actor"], opened["cause_id"]) == ("TicketOpened", "local:admin", None)


def test_the_times_of_a_ticket_are_kept_as_it_walks_its_lifecycle(api: TestClient, clock: FakeClock) -> None:
    api.post("/logs", json=critical())
    clock.advance(seconds=90)
    assert walk(api, 1, "IN_PROGRESS")["time_to_acknowledge_s"] == 90
    clock.advance(seconds=30.5)
    resolved = walk(api, 1, "RESOLVED")
    assert (resolved["time_to_resolve_s"], resolved["allowed"]) == (120.5, ["CLOSED"])
    clock.advance(days=1)
    closed = walk(api, 1, "CLOSED")

    assert (closed["closed_at"], closed["allowed"], closed["version"]) == ("2026-11-25T02:23:00.500000Z", [], 4)
    assert closed["acknowledged_at"] == "2026-11-24T02:22:30Z"
    assert closed["updated_at"] == closed["closed_at"]
    assert api.get("/alerts/1").json()["status"] == "resolved"


@pytest.mark.parametrize(
    ("path", "wanted", "allowed"),
    [
        ((), "RESOLVED", ["IN_PROGRESS"]), ((), "CLOSED", ["IN_PROGRESS"]), ((), "OPEN", ["IN_PROGRESS"]),
        (("IN_PROGRESS",), "OPEN", ["RESOLVED"]), (("IN_PROGRESS",), "CLOSED", ["RESOLVED"]),
        (("IN_PROGRESS", "RESOLVED"), "IN_PROGRESS", ["CLOSED"]), (("IN_PROGRESS", "RESOLVED"), "OPEN", ["CLOSED"]),
        (("IN_PROGRESS", "RESOLVED", "CLOSED"), "OPEN", []), (("IN_PROGRESS", "RESOLVED", "CLOSED"), "CLOSED", []),
    ],
)  # fmt: skip
def test_an_illegal_move_is_answered_409_with_the_allowed_ones(
    api: TestClient, path: tuple[str, ...], wanted: str, allowed: list[str]
) -> None:
    api.post("/logs", json=critical())
    if path:
        walk(api, 1, *path)
    before = api.get("/tickets/1").json()
    answer = api.patch("/tickets/1", json={"status": wanted})

    assert (answer.status_code, answer.json()["allowed"]) == (409, allowed)
    assert answer.json()["type"] == "urn:tocsin:problem:transition-refused"
    assert api.get("/tickets/1").json() == before


def test_a_move_that_is_refused_takes_the_edits_of_the_same_request_with_it(api: TestClient) -> None:
    api.post("/logs", json=critical())
    assert api.patch("/tickets/1", json={"title": "new", "status": "CLOSED"}).status_code == 409
    assert api.get("/tickets/1").json()["title"] == "payments: database connection lost"


@pytest.mark.parametrize("status", ["in_progress", "In-Progress", " IN_PROGRESS "])
def test_a_status_is_understood_in_any_case(api: TestClient, status: str) -> None:
    api.post("/logs", json=critical())
    assert api.patch("/tickets/1", json={"status": status}).json()["status"] == "IN_PROGRESS"


def test_fields_are_edited_and_what_is_absent_stays(api: TestClient) -> None:
    api.post("/logs", json=critical())
    api.patch("/tickets/1", json={"assignee": "ana", "description": "Look at the pool."})
    answer = api.patch("/tickets/1", json={"title": "Pool exhausted", "assignee": None})

    assert answer.status_code == 200
    assert (answer.json()["title"], answer.json()["assignee"]) == ("Pool exhausted", None)
    assert (answer.json()["description"], answer.json()["version"]) == ("Look at the pool.", 3)
    edited = [
        event["data"] for event in api.get("/tickets/1/events").json()["items"] if event["kind"] == "TicketEdited"
    ]
    assert edited[1]["before"] == {"title": "payments: database connection lost", "assignee": "ana"}
    assert edited[1]["after"] == {"title": "Pool exhausted", "assignee": None}


def test_an_edit_that_changes_nothing_makes_no_version(api: TestClient) -> None:
    api.post("/logs", json=critical())
    title = api.get("/tickets/1").json()["title"]
    assert api.patch("/tickets/1", json={"title": title}).json()["version"] == 1
    assert api.patch("/tickets/1", json={}).json()["version"] == 1
    assert api.patch("/tickets/1/priority", json={"priority": "P2"}).json()["version"] == 1
    assert len(api.get("/tickets/1/events").json()["items"]) == 1


def test_a_closed_ticket_is_final(api: TestClient) -> None:
    api.post("/logs", json=critical())
    walk(api, 1, "IN_PROGRESS", "RESOLVED", "CLOSED")
    for answer in (
        api.patch("/tickets/1", json={"title": "new"}),
        api.patch("/tickets/1/priority", json={"priority": "P1"}),
        api.post("/tickets/1/reopen", json={"reason": "please"}),
    ):
        assert answer.status_code == 409, answer.text


@pytest.mark.parametrize("text", ["P1", "p1", "1", "CRITICAL", "critical"])
def test_the_priority_is_changed_by_any_of_its_names(api: TestClient, text: str) -> None:
    api.post("/logs", json=critical())
    answer = api.patch("/tickets/1/priority", json={"priority": text})
    assert (answer.status_code, answer.json()["priority"], answer.headers["etag"]) == (200, "P1", '"2"')
    assert api.get("/tickets/1/events").json()["items"][-1]["data"] == {"ticket_id": 1, "before": "P2", "after": "P1"}


@pytest.mark.parametrize("method", ["move", "priority", "reopen"])
def test_a_change_of_another_version_than_the_one_seen_is_answered_412(api: TestClient, method: str) -> None:
    api.post("/logs", json=critical())
    walk(api, 1, "IN_PROGRESS", "RESOLVED")

    def change(if_match: str) -> Any:
        headers = {"if-match": if_match}
        if method == "move":
            return api.patch("/tickets/1", json={"status": "CLOSED"}, headers=headers)
        if method == "priority":
            return api.patch("/tickets/1/priority", json={"priority": "P1"}, headers=headers)
        return api.post("/tickets/1/reopen", json={"reason": "again"}, headers=headers)

    stale = change('"1"')
    assert (stale.status_code, stale.json()["version"]) == (412, 3)
    assert change("nonsense").status_code == 422
    assert change('"3"').status_code == 200


@pytest.mark.parametrize("etag", ['"1"', "1", "*", ' "1" ', '"7", "1"', '"1","2"', ' , "x,y", "1" ,', 'W/"1", "1"'])
def test_forms_of_if_match(api: TestClient, etag: str) -> None:
    api.post("/logs", json=critical())
    assert api.patch("/tickets/1", json={"title": "new"}, headers={"if-match": etag}).status_code == 200


@pytest.mark.parametrize("etag", ['W/"1"', '"2", "3"', '"x"', '""', 'W/"1", W/"2"', '"01"'])
def test_a_weak_tag_and_a_list_without_the_version_match_nothing(still_api: TestClient, etag: str) -> None:
    still_api.post("/logs", json=critical())
    answer = still_api.patch("/tickets/1", json={"title": "new"}, headers={"if-match": etag})
    assert (answer.status_code, answer.json()["version"]) == (412, 1)
    assert still_api.get("/tickets/1").json()["version"] == 1


@pytest.mark.parametrize("etag", ["", "nonsense", '"1', '"1" "2"', "w/3", '*, "1"', "1x", '"1"' + " ," * 5000 + "x"])
def test_what_is_no_etag_is_refused(still_api: TestClient, etag: str) -> None:
    still_api.post("/logs", json=critical())
    answer = still_api.patch("/tickets/1", json={"title": "new"}, headers={"if-match": etag})
    assert answer.status_code == 422


def test_counting_on_an_alert_leaves_the_etag_alone(api: TestClient) -> None:
    api.post("/logs", json=critical())
    etag = api.get("/tickets/1").headers["etag"]
    api.post("/logs", json=[critical()] * 50)
    assert api.patch("/tickets/1", json={"status": "IN_PROGRESS"}, headers={"if-match": etag}).status_code == 200


def test_a_resolved_ticket_is_reopened_with_a_reason(api: TestClient) -> None:
    api.post("/logs", json=critical())
    assert api.post("/tickets/1/reopen", json={"reason": "it is back"}).status_code == 409
    walk(api, 1, "IN_PROGRESS", "RESOLVED")
    assert api.post("/tickets/1/reopen", json={}).status_code == 422
    answer = api.post("/tickets/1/reopen", json={"reason": "it is back", "assignee": "rui"})

    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["assignee"], answer.json()["reopen_count"]) == (
        "IN_PROGRESS",
        "rui",
        1,
    )
    last = api.get("/tickets/1/events").json()["items"][-1]
    assert (last["kind"], last["actor"], last["data"]["reason"]) == ("TicketReopened", "local:admin", "it is back")


def test_a_repeat_with_the_same_idempotency_key_opens_and_reopens_once(api: TestClient) -> None:
    opened = [api.post("/tickets", json={"title": "once"}, headers={"idempotency-key": "k1"}) for _ in range(3)]
    assert [answer.status_code for answer in opened] == [201] * 3
    assert len({answer.text for answer in opened}) == 1
    assert {answer.headers["etag"] for answer in opened} == {'"1"'}
    assert [answer.headers.get("idempotency-replayed") for answer in opened] == [None, "true", "true"]
    assert len(api.get("/tickets").json()["items"]) == 1

    walk(api, 1, "IN_PROGRESS", "RESOLVED")
    reopened = [
        api.post("/tickets/1/reopen", json={"reason": "r"}, headers={"idempotency-key": "k2"}) for _ in range(2)
    ]
    assert [answer.status_code for answer in reopened] == [200, 200]
    assert api.get("/tickets/1").json()["reopen_count"] == 1

    other = api.post("/tickets", json={"title": "twice"}, headers={"idempotency-key": "k1"})
    assert (other.status_code, other.json()["type"]) == (422, "urn:tocsin:problem:idempotency-mismatch")


def test_a_refused_change_keeps_no_idempotency_key(api: TestClient) -> None:
    api.post("/tickets", json={"title": "one"})
    key = {"idempotency-key": "k"}
    assert api.post("/tickets/1/reopen", json={"reason": "r"}, headers=key).status_code == 409
    walk(api, 1, "IN_PROGRESS", "RESOLVED")
    assert api.post("/tickets/1/reopen", json={"reason": "r"}, headers=key).status_code == 200


@pytest.mark.parametrize("path", ["/tickets/7", "/tickets/7/events", "/alerts/7"])
def test_what_is_not_there_is_answered_404(still_api: TestClient, path: str) -> None:
    answer = still_api.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert "7" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/tickets/7", {"title": "x"}), ("PATCH", "/tickets/7", {}),
        ("PATCH", "/tickets/7/priority", {"priority": "P1"}), ("POST", "/tickets/7/reopen", {"reason": "r"}),
    ],
)  # fmt: skip
def test_a_change_of_a_ticket_that_is_not_there_is_answered_404(
    still_api: TestClient, method: str, path: str, body: Any
) -> None:
    assert still_api.request(method, path, json=body).status_code == 404


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"status": "DONE"}, "/status"), ({"title": None}, "/title"), ({"description": None}, "/description"),
        ({"title": ""}, "/title"), ({"title": "x" * 201}, "/title"), ({"assignee": ""}, "/assignee"),
        ({"colour": "red"}, "/colour"), ({"status": 1}, "/status"), ({"description": "x" * 20_001}, "/description"),
    ],
)  # fmt: skip
def test_a_bad_edit_is_answered_422_with_a_pointer(still_api: TestClient, body: dict[str, Any], pointer: str) -> None:
    still_api.post("/logs", json=critical())
    answer = still_api.patch("/tickets/1", json=body)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


@pytest.fixture
def board(api: TestClient, clock: FakeClock) -> TestClient:
    for n, priority in enumerate(["P3", "P1", "P5", "P1", "P2"]):
        assignee = "ana" if n == 2 else None
        service = ["shop", "mail"][n % 2]
        api.post(
            "/tickets", json={"title": f"Ticket {n}", "priority": priority, "service": service, "assignee": assignee}
        )
        clock.advance(minutes=1)
    walk(api, 1, "IN_PROGRESS")
    walk(api, 2, "IN_PROGRESS", "RESOLVED")
    return api


BOARD = [
    ("", [5, 4, 3, 2, 1]), ("order=asc", [1, 2, 3, 4, 5]), ("status=OPEN", [5, 4, 3]),
    ("status=in_progress,RESOLVED", [2, 1]), ("priority=P1,P5", [4, 3, 2]), ("priority=critical", [4, 2]),
    ("service=mail", [4, 2]), ("assignee=ana", [3]), ("assignee=none", [5, 4, 2, 1]), ("text=ticket%203", [4]),
    ("sort=priority", [2, 4, 5, 1, 3]), ("sort=priority&order=desc", [3, 1, 5, 4, 2]),
    ("sort=updated", [2, 1, 5, 4, 3]), ("opened_since=2026-11-24T02:23:00Z", [5, 4, 3]),
    ("opened_until=2026-11-24T02:23:00Z", [2, 1]), ("opened_since=4m", [5, 4, 3, 2]),
    ("opened_since=2026-11-24T03:23:00%2B01:00", [5, 4, 3]), ("opened_since=2026-11-24T03:23:00+01:00", [5, 4, 3]),
    ("status=OPEN&priority=P1&service=mail", [4]), ("text=100%25", []),
]  # fmt: skip


def test_tickets_are_filtered_and_sorted(board: TestClient) -> None:
    for query, ids in BOARD:
        answer = board.get(f"/tickets?{query}")
        assert answer.status_code == 200, answer.text
        assert [ticket["id"] for ticket in answer.json()["items"]] == ids, query
        paged, cursor = [], ""
        while cursor is not None:
            page = board.get(f"/tickets?{query}&limit=2" + (f"&cursor={cursor}" if cursor else "")).json()
            paged += [ticket["id"] for ticket in page["items"]]
            assert len(paged) <= 5, "pages without end"
            cursor = page["next"]
        assert paged == ids, query


@pytest.mark.parametrize(
    "query",
    ["status=DONE", "status=OPEN,", "priority=P9", "priority=,", "sort=age", "order=up", "limit=0", "limit=1001",
     "cursor=x", "opened_since=soon", "stauts=OPEN", "assignee=", "text="],
)  # fmt: skip
def test_a_bad_query_is_answered_422(still_api: TestClient, query: str) -> None:
    answer = still_api.get(f"/tickets?{query}")
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"]


def test_the_timeline_is_paged_oldest_first(board: TestClient) -> None:
    first = board.get("/tickets/2/events?limit=2").json()
    second = board.get("/tickets/2/events", params={"limit": 2, "cursor": first["next"]}).json()
    assert [event["kind"] for event in first["items"] + second["items"]] == [
        "TicketOpened",
        "TicketMoved",
        "TicketMoved",
    ]
    assert second["next"] is None
    assert set(first["items"][0]) == {"id", "at", "recorded_at", "kind", "actor", "cause_id", "data"}


def test_alerts_are_listed_filtered_and_shown(api: TestClient, clock: FakeClock) -> None:
    for n, word in enumerate("abc"):
        api.post("/logs", json=[critical(f"{word} broke", service=f"s{n}")] * (n + 1))
        clock.advance(minutes=1)
    walk(api, 1, "IN_PROGRESS", "RESOLVED")

    def found(query: str) -> list[int]:
        answer = api.get(f"/alerts?{query}")
        assert answer.status_code == 200, answer.text
        return [alert["id"] for alert in answer.json()["items"]]

    assert found("") == [3, 2, 1]
    assert found("status=firing") == [3, 2]
    assert found("status=resolved") == [1]
    assert found("service=s1") == [2]
    assert found(f"since={(START + timedelta(minutes=1)).isoformat().replace('+', '%2B')}") == [3, 2]
    assert found("since=2m") == [3, 2]
    assert found("ticket_id=2&rule=critical-logs") == [2]
    assert found("suppressed_by=storm:12") == found("suppressed_by=silence") == []
    page = api.get("/alerts?limit=2").json()
    assert found(f"limit=2&cursor={page['next']}") == [1]
    alert = api.get("/alerts/3").json()
    assert (alert["count"], alert["level"], alert["priority"], alert["status"]) == (3, "CRITICAL", "P2", "firing")
    assert len(alert["sample_log_ids"]) == 3
    assert all(api.get(f"/logs/{record_id}").status_code == 200 for record_id in alert["sample_log_ids"])
    for bad in ("status=open", "since=x", "colour=red", "limit=0", "cursor=x", "ticket_id=0", "suppressed_by=ana"):
        assert api.get(f"/alerts?{bad}").status_code == 422
