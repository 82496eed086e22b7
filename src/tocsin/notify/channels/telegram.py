"""Telegram: a bot that sends, keeps its message up to date, and has buttons that lead to a page.

core.telegram.org/bots/api: sendMessage (1-4096 characters after entities parsing), editMessageText, HTML style (<, >
and & are escaped), InlineKeyboardButton.url, ResponseParameters (retry_after, migrate_to_chat_id).
"""

from collections.abc import Sequence
from typing import Any, Final

from tocsin.kit.errors import FieldError
from tocsin.notify.channels import checks
from tocsin.notify.channels.asking import ask, fields_of, taken, without_secrets
from tocsin.notify.channels.channel import Answer, Config, Outside
from tocsin.notify.channels.cutting import cut, one_line, utf16_size, without_controls
from tocsin.notify.message import DeliveryFailed, Kind, Message, Receipt

API: Final = "https://api.telegram.org"
MAX_CHARS: Final = 4096
_STATES: Final = frozenset({Kind.ACKNOWLEDGED, Kind.RESOLVED, Kind.CLOSED})
_QUIET: Final = frozenset({Kind.ACKNOWLEDGED, Kind.UPDATED, Kind.CLOSED})
_GONE: Final = (
    "bot was blocked",
    "bot was kicked",
    "user is deactivated",
    "chat was deleted",
    "group chat was deleted",
)
_CHAT: Final = checks.pattern(r"-?\d{1,16}|@[A-Za-z]\w{3,31}", "the id of a chat, or the @name of a channel")

_CHECKS: Final[dict[str, checks.Check]] = {
    "token": checks.pattern(r"\d{3,20}:[A-Za-z0-9_-]{10,}", "the bot's token: 123456:ABC-DEF..."),
    "chat_id": _CHAT,
    "to": _CHAT,
    "topic_id": checks.whole(1, 2**31 - 1),
    "api_url": checks.url,
}


class Telegram:
    """Settings: the bot's `token`, `chat_id` (or `to`, a person), `topic_id` of a forum's topic; `api_url` of an own
    Bot API server."""

    name = "telegram"
    settings = tuple(_CHECKS)
    secrets = frozenset({"token"})
    where = frozenset({"api_url"})
    personal = False

    def check(self, config: Config) -> Sequence[FieldError]:
        found = checks.wrong_with(config, _CHECKS, {"token"})
        if not (config.get("chat_id") or config.get("to")):
            found.append(FieldError("/chat_id", "is required"))
        return found

    async def send(self, config: Config, message: Message, outside: Outside) -> Receipt:
        first = message.earlier if message.earlier and message.earlier.isdecimal() else None
        if first and message.kind in _STATES:
            await _edit(config, message, outside, int(first))
        said = await _call(config, outside, "sendMessage", _new(config, message, first))
        number = said.get("result", {}).get("message_id") if isinstance(said.get("result"), dict) else None
        return Receipt("sent" if first is None else "sent as a reply", first or (str(number) if number else None))


def _chat(config: Config) -> str:
    return str(config.get("to") or config["chat_id"])


def _new(config: Config, message: Message, first: str | None) -> dict[str, Any]:
    wanted = {"chat_id": _chat(config), **_content(message), "disable_notification": message.kind in _QUIET}
    if config.get("topic_id"):
        wanted["message_thread_id"] = config["topic_id"]
    if first is not None:
        wanted["reply_parameters"] = {"message_id": int(first), "allow_sending_without_reply": True}
    return wanted


async def _edit(config: Config, message: Message, outside: Outside, number: int) -> None:
    """The first message shows how things are. One that can't be changed any more stays as it is."""
    try:
        wanted = {"chat_id": _chat(config), "message_id": number, **_content(message)}
        await _call(config, outside, "editMessageText", wanted)
    except DeliveryFailed as failed:
        if not failed.permanent or failed.gone:
            raise


def _content(message: Message) -> dict[str, Any]:
    keyboard = [[{"text": cut(one.label, 60), "url": one.url} for one in message.actions]] if message.actions else []
    return {
        "text": html(message),
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
        "reply_markup": {"inline_keyboard": keyboard},
    }


def html(message: Message, *, with_links: bool = False) -> str:
    """The message in Telegram's HTML. Its limit counts what is shown, so the text is cut before it is escaped."""
    title = one_line(message.title, 300)
    links = "".join(f"\n{one.label}: {one.url}" for one in message.actions) if with_links else ""
    text = without_controls(message.text)
    room = MAX_CHARS - utf16_size(title) - utf16_size(links) - 2
    while utf16_size(text) > room:
        text = cut(text, max(len(text) - max((utf16_size(text) - room + 1) // 2, 1), 1))
    return f"<b>{escaped(title)}</b>\n{escaped(text)}{escaped(links)}"


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


async def _call(config: Config, outside: Outside, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The token is part of the address. Raises DeliveryFailed."""
    hidden = [config["token"]]
    url = f"{str(config.get('api_url') or API).rstrip('/')}/bot{config['token']}/{method}"
    said = await _asked(outside, url, hidden, arguments)
    if said.get("ok") is True or "message is not modified" in str(said.get("description")):
        return said
    if "button" in str(said.get("description")).lower() and arguments["reply_markup"]["inline_keyboard"]:
        # It takes no links to names that only our network knows: then they stand in the text.
        said = await _asked(outside, url, hidden, _without_buttons(arguments))
        if said.get("ok") is True:
            return said
    raise without_secrets(failure(said), hidden)


def _without_buttons(arguments: dict[str, Any]) -> dict[str, Any]:
    links = [
        f"\n{escaped(one['text'])}: {escaped(one['url'])}" for one in arguments["reply_markup"]["inline_keyboard"][0]
    ]
    kept = {name: value for name, value in arguments.items() if name != "reply_markup"}
    room = MAX_CHARS - sum(map(utf16_size, links))
    text = arguments["text"]
    return {**kept, "text": (text + "".join(links)) if utf16_size(text) <= room else text}


async def _asked(outside: Outside, url: str, hidden: Sequence[str], arguments: dict[str, Any]) -> dict[str, Any]:
    answer = await ask(outside, "POST", url, hidden=hidden, json=arguments)
    said = fields_of(answer)
    return said if "ok" in said else _refused(answer, hidden)


def _refused(answer: Answer, hidden: Sequence[str]) -> dict[str, Any]:
    taken(answer, hidden=hidden)
    raise DeliveryFailed("Telegram: an answer that is none")


def failure(said: dict[str, Any]) -> DeliveryFailed:
    """What an `ok: false` means for a delivery."""
    code = int(said["error_code"]) if isinstance(said.get("error_code"), int) else 0
    text = one_line(str(said.get("description") or "no reason"))
    given = said.get("parameters")
    parameters = given if isinstance(given, dict) else {}
    if isinstance(parameters.get("migrate_to_chat_id"), int):
        moved = f"{text} (the group is a supergroup now: set chat_id to {parameters['migrate_to_chat_id']})"
        return DeliveryFailed(f"Telegram: {code} {moved}", permanent=True)
    if code == 401:
        text = f"{text} (the token is not valid)"
    wait = parameters.get("retry_after")
    return DeliveryFailed(
        f"Telegram: {code} {text}",
        permanent=not (code == 429 or code >= 500 or code == 0),
        gone=code == 403 and any(gone in text for gone in _GONE),
        retry_after_s=float(wait) if isinstance(wait, int | float) and not isinstance(wait, bool) else None,
    )
