"""What was changed in services: recorded, found page by page, seen in the timelines of tickets."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from desk import ANA, FakeClock, critical
from tocsin.storage.database import Database
from tocsin.tickets import change_service
from tocsin.tickets.change_store import ChangeQuery


def recorded(api: TestClient, summary: str = "Deploy", **fields: Any) -> Any:
    answer = api.post("/changes", json={"service": "payments", "summary": summary, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


def listed(api: TestClient, **query: Any) -> list[str]:
    answer = api.get("/changes", params=query)
    assert answer.status_code == 200, answer.text
    return [one["summary"] for one in answer.json()["items"]]


def test_changes_are_recorded_once_and_found(api: TestClient, clock: FakeClock) -> None:
    body = {"service": "payments", "summary": "Deploy", "ref": "v2", "author": "ana", "attributes": {"canary": True}}
    answers = [api.post("/changes", json=body, headers={"Idempotency-Key": "ci-481"}) for _ in range(2)]
    assert [(one.status_code, one.headers["location"]) for one in answers] == [(201, "/changes/1")] * 2
    assert api.get("/changes/1").json()["attributes"] == {"canary": True}
    clock.advance(hours=1)
    recorded(api, "Migration", service="Payments", at="2026-11-24T02:00:00Z")
    recorded(api, "Switch", service="shop", url="https://ci.example.org/1")
    assert listed(api) == ["Switch", "Deploy", "Migration"]
    assert listed(api, service="PAYMENTS") == ["Deploy", "Migration"]
    assert listed(api, author="ana") == listed(api, ref="v2") == listed(api, since="70m", until="1s") == ["Deploy"]
    first = api.get("/changes", params={"limit": 2}).json()
    assert listed(api, limit=2, cursor=first["next"]) == ["Migration"]
    assert api.get("/changes/9").status_code == 404
    for bad in ({"at": "2200-01-01T00:00:00Z"}, {"at": "1999-01-01T00:00:00Z"}, {"url": "ftp://x"}, {"summary": " "},
                {"attributes": {"a": [1]}}, {"attributes": {"a": "b\0"}}, {"version": "2"}):  # fmt: skip
        refused = api.post("/changes", json={**body, **bad})
        assert refused.status_code == 422, bad
        assert next(iter(bad)) in refused.json()["errors"][0]["pointer"]


def test_a_change_stands_in_the_timelines_of_its_services_tickets(api: TestClient, clock: FakeClock) -> None:
    recorded(api, "long before")
    clock.advance(minutes=31)
    recorded(api, "shortly before", service="PAYMENTS")
    recorded(api, "elsewhere", service="shop")
    clock.advance(minutes=10)
    api.post("/logs", json=critical())
    version = api.get("/tickets/1").headers["etag"]
    clock.advance(minutes=5)
    recorded(api, "rolled back", ref="v1")
    clock.advance(minutes=1)
    api.patch("/tickets/1", json={"status": "IN_PROGRESS"})
    clock.advance(minutes=5)
    api.patch("/tickets/1", json={"status": "RESOLVED"})
    clock.advance(minutes=5)
    recorded(api, "afterwards")
    told, cursor = [], None
    while True:
        params = {"limit": 2} | ({} if cursor is None else {"cursor": cursor})
        page = api.get("/tickets/1/events", params=params).json()
        told += [one["data"]["summary"] if one["kind"] == "change" else one["kind"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert told == ["shortly before", "TicketOpened", "rolled back", "TicketMoved", "TicketMoved"]
    assert version == '"1"', "a change is no move of a ticket"


@pytest.mark.parametrize("days", [399, 401])
def test_changes_are_forgotten_after_four_hundred_days(database: Database, clock: FakeClock, days: int) -> None:
    database.write(lambda tx: change_service.record(tx, "payments", {"summary": "Deploy"}), actor=ANA)
    clock.advance(days=days)
    change_service.forget_old(database)
    found, _ = change_service.find(database, ChangeQuery(), cursor=None, limit=10)
    assert len(found) == (1 if days < 400 else 0)
