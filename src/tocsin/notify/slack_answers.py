"""What Slack sends when somebody presses a button: whether Slack sent it, and what it says. Pure.

docs.slack.dev: authentication/verifying-requests-from-slack (`v0:timestamp:body`, HMAC-SHA256 with the signing secret,
not older than five minutes), reference/interaction-payloads/block_actions-payload.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from tocsin.kit.clock import EPOCH

WINDOW_S: Final = 300


@dataclass(frozen=True, slots=True)
class Pressed:
    """Who pressed which button, and where the message can be replaced."""

    token: str
    user_id: str
    user_name: str
    response_url: str | None


def sent_by_slack(secret: str, *, stamp: str | None, signature: str | None, body: bytes, now: datetime) -> bool:
    """Whether a request is signed with the secret, and was so within five minutes."""
    if stamp is None or signature is None or not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        return False
    if abs((now - EPOCH).total_seconds() - int(stamp)) > WINDOW_S:
        return False
    wanted = "v0=" + hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, "sha256").hexdigest()
    return hmac.compare_digest(wanted.encode(), signature.encode("utf-8", "replace"))


def pressed(payload: str) -> Pressed | None:
    """The button that was pressed; None where there is nothing to do: a link, or another kind of interaction."""
    try:
        said = msgspec.json.decode(payload)
    except (msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(said, dict) or said.get("type") != "block_actions":
        return None
    actions, user = said.get("actions"), said.get("user")
    first = actions[0] if isinstance(actions, list) and actions else None
    if not isinstance(first, dict) or not isinstance(user, dict):
        return None
    token, user_id = first.get("value"), user.get("id")
    if not (isinstance(token, str) and token and isinstance(user_id, str) and user_id):
        return None
    return Pressed(token, user_id[:40], _name(user, user_id), _text(said.get("response_url")))


def _name(user: dict[str, Any], user_id: str) -> str:
    name = _text(user.get("username")) or _text(user.get("name")) or user_id
    return "".join(letter for letter in name if letter.isprintable())[:100]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
