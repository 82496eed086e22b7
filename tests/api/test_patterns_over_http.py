"""Patterns over HTTP: found, read, merged, split, undone."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from desk import FakeClock, info, wait_until
from tocsin.settings import Settings


@pytest.fixture
def filled(api: TestClient, clock: FakeClock) -> TestClient:
    orders = [info(f"order {n} paid by card {n * 7}", service="shop") for n in range(5)]
    logins = [info(f"login from 10.0.0.{n} accepted", service="accounts") for n in range(3)]
    api.post("/logs", json=[*orders, *logins])
    clock.advance(minutes=11)
    wait_until(lambda: len(get(api, "/patterns")["items"]) == 2)
    return api


def get(api: TestClient, path: str, **query: Any) -> Any:
    answer = api.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def of(api: TestClient, **query: Any) -> dict[str, int]:
    return {item["template"]: item["count"] for item in get(api, "/patterns", **query)["items"]}


def test_patterns_are_listed_with_their_counts_and_trend(filled: TestClient) -> None:
    page = get(filled, "/patterns")
    assert page["next"] is None
    first = page["items"][0]
    assert (first["template"], first["count"], first["services"]) == ("order <*> paid by card <*>", 5, ["shop"])
    assert first["trend"]["counts"] == [0] * 23 + [5]
    assert (first["trend"]["recent"], first["trend"]["before"]) == (5, 0)
    assert first["example"] == {"log_id": first["example"]["log_id"], "message": "order 0 paid by card 0"}
    assert get(filled, f"/logs/{first['example']['log_id']}")["message"] == "order 0 paid by card 0"
    assert of(filled, q="LOGIN") == of(filled, service="accounts") == {"login from <*> accepted": 3}
    assert of(filled, since="2h") == of(filled)
    assert of(filled, until="2h") == {}
    limited = get(filled, "/patterns", sort="trend", limit=1)
    assert list(of(filled, sort="trend", limit=1, cursor=limited["next"])) == ["login from <*> accepted"]
    first_and_last = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
    assert of(filled, since=first_and_last[0], until=first_and_last[1]) == of(filled)
    assert of(filled, since=first_and_last[1], until=first_and_last[0]) == {}
    assert filled.get("/patterns", params={"sort": "colour"}).status_code == 422
    assert filled.get("/patterns", params={"sort": "count", "cursor": limited["next"]}).status_code == 422


def test_a_patterns_expression_matches_its_messages_and_no_others(filled: TestClient) -> None:
    orders, logins = (get(filled, f"/patterns/{item['id']}") for item in get(filled, "/patterns")["items"])
    assert re.search(orders["regex"], "order 17 paid by card 4")
    assert re.search(orders["regex"], "order 17 paid by card 4\nand more")
    assert not re.search(orders["regex"], "reorder 17 paid by card 4")
    assert not re.search(orders["regex"], "login from here accepted")
    assert logins["by_service"] == {"accounts": 3}
    assert sum(hour["count"] for hour in logins["hours"]) == 3
    assert filled.get("/patterns/999").status_code == 404


def test_merging_splitting_and_undoing_name_who_did_it(filled: TestClient) -> None:
    orders, logins = (item["id"] for item in get(filled, "/patterns")["items"])
    merged = filled.post(f"/patterns/{logins}/merge", json={"into": orders})
    assert merged.status_code == 201, merged.text
    change = merged.json()
    assert (change["kind"], change["actor"]) == ("merge", "local:admin")
    assert of(filled) == {"order <*> paid by card <*>": 8}
    detail = get(filled, f"/patterns/{logins}")  # answered by what stands for it
    assert detail["id"] == orders
    assert [alias["template"] for alias in detail["aliases"]] == ["login from <*> accepted"]
    again = filled.post(f"/patterns/{logins}/merge", json={"into": orders})
    assert (again.status_code, again.headers["content-type"]) == (409, "application/problem+json")

    undone = filled.post(f"/patterns/undo/{change['id']}")
    assert undone.json()["undone_by"] == "local:admin"
    assert of(filled) == {"order <*> paid by card <*>": 5, "login from <*> accepted": 3}
    assert filled.post(f"/patterns/undo/{change['id']}").status_code == 409
    assert filled.post("/patterns/undo/999").status_code == 404

    split = filled.post(f"/patterns/{orders}/split", json={"template": "order 7 paid by card <*>"})
    assert split.status_code == 201
    assert get(filled, f"/patterns/{split.json()['pattern_id']}")["count"] == 0
    assert [one["kind"] for one in get(filled, f"/patterns/{orders}")["changes"]] == ["merge", "split"]
    refused = filled.post(f"/patterns/{orders}/split", json={"template": "something else"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/template"


def test_a_repeat_with_an_idempotency_key_merges_once(filled: TestClient) -> None:
    orders, logins = (item["id"] for item in get(filled, "/patterns")["items"])
    first, second = (
        filled.post(f"/patterns/{logins}/merge", json={"into": orders}, headers={"idempotency-key": "k"})
        for _ in range(2)
    )
    assert first.json() == second.json()
    assert second.status_code == 201


def test_counts_are_there_after_a_restart(
    sqlite_settings: Settings, open_api: Callable[..., TestClient], clock: FakeClock
) -> None:
    api = open_api(sqlite_settings, clock=clock)
    api.post("/logs", json=[info("tick 1"), info("tick 2")])
    clock.advance(minutes=11)
    wait_until(lambda: of(api) == {"tick <*>": 2})
    api.__exit__(None, None, None)
    assert of(open_api(sqlite_settings, clock=clock)) == {"tick <*>": 2}
