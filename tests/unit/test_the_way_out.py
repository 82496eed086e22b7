"""The way out: a name is looked up once and that address is connected to, with the name in the Host header and SNI."""

import asyncio
import gc
import ssl
from collections.abc import Sequence

import pytest

from receivers import Receiver, Way, answer, drip, hang, hang_up
from tocsin.notify.addresses import Allowed
from tocsin.notify.message import DeliveryFailed
from tocsin.notify.outside import Answered, GuardedOutside

LOOPBACK = Allowed.parse("127.0.0.0/8")


class Names:
    """A name server whose answers change: the first, the second, and so on; the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(self, host: str, _port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def get(outside: GuardedOutside, url: str, **parts: object) -> Answered:
    async def run() -> Answered:
        try:
            return await outside.request("POST", url, content=b"{}", **parts)  # type: ignore[arg-type]
        finally:
            await outside.close()

    return asyncio.run(run())


def test_a_name_that_rebinds_is_connected_to_where_it_was_checked() -> None:
    receiver = Receiver()
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    found = get(GuardedOutside(LOOPBACK, resolve=names.resolve), f"http://rebind.example:{receiver.port}/")
    receiver.close()
    assert found.status == 200
    assert names.asked == ["rebind.example"]  # nobody looks it up a second time
    assert receiver.heard[0].headers["host"] == f"rebind.example:{receiver.port}"


@pytest.mark.parametrize(
    "addresses", [["169.254.169.254"], ["93.184.216.34", "10.0.0.1"], ["::ffff:192.168.0.1"], ["fe80::1%2"]]
)
def test_a_name_with_any_private_address_is_refused_for_good(addresses: list[str]) -> None:
    with pytest.raises(DeliveryFailed, match=r"evil\.example is refused") as caught:
        get(GuardedOutside(Allowed(), resolve=Names(addresses).resolve), "https://evil.example/")
    assert caught.value.permanent


def test_the_second_address_is_taken_when_the_first_does_not_answer() -> None:
    receiver = Receiver()
    names = Names(["127.0.0.9", "127.0.0.1"])  # nobody listens at the first
    found = get(GuardedOutside(LOOPBACK, resolve=names.resolve), f"http://two.example:{receiver.port}/")
    receiver.close()
    assert found.body == b"ok"


def test_what_can_not_be_looked_up_is_tried_again_and_said_so() -> None:
    async def fails(_host: str, _port: int) -> Sequence[str]:
        raise OSError(-2, "Name or service not known")

    with pytest.raises(DeliveryFailed, match="could not be looked up: Name or service not known") as caught:
        get(GuardedOutside(Allowed(), resolve=fails), "https://gone.example/")
    assert not caught.value.permanent


def test_numbers_that_are_no_address_are_refused_for_good() -> None:
    with pytest.raises(DeliveryFailed, match="can't be used") as caught:
        get(GuardedOutside(Allowed()), "http://0251.0376.0251.0376/")
    assert caught.value.permanent


def test_an_answer_that_drips_ends_with_the_time_there_is() -> None:
    receiver = Receiver(drip)
    with pytest.raises(DeliveryFailed, match=r"no answer within 0\.3 s"):
        get(GuardedOutside(LOOPBACK), receiver.url, timeout_s=0.3)
    receiver.close()


@pytest.mark.parametrize("way", [answer(), hang, hang_up], ids=["plain", "silent", "gone"])
def test_what_does_not_speak_tls_is_no_receiver_and_its_connection_is_closed(way: Way) -> None:
    receiver = Receiver(way)
    outside = GuardedOutside(LOOPBACK, trusted=ssl.create_default_context())
    with pytest.raises(DeliveryFailed, match=r"connection failed|no answer"):
        get(outside, f"https://127.0.0.1:{receiver.port}/", timeout_s=0.5)
    gc.collect()  # a connection that was left open would warn now
    receiver.close()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://user:pass@example.org/", "gopher://x/"])
def test_only_plain_addresses_are_asked(url: str) -> None:
    with pytest.raises(DeliveryFailed, match="can't be used") as caught:
        get(GuardedOutside(Allowed()), url)
    assert caught.value.permanent
