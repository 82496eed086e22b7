"""Silences over HTTP: looked at first, made, shown with what they hide, extended, ended; what is wrong is named."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from desk import START, critical, info
from tocsin.kit.clock import iso

SILENCE = {"matcher": "service:payments", "duration_s": 3600, "reason": "disk replacement"}
WINDOW = {
    "matcher": "service:payments",
    "reason": "weekly vacuum",
    "recurrence": "FREQ=WEEKLY;BYDAY=SU;BYHOUR=2",
    "duration_s": 7200,
    "time_zone": "Europe/Lisbon",
}


def from_now(**by: float) -> str:
    return iso(START + timedelta(**by))


def made(api: TestClient, **fields: Any) -> Any:
    answer = api.post("/silences", json={**SILENCE, **fields})
    assert answer.status_code == 201, answer.text
    return answer


def test_a_silence_is_made_and_shows_what_it_hides(api: TestClient) -> None:
    answer = made(api)
    assert (answer.headers["etag"], answer.headers["location"]) == ('"1"', "/silences/1")
    shown = answer.json()
    assert (shown["state"], shown["owner"], shown["recurrence"]) == ("active", "local:admin", None)
    length = datetime.fromisoformat(shown["ends_at"]) - datetime.fromisoformat(shown["starts_at"])
    assert length == timedelta(hours=1)
    assert shown["hidden"] == {"records": 0, "alerts": 0, "would_be_p1": 0, "last_at": None}

    api.patch("/rules/critical-logs", json={"enabled": False})
    api.post("/rules", json={"name": "urgent", "condition": "level:CRITICAL", "priority": "P1"})
    api.post("/logs", json=[critical(), critical(), critical(service="shop")])
    hidden = api.get("/silences/1").json()["hidden"]
    assert (hidden["records"], hidden["alerts"], hidden["would_be_p1"]) == (2, 1, 1)
    assert hidden["last_at"] is not None
    assert [ticket["service"] for ticket in api.get("/tickets").json()["items"]] == ["shop"]
    [alert] = api.get("/alerts", params={"status": "suppressed"}).json()["items"]
    assert (alert["suppressed_by"], alert["ticket_id"], alert["count"]) == ("silence:1", None, 2)


def test_a_repeat_with_the_same_key_makes_no_second_one(api: TestClient) -> None:
    key = {"Idempotency-Key": "once"}
    answers = [api.post("/silences", json=SILENCE, headers=key) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(api.get("/silences").json()["items"]) == 1


def test_silences_are_listed_by_state_in_pages(api: TestClient) -> None:
    made(api)
    made(api, starts_at=from_now(hours=1))
    api.post("/silences", json={**WINDOW, "until": from_now(days=30)})
    made(api)
    api.post("/silences/1/end")
    found = {
        state: [one["id"] for one in api.get("/silences", params={"state": state}).json()["items"]]
        for state in ("active", "scheduled", "expired", "broken")
    }
    assert found == {"active": [4], "scheduled": [3, 2], "expired": [1], "broken": []}
    first = api.get("/silences", params={"limit": 3}).json()
    rest = api.get("/silences", params={"cursor": first["next"]}).json()
    assert [one["id"] for one in first["items"] + rest["items"]] == [4, 3, 2, 1]
    assert api.get("/silences", params={"state": "asleep"}).status_code == 422
    assert api.get("/silences", params={"cursor": "WyJzaWxlbmNlcyIsIngiXQ"}).status_code == 422


def test_it_is_extended_and_shortened_with_a_reason(api: TestClient) -> None:
    made(api)
    later = from_now(hours=5)
    changed = api.patch(
        "/silences/1", json={"ends_at": later, "reason": "the disk is late"}, headers={"If-Match": '"1"'}
    ).json()
    assert (changed["version"], changed["ends_at"], changed["reason"]) == (2, later, "the disk is late")
    assert api.patch("/silences/1", json={"ends_at": later}).json()["version"] == 2, "nothing changes"
    assert api.patch("/silences/1", json={"reason": "x"}, headers={"If-Match": '"1"'}).status_code == 412
    for body, pointer in (
        ({"ends_at": "2020-01-01T00:00:00Z"}, "/ends_at"),
        ({"reason": " "}, "/reason"),
        ({"owner": None}, "/owner"),
        ({"matcher": "x"}, "/matcher"),
        ({"ends_at": "tomorrow"}, "/ends_at"),
    ):
        answer = api.patch("/silences/1", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert api.patch("/silences/9", json={"reason": "x"}).status_code == 404


def test_it_is_ended_by_hand_once(api: TestClient) -> None:
    made(api)
    assert api.post("/silences/1/end", headers={"If-Match": '"7"'}).status_code == 412
    ended = api.post("/silences/1/end").json()
    assert (ended["state"], ended["version"], ended["next_occurrences"]) == ("expired", 2, [])
    refused = api.post("/silences/1/end")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:tocsin:problem:conflict")
    assert api.patch("/silences/1", json={"ends_at": from_now(hours=2)}).status_code == 409
    assert [api.post("/silences/9/end").status_code, api.get("/silences/9").status_code] == [404, 404]
    api.post("/logs", json=critical())
    assert len(api.get("/tickets").json()["items"]) == 1


def test_a_window_says_when_it_is_active_next(api: TestClient) -> None:
    shown = api.post("/silences", json={**WINDOW, "until": from_now(days=30)}).json()
    starts = [datetime.fromisoformat(one["starts_at"]) for one in shown["next_occurrences"]]
    assert len(starts) in {4, 5}
    assert {(at.weekday(), at.minute, at.second) for at in starts} == {(6, 0, 0)}
    assert (shown["duration_s"], shown["time_zone"]) == (7200, "Europe/Lisbon")


def test_what_it_would_hide_is_told_before_it_is_made(api: TestClient) -> None:
    api.post("/logs", json=[critical(), critical(), critical("other", service="shop"), info()])
    api.post("/logs", json=critical(timestamp=from_now(hours=-5)))
    api.post("/logs", params={"backfill": "true"}, json=critical())
    told = api.post("/silences/preview", json={"matcher": "service:payments"}).json()
    assert (told["records_last_hour"], told["records_last_day"], told["partial"]) == (2, 3, False)
    assert [(alert["service"], alert["count"]) for alert in told["alerts"]] == [("payments", 3)]
    assert (told["next_occurrences"], told["warnings"]) == ([], [])
    assert api.get("/silences").json()["items"] == []

    window = {name: value for name, value in WINDOW.items() if name != "reason"}
    told = api.post("/silences/preview", json={**window, "matcher": "*", "until": from_now(days=300)}).json()
    assert len(told["next_occurrences"]) == 10
    assert (len(told["alerts"]), told["warnings"]) == (2, made(api, matcher="*").json()["warnings"])
    assert told["warnings"][0].startswith("This hides everything")


def test_what_is_usual_is_counted_when_one_that_breaks_is_made(api: TestClient) -> None:
    api.post("/logs", json=[critical()] * 90)
    shown = made(api, break_factor=2.5).json()
    assert (shown["break_factor"], shown["baseline_per_min"]) == (2.5, 1.5)
    assert made(api).json()["baseline_per_min"] is None


def test_only_what_a_rule_matches_is_usual(api: TestClient) -> None:
    api.post("/logs", json=[critical(), info()])
    assert made(api, break_factor=2).json()["baseline_per_min"] == 1 / 60
    api.delete("/rules/critical-logs")
    assert made(api, break_factor=2).json()["baseline_per_min"] == 0


@pytest.mark.parametrize(
    ("fields", "pointer", "told"),
    [
        ({"matcher": "service:payments (a OR"}, "/matcher", "column 23: a ( is never closed; expected )"),
        ({"matcher": "levl:ERROR"}, "/matcher", "column 1: there is no field 'levl': did you mean level?"),
        ({"matcher": "timestamp:>2026"}, "/matcher", "column 1: there is no field 'timestamp'"),
        ({"matcher": "  "}, "/matcher", "is empty"),
        ({"reason": ""}, "/reason", ""),
        ({"duration_s": None}, "/ends_at", "a silence has an end"),
        ({"duration_s": None, "ends_at": "2020-01-01T00:00:00Z"}, "/ends_at", "is not after its start"),
        ({"starts_at": "2020-01-01T00:00:00Z"}, "/ends_at", "is over already"),
        ({"starts_at": "2199-12-31T23:59:59Z"}, "/starts_at", "expected at most 1830 days ahead"),
        ({"ends_at": "2030-01-01T00:00:00Z"}, "/ends_at", "either ends_at or duration_s"),
        ({"duration_s": 0}, "/duration_s", "expected 1 to 31622400 seconds"),
        ({"duration_s": -1}, "/duration_s", "expected 1 to"),
        ({"duration_s": 10**12}, "/duration_s", "expected 1 to"),
        ({"duration_s": 1.5}, "/duration_s", ""),
        ({"starts_at": 1_700_000_000}, "/starts_at", "expected an instant such as"),
        ({"until": "2030-01-01T00:00:00Z"}, "/until", "is the end of a recurrence"),
        ({"time_zone": "Mars/Olympus"}, "/time_zone", "there is no time zone"),
        ({"break_factor": 0.5}, "/break_factor", "expected how many times"),
        ({"break_factor": 1e300}, "/break_factor", "expected how many times"),
        ({"owner": "a\0"}, "/owner", "U+0000"),
        ({"endsat": "x"}, "/endsat", "does not exist here"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    still_api: TestClient, fields: dict[str, Any], pointer: str, told: str
) -> None:
    refused(still_api, {**SILENCE, **fields}, pointer, told)


@pytest.mark.parametrize(
    ("fields", "pointer", "told"),
    [
        ({"recurrence": "FREQ=SECONDLY"}, "/recurrence", "FREQ=SECONDLY is not understood here"),
        ({"recurrence": "FREQ=YEARLY"}, "/recurrence", "expected FREQ=DAILY, WEEKLY or MONTHLY"),
        ({"recurrence": "FREQ=DAILY;BYSECOND=1"}, "/recurrence", "BYSECOND is not understood here"),
        ({"recurrence": "every sunday"}, "/recurrence", "'EVERY SUNDAY' is not NAME=VALUE"),
        ({"recurrence": "FREQ=MONTHLY;BYDAY=5MO;BYMONTHDAY=1"}, "/recurrence", "never occurs from"),
        ({"recurrence": "FREQ=DAILY;UNTIL=20200101"}, "/recurrence", "never occurs from"),
        ({"recurrence": "FREQ=DAILY"}, "/duration_s", "is longer than the 86400 s from"),
        ({"recurrence": "FREQ=DAILY;BYHOUR=1,2", "duration_s": 3601}, "/duration_s", "is longer than the 3600 s"),
        ({"time_zone": "Mars/Olympus"}, "/time_zone", "there is no time zone 'Mars/Olympus'"),
        ({"time_zone": "../../etc/passwd"}, "/time_zone", "there is no time zone"),
        ({"time_zone": "Europe"}, "/time_zone", "there is no time zone"),
        ({"until": None}, "/until", "is missing"),
        ({"duration_s": None}, "/duration_s", "is missing"),
        ({"ends_at": "2030-01-01T00:00:00Z"}, "/ends_at", "expected until"),
        ({"until": "2020-01-01T00:00:00Z"}, "/until", "is not after its start"),
        ({"until": "2120-01-01T00:00:00Z"}, "/until", "expected at most 1830"),
    ],
)
def test_what_is_wrong_with_a_window_is_named_with_its_place(
    still_api: TestClient, fields: dict[str, Any], pointer: str, told: str
) -> None:
    long = {"duration_s": 90_000} if fields.get("recurrence") == "FREQ=DAILY" else {}
    refused(still_api, {**WINDOW, "until": from_now(days=400), **long, **fields}, pointer, told)


def test_one_that_occurs_all_the_time_is_refused(api: TestClient) -> None:
    hours = ",".join(map(str, range(24)))
    often = {"recurrence": f"FREQ=DAILY;BYHOUR={hours};BYMINUTE=0,15,30,45", "duration_s": 1}
    refused(api, {**WINDOW, **often, "until": from_now(days=400)}, "/recurrence", "occurs more than 10000 times")


def refused(api: TestClient, body: dict[str, Any], pointer: str, told: str) -> None:
    answer = api.post("/silences", json=body)
    assert answer.status_code == 422, answer.text
    errors = {found["pointer"]: found["detail"] for found in answer.json()["errors"]}
    assert told in errors[pointer]
    assert api.get("/silences").json()["items"] == []
