"""What people do together over HTTP: comments, tags, teams, links, impact and urgency, resolutions."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from desk import FakeClock, critical


def opened(api: TestClient, **fields: Any) -> Any:
    answer = api.post("/tickets", json={"title": "it is down", **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


def patched(api: TestClient, ticket_id: int = 1, **fields: Any) -> Any:
    answer = api.patch(f"/tickets/{ticket_id}", json=fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def found(api: TestClient, **query: str) -> list[int]:
    answer = api.get("/tickets", params=query)
    assert answer.status_code == 200, answer.text
    return sorted(ticket["id"] for ticket in answer.json()["items"])


def kinds(api: TestClient, ticket_id: int = 1) -> list[str]:
    return [event["kind"] for event in api.get(f"/tickets/{ticket_id}/events").json()["items"]]


def test_comments_are_added_read_edited_and_deleted_and_the_timeline_tells(api: TestClient) -> None:
    opened(api)
    answer = api.post("/tickets/1/comments", json={"text": "The vendor **confirmed** it. <script>"})
    assert (answer.status_code, answer.headers["location"]) == (201, "/tickets/1/comments/1")
    [listed] = api.get("/tickets/1/comments", params={"html": True, "limit": 1000}).json()["items"]
    assert listed["html"] == "<p>The vendor <strong>confirmed</strong> it. &lt;script&gt;</p>\n"
    assert api.get("/tickets/1/comments/1", params={"html": True}).json() == listed
    assert api.get("/tickets/1/comments/1").json()["html"] is None
    api.post("/tickets/1/comments", json={"text": "Second."})
    edited = api.patch("/tickets/1/comments/1", json={"text": "They fixed it."}, headers={"If-Match": '"1"'})
    assert (edited.json()["version"], edited.json()["edited_at"] is None) == (2, False)
    assert api.patch("/tickets/1/comments/1", json={"text": "x"}, headers={"If-Match": '"1"'}).status_code == 412
    assert api.delete("/tickets/1/comments/2").json()["text"] == ""
    assert api.patch("/tickets/1/comments/2", json={"text": "again"}).status_code == 409
    page = api.get("/tickets/1/comments", params={"limit": 1}).json()
    assert [one["text"] for one in page["items"]] == ["They fixed it."]
    rest = api.get("/tickets/1/comments", params={"cursor": page["next"]}).json()["items"]
    assert [one["deleted_at"] is None for one in rest] == [False]
    assert kinds(api)[1:] == ["TicketCommented", "TicketCommented", "TicketCommentEdited", "TicketCommentDeleted"]


def test_a_comment_that_is_empty_too_long_or_of_another_ticket_is_refused(api: TestClient) -> None:
    opened(api)
    opened(api)
    for text in ("", "   ", "x" * 20_001, "a\0b"):
        assert api.post("/tickets/1/comments", json={"text": text}).status_code == 422
    assert api.post("/tickets/9/comments", json={"text": "who?"}).status_code == 404
    api.post("/tickets/1/comments", json={"text": "here"})
    assert api.get("/tickets/2/comments/1").status_code == 404
    assert api.get("/tickets/2/comments").json() == {"items": [], "next": None}


def test_a_closed_ticket_takes_comments_and_links_and_no_tags(api: TestClient) -> None:
    opened(api)
    opened(api)
    for status in ("IN_PROGRESS", "RESOLVED", "CLOSED"):
        patched(api, status=status)
    assert api.post("/tickets/1/comments", json={"text": "For the record."}).status_code == 201
    assert api.post("/tickets/1/links", json={"kind": "related", "ticket_id": 2}).status_code == 201
    assert api.patch("/tickets/1", json={"tags": ["late"]}).status_code == 409


def test_tags_are_kept_folded_once_and_found(api: TestClient) -> None:
    opened(api, tags=["Database", "eu"])
    opened(api)
    assert patched(api, 2, tags=["db:primary", "EU", "eu"])["tags"] == ["db:primary", "eu"]
    assert found(api, tag="EU") == [1, 2]
    assert found(api, q="tag:database") == [1]
    assert found(api, q="tag:data*") == [1]
    assert found(api, q="tag:eu -tag:database") == [2]
    assert patched(api, 1, tags=[])["tags"] == []
    assert found(api, q="tag:none") == [1]
    assert patched(api, 2, tags=["eu", "db:primary"])["version"] == 2, "the same tags change nothing"


@pytest.mark.parametrize("tags", [["a b"], ["a,b"], [""], ["x" * 51], [str(n) for n in range(51)]])
def test_bad_tags_are_refused_and_named(api: TestClient, tags: list[str]) -> None:
    opened(api)
    answer = api.patch("/tickets/1", json={"tags": tags})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith("/tags")
    assert api.patch("/tickets/1", json={"tags": None}).status_code == 422


def test_a_ticket_is_of_the_team_of_its_service_until_somebody_says_otherwise(api: TestClient) -> None:
    api.put("/services/payments", json={"team": "shop"})
    api.post("/logs", json=critical())
    opened(api, service="Payments")
    opened(api, service="payments", team="platform")
    opened(api)
    assert [api.get(f"/tickets/{n}").json()["team"] for n in (1, 2, 3, 4)] == ["shop", "shop", "platform", None]
    assert (found(api, team="shop"), found(api, q="team:PLATFORM"), found(api, team="none")) == ([1, 2], [3], [4])
    assert patched(api, 1, team=None)["team"] is None
    assert found(api, team="none") == [1, 4]


def test_a_link_shows_on_both_tickets_and_goes_from_both(api: TestClient) -> None:
    opened(api)
    opened(api, title="disk full")
    answer = api.post("/tickets/1/links", json={"kind": "caused-by", "ticket_id": 2})
    assert answer.status_code == 201
    assert [(one["kind"], one["ticket_id"], one["title"]) for one in answer.json()["items"]] == [
        ("caused_by", 2, "disk full")
    ]
    assert [(one["kind"], one["ticket_id"]) for one in api.get("/tickets/2").json()["links"]] == [("causes", 1)]
    assert kinds(api, 1)[1:] == kinds(api, 2)[1:] == ["TicketLinked"]
    assert api.delete("/tickets/2/links/causes/1").json()["items"] == []
    assert api.get("/tickets/1/links").json()["items"] == []
    assert api.delete("/tickets/1/links/caused_by/2").status_code == 404


def test_links_with_itself_doubled_or_with_nothing_are_refused(api: TestClient) -> None:
    opened(api)
    opened(api)
    assert api.post("/tickets/1/links", json={"kind": "related", "ticket_id": 1}).status_code == 422
    assert api.post("/tickets/1/links", json={"kind": "related", "ticket_id": 9}).status_code == 404
    assert api.post("/tickets/1/links", json={"kind": "causes", "ticket_id": 2}).status_code == 422
    assert api.post("/tickets/1/links", json={"kind": "caused_by", "ticket_id": 2}).status_code == 201
    for one, other in ((1, 2), (2, 1)):
        answer = api.post(f"/tickets/{one}/links", json={"kind": "caused_by", "ticket_id": other})
        assert answer.status_code == 409, "neither twice nor in a ring of two"
    assert api.post("/tickets/2/links", json={"kind": "related", "ticket_id": 1}).status_code == 201


def test_impact_and_urgency_set_the_priority_by_the_matrix(api: TestClient) -> None:
    assert opened(api, impact=1, urgency=1)["priority"] == "P1"
    assert opened(api, impact=1)["priority"] == "P3"
    assert opened(api, impact=1, urgency=1, priority="P5")["priority"] == "P5"
    assert patched(api, 2, urgency=2)["priority"] == "P2"
    assert kinds(api, 2)[1:] == ["TicketEdited", "TicketPrioritised"]
    assert patched(api, 2, urgency=None)["priority"] == "P2"
    assert api.patch("/tickets/2", json={"impact": 4}).status_code == 422
    assert found(api, q="impact:1 urgency:1") == [1, 3]


def test_the_matrix_is_replaced_in_versions(api: TestClient) -> None:
    before = api.get("/sla/matrix").json()
    assert (before["version"], before["priorities"]["2,3"], before["priorities"]["1,3"]) == (0, "P4", "P3")
    wanted = {**before["priorities"], "3,3": "info"}
    answer = api.put("/sla/matrix", json={"priorities": wanted}, headers={"If-Match": '"0"'})
    assert (answer.json()["version"], answer.json()["priorities"]["3,3"]) == (1, "P5")
    assert api.put("/sla/matrix", json={"priorities": wanted}).json()["version"] == 1
    assert api.put("/sla/matrix", json={"priorities": wanted}, headers={"If-Match": '"0"'}).status_code == 412
    assert opened(api, impact=3, urgency=3)["priority"] == "P5"
    wanted.pop("1,1")
    wrong = api.put("/sla/matrix", json={"priorities": {**wanted, "4,4": "P1", "2,2": "P9"}})
    assert {error["pointer"] for error in wrong.json()["errors"]} == {
        "/priorities/1,1",
        "/priorities/4,4",
        "/priorities/2,2",
    }


def test_a_resolution_says_of_what_kind_it_is_until_the_ticket_reopens(api: TestClient) -> None:
    opened(api)
    patched(api, status="IN_PROGRESS")
    assert api.patch("/tickets/1", json={"resolution_code": "fixed"}).status_code == 422
    shown = patched(api, status="RESOLVED", resolution_code="fixed", resolution_note="Restarted it.")
    assert (shown["resolution_code"], shown["resolution_note"]) == ("fixed", "Restarted it.")
    assert found(api, q="resolution_code:fixed") == [1]
    moved = api.get("/tickets/1/events").json()["items"][-1]["data"]
    assert (moved["after"], moved["resolution_code"]) == ("RESOLVED", "fixed")
    again = api.post("/tickets/1/reopen", json={"reason": "it is back"}).json()
    assert (again["resolution_code"], again["resolution_note"]) == (None, None)


def test_a_policy_may_ask_for_a_resolution(api: TestClient) -> None:
    api.post("/sla/policies", json={"name": "strict", "resolve_s": 3600, "require_resolution": True})
    opened(api)
    patched(api, status="IN_PROGRESS")
    refused = api.patch("/tickets/1", json={"status": "RESOLVED", "resolution_code": "fixed"})
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/resolution_note"]
    assert api.get("/tickets/1").json()["status"] == "IN_PROGRESS"
    patched(api, status="RESOLVED", resolution_code="fixed", resolution_note="Restarted it.")


def test_many_tickets_are_changed_at_once_and_each_outcome_is_told(api: TestClient) -> None:
    for _ in range(3):
        opened(api, tags=["old"])
    patched(api, 2, status="IN_PROGRESS")
    what = {"status": "IN_PROGRESS", "assignee": "ana", "add_tags": ["New"], "remove_tags": ["OLD"], "comment": "All."}
    answer = api.post("/tickets/bulk", json={"ids": [1, 2, 9, 3, 1], **what}).json()
    assert [(one["id"], one["done"]) for one in answer["items"]] == [(1, True), (2, False), (9, False), (3, True)]
    assert (answer["done"], answer["refused"]) == (2, 2)
    assert [one["problem"]["status"] for one in answer["items"] if one["problem"]] == [409, 404]
    assert found(api, q="status:IN_PROGRESS assignee:ana tag:new -tag:old") == [1, 3]
    assert api.get("/tickets/2/comments").json()["items"] == [], "all of it or nothing"


def test_what_is_open_is_taken_up_before_it_is_resolved_with_many_others(api: TestClient) -> None:
    for assignee in ("rui", None):
        opened(api, assignee=assignee)
    refused = api.post("/tickets/bulk", json={"ids": [1], "status": "RESOLVED"}).json()
    assert refused["items"][0]["problem"]["status"] == 409
    done = api.post("/tickets/bulk", json={"ids": [1, 2], "status": "RESOLVED", "taken_up_by": "ana"}).json()
    assert done["done"] == 2
    shown = [api.get(f"/tickets/{n}").json() for n in (1, 2)]
    assert [(one["status"], one["assignee"]) for one in shown] == [("RESOLVED", "rui"), ("RESOLVED", "ana")]
    assert shown[0]["acknowledged_at"] is not None


def test_many_tickets_are_found_by_a_query_and_a_repeat_does_nothing_again(api: TestClient) -> None:
    opened(api, priority="P1")
    opened(api)
    body = {"q": "status:OPEN", "priority": "P2", "comment": "Seen."}
    first = api.post("/tickets/bulk", json=body, headers={"Idempotency-Key": "once"}).json()
    assert (first["done"], found(api, priority="P2")) == (2, [1, 2])
    assert api.post("/tickets/bulk", json=body, headers={"Idempotency-Key": "once"}).json() == first
    assert [len(api.get(f"/tickets/{n}/comments").json()["items"]) for n in (1, 2)] == [1, 1]


@pytest.mark.parametrize(
    "body",
    [
        {"status": "CLOSED"},
        {"ids": [1]},
        {"ids": [], "status": "CLOSED"},
        {"ids": [1], "q": "id:1", "status": "CLOSED"},
        {"ids": [1], "status": "GONE"},
        {"ids": [0], "priority": "P1"},
        {"q": "(", "priority": "P1"},
        {"ids": list(range(1, 1002)), "priority": "P1"},
    ],
)
def test_a_change_of_many_that_says_too_little_or_too_much_is_refused(api: TestClient, body: dict[str, Any]) -> None:
    opened(api)
    assert api.post("/tickets/bulk", json=body).status_code in {400, 422}
    assert kinds(api) == ["TicketOpened"]


def test_a_ticket_is_shown_as_it_was(api: TestClient, clock: FakeClock) -> None:
    opened(api, tags=["a"])
    clock.advance(minutes=10)
    patched(api, status="IN_PROGRESS", assignee="ana", tags=["b"])
    clock.advance(minutes=10)
    patched(api, status="RESOLVED", resolution_code="fixed")
    before, then, now = (api.get("/tickets/1", params={"at": at}).json() for at in ("15m", "5m", "0s"))
    assert (before["status"], before["assignee"], before["tags"]) == ("OPEN", None, ["a"])
    assert (then["status"], then["assignee"], then["tags"]) == ("IN_PROGRESS", "ana", ["b"])
    assert (now["status"], now["resolution_code"]) == ("RESOLVED", "fixed")
    assert api.get("/tickets/1", params={"at": "1h"}).status_code == 404
    assert api.get("/tickets/1", params={"at": "2200-01-01T00:00:00Z"}).status_code == 422


def test_tickets_are_merged_and_apart_again(api: TestClient) -> None:
    opened(api)
    opened(api)
    merged = api.post("/tickets/2/merge", json={"into": 1}, headers={"If-Match": '"1"'}).json()
    assert (merged["status"], merged["merged_into"]) == ("CLOSED", 1)
    assert [(one["kind"], one["ticket_id"]) for one in api.get("/tickets/1").json()["links"]] == [("duplicated_by", 2)]
    assert found(api, q="merged_into:1") == [2]
    assert api.post("/tickets/1/merge", json={"into": 2}).status_code == 409
    assert api.post("/tickets/1/merge", json={"into": 1}).status_code == 422
    assert api.post("/tickets/1/merge", json={"into": 9}).status_code == 404
    apart = api.post("/tickets/2/unmerge")
    assert (apart.status_code, apart.json()["status"], apart.json()["merged_into"]) == (200, "OPEN", None)
    assert api.get("/tickets/2").json()["links"] == []
    assert api.post("/tickets/2/unmerge").status_code == 409


def test_alerts_are_split_off_a_ticket_and_merged_back(api: TestClient) -> None:
    for message in ("database connection lost", "disk full"):
        api.post("/logs", json=critical(message))
    api.post("/tickets/2/merge", json={"into": 1})
    version = api.get("/tickets/1").headers["etag"]
    wanted = {"alerts": [2], "title": "Disk full", "reason": "another trouble"}
    for bad in ({}, {**wanted, "alerts": []}, {**wanted, "alerts": [9]}, {**wanted, "title": " "}):
        assert api.post("/tickets/1/split", json=bad).status_code == 422
    assert api.post("/tickets/1/split", json=wanted, headers={"If-Match": '"99"'}).status_code == 412
    headers = {"If-Match": version, "Idempotency-Key": "split-1"}
    answers = [api.post("/tickets/1/split", json=wanted, headers=headers) for _ in range(2)]
    assert [(one.status_code, one.headers["location"]) for one in answers] == [(201, "/tickets/3")] * 2
    new = api.get("/tickets/3").json()
    assert (new["split_from"], [one["id"] for one in new["alerts"]]) == (1, [2])
    assert [(one["kind"], one["ticket_id"]) for one in new["links"]] == [("related", 1)]
    assert found(api, q="split_from:1") == [3]
    back = api.post("/tickets/3/unsplit")
    assert (back.status_code, back.json()["merged_into"]) == (200, 1)
    assert api.post("/tickets/3/unsplit").status_code == 409
    assert api.post("/tickets/1/unsplit").status_code == 409
