"""Explanations over HTTP: as they are described, and for what is not there."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from desk import START, FakeClock, critical, info
from tocsin.kit.clock import iso
from tocsin.settings import Settings
from tocsin.web.explain_schemas import AlertExplainedOut, LedgerOut, LogExplainedOut, TicketExplainedOut


def test_a_record_and_its_alert_are_explained_as_the_description_says(api: TestClient) -> None:
    api.post("/rules", json={"name": "many", "kind": "threshold", "threshold": 9, "window_s": 60, "condition": "lost"})
    record = api.post("/logs", json=critical(attributes={"region": "eu"})).json()
    api.post("/logs", json=info())

    told = api.get(f"/logs/{record['id']}/explain")
    assert told.headers["content-type"] == "application/json"
    LogExplainedOut.model_validate_json(told.content, extra="forbid")
    assert told.json()["record"] == record
    rules = {rule["rule"]: rule for rule in told.json()["rules"]}
    assert (rules["critical-logs"]["ticket"]["id"], rules["many"]["verdict"]["verdict"]) == (1, "pending")
    assert rules["many"]["window"]["hits_now"] == 1

    alert = api.get("/alerts/1/explain")
    AlertExplainedOut.model_validate_json(alert.content, extra="forbid")
    assert (alert.json()["first_record"], alert.json()["ticket"]["how"]) == (record, "opened")

    ticket = api.get("/tickets/1/explain")
    TicketExplainedOut.model_validate_json(ticket.content, extra="forbid")
    assert (ticket.json()["first_record"], ticket.json()["alerts"][0]["how"]) == (record, "opened")


@pytest.mark.parametrize("path", ["/logs/99/explain", "/alerts/99/explain", "/tickets/99/explain"])
def test_what_is_not_there_is_not_found(api: TestClient, path: str) -> None:
    answer = api.get(path)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:tocsin:problem:not-found")


def test_the_ledger_is_as_described_and_refuses_what_it_does_not_know(api: TestClient, clock: FakeClock) -> None:
    api.post("/logs", json=[critical(), info()])
    clock.advance(seconds=1)
    found = api.get("/ledger", params={"since": "1h"})
    LedgerOut.model_validate_json(found.content, extra="forbid")
    assert (found.json()["balanced"], found.json()["stored"]) == (True, 2)
    assert api.get("/ledger", params={"since": "1970-01-01T00:00:00Z"}).json()["stored"] == 2
    assert api.get("/ledger", params={"until": "1h"}).json()["hours"] == []
    assert api.get("/ledger", params={"sinze": "1h"}).status_code == 422
    for backwards in (
        {"since": "1h", "until": "2h"},
        {"since": "2h", "until": "2h"},
        {"since": "2031-01-01T00:00:00Z"},
    ):
        refused = api.get("/ledger", params=backwards)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "since")


def test_a_span_that_takes_longer_than_a_search_may_is_told_as_far_as_it_got(
    settings: Settings, open_api: Callable[..., TestClient], clock: FakeClock
) -> None:
    quick = settings.model_copy(update={"search_seconds": 0.0})  # over when it begins
    api = open_api(quick, clock=clock)
    for _ in range(3):
        api.post("/logs", json=[critical(), info(source="agent")])
        clock.advance(hours=1)
    verified, since = [], iso(START - timedelta(hours=1))
    while True:
        part = api.get("/ledger", params={"since": since}).json()
        verified.append(part)
        if not part["partial"]:
            break
        since = part["reached"]
    assert sum(part["accepted"] for part in verified) == sum(part["stored"] for part in verified) == 6
    assert {line["source"] for part in verified for hour in part["hours"] for line in hour["sources"]} == {
        "(none)",
        "agent",
    }
