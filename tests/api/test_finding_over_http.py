"""Finding over HTTP: words, views, and similar tickets of the past."""

from typing import Any

from starlette.testclient import TestClient

from tocsin.access.policy import LOCAL_ADMIN


def opened(api: TestClient, title: str, **fields: Any) -> int:
    answer = api.post("/tickets", json={"title": title, **fields})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def ids(api: TestClient, **query: Any) -> list[int]:
    answer = api.get("/tickets", params=query)
    assert answer.status_code == 200, answer.text
    return [ticket["id"] for ticket in answer.json()["items"]]


def test_a_view_is_kept_used_changed_and_removed(api: TestClient) -> None:
    low, high = opened(api, "Disk full", priority="P4"), opened(api, "Checkout is blank", priority="P1")
    other = opened(api, "Disk slow", priority="P2")
    body = {"q": 'status:OPEN "disk"', "sort": "priority", "shared": True}
    made = api.put("/views/disks", json=body)
    assert (made.status_code, made.headers["location"], made.headers["etag"]) == (201, "/views/disks", '"1"')
    assert made.json() | body == made.json()
    assert (made.json()["order"], made.json()["owner"]) == ("asc", str(LOCAL_ADMIN))
    assert ids(api, view="disks") == [other, low]
    assert ids(api, view="disks", order="desc") == [low, other]
    assert ids(api, view="disks", sort="opened") == [other, low]
    assert ids(api, view="disks", q="priority:P4") == ids(api, view="disks", text="FULL") == [low]
    first = api.get("/tickets", params={"view": "disks", "limit": 1}).json()
    assert ids(api, view="disks", limit=1, cursor=first["next"]) == [low]
    assert api.put("/views/disks", json=body).headers["etag"] == '"1"'
    newer = api.put("/views/disks", json={**body, "q": "blank"}, headers={"If-Match": '"1"'})
    assert (newer.status_code, newer.headers["etag"], ids(api, view="disks")) == (200, '"2"', [high])
    assert api.put("/views/disks", json=body, headers={"If-Match": '"1"'}).status_code == 412
    assert api.put("/views/new", json=body, headers={"If-Match": '"1"'}).status_code == 404
    api.put("/views/all", json={"q": ""})
    page = api.get("/views", params={"limit": 1}).json()
    assert [view["name"] for view in page["items"]] == ["all"]
    rest = api.get("/views", params={"cursor": page["next"]}).json()
    assert ([view["name"] for view in rest["items"]], rest["next"]) == (["disks"], None)
    assert api.delete("/views/disks", headers={"If-Match": '"1"'}).status_code == 412
    assert api.delete("/views/disks").json()["q"] == "blank"
    assert api.get("/views/disks").status_code == api.get("/tickets", params={"view": "disks"}).status_code == 404
    assert api.put("/views/disks", json=body).json()["version"] == 3  # what was seen before it went is not this one


def test_a_view_that_can_not_be_read_is_refused_with_the_place(api: TestClient) -> None:
    for q, said in (("status:OPEN (", "column 14"), ("stauts:OPEN", "did you mean status?"), ("a:/x/", "column 1")):
        answer = api.put("/views/mine", json={"q": q})
        assert answer.status_code == 422, answer.text
        [error] = answer.json()["errors"]
        assert error["pointer"] == "/q"
        assert said in error["detail"], error
    for name, body in (("Mine", {"q": ""}), ("mine", {}), ("mine", {"q": "", "sort": "title"}), ("mine", {"q": 1})):
        assert api.put(f"/views/{name}", json=body).status_code == 422
    assert api.get("/views").json() == {"items": [], "next": None}


def test_similar_tickets_are_shown_with_their_resolution_and_why(api: TestClient) -> None:
    old, new = opened(api, "Checkout is blank", service="shop"), opened(api, "Checkout is blank again", service="shop")
    for change in ({"status": "IN_PROGRESS"}, {"status": "RESOLVED", "resolution_code": "fixed"}):
        api.patch(f"/tickets/{old}", json=change)
    [found] = api.get(f"/tickets/{new}/similar", params={"limit": 5}).json()["items"]
    assert (found["ticket_id"], found["status"], found["resolution_code"]) == (old, "RESOLVED", "fixed")
    assert (found["resolved_by"], found["time_to_resolve_s"]) == (str(LOCAL_ADMIN), 0.0)
    assert [reason["kind"] for reason in found["reasons"]] == ["service", "words"]
    assert 0 < found["score"] <= 1
    assert api.get("/tickets/99/similar").status_code == 404
    assert api.get(f"/tickets/{new}/similar", params={"limit": 101}).status_code == 422
