"""Channels and deliveries over HTTP: secrets stay hidden, a test tells what came of it, the dead are replayed."""

import base64
from collections.abc import Callable, Iterator

import pytest
from starlette.testclient import TestClient

import receivers
from desk import critical, wait_until
from receivers import Receiver, answer
from tocsin.settings import Settings

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def api(sqlite_settings: Settings, open_api: Callable[..., TestClient]) -> TestClient:
    return open_api(sqlite_settings.model_copy(update={"allow_private": "127.0.0.1"}))


def test_every_kind_of_channels_is_listed_with_what_it_needs(api: TestClient) -> None:
    kinds = {one["kind"]: one for one in api.get("/channel-kinds").json()["items"]}
    assert kinds["telegram"]["needs"] == [
        {"setting": "token", "detail": "is required"},
        {"setting": "chat_id", "detail": "is required"},
    ]
    assert kinds["email"]["personal"] is True


def test_a_channel_is_kept_without_ever_showing_its_secrets(api: TestClient, receiver: Receiver) -> None:
    config = {"url": receiver.url, "secret": SECRET, "headers": {"Authorization": "Bearer sesame"}}
    made = api.put("/channels/hook", json={"kind": "webhook", "config": config, "is_default": True})
    assert (made.status_code, made.headers["location"]) == (201, "/channels/hook")
    shown = made.json()
    assert shown["config"] == {"url": receiver.url, "secret": "***", "headers": {"Authorization": "***"}}

    again = api.put(
        "/channels/hook",
        json={"kind": "webhook", "config": shown["config"] | {"old_secret": SECRET}, "is_default": True},
        headers={"if-match": made.headers["etag"]},
    )
    assert again.status_code == 200
    assert again.json()["version"] > shown["version"]
    for path in ("/channels", "/channels/hook", "/tickets", "/deliveries", "/export"):
        assert SECRET not in api.get(path).text
        assert "sesame" not in api.get(path).text
    stale = api.put("/channels/hook", json={"kind": "webhook", "config": config}, headers={"if-match": '"1"'})
    assert stale.status_code == 412

    tested = api.post("/channels/hook/test")
    assert (tested.status_code, tested.json()["delivered"], tested.json()["answer"]) == (200, True, "200")
    [heard] = receiver.heard
    assert heard.headers["authorization"] == "Bearer sesame"
    assert heard.data["type"] == "tocsin.test"
    assert len(heard.headers["webhook-signature"].split(" ")) == 2
    assert api.get("/channels/hook").json()["last_success_at"] is not None

    assert [one["name"] for one in api.get("/channels").json()["items"]] == ["console", "hook"]
    assert api.put("/channels/console", json={"kind": "console", "fallback": "hook"}).status_code == 200
    assert api.delete("/channels/hook").status_code == 409
    assert api.put("/channels/console", json={"kind": "console"}).status_code == 200
    assert api.delete("/channels/hook").status_code == 200
    assert api.get("/channels/hook").status_code == 404


def test_what_is_wrong_with_a_channel_is_named_field_by_field(api: TestClient) -> None:
    wrong = {
        "kind": "webhook",
        "config": {"url": "ftp://x", "secret": "***", "headers": {"Host": "evil"}},
        "concurrency": 0,
        "kinds": ["news"],
        "fallback": "nowhere",
    }
    answered = api.put("/channels/hook", json=wrong)
    assert answered.status_code == 422
    assert {error["pointer"] for error in answered.json()["errors"]} == {"/concurrency", "/kinds", "/config/secret"}
    del wrong["config"]["secret"], wrong["concurrency"], wrong["kinds"]  # type: ignore[attr-defined]
    found = api.put("/channels/hook", json=wrong).json()["errors"]
    assert {error["pointer"] for error in found} == {"/config/url", "/config/headers/Host"}
    assert api.put("/channels/hook", json={"kind": "pigeon"}).json()["errors"][0]["pointer"] == "/kind"
    wrong["config"] = {"url": "https://hooks.example.org/"}
    assert api.put("/channels/hook", json=wrong).json()["errors"][0]["pointer"] == "/fallback"


def test_what_was_given_up_is_found_and_sent_again_one_by_one_and_in_bulk(api: TestClient, receiver: Receiver) -> None:
    receiver.way = answer(400, b"no")
    body = {"kind": "webhook", "config": {"url": receiver.url}, "is_default": True}
    api.put("/channels/hook", json=body)
    api.post("/logs", json=[critical("one"), critical("two"), critical("three")])
    wait_until(lambda: len(api.get("/deliveries?state=dead&channel=hook").json()["items"]) == 3)
    tested = api.post("/channels/hook/test").json()
    assert (tested["delivered"], tested["delivery"]["state"], tested["answer"]) == (False, "dead", "400 no")

    metrics = api.get("/metrics").text
    assert 'tocsin_deliveries_failed_total{channel="hook"} 4.0' in metrics
    assert api.get("/channels/hook").json()["dead"] == 3, "a test that failed was told to whoever asked for it"
    page = api.get("/deliveries?channel=hook&limit=2").json()
    rest = api.get("/deliveries", params={"channel": "hook", "limit": 2, "cursor": page["next"]}).json()
    assert [len(page["items"]), len(rest["items"]), rest["next"]] == [2, 2, None]

    receiver.way = answer()
    one = api.get("/deliveries?ticket=1&channel=hook").json()["items"][0]
    assert api.post(f"/deliveries/{one['id']}/replay").status_code == 200
    wait_until(lambda: api.get(f"/deliveries/{one['id']}").json()["state"] == "delivered")
    found = api.get(f"/deliveries/{one['id']}").json()
    assert [attempt["answer"] for attempt in found["tries"]] == ["400 no", "200"]

    assert api.post("/deliveries/replay", json={"channel": "other"}).json() == {"replayed": 0, "more": False}
    assert api.post("/deliveries/replay", json={"kind": "opened", "since": "2h"}).json()["replayed"] == 2
    wait_until(lambda: len(api.get("/deliveries?state=delivered&channel=hook").json()["items"]) == 3)
    assert api.post("/deliveries/999/replay").status_code == 404
    assert receiver.ids.count(one["message_id"]) == 2


def test_a_new_installation_is_quiet_but_visible(api: TestClient) -> None:
    api.post("/logs", json=[critical()])
    wait_until(lambda: api.get("/deliveries?state=delivered").json()["items"])
    [delivery] = api.get("/deliveries").json()["items"]
    assert (delivery["channel"], delivery["kind"], delivery["ticket_id"]) == ("console", "opened", 1)
    assert delivery["answer"] == "written to the server's log"


def test_a_test_of_a_receiver_that_hangs_ends_in_time_and_leaves_no_thread(api: TestClient, receiver: Receiver) -> None:
    receiver.way = receivers.hang
    api.put("/channels/hook", json={"kind": "webhook", "config": {"url": receiver.url}, "timeout_s": 1})
    tested = api.post("/channels/hook/test", headers={"idempotency-key": "once"}).json()
    assert (tested["delivered"], tested["answer"]) == (False, "no answer within 1 s")
    again = api.post("/channels/hook/test", headers={"idempotency-key": "once"}).json()
    assert again["delivery"]["id"] == tested["delivery"]["id"]
    assert len(receiver.heard) == 1
