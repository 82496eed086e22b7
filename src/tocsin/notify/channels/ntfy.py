"""ntfy: push to phones, from ntfy.sh or an own server. Its buttons act without a browser.

docs.ntfy.sh/publish: "Publish as JSON" (POST to the server's root), priorities 1 to 5, at most three actions (`view`,
`http`), authentication by user or access token, limits (4,096 bytes a message; 429 beyond the visitor's rate).
"""

from collections.abc import Sequence
from typing import Any, Final

from tocsin.kit.errors import FieldError
from tocsin.notify.channels import checks
from tocsin.notify.channels.asking import ask, fields_of, taken
from tocsin.notify.channels.channel import Config, Outside
from tocsin.notify.channels.cutting import cut, fitting, one_line, utf8_size, without_controls
from tocsin.notify.message import Action, Kind, Message, Receipt

SERVER: Final = "https://ntfy.sh"
MAX_BYTES: Final = 4096
_ACTIONS: Final = 3
_PRIORITIES: Final = {"P1": 5, "P2": 4, "P3": 3, "P4": 2, "P5": 1}
_CALLS: Final = frozenset({Kind.PAGE, Kind.OPENED, Kind.REOPENED, Kind.SLA})
_TAGS: Final = {
    Kind.PAGE: "rotating_light", Kind.OPENED: "rotating_light", Kind.REOPENED: "rotating_light", Kind.SLA: "hourglass",
    Kind.ACKNOWLEDGED: "eyes", Kind.RESOLVED: "white_check_mark", Kind.CLOSED: "white_check_mark",
}  # fmt: skip
_TOPIC: Final = checks.pattern(r"[A-Za-z0-9_-]{1,64}", "the name of a topic: letters, digits, _ and -, at most 64")

_CHECKS: Final[dict[str, checks.Check]] = {
    "url": checks.url,
    "topic": _TOPIC,
    "to": _TOPIC,
    "token": checks.text,
    "username": checks.text,
    "password": checks.text,
}


class Ntfy:
    """Settings: `topic` (or `to`), `url` of the server, `token`, or `username` and `password`. Whoever knows the name
    of a topic without access control can read it: that is why it is a secret."""

    name = "ntfy"
    settings = tuple(_CHECKS)
    secrets = frozenset({"topic", "token", "password"})
    where = frozenset({"url"})
    personal = False

    def check(self, config: Config) -> Sequence[FieldError]:
        found = checks.wrong_with(config, _CHECKS, set())
        if not (config.get("topic") or config.get("to")):
            found.append(FieldError("/topic", "is required"))
        if bool(config.get("username")) != bool(config.get("password")):
            found.append(FieldError("/password", "username and password go together"))
        if config.get("token") and config.get("username"):
            found.append(FieldError("/token", "give a token, or username and password; one of the two"))
        return found

    async def send(self, config: Config, message: Message, outside: Outside) -> Receipt:
        hidden = [config.get(name) for name in ("topic", "to", "token", "password")]
        headers = {"Authorization": f"Bearer {config['token']}"} if config.get("token") else None
        auth = (config["username"], config["password"]) if config.get("username") else None
        url = str(config.get("url") or SERVER)
        wanted = published(str(config.get("to") or config["topic"]), message, personal=bool(config.get("to")))
        answer = await ask(outside, "POST", url, hidden=hidden, headers=headers, json=wanted, auth=auth)
        found = fields_of(taken(answer, hidden=hidden)).get("id")
        return Receipt("published", found if isinstance(found, str) else None)


def published(topic: str, message: Message, *, personal: bool) -> dict[str, Any]:
    """The message as ntfy takes it. In a person's own topic its buttons act; in that of many they lead to a page, which
    asks who it is."""
    text = fitting(message.text.strip() or message.title, MAX_BYTES - 96, without_controls, utf8_size)
    urgent = _PRIORITIES.get(message.priority or "", 3)
    found: dict[str, Any] = {
        "topic": topic,
        "title": one_line(message.title, 250),
        "message": text,
        "priority": urgent if message.kind in _CALLS else min(urgent, 3),
        "actions": [_action(one, personal=personal) for one in message.actions[:_ACTIONS]],
    }
    if message.kind in _TAGS:
        found["tags"] = [_TAGS[message.kind]]
    if message.url:
        found["click"] = message.url
    return found


def _action(action: Action, *, personal: bool) -> dict[str, Any]:
    shared = {"label": cut(action.label, 40), "url": action.url, "clear": True}
    if action.name == "open" or not personal:
        return {"action": "view", **shared}
    return {"action": "http", "method": "POST", **shared}
