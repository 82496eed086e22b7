"""Back-tests over HTTP: a draft or a changed rule is tried, what is wrong with it is named, nothing is changed."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from desk import FakeClock, critical, error, info


def tried(api: TestClient, **body: Any) -> Any:
    answer = api.post("/rules/backtest", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_time_before_all_time_is_the_beginning(api: TestClient) -> None:
    assert tried(api, condition="level:ERROR", since="-999999w")["since"].startswith("1970-01-01T00:00:00")


def test_a_draft_is_tried_and_nothing_is_changed(api: TestClient, clock: FakeClock) -> None:
    api.post("/logs", json=[error(f"request {n} failed") for n in range(3)] + [info()])
    clock.advance(seconds=1)
    told = tried(api, condition="level:ERROR", time_zone="Europe/Berlin", since="-1d")

    assert (told["rule"], told["version"], told["partial"]) == ("draft", 0, None)
    assert told["records"] == {"matched": 3, "in_alerts": 3, "pending": 0, "hidden": 0, "backfill": 0, "late": 0}
    assert told["alerts"] == {"opened": 1, "quieted": 0, "resolved": 0, "unheard": 0, "going_on": 1, "flapping": 0}
    opened = {"opened": 1, "reopened": 0, "recurrences": 0, "joined": 0, "storms": 0}
    assert told["tickets"] == {**opened, "raised": 0, "by_priority": {"P3": 1}}
    assert (told["silences"], told["unsilenced"]) == ([], None)
    assert "grouped by their masked messages" in told["notes"][0]
    assert (told["pages"], told["pages_by_hour"][3], sum(told["pages_by_hour"])) == (1, 1, 1)
    assert told["days"] == [{"day": "2026-11-24", "alerts": 1, "pages": 1}]
    [group] = told["noisiest"]
    assert (group["template"], group["service"], group["records"]) == ("request <*> failed", "payments", 3)
    [example] = told["examples"]
    assert (example["record"]["message"], example["how"]) == ("request 0 failed", "opened")
    assert (told["really"]["alerts"], told["really"]["new"]) == (0, 1)
    assert api.get("/tickets").json()["items"] == []
    assert [rule["name"] for rule in api.get("/rules").json()["items"]] == ["critical-logs"]


def test_a_rule_is_tried_with_changes_and_held_against_what_it_did(api: TestClient, clock: FakeClock) -> None:
    api.post("/rules", json={"name": "errors", "condition": "level:ERROR", "priority": "P1"})
    api.post("/logs", json=[error(), error("disk full", service="shop")])
    clock.advance(seconds=1)
    same = tried(api, name="errors")
    assert (same["version"], same["really"]["kept"], same["really"]["gone"], same["really"]["new"]) == (1, 2, 0, 0)
    fewer = tried(api, name="errors", condition="level:ERROR service:shop")
    assert (fewer["definition"]["priority"], fewer["pages"], fewer["really"]["pages"]) == ("P1", 1, 2)
    [gone] = fewer["really"]["gone_alerts"]
    assert gone["title"] == "payments: request failed"
    assert fewer["really"]["gone_tickets"] == [gone["ticket_id"]]
    counting = tried(api, name="errors", kind="threshold", threshold=5, window_s=60)
    assert (counting["records"]["pending"], counting["pending_groups"], counting["pages"]) == (2, 2, 0)


def test_a_rule_of_another_kind_loses_what_only_its_own_had(api: TestClient) -> None:
    rule = {"name": "errors", "condition": "level:ERROR", "kind": "threshold", "threshold": 5, "window_s": 60}
    api.post("/rules", json=rule)
    told = tried(api, name="errors", kind="match")
    assert (told["definition"]["threshold"], told["definition"]["window_s"]) == (None, None)


def test_what_came_in_before_or_after_is_left_out(api: TestClient, clock: FakeClock) -> None:
    for _ in range(3):
        api.post("/logs", json=critical())
        clock.advance(hours=1)
    told = tried(api, name="critical-logs", since="150m", until="1h")
    assert (told["records"]["matched"], told["since"], told["until"]) == (
        1, "2026-11-24T02:51:00Z", "2026-11-24T04:21:00Z",
    )  # fmt: skip


def test_what_silences_hid_is_told_apart_and_may_be_heard(api: TestClient, clock: FakeClock) -> None:
    silence = {"matcher": "service:payments", "owner": "ana", "reason": "we know", "duration_s": 1200}
    assert api.post("/silences", json=silence).status_code == 201
    api.post("/silences", json={**silence, "matcher": "service:nowhere"})
    clock.advance(seconds=1)
    api.post("/logs", json=[critical(), critical(service="shop"), critical()])
    clock.advance(hours=2)
    told = tried(api, name="critical-logs")
    assert (told["records"]["hidden"], told["alerts"]["unheard"], told["pages"]) == (2, 1, 1)
    hid = {"records": 2, "alerts": 1, "tickets": 1, "pages": 1}
    assert told["silences"] == [{"silence": "silence:1", "what": "ana: we know", **hid}]
    assert told["unsilenced"] == {"alerts": 2, "tickets": 2, "pages": 2}
    heard = tried(api, name="critical-logs", silences=False)
    assert (heard["records"]["hidden"], heard["pages"], heard["silences"]) == (0, 2, [])
    assert "Silences are left out" in heard["notes"][-1]


def test_each_kind_of_rule_is_tried_and_says_what_it_takes_for_granted(api: TestClient, clock: FakeClock) -> None:
    api.post("/logs", json=[error("disk full"), error("disk full")])
    clock.advance(minutes=3)
    missing = tried(api, condition="level:ERROR", kind="absence", window_s=60, group_by=["service"])
    assert (missing["alerts"]["opened"], missing["records"]["pending"]) == (1, 2)
    assert "Intake is taken to have been up" in missing["notes"][0]
    new = tried(api, condition="level:ERROR", kind="new_pattern", learn_s=0)
    assert (new["alerts"]["opened"], new["examples"][0]["ticket_priority"]) == (1, "P3")
    assert "Patterns are learned from this rule's records alone" in new["notes"][0]
    lasting = tried(api, condition="level:ERROR", for_s=60)
    assert (lasting["alerts"]["opened"], lasting["records"]["pending"]) == (0, 2)


def test_a_saved_rule_is_tried_as_another_kind(api: TestClient, clock: FakeClock) -> None:
    api.post("/rules", json={"name": "errors", "condition": "level:ERROR", "for_s": 60, "group_by": ["@host"]})
    for kind, more in (("absence", {"window_s": 60}), ("new_pattern", {"learn_s": 0}), ("match", {})):
        told = tried(api, name="errors", kind=kind, **more)
        assert told["definition"]["kind"] == kind
    assert told["changed"] == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/condition"),
        ({"condition": "level:"}, "/condition"),
        ({"condition": "*", "kind": "threshold"}, "/threshold"),
        ({"condition": "*", "kind": "new_pattern", "for_s": 5}, "/for_s"),
        ({"condition": "*", "kind": "weather"}, "/kind"),
        ({"condition": "*", "time_zone": "Mars/Olympus"}, "/time_zone"),
        ({"condition": "*", "time_zone": "../etc/passwd"}, "/time_zone"),
        ({"condition": "*", "since": "1h", "until": "2h"}, "/since"),
        ({"condition": "*", "since": "yesterday"}, "/since"),
        ({"condition": "*", "examples": 1000}, "/examples"),
        ({"condition": "*", "colour": "red"}, "/colour"),
        ({"condition": "*", "name": "Not A Name"}, "/name"),
    ],
)
def test_what_is_wrong_is_named(still_api: TestClient, body: dict[str, Any], pointer: str) -> None:
    answer = still_api.post("/rules/backtest", json=body)
    assert answer.status_code == 422, answer.text
    assert pointer.removeprefix("/") in {error["pointer"].removeprefix("/") for error in answer.json()["errors"]}
