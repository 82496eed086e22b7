"""Slack: an incoming webhook, or a bot that keeps its message up to date and answers in its thread.

docs.slack.dev: messaging/sending-messages-using-incoming-webhooks, reference/methods/chat.postMessage and chat.update,
reference/block-kit (header 150 characters, section 3000, field 2000 and 10 of them, button text 75, value 2000, url
3000), messaging/formatting-message-text (&, < and > are escaped), apis/web-api/rate-limits (429 with Retry-After).
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from tocsin.kit.errors import FieldError
from tocsin.notify.channels import checks
from tocsin.notify.channels.asking import ask, fields_of, taken, without_secrets
from tocsin.notify.channels.channel import Config, Outside
from tocsin.notify.channels.cutting import cut, fitting, one_line, without_controls
from tocsin.notify.message import Action, DeliveryFailed, Kind, Message, Receipt

API: Final = "https://slack.com/api"
_HEADER, _SECTION, _FIELD, _FIELDS, _BUTTON, _VALUE, _URL = 150, 3000, 2000, 10, 75, 2000, 3000
_FALLBACK: Final = 3000
_STYLES: Final = {"acknowledge": "primary", "resolve": "danger"}
# What the message in the channel shows from now on; the rest stands in its thread only.
_STATES: Final = frozenset({Kind.ACKNOWLEDGED, Kind.RESOLVED, Kind.CLOSED})
# What somebody has to hear, although it belongs to an older message: it is shown in the channel too.
_LOUD: Final = frozenset({Kind.PAGE, Kind.OPENED, Kind.REOPENED, Kind.SLA})
_AGAIN: Final = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout",
     "team_added_to_org", "accesslimited"}
)  # fmt: skip
_GONE: Final = frozenset({"is_archived", "account_inactive", "token_revoked"})
_LOST: Final = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"})
_ADVICE: Final = {
    "invalid_auth": "the token is not valid",
    "not_authed": "there is no token",
    "token_revoked": "the token was revoked; install the app again",
    "token_expired": "the token has expired",
    "account_inactive": "the app was removed from the workspace",
    "missing_scope": "the bot needs the scope chat:write",
    "channel_not_found": "there is no such channel, or the bot can't see it",
    "not_in_channel": "invite the bot to the channel: /invite @its-name",
    "is_archived": "the channel was archived",
    "restricted_action": "the workspace does not let the app post there",
}

_ADDRESS: Final = re.compile(r"https?://(?:(?!&[lg]t;)[^\s<>|])+")

_CHECKS: Final[dict[str, checks.Check]] = {
    "url": checks.url,
    "token": checks.pattern(r"xox[a-z.]*-[A-Za-z0-9-]{4,}", "a bot token: xoxb-..."),
    "channel": checks.pattern(r"#?[^\s<>,]{1,80}", "the id of a channel, such as C024BE91L"),
    "to": checks.pattern(r"[UWCDG][A-Z0-9]{2,20}", "the member id of a person, such as U024BE7LH"),
    "interactive": checks.flag,
    "api_url": checks.url,
}


class Slack:
    """Settings: `url` of an incoming webhook; or `token` of a bot and `channel` (or `to`, a person). `interactive`: the
    buttons act, because the app's Interactivity points to `/slack/actions` here; otherwise they lead to a page.
    `api_url` is that of another Slack, such as GovSlack's."""

    name = "slack"
    settings = tuple(_CHECKS)
    secrets = frozenset({"url", "token"})
    where = frozenset({"url", "api_url"})
    personal = False

    def check(self, config: Config) -> Sequence[FieldError]:
        found = checks.wrong_with(config, _CHECKS, set())
        if checks.is_missing(config, "url") == checks.is_missing(config, "token"):
            found.append(
                FieldError("/url", "give the url of an incoming webhook, or token and channel; one of the two")
            )
        elif not checks.is_missing(config, "token") and not (config.get("channel") or config.get("to")):
            found.append(FieldError("/channel", "is required with a token"))
        return found

    async def send(self, config: Config, message: Message, outside: Outside) -> Receipt:
        if config.get("url"):
            answer = await ask(outside, "POST", config["url"], hidden=[config["url"]], json=body(config, message))
            return Receipt(one_line(taken(answer, hidden=[config["url"]]).body.decode("utf-8", "replace")) or "ok")
        where, _, first = (message.earlier or "").rpartition(":")
        if not (where and first):
            return await _post(config, message, outside, str(config.get("to") or config["channel"]))
        try:
            return await _follow_up(config, message, outside, where, first)
        except DeliveryFailed as failed:
            if not any(f"Slack: {lost}" in failed.detail for lost in _LOST):
                raise
            return await _post(config, message, outside, where)  # somebody deleted the message it belongs to


async def _post(config: Config, message: Message, outside: Outside, channel: str) -> Receipt:
    said = await _call(config, outside, "chat.postMessage", {"channel": channel, **body(config, message)})
    return Receipt("posted", f"{said.get('channel', channel)}:{said.get('ts', '')}")


async def _follow_up(config: Config, message: Message, outside: Outside, where: str, first: str) -> Receipt:
    """The message in the channel shows how things are; its thread, how they came to be so."""
    if message.kind in _STATES:
        await _call(config, outside, "chat.update", {"channel": where, "ts": first, **body(config, message)})
    reply = {"channel": where, "thread_ts": first, **body(config, message, with_buttons=message.kind in _LOUD)}
    if message.kind in _LOUD:
        reply["reply_broadcast"] = True
    await _call(config, outside, "chat.postMessage", reply)
    how = "updated and told in its thread" if message.kind in _STATES else "told in its thread"
    return Receipt(how, f"{where}:{first}")


async def _call(config: Config, outside: Outside, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Slack answers 200 with `ok: false` to what it refuses. Raises DeliveryFailed."""
    token = str(config["token"])
    url = f"{str(config.get('api_url') or API).rstrip('/')}/{method}"
    answer = await ask(
        outside, "POST", url, hidden=[token], headers={"Authorization": f"Bearer {token}"}, json=arguments
    )
    said = fields_of(taken(answer, hidden=[token]))
    if said.get("ok") is True:
        return said
    raise without_secrets(api_failure(said), [token])


def api_failure(said: dict[str, Any]) -> DeliveryFailed:
    """What an `ok: false` means for a delivery."""
    error = str(said.get("error") or "an answer that is none")
    notes = [_ADVICE[error]] if error in _ADVICE else []
    metadata = said.get("response_metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("messages"), list):
        notes += [str(note) for note in metadata["messages"][:3]]
    detail = one_line(f"Slack: {error}" + (f" ({'; '.join(notes)})" if notes else ""), 400)
    again = error in _AGAIN or not said.get("error")
    return DeliveryFailed(detail, permanent=not again, gone=error in _GONE)


def body(config: Config, message: Message, *, with_buttons: bool = True) -> dict[str, Any]:
    """The message as blocks; `text` is what a notification shows."""
    interactive = bool(config.get("interactive"))
    return {
        "text": fitting(message.title, _FALLBACK, escaped),
        "blocks": blocks(message, interactive=interactive, with_buttons=with_buttons),
        "unfurl_links": False,
        "unfurl_media": False,
    }


def escaped(text: str) -> str:
    """Slack's three control characters: without them no text mentions anybody or hides where a link leads."""
    return without_controls(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def linked(text: str) -> str:
    """Escaped, with addresses that lead to where they say: what is verbatim has no links by itself."""
    return _ADDRESS.sub(r"<\g<0>>", escaped(text))


def blocks(message: Message, *, interactive: bool, with_buttons: bool = True) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": one_line(message.title, _HEADER), "emoji": False}}
    ]
    if message.text.strip():
        found.append({"type": "section", "text": _mrkdwn(fitting(message.text, _SECTION, linked))})
    if message.facts:
        facts = [_mrkdwn(f"*{escaped(name)}*\n{fitting(value, _FIELD - 200, linked)}") for name, value in message.facts]
        found.append({"type": "section", "fields": facts[:_FIELDS]})
    if message.bundled > 1:
        found.append({"type": "context", "elements": [_mrkdwn(f"{message.bundled} updates in one message")]})
    if with_buttons and message.actions:
        buttons = [_button(one, interactive=interactive) for one in message.actions[:5]]
        found.append({"type": "actions", "block_id": message.thread[:255], "elements": buttons})
    return found


def _mrkdwn(text: str) -> dict[str, Any]:
    # Verbatim: names of channels and people in a log's message stay words.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _button(action: Action, *, interactive: bool) -> dict[str, Any]:
    button: dict[str, Any] = {
        "type": "button",
        "action_id": action.name,
        "text": {"type": "plain_text", "text": cut(action.label, _BUTTON), "emoji": False},
    }
    if interactive and action.token and len(action.token) <= _VALUE:
        button["value"] = action.token
    elif len(action.url) <= _URL:
        button["url"] = action.url
    if action.name in _STYLES:
        button["style"] = _STYLES[action.name]
    return button
