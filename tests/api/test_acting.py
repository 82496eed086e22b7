"""The page behind a link, Slack's buttons, and acknowledging over the API: who may, what they see, what they change."""

import html
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient

from desk import FakeClock, critical
from outward import Loopback, Receiver, receiving, slack_signature
from tocsin.notify import link_store
from tocsin.notify.links import LIVES, Link, Verb, nonce_of, sign
from tocsin.settings import Settings
from tocsin.storage.database import Database

KEY = "0123456789abcdef0123"
WITH_KEY = {"Authorization": f"Bearer {KEY}"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
OUTSIDER = ("203.0.113.9", 50_000)


def token_of(api: TestClient, verb: Verb = Verb.ACKNOWLEDGE, *, person: str | None = "ana", message: str = "d") -> str:
    database: Database = api.app.state.services.database  # type: ignore[attr-defined]
    key = database.read(link_store.keys)[0]
    return sign(Link(1, verb, person, database.clock.now() + LIVES, nonce_of(message)), key)


def words(page: Any) -> str:
    return html.unescape(" ".join(page.text.split()))


@pytest.fixture
def keyed(sqlite_settings: Settings, open_api: Callable[..., TestClient], clock: FakeClock) -> TestClient:
    """A server with a key, asked from elsewhere without it. What is written on which database, test_answering shows."""
    with_key = Settings(**{**sqlite_settings.model_dump(), "admin_key": KEY})
    api = open_api(with_key, clock=clock, client=OUTSIDER)
    api.post("/logs", json=critical("<script>alert(1)</script>"), headers=WITH_KEY)
    return api


def status_of(api: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/tickets/1", headers=WITH_KEY).json()
    return found


def test_looking_changes_nothing_and_the_button_acts_once(keyed: TestClient) -> None:
    token = token_of(keyed)
    assert keyed.get("/tickets/1").status_code == 401
    for _ in range(2):
        page = keyed.get(f"/act/{token}")
        assert page.status_code == 200
        assert "Acknowledge ticket 1?" in words(page)
        assert '<button type="submit">Acknowledge as ana</button>' in page.text
        assert keyed.head(f"/act/{token}").status_code == 200
    assert "<script>" not in page.text
    assert status_of(keyed)["status"] == "OPEN"
    done = keyed.post(f"/act/{token}", headers=FORM)
    assert (done.status_code, "Thank you ana has it now" in words(done).replace('</h1> <p role="status">', " ")) == (
        200,
        True,
    )
    assert status_of(keyed)["assignee"] == "ana"
    again = keyed.post(f"/act/{token}")
    assert (again.status_code, "This link was used" in again.text, "<button" in again.text) == (410, True, False)
    assert keyed.get(f"/act/{token}").status_code == 410
    other = keyed.get(f"/act/{token_of(keyed, message='e')}")
    assert (other.status_code, "is taken already" in other.text, "<button" in other.text) == (200, True, False)


def test_the_page_is_kept_nowhere_and_runs_nothing(keyed: TestClient) -> None:
    assert keyed.post("/slack/actions", content=b"payload=x", headers=FORM).status_code == 403  # without its secret
    headers = keyed.get(f"/act/{token_of(keyed)}").headers
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-robots-tag"].startswith("noindex")


def test_what_is_no_link_is_told_apart_from_what_has_expired(keyed: TestClient, clock: FakeClock) -> None:
    token = token_of(keyed)
    for wrong in (token[:-2], "x", "ü", "a" * 5000, f"{token}/x"):
        assert keyed.get(f"/act/{wrong}").status_code == 404
        assert keyed.post(f"/act/{wrong}").status_code == 404
    clock.advance(days=2)
    page = keyed.post(f"/act/{token}")
    assert (page.status_code, "This link has expired" in page.text) == (410, True)
    assert status_of(keyed)["status"] == "OPEN"


def test_a_form_of_another_site_is_refused_and_so_is_another_kind_of_body(keyed: TestClient) -> None:
    token = token_of(keyed)
    foreign = keyed.post(f"/act/{token}", headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    assert keyed.post(f"/act/{token}", json={}).status_code == 415
    assert keyed.post(f"/act/{token}", content=b"x" * 50_000, headers=FORM).status_code == 403
    assert status_of(keyed)["status"] == "OPEN"


def test_a_key_that_is_pressed_in_a_call_acknowledges(keyed: TestClient) -> None:
    token = token_of(keyed)
    other = keyed.post(f"/act/{token}/phone", content="Digits=9&CallSid=CA1", headers=FORM)
    assert (other.status_code, "Nothing was changed" in other.text, status_of(keyed)["status"]) == (200, True, "OPEN")
    pressed = keyed.post(f"/act/{token}/phone", content="Digits=4&CallSid=CA1", headers=FORM)
    assert pressed.headers["content-type"] == "application/xml"
    assert pressed.text == "<Response><Say>Thank you. ana has it now; nobody else is called for it.</Say></Response>"
    assert "This link was used" in keyed.post(f"/act/{token}/phone", content="Digits=4", headers=FORM).text
    events = keyed.get("/tickets/1/events", headers=WITH_KEY).json()["items"]
    assert [one["actor"] for one in events if one["kind"] == "TicketAnswered"] == ["phone:ana"]


def test_a_link_that_was_sent_to_many_asks_for_a_name(keyed: TestClient) -> None:
    token = token_of(keyed, person=None)
    assert '<label for="person">Your name</label>' in keyed.get(f"/act/{token}").text
    nameless = keyed.post(f"/act/{token}")
    assert (nameless.status_code, "Say who you are." in nameless.text) == (422, True)
    named = keyed.post(f"/act/{token}", content=urlencode({"person": "rui\r\nx"}), headers=FORM)
    assert (named.status_code, status_of(keyed)["assignee"]) == (200, "rui x")
    own = token_of(keyed, Verb.RESOLVE, message="r")
    keyed.post(f"/act/{own}", content="person=eve", headers=FORM)
    events = keyed.get("/tickets/1/events", headers=WITH_KEY).json()["items"]
    assert events[-1]["actor"] == "link:ana"


def test_resolving_asks_for_what_the_policy_asks_for(keyed: TestClient) -> None:
    strict = {"name": "strict", "resolve_s": 3600, "require_resolution": True, "acknowledge_s": 60}
    assert keyed.post("/sla/policies", json=strict, headers=WITH_KEY).status_code == 201
    keyed.post("/logs", json=critical("second", service="web"), headers=WITH_KEY)
    database: Database = keyed.app.state.services.database  # type: ignore[attr-defined]
    link = Link(2, Verb.RESOLVE, "ana", database.clock.now() + LIVES, nonce_of("d"))
    token = sign(link, database.read(link_store.keys)[0])
    asked = keyed.post(f"/act/{token}", headers=FORM)
    assert (asked.status_code, 'name="resolution_note"' in asked.text, "asks for resolution_code" in asked.text) == (
        422,
        True,
        True,
    )
    form = urlencode({"resolution_code": "fixed", "resolution_note": "restarted"})
    assert keyed.post(f"/act/{token}", content=form, headers=FORM).status_code == 200
    assert keyed.get("/tickets/2", headers=WITH_KEY).json()["resolution_note"] == "restarted"


def test_acknowledging_over_the_api_is_done_once_however_often_it_is_asked_for(api: TestClient) -> None:
    api.post("/logs", json=critical())
    first = api.post("/tickets/1/acknowledge", json={"person": "ana", "way": "cli"})
    assert (first.status_code, first.json()["status"], first.json()["assignee"]) == (200, "IN_PROGRESS", "ana")
    again = api.post("/tickets/1/acknowledge", json={"person": "rui"})
    assert (again.status_code, again.json()) == (200, first.json())
    kinds = [(one["kind"], one["data"].get("way")) for one in api.get("/tickets/1/events").json()["items"]]
    assert kinds.count(("TicketAnswered", "cli")) == 1
    assert api.post("/tickets/9/acknowledge", json={}).status_code == 404
    assert api.post("/tickets/1/acknowledge", json={"way": "link"}).status_code == 422


@pytest.fixture
def chat() -> Iterator[Receiver]:
    with receiving() as found:
        found.answer(200, b"ok")
        yield found


def test_a_button_in_slack_acts_as_whoever_pressed_it_and_replaces_the_message(
    sqlite_settings: Settings, open_api: Callable[..., TestClient], chat: Receiver
) -> None:
    with_slack = Settings(**{**sqlite_settings.model_dump(), "admin_key": KEY, "slack_signing_secret": "s3cret"})
    api = open_api(with_slack, client=OUTSIDER, outside=Loopback())
    api.post("/logs", json=critical("lost <!channel>"), headers=WITH_KEY)

    def press(token: str, user: str = "ana", secret: str = "s3cret") -> Any:
        payload = {
            "type": "block_actions",
            "user": {"id": "U1", "username": user},
            "actions": [{"action_id": "acknowledge", "value": token}],
            "response_url": f"{chat.url}/actions/1",
        }
        body = urlencode({"payload": json.dumps(payload)}).encode()
        stamp = str(int(time.time()))
        signed = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": slack_signature(secret, stamp, body)}
        return api.post("/slack/actions", content=body, headers={**FORM, **signed})

    token = token_of(api, person=None)
    assert press(token, secret="wrong").status_code == 401
    assert api.post("/slack/actions", content=b"payload=x", headers=FORM).status_code == 401
    assert (status_of(api)["status"], chat.heard) == ("OPEN", [])

    pressed = press(token)
    assert (pressed.status_code, pressed.content) == (200, b"")
    assert status_of(api)["assignee"] == "ana"
    said = chat.last.json
    assert said["replace_original"]
    assert said["blocks"][0]["text"]["text"].startswith("Taken by ana: P2 payments: lost <!channel>")
    assert "<!channel>" not in json.dumps(said["blocks"][1:]) + said["text"]
    assert "actions" not in [block["type"] for block in said["blocks"]]
    assert press(token, user="rui").status_code == 200
    assert chat.last.json["blocks"][0]["text"]["text"].startswith("Taken by ana")
    press("not-a-token")
    assert (chat.last.json["response_type"], chat.last.json["text"]) == (
        "ephemeral",
        "This button is not valid any more.",
    )
    events = api.get("/tickets/1/events", headers=WITH_KEY).json()["items"]
    assert [one["actor"] for one in events if one["kind"] == "TicketAnswered"] == ["slack:ana"]
