"""Promises 1, 2 and 6: what a critical log leads to, at once, and how that is explained."""

from sqlalchemy import select
from starlette.testclient import TestClient

from desk import ANA, Desk, critical, info
from tocsin.logs.model import chunks


def test_a_critical_log_becomes_an_alert_and_a_ticket_in_the_same_commit(desk: Desk) -> None:
    stored = desk.post(info(), critical("database connection lost after 3 attempts"), info())

    assert [record.id for record in desk.logs] == list(range(stored.first_id, stored.last_id + 1))
    assert desk.alert.first_record_id == stored.first_id + 1
    assert desk.alert.template == "database connection lost after <*> attempts"
    assert desk.alert.count == 1
    assert desk.ticket.title == "payments: database connection lost after 3 attempts"
    assert desk.ticket.status == "OPEN"
    assert desk.alert.ticket_id == desk.ticket.id
    desk.check_books()


def test_healthy_logs_alert_nobody(desk: Desk) -> None:
    desk.post(*(info(level=level) for level in ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR")))

    assert len(desk.logs) == 5
    assert desk.alerts == []
    assert desk.tickets == []
    assert desk.verdicts() == {}


def test_each_kind_of_trouble_of_each_service_gets_a_ticket_of_its_own(desk: Desk) -> None:
    desk.post(
        critical("no route to host 10.0.0.7"),
        critical("no route to host 10.0.0.8"),
        critical("no route to host 10.0.0.9", service="shop"),
        critical("out of memory"),
    )

    assert {alert.title: alert.count for alert in desk.alerts} == {
        "payments: no route to host 10.0.0.7": 2,
        "shop: no route to host 10.0.0.9": 1,
        "payments: out of memory": 1,
    }
    assert sorted(ticket.title for ticket in desk.tickets) == sorted(alert.title for alert in desk.alerts)
    desk.check_books()


def test_more_of_the_same_counts_on_the_open_alert_and_leaves_the_tickets_version_alone(desk: Desk) -> None:
    desk.post(critical("lost 1"))
    before = desk.ticket
    desk.clock.advance(seconds=30)
    last = desk.post(critical("lost 2"), critical("lost 3"))

    assert desk.ticket == before
    assert desk.alert.count == 3
    assert desk.alert.last_record_id == last.last_id
    assert desk.alert.last_seen_at == desk.clock.now()
    assert desk.verdicts() == {"opened": 1, "counted": 2}
    desk.check_books()


def test_a_record_of_last_year_alerts_and_the_ticket_says_how_late_it_came(desk: Desk) -> None:
    desk.post(critical(timestamp="2026-11-24T01:21:00Z"))

    assert desk.ticket.late_s == 3600
    assert desk.ticket.opened_at == desk.clock.now()


def test_the_ticket_is_there_when_the_answer_to_the_post_is(api: TestClient) -> None:
    for number, word in enumerate(("alpha", "beta", "gamma", "delta", "epsilon"), start=1):
        posted = api.post("/logs", json=critical(f"{word} failed"))
        assert posted.status_code == 201
        tickets = api.get("/tickets").json()["items"]
        assert len(tickets) == number
        assert tickets[0]["title"] == f"payments: {word} failed"
        [alert] = api.get(f"/tickets/{tickets[0]['id']}").json()["alerts"]
        assert alert["sample_log_ids"] == [posted.json()["id"]]
        assert api.get(f"/logs/{posted.json()['id']}").json() == posted.json()


def test_from_a_log_one_can_walk_to_its_ticket_and_back_along_the_causes(desk: Desk) -> None:
    desk.post(info())
    stored = desk.post(info(), critical(), actor=ANA)

    [chunk] = desk.database.read(
        lambda tx: list(
            tx.execute(select(chunks).where(chunks.c.first_id <= stored.last_id, chunks.c.last_id >= stored.last_id))
        )
    )
    by_id = {event.id: event for event in desk.events()}
    logs_stored = by_id[chunk.event_id]
    assert logs_stored.kind == "LogsStored"
    assert logs_stored.actor == str(ANA)
    assert logs_stored.data["first_id"] <= stored.last_id <= logs_stored.data["last_id"]
    [alert_opened] = [event for event in by_id.values() if event.cause_id == logs_stored.id]
    assert (alert_opened.kind, alert_opened.subject) == ("AlertOpened", f"alert:{desk.alert.id}")
    assert alert_opened.data["first_record_id"] == stored.last_id
    [ticket_opened] = [event for event in by_id.values() if event.cause_id == alert_opened.id]
    assert (ticket_opened.kind, ticket_opened.subject) == ("TicketOpened", f"ticket:{desk.ticket.id}")
    assert ticket_opened.actor == "system"


def test_several_tickets_of_one_commit_each_name_their_own_alert_as_cause(desk: Desk) -> None:
    desk.post(critical("one thing"), critical("another thing"), critical("third thing"))

    by_id = {event.id: event for event in desk.events()}
    opened = desk.events(kind="TicketOpened")
    assert len(opened) == 3
    for event in opened:
        cause = by_id[event.cause_id]
        assert cause.kind == "AlertOpened"
        assert cause.data["alert_id"] == event.data["alert_id"]
        alert = next(alert for alert in desk.alerts if alert.id == cause.data["alert_id"])
        assert event.subject == f"ticket:{alert.ticket_id}"
