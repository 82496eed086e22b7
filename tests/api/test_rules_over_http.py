"""Rules over HTTP: made, replaced, switched, removed; what is wrong is named; versions and preconditions."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from desk import critical, error

RULE = {"name": "errors", "condition": "level:>=ERROR service:payments", "priority": "P1"}


def made(api: TestClient, **fields: Any) -> Any:
    answer = api.post("/rules", json={**RULE, **fields})
    assert answer.status_code == 201, answer.text
    return answer


def test_a_rule_is_made_and_holds_for_the_next_record(api: TestClient) -> None:
    answer = made(api, labels={"team": "pay"})
    assert (answer.headers["etag"], answer.headers["location"]) == ('"1"', "/rules/errors")
    shown = answer.json()
    assert (shown["kind"], shown["enabled"], shown["dry_run"]) == ("match", True, False)
    assert (shown["group_by"], shown["labels"]) == (["service", "template"], {"team": "pay"})
    assert shown["updated_by"] == "local:admin"
    api.post("/logs", json=error())
    [ticket] = api.get("/tickets").json()["items"]
    assert (ticket["priority"], ticket["opened_by"]) == ("P1", "rule:errors")
    assert api.get("/rules/errors").json() == shown


def test_a_share_is_by_default_that_of_a_service(api: TestClient) -> None:
    share = {"kind": "ratio", "ratio": 1, "minimum": 3, "window_s": 60}
    assert made(api, **share).json()["group_by"] == ["service"]
    assert made(api, name="each", group_by=["template"], **share).json()["group_by"] == ["template"]


def test_a_rule_about_new_patterns_alerts_of_what_was_not_met_before(api: TestClient) -> None:
    shown = made(api, kind="new_pattern", learn_s=0).json()
    assert (shown["kind"], shown["learn_s"]) == ("new_pattern", 0)
    for _ in range(2):
        api.post("/logs", json=error())
    [alert] = [one for one in api.get("/alerts").json()["items"] if one["rule"] == "errors"]
    assert (alert["count"], alert["pattern"]) == (2, alert["template"])
    told = api.get(f"/patterns/{alert['pattern_id']}").json()
    assert told["template"] == alert["pattern"]
    explained = api.get(f"/alerts/{alert['id']}/explain").json()
    assert (explained["pattern_id"], explained["pattern"]) == (alert["pattern_id"], alert["pattern"])
    refused = api.post("/rules", json={**RULE, "name": "other", "learn_s": 60})
    assert [wrong["pointer"] for wrong in refused.json()["errors"]] == ["/learn_s"]


def test_rules_are_listed_by_name_in_pages(api: TestClient) -> None:
    made(api, name="b.2")
    made(api, name="z")
    first = api.get("/rules", params={"limit": 2}).json()
    rest = api.get("/rules", params={"cursor": first["next"]}).json()
    assert [rule["name"] for rule in first["items"] + rest["items"]] == ["b.2", "critical-logs", "z"]
    assert rest["next"] is None


def test_a_second_rule_of_a_name_is_refused_and_a_repeat_of_the_same_request_is_not(api: TestClient) -> None:
    key = {"Idempotency-Key": "once"}
    first = api.post("/rules", json=RULE, headers=key)
    again = api.post("/rules", json=RULE, headers=key)
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    refused = api.post("/rules", json=RULE)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:tocsin:problem:conflict")


def test_put_makes_replaces_and_leaves_alone(api: TestClient) -> None:
    body = {"condition": "level:ERROR"}
    assert [api.put("/rules/errors", json=body).status_code for _ in range(2)] == [201, 200]
    changed = api.put("/rules/errors", json={**body, "priority": "P5"}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    stale = api.put("/rules/errors", json=body, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["version"]) == (412, 2)
    assert api.put("/rules/none", json=body, headers={"If-Match": '"1"'}).status_code == 404


def test_a_rule_is_switched_off_and_to_a_dry_run(api: TestClient) -> None:
    off = api.patch("/rules/critical-logs", json={"enabled": False})
    assert (off.json()["enabled"], off.json()["version"]) == (False, 2)
    api.post("/logs", json=critical())
    api.patch("/rules/critical-logs", json={"enabled": True, "dry_run": True})
    api.post("/logs", json=critical())
    assert api.get("/alerts").json()["items"] == []
    assert api.patch("/rules/critical-logs", json={"enabled": None}).status_code == 422
    assert api.patch("/rules/critical-logs", json={"dry_run": False}, headers={"If-Match": '"2"'}).status_code == 412
    assert api.patch("/rules/nothing", json={"enabled": True}).status_code == 404


def test_what_a_dry_run_would_have_opened_is_found_in_pages(api: TestClient) -> None:
    made(api, dry_run=True)
    for message in ("one", "two", "one"):
        api.post("/logs", json=[error(message), error(message)])
    first = api.get("/rules/errors/rehearsals", params={"limit": 1}).json()
    [second] = api.get("/rules/errors/rehearsals", params={"cursor": first["next"]}).json()["items"]
    assert [(one["records"], one["first_log_id"]) for one in [*first["items"], second]] == [(2, 3), (2, 1)]
    assert api.get("/rules/nothing/rehearsals").status_code == 404


def test_a_removed_rule_still_has_its_versions(api: TestClient) -> None:
    made(api)
    api.patch("/rules/errors", json={"enabled": False})
    assert api.delete("/rules/errors", headers={"If-Match": '"1"'}).status_code == 412
    assert api.delete("/rules/errors").json()["version"] == 2
    assert [api.get("/rules/errors").status_code, api.delete("/rules/errors").status_code] == [404, 404]

    found = api.get("/rules/errors/versions", params={"limit": 2}).json()
    assert [(version["version"], version["definition"] is None) for version in found["items"]] == [
        (3, True),
        (2, False),
    ]
    [first] = api.get("/rules/errors/versions", params={"cursor": found["next"]}).json()["items"]
    assert (first["definition"]["enabled"], first["actor"]) == (True, "local:admin")
    assert api.get("/rules/nothing/versions").status_code == 404


@pytest.mark.parametrize(
    ("fields", "pointer", "told"),
    [
        ({"condition": "level:>=ERROR (a OR"}, "/condition", "column 20: a ( is never closed; expected )"),
        ({"condition": "levl:ERROR"}, "/condition", "column 1: there is no field 'levl': did you mean level?"),
        ({"kind": "abscence"}, "/kind", "not a kind of rule here; expected one of match, threshold, ratio, absence"),
        ({"kind": "absence"}, "/window_s", "expected how long there must be nothing, 60 to"),
        ({"kind": "absence", "window_s": 60, "for_s": 5}, "/for_s", "is not for rules of kind absence"),
        ({"for_s": 0}, "/for_s", "expected 1 to 604800 seconds"),
        ({"auto_resolve_after_s": 0}, "/auto_resolve_after_s", "expected 1 to"),
        ({"kind": "ratio", "ratio": 2.0}, "/ratio", "expected a share above 0 and up to 1"),
        ({"kind": "ratio", "of": "servce:x"}, "/of", "column 1: there is no field 'servce'"),
        ({"of": "service:x"}, "/of", "is for rules of kind ratio; leave it out"),
        ({"kind": "threshold"}, "/threshold", "expected how many records"),
        ({"priority": "P9"}, "/priority", "expected P1..P5"),
        ({"name": "no spaces"}, "/name", "expected up to 100 characters"),
        ({"group_by": ["hostname"]}, "/group_by", "@x for the attribute x"),
        ({"tresholt": 5}, "/tresholt", "does not exist here"),
        ({"labels": {"a": "x\0"}}, "/labels/a", "U+0000"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    still_api: TestClient, fields: dict[str, Any], pointer: str, told: str
) -> None:
    answer = still_api.post("/rules", json={**RULE, **fields})
    assert answer.status_code == 422
    errors = {found["pointer"]: found["detail"] for found in answer.json()["errors"]}
    assert told in errors[pointer]
    assert still_api.get("/rules/errors").status_code == 404


@pytest.mark.parametrize("name", ["A", "a%20b", "%00", "-x", "a" * 101])
def test_a_name_that_no_rule_can_have_is_refused(api: TestClient, name: str) -> None:
    assert api.put(f"/rules/{name}", json={"condition": "x"}).status_code == 422


def test_a_cursor_that_was_altered_is_refused(api: TestClient) -> None:
    for cursor in ("WyJydWxlcyIsIlx1MDAwMCJd", "WyJydWxlcyIsMV0"):  # a NUL, a number
        assert api.get("/rules", params={"cursor": cursor}).status_code == 422
