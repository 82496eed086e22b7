"""What is sent in parts over HTTP: live tails that are resumed or ended, exports whose receiver leaves."""

import asyncio
import csv
import io
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import polars as pl
import pytest
from fastapi import Request
from starlette.testclient import TestClient

from desk import PATIENCE_S, Desk, info, wait_until
from tocsin.logs.budget import Budget
from tocsin.logs.parts import Sought
from tocsin.logs.service import AT_ONCE, LogQuery, LogReader
from tocsin.query.tree import Named, Regex
from tocsin.web.services import Services
from tocsin.web.streams import EventStream, exported


def services_of(api: TestClient) -> Services:
    found: Services = api.app.state.services  # type: ignore[attr-defined]
    return found


class Tail:
    """A client that follows until the server ends."""

    def __init__(self, api: TestClient, *, last_seen: str | None = None, **query: str) -> None:
        self._api = api
        self._headers = {} if last_seen is None else {"Last-Event-ID": last_seen}
        self._query = query
        self._text = ""
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        wait_until(lambda: services_of(api).tail.has_readers)

    def _follow(self) -> None:
        self._text = self._api.get("/logs/stream", params=self._query, headers=self._headers).text

    def ended(self) -> list[dict[str, str]]:
        """The events until the server closed it, each as its fields."""
        services = services_of(self._api)
        services.tail.run()
        services.tail.close()
        self._thread.join(PATIENCE_S)
        services.tail.closed = False
        return events_in(self._text)


def events_in(text: str) -> list[dict[str, str]]:
    return [
        dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        for block in text.split("\n\n")
        if block
    ]


def messages(events: list[dict[str, str]]) -> list[str]:
    return [json.loads(event["data"])["message"] for event in events if event.get("event") == "log"]


def test_a_browser_that_reconnects_goes_on_where_it_was(api: TestClient) -> None:
    tail = Tail(api)
    api.post("/logs", json=[info("one"), info("two")])
    events = tail.ended()
    assert messages(events) == ["one", "two"]
    api.post("/logs", json=[info("three")])
    [first] = [event for event in events if event.get("event") == "log" and "one" in event["data"]]
    assert messages(Tail(api, last_seen=first["id"]).ended()) == ["two", "three"]
    assert messages(Tail(api, last_seen=events[-1]["id"]).ended()) == ["three"]


def test_a_browser_that_reconnects_from_elsewhere_is_told_of_the_gap(api: TestClient) -> None:
    events = Tail(api, last_seen="17").ended()
    [missed] = [json.loads(event["data"]) for event in events if event.get("event") == "missed"]
    assert missed == {"missed": None, "exact": False}


def test_a_tail_whose_filter_fails_is_told_and_ends(desk: Desk) -> None:
    async def follow() -> str:
        sought = Sought(Regex(Named("message"), "a{"))
        events = EventStream.opened(desk.tail, sought, asyncio.get_running_loop(), last_seen=None)
        desk.post(info("one"))
        await asyncio.to_thread(desk.tail.run)
        return b"".join([part async for part in events.parts()]).decode()

    *_, last = events_in(asyncio.run(follow()))
    assert last["event"] == "error"
    assert "filter" in json.loads(last["data"])["detail"]
    assert int(last["retry"]) > 10_000


def test_a_tail_that_never_began_is_closed_with_its_client(api: TestClient) -> None:
    ask_and_leave(api, "/logs/stream", spec_version="2.3")
    assert not services_of(api).tail.has_readers


# Exports.


def ask_and_leave(api: TestClient, path: str, *, spec_version: str) -> list[Any]:
    """Ask as a client that hangs up at once; what was sent to it. Returns when the server is done with it."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": spec_version},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 80),
    }
    came = iter([{"type": "http.request", "body": b"", "more_body": False}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(came, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        sent.append(message)

    async def ask() -> None:
        await asyncio.wait_for(api.app(scope, receive, send), PATIENCE_S)

    assert api.portal is not None
    api.portal.call(ask)
    return sent


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
def test_an_export_that_waits_for_its_turn_ends_with_its_client(api: TestClient, spec_version: str) -> None:
    api.post("/logs", json=[info("one")])
    reader = services_of(api).logs
    with ExitStack() as searching:
        for _ in range(AT_ONCE):
            searching.enter_context(reader._turn(reader.budget()))
        sent = ask_and_leave(api, "/logs/export", spec_version=spec_version)
    assert not any(message.get("body") for message in sent)


class Absorbed:
    """Stands in for a reader whose search goes on until it is told that nobody waits."""

    def pages(self, _: LogQuery, *, rows: int, budget: Budget) -> Iterator[pl.DataFrame]:
        wait_until(lambda: budget.over)
        yield from ()


def test_a_search_for_an_export_is_given_up_when_its_client_leaves() -> None:
    async def gone() -> Any:
        return {"type": "http.disconnect"}

    async def take() -> list[bytes]:
        request = Request({"type": "http", "method": "GET", "headers": []}, gone)
        absorbed: LogReader = Absorbed()  # type: ignore[assignment]
        parts = exported(request, absorbed, LogQuery(), form="ndjson", limit=None)
        return [part async for part in parts]

    assert asyncio.run(take()) == []


def test_an_export_that_begins_while_others_search_is_complete(api: TestClient) -> None:
    api.post("/logs", json=[info(str(n)) for n in range(20)])
    reader = services_of(api).logs
    found: list[str] = []
    with ExitStack() as searching:
        for _ in range(AT_ONCE):
            searching.enter_context(reader._turn(reader.budget()))
        export = threading.Thread(target=lambda: found.extend(api.get("/logs/export").text.splitlines()))
        export.start()
        asked = api.get("/logs/stats")
        assert asked.status_code == 200
    export.join(PATIENCE_S)
    assert [json.loads(line)["message"] for line in found] == [str(n) for n in range(19, -1, -1)]


def rows_of(api: TestClient) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(api.get("/logs/export", params={"format": "csv"}).text, newline="")))


def test_csv_has_every_field(api: TestClient) -> None:
    stored = api.post("/logs?backfill=true", json=info("one", timestamp="1960-01-01T00:00:00Z")).json()
    [row] = rows_of(api)
    assert set(row) == set(stored)
    assert row["skewed"] == stored["skewed"]
    assert row["backfill"] == "true"
    assert row["timestamp"] == stored["timestamp"]


@pytest.mark.parametrize(
    "text", ['=HYPERLINK("http://x")', "+1+1", "-2+3", "@SUM(A1)", "\tx", "\r=1", "\n=1", "'=1", "--", "="]
)
def test_csv_has_nothing_that_a_spreadsheet_would_run(api: TestClient, text: str) -> None:
    api.post("/logs", json={"message": text})
    [row] = rows_of(api)
    assert row["message"] == "'" + text


@pytest.mark.parametrize("text", ["-5", "+1.5", "plain", "'quoted'", "a=b", "2026-11-24T02:21:00Z", ""])
def test_csv_leaves_numbers_and_other_texts_as_they_are(api: TestClient, text: str) -> None:
    api.post("/logs", json={"message": text, "attributes": {"n": -5}})
    [row] = rows_of(api)
    assert row["message"] == text
    assert row["attributes"] == '{"n":-5}'
