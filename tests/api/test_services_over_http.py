"""Services over HTTP: declared, replaced, changed, removed; rings; what depends on what; on their tickets."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from desk import critical


def put(api: TestClient, name: str, **fields: Any) -> Any:
    answer = api.put(f"/services/{name}", json=fields)
    assert answer.status_code in {200, 201}, answer.text
    return answer


def test_a_service_is_declared_and_shown_with_what_needs_it_and_its_open_tickets(api: TestClient) -> None:
    made = put(api, "payments", team="pay", tier=1, depends_on=["postgres", "Ledger"], runbook_url="https://x.org/p")
    assert (made.status_code, made.json()["depends_on"]) == (201, ["Ledger", "postgres"])
    put(api, "web", depends_on=["Payments"])
    api.post("/logs", json=[critical("one"), critical("two", service="PAYMENTS"), critical("three")])
    for status in ("IN_PROGRESS", "RESOLVED"):
        api.patch("/tickets/1", json={"status": status})

    shown = api.get("/services/PAYMENTS")
    assert shown.headers["etag"] == made.headers["etag"]
    assert shown.json() == {**made.json(), "dependants": ["web"], "open_tickets": 2}


def test_put_makes_replaces_and_leaves_alone(api: TestClient) -> None:
    first = put(api, "web", team="shop")
    again = put(api, "web", team="shop")
    assert (first.status_code, again.status_code, again.json()) == (201, 200, first.json())
    etag = first.headers["etag"]
    changed = api.put("/services/web", json={"tier": 2}, headers={"If-Match": etag})
    assert (changed.status_code, changed.json()["team"]) == (200, None)
    stale = api.put("/services/web", json={}, headers={"If-Match": etag})
    assert (stale.status_code, stale.json()["version"]) == (412, changed.json()["version"])
    assert api.put("/services/none", json={}, headers={"If-Match": etag}).status_code == 404


def test_patch_changes_what_it_names(api: TestClient) -> None:
    etag = put(api, "web", team="shop", depends_on=["api"]).headers["etag"]
    changed = api.patch("/services/Web", json={"tier": 3, "team": None}, headers={"If-Match": etag}).json()
    assert (changed["tier"], changed["team"], changed["depends_on"]) == (3, None, ["api"])
    assert api.patch("/services/web", json={"tier": 4}, headers={"If-Match": etag}).status_code == 412
    assert api.patch("/services/web", json={"depends_on": None}).status_code == 422
    assert api.patch("/services/nothing", json={}).status_code == 404


def test_a_removed_service_is_gone_and_answers_with_what_it_was(api: TestClient) -> None:
    made = put(api, "a/b c", team="shop")
    assert api.delete("/services/a/b c", headers={"If-Match": '"0"'}).status_code == 412
    assert api.delete("/services/a%2Fb%20c").json() == made.json()
    assert [api.get("/services/a/b c").status_code, api.delete("/services/a/b c").status_code] == [404, 404]


def test_services_are_listed_filtered_and_paged(api: TestClient) -> None:
    put(api, "b", team="x", depends_on=["db"])
    put(api, "A", tier=1)
    put(api, "c", team="x")
    first = api.get("/services", params={"limit": 2}).json()
    rest = api.get("/services", params={"cursor": first["next"]}).json()
    assert [one["name"] for one in first["items"] + rest["items"]] == ["A", "b", "c"]
    for filters, found in (({"team": "x"}, ["b", "c"]), ({"tier": 1}, ["A"]), ({"depends_on": "DB"}, ["b"])):
        assert [one["name"] for one in api.get("/services", params=filters).json()["items"]] == found
    assert api.get("/services", params={"tier": 6}).status_code == 422


def test_a_ring_is_refused_at_its_field(api: TestClient) -> None:
    put(api, "web", depends_on=["api"])
    put(api, "api", depends_on=["db"])
    refused = api.put("/services/db", json={"depends_on": ["web"]})
    assert refused.status_code == 422
    [error] = refused.json()["errors"]
    assert error == {"pointer": "/depends_on", "detail": "makes a ring: db → web → api → db"}
    assert api.get("/services/db").status_code == 404


def test_dependencies_are_told_in_both_directions(api: TestClient) -> None:
    put(api, "web", depends_on=["shop/api"])
    put(api, "shop/api", depends_on=["db"], tier=2)
    told = api.get("/services/shop/api/dependencies").json()
    assert told["name"] == "shop/api"
    assert told["depends_on"] == [
        {"name": "db", "declared": False, "team": None, "tier": None, "steps": 1, "way": ["shop/api", "db"]}
    ]
    assert [(one["name"], one["way"]) for one in told["dependants"]] == [("web", ["shop/api", "web"])]
    assert api.get("/services/nothing/dependencies").status_code == 404


def test_a_ticket_shows_what_is_declared_of_its_service(api: TestClient) -> None:
    api.post("/logs", json=critical(service="Payments"))
    assert api.get("/tickets/1").json()["service_info"] is None
    put(api, "payments", team="pay", tier=1, runbook_url="https://x.org/p")
    told = {"name": "payments", "team": "pay", "tier": 1, "runbook_url": "https://x.org/p"}
    assert api.get("/tickets/1").json()["service_info"] == told
    by_hand = api.post("/tickets", json={"title": "x"}).json()["id"]
    assert api.get(f"/tickets/{by_hand}").json()["service_info"] is None


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"tier": 0}, "/tier"),
        ({"tier": 2**70}, "/tier"),
        ({"depends_on": ["a", "A"]}, "/depends_on"),
        ({"depends_on": [""]}, "/depends_on"),
        ({"depends_on": [1]}, "/depends_on/0"),
        ({"runbook_url": "x"}, "/runbook_url"),
        ({"team": ""}, "/team"),
        ({"teem": "x"}, "/teem"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(api: TestClient, fields: dict[str, Any], pointer: str) -> None:
    answer = api.put("/services/web", json=fields)
    assert (answer.status_code, [error["pointer"] for error in answer.json()["errors"]]) == (422, [pointer])


@pytest.mark.parametrize("name", ["%00", "%20x", "a%09b", "a//b", "x" * 257])
def test_a_name_that_no_service_can_have_is_refused(api: TestClient, name: str) -> None:
    assert api.put(f"/services/{name}", json={}).status_code == 422
