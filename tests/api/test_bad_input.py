"""Bad input: a clear problem document, the rest of the batch kept, the process unharmed."""

import gzip
import json
import threading
import zlib
from collections.abc import Callable
from typing import Any

import anyio
import pytest
import zstandard
from starlette.testclient import TestClient

from desk import PATIENCE_S, critical, in_threads, info
from tocsin.kit.actors import SYSTEM
from tocsin.settings import Settings
from tocsin.web.bodies import MAX_BODY_BYTES

GOOD = b'{"message":"good"}'
LINES = {"content-type": "application/x-ndjson"}
DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.fixture
def api(sqlite_settings: Settings, open_api: Callable[..., TestClient], clock: object) -> TestClient:
    """What is refused here never reaches a database: one of them is enough."""
    return open_api(sqlite_settings, clock=clock)


@pytest.fixture(autouse=True)
def _unharmed(request: pytest.FixtureRequest) -> Any:
    """After whatever happened the server takes logs as before."""
    api: TestClient = request.getfixturevalue("still_api" if "still_api" in request.fixturenames else "api")
    yield
    assert api.post("/logs", json=info("afterwards")).status_code == 201
    assert api.get("/readyz").status_code == 200


def check_problem(answer: Any, status: int) -> dict[str, Any]:
    """The answer is a problem document; returns it."""
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["type"].startswith("urn:tocsin:problem:")
    assert document["title"]
    assert document["detail"]
    assert len(answer.content) < 100_000
    return document


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"  \n\t", 400), (b"\xef\xbb\xbf", 400),
        (b"{", 400), (b'{"message":"a"', 400), (b'{"message":"a', 400), (b'[{"message":"a"},', 400), (b"[", 400),
        (b'[{"message":"a"}', 400), (b'{"message":"a"}x', 400), (b'{"message":"a",}', 400), (b"{'message':'a'}", 400),
        (b"null", 422), (b"7", 422), (b'"text"', 422), (b"true", 422), (b"[7,null]", 422), (b"[[]]", 422),
        (b"{}", 422), (b'{"message":7}', 422), (b'{"message":null}', 422), (b'{"message":["a"]}', 422),
        (b'{"message":"a","level":"LOUD"}', 422), (b'{"message":"a","level":42}', 422),
        (b'{"message":"a","level":1.5}', 422), (b'{"message":"a","timestamp":"yesterday"}', 422),
        (b'{"message":"a","timestamp":123456789012345678901234567890}', 422),
        (b'{"message":"a","attributes":[]}', 422), (b'{"message":"a","service":{"a":1}}', 422),
        (b'{"message":"a\\u0000b"}', 422), (b'{"message":"a","attributes":{"k\\u0000":1}}', 422),
        (b'{"message":"\\ud800"}', 400), (b'{"message":"a","x":"\\udfff"}', 400),
        (b'{"message":"\xff\xfe"}', 422), (b'{"message":"a","x":"\xc3("}', 422),
        (b'{"message":NaN}', 400), (b'{"message":"a","x":NaN}', 400), (b'{"message":"a","x":Infinity}', 400),
        (b'{"message":"a","x":' + DEEP + b"}", 422), (DEEP, 422), (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 422),
        (b"[" * 100_000, 400),
        (b'{"message":"' + b"x" * 300_000 + b'"}', 422),
        (b"\x00\x01\x02\xff" * 100, 422),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, bytes) else str(value),
)  # fmt: skip
def test_what_can_not_be_kept_is_refused_with_a_reason(still_api: TestClient, body: bytes, status: int) -> None:
    before = still_api.get("/logs").json()
    answer = still_api.post("/logs", content=body, headers={"content-type": "application/json"})

    assert answer.status_code in {400, 422}, answer.text[:500]
    check_problem(answer, answer.status_code)
    assert still_api.get("/logs").json() == before
    if body[:1] in b"{[" and len(body) < 1000:
        assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    "bad",
    [
        b"{", b'{"message":"a', b"[]", b"7", b"null", b'"x"', b"{}", b'{"message":7}',
        b'{"message":"a","level":"LOUD"}',
        b'{"message":"a","timestamp":"yesterday"}', b'{"message":"\xff"}', b'{"message":"a","x":"\xed\xa0\x80"}',
        b'{"message":"\\u0000"}', b'{"message":"a","x":{"y":["\\u0000"]}}', b'{"message":"\\ud800"}',
        b'{"message":"a","x":NaN}', b'{"message":"a","attributes":{"x":-Infinity}}',
        b'{"message":"a","x":' + DEEP + b"}", DEEP, b"x" * 300_000, b'{"message":"' + b"x" * 300_000 + b'"}',
        b"\xff\xfe",
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_a_bad_line_is_named_and_the_rest_of_the_batch_is_kept(api: TestClient, bad: bytes) -> None:
    answer = api.post("/logs", content=b"\n".join([GOOD, bad, GOOD]), headers=LINES)

    assert answer.status_code == 200, answer.text[:300]
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (2, 1)
    assert [error["index"] for error in answer.json()["errors"]] == [1]
    assert len(answer.json()["errors"][0]["detail"]) < 1000
    assert len(api.get("/logs").json()["items"]) == 2


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (b"9223372036854775808", 2**63), (b"-170141183460469231731687303715884105728", -(2**127)),
        (b"1e308", 1e308), (b'"2**64"', "2**64"), (b"[[[[[[1]]]]]]", [[[[[[1]]]]]]), (b'"\\ud83d\\ude00"', "😀"),
    ],
)  # fmt: skip
def test_unusual_but_valid_values_are_kept_as_they_came(api: TestClient, value: bytes, kept: object) -> None:
    answer = api.post("/logs", content=b'{"message":"a","x":' + value + b"}")

    assert answer.status_code == 201, answer.text
    assert json.loads(answer.content)["attributes"] == {"x": kept}
    assert json.loads(api.get("/logs").content)["items"][0]["attributes"] == {"x": kept}


@pytest.mark.parametrize("field", ["message", "level", "service", "timestamp", "trace_id", "attributes", "x"])
def test_a_number_of_over_64_bits_is_kept_or_named_wherever_it_stands(still_api: TestClient, field: str) -> None:
    record = {"message": "a", field: 2**64 + 1}
    answer = still_api.post("/logs", content=json.dumps(record).encode())

    assert answer.status_code == (201 if field in {"trace_id", "x", "timestamp"} else 422), answer.text
    if field == "timestamp":
        assert answer.json()["timestamp"] == "2026-11-24T02:21:00Z"
        assert answer.json()["skewed"]


@pytest.mark.parametrize("timestamp", ["0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z",
                                       "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "1969-01-01T00:00:00Z",
                                       -62135596800, 99999999999])  # fmt: skip
def test_times_in_year_0_and_9999_are_replaced_and_told(api: TestClient, timestamp: Any) -> None:
    for record in (critical(timestamp=timestamp), critical(timestamp=timestamp, foreign="shape")):
        answer = api.post("/logs", json=record)
        assert answer.status_code == 201, answer.text
        assert answer.json()["timestamp"] == "2026-11-24T02:21:00Z"
        assert answer.json()["skewed"]
    assert [item["skewed"] for item in api.get("/logs").json()["items"]] == [answer.json()["skewed"]] * 2
    assert api.get("/tickets").json()["items"][0]["late_s"] == 0


@pytest.mark.parametrize(
    "media",
    [
        "text/plain",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "x",
        "application/jsonx",
    ],
)
def test_a_wrong_content_type_is_refused(still_api: TestClient, media: str) -> None:
    document = check_problem(still_api.post("/logs", content=GOOD, headers={"content-type": media}), 415)
    assert "application/x-ndjson" in document["detail"]


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (GOOD, "gzip", 400), (GOOD, "deflate", 400), (GOOD, "zstd", 400),
        (gzip.compress(GOOD)[:-5], "gzip", 400), (zlib.compress(GOOD)[:-3], "deflate", 400),
        (gzip.compress(GOOD)[:-8] + b"\0" * 8, "gzip", 400),
        (gzip.compress(GOOD) + b"trailing", "gzip", 400),
        (zstandard.compress(GOOD * 100)[:-4], "zstd", 400), (b"", "gzip", 400),
        (GOOD, "br", 415), (GOOD, "gzip, br", 415), (GOOD, "gzip, gzip, gzip", 415), (GOOD, "\xe9", 415),
    ],
    ids=lambda value: f"{len(value)} bytes" if isinstance(value, bytes) else str(value),
)  # fmt: skip
def test_a_broken_or_unknown_encoding_is_refused(
    still_api: TestClient, body: bytes, encoding: str, status: int
) -> None:
    headers = [(b"content-encoding", encoding.encode("latin-1"))]
    check_problem(still_api.post("/logs", content=body, headers=headers), status)


def bomb(size: int) -> bytes:
    return zlib.compress(b" " * size, 9)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd", "gzip, gzip", "zstd, gzip"])
def test_a_bomb_of_100_mb_is_refused_while_it_is_unpacked(still_api: TestClient, encoding: str) -> None:
    body = b" " * (100 << 20)
    pack = {"gzip": lambda b: gzip.compress(b, 9), "deflate": zlib.compress, "zstd": zstandard.compress}
    for name in encoding.split(", "):
        body = pack[name](body)
    assert len(body) < 110_000

    document = check_problem(still_api.post("/logs", content=body, headers={"content-encoding": encoding}), 413)
    assert "after decompression" in document["detail"]


def test_a_body_over_the_limit_is_refused_before_it_is_read(api: TestClient) -> None:
    answer = api.post("/logs", content=b"{}", headers={"content-length": str(MAX_BODY_BYTES + 1)})
    check_problem(answer, 413)


def test_a_body_over_the_limit_that_hides_its_length_is_refused(api: TestClient) -> None:
    pieces = (b" " * (1 << 20) for _ in range(70))
    check_problem(api.post("/logs", content=pieces), 413)


@pytest.mark.parametrize("path", ["/tickets", "/tickets/1/reopen"])
def test_other_bodies_are_bounded_much_lower(still_api: TestClient, path: str) -> None:
    body = json.dumps({"title": "a", "reason": "b", "description": "x" * (1 << 20)}).encode()
    check_problem(still_api.post(path, content=body, headers={"content-type": "application/json"}), 413)


def test_a_full_queue_is_answered_503_with_retry_after_and_empties_again(
    api: TestClient, open_api: Callable[..., TestClient], tmp_path: Any
) -> None:
    small = open_api(Settings(data_dir=tmp_path / "small", queue_bytes=1 << 20))
    services = small.app.state.services
    large = json.dumps(info("x" * 1000)).encode() + b"\n"
    body = large * (1_200_000 // len(large))
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        services.database.write(lambda tx: held.set() or release.wait(PATIENCE_S), actor=SYSTEM)

    def post() -> Any:
        held.wait(PATIENCE_S)
        return small.post("/logs", content=body, headers=LINES)

    def watch() -> list[int]:
        held.wait(PATIENCE_S)
        while services.intake.has_room:
            pass
        refused = small.post("/logs", content=GOOD)
        statuses = [refused.status_code, small.get("/readyz").status_code, small.get("/healthz").status_code]
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["type"] == "urn:tocsin:problem:overloaded"
        release.set()
        return statuses

    _, posted, statuses = in_threads(hold, post, watch)
    assert statuses == [503, 503, 200]
    assert posted.status_code == 200
    assert small.post("/logs", content=GOOD).status_code == 201
    assert small.get("/readyz").status_code == 200
    assert 'tocsin_requests_refused_total{reason="queue full"} 1.0' in small.get("/metrics").text


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/tickets"), ("PATCH", "/tickets/1"), ("PATCH", "/tickets/1/priority"), ("POST", "/tickets/1/reopen")],
)
@pytest.mark.parametrize(
    ("body", "statuses"),
    [
        (b"", {422}), (b"{", {400}), (b"\xff", {400}), (b'{"title":"\xff"}', {400}), (b"null", {422}), (b"[]", {422}),
        (b"7", {422}), (DEEP, {400, 422}), (b'{"title":NaN}', {400, 422}), (b'{"unknown":1}', {422}),
        (b'{"title":"\\u0000","reason":"\\u0000","priority":"\\u0000"}', {422}),
        (b'{"title":"\\ud800","reason":"\\ud800","priority":"\\ud800"}', {400, 422}),
        (b'{"title":' + b"9" * 30 + b',"reason":1e999,"priority":2}', {400, 422}),
        (b'{"title":" ","reason":" ","priority":""}', {422}), (b'{"title":true,"reason":{},"priority":[]}', {422}),
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
def test_bad_bodies_of_the_other_routes_are_refused(
    still_api: TestClient, method: str, path: str, body: bytes, statuses: set[int]
) -> None:
    still_api.post("/logs", json=critical())
    before = still_api.get("/tickets").json()["items"]
    answer = still_api.request(method, path, content=body, headers={"content-type": "application/json"})

    assert answer.status_code in statuses, answer.text[:300]
    document = check_problem(answer, answer.status_code)
    assert document["type"] == f"urn:tocsin:problem:{'malformed' if answer.status_code == 400 else 'invalid'}"
    assert still_api.get("/tickets").json()["items"] == before


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"title":"\xff"}', "not UTF-8"), (DEEP, "nested too deeply"), (b'{"title":' + b"9" * 5000 + b"}", "digits"),
    ],
    ids=["utf-8", "deep", "huge"],
)  # fmt: skip
def test_a_body_that_can_not_be_read_is_told_with_the_reason(still_api: TestClient, body: bytes, reason: str) -> None:
    answer = still_api.post("/tickets", content=body, headers={"content-type": "application/json"})

    document = check_problem(answer, 400)
    assert document["type"] == "urn:tocsin:problem:malformed"
    assert reason in document["detail"]


def test_a_body_over_the_limit_that_comes_in_pieces_is_refused_as_soon_as_it_is(api: TestClient) -> None:
    pieces = [{"type": "http.request", "body": b" " * (8 << 20), "more_body": True}] * 20
    sent, taken = _exchange(api, pieces)

    assert sent[0]["status"] == 413
    assert taken == 9


def test_a_sender_that_hangs_up_harms_nobody(api: TestClient) -> None:
    sent, _ = _exchange(api, [{"type": "http.request", "body": GOOD, "more_body": True}, {"type": "http.disconnect"}])
    assert sent == []
    assert api.get("/logs").json()["items"] == []


def _exchange(api: TestClient, messages: list[dict[str, Any]]) -> tuple[list[Any], int]:
    """POST /logs with these messages; what was sent back, and how many messages were taken."""
    sent: list[Any] = []
    taken = iter(messages)

    async def receive() -> Any:
        return next(taken)

    async def send(message: Any) -> None:
        sent.append(message)

    async def exchange() -> None:
        scope = {"type": "http", "method": "POST", "path": "/logs", "query_string": b"", "client": ("127.0.0.1", 1),
                 "headers": [(b"host", b"127.0.0.1")], "state": {}}  # fmt: skip
        await api.app(scope, receive, send)

    anyio.run(exchange)
    return sent, len(messages) - len(list(taken))
