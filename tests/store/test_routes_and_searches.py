"""A route is about the tickets that a search with its query finds."""

import pytest

from desk import ANA
from tocsin.kit.priorities import Priority
from tocsin.notify import route_service, routing
from tocsin.query.parse import parse
from tocsin.storage.database import Database
from tocsin.storage.tx import Tx
from tocsin.tickets import service as tickets
from tocsin.tickets import sla_service
from tocsin.tickets.fields import TICKETS
from tocsin.tickets.policies import Policy
from tocsin.tickets.store import TicketQuery
from tocsin.tickets.workflow import Status

QUERIES = (
    "",
    "service:payments",
    "service:PAY*",
    "-service:payments",
    "priority:<=P2 OR priority:P5",
    "tag:db",
    "-tag:db",
    "tag:eu-*",
    "_exists_:tag -_exists_:team",
    "tag:db tag:eu-west",
    'database "is down"',
    "description:disk",
    "assignee:none",
    "assignee:ana OR team:SHOP",
    "status:OPEN",
    "NOT status:OPEN",
    "sla:on_track",
    "_exists_:sla",
    "impact:1 urgency:<3",
    "opened_at:>-1h",
    "opened_at:<2020-01-01",
    "acknowledged_at:>2020-01-01",
    "id:>2",
    "opened_by:local\\\\:ana",
    "(tag:db OR service:search) AND NOT priority:P1",
)


@pytest.fixture
def kept(database: Database) -> Database:
    """Tickets of all sorts."""

    def work(tx: Tx) -> None:
        sla_service.save_policy(tx, Policy("pay", 0, resolve_s=3600, services=("payments",)))
        opened = {"description": "", "assignee": None}
        tickets.open_by_hand(tx, title="database is down", priority=Priority.P1, service="payments", **opened)
        tickets.open_by_hand(
            tx, title="slow", priority=Priority.P2, service="payments", team="shop", tags=["db", "eu-west"], **opened
        )
        tickets.open_by_hand(
            tx, title="full", priority=None, service="search", description="disk of db1", assignee="ana", impact=1,
            urgency=2,
        )  # fmt: skip
        tickets.open_by_hand(tx, title="down, is it?", priority=Priority.P5, service=None, tags=["us-east"], **opened)
        tickets.change(tx, 1, status=Status.IN_PROGRESS, edits={})

    database.write(work, actor=ANA)
    return database


def test_a_route_is_about_what_a_search_finds(kept: Database) -> None:
    for query in QUERIES:
        node = parse(query, TICKETS, now=kept.clock.now())
        found = {one.id for one in tickets.find(kept, TicketQuery(condition=node))[0]}
        test = routing.test_of(node)
        everything = tickets.find(kept, TicketQuery())[0]
        about = {one.id for one in everything if test(kept.read(lambda tx, one=one: route_service.facts_of(tx, one)))}
        assert about == found, query
