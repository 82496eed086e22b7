"""Messages on their way out: to real receivers that take them, refuse them, hang, flood or are dead."""

import base64
from collections.abc import Callable, Iterator

import pytest
from standardwebhooks import Webhook as Verifier

from desk import Desk, critical
from receivers import Receiver
from tocsin.notify.delivery_store import Outcome, State
from tocsin.notify.message import Kind
from tocsin.notify.wanted import Wanted
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
        # The fake clock's time is not now: what is signed is checked, not how old it is.
        signed = Verifier(secret).sign(heard.id, desk.clock.now(), heard.body.decode())
        assert signed  # the library signs by the same rules
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
