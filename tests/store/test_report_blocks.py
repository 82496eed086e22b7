"""Blocks of closed tickets say what the rows say, at every moment, on both databases."""

import random
import threading
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, insert, select, update

from desk import ANA, START
from tocsin.kit.actors import SYSTEM
from tocsin.kit.calendar import Calendar
from tocsin.kit.priorities import Priority
from tocsin.storage.database import Database
from tocsin.tickets import block_store, import_service, report_service, sla_store, store
from tocsin.tickets.block_service import BlockMaker
from tocsin.tickets.blocks import SPAN
from tocsin.tickets.calendars import definition_of
from tocsin.tickets.importing import Foreign
from tocsin.tickets.model import ticket_blocks, tickets
from tocsin.tickets.report_service import Report
from tocsin.tickets.report_store import Asked
from tocsin.tickets.workflow import Status

COUNT = 2 * SPAN + 100
STILL_OPEN = 5  # of each hundred
ZONE = ZoneInfo("Europe/Lisbon")
CLOSED: dict[str, Any] = {"status": Status.CLOSED.value, "sla_due_at": None, "acknowledge_due_at": None}
BY = (None, "priority", "service", "assignee", "rule", "opened_by", "source", "status", "day", "hour_of_week")


def ticket(number: int, dice: random.Random) -> dict[str, Any]:
    opened = START - timedelta(minutes=10 * (COUNT - number))
    closed = number % 100 >= STILL_OPEN
    ended = opened + timedelta(seconds=dice.randrange(1, 900_000)) if closed and number % 7 else None
    imported = number % 3 == 0
    acknowledged = opened + timedelta(seconds=dice.randrange(0, 9_000)) if closed and not imported else None
    return {
        "status": "CLOSED" if closed else "RESOLVED" if number % 100 == 1 else "OPEN",
        "priority": dice.randint(1, 5), "service": dice.choice([None, "pay", "mail"]), "title": "t",
        "description": "", "assignee": dice.choice([None, "ana", "rui"]), "team": None,
        "opened_by": "import:old" if imported else "rule:critical-logs", "source": "old" if imported else None,
        "opened_at": opened, "updated_at": opened, "acknowledge_from": opened + timedelta(seconds=number % 2),
        "acknowledged_at": acknowledged, "resolved_at": ended, "closed_at": ended, "version": 1,
        "reopen_count": number % 4, "reassignment_count": number % 5, "met_at_source": number % 2 if imported else None,
        "recurrence_of": 1 if number % 9 == 1 else None,
        "sla_state": None if imported else "met_late" if closed else "on_track",
        "sla_due_at": None if imported or closed else opened + timedelta(hours=1),
        "acknowledge_due_at": None if imported else opened + timedelta(hours=1),
        "resolve_due_at": opened + timedelta(hours=40) if ended and not imported else None,
        "sla_calendar": None if imported else ("", "office@1")[number % 2],
    }  # fmt: skip


@pytest.fixture
def filled(database: Database) -> Database:
    dice = random.Random(7)
    office = definition_of(Calendar("Europe/Lisbon", (((540, 1080),),) * 5 + ((), ()), "PT"))
    database.write(lambda tx: sla_store.put(tx, sla_store.CALENDAR, "office", 1, office, is_new=True), actor=ANA)
    found = [ticket(number, dice) for number in range(COUNT)]
    database.write(lambda tx: tx.execute(insert(tickets), found), actor=ANA)
    return database


def report(database: Database, by: str | None = "priority", source: str | None = None, days: int = 99) -> Report:
    asked = Asked(START - timedelta(days=days), START, source=source)
    return database.read(lambda tx: report_service.tickets(tx, asked, by=by, zone=ZONE, trend=True))


def blocks(database: Database) -> list[int]:
    return [one.block for one in database.read(block_store.all_of)]


def every_report(database: Database) -> list[Report]:
    cut = [report(database, "service", source, days) for source in (None, "old", "nobody") for days in (5, 9)]
    return [*(report(database, by) for by in BY), *cut]


def change(database: Database, ticket_id: int, **values: Any) -> None:
    def work(tx: Any) -> None:
        seen = store.get(tx, ticket_id)
        assert seen is not None
        assert store.compare_and_set(tx, seen, values)

    database.write(work, actor=ANA)


def test_blocks_say_what_rows_say(filled: Database) -> None:
    before = every_report(filled)
    assert BlockMaker(filled).make() == 2
    assert blocks(filled) == [0, 1]
    assert BlockMaker(filled).make() == 0
    assert every_report(filled) == before


def test_what_closes_or_changes_later_is_counted_at_once(filled: Database) -> None:
    maker = BlockMaker(filled)
    maker.make()
    change(filled, 101, **CLOSED, resolved_at=START, service="slow")  # it was still open
    assert blocks(filled) == [1]
    [slow] = [one for one in report(filled, "service").groups if one.key == "slow"]
    assert slow.resolve.n == 1
    maker.make()
    change(filled, SPAN + 50, status="OPEN", merged_into=None, assignee="eva")  # a merge that is undone
    assert blocks(filled) == [0]
    [eva] = [one for one in report(filled, "assignee").groups if one.key == "eva"]
    assert (eva.tickets, eva.unresolved) == (1, 1)
    maker.make()
    assert blocks(filled) == [0, 1]
    assert report(filled).total.tickets == COUNT


def test_no_block_is_made_where_much_is_open_or_clocks_are_not_written_down_yet(filled: Database) -> None:
    filled.write(
        lambda tx: (
            tx.execute(update(tickets).where(tickets.c.id < SPAN // 4).values(status="RESOLVED")),
            tx.execute(update(tickets).where(tickets.c.id == SPAN + 7).values(sla_calendar=None, sla_state="met")),
        ),
        actor=ANA,
    )
    assert BlockMaker(filled).make() == 0


def test_no_block_is_made_while_somebody_is_closing_tickets(filled: Database) -> None:
    if filled.dialect.one_writer:
        pytest.skip("there is one writer: whoever closes a ticket is alone")
    closing, go_on = threading.Event(), threading.Event()

    def close(tx: Any) -> None:
        seen = store.get(tx, 101)
        assert seen is not None
        store.compare_and_set(tx, seen, CLOSED)
        closing.set()
        assert go_on.wait(30)

    other = threading.Thread(target=lambda: filled.write(close, actor=ANA))
    other.start()
    assert closing.wait(30)
    assert BlockMaker(filled).make() == 0
    go_on.set()
    other.join()
    assert BlockMaker(filled).make() == 2
    assert report(filled).total.tickets == COUNT


def test_tickets_that_are_imported_closed_are_counted(filled: Database) -> None:
    BlockMaker(filled).make()
    old = Foreign("A-1", "t", Priority.P1, START - timedelta(days=1), Status.CLOSED, closed_at=START)
    filled.write(lambda tx: import_service.take_in(tx, "old", [old]), actor=SYSTEM)
    assert report(filled).total.tickets == COUNT + 1
    kept = select(func.count()).select_from(ticket_blocks)
    assert filled.read(lambda tx: tx.execute(kept).scalar_one()) == 2 * 12
