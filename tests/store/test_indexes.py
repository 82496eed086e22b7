"""What looks back over all events finds its rows by an index, and so does what is asked all the time."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, text

from desk import ANA, START, Desk, FakeClock, critical
from tocsin.logs import store as logs
from tocsin.notify import delivery_store, sending_store
from tocsin.proof import store
from tocsin.settings import Settings
from tocsin.storage.database import open_database
from tocsin.storage.tx import ReadTx

LOOKS: dict[str, Any] = {
    "entries_from": lambda tx: store.entries_from(tx, START, START, position=0, most=store.AT_ONCE),
    "entries_at": lambda tx: store.entries_at(tx, 1, 9, most=store.AT_ONCE),
    "next_commit_at": lambda tx: store.next_commit_at(tx, START, START, position=0),
    "retries_of": lambda tx: store.retries_of(tx, 1, 9),
    "unsealed_losses": lambda tx: store.unsealed_losses(tx, 1),
    "accepted_between": lambda tx: logs.accepted_between(tx, 1, 9),
    "the event of an old record": lambda tx: store._commit(
        tx, (store.events.c.kind == "LogsStored") & (store.events.c.at == START), 1
    ),
    "events of a subject": lambda tx: store.events_of_alert(tx, 1, None),
}


# What the courier asks in every turn, with what else is about the tickets.
ASKED: dict[str, Any] = {
    "due_channels": lambda tx, _: sending_store.due_channels(tx),
    "in_flight": lambda tx, _: sending_store.in_flight(tx, "hook"),
    "unplaced": lambda tx, by: sending_store.unplaced(tx, by, limit=9),
    "claimable": lambda tx, by: sending_store.claimable(tx, by, "hook", limit=9, busy_tickets={1}),
    "overdue": lambda tx, by: sending_store.overdue(tx, by, "hook", limit=9, patience=1.0),
    "waiting_updates": lambda tx, by: sending_store.waiting_updates(tx, by, "hook", {1, 2}),
    "said_before": lambda tx, _: sending_store.said_before(tx, "hook", {1, 2}),
    "ours": lambda tx, _: sending_store.ours(tx, {1: "x", 2: "y"}),
    "cancel": lambda tx, _: delivery_store.cancel(tx, delivery_store.pages_of(1), why="it is over"),
}


def plans_of(tx: ReadTx, look: Callable[[Any], object]) -> list[str]:
    """How the database goes about each statement of a look."""
    statements: list[tuple[str, Any]] = []

    def heard(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    event.listen(tx.connection, "before_cursor_execute", heard)
    look(tx)
    event.remove(tx.connection, "before_cursor_execute", heard)
    explain = "EXPLAIN QUERY PLAN " if tx.dialect == "sqlite" else "EXPLAIN "
    return [
        "\n".join(str(row) for row in tx.connection.exec_driver_sql(explain + statement, parameters))
        for statement, parameters in statements
    ]


@pytest.mark.parametrize("name", sorted(LOOKS))
def test_no_look_back_reads_all_events(desk: Desk, name: str) -> None:
    desk.post(critical())

    def look(tx: ReadTx) -> list[str]:
        if tx.dialect == "postgresql":
            tx.execute(text("SET LOCAL enable_seqscan = off"))  # of a few rows it would read all, and be right
        return plans_of(tx, LOOKS[name])

    plans = desk.database.read(look)
    assert plans
    for plan in plans:
        assert "ix_events_" in plan, plan
        assert "SCAN events" not in plan, plan
        assert "Seq Scan" not in plan, plan


@pytest.mark.parametrize("name", sorted(ASKED))
def test_sending_reads_neither_all_that_waits_nor_all_that_was_sent(sqlite_settings: Settings, name: str) -> None:
    """PostgreSQL knows how many rows of a kind there are; SQLite goes by what a statement says."""
    database = open_database(None, sqlite_settings.data_dir, clock=FakeClock(), routes={})
    plans = database.write(lambda tx: plans_of(tx, lambda tx: ASKED[name](tx, database.dialect)), actor=ANA)
    database.close()
    assert plans
    for plan in plans:
        assert "ix_deliveries_state_id" not in plan, plan
        assert "ix_deliveries_channel_id (channel=" not in plan, plan
        assert "SCAN deliveries" not in plan.replace("SCAN deliveries USING INDEX ix_deliveries_leased", ""), plan
