"""Templates over HTTP: saved, tried, refused with the line that is wrong."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from desk import critical
from tocsin.settings import Settings

MINE = {"title": "[{{ ticket.priority }}] {{ ticket.title }}", "text": "{{ record.message }}"}


def test_a_template_is_saved_shown_replaced_listed_and_removed(api: TestClient) -> None:
    made = api.put("/templates/mine", json={**MINE, "payload": {"n": "{{ records }}"}})
    assert (made.status_code, made.json()["version"], made.headers["etag"]) == (201, 1, '"1"')
    assert api.put("/templates/mine", json={**MINE, "payload": {"n": "{{ records }}"}}).json() == made.json()
    assert api.get("/templates/mine").json() == made.json()
    changed = api.put("/templates/mine", json=MINE, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.json()["version"], changed.json()["payload"]) == (200, 2, None)
    assert api.put("/templates/mine", json={}, headers={"If-Match": '"1"'}).status_code == 412
    api.put("/templates/a", json={})
    first = api.get("/templates", params={"limit": 1}).json()
    rest = api.get("/templates", params={"cursor": first["next"]}).json()
    assert [one["name"] for one in first["items"] + rest["items"]] == ["a", "mine"]
    assert api.delete("/templates/mine", headers={"If-Match": '"1"'}).status_code == 412
    assert api.delete("/templates/mine").json() == changed.json()
    assert api.get("/templates/mine").status_code == 404
    assert api.put("/templates/Not OK", json={}).status_code == 422


@pytest.fixture
def embedded(sqlite_settings: Settings, open_api: Callable[..., TestClient]) -> TestClient:
    return open_api(sqlite_settings)


def test_a_template_that_can_not_work_is_refused_with_its_line(embedded: TestClient) -> None:
    broken: dict[str, Any] = {"text": "fine\n{{ ticekt.id }}", "payload": {"a": ["{% for %}"]}}
    refused = embedded.put("/templates/mine", json=broken)
    assert refused.status_code == 422
    errors = {error["pointer"]: error["detail"] for error in refused.json()["errors"]}
    assert errors.keys() == {"/text", "/payload/a/0"}
    assert errors["/text"].startswith("line 2: 'ticekt' is not known")
    assert embedded.get("/templates/mine").status_code == 404


def test_a_preview_shows_what_would_be_said_and_saves_nothing(embedded: TestClient) -> None:
    shown = embedded.post("/templates/preview", json=MINE).json()
    assert (shown["title"], shown["text"]) == (
        "[P2] payments: database connection lost", "database connection lost: timeout after 30 s")  # fmt: skip
    assert shown["problems"] == []
    embedded.post("/logs", json=critical("the disk is full"))
    real = embedded.post("/templates/preview", json={**MINE, "ticket_id": 1, "kind": "opened"}).json()
    assert (real["title"], real["text"]) == ("[P2] payments: the disk is full", "the disk is full")
    assert embedded.post("/templates/preview", json={"ticket_id": 9}).status_code == 404
    assert embedded.post("/templates/preview", json={"name": "none"}).status_code == 404
    for kind in ("reopened", "resolved", "sla", "notice", "code", "test", "updated"):
        assert embedded.post("/templates/preview", json={"kind": kind}).json()["problems"] == []
    assert embedded.get("/templates").json()["items"] == []


def test_a_preview_of_a_broken_template_shows_what_is_sent_instead_and_why(embedded: TestClient) -> None:
    shown = embedded.post("/templates/preview", json={"text": "x\n{{ records / 0 }}"}).json()
    assert shown["problems"] == [{"part": "/text", "detail": "line 2: division by zero", "line": 2}]
    assert "database connection lost" in shown["text"]
    assert "could not be used" in shown["text"]
    broken = embedded.post("/templates/preview", json={"title": "{{ x }}"}).json()
    assert [(one["part"], one["line"]) for one in broken["problems"]] == [("/title", 1)]
    assert "could not be used" in broken["text"]
