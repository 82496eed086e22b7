"""Messages on their way out: to real receivers that take them, refuse them, hang, flood or are dead."""

import base64
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from standardwebhooks import Webhook as Verifier

import receivers
from desk import Desk, critical, in_threads
from receivers import Receiver, answer
from tocsin.notify.delivery_store import Outcome, State
from tocsin.notify.message import Kind, Message
from tocsin.notify.rendering import TicketFacts, WantedFacts
from tocsin.notify.wanted import Wanted
from tocsin.notify.ways import Method
from tocsin.settings import Settings

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"o" * 32).decode()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def desk(settings: Settings, open_desk: Callable[..., Desk]) -> Desk:
    """A desk that may send to this machine, and has no other default channel than the test's."""
    found = open_desk(settings.model_copy(update={"allow_private": "127.0.0.1"}))
    found.save_channel("console", "console", is_default=False)
    return found


@pytest.fixture
def one_desk(sqlite_settings: Settings, open_desk: Callable[..., Desk]) -> Desk:
    """The same where the database makes no difference."""
    return open_desk(sqlite_settings.model_copy(update={"allow_private": "127.0.0.1"}))


def page(n: int = 1, channel: str = "hook", **fields: object) -> Wanted:
    return Wanted(f"page-{n}", Kind.PAGE, None, None, channel=channel, **fields)  # type: ignore[arg-type]


def test_a_ticket_is_told_to_a_webhook_signed_with_both_secrets_and_with_the_facts(
    desk: Desk, receiver: Receiver
) -> None:
    desk.save_channel(url=receiver.url, secret=SECRET, old_secret=OLD_SECRET, headers={"x-team": "ops"})
    desk.post(critical())
    desk.deliver()

    [heard] = receiver.heard
    [delivery] = desk.deliveries()
    for secret in (SECRET, OLD_SECRET):
        Verifier(secret).verify(heard.body, heard.headers)
    assert heard.line == "POST /hook HTTP/1.1"
    assert heard.headers["x-team"] == "ops"
    assert heard.id == delivery.message_id
    assert heard.data["type"] == "ticket.opened"
    assert heard.data["data"]["ticket"]["id"] == desk.ticket.id
    assert heard.data["data"]["ticket"]["priority"] == "P2"
    assert delivery.state is State.DELIVERED
    [attempt] = desk.attempts(delivery.id)
    assert (attempt.outcome, attempt.answer) == (Outcome.DELIVERED, "200")


def test_what_is_not_taken_is_tried_again_with_the_same_id_and_backoff_until_it_is(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.way = receivers.in_turn(answer(500, b"oops"), receivers.hang_up, receivers.garble, answer(204, b""))
    desk.save_channel(url=receiver.url)
    desk.plan(page())
    for _ in range(4):
        desk.deliver()
        desk.deliver()  # nothing is due before its time
        desk.clock.advance(seconds=60)

    assert len(receiver.ids) == 4
    assert len(set(receiver.ids)) == 1
    [delivery] = desk.deliveries()
    assert (delivery.state, delivery.attempts) == (State.DELIVERED, 4)
    said = [attempt.answer for attempt in desk.attempts(delivery.id)]
    assert said[0] == "500 oops"
    assert "connection" in said[1].lower() or "disconnected" in said[1]
    assert said[2].startswith("what came is no HTTP answer")
    assert said[3] == "204"


@pytest.mark.parametrize("status", [301, 400, 401, 404])
def test_an_answer_that_will_not_change_gives_up_at_once_and_redirects_are_not_followed(
    one_desk: Desk, receiver: Receiver, status: int
) -> None:
    desk = one_desk
    elsewhere = Receiver()
    receiver.way = answer(status, Location=elsewhere.url)
    desk.save_channel(url=receiver.url)
    desk.plan(page())
    desk.deliver()
    elsewhere.close()

    [delivery] = desk.deliveries()
    assert (delivery.state, delivery.attempts) == (State.DEAD, 1)
    assert str(delivery.answer).startswith(str(status))
    assert elsewhere.heard == []


def test_retry_after_holds_the_whole_channel_back(desk: Desk, receiver: Receiver) -> None:
    receiver.way = receivers.in_turn(answer(429, Retry_After="90"), answer())
    desk.save_channel(url=receiver.url, concurrency=1)
    desk.plan(page(1), page(2))
    desk.deliver()
    desk.clock.advance(seconds=80)
    desk.deliver()
    assert len(receiver.heard) == 1

    desk.clock.advance(seconds=11)
    desk.deliver()
    desk.clock.advance(seconds=1)
    desk.deliver()
    assert [one.state for one in desk.deliveries()] == [State.DELIVERED] * 2


def test_410_disables_the_channel_with_a_notice_to_the_others_and_its_messages_can_be_replayed(
    desk: Desk, receiver: Receiver
) -> None:
    other = Receiver()
    receiver.way = receivers.in_turn(answer(410), answer())
    desk.save_channel(url=receiver.url)
    desk.save_channel("other", url=other.url)
    desk.post(critical())
    desk.deliver()
    desk.clock.advance(seconds=1)
    desk.deliver()
    other.close()

    row = desk.watched().row
    assert (row.definition.enabled, row.disabled_reason) == (False, "410 ok")
    assert [one.data["type"] for one in other.heard] == ["ticket.opened", "tocsin.notice"]
    assert "hook was disabled" in other.heard[1].data["data"]["title"]
    assert desk.kinds("channel:hook") == ["ChannelSaved", "ChannelDisabled"]

    desk.plan(page())
    desk.deliver()
    [first, second] = desk.deliveries("hook")
    assert (first.state, second.state) == (State.DEAD, State.DEAD)
    assert second.attempts == 0

    desk.save_channel(url=receiver.url)
    assert desk.replay_dead() == (2, False)
    desk.deliver()
    assert [one.state for one in desk.deliveries("hook")] == [State.DELIVERED] * 2
    assert receiver.ids[1:] == [second.message_id, first.message_id]  # the page first


def test_a_receiver_that_floods_or_drips_is_cut_off(one_desk: Desk, receiver: Receiver) -> None:
    desk, dripping = one_desk, Receiver(receivers.drip)
    receiver.way = receivers.flood
    desk.save_channel(url=receiver.url, is_default=False)
    desk.save_channel("dripping", url=dripping.url, timeout_s=1.0, is_default=False)
    desk.plan(page(1), page(2, "dripping"))
    desk.deliver()
    dripping.close()

    flooded, dripped = desk.deliveries()
    assert flooded.state is State.DELIVERED
    assert receiver.sent < 50_000_000
    assert (dripped.state, dripped.answer) == (State.WAITING, "no answer within 1 s")


def test_a_dead_and_a_hanging_receiver_delay_nobody_else_and_their_breakers_open(
    desk: Desk, receiver: Receiver
) -> None:
    hanging = Receiver(receivers.hang)
    desk.save_channel("hook", url=receiver.url, is_default=False)
    desk.save_channel("dead", url=f"http://127.0.0.1:{receivers.dead_port()}/", is_default=False)
    desk.save_channel("hanging", url=hanging.url, timeout_s=1.0, concurrency=100, is_default=False)
    desk.plan(*[page(n, channel) for n, channel in enumerate(["dead", "hanging", "hook"] * 20)])
    desk.deliver()
    hanging.close()

    assert {one.state for one in desk.deliveries("hook")} == {State.DELIVERED}
    for name in ("dead", "hanging"):
        assert {one.state for one in desk.deliveries(name)} == {State.WAITING}
        state = desk.watched(name).state
        assert state.breaker.opened_at == desk.clock.now()
        assert state.error


def test_an_open_breaker_waits_without_using_up_tries_then_one_message_shows_how_it_is(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.way = answer(503)
    desk.save_channel(url=receiver.url, concurrency=1)
    desk.plan(*[page(n) for n in range(25)])
    desk.deliver()
    assert len(receiver.heard) == 10  # so many failures in a row

    desk.clock.advance(seconds=20)
    desk.deliver()
    assert len(receiver.heard) == 11  # the probe
    untouched = [one for one in desk.deliveries() if one.attempts == 0]
    assert len(untouched) >= 14

    receiver.way = answer()
    for _ in range(60):
        desk.clock.advance(seconds=20)
        desk.deliver()
    assert {one.state for one in desk.deliveries()} == {State.DELIVERED}
    assert desk.watched().state.breaker.opened_at is None


def test_what_has_another_way_takes_it_when_the_breaker_stays_open(desk: Desk, receiver: Receiver) -> None:
    dead = f"http://127.0.0.1:{receivers.dead_port()}/"
    desk.save_channel("spare", url=receiver.url, is_default=False)
    desk.save_channel(url=dead, fallback="spare")
    desk.plan(*[page(n) for n in range(12)])
    for _ in range(5):
        desk.deliver()
        desk.clock.advance(seconds=20)

    found = desk.deliveries("spare")
    assert len(found) == 12
    assert {one.state for one in found} == {State.DELIVERED}
    assert {one.ways for one in found} == {("channel:hook",)}
    assert {request.id for request in receiver.heard} == {one.message_id for one in found}


def test_nothing_is_sent_that_is_too_old(desk: Desk, receiver: Receiver) -> None:
    receiver.way = answer(500)
    desk.save_channel(url=receiver.url)
    desk.plan(page())
    desk.deliver()
    desk.clock.advance(days=1)
    receiver.way = answer()
    desk.deliver()

    [delivery] = desk.deliveries()
    assert (delivery.state, delivery.answer) == (State.DEAD, "it is too old")
    assert len(receiver.heard) == 1


def test_a_poison_message_stops_nobody_else_and_is_set_back(
    settings: Settings, open_desk: Callable[..., Desk], receiver: Receiver
) -> None:
    def broken(ticket: TicketFacts | None, wanted: WantedFacts) -> Message:
        if wanted.message_id == poisoned:
            raise RecursionError("a template went astray")
        return Message(wanted.message_id, wanted.kind, "a page", "", "", thread="tocsin", first_of_thread=True)

    poisoned = ""
    desk = open_desk(settings.model_copy(update={"allow_private": "127.0.0.1"}), render=broken)
    desk.save_channel(url=receiver.url)
    desk.plan(*[page(n) for n in range(8)])
    poisoned = desk.deliveries()[0].message_id
    desk.deliver()

    first, *others = desk.deliveries()
    assert (first.state, first.tried) == (State.WAITING, 1)
    assert "went astray" in str(first.answer)
    assert first.due_at > desk.clock.now()
    assert {one.state for one in others} == {State.DELIVERED}
    assert desk.watched().state.breaker.failures == 0


def test_pages_pass_news_and_a_limit_per_minute_is_kept(desk: Desk, receiver: Receiver) -> None:
    desk.save_channel(url=receiver.url, per_minute=60)
    news = [Wanted(f"news-{n}", Kind.RESOLVED, None, None, channel="hook") for n in range(30)]
    desk.plan(*news, page())
    desk.deliver()
    assert len(receiver.heard) == 6  # a tenth of a minute's at once
    assert receiver.heard[0].data["type"] == "tocsin.page" or "tocsin.page" in {
        request.data["type"] for request in receiver.heard
    }

    for _ in range(10):
        desk.clock.advance(seconds=1)
        desk.deliver()
    assert len(receiver.heard) == 16


def test_a_channel_with_much_to_send_does_not_keep_the_others_waiting(
    sqlite_settings: Settings, open_desk: Callable[..., Desk], receiver: Receiver
) -> None:
    desk = open_desk(sqlite_settings.model_copy(update={"allow_private": "127.0.0.1"}), most=1)
    for name in ("busy", "quiet"):
        desk.save_channel(name, url=receiver.url, is_default=False)
    desk.plan(*[page(n, "busy") for n in range(4)], page(9, "quiet"))
    desk.deliver()
    [quiet] = [one.message_id for one in desk.deliveries() if one.channel == "quiet"]
    assert len(receiver.heard) == 5
    assert receiver.ids.index(quiet) < 3


def test_updates_of_a_ticket_become_one_message_that_says_how_many(desk: Desk, receiver: Receiver) -> None:
    desk.save_channel(url=receiver.url, bundle_s=30)
    desk.post(critical())
    desk.deliver()
    for _ in range(5):
        desk.comment(1, "looking at it")
        desk.clock.advance(seconds=5)
        desk.deliver()
    assert len(receiver.heard) == 1
    desk.clock.advance(seconds=6)
    desk.deliver()

    assert [request.data["data"]["updates"] for request in receiver.heard] == [1, 5]
    assert [one.state for one in desk.deliveries()][1:] == [State.BUNDLED] * 4 + [State.DELIVERED]
    desk.comment(1, "found it")
    desk.resolve(1)
    desk.deliver()
    # What can't wait takes along what does; one message of a ticket at a time.
    assert [request.data["type"].partition(".")[2] for request in receiver.heard[2:]] == ["acknowledged", "resolved"]
    assert receiver.heard[2].data["data"]["updates"] == 2


def test_a_channel_can_leave_out_kinds_but_not_pages(desk: Desk, receiver: Receiver) -> None:
    desk.save_channel(url=receiver.url, kinds=("resolved",))
    desk.post(critical())
    desk.plan(page())
    desk.resolve(1)
    desk.deliver()

    assert sorted(request.data["type"] for request in receiver.heard) == ["ticket.resolved", "tocsin.page"]
    assert [one.kind for one in desk.deliveries() if one.state is State.LEFT_OUT] == [Kind.OPENED, Kind.ACKNOWLEDGED]


def test_what_is_wanted_unless_acknowledged_is_not_sent_after_that(desk: Desk, receiver: Receiver) -> None:
    desk.save_channel(url=receiver.url, is_default=False)
    desk.post(critical())
    later = desk.clock.now() + timedelta(minutes=5)
    for key in ("soon", "cancelled"):
        desk.plan(Wanted(key, Kind.PAGE, None, 1, channel="hook", due_at=later, unless_acknowledged=True))
    desk.move(1, "IN_PROGRESS")
    desk.clock.advance(minutes=6)
    desk.deliver()

    assert [one.state for one in desk.deliveries("hook")] == [State.CANCELLED] * 2
    assert receiver.heard == []


def test_asking_for_the_same_again_writes_nothing(desk: Desk, receiver: Receiver) -> None:
    desk.save_channel(url=receiver.url)
    assert [len(desk.plan(page(1), page(2))), len(desk.plan(page(2), page(3)))] == [2, 1]
    desk.deliver()
    assert len(receiver.heard) == 3


def test_a_person_is_reached_by_their_next_method_when_the_first_fails(
    settings: Settings, open_desk: Callable[..., Desk], receiver: Receiver
) -> None:
    methods = {1: Method("bad", "a"), 3: Method("hook", "ana")}
    found = {"allow_private": "127.0.0.1"}
    desk = open_desk(
        settings.model_copy(update=found), methods=lambda tx, ids: {n: methods[n] for n in ids if n in methods}
    )
    desk.save_channel(url=receiver.url)
    desk.save_channel("bad", url=f"http://127.0.0.1:{receivers.dead_port()}/")
    desk.plan(Wanted("p", Kind.PAGE, None, None, method_id=1, otherwise=(2, 3), person="ana"))
    for _ in range(4):
        desk.deliver()
        desk.clock.advance(seconds=15)

    [delivery] = desk.deliveries()
    assert (delivery.state, delivery.method_id) == (State.DELIVERED, 3)
    assert delivery.ways == ("method:1", "method:2")
    assert [one.channel for one in desk.attempts(delivery.id)] == ["bad", "bad", "bad", "hook"]


def test_a_lease_that_lapses_is_taken_up_with_the_same_id_and_the_lost_try_is_told(
    settings: Settings, open_desk: Callable[..., Desk], receiver: Receiver
) -> None:
    able = settings.model_copy(update={"allow_private": "127.0.0.1"})
    killed, other = open_desk(able), open_desk(able)
    killed.save_channel(url=receiver.url)
    killed.save_channel("console", "console", is_default=False)
    receiver.way = receivers.hang
    killed.plan(page())
    killed.courier.turn()
    receiver.wait_for(1)  # and it will never be heard of again

    receiver.way = answer()
    other.deliver()
    assert len(receiver.heard) == 1
    other.clock.advance(seconds=26)
    other.deliver()
    receiver.close()
    assert receiver.ids[0] == receiver.ids[1]
    [delivery] = other.deliveries()
    assert delivery.state is State.DELIVERED
    assert [one.outcome for one in other.attempts(delivery.id)] == [Outcome.LOST, Outcome.DELIVERED]


def test_a_server_that_stops_interrupts_what_hangs_and_the_next_one_sends_it_at_once(
    settings: Settings, open_desk: Callable[..., Desk], receiver: Receiver
) -> None:
    able = settings.model_copy(update={"allow_private": "127.0.0.1"})
    first = open_desk(able)
    first.save_channel(url=receiver.url)
    receiver.way = receivers.hang
    first.plan(page(), page(2))
    first.courier.turn()
    receiver.wait_for(2)
    first.courier.close(0.6)

    receiver.way = answer()
    second = open_desk(able)
    second.deliver()
    assert sorted(receiver.ids[:2]) == sorted(receiver.ids[2:])
    assert {one.state for one in second.deliveries()} == {State.DELIVERED}
    assert {one.tried for one in second.deliveries()} == {1}


def test_private_addresses_are_refused_unless_they_are_allowed(
    sqlite_settings: Settings, open_desk: Callable[..., Desk], receiver: Receiver
) -> None:
    desk = open_desk(sqlite_settings)
    desk.save_channel(url=receiver.url)
    desk.save_channel("metadata", url="http://169.254.169.254/latest/meta-data/")
    desk.plan(page(1), page(2, "metadata"))
    desk.deliver()

    assert receiver.heard == []
    first, second = desk.deliveries()
    assert (first.state, second.state) == (State.DEAD, State.DEAD)
    assert "127.0.0.1 is this machine (TOCSIN_ALLOW_PRIVATE" in str(first.answer)
    assert "169.254.169.254 is link-local" in str(second.answer)


def test_four_workers_share_the_work_and_nothing_is_sent_twice(
    postgres_settings: Settings, open_desk: Callable[..., Desk], receiver: Receiver
) -> None:
    able = postgres_settings.model_copy(update={"allow_private": "127.0.0.1"})
    workers = [open_desk(able) for _ in range(4)]
    workers[0].save_channel(url=receiver.url, concurrency=100)
    workers[0].save_channel("console", "console", is_default=False)
    workers[0].plan(*[page(n) for n in range(300)])

    def work(desk: Desk) -> None:
        while len(receiver.heard) < 300:
            desk.deliver()
            desk.clock.advance(seconds=0.01)

    outcomes = in_threads(*[lambda desk=desk: work(desk) for desk in workers])
    assert outcomes == [None] * 4
    assert len(receiver.ids) == 300
    assert len(set(receiver.ids)) == 300
    assert sum(desk.sent for desk in workers) == 300
    assert sum(desk.sent > 0 for desk in workers) > 1
    assert {one.attempts for one in workers[0].deliveries()} == {1}
