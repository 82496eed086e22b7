"""Everything else, through the `apprise` library (the extra `tocsin[apprise]`): some 170 services, each by its URL.

github.com/caronc/apprise, "Universal Syntax". Its own client connects: what can be checked is where a URL says that it
leads, at the moment of sending. A name that changes meanwhile, and where a service sends its client on to, can't be.
"""

import asyncio
import importlib
import logging
import threading
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from tocsin.kit.errors import FieldError
from tocsin.notify.channels import checks
from tocsin.notify.channels.asking import without_secrets
from tocsin.notify.channels.channel import Config, Outside
from tocsin.notify.channels.cutting import one_line, with_links, without_controls
from tocsin.notify.message import DeliveryFailed, Kind, Message, Receipt

WITHIN_S: Final = 30.0
# What acts on this machine instead of sending: a program, a session bus, a file, a device.
LOCAL: Final = frozenset(
    {"dbus", "exec", "file", "glib", "gnome", "kde", "macosx", "memory", "qt", "script", "syslog", "tel", "windows"}
)
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
    secrets = frozenset({"url"})
    where = frozenset({"url"})
    personal = False

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
            plugin = await asyncio.to_thread(_plugin, url)  # the first time, it loads all it knows
            for host, port in _places(plugin):
                await outside.address(host, port)
            said = await asyncio.wait_for(asyncio.to_thread(_notify, plugin, message), WITHIN_S)
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
    """What sends to this URL. Raises DeliveryFailed for a URL that is none, or that acts on this machine."""
    scheme = url.partition("://")[0].strip().lower()
    if scheme in LOCAL:
        raise DeliveryFailed(f"{scheme}:// acts on the machine that Tocsin runs on; it is not taken", permanent=True)
    library = _library()
    plugin = library.Apprise.instantiate(url, suppress_exceptions=True)
    if plugin is None:
        raise DeliveryFailed("is no URL that apprise knows; see its list of services", permanent=True)
    if LOCAL & set(_schemes(plugin)):
        raise DeliveryFailed("acts on the machine that Tocsin runs on; it is not taken", permanent=True)
    return plugin


def _schemes(plugin: Any) -> list[str]:
    named = [getattr(plugin, "protocol", None), getattr(plugin, "secure_protocol", None)]
    return [one for names in named if names for one in ((names,) if isinstance(names, str) else names)]


def _places(plugin: Any) -> list[tuple[str, int]]:
    """The hosts that a URL leads to, where it says so; a service's own host is fixed in the library."""
    named = any("{host}" in template for template in getattr(plugin, "templates", ()))
    hosts = [plugin.host] if named else []
    hosts += [getattr(plugin, name, None) for name in ("smtp_host", "endpoint")]
    port = plugin.port if isinstance(getattr(plugin, "port", None), int) else (443 if plugin.secure else 80)
    return [(_host_of(host), port) for host in hosts if isinstance(host, str) and host]


def _host_of(text: str) -> str:
    return urlsplit(text if "://" in text else f"//{text}").hostname or text


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
    rest = url.partition("://")[2].partition("?")[0]
    pieces = rest.replace("@", "/").replace(":", "/").split("/")
    return [url, *pieces, *map(unquote, pieces)]
