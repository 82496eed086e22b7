"""Messages as signed JSON by Standard Webhooks 1.0.0, to whoever takes them."""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from standardwebhooks import Webhook as Signer

from tocsin import __version__
from tocsin.kit.clock import Clock, SystemClock
from tocsin.kit.errors import FieldError
from tocsin.notify.addresses import url_fault
from tocsin.notify.channels.asking import without_secrets
from tocsin.notify.channels.channel import Config, Outside
from tocsin.notify.message import DeliveryFailed, Message, Receipt
from tocsin.notify.refusals import refusal

LONGEST_S: Final = 60.0  # the channel's own `timeout_s` is shorter
_SECRET_BYTES: Final = range(24, 65)
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")  # RFC 9110 5.6.2
_VALUE: Final = re.compile(r"[\x20-\x7e]{0,2000}")
_OURS: Final = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "user-agent", "expect", "upgrade"}
)
_MOST_HEADERS: Final = 20
_SETTINGS: Final = frozenset({"url", "secret", "old_secret", "headers"})


class Webhook:
    """`url`; `secret` (`whsec_` and 24 to 64 bytes in base64) signs, and for as long as receivers still know the one
    before, `old_secret` signs as well; `headers` are sent along."""

    name = "webhook"
    settings = tuple(sorted(_SETTINGS))
    secrets = frozenset({"secret", "old_secret", "headers"})
    where = frozenset({"url"})
    personal = False

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    def check(self, config: Config) -> Sequence[FieldError]:
        found = [
            FieldError(f"/{name}", f"is not a setting of a webhook; expected {', '.join(sorted(_SETTINGS))}")
            for name in config
            if name not in _SETTINGS
        ]
        fault = url_fault(config.get("url"))
        if fault is not None:
            found.append(FieldError("/url", fault))
        found += [
            FieldError(f"/{name}", "expected whsec_ and 24 to 64 bytes in base64")
            for name in ("secret", "old_secret")
            if config.get(name) is not None and not _is_secret(config[name])
        ]
        if config.get("old_secret") is not None and config.get("secret") is None:
            found.append(FieldError("/old_secret", "needs a secret that comes after it"))
        return [*found, *_header_faults(config.get("headers"))]

    async def send(self, config: Config, message: Message, outside: Outside) -> Receipt:
        """Raises DeliveryFailed for anything but 2xx."""
        body = msgspec.json.encode(message.payload if message.payload is not None else plain(message))
        now = self._clock.now()
        signed = {"webhook-id": message.id, "webhook-timestamp": str(int(now.timestamp()))}
        secrets = [config[name] for name in ("secret", "old_secret") if config.get(name)]
        if secrets:
            text = body.decode()
            signed["webhook-signature"] = " ".join(Signer(one).sign(message.id, now, text) for one in secrets)
        ours = {"content-type": "application/json", "user-agent": f"tocsin/{__version__}"}
        try:
            answer = await outside.request(
                "POST",
                config["url"],
                headers={**(config.get("headers") or {}), **ours, **signed},
                content=body,
                timeout_s=LONGEST_S,
            )
            if not 200 <= answer.status < 300:
                raise refusal(answer, now=now)
        except DeliveryFailed as failed:
            raise without_secrets(failed, _hidden(config)) from None
        return Receipt(str(answer.status))


def plain(message: Message) -> Mapping[str, object]:
    """The body for a message that no renderer made one for."""
    data = {"title": message.title, "text": message.text, "url": message.url, "updates": message.bundled}
    about = "tocsin" if message.ticket_id is None else "ticket"
    return {"type": f"{about}.{message.kind.value}", "timestamp": None, "data": data}


def _hidden(config: Config) -> list[str]:
    """What a receiver may echo and people must not read. Of `Bearer ...` the credential alone, too."""
    values = [str(value) for value in (config.get("headers") or {}).values()]
    parts = [part for value in values for part in value.split()]
    keys = [str(config[name]) for name in ("secret", "old_secret") if config.get(name)]
    return [*values, *parts, *keys, *(key.removeprefix("whsec_") for key in keys)]


def _is_secret(value: Any) -> bool:
    if not isinstance(value, str) or not value.startswith("whsec_"):
        return False
    text = value.removeprefix("whsec_")
    try:
        # Strictly: what one side leaves out and the other doesn't makes every signature wrong.
        return len(base64.b64decode(text + "=" * (-len(text) % 4), validate=True)) in _SECRET_BYTES
    except ValueError:
        return False


def _header_faults(headers: Any) -> Iterator[FieldError]:
    if headers is None:
        return
    if not isinstance(headers, Mapping) or len(headers) > _MOST_HEADERS:
        yield FieldError("/headers", f"expected an object of up to {_MOST_HEADERS} names and values")
        return
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or name.lower() in _OURS or name.lower().startswith("webhook-"):
            yield FieldError(f"/headers/{name[:100]}", "is not a header that can be set")
        elif not isinstance(value, str) or not _VALUE.fullmatch(value):
            yield FieldError(f"/headers/{name}", "expected up to 2000 printable characters of ASCII")
