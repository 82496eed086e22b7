"""How what follows from tickets is planned: many at once, what is broken alone, and what nobody wants any more."""

from collections.abc import Callable

import pytest
from sqlalchemy import event

from desk import Desk, critical
from paged import CURSED, asked_for, hire, paged, put_on_call, save_route
from tocsin.kit.events import TicketOpened
from tocsin.notify.message import Kind
from tocsin.settings import Settings
from tocsin.tickets.storming import StormLimits

LOOKED_UP = ("FROM oncall_items", "FROM users", "FROM contact_methods", "FROM tickets WHERE", "FROM channels")


@pytest.fixture
def desk(settings: Settings, open_desk: Callable[..., Desk]) -> Desk:
    found = open_desk(settings, limits=StormLimits(0, 0))
    hire(found, "ana", "rui", "eva")
    put_on_call(found, "primary", "ana")
    return found


def open_many(desk: Desk, name: str, n: int) -> None:
    """So many tickets in one commit."""
    desk.post(*[critical("database connection lost", service=f"{name}-{i}") for i in range(n)])


def test_a_commit_of_many_tickets_looks_no_more_up_than_one_of_few(desk: Desk) -> None:
    save_route(desk, schedule="primary", channels=["ops"])
    asked: list[str] = []
    event.listen(desk.database.dialect.writers, "before_cursor_execute", lambda *given: asked.append(given[2]))
    looked: list[int] = []
    for n in (2, 20):
        asked.clear()
        open_many(desk, f"of{n}", n)
        looked.append(sum(any(name in one for name in LOOKED_UP) for one in asked))
    assert looked[0] == looked[1]
    assert len(paged(desk)) == 22
    assert len({one.key for one in asked_for(desk, Kind.OPENED)}) == 22


def test_what_is_broken_for_one_ticket_of_a_commit_stops_none_of_the_others(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    desk = open_desk(settings, limits=StormLimits(0, 0), callers=CURSED)
    save_route(desk, "broken", query="service:pay-1", channels=["cursed", "ops"])
    save_route(desk, "sound", channels=["ops"])
    open_many(desk, "pay", 3)
    opened = len(desk.events(kind=TicketOpened.__name__))
    assert opened == len(desk.events(kind="TicketRouted")) == 3, "what was tried together is not told twice"
    assert [one.ticket_id for one in asked_for(desk) if one.channel == "ops"] == [1, 2, 3]
    [failed] = desk.events(kind="RoutingFailed")
    assert failed.data["part"] == "channel cursed"
