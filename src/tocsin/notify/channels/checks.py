"""What is wrong with a channel's settings: each setting has a check of its value. Pure."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from tocsin.kit.errors import FieldError

Check = Callable[[Any], str | None]
MAX_SETTING_CHARS: Final = 4096
_E164: Final = re.compile(r"\+[1-9]\d{6,14}")
_MAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|\[?[0-9A-Fa-f:.]{2,45}\]?")


def wrong_with(config: Mapping[str, Any], checks: Mapping[str, Check], required: Collection[str]) -> list[FieldError]:
    """What is wrong with these settings, each at its pointer; a setting that has no check does not exist."""
    found = [FieldError(f"/{name}", "is required") for name in sorted(required) if is_missing(config, name)]
    for name, value in config.items():
        check = checks.get(name)
        if check is None:
            found.append(FieldError(f"/{name}", f"does not exist here; there are {', '.join(sorted(checks))}"))
        elif value is not None and not (name in required and is_missing(config, name)):
            detail = check(value)
            if detail is not None:
                found.append(FieldError(f"/{name}", detail))
    return found


def is_missing(config: Mapping[str, Any], name: str) -> bool:
    return config.get(name) in (None, "", [], ())


def text(value: Any) -> str | None:
    """One line of text."""
    if not isinstance(value, str) or not value.strip():
        return "expected a text"
    if len(value) > MAX_SETTING_CHARS:
        return f"is longer than {MAX_SETTING_CHARS} characters"
    return None if value.isprintable() else "holds a line end or another control character"


def flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "expected true or false"


def one_of(*words: str) -> Check:
    return lambda value: None if value in words else f"expected one of {', '.join(words)}"


def whole(low: int, high: int) -> Check:
    """A whole number within bounds."""

    def check(value: Any) -> str | None:
        fits = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return None if fits else f"expected a whole number from {low} to {high}"

    return check


def pattern(expression: str, expected: str) -> Check:
    """A text of a form."""
    compiled = re.compile(expression)

    def check(value: Any) -> str | None:
        return None if isinstance(value, str) and compiled.fullmatch(value) else f"expected {expected}"

    return check


def url(value: Any) -> str | None:
    """An address that is asked over HTTP."""
    wrong = text(value)
    if wrong is not None:
        return wrong
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        return f"is not a URL: {error}"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "expected a URL that begins with https:// or http://"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user name or password"
    return None


def host(value: Any) -> str | None:
    return None if isinstance(value, str) and _HOST.fullmatch(value) else "expected the name or address of a host"


def phone(value: Any) -> str | None:
    """E.164: what carriers agree on."""
    good = isinstance(value, str) and _E164.fullmatch(value)
    return None if good else "expected a number as +351912345678: a plus, the country, no blanks"


def mail(value: Any) -> str | None:
    good = isinstance(value, str) and len(value) <= 254 and _MAIL.fullmatch(value)
    return None if good else "expected a mail address such as ana@example.org"


def mails(value: Any) -> str | None:
    """One address, or several in a list."""
    if isinstance(value, str):
        return mail(value)
    if not isinstance(value, Sequence) or not 1 <= len(value) <= 50:
        return "expected a mail address, or a list of up to 50"
    return next((wrong for one in value if (wrong := mail(one)) is not None), None)
