"""Correlation keys: the one thing that makes one thing one ticket."""

import threading

import pytest
from sqlalchemy import select

from desk import ANA, PATIENCE_S, RUI, Desk, critical, in_threads
from tocsin.kit.actors import SYSTEM
from tocsin.kit.errors import NotFound
from tocsin.kit.priorities import Priority
from tocsin.storage.database import Database
from tocsin.storage.tx import Tx
from tocsin.tickets import service, store, timeline_service
from tocsin.tickets.model import open_keys
from tocsin.tickets.store import TicketQuery
from tocsin.tickets.workflow import Status


def write(database: Database, work: "object") -> object:
    return database.write(work, actor=SYSTEM)


def test_a_key_is_claimed_by_one_and_joined_by_the_rest(database: Database) -> None:
    assert write(database, lambda tx: store.claim_keys(tx, {"b", "a"}, 7)) == {"a", "b"}
    assert write(database, lambda tx: store.claim_keys(tx, {"b", "c"}, 8)) == {"c"}
    assert write(database, lambda tx: store.join_keys(tx, {"a", "b", "c", "d"})) == {"a": 7, "b": 7, "c": 8}
    assert write(database, lambda tx: store.claim_keys(tx, set())) == set()


def test_keys_are_pointed_elsewhere_and_released_with_their_ticket(database: Database) -> None:
    write(database, lambda tx: store.claim_keys(tx, {"a", "b", "c"}, 7))
    write(database, lambda tx: store.point_keys(tx, {"c": 8}))
    write(database, lambda tx: store.release_keys(tx, 7))
    assert write(database, lambda tx: store.join_keys(tx, {"a", "b", "c"})) == {"c": 8}


def test_more_keys_than_fit_into_one_statement(database: Database) -> None:
    keys = {f"key-{n}" for n in range(1300)}
    assert write(database, lambda tx: store.claim_keys(tx, keys, 7)) == keys
    assert write(database, lambda tx: store.join_keys(tx, keys)) == dict.fromkeys(keys, 7)


def test_one_who_claims_a_key_that_is_being_claimed_waits_and_then_joins(database: Database) -> None:
    claimed, may_commit = threading.Event(), threading.Event()

    def first(tx: Tx) -> set[str]:
        mine = store.claim_keys(tx, {"a"}, 7)
        claimed.set()
        may_commit.wait(PATIENCE_S)
        return mine

    def second() -> tuple[set[str], dict[str, int]]:
        claimed.wait(PATIENCE_S)
        threading.Timer(0.05, may_commit.set).start()
        return database.write(lambda tx: (store.claim_keys(tx, {"a"}, 8), store.join_keys(tx, {"a"})), actor=SYSTEM)

    assert in_threads(lambda: database.write(first, actor=SYSTEM), second) == [{"a"}, (set(), {"a": 7})]


def test_an_open_ticket_holds_its_keys_and_a_resolved_one_none(desk: Desk) -> None:
    def held() -> list[int]:
        return desk.database.read(lambda tx: list(tx.execute(select(open_keys.c.ticket_id)).scalars()))

    desk.post(critical("one"), critical("two"))
    assert sorted(held()) == [1, 2]
    desk.resolve(1)
    assert held() == [2]
    desk.reopen(1)
    assert sorted(held()) == [1, 2]
    desk.move(1, "RESOLVED", "CLOSED")
    assert held() == [2]


def test_tickets_are_compared_and_set_by_version(desk: Desk) -> None:
    desk.post(critical())
    seen = desk.ticket

    def change(tx: Tx, title: str) -> bool:
        return store.compare_and_set(tx, seen, {"title": title})

    desk.clock.advance(seconds=1)
    assert desk.database.write(lambda tx: change(tx, "first"), actor=ANA)
    assert not desk.database.write(lambda tx: change(tx, "second"), actor=RUI)
    assert (desk.ticket.title, desk.ticket.version, desk.ticket.updated_at) == ("first", 2, desk.clock.now())


@pytest.fixture
def board(desk: Desk) -> Desk:
    """Seven tickets of several kinds; two share an opening time."""
    for n, word in enumerate("abcdefg"):
        desk.post(critical(f"{word} 100% broke_down", service="shop" if n % 2 else "mail"))
        desk.clock.advance(seconds=n % 2)
    desk.move(1, "IN_PROGRESS")
    desk.resolve(2)
    desk.database.write(
        lambda tx: service.change(tx, 3, status=None, edits={"assignee": "ana", "description": "Call ZÜRICH"}),
        actor=ANA,
    )
    desk.database.write(lambda tx: service.prioritise(tx, 4, Priority.P1), actor=ANA)
    return desk


FOUND: list[tuple[dict[str, object], list[int]]] = [
    ({}, [7, 6, 5, 4, 3, 2, 1]),
    ({"descending": False}, [1, 2, 3, 4, 5, 6, 7]),
    ({"statuses": (Status.OPEN,)}, [7, 6, 5, 4, 3]),
    ({"statuses": (Status.IN_PROGRESS, Status.RESOLVED)}, [2, 1]),
    ({"priorities": (1,)}, [4]),
    ({"service": "shop"}, [6, 4, 2]),
    ({"assignee": "ana"}, [3]),
    ({"assignee": "none"}, [7, 6, 5, 4, 2, 1]),
    ({"text": "100%"}, [7, 6, 5, 4, 3, 2, 1]),
    ({"text": "0% BROKE_"}, [7, 6, 5, 4, 3, 2, 1]),
    ({"text": "1%0"}, []),
    ({"text": "call"}, [3]),
    ({"text": "\\"}, []),
    ({"sort": "priority", "descending": False}, [4, 1, 2, 3, 5, 6, 7]),
    ({"sort": "updated"}, [7, 4, 3, 2, 1, 6, 5]),
]


def test_tickets_are_found_sorted_and_paged_without_gaps(board: Desk) -> None:
    for wanted, ids in FOUND:
        found: list[int] = []
        cursor: str | None = None
        while True:
            items, cursor = service.find(board.database, TicketQuery(**wanted, limit=2, cursor=cursor))
            found += [ticket.id for ticket in items]
            assert len(found) <= 7, "pages without end"
            if cursor is None:
                break
        assert found == ids, wanted


def test_tickets_opened_within_a_span_of_time(board: Desk) -> None:
    third = board.tickets[2].opened_at
    fifth = board.tickets[4].opened_at
    query = TicketQuery(opened_since=third, opened_until=fifth, descending=False)
    assert [ticket.id for ticket in service.find(board.database, query)[0]] == [3, 4]


def test_the_timeline_is_paged_and_a_ticket_that_is_not_there_has_none(board: Desk) -> None:
    board.reopen(2)
    kinds, cursor = [], None
    while True:
        items, cursor = timeline_service.page(board.database, 2, cursor=cursor, limit=2)
        kinds += [entry.kind for entry in items]
        if cursor is None:
            break
    assert kinds == ["TicketOpened", "TicketMoved", "TicketMoved", "TicketReopened"]
    with pytest.raises(NotFound):
        timeline_service.page(board.database, 99, cursor=None, limit=2)


def test_open_tickets_are_counted_by_priority(board: Desk) -> None:
    assert board.database.read(store.open_by_priority) == {1: 1, 2: 5}
