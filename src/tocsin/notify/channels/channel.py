"""What a way to reach people has to say of itself: which settings it takes, which are secret, and how it sends."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tocsin.kit.errors import FieldError
from tocsin.notify.message import Message, Receipt

Config = Mapping[str, Any]


class Answer(Protocol):
    """What an HTTP request was answered: the body is cut off at some 64 KiB."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


class Outside(Protocol):
    """The way out, with its guards: private addresses are refused unless allowed, redirects are not followed, answers
    are bounded in size and time."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout_s: float = 15.0,
    ) -> Answer:
        """Raises DeliveryFailed for what is no answer at all: refused addresses, DNS, TLS, time out."""
        ...

    async def address(self, host: str, port: int) -> str:
        """The address to connect to, looked up and checked once, for what does not speak HTTP (SMTP).

        Raises DeliveryFailed.
        """
        ...


class Channel(Protocol):
    """One way to reach people. The instances are in `channels.table.CHANNELS`, by name."""

    name: str
    settings: tuple[str, ...]  # all that it takes
    secrets: frozenset[str]  # settings that are never shown, and never stand in an error
    where: frozenset[str]  # settings that say where a secret is sent: it is kept for that place only
    personal: bool  # whether it reaches one person at an address of theirs: email, sms, voice

    def check(self, config: Config) -> Sequence[FieldError]:
        """What is wrong with these settings; pointers such as `/url`."""
        ...

    async def send(self, config: Config, message: Message, outside: Outside) -> Receipt:
        """Send once. `config` of a person's contact method holds `to` as well. Raises DeliveryFailed."""
        ...
