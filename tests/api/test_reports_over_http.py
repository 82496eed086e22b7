"""Reports: what tickets add up to is exact, by group, beside the period before, and over real incidents."""

import csv
import gzip
import io
import json
import statistics
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from starlette.testclient import TestClient

from desk import ANA, START, Desk, FakeClock
from tocsin.cli.import_tickets import _batches
from tocsin.settings import Settings
from tocsin.storage.database import Database
from tocsin.tickets import import_service
from tocsin.tickets.model import tickets
from tocsin.tickets.sources.formats import FORMATS
from tocsin.tickets.sources.rows import Mapped

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ITSM = Path(__file__).parents[2].parent / "shared" / "data" / "itsm"


def row(minutes_ago: int, resolved_after: int | None = None, **more: Any) -> dict[str, Any]:
    opened = START - timedelta(minutes=minutes_ago)
    ended = None if resolved_after is None else opened + timedelta(minutes=resolved_after)
    return {
        "status": "OPEN" if ended is None else "CLOSED", "priority": 2, "service": "pay", "title": "t",
        "description": "", "assignee": None, "opened_by": "local:ana", "opened_at": opened, "updated_at": opened,
        "acknowledge_from": opened, "acknowledged_at": None, "resolved_at": ended, "reopen_count": 0, "version": 1,
        "reassignment_count": 0, "sla_state": None, "sla_due_at": None, "met_at_source": None, **more,
    }  # fmt: skip


@pytest.fixture
def some(api: TestClient, database: Database) -> TestClient:
    """Tickets of the last two hours: four in the last, two before it."""
    rows = [
        row(100, 10, sla_state="met"),
        row(90, 20, priority=1),
        row(50, 10, sla_state="met", reopen_count=2, acknowledged_at=START - timedelta(minutes=49)),
        row(40, 20, priority=1, sla_state="met_late", reassignment_count=1),
        row(30, 29, service="mail", met_at_source=1),
        row(20, None, service=None, sla_state="on_track", sla_due_at=START - timedelta(minutes=1)),
    ]
    database.write(lambda tx: tx.execute(insert(tickets), rows), actor=ANA)
    return api


def report(api: TestClient, what: str = "tickets", **asked: Any) -> Any:
    answer = api.get(f"/reports/{what}", params={name: value for name, value in asked.items() if value is not None})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_period_is_added_up_beside_the_one_before(some: TestClient) -> None:
    found = report(some, since="1h")["total"]
    assert (found["tickets"], found["unresolved"], found["reopened"], found["reopens"]) == (4, 1, 1, 2)
    assert found["resolve"] == {"n": 3, "mean_s": pytest.approx(1180), "median_s": 1200, "p90_s": 1632}
    assert found["acknowledge"] == {"n": 1, "mean_s": 60, "median_s": 60, "p90_s": 60}
    assert (found["sla_met"], found["sla_missed"], found["sla_attained"]) == (2, 2, 0.5)
    before, change = found["previous"], found["change"]
    assert (before["tickets"], before["resolve"]["median_s"], before["sla_attained"]) == (2, 900, 1)
    assert (change["tickets"], change["resolve.median_s"], change["sla_attained"]) == (1.0, 0.333333, -0.5)


def test_groups_have_their_own_figures(some: TestClient) -> None:
    rows = {one["key"]: one for one in report(some, since="1h", by="priority")["items"]}
    assert {key: one["tickets"] for key, one in rows.items()} == {"P1": 1, "P2": 3}
    assert rows["P1"]["previous"]["tickets"] == 1
    services = [(one["key"], one["tickets"]) for one in report(some, by="service")["items"]]
    assert services == [("mail", 1), ("pay", 4), (None, 1)]
    only = report(some, q="priority:P1", by="service")
    assert [(one["key"], one["tickets"]) for one in only["items"]] == [("pay", 2)]
    assert report(some, source="nowhere")["total"]["tickets"] == 0


def test_a_report_takes_every_query_that_finds_tickets(some: TestClient) -> None:
    some.patch("/tickets/1", json={"tags": ["database"]})
    told = some.get("/reports/backlog", params={"q": "tag:database"})
    assert told.status_code == 200, told.text
    assert some.get("/reports/tickets", params={"q": "tag:database sla:met"}).status_code == 200


def test_the_hour_of_the_week_is_that_of_a_zone(some: TestClient) -> None:
    keys = {one["key"]: one["tickets"] for one in report(some, by="hour_of_week", zone="Asia/Kolkata")["items"]}
    assert keys == {"1 06": 2, "1 07": 4}  # a Tuesday; START is 07:51 there


def test_the_backlog_is_by_age(some: TestClient) -> None:
    [one] = report(some, "backlog")["items"]
    assert (one["tickets"], one["oldest_age_s"], one["ages"][0]) == (1, 1200, {"younger_than": "1h", "tickets": 1})
    assert [one["key"] for one in report(some, "backlog", by="priority")["items"]] == ["P2"]


def test_each_clock_and_working_time_are_told_of_tickets_as_they_go(api: TestClient, clock: FakeClock) -> None:
    office = {"time_zone": "UTC", "hours": {"tue": [["02:00", "03:00"]], "wed": [["02:00", "12:00"]]}}
    api.put("/sla/calendars/office", json=office)
    api.put("/sla/policies/all", json={"acknowledge_s": 600, "resolve_s": 7200, "calendar": "office"})
    first, second, third = (api.post("/tickets", json={"title": "t"}).json()["id"] for _ in range(3))  # Tuesday, 02:21
    clock.advance(minutes=9)
    api.patch(f"/tickets/{first}", json={"status": "IN_PROGRESS"})
    api.post(f"/tickets/{third}/hold", json={"reason": "we wait"})
    clock.advance(minutes=2)
    api.patch(f"/tickets/{second}", json={"status": "IN_PROGRESS"})  # 11 min, 10 were allowed
    clock.advance(hours=24)
    api.patch(f"/tickets/{first}", json={"status": "RESOLVED"})  # 39 + 32 minutes of work in 24 h 11 min
    clock.advance(hours=1)
    found = report(api, since="7d", calendar=None)["total"]
    assert found["sla_acknowledge"] == {"met": 1, "missed": 1, "attained": 0.5}
    assert found["sla_resolve"] == {"met": 1, "missed": 1, "attained": 0.5}  # the second is overdue now
    assert (found["sla_met"], found["sla_missed"]) == (1, 1)
    assert (found["resolve"]["median_s"], found["resolve_working"]["median_s"]) == (24 * 3600 + 660, 71 * 60)
    assert found["acknowledge_working"] == {"n": 2, "mean_s": 600, "median_s": 600, "p90_s": 648}
    api.put("/sla/calendars/always", json={"time_zone": "UTC", "hours": {day: [["00:00", "24:00"]] for day in DAYS}})
    by_another = report(api, since="7d", calendar="always")["total"]
    assert by_another["resolve_working"] == by_another["resolve"]


def test_a_recurrence_counts_whether_an_alert_or_a_person_says_so(some: TestClient) -> None:
    some.post("/tickets/4/links", json={"kind": "recurrence_of", "ticket_id": 3})
    groups = {one["key"]: one for one in report(some, since="1h", by="priority")["items"]}
    assert {key: (one["recurrences"], one["recurrence_rate"]) for key, one in groups.items()} == {
        "P1": (1, 1.0), "P2": (0, 0.0),
    }  # fmt: skip
    assert report(some)["total"]["recurrences"] == 1


def test_rules_and_days_are_keys_and_a_chart_by_day_has_no_holes(some: TestClient, database: Database) -> None:
    ruled = [row(3 * 1440, 5, opened_by="rule:disk"), row(5, 5, opened_by="rule:disk")]
    database.write(lambda tx: tx.execute(insert(tickets), ruled), actor=ANA)
    found = [(one["key"], one["tickets"]) for one in report(some, since="4d", by="rule")["items"]]
    assert found == [("disk", 2), (None, 6)]
    days = [
        (one["key"], one["tickets"]) for one in report(some, since="3d", by="day", zone="America/New_York")["items"]
    ]
    assert days == [("2026-11-20", 1), ("2026-11-21", 0), ("2026-11-22", 0), ("2026-11-23", 7)]
    assert [one["key"] for one in report(some, "backlog", by="day")["items"]] == ["2026-11-24"]


def test_the_worst_are_named_with_their_share_and_trend(some: TestClient) -> None:
    by_service = report(some, "offenders", since="1h", by="service", rank="tickets")
    assert [(one["key"], one["amount"], one["share"], one["change"]) for one in by_service["items"]] == [
        ("pay", 2, 0.5, 0.0), ("mail", 1, 0.25, None),
    ]  # fmt: skip
    slow = report(some, "offenders", since="1h", by="priority", rank="time", limit=1)["items"]
    assert [(one["key"], one["amount"]) for one in slow] == [("P2", (10 + 29 + 20) * 60)]
    late = report(some, "offenders", by="service", rank="breaches")["items"]
    assert [(one["key"], one["amount"], one["share"], one["cumulative_share"]) for one in late] == [
        ("pay", 1, 0.5, 0.5)
    ]
    table = some.get("/reports/offenders", params={"by": "service", "format": "csv"}).text.splitlines()
    assert table[1].startswith("pay,4.0,0.666667,0.666667,,pay,4")


def test_nothing_adds_up_to_nothing(api: TestClient) -> None:
    total = report(api, since="7d")["total"]
    assert (total["tickets"], total["resolve"]["median_s"], total["sla_attained"]) == (0, None, None)
    assert report(api, "backlog")["items"] == []
    assert report(api, by="hour_of_week")["items"] == report(api, by="day")["items"] == []


def test_a_table_is_safe_in_a_spreadsheet(some: TestClient, database: Database) -> None:
    database.write(lambda tx: tx.execute(insert(tickets), [row(5, 1, service="=1+1")]), actor=ANA)
    answer = some.get("/reports/tickets", params={"by": "service", "format": "csv"})
    head, *lines = answer.text.splitlines()
    assert head.startswith("key,tickets,unresolved,acknowledge.n,acknowledge.mean_s")
    assert lines[0].startswith("'=1+1,1,0")


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"zone": "Mars/Base"}, "zone"),
        ({"by": "mood"}, "by"),
        ({"calendar": "nobodys"}, "calendar"),
        ({"since": "1h", "until": "2h"}, "since"),
        ({"since": "soon"}, "since"),
    ],
)
def test_what_makes_no_sense_is_named(api: TestClient, asked: dict[str, str], pointer: str) -> None:
    answer = api.get("/reports/tickets", params=asked)
    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]


@pytest.mark.slow
@pytest.mark.skipif(not ITSM.is_dir(), reason=f"the incidents to import are not in {ITSM}")
def test_the_reports_over_real_incidents_are_the_known_ones(
    sqlite_settings: Settings, open_desk: Callable[..., Desk], open_api: Callable[..., TestClient]
) -> None:
    desk = open_desk(sqlite_settings)
    read = FORMATS["servicenow"](gzip.decompress((ITSM / "servicenow_incident_events.csv.gz").read_bytes()), Mapped())
    assert (read.rows, read.bad) == (71_600, [])
    for start in range(0, len(read.tickets), 500):
        some = read.tickets[start : start + 500]
        desk.database.write(lambda tx, some=some: import_service.take_in(tx, "servicenow", some), actor=ANA)
    assert not desk.events(kind="SlaAssigned")
    desk.close()
    api = open_api(sqlite_settings)
    found = report(api, by="priority", source="servicenow")
    expected = json.loads((ITSM / "expected.json").read_text())["by_priority"]
    assert {one["key"]: one["tickets"] for one in found["items"]} == {k: v["incidents"] for k, v in expected.items()}
    for one in found["items"]:
        known = expected[one["key"]]
        assert one["sla_missed"] == known["made_sla_false"]
        assert one["resolve"]["n"] == known["resolved_with_time"]
        assert one["resolve"]["median_s"] == known["median_minutes_open_to_resolved"] * 60
    total = found["total"]
    assert (total["tickets"], total["reopens"], total["reassignments"]) == (12_530, 161, 11_882)


def told_by_the_file(data: str, some: set[str]) -> dict[str, dict[str, Any]]:
    """What the last row of each incident says, by priority: as `expected.json` was made."""
    last = {one["number"]: one for one in csv.DictReader(io.StringIO(data)) if one["number"] in some}
    found: dict[str, dict[str, Any]] = {}
    for one in last.values():
        mine = found.setdefault(f"P{one['priority'][0]}", {"tickets": 0, "missed": 0, "minutes": []})
        mine["tickets"] += 1
        mine["missed"] += one["made_sla"] == "false"
        if one["resolved_at"] != "?":
            opened, resolved = (datetime.strptime(one[name], "%d/%m/%Y %H:%M") for name in ("opened_at", "resolved_at"))
            mine["minutes"].append((resolved - opened) / timedelta(minutes=1))
    return found


@pytest.mark.skipif(not ITSM.is_dir(), reason=f"the incidents to import are not in {ITSM}")
def test_the_reports_over_some_real_incidents_are_what_their_file_says(api: TestClient) -> None:
    lines = gzip.decompress((ITSM / "servicenow_incident_events.csv.gz").read_bytes()).decode().splitlines(True)
    cut = lines[1_500].split(",")[0]  # the incident in the middle of which that is stays out
    data = "".join(line for line in lines[:1_500] if not line.startswith(f"{cut},"))
    read = FORMATS["servicenow"](data.encode(), Mapped())
    assert read.bad == []
    for batch in _batches(read.tickets):
        answer = api.post("/tickets/import", json={"source": "servicenow", "tickets": batch})
        assert (answer.status_code, answer.json()["rejected"]) == (200, []), answer.text
    expected = told_by_the_file(data, {one.external_id for one in read.tickets})
    found = {one["key"]: one for one in report(api, by="priority", source="servicenow")["items"]}
    assert found.keys() == expected.keys()
    for key, one in found.items():
        known = expected[key]
        assert (one["tickets"], one["sla_missed"]) == (known["tickets"], known["missed"])
        assert one["resolve"]["n"] == len(known["minutes"])
        assert one["resolve"]["median_s"] == statistics.median(known["minutes"]) * 60


def test_batches_hold_every_ticket_once() -> None:
    data = "".join(f'{{"external_id": "{n}", "title": "t", "opened_at": "2026-01-01"}}\n' for n in range(130))
    read = FORMATS["json"](data.encode(), Mapped())
    sent = list(_batches(read.tickets))
    assert [len(batch) for batch in sent] == [50, 50, 30]
    assert [one["external_id"] for batch in sent for one in batch] == [str(n) for n in range(130)]
