"""Finding tickets by their words: in title, description and comments, the same on each database, and at once."""

from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from desk import ANA, RUI, Desk, critical, in_threads
from tocsin.kit.errors import Conflict, Forbidden, NotFound
from tocsin.kit.priorities import Priority
from tocsin.query.parse import parse
from tocsin.query.predicate import compile_predicate
from tocsin.query.tree import Node
from tocsin.query.values import Scalar
from tocsin.storage.tx import ReadTx
from tocsin.tickets import comment_service, similar_service, store, text_store, view_service
from tocsin.tickets import service as tickets
from tocsin.tickets.fields import TICKETS
from tocsin.tickets.finding_sql import Limits
from tocsin.tickets.model import tickets as all_tickets
from tocsin.tickets.service import NO_RESOLUTION, Resolution
from tocsin.tickets.similar import Why
from tocsin.tickets.store import Ticket, TicketQuery
from tocsin.tickets.view_store import ViewRow
from tocsin.tickets.views import View
from tocsin.tickets.workflow import Status


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


PIECES = ["time", "TIMED", "out", "timeout", "ti", "é", "École", "a.b", "eu-west-1", "50%", "a_b", "ß", "\u212aelvin",
          "Σας",           "\n", "10.0.0.1", "'x'", '"', "\\", "支付失败"]  # fmt: skip
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
         "opened_by:ana", "opened_by:*ana", 'team:"--"', "service:*", "_exists_:team", "source:none", "service:/none",
         "team:*", "assignee:*a*"]  # fmt: skip
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
    for q in queries:
        node = parse(q, TICKETS, now=desk.clock.now())
        predicate = compile_predicate(node, TICKETS)
        wanted = [row.get("id") for row in rows if predicate(row)]
        for most in (text_store.MOST_HITS, 1, 0):
            assert mine(desk, node, rows, most) == wanted, (q, most)


def mine(desk: Desk, node: Node, rows: list[Row], most: int) -> list[int]:
    """Which of these tickets a condition finds, when the index is to name at most so many."""

    def look(tx: ReadTx) -> list[int]:
        wanted = store.condition_on(tx, node, most=most)
        return sorted(
            tx.execute(select(all_tickets.c.id).where(all_tickets.c.id >= rows[0].get("id"), wanted)).scalars()
        )

    return desk.database.read(look)


LIMITS = [Limits(), Limits(hits=0, others=0, both=0, first=0), Limits(hits=1, others=2, both=2, first=1),
          Limits(hits=2, others=9, both=0, first=2)]  # fmt: skip


@pytest.mark.parametrize("q", ["time", "time status:OPEN", '"tim" OR out', "comment:out", "time -out"])
def test_pages_are_the_same_whichever_way_they_are_found(desk: Desk, q: str) -> None:
    for number in range(12):
        ticket_id = opened(desk, ("time", "out of time", "other")[number % 3], priority=list(Priority)[number % 5])
        if number % 4 == 0:
            commented(desk, ticket_id, "time out")
        if number % 5 == 0:
            desk.resolve(ticket_id)
        desk.clock.advance(days=(0, 0.3, 40, 400)[number % 4])
    node = parse(q, TICKETS, now=desk.clock.now())
    for sort, descending in (("opened", True), ("opened", False), ("updated", True), ("priority", False)):
        query = TicketQuery(condition=node, sort=sort, descending=descending)
        keys = {"opened": "opened_at", "updated": "updated_at", "priority": "priority"}
        whole = sorted(
            (one for one in desk.tickets if one.id in found(desk, q)),
            key=lambda one, name=keys[sort]: (getattr(one, name), one.id),
            reverse=descending,
        )
        for limits in LIMITS:
            seen: list[Ticket] = []
            while True:
                after = (getattr(seen[-1], keys[sort]), seen[-1].id) if seen else None
                look = partial(store.page, query=query, after=after, limit=2, limits=limits)
                page = desk.database.read(look)
                seen += page
                if len(page) < 2:
                    break
            assert [one.id for one in seen] == [one.id for one in whole], (sort, descending, limits)


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


def test_similar_tickets_tell_how_it_went_the_last_time(desk: Desk) -> None:
    desk.post(critical("disk 7 is full"))
    done = Resolution("fixed", "Removed old segments.")
    for status, said in (("IN_PROGRESS", NO_RESOLUTION), ("RESOLVED", done)):
        desk.clock.advance(minutes=10)
        desk.database.write(
            lambda tx, s=status, r=said: tickets.change(tx, 1, status=Status(s), edits={}, resolution=r), actor=RUI
        )
    desk.clock.advance(hours=2)
    desk.post(critical("disk 9 is full"), critical("token signer crashed", service="mail"))
    by_hand = opened(desk, "Disk is full on the old machine")
    same, unlike = 2, 3
    found = desk.database.read(lambda tx: similar_service.similar(tx, same, limit=10))
    assert [one.ticket.id for one in found] == [1, by_hand]
    first, second = found
    assert first.likeness.reasons.keys() == {Why.FINGERPRINT, Why.RULE, Why.SERVICE, Why.WORDS}
    assert first.likeness.reasons[Why.FINGERPRINT] == desk.alerts[0].template
    assert (first.resolved_by, first.ticket.resolution_note) == (str(RUI), "Removed old segments.")
    assert first.ticket.time_to_resolve_s == 1200
    assert (second.resolved_by, second.likeness.reasons.keys()) == (None, {Why.WORDS})
    assert first.likeness.score > second.likeness.score > 0
    assert desk.database.read(lambda tx: similar_service.similar(tx, unlike, limit=10)) == []
    with pytest.raises(NotFound):
        desk.database.read(lambda tx: similar_service.similar(tx, 99, limit=10))
