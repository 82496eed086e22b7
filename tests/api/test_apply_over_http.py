"""Files over HTTP: applied, tried, refused with every place that is wrong; exported and applied again."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from desk import START, FakeClock, critical
from tocsin.kit.clock import iso
from tocsin.web.front import MAX_FILE_BODY

RULE = {"name": "payments-errors", "condition": "service:payments level:>=ERROR"}
SILENCE = {
    "name": "disk",
    "matcher": "@host:db1",
    "reason": "disk replacement",
    "starts_at": iso(START),
    "ends_at": iso(START + timedelta(hours=2)),
}
SERVICE = {"name": "payments", "depends_on": ["postgres"]}
EVERY_KIND: list[dict[str, Any]] = [
    {"name": "all-of-it", "condition": "level:>=ERROR", "priority": "P2", "description": "a\nb", "enabled": False,
     "runbook_url": "https://wiki.example.org/x", "labels": {"team": "pay", "yes": "no"}, "service": "shop",
     "group_by": ["service", "@host"], "correlate_by": ["rule"], "reopen_window_s": 60, "auto_resolve_after_s": 600,
     "for_s": 30, "raise_at": {"P1": 1000}},
    {"name": "many", "condition": "level:>=ERROR", "kind": "threshold", "threshold": 20, "window_s": 300},
    {"name": "share", "condition": "@status:>=500", "kind": "ratio", "ratio": 0.05, "of": "service:web", "minimum": 50,
     "window_s": 300},
    {"name": "share-by-template", "condition": "@status:>=500", "kind": "ratio", "ratio": 0.1, "minimum": 5,
     "window_s": 60, "group_by": ["service", "template"]},
    {"name": "quiet", "condition": "service:payments", "kind": "absence", "window_s": 300, "group_by": ["service"],
     "auto_resolve_after_s": 0},
    {"name": "new", "condition": "level:>=ERROR", "kind": "new_pattern", "learn_s": 0, "dry_run": True},
]  # fmt: skip


def apply(api: TestClient, **body: Any) -> Any:
    answer = api.post("/apply", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def actions(answer: Any) -> dict[str, str]:
    return {f"{step['section']}/{step['name']}": step["action"] for step in answer["plan"]}


def test_a_file_is_applied_and_the_plan_says_what_changed(api: TestClient) -> None:
    answer = apply(api, rules=[RULE], silences=[SILENCE], services=[SERVICE])
    assert answer["applied"]
    assert answer["counts"] == {"create": 3, "change": 0, "delete": 0, "unchanged": 0, "kept": 1}
    [kept] = [step for step in answer["plan"] if step["action"] == "kept"]
    assert kept == {
        "section": "rules", "name": "critical-logs", "action": "kept", "changed": {}, "note": "not in the file",
    }  # fmt: skip
    answer = apply(
        api, rules=[RULE | {"priority": "P1"}], silences=[SILENCE | {"reason": "it is late"}],
        services=[SERVICE | {"name": "Payments"}],
    )  # fmt: skip
    changed = {step["name"]: step["changed"] for step in answer["plan"] if step["action"] == "change"}
    assert changed == {
        "payments-errors": {"priority": {"before": "P3", "after": "P1"}},
        "disk": {"reason": {"before": "disk replacement", "after": "it is late"}},
        "Payments": {"name": {"before": "payments", "after": "Payments"}},
    }
    shown = api.get("/silences/1").json()
    assert (shown["applied_as"], shown["owner"], shown["version"]) == ("disk", "local:admin", 2)
    assert api.get("/silences").json()["items"][0]["applied_as"] == "disk"


def test_a_dry_run_changes_nothing_and_what_was_agreed_on_is_what_is_done(api: TestClient) -> None:
    would = apply(api, rules=[RULE], prune=True, dry_run=True)
    assert (would["applied"], actions(would)) == (
        False, {"rules/critical-logs": "delete", "rules/payments-errors": "create"},
    )  # fmt: skip
    assert [rule["name"] for rule in api.get("/rules").json()["items"]] == ["critical-logs"]
    api.post("/rules", json={"name": "meanwhile", "condition": "level:ERROR"})
    file = {"rules": [RULE], "prune": True, "expected": would["fingerprint"]}
    assert api.post("/apply", json=file).status_code == 409
    assert len(api.get("/rules").json()["items"]) == 2
    api.delete("/rules/meanwhile")
    assert apply(api, **file)["plan"] == would["plan"]


def test_every_fault_of_every_entry_is_named_with_its_place_and_nothing_is_done(api: TestClient) -> None:
    answer = api.post(
        "/apply",
        json={
            "rules": [
                RULE,
                {"name": "bad", "condition": "level:>=", "colour": "red", "priority": 7},
                {"name": "worse", "condition": "level:(", "kind": "threshold"},
                {"name": "kind", "condition": "x", "kind": "guess"},
                RULE | {"priority": "P2"},
                5,
            ],
            "silences": [
                {"name": "short", "matcher": "x", "reason": "y", "duration_s": 60},
                {"name": "open", "matcher": "x", "reason": "y", "ends_at": SILENCE["ends_at"]},
                SILENCE | {"name": "silence-1"},
                SILENCE | {"name": "silence-01"},
                {"name": "window", "matcher": "x", "reason": "y", "recurrence": "FREQ=HOURLY"},
            ],
            "services": [
                {"name": "a", "depends_on": ["B"]},
                {"name": "b", "depends_on": ["a"], "tier": 9},
                {"name": "A"},
                {"name": " x"},
            ],
        },
    )
    assert answer.status_code == 422
    found = {error["pointer"]: error["detail"] for error in answer.json()["errors"]}
    assert found["/rules/1/colour"] == "does not exist here; see /docs for what there is"
    assert "expected P1..P5" in found["/rules/1/priority"]
    assert "column 8: a ( is never closed" in found["/rules/2/condition"]
    assert found["/rules/4/name"] == "'payments-errors' is there already, at /rules/0"
    assert "another silence" in found["/silences/0/duration_s"]
    assert found["/services/0/depends_on"] == "makes a ring: a → b → a"
    assert set(found) == {
        "/rules/1/colour", "/rules/1/priority", "/rules/2/condition", "/rules/2/threshold", "/rules/2/window_s",
        "/rules/3/kind", "/rules/4/name", "/rules/5", "/silences/0/duration_s", "/silences/1/starts_at",
        "/silences/3/name", "/silences/4/until", "/silences/4/duration_s", "/services/0/depends_on",
        "/services/1/tier", "/services/2/name", "/services/3/name",
    }  # fmt: skip
    assert len(api.get("/rules").json()["items"]) == 1
    assert api.post("/apply", json={"routes": []}).json()["errors"][0]["pointer"] == "/routes"


def test_a_repeat_with_the_same_key_gets_the_same_answer(api: TestClient) -> None:
    key = {"Idempotency-Key": "once"}
    answers = [api.post("/apply", json={"rules": [RULE]}, headers=key) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotency-replayed"] == "true"
    tried = [api.post("/apply", json={"silences": [SILENCE], "dry_run": True}, headers={"Idempotency-Key": "x"})
             for _ in range(2)]  # fmt: skip
    assert [answer.json()["counts"]["create"] for answer in tried] == [1, 1]
    assert api.get("/silences").json()["items"] == []


def test_a_silence_that_can_break_is_counted_before_it_is_made(api: TestClient) -> None:
    api.post("/logs", json=[critical() for _ in range(120)])
    silence = {**SILENCE, "matcher": "service:payments", "break_factor": 3.0}
    apply(api, silences=[silence])
    assert api.get("/silences/1").json()["baseline_per_min"] == 2.0
    many = [silence | {"name": f"s{number}"} for number in range(22)]
    refused = api.post("/apply", json={"silences": many})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/silences/20/break_factor")


def test_what_is_exported_and_applied_again_changes_nothing(api: TestClient, clock: FakeClock) -> None:
    api.post("/heartbeats/nightly-backup")
    apply(api, rules=EVERY_KIND, silences=[SILENCE], services=[SERVICE, {"name": "postgres", "team": "x", "tier": 1}])
    api.post("/silences", json={"matcher": "x", "duration_s": 3600, "reason": "by hand", "break_factor": 2})
    api.post("/silences", json={"matcher": "y", "duration_s": 60, "reason": "by hand"})
    api.post("/silences/3/end")
    api.post(
        "/silences",
        json={"matcher": "y", "duration_s": 60, "reason": "r", "recurrence": "FREQ=DAILY;BYHOUR=2",
              "time_zone": "Europe/Lisbon", "until": iso(START + timedelta(days=9))},
    )  # fmt: skip
    file = api.get("/export").json()
    assert [one["name"] for one in file["silences"]] == ["disk", "silence-2", "silence-4"]
    assert file["services"] == [SERVICE, {"name": "postgres", "team": "x", "tier": 1}]
    names = ["all-of-it", "critical-logs", "heartbeat-nightly-backup", "many", "new", "quiet", "share",
             "share-by-template"]  # fmt: skip
    assert [one["name"] for one in file["rules"]] == names
    given = {one["name"]: one for one in EVERY_KIND}
    assert [one for one in file["rules"] if one["name"] in given] == [
        {field: given[name][field] for field in entry} for entry in file["rules"] if (name := entry["name"]) in given
    ]
    for prune in (False, True):
        answer = apply(api, **file, prune=prune, dry_run=True)
        assert set(actions(answer).values()) == {"unchanged"}
    clock.advance(minutes=1)
    assert apply(api, **file)["counts"]["unchanged"] == len(answer["plan"])
    assert api.get("/silences/2").json()["applied_as"] == "silence-2"


def test_an_export_has_the_sections_that_were_asked_for(api: TestClient) -> None:
    assert list(api.get("/export", params={"sections": "services,rules"}).json()) == ["rules", "services"]
    refused = api.get("/export", params={"sections": "tickets"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "sections")


def test_a_file_may_be_larger_than_other_bodies_but_has_a_bound(api: TestClient) -> None:
    rule = RULE | {"description": "x" * 20_000}
    rules = [rule | {"name": f"r{number}"} for number in range(60)]
    assert apply(api, rules=rules, dry_run=True)["counts"]["create"] == 60
    body = json.dumps({"rules": [], "pad": "x" * MAX_FILE_BODY})
    assert api.post("/apply", content=body, headers={"content-type": "application/json"}).status_code == 413
    in_parts = (part.encode() for part in (body[: 1 << 20], body[1 << 20 :]))
    assert api.post("/apply", content=in_parts, headers={"content-type": "application/json"}).status_code == 413


@pytest.fixture
def shared_api(api: TestClient) -> TestClient:
    return api


names = st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
common = st.fixed_dictionaries(
    {"condition": st.sampled_from(["level:ERROR", "service:a -@x:1", '"timed out"'])},
    optional={
        "enabled": st.booleans(), "dry_run": st.booleans(), "priority": st.sampled_from(["P3", "P4", "P5"]),
        "description": texts, "labels": st.dictionaries(texts.filter(bool), texts, max_size=3),
        "correlate_by": st.sampled_from([[], ["rule"], ["service", "@x"]]),
        "reopen_window_s": st.integers(0, 10_000), "raise_at": st.sampled_from([{}, {"P1": 10}, {"P2": 5, "P1": 9}]),
        "service": st.sampled_from(["a", "B c"]),
    },
)  # fmt: skip
groups = st.fixed_dictionaries({}, optional={"group_by": st.sampled_from([[], ["service"], ["template", "@x"]])})
kinds = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"for_s": st.integers(1, 1000)}),
    st.fixed_dictionaries(
        {"kind": st.just("threshold"), "threshold": st.integers(1, 99), "window_s": st.integers(12, 999)}
    ),
    st.fixed_dictionaries(
        {"kind": st.just("ratio"), "ratio": st.floats(0.001, 1), "minimum": st.integers(1, 9), "window_s": st.just(60)},
        optional={"of": st.just("service:a")},
    ),
    st.fixed_dictionaries({"kind": st.just("absence"), "window_s": st.integers(60, 9999)}),
)
rules = st.builds(lambda *parts: {k: v for part in parts for k, v in part.items()}, common, groups, kinds)


@given(given_rules=st.dictionaries(names, rules, max_size=4))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rules_of_any_kind_come_back_as_they_went_in(shared_api: TestClient, given_rules: dict[str, Any]) -> None:
    file = {"rules": [{"name": name, **rule} for name, rule in given_rules.items()]}
    apply(shared_api, **file, prune=True)
    exported = shared_api.get("/export", params={"sections": "rules"}).json()
    for again in (file, exported):
        assert set(actions(apply(shared_api, **again, prune=True, dry_run=True)).values()) <= {"unchanged"}
