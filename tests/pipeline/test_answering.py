"""Somebody answers a page: by a link once, by a command as often as they like, and the timeline says who and how."""

from datetime import timedelta

import pytest

from desk import ANA, Desk, critical, in_threads
from tocsin.kit.actors import Actor
from tocsin.kit.errors import Invalid
from tocsin.notify import answering, link_store, picture_service
from tocsin.notify.answering import Standing, State
from tocsin.notify.links import LIVES, Link, Verb, nonce_of, sign
from tocsin.notify.message import Kind
from tocsin.notify.picture import NO_OCCASION, values_of
from tocsin.notify.wording import say
from tocsin.tickets import sla_service
from tocsin.tickets.policies import Policy
from tocsin.tickets.service import Resolution


def link(desk: Desk, verb: Verb = Verb.ACKNOWLEDGE, *, person: str | None = "ana", message: str = "d1") -> str:
    key = desk.database.read(link_store.keys)[0]
    return sign(Link(1, verb, person, desk.clock.now() + LIVES, nonce_of(message)), key)


def act(desk: Desk, token: str, **how: str) -> Standing:
    return answering.act(desk.database, token, way="link", **how)  # type: ignore[arg-type]


def told(desk: Desk) -> list[tuple[str, str]]:
    """The timeline after the opening: what and by whom."""
    return [(event.kind, event.actor) for event in desk.events("ticket:1")][1:]


def test_a_link_acknowledges_as_its_person_once(desk: Desk) -> None:
    desk.post(critical())
    token = link(desk)
    assert desk.database.read(lambda tx: answering.look(tx, token)).state is State.READY
    assert desk.ticket.status == "OPEN"
    done = act(desk, token)
    assert (done.state, desk.ticket.status, desk.ticket.assignee) == (State.DONE, "IN_PROGRESS", "ana")
    assert told(desk) == [("TicketAnswered", "link:ana"), ("TicketEdited", "link:ana"), ("TicketMoved", "link:ana")]
    [answered] = desk.events(kind="TicketAnswered")
    assert {name: answered.data[name] for name in ("answer", "person", "way")} == {
        "answer": "acknowledge", "person": "ana", "way": "link"}  # fmt: skip
    again = act(desk, token)
    assert again.state is State.USED
    assert again.use is not None
    assert (again.use.used_by, again.use.used_at) == ("ana", desk.clock.now())
    assert len(told(desk)) == 3
    late = act(desk, link(desk, person="rui", message="d2"))
    assert (late.state, desk.ticket.assignee, len(told(desk))) == (State.NEEDLESS, "ana", 3)


def test_a_link_resolves_an_open_ticket_along_both_moves(desk: Desk) -> None:
    desk.post(critical())
    assert act(desk, link(desk, Verb.RESOLVE)).state is State.DONE
    assert (desk.ticket.status, desk.ticket.assignee) == ("RESOLVED", "ana")
    assert desk.alert.ended_at is not None
    assert [event.data["after"] for event in desk.events(kind="TicketMoved")] == ["IN_PROGRESS", "RESOLVED"]
    assert act(desk, link(desk, Verb.RESOLVE, message="d2")).state is State.NEEDLESS


def test_a_link_ends_and_one_that_nobody_signed_does_nothing(desk: Desk) -> None:
    desk.post(critical())
    token = link(desk)
    desk.clock.advance(days=2)
    assert act(desk, token).state is State.EXPIRED
    assert act(desk, token[:-1]).state is State.UNKNOWN
    assert act(desk, link(desk, Verb.OPEN)).state is State.NEEDLESS
    assert desk.ticket.status == "OPEN"


def test_a_link_that_names_nobody_waits_for_a_name(desk: Desk) -> None:
    desk.post(critical())
    token = link(desk, person=None)
    assert act(desk, token).state is State.READY
    assert act(desk, token, person="rui").state is State.DONE
    assert (desk.ticket.assignee, told(desk)[0]) == ("rui", ("TicketAnswered", "link:rui"))


def test_of_many_that_press_at_once_one_acts(desk: Desk) -> None:
    desk.post(critical())
    token = link(desk)
    outcomes = in_threads(*[lambda: act(desk, token).state for _ in range(4)])
    assert sorted(outcomes) == sorted([State.DONE, *[State.USED] * 3]), outcomes
    assert desk.kinds("ticket:1").count("TicketAnswered") == 1


def test_two_links_of_two_people_at_once_leave_one_assignee_and_no_error(desk: Desk) -> None:
    desk.post(critical())
    tokens = [link(desk, person=name, message=name) for name in ("ana", "rui", "eva")]
    outcomes = in_threads(*[lambda token=token: act(desk, token).state for token in tokens])
    assert sorted(outcomes) == sorted([State.DONE, State.NEEDLESS, State.NEEDLESS]), outcomes
    assert desk.kinds("ticket:1").count("TicketAnswered") == 1


def test_a_link_is_not_used_up_by_what_is_refused(desk: Desk) -> None:
    policy = Policy("strict", 0, acknowledge_s=900, resolve_s=3600, require_resolution=True)
    desk.database.write(lambda tx: sla_service.save_policy(tx, policy), actor=ANA)
    desk.post(critical())
    token = link(desk, Verb.RESOLVE)
    with pytest.raises(Invalid) as refused:
        act(desk, token)
    assert [error.pointer for error in refused.value.errors] == ["/resolution_code", "/resolution_note"]
    assert desk.ticket.status == "OPEN"
    done = answering.act(desk.database, token, way="link", resolution=Resolution("fixed", "pool restarted"))
    assert (done.state, desk.ticket.resolution_code) == (State.DONE, "fixed")


def test_answering_again_does_no_harm(desk: Desk) -> None:
    desk.post(critical())
    for person, changed in (("ana", True), ("ana", False), ("rui", False)):
        actor = Actor("local", person)
        _, did = desk.database.write(
            lambda tx, person=person: answering.answer(tx, 1, Verb.ACKNOWLEDGE, person=person, way="cli"), actor=actor
        )
        assert did is changed
    assert (desk.ticket.assignee, desk.kinds("ticket:1").count("TicketMoved")) == ("ana", 1)


def test_used_links_are_forgotten_once_they_would_be_refused_anyway(desk: Desk) -> None:
    desk.post(critical())
    token = link(desk)
    act(desk, token)
    desk.clock.advance(days=10)
    desk.post(critical("another thing", service="web"))
    key = desk.database.read(link_store.keys)[0]
    other = sign(Link(2, Verb.ACKNOWLEDGE, "ana", desk.clock.now() + timedelta(hours=1), nonce_of("d9")), key)
    assert act(desk, other).state is State.DONE
    assert act(desk, token).state is State.EXPIRED


def test_a_page_says_what_is_known_of_a_ticket(desk: Desk) -> None:
    policy = Policy("standard", 0, acknowledge_s=900, resolve_s=3600)
    desk.database.write(lambda tx: sla_service.save_policy(tx, policy), actor=ANA)
    desk.declare("payments", team="pay", tier=1, runbook_url="https://wiki.example.org/pay")
    desk.post(*[critical("database connection lost", attributes={"host": "db-1"}) for _ in range(3)])
    desk.clock.advance(minutes=3)
    picture = picture_service.with_record(desk.database.read(lambda tx: picture_service.take(tx, 1)), desk.reader)
    values = values_of(Kind.PAGE, picture, NO_OCCASION, now=picture.now)
    assert values["record"]["attributes"] == {"host": "db-1"}
    assert say(None, Kind.PAGE, values).text.splitlines() == [
        "database connection lost",
        "",
        "Where: payments (tier 1), team pay",
        "How bad: P2, CRITICAL, 3 records",
        "Since: 2026-11-24 02:21 UTC, 3 min ago",
        "SLA: acknowledge by 2026-11-24 02:36 UTC, 12 min left",
        "Runbook: https://wiki.example.org/pay",
        "What to do: take it up: tocsin ack 1",
    ]
