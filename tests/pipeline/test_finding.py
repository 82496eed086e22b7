"""Finding tickets by their words: in title, description and comments, the same on each database, and at once."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from desk import ANA, RUI, Desk, critical, in_threads
from tocsin.kit.errors import Conflict, Forbidden, NotFound
from tocsin.query.parse import parse
from tocsin.query.predicate import compile_predicate
from tocsin.query.values import Scalar
from tocsin.tickets import comment_service, store, text_store, view_service
from tocsin.tickets import service as tickets
from tocsin.tickets.fields import TICKETS
from tocsin.tickets.store import Ticket, TicketQuery
from tocsin.tickets.view_store import ViewRow
from tocsin.tickets.views import View


def opened(desk: Desk, title: str, description: str = "", **fields: Any) -> int:
    fields = {"priority": None, "service": None, "assignee": None, **fields}
    return desk.database.write(
        lambda tx: tickets.open_by_hand(tx, title=title, description=description, **fields), actor=ANA
    ).id


def found(desk: Desk, q: str = "", **more: Any) -> list[int]:
    node = parse(q, TICKETS, now=desk.clock.now())
    query = TicketQuery(condition=node, limit=1000, **more)
    return sorted(one.id for one in desk.database.read(lambda tx: store.page(tx, query, after=None, limit=1000)))


def commented(desk: Desk, ticket_id: int, text: str) -> int:
    return desk.database.write(lambda tx: comment_service.add(tx, ticket_id, text), actor=ANA).id


def test_a_ticket_is_found_by_what_its_texts_say_now(desk: Desk) -> None:
    one, other = opened(desk, "Checkout is blank", "Seen by QA"), opened(desk, "Disk full")
    comment = commented(desk, other, "The Vendor confirmed it")
    assert found(desk, "vendor") == found(desk, "comment:vendor") == found(desk, text="DOR CONF") == [other]
    assert found(desk, "title:vendor") == []
    assert found(desk, "disk vendor") == [other]  # one word here, the other there
    assert found(desk, "_exists_:comment") == [other]
    assert (found(desk, "check"), found(desk, "check*"), found(desk, '"heck"'), found(desk, "*heck*")) == (
        [], [one], [one], [one]
    )  # fmt: skip
    desk.database.write(lambda tx: comment_service.edit(tx, other, comment, "They denied it"), actor=ANA)
    assert (found(desk, "vendor"), found(desk, "denied")) == ([], [other])
    desk.database.write(lambda tx: comment_service.delete(tx, other, comment), actor=ANA)
    assert (found(desk, "denied"), found(desk, "_exists_:comment")) == ([], [])
    desk.database.write(lambda tx: tickets.change(tx, one, status=None, edits={"title": "Cart is blank"}), actor=ANA)
    assert (found(desk, "checkout"), found(desk, "cart"), found(desk, "qa")) == ([], [one], [one])


def test_a_ticket_that_an_alert_opened_is_found(desk: Desk) -> None:
    desk.post(critical("replica lag on ledger-7"))
    assert found(desk, "ledger-7") == found(desk, "ledger") == found(desk, '"dger-7"') == [1]
    assert found(desk, "ledge") == []


PIECES = ["time", "TIMED", "out", "timeout", "ti", "é", "École", "a.b", "eu-west-1", "50%", "a_b", "ß", "\u212aelvin", "Σας",
          "\n", "10.0.0.1", "'x'", '"', "\\", "支付失败"]  # fmt: skip
TEXT = st.lists(st.sampled_from(PIECES), max_size=4).map(" ".join) | st.lists(st.sampled_from(PIECES), max_size=3).map(
    "".join
)
QUOTED = TEXT.map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
BARE = st.sampled_from(
    ["time", "TIMED", "tim*", "*ime*", "t?me", "time*out", "*out", "é", "écol*", "a.b", "kelvin", "σας", "10.0.0.1",
     "0.0", "支付失败", "*付失*", "ti", "*", "?", "eu-west-1"]
)  # fmt: skip
CONDITIONS = st.tuples(st.sampled_from(["", "", "title:", "description:", "comment:"]), BARE | QUOTED).map("".join)
NAMES = st.sampled_from(["Shop", "shop", "SHOP eu", "École", "a_b", "Kasse", "--"])
NAMED = ["service:shop", "service:sho*", "assignee:none", "assignee:ÉCOLE", "team:kasse", "opened_by:local\\:ana",
         "opened_by:ana", "opened_by:*ana", 'team:"--"', "service:*", "_exists_:team", "source:none", "service:/none", "team:*", "assignee:*a*"]  # fmt: skip
QUERIES = st.recursive(
    CONDITIONS | st.sampled_from(["priority:P3", "status:OPEN", "_exists_:comment", "id:>0", *NAMED]),
    lambda inner: (
        st.tuples(inner, st.sampled_from([" ", " AND ", " OR "]), inner).map(lambda t: f"({''.join(t)})")
        | inner.map(lambda q: f"NOT {q}")
    ),
    max_leaves=5,
)


class Row:
    """A ticket with its comment, as a predicate reads it."""

    def __init__(self, ticket: Ticket, comment: str | None) -> None:
        self.values = {field.name: getattr(ticket, field.name, None) for field in TICKETS.fields} | {"comment": comment}

    def get(self, field: str) -> Any:
        return self.values[field]

    def attributes(self) -> dict[str, list[Scalar]]:
        return {}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    queries=st.lists(QUERIES, min_size=4, max_size=12),
    texts=st.lists(st.tuples(TEXT, TEXT, st.none() | TEXT, NAMES, st.none() | NAMES), min_size=1, max_size=5),
)
def test_what_is_found_is_what_the_predicate_says_whether_or_not_the_index_narrows_it_down(
    desk: Desk, queries: list[str], texts: list[tuple[Any, ...]]
) -> None:
    rows = []
    for title, description, comment, name, other in texts:
        ticket_id = opened(desk, title, description, service=name, assignee=other, team=other)
        if comment is not None:
            commented(desk, ticket_id, comment)
        rows.append(Row(desk.database.read(lambda tx, i=ticket_id: tickets.get(tx, i)), comment))
    ids = [row.get("id") for row in rows]
    for q in queries:
        node = parse(q, TICKETS, now=desk.clock.now())
        predicate = compile_predicate(node, TICKETS)
        mine = text_store.tickets.c.id >= ids[0]
        for most in (text_store.MOST_HITS, 1, 0):

            def look(tx: Any, most: int = most, node: Any = node) -> list[int]:
                wanted = store.condition_on(tx, node, most=most)
                return list(tx.execute(select(text_store.tickets.c.id).where(mine, wanted)).scalars())

            assert sorted(desk.database.read(look)) == [row.get("id") for row in rows if predicate(row)], (q, most)


def test_a_view_that_is_not_shared_is_its_owners_alone(desk: Desk) -> None:
    def save(actor: Any, **fields: Any) -> ViewRow:
        view = View(fields.pop("name", "mine"), fields.pop("q", "status:OPEN"), **fields)
        return desk.database.write(lambda tx: view_service.save(tx, view)[0], actor=actor)

    def seen_by(actor: Any) -> list[str]:
        return [view.name for view in view_service.find(desk.database, actor, cursor=None, limit=10)[0]]

    save(ANA)
    save(ANA, name="ours", shared=True)
    assert (seen_by(ANA), seen_by(RUI)) == (["mine", "ours"], ["ours"])
    with pytest.raises(NotFound):
        desk.database.read(lambda tx: view_service.get(tx, "mine", RUI))
    with pytest.raises(NotFound):
        desk.database.write(lambda tx: view_service.remove(tx, "mine"), actor=RUI)
    with pytest.raises(Conflict, match="take another name"):
        save(RUI)
    assert save(RUI, name="ours", shared=True, q="priority:P1").updated_by == str(RUI)
    with pytest.raises(Forbidden, match="only they may stop sharing it"):
        save(RUI, name="ours", shared=False)
    save(ANA, name="ours", shared=False)
    assert seen_by(RUI) == []
    assert [event.kind for event in desk.events("view:ours")] == ["ViewSaved"] * 3


def test_two_who_make_the_same_view_at_once_make_one(desk: Desk) -> None:
    view = View("ours", "status:OPEN", shared=True)
    made = in_threads(
        *[lambda: desk.database.write(lambda tx: view_service.save(tx, view), actor=ANA) for _ in range(3)]
    )
    assert sorted(is_new for _, is_new in made) == [False, False, True]
