"""What HTTP says of records whose segment is damaged."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from desk import FakeClock, info, wait_until
from tocsin.settings import Settings


@pytest.fixture
def damaged(api: TestClient, clock: FakeClock, settings: Settings) -> Path:
    """The file of a segment with records 1 and 2, cut short; record 3 is hot."""
    api.post("/logs", json=[info("one"), info("two")])
    clock.advance(minutes=11)
    wait_until(lambda: api.get("/logs/stats").json()["segments"])
    api.post("/logs", json=info("three"))
    [path] = settings.segments_path.rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:-10])
    return path


def test_a_record_that_can_not_be_read_is_another_problem_than_one_that_is_not_there(
    api: TestClient, damaged: Path
) -> None:
    for path in ("/logs/1", "/logs/1", "/logs/context/2"):
        answer = api.get(path)
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:tocsin:problem:unreadable"
        assert damaged.name in answer.json()["detail"]
    assert api.get("/logs/77").json()["type"] == "urn:tocsin:problem:not-found"


def test_every_answer_counts_the_segments_it_is_without(api: TestClient, damaged: Path) -> None:
    three = api.get("/logs").json()["items"][0]["id"]
    paths = ("/logs", "/logs/histogram", "/logs/top?field=service", "/logs/fields", f"/logs/context/{three}")
    for path in (*paths, *paths):
        found = api.get(path).json()
        assert (found["partial"], found["scanned"]["damaged"]) == (False, 1), path


def test_an_export_says_how_many_segments_it_is_without(api: TestClient, damaged: Path) -> None:
    api.get("/logs")  # finds it
    answer = api.get("/logs/export")
    assert len(answer.text.splitlines()) == 1
    assert answer.headers["tocsin-damaged-segments"] == "1"
    assert api.get("/logs/export?until=3000d").headers["tocsin-damaged-segments"] == "0"
