"""POST /logs, GET /logs, GET /logs/{id}."""

import gzip
import json
import zlib
from datetime import timedelta
from typing import Any

import pytest
import zstandard
from starlette.testclient import TestClient

from desk import START, FakeClock, critical, info

NDJSON = {"content-type": "application/x-ndjson"}


def lines(*records: dict[str, Any]) -> bytes:
    return b"\n".join(json.dumps(record).encode() for record in records)


def test_one_object_is_answered_201_with_the_stored_record_and_where_it_is(api: TestClient) -> None:
    sent = critical(timestamp="2026-11-24T03:20:00+01:00", attributes={"region": "eu"}, trace_id="t", extra=[1])
    answer = api.post("/logs", json=sent)

    assert (answer.status_code, answer.headers["location"]) == (201, f"/logs/{answer.json()['id']}")
    assert answer.json() == {
        "id": 1, "timestamp": "2026-11-24T02:20:00Z", "observed_at": "2026-11-24T02:21:00Z", "level": "CRITICAL",
        "severity_number": 21, "service": "payments", "message": "database connection lost",
        "attributes": {"region": "eu", "extra": [1]}, "trace_id": "t", "span_id": None, "source": None, "skewed": None,
        "backfill": False,
    }  # fmt: skip
    assert api.get(answer.headers["location"]).json() == answer.json()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (json.dumps([info("a"), info("b")]).encode(), {"content-type": "application/json"}),
        (json.dumps([info("a"), info("b")]).encode(), {}),
        (lines(info("a"), info("b")), NDJSON),
        (lines(info("a"), info("b")), {"content-type": "application/jsonl; charset=utf-8"}),
        (lines(info("a"), info("b")), {"content-type": "application/json"}),
        (gzip.compress(lines(info("a"), info("b"))), {**NDJSON, "content-encoding": "gzip"}),
        (
            gzip.compress(lines(info("a"))) + gzip.compress(b"\n" + lines(info("b"))),
            {**NDJSON, "content-encoding": "x-gzip"},
        ),
        (zlib.compress(lines(info("a"), info("b"))), {**NDJSON, "content-encoding": "deflate"}),
        (zlib.compress(lines(info("a"), info("b")), wbits=-15), {**NDJSON, "content-encoding": "Deflate"}),
        (zstandard.compress(lines(info("a"), info("b"))), {**NDJSON, "content-encoding": "zstd"}),
        (
            zstandard.compress(gzip.compress(lines(info("a"), info("b")))),
            {**NDJSON, "content-encoding": "gzip, zstd"},
        ),
        (lines(info("a"), info("b")), {**NDJSON, "content-encoding": "identity"}),
    ],
    ids=lambda value: f"{len(value)} bytes" if isinstance(value, bytes) else str(value),
)
def test_many_records_in_every_form_and_encoding(api: TestClient, body: bytes, headers: dict[str, str]) -> None:
    answer = api.post("/logs", content=body, headers=headers)

    assert answer.status_code == 200, answer.text
    assert answer.json() == {"accepted": 2, "rejected": 0, "errors": [], "first_id": 1, "last_id": 2}
    assert [item["message"] for item in api.get("/logs").json()["items"]] == ["b", "a"]


def test_a_body_without_length_that_comes_in_pieces_is_read_whole(api: TestClient) -> None:
    answer = api.post("/logs", content=iter([b'{"mess', b'age":"in pieces"}']))

    assert answer.status_code == 201
    assert answer.json()["message"] == "in pieces"


def test_valid_records_of_a_batch_are_kept_and_the_others_named(api: TestClient) -> None:
    answer = api.post("/logs", json=[info("a"), {"level": "INFO"}, info("b"), info("c", level="LOUD"), 7])

    assert answer.status_code == 200
    report = answer.json()
    assert (report["accepted"], report["rejected"], report["first_id"], report["last_id"]) == (2, 3, 1, 2)
    assert [(error["index"], error["field"]) for error in report["errors"]] == [(1, "message"), (3, "level"), (4, "")]
    assert all(error["detail"] for error in report["errors"])


def test_a_hundred_errors_are_told_and_all_are_counted(api: TestClient) -> None:
    answer = api.post("/logs", json=[{"level": "INFO"}] * 150 + [info()])
    assert (answer.status_code, answer.json()["rejected"], len(answer.json()["errors"])) == (200, 150, 100)

    refused = api.post("/logs", json=[{"level": "INFO"}] * 150)
    assert (refused.status_code, refused.json()["rejected"], len(refused.json()["errors"])) == (422, 150, 100)
    assert refused.json()["errors"][7]["pointer"] == "/7/message"


@pytest.mark.parametrize(
    ("record", "pointer", "field"),
    [
        ({"message": "a", "x": {"a/b": ["\0"]}}, "/x/a~1b/0", "x.a/b.0"),
        ({"message": "a", "x~": {"a.b": "\0"}}, "/x~0/a.b", "x~.a.b"),
        ({"message": "a", "": {".": "\0"}}, "//.", ".."),
        ({"message": "a", "severity_number": 99}, "/severity_number", "severity_number"),
        ([], "", ""),
    ],
)
def test_a_pointer_leads_to_the_field_whatever_its_name(api: TestClient, record: Any, pointer: str, field: str) -> None:
    refused = api.post("/logs", json=[record, record])
    assert refused.json()["errors"][1]["pointer"] == "/1" + pointer

    answer = api.post("/logs", json=[record, info()])
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (200, field)
    assert set(answer.json()["errors"][0]) == {"index", "field", "detail"}


def test_an_empty_array_stores_nothing_and_is_no_error(api: TestClient) -> None:
    answer = api.post("/logs", json=[])

    assert answer.status_code == 200
    assert answer.json() == {"accepted": 0, "rejected": 0, "errors": [], "first_id": None, "last_id": None}


def test_backfilled_records_alert_nobody(api: TestClient) -> None:
    assert api.post("/logs?backfill=true", json=critical()).json()["backfill"] is True
    assert api.post("/logs?backfill=false", json=info()).json()["backfill"] is False
    assert api.get("/alerts").json()["items"] == api.get("/tickets").json()["items"] == []


@pytest.mark.parametrize("query", ["backfill=maybe", "backfill=", "backfil=true", "x=1"])
def test_an_unknown_query_parameter_is_refused_and_not_ignored(api: TestClient, query: str) -> None:
    answer = api.post(f"/logs?{query}", json=info())
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == query.split("=", maxsplit=1)[0]
    assert api.get("/logs").json()["items"] == []


def test_a_repeat_with_the_same_idempotency_key_gets_the_same_answer(api: TestClient, clock: FakeClock) -> None:
    key = {"idempotency-key": "batch-1"}
    first = api.post("/logs", json=critical(), headers=key)
    clock.advance(hours=1)
    again = api.post("/logs", json=critical(), headers=key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert len(api.get("/logs").json()["items"]) == 1
    assert api.get("/alerts").json()["items"][0]["count"] == 1


@pytest.mark.parametrize(("path", "record"), [("/logs", info("other")), ("/logs?backfill=true", critical())])
def test_an_idempotency_key_of_another_request_is_refused(api: TestClient, path: str, record: dict[str, Any]) -> None:
    key = {"idempotency-key": "batch-1"}
    api.post("/logs", json=critical(), headers=key)
    answer = api.post(path, json=record, headers=key)

    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:tocsin:problem:idempotency-mismatch"
    assert len(api.get("/logs").json()["items"]) == 1


def test_a_refused_batch_keeps_no_idempotency_key(api: TestClient) -> None:
    key = {"idempotency-key": "batch-1"}
    assert api.post("/logs", json={}, headers=key).status_code == 422
    assert api.post("/logs", json=info(), headers=key).status_code == 201
    assert api.post("/logs", json=info(), headers={"idempotency-key": "x" * 256}).status_code == 422


def test_a_partly_valid_batch_is_replayed_with_its_errors(api: TestClient) -> None:
    key = {"idempotency-key": "batch-1"}
    first = api.post("/logs", json=[info(), {}], headers=key)
    again = api.post("/logs", json=[info(), {}], headers=key)
    assert again.json() == first.json()
    assert again.json()["rejected"] == 1


def test_logs_are_found_by_level_service_time_and_text(api: TestClient) -> None:
    for minutes, (level, service, message) in enumerate(
        [
            ("ERROR", "shop", "Cart LOST"),
            ("INFO", "shop", "cart found"),
            ("CRITICAL", "mail", "lost"),
            ("WARN", "mail", "x"),
        ]
    ):
        at = (START - timedelta(minutes=minutes)).isoformat()
        api.post("/logs", json={"level": level, "service": service, "message": message, "timestamp": at})

    def found(**query: Any) -> list[str]:
        answer = api.get("/logs", params=query)
        assert answer.status_code == 200, answer.text
        return [item["message"] for item in answer.json()["items"]]

    assert found() == ["Cart LOST", "cart found", "lost", "x"]
    assert found(level="warning") == ["Cart LOST", "lost", "x"]
    assert found(level="ERR") == ["Cart LOST", "lost"]
    assert found(service="mail") == ["lost", "x"]
    assert found(text="cart") == ["Cart LOST", "cart found"]
    assert found(since="2026-11-24T02:20:00Z") == ["Cart LOST", "cart found"]
    assert found(until="2026-11-24T03:20:00+01:00") == ["lost", "x"]
    assert found(since="1795486740", until="2026-11-24 02:20:30") == ["cart found", "lost"]
    assert found(level="ERROR", service="mail", text="LOST") == ["lost"]
    assert found(limit=1) == ["Cart LOST"]


def test_how_long_ago_is_reckoned_from_the_servers_clock(api: TestClient) -> None:
    api.post("/logs", json=info("recent", timestamp=(START - timedelta(minutes=10)).isoformat()))
    api.post("/logs", json=info("old", timestamp=(START - timedelta(minutes=20)).isoformat()))

    assert [item["message"] for item in api.get("/logs?since=15m").json()["items"]] == ["recent"]
    assert [item["message"] for item in api.get("/logs?until=15m").json()["items"]] == ["old"]
    assert len(api.get("/logs?since=999999w").json()["items"]) == 2


def test_pages_of_logs_follow_each_other_by_cursor(api: TestClient) -> None:
    api.post("/logs", json=[info(f"n{n}") for n in range(25)])
    messages, cursor = [], None
    while True:
        page = api.get("/logs", params={"limit": 10, **({"cursor": cursor} if cursor else {})}).json()
        messages += [item["message"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert messages == [f"n{n}" for n in reversed(range(25))]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("level=LOUD", "level"), ("since=yesterday", "since"), ("until=", "until"), ("limit=0", "limit"),
        ("limit=1001", "limit"), ("limit=x", "limit"), ("cursor=x", "cursor"), ("colour=red", "colour"),
        ("service=", "service"), ("since=0000-01-01", "since"), ("text=%00", "text"),
        ("service=a&service=b", "service"),
    ],
)  # fmt: skip
def test_a_bad_query_is_refused_by_name(still_api: TestClient, query: str, pointer: str) -> None:
    answer = still_api.get(f"/logs?{query}")
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


def test_a_cursor_of_another_list_is_refused(api: TestClient) -> None:
    for word in "abc":
        api.post("/logs", json=critical(f"{word} broke"))
    cursor = api.get("/tickets?limit=1").json()["next"]
    assert cursor
    assert api.get("/logs", params={"cursor": cursor}).status_code == 422
    assert api.get("/tickets", params={"cursor": cursor, "sort": "priority"}).status_code == 422
    assert api.get("/tickets", params={"cursor": cursor, "order": "asc"}).status_code == 422
    assert api.get("/tickets", params={"cursor": cursor}).status_code == 200


@pytest.mark.parametrize(("record_id", "status"), [("1", 404), ("0", 422), ("x", 422), (str(2**53 + 1), 422)])
def test_a_record_that_is_not_there(api: TestClient, record_id: str, status: int) -> None:
    answer = api.get(f"/logs/{record_id}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_very_large_batch_is_stored_whole(api: TestClient) -> None:
    body = lines(*[info(f"record {n} " + "x" * 200) for n in range(20_000)])
    answer = api.post("/logs", content=body, headers=NDJSON)
    assert answer.json()["accepted"] == 20_000
    assert api.get(f"/logs/{answer.json()['last_id']}").json()["message"].startswith("record 19999 ")
