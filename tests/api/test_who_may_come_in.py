"""The guard, health, metrics, request ids and the description, over HTTP."""

import json
from collections.abc import Callable

import pytest
from sqlalchemy import event
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from desk import critical, info
from tocsin.settings import Settings

KEY = "a key of more than sixteen characters"
PATHS = ["/logs", "/logs/1", "/alerts", "/alerts/1", "/tickets", "/tickets/1", "/tickets/1/events", "/metrics", "/docs",
         "/openapi.json", "/", "/unknown"]  # fmt: skip


@pytest.fixture
def make(tmp_path: object, sqlite_settings: Settings, open_api: Callable[..., TestClient]) -> Callable[..., TestClient]:
    def open_with(*, client: str = "127.0.0.1", **changes: object) -> TestClient:
        return open_api(Settings(data_dir=sqlite_settings.data_dir, **changes), client=(client, 50_000))

    return open_with


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"}, {"host": "evil.example"}, {"x-forwarded-for": "10.0.0.7"},
        {"sec-fetch-site": "cross-site"}, {"forwarded": "for=10.0.0.7"},
    ],
)  # fmt: skip
def test_a_web_page_elsewhere_and_a_rebound_name_can_neither_post_nor_read(
    make: Callable[..., TestClient], headers: dict[str, str]
) -> None:
    api = make()
    for path in PATHS:
        answer = api.get(path, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json"), path
    assert api.post("/logs", json=critical(), headers=headers).status_code == 403
    assert api.post("/tickets", json={"title": "x"}, headers=headers).status_code == 403
    assert api.get("/logs").json()["items"] == api.get("/tickets").json()["items"] == []


def test_another_machine_is_refused_until_a_key_exists(make: Callable[..., TestClient]) -> None:
    api = make(client="10.0.0.7")
    for path in PATHS:
        assert api.get(path).status_code == 403
    assert api.get("/healthz").status_code == 200


def test_with_a_key_everybody_needs_it_and_it_opens_from_anywhere(make: Callable[..., TestClient]) -> None:
    api = make(client="10.0.0.7", admin_key=KEY)
    good, bad = {"authorization": f"Bearer {KEY}"}, {"authorization": "Bearer wrong"}
    for path in set(PATHS) - {"/", "/docs", "/openapi.json"}:  # these are no secret, and a browser needs them first
        refused = api.get(path)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Bearer")
        assert api.get(path, headers=bad).status_code == 401
        assert api.get(path, headers=good).status_code in {200, 307, 404}
    assert api.post("/logs", json=info(), headers=good).status_code == 201
    opened = api.post("/tickets", json={"title": "x"}, headers=good).json()
    assert opened["opened_by"] == "key:admin"


def test_with_a_key_the_page_of_the_api_is_open_and_comes_from_here(make: Callable[..., TestClient]) -> None:
    api = make(client="10.0.0.7", admin_key=KEY)
    page = api.get("/docs")
    assert (page.status_code, "https://" in page.text) == (200, False)
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"/static/swagger-ui/{name}" in page.text
        assert api.get(f"/static/swagger-ui/{name}").status_code == 200
    assert api.get("/openapi.json").json()["security"] == [{}, {"key": []}]


def test_loopback_administration_can_be_turned_off(make: Callable[..., TestClient]) -> None:
    assert make(loopback_admin=False).get("/tickets").status_code == 403


def test_health_is_open_and_tells_no_secret(make: Callable[..., TestClient]) -> None:
    api = make(client="10.0.0.7", admin_key=KEY)
    assert api.get("/healthz").json() == {"status": "ok"}
    ready = api.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert KEY not in ready.text


def test_only_those_who_may_come_in_learn_which_installation_it_is(make: Callable[..., TestClient]) -> None:
    stranger = make(client="10.0.0.7", admin_key=KEY)
    assert stranger.get("/readyz").json() == {"status": "ready"}
    assert stranger.get("/readyz", headers={"authorization": "Bearer wrong"}).json() == {"status": "ready"}
    known = stranger.get("/readyz", headers={"authorization": f"Bearer {KEY}"}).json()
    assert (known["status"], len(known["installation"])) == ("ready", 14)


def test_strangers_who_ask_for_readiness_queue_no_writers(
    make: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = make(client="10.0.0.7", admin_key=KEY)
    begun: list[object] = []
    event.listen(api.app.state.services.database.dialect.writers, "begin", begun.append)
    api.app.state.services.writable._keep_s = 3600
    assert [api.get("/readyz").status_code for _ in range(20)] == [200] * 20
    assert len(begun) <= 1


@pytest.mark.parametrize("path", ["/logs", "/healthz", "/tickets"])
def test_a_web_socket_is_closed_before_it_opens(make: Callable[..., TestClient], path: str) -> None:
    with pytest.raises(WebSocketDisconnect) as closed, make().websocket_connect(path):
        pass
    assert closed.value.code == 1008


def test_the_metrics_count_what_happened(api: TestClient) -> None:
    api.post("/logs", json=[critical(), info(), {}])
    api.post("/logs", json={})
    api.post("/tickets", json={"title": "x", "priority": "P1"})
    text = api.get("/metrics").text
    for line in (
        "tocsin_logs_accepted_total 2.0", "tocsin_logs_rejected_total 2.0", 'tocsin_open_tickets{priority="P1"} 1.0',
        'tocsin_open_tickets{priority="P2"} 1.0', 'tocsin_open_tickets{priority="P5"} 0.0', "tocsin_queue_bytes 0.0",
        "tocsin_commit_seconds_count 1.0", "tocsin_parked_now 0.0",
    ):  # fmt: skip
        assert line in text, text


def test_every_answer_names_its_request(api: TestClient) -> None:
    mine = {"x-request-id": "abc-123"}
    for answer in (
        api.get("/tickets", headers=mine), api.get("/tickets/7", headers=mine), api.get("/nowhere", headers=mine),
        api.post("/logs", json=info(), headers=mine), api.post("/logs", json={}, headers=mine),
        api.post("/tickets", json={}, headers=mine), api.get("/logs", headers={**mine, "host": "evil.example"}),
    ):  # fmt: skip
        assert answer.headers["x-request-id"] == "abc-123"
    made = {api.get("/tickets").headers["x-request-id"] for _ in range(5)}
    assert len(made) == 5
    assert api.get("/tickets", headers={"x-request-id": "x" * 129}).headers["x-request-id"] != "x" * 129


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/tickets", 405),
                                                        ("PUT", "/logs", 405), ("POST", "/logs/", 405)])  # fmt: skip
def test_what_does_not_exist_is_a_problem_document_too(api: TestClient, method: str, path: str, status: int) -> None:
    answer = api.request(method, path)
    assert answer.status_code in {status, 404, 307}, answer.text
    if answer.status_code != 307:
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_bug_of_ours_is_a_problem_document_that_names_the_request_and_no_reason(
    settings: Settings, open_api: Callable[..., TestClient]
) -> None:
    class Clock:
        broken = False

        def now(self) -> object:
            if self.broken:
                raise ZeroDivisionError("the secret reason")
            from datetime import UTC, datetime

            return datetime.now(UTC)

    clock = Clock()
    api = open_api(settings, clock=clock)
    clock.broken = True
    for answer in (
        api.get("/tickets", headers={"x-request-id": "r1"}),
        api.post("/logs", json=info(), headers={"x-request-id": "r1"}),
        api.post("/tickets", json={"title": "x"}, headers={"x-request-id": "r1"}),
    ):
        assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
        assert answer.headers["x-request-id"] == "r1"
        assert "r1" in answer.json()["detail"]
        assert "secret" not in answer.text
    clock.broken = False
    assert api.get("/tickets").status_code == 200


def test_the_description_has_every_route_with_examples(api: TestClient) -> None:
    document = api.get("/openapi.json").json()
    for path, methods in {
        "/logs": {"get", "post"}, "/logs/{id}": {"get"}, "/alerts": {"get"}, "/alerts/{id}": {"get"},
        "/tickets": {"get", "post"}, "/tickets/{id}": {"get", "patch"}, "/tickets/{id}/priority": {"patch"},
        "/tickets/{id}/reopen": {"post"}, "/tickets/{id}/events": {"get"}, "/healthz": {"get"}, "/readyz": {"get"},
        "/metrics": {"get"},
    }.items():  # fmt: skip
        assert set(document["paths"][path]) == methods
    references = json.dumps(document).split('"$ref": "')[1:]
    for reference in {text.split('"')[0] for text in references}:
        name = reference.removeprefix("#/components/schemas/")
        assert name in document["components"]["schemas"], reference
    assert api.get("/docs").status_code == 200
