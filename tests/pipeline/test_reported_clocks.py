"""What reports read of clocks stands in the ticket's row, also of tickets from before it did."""

import re
from typing import Any

from sqlalchemy import select, text, update

from desk import ANA, Desk, FakeClock, critical
from tocsin.kit.calendar import Calendar
from tocsin.storage import schema
from tocsin.tickets import sla_service
from tocsin.tickets.calendars import definition_of
from tocsin.tickets.model import tickets
from tocsin.tickets.policies import Policy

WRITTEN = (tickets.c.id, tickets.c.sla_calendar, tickets.c.acknowledge_due_at, tickets.c.resolve_due_at)
NOTHING: dict[str, Any] = {"sla_calendar": None, "acknowledge_due_at": None, "resolve_due_at": None}


def written(desk: Desk) -> list[tuple[Any, ...]]:
    return desk.database.read(lambda tx: [tuple(row) for row in tx.execute(select(*WRITTEN).order_by(tickets.c.id))])


def test_the_clocks_of_tickets_from_before_are_written_down_by_the_timers(desk: Desk, clock: FakeClock) -> None:
    office = definition_of(Calendar("UTC", (((0, 1440),),) * 7))
    policy = Policy("all", 0, acknowledge_s=600, resolve_s=3600, calendar="office")

    def save(tx: Any) -> None:
        sla_service.save_calendar(tx, "office", office)
        sla_service.save_policy(tx, policy)

    desk.database.write(save, actor=ANA)
    for message in ("disk full", "no memory", "no network"):
        desk.post(critical(message))
    clock.advance(minutes=5)
    desk.move(2, "IN_PROGRESS", "RESOLVED", "CLOSED")
    before = written(desk)
    assert {row[1] for row in before} == {"office@1"}
    assert all(row[2] is not None and row[3] is not None for row in before)
    script = (schema.MIGRATIONS / "versions" / "0017_reported_clocks.py").read_text()
    [fill] = re.findall(r"op\.execute\(\n(.*?)\n    \)", script, re.DOTALL)
    statement = "".join(re.findall(r'"(.*)"', fill))
    desk.database.write(
        lambda tx: (tx.execute(update(tickets).values(**NOTHING)), tx.execute(text(statement))), actor=ANA
    )
    events = len(desk.events())
    desk.run_due_timers()
    assert written(desk) == before
    assert len(desk.events()) == events
    clock.advance(minutes=6)
    desk.run_due_timers()  # the timers that were set before go on
    assert sorted(event.subject for event in desk.events(kind="SlaBreached")) == ["ticket:1", "ticket:3"]
