"""SLA over HTTP: policies and calendars are made, replaced, removed and tried; what is wrong is named; clocks show."""

from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from desk import START, FakeClock, critical
from tocsin.kit.clock import iso

CALENDAR: dict[str, Any] = {
    "name": "lisbon",
    "time_zone": "Europe/Lisbon",
    "hours": {day: [["14:00", "18:00"], ["09:00", "13:00"]] for day in ("mon", "tue", "wed", "thu", "fri")},
    "holidays": {"country": "PT"},
    "days": {"2026-12-24": [["09:00", "13:00"]], "2026-12-31": []},
}
POLICY: dict[str, Any] = {"name": "all", "acknowledge_s": 900, "resolve_s": 14_400}


def made(api: TestClient, what: str, body: dict[str, Any]) -> Any:
    answer = api.post(f"/sla/{what}", json=body)
    assert answer.status_code == 201, answer.text
    return answer


def pointers(answer: Any) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    return {error["pointer"]: error["detail"] for error in answer.json()["errors"]}


def test_a_calendar_is_made_shown_replaced_and_removed(api: TestClient) -> None:
    answer = made(api, "calendars", CALENDAR)
    assert (answer.headers["etag"], answer.headers["location"]) == ('"1"', "/sla/calendars/lisbon")
    shown = answer.json()
    assert shown["hours"]["mon"] == [["09:00", "13:00"], ["14:00", "18:00"]]
    assert shown["holidays"] == {"country": "PT", "subdivision": None}
    assert api.get("/sla/calendars/lisbon").json() == shown
    body = {name: value for name, value in CALENDAR.items() if name != "name"}
    assert api.put("/sla/calendars/lisbon", json=body).json()["version"] == 1
    changed = api.put("/sla/calendars/lisbon", json={**body, "holidays": None}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    stale = api.put("/sla/calendars/lisbon", json=body, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    assert api.delete("/sla/calendars/lisbon").json()["version"] == 2
    assert api.get("/sla/calendars/lisbon").status_code == 404
    versions = api.get("/sla/calendars/lisbon/versions").json()["items"]
    assert [(one["version"], one["definition"] is None) for one in versions] == [(3, True), (2, False), (1, False)]
    assert made(api, "calendars", CALENDAR).json()["version"] == 4


def test_a_policy_is_made_shown_replaced_and_removed(api: TestClient) -> None:
    answer = made(api, "policies", {**POLICY, "priorities": ["high", "P1"], "services": ["payments"]})
    shown = answer.json()
    assert (shown["priorities"], shown["at_risk_share"], shown["at_risk_left_s"]) == (["P1", "P2"], 0.75, None)
    assert api.get("/sla/policies/all").json() == shown
    new = api.put("/sla/policies/slow", json={"resolve_s": 86_400, "at_risk_left_s": 3600})
    assert (new.status_code, new.json()["at_risk_share"]) == (201, None)
    assert [one["name"] for one in api.get("/sla/policies").json()["items"]] == ["all", "slow"]
    page = api.get("/sla/policies", params={"limit": 1}).json()
    assert api.get("/sla/policies", params={"cursor": page["next"]}).json()["items"][0]["name"] == "slow"
    assert api.delete("/sla/policies/all", headers={"If-Match": '"7"'}).status_code == 412
    assert api.delete("/sla/policies/all").status_code == 200
    assert api.get("/sla/policies/all/versions").json()["items"][0]["definition"] is None
    assert api.get("/sla/policies/none/versions").status_code == 404


def test_a_second_one_of_a_name_is_refused_and_a_repeat_of_the_request_is_not(api: TestClient) -> None:
    key = {"Idempotency-Key": "once"}
    first = api.post("/sla/policies", json=POLICY, headers=key)
    assert api.post("/sla/policies", json=POLICY, headers=key).json() == first.json()
    assert api.post("/sla/policies", json=POLICY).status_code == 409


def test_a_calendar_that_a_policy_uses_is_not_removed(api: TestClient) -> None:
    made(api, "calendars", CALENDAR)
    made(api, "policies", {**POLICY, "calendar": "lisbon"})
    refused = api.delete("/sla/calendars/lisbon")
    assert refused.status_code == 409
    assert "the policy all" in refused.json()["detail"]
    api.delete("/sla/policies/all")
    assert api.delete("/sla/calendars/lisbon").status_code == 200


@pytest.mark.parametrize(
    ("changes", "pointer", "detail"),
    [
        ({"time_zone": "Mars/Olympus"}, "/time_zone", "no time zone"),
        ({"time_zone": "../../etc/passwd"}, "/time_zone", "no time zone"),
        ({"hours": {"mon": [["09:00", "13:00"], ["12:00", "18:00"]]}}, "/hours/mon/1", "overlaps 09:00-13:00"),
        (
            {"hours": {"mon": [["22:00", "06:00"]], "tue": [["05:00", "09:00"]]}},
            "/hours/tue/0",
            "overlaps 22:00-06:00 of mon",
        ),
        (
            {"hours": {"sun": [["20:00", "10:00"]], "mon": [["09:00", "17:00"]]}},
            "/hours/mon/0",
            "overlaps 20:00-10:00 of sun",
        ),
        ({"hours": {"mon": [["09:00", "09:00"]]}}, "/hours/mon/0", "no length"),
        ({"hours": {"mon": [["24:00", "09:00"]]}}, "/hours/mon/0", "no length"),
        ({"hours": {"mon": [["09:00"]]}}, "/hours/mon/0", "from and until"),
        ({"hours": {"mon": [["9", "17:00"]]}}, "/hours/mon/0/0", "no time of day"),
        ({"hours": {"mon": [["09:00", "24:30"]]}}, "/hours/mon/0/1", "no time of day"),
        ({"hours": {"monday": [["09:00", "17:00"]]}}, "/hours/monday", "mon, tue"),
        ({"hours": {}}, "/hours", "never come"),
        ({"hours": {"mon": []}, "days": {"2027-01-01": [["09:00", "17:00"]]}}, "/hours", "never come"),
        ({"holidays": {"country": "Atlantis"}}, "/holidays/country", "not known"),
        ({"holidays": {"country": "DE", "subdivision": "XX"}}, "/holidays/subdivision", "BY"),
        ({"days": {"24.12.2026": []}}, "/days/24.12.2026", "no date"),
        ({"days": {"2026-02-30": []}}, "/days/2026-02-30", "no date"),
        ({"days": {"2026-12-24": [["09:00", "12:00"], ["11:00", "13:00"]]}}, "/days/2026-12-24/1", "overlaps"),
        ({"name": "No good"}, "/name", "a-z"),
        ({"hours": {"mon": [["09:00", "17:00"]] * 25}}, "/hours/mon", "at most 24"),
    ],
)
def test_what_is_wrong_with_a_calendar_is_named(
    still_api: TestClient, changes: dict[str, Any], pointer: str, detail: str
) -> None:
    found = pointers(still_api.post("/sla/calendars", json={**CALENDAR, **changes}))
    assert detail in found[pointer]
    assert still_api.get("/sla/calendars").json()["items"] == []


def test_holidays_that_cover_a_year_are_refused(api: TestClient) -> None:
    days = {(START + timedelta(days=400 + n)).date().isoformat(): [] for n in range(800)}
    found = pointers(api.post("/sla/calendars", json={**CALENDAR, "days": days}))
    assert "no working time from 2028" in found["/hours"]


def test_all_that_is_wrong_is_named_at_once(api: TestClient) -> None:
    bad = {**CALENDAR, "time_zone": "?", "hours": {"mon": [["x", "y"]]}, "holidays": {"country": "??"}}
    assert set(pointers(api.post("/sla/calendars", json=bad))) == {
        "/time_zone", "/hours/mon/0/0", "/hours/mon/0/1", "/holidays/country",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"acknowledge_s": None, "resolve_s": None}, "/resolve_s"),
        ({"resolve_s": 0}, "/resolve_s"),
        ({"acknowledge_s": -5}, "/acknowledge_s"),
        ({"resolve_s": 100 * 366 * 86_400}, "/resolve_s"),
        ({"at_risk_share": 1.5}, "/at_risk_share"),
        ({"at_risk_share": 0}, "/at_risk_share"),
        ({"at_risk_share": 0.5, "at_risk_left_s": 60}, "/at_risk_share"),
        ({"at_risk_left_s": 900}, "/at_risk_left_s"),
        ({"calendar": "nowhere"}, "/calendar"),
        ({"priorities": ["P9"]}, "/priorities/0"),
        ({"name": "../up"}, "/name"),
        ({"targets": {}}, "/targets"),
    ],
)
def test_what_is_wrong_with_a_policy_is_named(still_api: TestClient, changes: dict[str, Any], pointer: str) -> None:
    assert pointer in pointers(still_api.post("/sla/policies", json={**POLICY, **changes}))


def test_two_policies_of_which_neither_is_the_more_specific_are_refused_and_the_other_is_named(api: TestClient) -> None:
    made(api, "policies", {**POLICY, "name": "urgent", "priorities": ["P1", "P2"]})
    refused = api.post("/sla/policies", json={**POLICY, "name": "high", "priorities": ["P2", "P3"]})
    assert "the policy urgent: for a P2 ticket" in pointers(refused)[""]
    made(api, "policies", {**POLICY, "name": "low", "priorities": ["P3"]})
    assert api.put("/sla/policies/low", json={"resolve_s": 60, "priorities": ["P1"]}).status_code == 422
    assert api.put("/sla/policies/urgent", json={"resolve_s": 60, "priorities": ["P1", "P2"]}).status_code == 200


def test_a_target_that_takes_decades_by_its_calendar_is_refused(api: TestClient) -> None:
    hourly = {"name": "hourly", "time_zone": "UTC", "hours": {"mon": [["09:00", "10:00"]]}}
    made(api, "calendars", hourly)
    long = {"resolve_s": 366 * 86_400, "calendar": "hourly"}
    assert "within 10 years" in pointers(api.put("/sla/policies/all", json=long))["/calendar"]
    api.put("/sla/policies/all", json={"resolve_s": 500 * 3600, "calendar": "hourly"})
    shorter = {"time_zone": "UTC", "hours": {"mon": [["09:00", "09:01"]]}}
    assert "the policy all" in pointers(api.put("/sla/calendars/hourly", json=shorter))["/hours"]


def test_a_calendar_is_tried_without_being_kept(api: TestClient) -> None:
    body = {"calendar": {name: value for name, value in CALENDAR.items() if name != "name"}}
    start = {"start": "2026-12-23T17:30:00Z"}
    pause = {"start": "2026-12-24T10:00:00Z", "end": "2026-12-24T11:00:00+00:00"}
    due = api.post("/sla/calendars/try", json={**body, **start, "target_s": 7200, "pauses": [pause]}).json()
    assert due["due_at"] == "2026-12-24T11:30:00Z"
    assert due["elapsed_s"] is None
    assert due["working"][:3] == [
        {"start": "2026-12-23T17:30:00Z", "end": "2026-12-23T18:00:00Z"},
        {"start": "2026-12-24T09:00:00Z", "end": "2026-12-24T13:00:00Z"},
        {"start": "2026-12-28T09:00:00Z", "end": "2026-12-28T13:00:00Z"},
    ]
    end = {"end": "2026-12-28T10:00:00Z"}
    assert api.post("/sla/calendars/try", json={**body, **start, **end}).json()["elapsed_s"] == 5.5 * 3600
    assert api.get("/sla/calendars").json()["items"] == []
    endless = [{"start": "2026-12-23T17:40:00Z"}]
    answer = api.post("/sla/calendars/try", json={**body, **start, "target_s": 7200, "pauses": endless})
    assert answer.json()["due_at"] is None


def test_what_is_wrong_with_a_trial_is_named(api: TestClient) -> None:
    calendar = {name: value for name, value in CALENDAR.items() if name != "name"}
    start = {"start": "2026-12-23T17:30:00Z"}

    def tried(**changes: Any) -> set[str]:
        return set(pointers(api.post("/sla/calendars/try", json={"calendar": calendar, **start, **changes})))

    assert tried() == {"/target_s"}
    assert tried(target_s=60, end="2026-12-28T10:00:00Z") == {"/target_s"}
    assert tried(target_s=-60) == {"/target_s"}
    assert tried(target_s=100 * 366 * 86_400) == {"/target_s"}
    assert tried(end="9999-12-31T00:00:00Z") == {"/end"}
    assert tried(target_s=60, calendar={**calendar, "time_zone": "?"}) == {"/calendar/time_zone"}
    assert tried(target_s=60, calendar={**calendar, "hours": {}}) == {"/calendar/hours"}
    assert tried(target_s=60, pauses=[{"start": "x"}]) == {"/pauses/0/start"}
    backwards = {"start": "2026-12-24T11:00:00Z", "end": "2026-12-24T10:00:00Z"}
    assert tried(target_s=60, pauses=[backwards]) == {"/pauses/0/end"}
    rare = {"time_zone": "UTC", "hours": {"mon": [["09:00", "09:01"]]}}
    assert tried(target_s=300 * 86_400, calendar=rare) == {"/calendar"}


def test_a_ticket_shows_its_clocks_in_list_and_detail_and_the_answer_to_a_change(
    api: TestClient, clock: FakeClock
) -> None:
    made(api, "policies", POLICY)
    api.post("/logs", json=critical())
    clock.advance(minutes=12)
    [listed] = api.get("/tickets").json()["items"]
    assert listed["sla"]["policy"] == "all"
    assert listed["sla"]["state"] == "at_risk"
    assert listed["sla"]["acknowledge"] == {
        "state": "at_risk",
        "due_at": iso(START + timedelta(minutes=15)),
        "at_risk_at": iso(START + timedelta(seconds=675)),
        "elapsed_s": 720,
        "remaining_s": 180,
        "paused_s": 0,
        "breached_at": None,
    }
    assert api.get("/tickets/1").json()["sla"] == listed["sla"]
    taken = api.patch("/tickets/1", json={"status": "IN_PROGRESS"}).json()
    assert (taken["sla"]["acknowledge"]["state"], taken["sla"]["state"]) == ("met", "on_track")
    by_hand = api.post("/tickets", json={"title": "x"}).json()
    assert by_hand["sla"]["resolve"]["state"] == "on_track"
    assert api.get("/tickets", params={"q": "sla:on_track"}).json()["items"][0]["id"] == 2
    assert api.get("/tickets", params={"q": "sla:brea*"}).json()["items"] == []
    wrong = api.get("/tickets", params={"q": "sla:late"})
    assert wrong.status_code == 422
    assert "none of breached, at_risk" in wrong.json()["detail"]


def test_a_ticket_is_held_and_resumed(api: TestClient, clock: FakeClock) -> None:
    made(api, "policies", POLICY)
    api.post("/tickets", json={"title": "x"})
    held = api.post("/tickets/1/hold", json={"reason": "the vendor", "until": "4h"}, headers={"If-Match": '"1"'})
    assert held.headers["etag"] == '"2"'
    assert held.json()["on_hold"] == {
        "since": iso(START),
        "until": iso(START + timedelta(hours=4)),
        "reason": "the vendor",
    }
    assert held.json()["sla"]["state"] == "paused"
    assert held.json()["sla"]["resolve"]["due_at"] == iso(START + timedelta(hours=8))
    assert api.post("/tickets/1/hold", json={"reason": "x"}, headers={"If-Match": '"1"'}).status_code == 412
    clock.advance(hours=1)
    resumed = api.post("/tickets/1/resume", json={"reason": "they have answered"}).json()
    assert (resumed["on_hold"], resumed["sla"]["resolve"]["paused_s"]) == (None, 3600)
    assert api.post("/tickets/1/resume", json={}).status_code == 409
    assert api.post("/tickets/1/resume").status_code == 409  # why it is resumed need not be said
    kinds = [event["kind"] for event in api.get("/tickets/1/events").json()["items"]]
    assert kinds == ["TicketOpened", "SlaAssigned", "TicketHeld", "TicketResumed"]


@pytest.mark.parametrize("until", ["2020-01-01T00:00:00Z", "-1h", "0s", "9998-01-01T00:00:00Z", "999999w", "soon"])
def test_a_hold_that_ends_in_the_past_or_never_is_refused(api: TestClient, until: str) -> None:
    api.post("/tickets", json={"title": "x"})
    assert set(pointers(api.post("/tickets/1/hold", json={"reason": "x", "until": until}))) == {"/until"}


def test_a_ticket_that_is_over_is_not_held_and_one_that_is_not_there_is_not_found(api: TestClient) -> None:
    api.post("/tickets", json={"title": "x"})
    for status in ("IN_PROGRESS", "RESOLVED"):
        api.patch("/tickets/1", json={"status": status})
    assert api.post("/tickets/1/hold", json={"reason": "x"}).status_code == 409
    for action in ("hold", "resume", "sla/recalculate"):
        assert api.post(f"/tickets/9/{action}", json={"reason": "x"}).status_code == 404


def test_clocks_are_reckoned_anew_on_purpose(api: TestClient) -> None:
    api.post("/tickets", json={"title": "x"})
    assert api.post("/tickets/1/sla/recalculate").status_code == 409
    made(api, "policies", POLICY)
    assert api.get("/tickets/1").json()["sla"] is None
    assert api.post("/tickets/1/sla/recalculate", json={"reason": "new contract"}).json()["sla"]["policy"] == "all"
    assert api.get("/tickets/1/events").json()["items"][-1]["data"]["reason"] == "new contract"
