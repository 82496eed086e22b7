"""Everything else, through the `apprise` library (the extra `tocsin[apprise]`): many services, each by its URL.

github.com/caronc/apprise, "Universal Syntax". Its own client connects: what can be checked is where a URL says that it
leads, at the moment of sending. A name that changes meanwhile can't be.
"""

import asyncio
import importlib
import logging
import threading
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import unquote

from tocsin.kit.errors import FieldError
from tocsin.notify.channels import apprise_urls, checks
from tocsin.notify.channels.asking import without_secrets
from tocsin.notify.channels.channel import Config, Outside
from tocsin.notify.channels.cutting import one_line, with_links, without_controls
from tocsin.notify.message import DeliveryFailed, Kind, Message, Receipt
from tocsin.notify.threads import Threads

WITHIN_S: Final = 30.0
_THREADS: Final = 16
_TYPES: Final = {
    Kind.PAGE: "failure",
    Kind.OPENED: "failure",
    Kind.REOPENED: "failure",
    Kind.SLA: "warning",
    Kind.RESOLVED: "success",
    Kind.CLOSED: "success",
}


class Apprise:
    """Settings: `url`, as apprise writes it: `gotifys://push.example.org/token`, `pover://user@token`."""

    name = "apprise"
    settings: tuple[str, ...] = ("url",)
    secrets = frozenset({"url"})
    where = frozenset({"url"})
    personal = False

    def __init__(self) -> None:
        self._threads = Threads("apprise", most=_THREADS)

    def check(self, config: Config) -> Sequence[FieldError]:
        found = checks.wrong_with(config, {"url": checks.text}, {"url"})
        if not found:
            try:
                _plugin(str(config["url"]))
            except DeliveryFailed as failed:
                found.append(FieldError("/url", failed.detail))
        return found

    async def send(self, config: Config, message: Message, outside: Outside) -> Receipt:
        url = str(config["url"])
        try:
            plugin = await self._threads.start(lambda: _plugin(url))  # the first time, it loads all it knows
            for host, port in _places(plugin):
                await outside.address(host, port)
            said = await asyncio.wait_for(self._threads.start(lambda: _notify(plugin, message)), WITHIN_S)
        except TimeoutError:
            raise DeliveryFailed(f"The service did not answer within {WITHIN_S:.0f} s") from None
        except DeliveryFailed as failed:
            raise without_secrets(failed, _secrets_of(url)) from None
        return Receipt(said)


def _library() -> Any:
    try:
        return importlib.import_module("apprise")  # an extra, and 0.4 s that a start without it should not pay
    except ImportError:
        text = "apprise is not installed: install tocsin with the extra `apprise` (pip install 'tocsin[apprise]')"
        raise DeliveryFailed(text, permanent=True) from None


def _plugin(url: str) -> Any:
    """What sends to this URL, and follows no redirects. Raises DeliveryFailed for a URL that is none, or not taken."""
    wrong = apprise_urls.fault(url)
    if wrong is not None:
        raise DeliveryFailed(wrong, permanent=True)
    library = _library()
    plugin = library.Apprise.instantiate(url, suppress_exceptions=True)
    if plugin is None:
        raise DeliveryFailed("is no URL that apprise knows; see its list of services", permanent=True)
    if not set(_schemes(plugin)) & apprise_urls.TAKEN:
        raise DeliveryFailed("is not taken: only services that are asked over HTTP", permanent=True)
    plugin.redirects = False
    return plugin


def _schemes(plugin: Any) -> list[str]:
    named = [getattr(plugin, "protocol", None), getattr(plugin, "secure_protocol", None)]
    return [one for names in named if names for one in ((names,) if isinstance(names, str) else names)]


def _places(plugin: Any) -> list[tuple[str, int]]:
    """The hosts that a URL leads to, where it says so; a service's own host is fixed in the library."""
    if not set(_schemes(plugin)) & apprise_urls.HOSTED:
        return []
    host = plugin.host
    if checks.host(host) is not None:
        raise DeliveryFailed("names no host that can be checked", permanent=True)
    port = plugin.port if isinstance(getattr(plugin, "port", None), int) else (443 if plugin.secure else 80)
    return [(str(host).strip("[]"), port)]


def _notify(plugin: Any, message: Message) -> str:
    """In a thread of its own: the library waits."""
    library = _library()
    sender = library.Apprise()
    sender.add(plugin)
    said = _Said(threading.get_ident())
    logger = logging.getLogger("apprise")
    logger.addHandler(said)
    text = with_links(without_controls(message.text), [(one.label, one.url) for one in message.actions])
    try:
        done = sender.notify(
            title=one_line(message.title),
            body=text.strip() or one_line(message.title),
            notify_type=_TYPES.get(message.kind, "info"),
            body_format="text",
        )
    finally:
        logger.removeHandler(said)
    if not done:
        raise DeliveryFailed(one_line(f"apprise: {'; '.join(said.lines) or 'the service did not take it'}", 300))
    return "taken"


class _Said(logging.Handler):
    """What the library tells its log in one thread: it returns no reason."""

    def __init__(self, thread: int) -> None:
        super().__init__(logging.WARNING)
        self._thread = thread
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and len(self.lines) < 5:
            self.lines.append(record.getMessage())


def _secrets_of(url: str) -> list[str]:
    """Everything of a URL that may be a secret: all but the name of its host, and that too where it may be a token."""
    rest, _, arguments = url.partition("://")[2].partition("?")
    pieces = rest.replace("@", "/").replace(":", "/").split("/")
    pieces += [one.partition("=")[2] for one in arguments.split("&")]
    return [url, *pieces, *map(unquote, pieces)]
