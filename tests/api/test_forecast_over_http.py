"""Forecasts of open tickets over HTTP."""

from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from desk import START, FakeClock
from tocsin.kit.clock import iso


@pytest.fixture
def past(api: TestClient) -> TestClient:
    """Forty tickets of `pay` that took 1 to 40 hours, ten of another service that took a minute."""
    opened = START - timedelta(days=30)
    taken = [("pay", timedelta(hours=n)) for n in range(1, 41)] + [("mail", timedelta(minutes=1))] * 10
    tickets: list[Any] = [
        {"external_id": str(n), "title": "t", "priority": "P2", "service": service, "status": "RESOLVED",
         "opened_at": iso(opened), "resolved_at": iso(opened + took)}
        for n, (service, took) in enumerate(taken)
    ]  # fmt: skip
    assert api.post("/tickets/import", json={"source": "old", "tickets": tickets}).json()["created"] == 50
    return api


def opened(api: TestClient, **fields: Any) -> int:
    answer = api.post("/tickets", json={"title": "t", "priority": "P2", "service": "pay", **fields})
    return int(answer.json()["id"])


def test_an_open_ticket_is_compared_with_past_ones_of_its_kind(past: TestClient, clock: FakeClock) -> None:
    past.put("/sla/policies/all", json={"resolve_s": 30 * 3600})
    ticket_id = opened(past)
    clock.advance(hours=10)
    said = past.get(f"/tickets/{ticket_id}/forecast").json()
    assert (said["rests_on"], said["tickets"], said["open_s"]) == ("of P2, service pay", 40, 36_000)
    assert said["breach_probability"] == pytest.approx(1 / 3, abs=0.01)
    assert (said["expected_s"], said["remaining_s"]) == (25 * 3600, 15 * 3600)
    clock.advance(hours=20)
    assert past.get(f"/tickets/{ticket_id}/forecast").json()["breach_probability"] == 1


def test_the_open_tickets_that_will_probably_be_late_come_first(past: TestClient, clock: FakeClock) -> None:
    assert past.get("/reports/forecast").json()["items"] == []
    past.put("/sla/policies/all", json={"resolve_s": 30 * 3600})
    first, second = opened(past), opened(past, title="later")
    clock.advance(hours=10)
    third, over = opened(past), opened(past)
    for status in ("IN_PROGRESS", "RESOLVED"):
        past.patch(f"/tickets/{over}", json={"status": status})
    past.post(f"/tickets/{second}/hold", json={"reason": "we wait"})  # it is due at no known time
    items = past.get("/reports/forecast").json()["items"]
    assert [one["ticket_id"] for one in items] == [first, third]
    for one in items:
        alone = past.get(f"/tickets/{one['ticket_id']}/forecast").json()
        assert {name: one[name] for name in alone} == alone
    assert [one["ticket_id"] for one in past.get("/reports/forecast?limit=1").json()["items"]] == [first]


def test_where_few_are_alike_wider_kinds_are_asked_and_without_a_policy_nothing_can_breach(past: TestClient) -> None:
    said = past.get(f"/tickets/{opened(past, service='mail')}/forecast").json()
    assert (said["rests_on"], said["tickets"], said["breach_probability"]) == ("of P2", 50, None)
    said = past.get(f"/tickets/{opened(past, priority='P5', service=None)}/forecast").json()
    assert (said["rests_on"], said["due_at"]) == ("of any kind", None)


def test_without_a_past_nothing_is_said_and_of_what_is_over_neither(api: TestClient) -> None:
    ticket_id = opened(api)
    said = api.get(f"/tickets/{ticket_id}/forecast").json()
    assert (said["tickets"], said["rests_on"], said["expected_s"]) == (0, None, None)
    for status in ("IN_PROGRESS", "RESOLVED"):
        api.patch(f"/tickets/{ticket_id}", json={"status": status})
    assert api.get(f"/tickets/{ticket_id}/forecast").status_code == 409
    assert api.get("/tickets/999/forecast").status_code == 404
