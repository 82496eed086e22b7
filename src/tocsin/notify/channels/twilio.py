"""Twilio: a text message, or a call that reads out what is wrong; what is said stands in the request itself.

www.twilio.com/docs: Messages resource (Body up to 1,600 characters, error 21617), segments of GSM-7 (160, or 153 of
several) and UCS-2 (70, or 67), Calls resource (`Twiml` up to 4,000 characters), HTTP Basic with account SID and auth
token or API key, errors `{code, message}`, 429 with code 20429.
"""

import re
from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from tocsin.kit.errors import FieldError
from tocsin.notify.channels import checks
from tocsin.notify.channels.asking import ask, fields_of, taken, without_secrets
from tocsin.notify.channels.channel import Config, Outside
from tocsin.notify.channels.cutting import cut, one_line
from tocsin.notify.message import DeliveryFailed, Message, Receipt

API: Final = "https://api.twilio.com"
MAX_SEGMENTS: Final = 3
ACKNOWLEDGE_KEY: Final = "4"
PHONE_PATH: Final = "/phone"  # below that of a link
_BODY, _TWIML = 1600, 4000
_GSM: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE: Final = frozenset("^{}\\[~]|€")
_PLAINER: Final = str.maketrans({"…": "...", "–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "→": "->",
                                 "•": "-", "`": "'", "\t": " ", "\u00a0": " "})  # fmt: skip
_ADVICE: Final = {
    20003: "the account SID, auth token or API key is not valid",
    20429: "Twilio is asked too often",
    21211: "the number to call is not valid",
    21212: "the number it comes from is not valid",
    21408: "the account may not send to that country",
    21608: "a trial account reaches verified numbers only",
    21610: "the receiver answered STOP",
    21614: "the number to call is no mobile",
}
_WAITS: Final = frozenset({20429, 14107, 30001, 30022})

_SHARED: Final[dict[str, checks.Check]] = {
    "account_sid": checks.pattern(r"AC[0-9a-fA-F]{32}", "the account SID: AC and 32 hex digits"),
    "auth_token": checks.text,
    "api_key": checks.pattern(r"SK[0-9a-fA-F]{32}", "the SID of an API key: SK and 32 hex digits"),
    "api_secret": checks.text,
    "to": checks.phone,
    "api_url": checks.url,
}
_SMS: Final[dict[str, checks.Check]] = {
    **_SHARED,
    "from": checks.pattern(r"\+[1-9]\d{6,14}|[A-Za-z0-9 ]{1,11}", "a number as +351912345678, or up to 11 letters"),
    "messaging_service": checks.pattern(r"MG[0-9a-fA-F]{32}", "the SID of a messaging service: MG and 32 hex digits"),
    "max_segments": checks.whole(1, 10),
}
_VOICE: Final[dict[str, checks.Check]] = {
    **_SHARED,
    "from": checks.phone,
    "voice": checks.pattern(r"[A-Za-z][A-Za-z0-9.-]{0,60}", "the name of a voice, such as Polly.Amy"),
    "keypress": checks.flag,
    "language": checks.pattern(r"[a-z]{2,3}-[A-Z]{2}", "a language such as en-GB"),
}


def _wrong(config: Config, known: dict[str, checks.Check]) -> list[FieldError]:
    found = checks.wrong_with(config, known, {"account_sid"})
    if bool(config.get("api_key")) != bool(config.get("api_secret")):
        found.append(FieldError("/api_secret", "api_key and api_secret go together"))
    if bool(config.get("auth_token")) == bool(config.get("api_key")):
        found.append(FieldError("/auth_token", "give auth_token, or api_key and api_secret; one of the two"))
    return found


async def _create(config: Config, outside: Outside, what: str, fields: dict[str, str]) -> str:
    """Make a resource of the account; its SID. Raises DeliveryFailed."""
    if not fields["To"]:
        raise DeliveryFailed("There is no number to send to", permanent=True)
    hidden = [config.get("auth_token"), config.get("api_secret")]
    user = str(config.get("api_key") or config["account_sid"])
    secret = str(config.get("api_secret") or config.get("auth_token"))
    url = f"{str(config.get('api_url') or API).rstrip('/')}/2010-04-01/Accounts/{config['account_sid']}/{what}.json"
    answer = await ask(outside, "POST", url, hidden=hidden, form=fields, auth=(user, secret))
    said = fields_of(answer)
    code = said.get("code")
    if not 200 <= answer.status < 300 and isinstance(code, int):
        raise without_secrets(_failure(answer.status, code, str(said.get("message"))), hidden)
    taken(answer, hidden=hidden)
    return str(said.get("sid") or "")


def _failure(status: int, code: int, text: str) -> DeliveryFailed:
    advice = f" ({_ADVICE[code]})" if code in _ADVICE else ""
    again = status == 429 or status >= 500 or code in _WAITS
    return DeliveryFailed(f"Twilio: {code} {one_line(text)}{advice}", permanent=not again)


class Sms:
    """Settings: `account_sid`, `auth_token` (or `api_key` and `api_secret`), `from` or `messaging_service`,
    `max_segments` that a message may cost, `to`."""

    name = "sms"
    settings = tuple(_SMS)
    secrets = frozenset({"auth_token", "api_secret"})
    where = frozenset({"api_url"})
    personal = True

    def check(self, config: Config) -> Sequence[FieldError]:
        found = _wrong(config, _SMS)
        if bool(config.get("from")) == bool(config.get("messaging_service")):
            found.append(FieldError("/from", "give from or messaging_service; one of the two"))
        return found

    async def send(self, config: Config, message: Message, outside: Outside) -> Receipt:
        text = short(message, segments=int(config.get("max_segments") or MAX_SEGMENTS))
        fields = {"To": str(config.get("to") or ""), "Body": text}
        sender = (
            {"From": config["from"]} if config.get("from") else {"MessagingServiceSid": config["messaging_service"]}
        )
        return Receipt(
            f"queued, {segments_of(text)} segments", await _create(config, outside, "Messages", fields | sender)
        )


class Voice:
    """Settings: `account_sid`, `auth_token` (or `api_key` and `api_secret`), `from`, `voice`, `language`, `to`;
    `keypress`: pressing 4 acknowledges, for which Twilio must reach Tocsin."""

    name = "voice"
    settings = tuple(_VOICE)
    secrets = frozenset({"auth_token", "api_secret"})
    where = frozenset({"api_url"})
    personal = True

    def check(self, config: Config) -> Sequence[FieldError]:
        found = _wrong(config, _VOICE)
        if not config.get("from"):
            found.append(FieldError("/from", "is required"))
        return found

    async def send(self, config: Config, message: Message, outside: Outside) -> Receipt:
        action = next((one.url for one in message.actions if one.name == "acknowledge"), None)
        pressed = f"{action}{PHONE_PATH}" if action and config.get("keypress") else None
        twiml = spoken(message, voice=config.get("voice"), language=config.get("language"), pressed=pressed)
        fields = {"To": str(config.get("to") or ""), "From": config["from"], "Twiml": twiml}
        return Receipt("calling", await _create(config, outside, "Calls", fields))


def short(message: Message, *, segments: int) -> str:
    """Title, as much of the text as fits, and the link to act on; the link is never cut."""
    action = next((one for one in message.actions if one.name == "acknowledge"), None)
    link = action.url if action else message.url or ""
    title = one_line(message.title.translate(_PLAINER), 300)
    text = " ".join((message.text.replace(link, "") if link else message.text).translate(_PLAINER).split())
    whole = title if not text or title in text else f"{title}\n{text}"
    tail = f"\n{link}" if link else ""
    kept = len(whole)
    while kept and (segments_of(_cut(whole, kept) + tail) > segments or len(_cut(whole, kept) + tail) > _BODY):
        kept -= max(kept // 50, 1)
    return _cut(whole, kept) + tail


def _cut(text: str, kept: int) -> str:
    return text if kept >= len(text) else text[:kept].rstrip() + "..."


def segments_of(text: str) -> int:
    """How many messages a carrier makes of a text."""
    if all(letter in _GSM or letter in _GSM_TWICE for letter in text):
        size = sum(2 if letter in _GSM_TWICE else 1 for letter in text)
        return 1 if size <= 160 else -(-size // 153)
    size = len(text.encode("utf-16-le", "surrogatepass")) // 2
    return 1 if size <= 70 else -(-size // 67)


def spoken(
    message: Message, *, voice: str | None = None, language: str | None = None, pressed: str | None = None
) -> str:
    """TwiML that says it twice: the first words are missed by whoever was asleep. `pressed` is where Twilio sends the
    key that somebody presses meanwhile."""
    looks = "".join(f' {name}="{value}"' for name, value in (("voice", voice), ("language", language)) if value)
    said = " ".join(re.sub(r"https?://\S+", "", f"{message.title}. {message.text}").split())
    chars = 1500
    twiml = _twice(cut(said, chars), looks, pressed)
    while len(twiml) > _TWIML:
        chars = chars * 3 // 4
        twiml = _twice(cut(said, chars), looks, pressed)
    return twiml


def _twice(text: str, looks: str, pressed: str | None) -> str:
    hint = "" if pressed is None else f" Press {ACKNOWLEDGE_KEY} to acknowledge."
    say = f"<Say{looks}>{escape(_speakable(text + hint))}</Say>"
    twice = f'{say}<Pause length="2"/>{say}'
    if pressed is not None:
        twice = f'<Gather numDigits="1" timeout="8" method="POST" action={quoteattr(pressed)}>{twice}</Gather>'
    return f'<Response><Pause length="1"/>{twice}</Response>'


def reply(text: str) -> str:
    """TwiML that answers a key."""
    return f"<Response><Say>{escape(_speakable(text))}</Say></Response>"


def _speakable(text: str) -> str:
    """XML 1.0 knows no control characters, not even escaped."""
    return "".join(letter for letter in text if letter.isprintable())
