"""What looks back over all events finds its rows by an index, on both databases."""

from typing import Any

import pytest
from sqlalchemy import event, text

from desk import START, Desk, critical
from tocsin.logs import store as logs
from tocsin.proof import store
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


@pytest.mark.parametrize("name", sorted(LOOKS))
def test_no_look_back_reads_all_events(desk: Desk, name: str) -> None:
    desk.post(critical())
    plans: list[str] = []

    def look(tx: ReadTx) -> None:
        statements: list[tuple[str, Any]] = []

        def heard(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            statements.append((statement, parameters))

        if tx.dialect == "postgresql":
            tx.execute(text("SET LOCAL enable_seqscan = off"))  # of a few rows it would read all, and be right
        event.listen(tx.connection, "before_cursor_execute", heard)
        LOOKS[name](tx)
        event.remove(tx.connection, "before_cursor_execute", heard)
        explain = "EXPLAIN QUERY PLAN " if tx.dialect == "sqlite" else "EXPLAIN "
        for statement, parameters in statements:
            plans.append("\n".join(str(row) for row in tx.connection.exec_driver_sql(explain + statement, parameters)))

    desk.database.read(look)
    assert plans
    for plan in plans:
        assert "ix_events_" in plan, plan
        assert "SCAN events" not in plan, plan
        assert "Seq Scan" not in plan, plan
