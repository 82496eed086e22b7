"""How what follows from tickets is planned: many at once, what is broken alone, and what nobody wants any more."""

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import event, update

from desk import ANA, Desk, critical
from paged import CURSED, asked_for, hire, paged, put_on_call, save_policy, save_route
from receivers import Receiver, answer
from tocsin.kit.actors import SYSTEM
from tocsin.kit.events import TicketOpened
from tocsin.kit.priorities import Priority
from tocsin.notify.channels.table import CHANNELS
from tocsin.notify.claiming import Claiming, MethodBook, no_methods
from tocsin.notify.delivery_store import State
from tocsin.notify.jobs import Answer, Job
from tocsin.notify.message import DeliveryFailed, Kind
from tocsin.notify.model import deliveries
from tocsin.notify.recording import record
from tocsin.notify.wanted import Wanted
from tocsin.oncall import people_service, people_store
from tocsin.oncall.people import MethodKind
from tocsin.settings import Settings
from tocsin.storage.tx import Tx
from tocsin.tickets import merge_service, split_service
from tocsin.tickets import service as tickets
from tocsin.tickets.split_service import Parting
from tocsin.tickets.store import Ticket
from tocsin.tickets.storming import StormLimits
from tocsin.tickets.workflow import Status

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


def change(desk: Desk, ticket_id: int = 1, *, status: Status | None = None, **edits: object) -> None:
    desk.database.write(lambda tx: tickets.change(tx, ticket_id, status=status, edits=edits), actor=ANA)


def split(desk: Desk, *alert_ids: int) -> Ticket:
    parting = Parting(alert_ids, "Disk full", "something else")
    return desk.database.write(lambda tx: split_service.split(tx, 1, parting), actor=ANA)


def test_a_run_that_ends_takes_back_its_own_calls_alone(desk: Desk) -> None:
    save_policy(desk, "a", ("user:ana", 3000))
    save_policy(desk, "b", ("user:rui", 3000))
    save_route(desk, "a", escalation_policy="a", goes_on=True)
    save_route(desk, "b", query="-tag:known", escalation_policy="b")
    desk.post(critical())
    change(desk, tags=["known"])
    states = {(one.person, one.state) for one in asked_for(desk, Kind.PAGE)}
    assert states == {("ana", State.WAITING), ("rui", State.CANCELLED)}


@pytest.mark.parametrize("assignee", [None, "rui"])
def test_what_is_split_from_a_ticket_that_somebody_works_on_calls_nobody(desk: Desk, assignee: str | None) -> None:
    save_policy(desk, "pay", ("user:eva", 300))
    save_route(desk, escalation_policy="pay", schedule="primary", channels=["ops"])
    desk.post(critical("database connection lost"))
    desk.post(critical("disk full"))
    desk.database.write(lambda tx: merge_service.merge(tx, 2, 1), actor=ANA)
    change(desk, status=Status.IN_PROGRESS, assignee=assignee)
    before = paged(desk)
    assert split(desk, 2).status is Status.IN_PROGRESS
    assert paged(desk) == before


def test_who_is_on_call_is_called_when_a_ticket_is_opened_for_nobody_we_know(desk: Desk) -> None:
    save_route(desk, schedule="primary", channels=["ops"])
    for assignee in ("Bob (vendor)", "eva"):
        desk.database.write(
            lambda tx, assignee=assignee: tickets.open_by_hand(  # type: ignore[misc]
                tx, title="x", description="", priority=Priority.P1, service="pay", assignee=assignee
            ),
            actor=ANA,
        )
    assert [paged(desk, number) for number in (1, 2)] == [["ana"], ["eva"]]
    [told] = desk.events(kind="RoutingFailed")
    assert (told.subject, told.data["part"]) == ("ticket:1", "the assignee")


def test_a_notice_of_a_disabled_channel_follows_also_when_what_is_claimed_next_is_broken(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    receiver, answered = Receiver(answer(410)), threading.Event()
    desk = open_desk(settings.model_copy(update={"allow_private": "127.0.0.1"}))
    desk.save_channel("hook", url=receiver.url, is_default=False)
    desk.save_channel("broken", url=receiver.url, is_default=False)
    desk.plan(Wanted("page", Kind.PAGE, None, None, channel="hook"))
    desk.courier.on_answer = answered.set
    desk.courier.turn()
    assert answered.wait(20)
    [poison] = desk.plan(Wanted("poison", Kind.PAGE, None, None, channel="broken"))
    statement = update(deliveries).where(deliveries.c.id == poison).values(kind="no kind at all")
    desk.database.write(lambda tx: tx.execute(statement), actor=SYSTEM)
    desk.courier.turn()
    receiver.close()
    assert not desk.watched().row.definition.enabled
    assert [one.kind for one in desk.deliveries("console")] == [Kind.NOTICE]


def claim(desk: Desk, channel: str, *, methods: MethodBook = no_methods) -> list[Job]:
    claiming = Claiming(desk.database.dialect, CHANNELS, methods)
    return [*desk.database.write(lambda tx: claiming.claim(tx, channel, 10), actor=SYSTEM).jobs]


def hear_back(desk: Desk, job: Job, failure: DeliveryFailed | None) -> None:
    heard = Answer(job, 5, failure=failure)
    desk.database.write(lambda tx: record(tx, [heard], patience=1.0, chances=[0.5]), actor=SYSTEM)


@pytest.mark.parametrize("ends", ["failed", "interrupted", "lost"])
def test_a_call_on_its_way_when_the_ticket_is_acknowledged_is_not_tried_again(desk: Desk, ends: str) -> None:
    save_policy(desk, "pay", ("channel:hook", 300))
    save_route(desk, escalation_policy="pay", channels=["ops"])
    desk.save_channel("hook", url="https://hook.example/x", is_default=False)
    desk.post(critical())
    [job] = claim(desk, "hook")
    assert asked_for(desk, Kind.PAGE)[0].unless_acknowledged
    change(desk, status=Status.IN_PROGRESS)
    if ends != "lost":
        hear_back(desk, job, DeliveryFailed("503") if ends == "failed" else None)
    desk.clock.advance(minutes=2)
    assert claim(desk, "hook") == []
    [page] = asked_for(desk, Kind.PAGE)
    assert (page.state, page.lease, page.ended_at is None) == (State.CANCELLED, None, False)
    assert [one.outcome for one in desk.attempts(page.id)] == [ends]


def test_a_code_is_kept_nowhere_once_it_was_sent(settings: Settings, open_desk: Callable[..., Desk]) -> None:
    receiver = Receiver()
    desk = open_desk(settings.model_copy(update={"allow_private": "127.0.0.1"}))
    hire(desk, "ana")
    desk.save_channel("hook", url="https://hook.example/x", is_default=False)

    def ask(tx: Tx) -> str | None:
        method = people_service.add_method(tx, "ana", MethodKind.WEBHOOK, receiver.url)
        people_service.ask_code(tx, "ana", method.id)
        return people_store.code_to_send(tx, method.id)

    code = desk.database.write(ask, actor=ANA) or "none"
    desk.deliver()
    receiver.close()
    [heard] = receiver.heard
    assert code in heard.body.decode()
    [kept] = asked_for(desk, Kind.CODE)
    assert (kept.state, code in str(kept)) == (State.DELIVERED, False)
    assert desk.database.read(lambda tx: people_store.code_to_send(tx, kept.method_id or 0)) is None


def test_a_method_that_wants_no_more_is_disabled_and_its_channel_goes_on(
    settings: Settings, open_desk: Callable[..., Desk]
) -> None:
    receiver = Receiver(answer(410))
    desk = open_desk(settings.model_copy(update={"allow_private": "127.0.0.1"}))
    hire(desk, "ana")
    desk.save_channel("hook", url="https://hook.example/x", is_default=False)
    method = desk.database.write(
        lambda tx: people_service.add_method(tx, "ana", MethodKind.WEBHOOK, receiver.url), actor=ANA
    )
    desk.plan(Wanted("page", Kind.PAGE, None, None, method_id=method.id, person="ana"))
    desk.deliver()
    receiver.close()
    found = desk.database.read(lambda tx: people_service.method(tx, "ana", method.id))
    assert (found.disabled_reason, desk.kinds("user:ana")[-1]) == ("410 ok", "ContactMethodDisabled")
    assert desk.watched().row.definition.enabled
