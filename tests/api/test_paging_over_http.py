"""Routes, escalation policies, notification rules, drills and calls over HTTP, and the same at a terminal."""

import pytest

POLICY = {"steps": [{"targets": ["user:ana"], "delay_s": 300}, {"targets": ["team:shop"]}], "repeats": 1}


@pytest.fixture
def client(api):
    client = api
    for name in ("ana", "rui"):
        assert client.put(f"/users/{name}", json={"email": f"{name}@example.org"}).status_code == 201
    assert client.put("/teams/shop", json={"members": ["rui"]}).status_code in {200, 201}
    return client


def test_policies_and_routes_are_kept_in_versions_and_order(client):
    made = client.put("/escalation-policies/pay", json=POLICY)
    assert (made.status_code, made.headers["etag"], made.headers["location"]) == (
        201,
        '"1"',
        "/escalation-policies/pay",
    )
    assert client.put("/escalation-policies/pay", json=POLICY).headers["etag"] == '"1"'
    assert client.put("/escalation-policies/pay", json=POLICY, headers={"If-Match": '"9"'}).status_code == 412
    wrong = client.put(
        "/escalation-policies/x", json={"steps": [{"targets": ["ana"]}], "fallback": "schedule:x"}
    ).json()
    assert [one["pointer"] for one in wrong["errors"]] == ["/steps/0/targets/0", "/fallback"]
    assert client.get("/escalation-policies/none").status_code == 404

    route = {"query": "service:payments", "escalation_policy": "pay", "channels": ["console", "hook"], "continue": True}
    client.put("/channels/hook", json={"kind": "console"})
    assert client.put("/routes/pay", json=route).json()["continue"] is True
    assert client.put("/routes/rest", json={"channels": ["console"], "place": 1}).json()["place"] == 1
    assert [one["name"] for one in client.get("/routes").json()["items"]] == ["rest", "pay"]
    assert client.post("/routes/order", json={"names": ["pay"]}).json()["errors"][0]["pointer"] == "/names"
    ordered = client.post("/routes/order", json={"names": ["pay", "rest"]}).json()["items"]
    assert [(one["name"], one["place"]) for one in ordered] == [("pay", 1), ("rest", 2)]
    kept = client.delete("/escalation-policies/pay")
    assert (kept.status_code, kept.json()["type"]) == (409, "urn:tocsin:problem:in-use")
    assert (kept.json()["used_by"], kept.json()["used_by_count"]) == ([{"kind": "route", "name": "pay"}], 1)
    refused = client.put("/routes/pay", json={"escalation_policy": "none", "channels": ["consle"]}).json()
    assert refused["errors"] == [
        {"detail": "there is no channel consle; did you mean console?", "pointer": "/channels/0"},
        {"detail": "there is no escalation policy none; there are pay", "pointer": "/escalation_policy"},
    ]
    assert client.delete("/channels/hook").status_code == 409
    assert client.delete("/channels/hook?force=true").status_code == 200
    assert client.delete("/routes/rest").json()["name"] == "rest"
    assert [one["version"] for one in client.get("/routes/rest/versions").json()["items"]] == [2, 1]
    assert client.get("/escalation-policies/pay/versions").json()["items"][0]["definition"]["repeats"] == 1

    said = {"ticket": {"service": "payments", "priority": "P1"}}
    told = client.post("/routes/preview", json=said).json()
    assert [(one["route"], one["matched"]) for one in told["tried"]] == [("pay", True)]
    assert [(one["round"], one["step"], one["people"]) for one in told["steps"]] == [
        (1, 1, ["ana"]),
        (1, 2, ["rui"]),
        (2, 1, ["ana"]),
        (2, 2, ["rui"]),
    ]
    assert "ana has no verified way to be reached: their email will be tried" in told["problems"]
    assert "there is no channel hook" in told["problems"]
    assert client.post("/routes/preview", json={}).status_code == 422


def test_a_ticket_is_paged_handed_back_and_explained(client):
    client.put("/escalation-policies/pay", json=POLICY)
    client.put("/routes/pay", json={"escalation_policy": "pay"})
    ticket = client.post("/tickets", json={"title": "it is down"}).json()
    [run] = client.get(f"/tickets/{ticket['id']}/escalations").json()["items"]
    assert (run["policy"], run["state"], run["round"], run["step"]) == ("pay", "calling", 1, 2)
    client.patch(f"/tickets/{ticket['id']}", json={"status": "IN_PROGRESS"})
    back = client.post(f"/tickets/{ticket['id']}/hand-back", json={"reason": "not mine"}).json()
    assert (back["status"], back["acknowledged_at"]) == ("OPEN", None)
    assert client.post(f"/tickets/{ticket['id']}/hand-back", json={"reason": "again"}).status_code == 409
    called = client.post(f"/tickets/{ticket['id']}/page", json={"team": "shop", "message": "look"}).json()
    assert called == {"called": ["rui"], "reached": False, "problems": [
        "rui has no verified way to be reached: their email is tried", "no channel carries a way to reach rui",
    ]}  # fmt: skip
    assert client.post(f"/tickets/{ticket['id']}/page", json={"user": "a", "team": "b"}).status_code == 422
    assert client.post(f"/tickets/{ticket['id']}/page", json={"user": "kim"}).status_code == 404
    told = client.get(f"/tickets/{ticket['id']}/deliveries/explain", params={"person": "ana"}).json()
    assert (told["paged"], len(told["calls"]), told["calls"][0]["route"]) == (True, 2, "pay")
    assert any("no verified way" in one for one in told["warnings"])
    told = client.get(f"/tickets/{ticket['id']}/deliveries/explain").json()
    assert [(one["person"], one["paged"]) for one in told["people"]] == [("ana", True), ("rui", True)]
    assert client.get("/tickets/9/deliveries/explain").status_code == 404
    assert client.get("/reports/paging", params={"by": "person"}).json()["total"]["pages"] == 3


def test_rules_are_a_persons_own_and_drills_are_scheduled_and_run(client):
    default = client.get("/users/ana/notification-rules").json()
    assert (default["version"], default["own"], len(default["rules"]["P1"])) == (0, [], 2)
    saved = client.put("/users/ana/notification-rules", json={"rules": {"P1": [{"method": "email"}]}})
    assert (saved.json()["own"], saved.headers["etag"]) == (["P1"], '"1"')
    assert client.put("/users/ana/notification-rules", json={"rules": {"P1": []}}).status_code == 422
    refused = client.put("/users/ana/notification-rules", json={"rules": {"P1": [{"method": "pigeon"}]}}).json()
    assert refused["errors"][0]["pointer"] == "/rules/P1/0/method"
    assert client.delete("/users/ana/notification-rules").json()["own"] == []
    assert client.get("/users/kim/notification-rules").status_code == 404

    drill = {"service": "payments", "at": "09:30", "time_zone": "Europe/Lisbon", "weekdays": ["mon"]}
    assert client.put("/drills/weekly", json=drill).json()["next_at"]
    assert client.put("/drills/weekly", json={"service": "payments"}).status_code == 422
    assert [one["name"] for one in client.get("/drills").json()["items"]] == ["weekly"]
    assert client.delete("/drills/weekly").status_code == 200
    run = client.post("/drill-runs", json={"service": "payments", "within_s": 60})
    assert (run.status_code, run.json()["state"]) == (201, "running")
    assert client.get(run.headers["location"]).json()["service"] == "payments"
    assert [one["id"] for one in client.get("/drill-runs").json()["items"]] == [1]


def test_what_others_name_is_removed_by_force_only(client):
    client.put("/templates/mine", json={})
    client.put("/channels/hook", json={"kind": "console", "template": "mine"})
    client.put("/schedules/primary", json={"time_zone": "UTC", "layers": [{"users": ["ana"]}]})
    client.put("/sla/calendars/office", json={"time_zone": "UTC", "hours": {"mon": [["09:00", "17:00"]]}})
    client.put("/escalation-policies/pay", json={"steps": [{"targets": ["team:shop", "schedule:primary"]}]})
    route = {"channels": ["hook"], "calendar": "office", "when": "within", "escalation_policy": "pay"}
    assert client.put("/routes/pay", json=route).status_code == 201
    assert client.get("/users/ana").json()["escalation_policies"] == []
    paths = {
        "/templates/mine": "channel hook",
        "/channels/hook": "route pay",
        "/users/ana": "schedule primary",
        "/schedules/primary": "escalation policy pay",
        "/teams/shop": "escalation policy pay",
        "/sla/calendars/office": "route pay",
        "/escalation-policies/pay": "route pay",
    }
    for path, user in paths.items():
        kept = client.delete(path)
        assert (kept.status_code, kept.json()["type"]) == (409, "urn:tocsin:problem:in-use"), path
        assert f": {user} names it." in kept.json()["detail"]
        assert client.delete(path, params={"force": True}).status_code == 200, path
        assert client.delete(path, params={"force": True}).status_code == 404, path
    metrics = client.get("/metrics").text
    assert "tocsin_schedules_nobody_on_call 0.0" in metrics
