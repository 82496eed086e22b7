"""Finding, counting, exporting and following logs over HTTP."""

import csv
import io
import json
import re
import threading
from typing import Any

import pytest
from starlette.testclient import TestClient

from desk import START, critical, info


@pytest.fixture
def filled(api: TestClient) -> TestClient:
    stamp = START.isoformat()
    records = [
        info(
            f"request {n} served",
            service="shop" if n % 2 else "mail",
            timestamp=stamp,
            attributes={"n": n, "eu": n < 4},
        )
        for n in range(10)
    ]
    api.post("/logs", json=[*records, critical("disk lost", attributes={"region": "eu-west-1"})])
    return api


def get(api: TestClient, path: str, **query: Any) -> Any:
    answer = api.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_query_finds_what_it_says(filled: TestClient) -> None:
    page = get(filled, "/logs", q="service:shop @n:>=5 -@n:7")
    assert [item["attributes"]["n"] for item in page["items"]] == [9, 5]
    assert page["partial"] is False
    assert page["scanned"]["records"] == 11
    assert get(filled, "/logs", q='"disk lost" @region:eu-*')["items"][0]["level"] == "CRITICAL"


def test_what_is_wrong_with_a_query_is_said_with_its_place(filled: TestClient) -> None:
    answer = filled.get("/logs", params={"q": "served levle:ERROR"})
    assert answer.status_code == 422
    problem = answer.json()
    assert "column 8" in problem["detail"]
    assert "did you mean level?" in problem["errors"][0]["detail"]


def test_a_histogram_counts_every_record_once(filled: TestClient) -> None:
    found = get(filled, "/logs/histogram", interval="1m", by="level,service")
    assert found["total"] == 11
    assert sum(found["totals"]) == 11
    groups = {(one["of"]["level"], one["of"]["service"]): sum(one["counts"]) for one in found["groups"]}
    assert groups == {("INFO", "shop"): 5, ("INFO", "mail"): 5, ("CRITICAL", "payments"): 1}
    assert filled.get("/logs/histogram", params={"by": "colour"}).status_code == 422
    assert filled.get("/logs/histogram", params={"interval": "1s", "since": "300d"}).status_code == 422


@pytest.mark.parametrize("by", ["", "level,service"])
def test_a_histogram_of_any_time_has_an_answer(filled: TestClient, by: str) -> None:
    for since, until, total in (
        ("0001-01-01T00:00:00Z", None, 11),
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", 11),
        ("9999-12-31T23:59:59.999999Z", None, 0),
        (None, "0001-01-01T00:00:00Z", 0),
        (START.isoformat(), START.isoformat(), 0),
        ("2026-11-25", "2026-11-24", 0),
    ):
        times = {name: at for name, at in (("since", since), ("until", until)) if at}
        found = get(filled, "/logs/histogram", by=by, **times)
        assert found["total"] == sum(found["totals"]) == total
        assert len(found["buckets"]) == len(found["totals"]) <= 61
        assert get(filled, "/logs/histogram", by=by, interval="999999w", **times)["total"] == total
    first = get(filled, "/logs/histogram", since="0001-01-01T00:00:00Z", interval="999999w")["buckets"][0]
    assert first == "0001-01-01T00:00:00Z"


def test_an_interval_that_is_none_is_refused_by_name(filled: TestClient) -> None:
    for interval in ("1ms", "1000y", "0s", "5", "", "1.5h"):
        answer = filled.get("/logs/histogram", params={"interval": interval})
        assert answer.status_code == 422
        assert "whole number of s, m, h, d or w" in answer.json()["errors"][0]["detail"]


def test_an_interval_that_is_too_short_is_refused_with_one_that_is_not(filled: TestClient) -> None:
    for since in ("2h", "2019-01-01", "0001-01-01"):
        answer = filled.get("/logs/histogram", params={"interval": "1s", "since": since})
        assert answer.status_code == 422
        [error] = answer.json()["errors"]
        assert error["pointer"].endswith("interval")
        [possible] = re.findall(r"take (\w+) or more", error["detail"])
        assert len(get(filled, "/logs/histogram", interval=possible, since=since)["buckets"]) > 1000


def test_top_values_are_counted(filled: TestClient) -> None:
    found = get(filled, "/logs/top", field="@eu")
    assert found["values"] == [{"value": "false", "count": 6}, {"value": "true", "count": 4}]
    assert (found["total"], found["missing"]) == (11, 1)
    assert get(filled, "/logs/top", field="service", limit=1)["values"][0]["count"] == 5
    assert filled.get("/logs/top", params={"field": "colour"}).status_code == 422


def test_fields_are_listed_with_types_and_examples(filled: TestClient) -> None:
    fields = {one["name"]: one for one in get(filled, "/logs/fields")["fields"]}
    assert fields["attributes.n"]["types"] == ["number"]
    assert fields["attributes.region"]["examples"] == ["eu-west-1"]
    assert fields["service"]["records"] == 11


def test_a_field_with_several_values_in_a_record_is_in_one_record(filled: TestClient) -> None:
    filled.post("/logs", json=[info(attributes={"tags": ["a", "b", "a"]}), info(attributes={"tags": []})])
    found = get(filled, "/logs/fields", q="_exists_:service")
    tags = next(one for one in found["fields"] if one["name"] == "attributes.tags")
    assert (tags["records"], found["sampled"]) == (1, 13)
    top = get(filled, "/logs/top", field="@tags")
    assert top["values"] == [{"value": "a", "count": 2}, {"value": "b", "count": 1}]
    assert (top["total"], top["missing"], top["distinct"], top["approximate"]) == (15, 12, 2, False)


def test_the_lines_around_one_are_of_its_service(filled: TestClient) -> None:
    middle = get(filled, "/logs", q="@n:5")["items"][0]
    found = get(filled, f"/logs/context/{middle['id']}", before=1, after=5)
    assert [item["attributes"]["n"] for item in found["after"]] == [9, 7]
    assert [item["attributes"]["n"] for item in found["before"]] == [3]
    assert filled.get("/logs/context/999999").status_code == 404


def test_an_export_has_everything_in_either_form(filled: TestClient) -> None:
    lines = filled.get("/logs/export", params={"q": "served"}).text.splitlines()
    assert [json.loads(line)["attributes"]["n"] for line in lines] == list(range(9, -1, -1))
    rows = list(csv.DictReader(io.StringIO(filled.get("/logs/export", params={"format": "csv", "limit": 2}).text)))
    assert [row["message"] for row in rows] == ["disk lost", "request 9 served"]
    assert json.loads(rows[0]["attributes"]) == {"region": "eu-west-1"}
    assert filled.get("/logs/export", params={"q": "("}).status_code == 422


def test_stats_say_how_much_there_is(filled: TestClient) -> None:
    assert get(filled, "/logs/stats")["hot_records"] == 11


def test_nothing_stored_is_no_error(api: TestClient) -> None:
    assert get(api, "/logs/histogram")["total"] == 0
    assert get(api, "/logs/top", field="service")["values"] == []
    assert get(api, "/logs/fields")["fields"] == []
    assert api.get("/logs/export").text == ""


def test_a_live_tail_is_told_of_what_matches_and_ends_with_the_server(api: TestClient) -> None:
    services = api.app.state.services  # type: ignore[attr-defined]
    heard: list[str] = []

    def follow() -> None:
        with api.stream("GET", "/logs/stream", params={"q": "level:CRITICAL"}) as answer:
            heard.extend(answer.iter_lines())

    reader = threading.Thread(target=follow, daemon=True)
    reader.start()
    while not services.tail.has_readers:
        pass
    api.post("/logs", json=[info("quiet"), critical("loud")])
    services.tail.run()
    services.tail.close()
    reader.join(30)
    [data] = [json.loads(line[6:]) for line in heard if line.startswith("data: ")]
    assert data["message"] == "loud"
