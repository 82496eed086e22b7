"""What the address of a contact method must be like."""

import re
from typing import Final
from urllib.parse import urlsplit

from tocsin.oncall.people import MethodKind

MAX_ADDRESS_CHARS: Final = 500
_EMAIL: Final = re.compile(r"[^\s@<>,;:\"()\\]{1,64}@[^\s@<>,;:\"()\\]{1,190}\.[^\s@<>,;:\"()\\.]{2,63}")
_PHONE: Final = re.compile(r"\+[1-9]\d{6,14}")
_TELEGRAM: Final = re.compile(r"-?\d{1,20}|@[A-Za-z0-9_]{5,32}")
_SLACK: Final = re.compile(r"[CDGUW][A-Z0-9]{5,20}|[@#][^\s@#]{1,80}")
_TOPIC: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EXPECTED: Final = {
    MethodKind.EMAIL: "expected an e-mail address, such as ana@example.org",
    MethodKind.SMS: "expected a phone number with its country, such as +351912345678",
    MethodKind.VOICE: "expected a phone number with its country, such as +351912345678",
    MethodKind.SLACK: "expected a Slack id, such as U0123ABCD, or a name, such as @ana",
    MethodKind.TELEGRAM: "expected a chat id, such as 123456789, or a name, such as @ana_x",
    MethodKind.NTFY: "expected the name of a topic alone, such as ana-pager: letters, digits, _ and -, at most 64;"
    " its server is that of the ntfy channel",
    MethodKind.WEBHOOK: "expected an http or https address",
}
_PATTERNS: Final = {
    MethodKind.EMAIL: _EMAIL,
    MethodKind.SMS: _PHONE,
    MethodKind.VOICE: _PHONE,
    MethodKind.SLACK: _SLACK,
    MethodKind.TELEGRAM: _TELEGRAM,
    MethodKind.NTFY: _TOPIC,
}


def address_of(kind: MethodKind, given: str) -> str:
    """The address as it is kept. Raises ValueError, which says what was expected."""
    text = given.strip()
    if kind in {MethodKind.SMS, MethodKind.VOICE}:
        text = re.sub(r"[\s().-]", "", text)
    pattern = _PATTERNS.get(kind)
    good = _is_url(text) if pattern is None else pattern.fullmatch(text) is not None
    if not good or len(text) > MAX_ADDRESS_CHARS:
        raise ValueError(_EXPECTED[kind])
    return text


def is_email(text: str) -> bool:
    """Whether a text looks like an e-mail address."""
    return _EMAIL.fullmatch(text) is not None


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and text.isprintable() and " " not in text
    except ValueError:
        return False
