"""The filters of templates. Each is bounded in what it makes of what it is given. Pure."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from jinja2 import Undefined
from markupsafe import Markup

MAX_TEXT: Final = 64_000
_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z")


def given(value: Any) -> Any:
    """What a filter works on: nothing, for what is missing; a text without the mark that it is HTML."""
    if isinstance(value, Undefined):
        return None
    return value.unescape() if isinstance(value, Markup) else value


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Undefined):
        return None
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | range):
        return [plain(one) for one in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else tojson(value)


def upper(value: Any) -> str:
    return _text(value).upper()


def lower(value: Any) -> str:
    return _text(value).lower()


def capitalize(value: Any) -> str:
    return _text(value).capitalize()


def trim(value: Any) -> str:
    return _text(value).strip()


def line(value: Any, most: int = 200) -> str:
    """On one line, cut after so many characters."""
    return truncate(" ".join(_text(value).split()), most)


def truncate(value: Any, most: int = 200) -> str:
    """Cut after so many characters."""
    text, most = _text(value), _whole(most, 1, MAX_TEXT)
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def indent(value: Any, by: int = 2) -> str:
    """With so many blanks before each line, 40 at most."""
    blanks = " " * _whole(by, 0, 40)
    text = _text(value)
    if len(text) + len(blanks) * (text.count("\n") + 1) > MAX_TEXT:
        raise ValueError("the text would be too long")
    return "\n".join(blanks + one for one in text.split("\n"))


def replace(value: Any, old: str, new: str) -> str:
    text, old, new = _text(value), _text(old), _text(new)
    if not old:
        raise ValueError("there is nothing to replace")
    if len(text) + text.count(old) * len(new) > MAX_TEXT:
        raise ValueError("the text would be too long")
    return text.replace(old, new)


def join(value: Any, by: str = ", ") -> str:
    items = list(value) if isinstance(value, list | tuple | Mapping) else []
    texts = [_text(one) for one in items]
    if sum(map(len, texts)) + len(_text(by)) * len(texts) > MAX_TEXT:
        raise ValueError("the text would be too long")
    return _text(by).join(texts)


def default(value: Any, instead: Any = "") -> Any:
    """Something else for what is missing or null."""
    return instead if value is None or isinstance(value, Undefined) else value


def length(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple | Mapping) else 0


def first(value: Any) -> Any:
    return value[0] if isinstance(value, str | list | tuple) and value else None


def last(value: Any) -> Any:
    return value[-1] if isinstance(value, str | list | tuple) and value else None


def round_(value: Any, digits: int = 0) -> Any:
    found = round(_number(value), _whole(digits, 0, 6))
    return int(found) if digits == 0 else found


def int_(value: Any) -> int:
    return int(_number(value))


def number(value: Any) -> str:
    """With a comma at each thousand."""
    if value is None:
        return ""
    found = _number(value)
    return f"{int(found):,}" if found == int(found) else f"{found:,.2f}"


def _number(value: Any) -> float:
    if value is None:
        return 0
    try:
        found = float(value if isinstance(value, int | float) else _text(value)[:40])
    except ValueError:
        raise ValueError(f"{_text(value)[:40]!r} is no number") from None
    if not -1e15 <= found <= 1e15:
        raise ValueError("the number is too large")
    return found


def _whole(value: Any, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"expected a whole number from {low} to {high}")
    return value


def tojson(value: Any) -> str:
    """As JSON, which may stand within HTML too."""
    found = json.dumps(plain(value), ensure_ascii=False)
    return found.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def time(value: Any, zone: str = "UTC", form: str = "") -> str:
    """An instant for people, in a zone: 02:21 UTC, with the day where `form` is `day`."""
    text = _text(value)
    if not _STAMP.fullmatch(text):
        return text
    at = datetime.fromisoformat(text).astimezone(_zone(_text(zone)))
    name = "UTC" if at.tzinfo is UTC else at.tzname()
    return f"{at:%Y-%m-%d %H:%M} {name}" if form == "day" else f"{at:%H:%M} {name}"


@lru_cache(maxsize=64)
def _zone(name: str) -> Any:
    if name == "UTC":
        return UTC
    if not re.fullmatch(r"[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,2}", name):
        raise ValueError(f"{name[:40]!r} is no time zone")
    try:
        return ZoneInfo(name)
    except (OSError, ValueError) as error:
        raise ValueError(f"{name[:40]!r} is no time zone") from error


def duration(value: Any) -> str:
    """Seconds for people: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    if value is None:
        return ""
    seconds = round(abs(_number(value)))
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if minutes < 60:
        return f"{minutes} min"
    if hours < 24:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{days} d {hours % 24} h" if hours % 24 else f"{days} d"


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "capitalize": capitalize, "count": length, "default": default, "duration": duration, "first": first,
    "indent": indent, "int": int_, "join": join, "last": last, "length": length, "line": line, "lower": lower,
    "number": number, "replace": replace, "round": round_, "time": time, "tojson": tojson, "trim": trim,
    "truncate": truncate, "upper": upper,
}  # fmt: skip
OF_MISSING: Final = frozenset({default})
