"""Microsoft Teams: a workflow that takes a webhook and posts an Adaptive Card.

learn.microsoft.com: "When a Teams webhook request is received" (Workflows takes Adaptive Cards only), adaptive cards in
Teams (version 1.5, 28 KB in all, at most 6 actions), rate limits (429, with Retry-After).
What came from a log stands in rich text blocks: unlike text blocks and fact sets they know no Markdown, so it can make
no link.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tocsin.kit.errors import FieldError
from tocsin.notify.channels import checks
from tocsin.notify.channels.asking import ask, taken
from tocsin.notify.channels.channel import Config, Outside
from tocsin.notify.channels.cutting import cut, one_line, without_controls
from tocsin.notify.message import DeliveryFailed, Message, Receipt

MAX_BYTES: Final = 25_000  # of 28 KB, which Teams counts with what it adds
_ACTIONS: Final = 6
_LINES: Final = 60
_COLOURS: Final = {"P1": "attention", "P2": "attention", "P3": "warning"}


class Teams:
    """Settings: `url`, where the workflow takes its webhook."""

    name = "teams"
    settings: tuple[str, ...] = ("url",)
    secrets = frozenset({"url"})
    where = frozenset({"url"})
    personal = False

    def check(self, config: Config) -> Sequence[FieldError]:
        return checks.wrong_with(config, {"url": checks.url}, {"url"})

    async def send(self, config: Config, message: Message, outside: Outside) -> Receipt:
        hidden = [config["url"]]
        answer = taken(await ask(outside, "POST", config["url"], hidden=hidden, json=card(message)), hidden=hidden)
        said = one_line(answer.body.decode("utf-8", "replace"))
        if "returned HTTP error 429" in said:  # the older connectors tell of it within a 200
            raise DeliveryFailed("Teams is asked too often: 429")
        return Receipt(f"{answer.status} {said}".rstrip())


def card(message: Message) -> dict[str, Any]:
    """The message that holds the card, cut until Teams takes it."""
    chars = 12_000
    made = _wrapped(message, chars)
    while len(msgspec.json.encode(made)) > MAX_BYTES and chars > 100:
        chars //= 2
        made = _wrapped(message, chars)
    return made


def _wrapped(message: Message, chars: int) -> dict[str, Any]:
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.5",
        "msteams": {"width": "Full"},
        "body": _blocks(message, chars),
        "actions": [
            {"type": "Action.OpenUrl", "title": cut(one.label, 60), "url": one.url}
            for one in message.actions[:_ACTIONS]
        ],
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "contentUrl": None, "content": content}]}


def _blocks(message: Message, chars: int) -> list[dict[str, Any]]:
    colour = "good" if message.status in {"RESOLVED", "CLOSED"} else _COLOURS.get(message.priority or "", "default")
    title = _run(one_line(message.title), weight="bolder", size="large", color=colour)
    lines = cut(without_controls(message.text), chars).splitlines()
    blocks = [_rich([title])] + [_rich([_run(line)]) for line in lines[:_LINES] if line.strip()]
    for name, value in message.facts[:12]:
        blocks.append(_rich([_run(f"{one_line(name, 60)}: ", weight="bolder"), _run(one_line(value, 300))]))
    if message.bundled > 1:
        blocks.append(_rich([_run(f"{message.bundled} updates in one message", isSubtle=True)]))
    return blocks


def _rich(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": runs}


def _run(text: str, **looks: Any) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **looks}
