"""Discord: a webhook whose message is kept up to date.

discord.com/developers/docs: resources/webhook (Execute Webhook with `wait`, Edit Webhook Message), embed limits (title
256, description 4,096, 25 fields of 256 and 1,024, 6,000 in all), `allowed_mentions`, rate limits (429, `retry_after`).
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from tocsin.kit.errors import FieldError
from tocsin.notify.channels import checks
from tocsin.notify.channels.asking import ask, fields_of, taken, without_secrets
from tocsin.notify.channels.channel import Answer, Config, Outside
from tocsin.notify.channels.cutting import cut, fitting, one_line, without_controls
from tocsin.notify.message import DeliveryFailed, Kind, Message, Receipt

_TITLE, _TEXT, _NAME, _VALUE = 256, 3000, 60, 250
_STATES: Final = frozenset({Kind.ACKNOWLEDGED, Kind.RESOLVED, Kind.CLOSED})
_COLOURS: Final = {"P1": 0xC0392B, "P2": 0xE67E22, "P3": 0xF1C40F}
_GREEN: Final = 0x27AE60
_MARKS: Final = re.compile(r"([\\*_~`|>\[\]()#-])")


class Discord:
    """Settings: `url` of the webhook."""

    name = "discord"
    settings: tuple[str, ...] = ("url",)
    secrets = frozenset({"url"})
    where = frozenset({"url"})
    personal = False

    def check(self, config: Config) -> Sequence[FieldError]:
        return checks.wrong_with(config, {"url": checks.url}, {"url"})

    async def send(self, config: Config, message: Message, outside: Outside) -> Receipt:
        url, hidden, wanted = str(config["url"]).split("?")[0], [str(config["url"])], embedded(message)
        hidden.append(hidden[0].split("?")[0].rstrip("/").rpartition("/")[2])
        first = message.earlier if message.earlier and message.earlier.isdecimal() else None
        if first and message.kind in _STATES:
            changed = await ask(outside, "PATCH", f"{url}/messages/{first}", hidden=hidden, json=wanted)
            if changed.status != 404:  # somebody deleted it
                _taken(changed, hidden)
                return Receipt("updated", first)
        answer = _taken(await ask(outside, "POST", f"{url}?wait=true", hidden=hidden, json=wanted), hidden)
        found = fields_of(answer).get("id")
        return Receipt("posted", first or (found if isinstance(found, str) else None))


def _taken(answer: Answer, hidden: Sequence[str]) -> Answer:
    wait = fields_of(answer).get("retry_after") if answer.status == 429 else None
    if isinstance(wait, int | float):
        raise without_secrets(DeliveryFailed("429 Discord is asked too often", retry_after_s=float(wait)), hidden)
    return taken(answer, hidden=hidden)


def embedded(message: Message) -> dict[str, Any]:
    """The message as an embed that mentions nobody."""
    links = " · ".join(f"[{escaped(one.label)}]({one.url})" for one in message.actions)
    text = fitting(message.text, _TEXT, escaped)
    embed: dict[str, Any] = {
        "title": one_line(message.title, _TITLE),
        "description": f"{text}\n\n{links}" if links and len(links) < 1000 else text,
        "color": _GREEN if message.status in {"RESOLVED", "CLOSED"} else _COLOURS.get(message.priority or "", 0x95A5A6),
        "fields": [
            {
                "name": cut(name, _NAME),
                "value": fitting(one_line(value, _VALUE), _VALUE, escaped) or "-",
                "inline": True,
            }
            for name, value in message.facts[:8]
        ],
    }
    if message.url:
        embed["url"] = message.url
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def escaped(text: str) -> str:
    """Markdown as the letters it is made of."""
    return _MARKS.sub(r"\\\1", without_controls(text))
