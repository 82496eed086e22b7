"""Heartbeats over HTTP: a job checks in with one request and nothing else."""

from starlette.testclient import TestClient


def test_a_check_in_makes_the_heartbeat_and_says_when_the_next_is_due(api: TestClient) -> None:
    answer = api.post("/heartbeats/backup", params={"interval_s": 600, "grace_s": 60, "message": "12 GB"})
    assert answer.status_code == 201, answer.text
    kept = answer.json()
    assert kept == {
        "name": "backup",
        "log_id": 1,
        "at": "2026-11-24T02:21:00Z",
        "next_due_at": "2026-11-24T02:31:00Z",
    }
    assert answer.headers["location"] == "/logs/1"
    record = api.get("/logs/1").json()
    assert (record["service"], record["message"], record["source"]) == ("backup", "12 GB", "heartbeat")

    shown = api.get("/heartbeats/backup")
    assert (shown.headers["etag"], shown.json()["status"], shown.json()["last_log_id"]) == ('"1"', "up", 1)
    assert shown.json()["down_at"] == "2026-11-24T02:32:00Z"
    assert api.get("/heartbeats").json() == {"items": [shown.json()], "next": None}
    assert api.get("/rules/heartbeat-backup").json()["kind"] == "absence"


def test_a_repeat_with_the_same_key_is_one_check_in(api: TestClient) -> None:
    key = {"Idempotency-Key": "run-7"}
    first = api.post("/heartbeats/backup", headers=key)
    again = api.post("/heartbeats/backup", headers=key)
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert len(api.get("/logs").json()["items"]) == 1


def test_it_is_made_replaced_and_removed(api: TestClient) -> None:
    made = api.put("/heartbeats/backup", json={"interval_s": 300})
    assert (made.status_code, made.headers["location"], made.json()["status"]) == (201, "/heartbeats/backup", "waiting")
    assert made.json()["grace_s"] == 3600
    body = {"interval_s": 300, "grace_s": 60, "priority": "P1", "runbook_url": "https://wiki.example.org/b"}
    changed = api.put("/heartbeats/backup", json=body, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.json()["version"], changed.json()["priority"]) == (200, 2, "P1")
    assert api.put("/heartbeats/backup", json=body, headers={"If-Match": '"1"'}).status_code == 412
    assert api.put("/heartbeats/other", json=body, headers={"If-Match": '"1"'}).status_code == 404
    assert api.delete("/heartbeats/backup", headers={"If-Match": '"1"'}).status_code == 412
    assert api.delete("/heartbeats/backup").json()["name"] == "backup"
    assert [api.get("/heartbeats/backup").status_code, api.delete("/heartbeats/backup").status_code] == [404, 404]


def test_what_is_wrong_is_named(api: TestClient) -> None:
    assert api.post("/heartbeats/No").status_code == 422
    refused = api.post("/heartbeats/backup", params={"interval_s": 5})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/interval_s")
    assert api.post("/heartbeats/backup", params={"interval": 500}).status_code == 422
    assert api.put("/heartbeats/backup", json={"grace_s": -1}).status_code == 422
    api.put("/rules/heartbeat-backup", json={"condition": "x"})
    taken = api.post("/heartbeats/backup")
    assert (taken.status_code, taken.json()["type"]) == (409, "urn:tocsin:problem:conflict")
    assert api.get("/logs").json()["items"] == []
