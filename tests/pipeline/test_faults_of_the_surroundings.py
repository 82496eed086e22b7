"""Promise 1: 2xx means kept. A commit that fails, a full disk, a locked or absent database: 503, nothing half done."""

import contextlib
import random
import re
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from desk import Desk, critical, info
from outside import commits_fail, database_gone, disk_full
from tocsin.kit.errors import Unavailable
from tocsin.settings import Settings
from tocsin.tickets.storming import NO_LIMITS


def test_a_commit_that_fails_is_answered_503_and_leaves_nothing(desk: Desk) -> None:
    with commits_fail(desk.database):
        with pytest.raises(Unavailable):
            desk.post(critical())
        assert (desk.logs, desk.alerts, desk.tickets, desk.events()) == ([], [], [], [])

    desk.post(critical())
    assert len(desk.logs) == desk.alert.count == 1
    desk.check_books()


def test_a_sender_whose_commit_fails_hears_503_with_retry_after_over_http(api: TestClient) -> None:
    with commits_fail(api.app.state.services.database):
        answers = [api.post("/logs", json=critical()) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [503] * 3
        assert all(answer.headers["retry-after"] == "1" for answer in answers)
        assert answers[0].headers["content-type"] == "application/problem+json"
        assert api.get("/logs").json()["items"] == api.get("/tickets").json()["items"] == []

    assert api.post("/logs", json=critical()).status_code == 201
    assert len(api.get("/tickets").json()["items"]) == 1


def test_a_ticket_opened_by_hand_whose_commit_fails_is_not_answered_with_success(api: TestClient) -> None:
    with commits_fail(api.app.state.services.database, table="tickets"):
        assert api.post("/tickets", json={"title": "by hand"}).status_code in {500, 503}
        assert api.get("/tickets").json()["items"] == []

    assert api.post("/tickets", json={"title": "by hand"}).status_code == 201


def test_a_move_whose_commit_fails_is_not_answered_with_success(api: TestClient) -> None:
    api.post("/tickets", json={"title": "by hand"})
    with commits_fail(api.app.state.services.database, table="events"):
        assert api.patch("/tickets/1", json={"status": "IN_PROGRESS"}).status_code in {500, 503}
        assert api.get("/tickets/1").json()["status"] == "OPEN"

    assert api.patch("/tickets/1", json={"status": "IN_PROGRESS"}).status_code == 200


@pytest.mark.parametrize("after_pages", range(8))
def test_a_full_disk_is_answered_503_wherever_it_strikes_and_heals_by_itself(
    sqlite_settings: Settings, open_desk: Callable[..., Desk], after_pages: int
) -> None:
    desk = open_desk(sqlite_settings, limits=NO_LIMITS)
    desk.post(critical("before"))
    noise = random.Random(after_pages).randbytes(60_000).hex()
    storm = [critical("trouble", service=f"service-{n}") for n in range(120)]
    with disk_full(desk.database, after_pages=after_pages):
        for batch in (storm, [info(noise)]):
            with pytest.raises(Unavailable):
                desk.post(*batch)
    assert [record.message for record in desk.logs] == ["before"]
    assert desk.parked == 0
    desk.check_books()

    desk.post(*storm)
    assert len(desk.tickets) == 121
    desk.check_books()


def test_a_locked_or_absent_database_is_answered_503_and_heals_by_itself(api: TestClient) -> None:
    assert api.post("/logs", json=info()).status_code == 201
    with database_gone(api.app.state.services.database):
        answer = api.post("/logs", json=critical())
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:tocsin:problem:unavailable")
        assert api.post("/tickets", json={"title": "by hand"}).status_code == 503
        assert api.get("/readyz").status_code == 503
        assert api.get("/healthz").status_code == 200

    while api.get("/readyz").status_code != 200:
        pass  # the verdict is kept for half a second
    assert api.post("/logs", json=critical()).status_code == 201
    assert len(api.get("/logs").json()["items"]) == 2
    assert len(api.get("/tickets").json()["items"]) == 1


def test_the_driver_s_words_stay_in_our_own_log(
    api: TestClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    database = api.app.state.services.database
    name = database.dialect.writers.url.database
    with database_gone(database):
        capsys.readouterr()
        answers = [api.get("/readyz"), api.post("/tickets", json={"title": "by hand"})]
        lines = [line for line in capsys.readouterr().out.splitlines() if "database_fault" in line]
    for answer in answers:
        assert answer.json()["detail"] == "The database can't do this now."
        assert name not in answer.text
    assert len(lines) >= 2  # the loops run into it as well
    # A connection that is cut while it is used is described in many ways; one that can't be made, in these.
    assert any("locked" in line or "not currently accepting connections" in line for line in lines), lines
    assert all(re.search(r"reason=['\"]\w", line) for line in lines), lines


def test_the_counters_are_shown_while_the_database_is_away(
    postgres_settings: Settings, open_api: Callable[..., TestClient]
) -> None:
    api = open_api(postgres_settings)
    assert "tocsin_parked_now" in api.get("/metrics").text
    api.app.state.services.metrics.rejected.inc(3)
    with database_gone(api.app.state.services.database):
        api.post("/tickets", json={"title": "x"})
        answer = api.get("/metrics")
        while "tocsin_parked_now" in answer.text:  # what was read is shown for half a second
            answer = api.get("/metrics")
        assert answer.status_code == 200
        assert "tocsin_logs_rejected_total 3.0" in answer.text


def test_a_pool_without_a_free_connection_is_answered_503(
    settings: Settings, open_api: Callable[..., TestClient]
) -> None:
    api = open_api(settings)
    readers = api.app.state.services.database.dialect.readers
    readers.pool._timeout = 0.05
    with contextlib.ExitStack() as taken:
        for _ in range(readers.pool.size() + max(readers.pool._max_overflow, 0)):
            taken.enter_context(readers.connect())
        answer = api.get("/tickets")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:tocsin:problem:unavailable")
    assert api.get("/tickets").status_code == 200
